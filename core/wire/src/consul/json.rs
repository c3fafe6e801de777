//! JSON as Go writes it: `<`, `>`, `&` and the two Unicode line separators are
//! escapes, so that an answer shown by a browser stays text.

use std::cell::Cell;
use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter};

use super::json_compact::{Compact, push_escaped};

/// The bytes of `value`: compact without a trailing newline, or `pretty` with
/// four blanks per level and a newline at the end.
pub fn encode<T: Serialize + ?Sized>(value: &T, pretty: bool) -> Vec<u8> {
    written(Vec::with_capacity(128), value, pretty)
}

/// The bytes of a list, each row made only when its turn comes.
pub fn encode_rows<T: Serialize>(rows: impl IntoIterator<Item = T>, pretty: bool) -> Vec<u8> {
    let rows = rows.into_iter();
    // Memory that grew would be copied over and over, so there is some from the
    // beginning for as many rows as there are for sure.
    let expected = rows.size_hint().0.min(EXPECTED_ROWS_MAX) * ROW_BYTES_GUESSED;
    written(Vec::with_capacity(expected + 2), &Rows(Cell::new(Some(rows))), pretty)
}

/// About what a service instance takes with its node and two checks.
const ROW_BYTES_GUESSED: usize = 1200;

/// More rows than this make room as they come.
const EXPECTED_ROWS_MAX: usize = 4096;

/// Rows that can be printed once, which is how often an answer is.
struct Rows<I>(Cell<Option<I>>);

impl<T: Serialize, I: Iterator<Item = T>> Serialize for Rows<I> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.take().into_iter().flatten())
    }
}

fn written<T: Serialize + ?Sized>(mut out: Vec<u8>, value: &T, pretty: bool) -> Vec<u8> {
    // Writing to memory cannot fail, and every type here has text keys.
    let written = if pretty {
        let formatter = HtmlSafe(PrettyFormatter::with_indent(b"    "));
        value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, formatter))
    } else {
        value.serialize(Compact(&mut out))
    };
    if written.is_err() {
        return b"null".to_vec();
    }
    if pretty {
        out.push(b'\n');
    }
    out
}

/// Writes Go's escapes.
struct HtmlSafe<F>(F);

impl<F: Formatter> Formatter for HtmlSafe<F> {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut escaped = Vec::with_capacity(fragment.len());
        push_escaped(&mut escaped, fragment);
        writer.write_all(&escaped)
    }

    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn html_characters_are_escaped_and_others_are_not() {
        let text = String::from_utf8(encode("a&b<c>\u{2028}é\"\n", false)).unwrap();
        assert_eq!(text, "\"a\\u0026b\\u003cc\\u003e\\u2028é\\\"\\n\"");
    }

    #[test]
    fn compact_has_no_newline_and_pretty_has_four_blanks_and_one() {
        let value = serde_json::json!({"a": [1], "b": []});
        assert_eq!(encode(&value, false), br#"{"a":[1],"b":[]}"#);
        let pretty = "{\n    \"a\": [\n        1\n    ],\n    \"b\": []\n}\n";
        assert_eq!(encode(&value, true), pretty.as_bytes());
    }

    #[derive(Debug, Serialize)]
    enum Shape {
        Unit,
        Newtype(Option<f64>),
        Tuple(bool, char, ()),
        Struct { first: &'static [u8], second: Vec<Self> },
    }

    #[derive(Debug, Serialize)]
    struct Wrapped(Shape);

    #[derive(Debug, Serialize)]
    struct Pair(i64, u64);

    #[derive(Debug, Serialize)]
    struct Whole {
        #[serde(rename = "ID")]
        id: String,
        wrapped: Wrapped,
        pair: Pair,
        tuple: (f32, i8),
        #[serde(skip_serializing_if = "Option::is_none")]
        absent: Option<u8>,
        #[serde(flatten)]
        rest: BTreeMap<String, Value>,
    }

    /// What `serde_json` prints, with Go's escapes, which stand for characters
    /// that JSON has in texts only.
    fn expected(value: &impl Serialize) -> String {
        let mut text = serde_json::to_string(value).unwrap();
        for special in ['<', '>', '&', '\u{2028}', '\u{2029}'] {
            text = text.replace(special, &format!("\\u{:04x}", u32::from(special)));
        }
        text
    }

    fn compact(value: &impl Serialize) -> String {
        String::from_utf8(encode(value, false)).unwrap()
    }

    /// Texts in which what needs an escape is as likely as what does not.
    fn a_text() -> impl Strategy<Value = String> {
        let special = "[\u{0}-\u{1f}\"\\\\<>&\u{2027}-\u{202a}\u{e2}é\u{1f600}]";
        prop_oneof![
            Just(String::new()),
            "[ -~]{0,40}",
            proptest::string::string_regex(&format!("([a-z]{{0,18}}{special}{{0,2}}){{1,4}}"))
                .unwrap(),
        ]
    }

    fn a_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            a_text().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(a_text(), inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_is_printed_as_serde_json_prints_it(value in a_value()) {
            prop_assert_eq!(compact(&value), expected(&value));
            let rows = [&value, &value];
            prop_assert_eq!(encode_rows(rows, false), encode(&rows, false));
            prop_assert_eq!(encode_rows(rows, true), encode(&rows, true));
        }
    }

    #[test]
    fn every_kind_of_type_is_printed_as_serde_json_prints_it() {
        let shapes = [
            Shape::Unit,
            Shape::Newtype(Some(0.1)),
            Shape::Newtype(None),
            Shape::Newtype(Some(f64::NAN)),
            Shape::Tuple(true, '"', ()),
            Shape::Struct { first: b"\x00\xff", second: vec![Shape::Unit, Shape::Newtype(None)] },
            Shape::Struct { first: b"", second: Vec::new() },
        ];
        for shape in shapes {
            let whole = Whole {
                id: "<id>".into(),
                wrapped: Wrapped(shape),
                pair: Pair(i64::MIN, u64::MAX),
                tuple: (1e30, -1),
                absent: None,
                rest: BTreeMap::from([("a\"b".into(), Value::from(1.5))]),
            };
            assert_eq!(compact(&whole), expected(&whole));
        }
    }

    #[test]
    fn no_rows_are_an_empty_list() {
        assert_eq!(encode_rows::<u8>([], false), b"[]");
        assert_eq!(encode_rows::<u8>([], true), b"[]\n");
    }

    #[test]
    fn the_largest_unsigned_number_stays_a_number() {
        assert_eq!(encode(&u64::MAX, false), b"18446744073709551615");
    }
}
