//! JSON as Go writes it.

use std::io;

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};

/// The bytes of `value`: compact without a trailing newline, or `pretty` with
/// four blanks per level and a newline at the end.
pub fn encode<T: Serialize + ?Sized>(value: &T, pretty: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    // Writing to memory cannot fail, and every type here has text keys.
    let written = if pretty {
        let formatter = HtmlSafe(PrettyFormatter::with_indent(b"    "));
        value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, formatter))
    } else {
        let formatter = HtmlSafe(CompactFormatter);
        value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, formatter))
    };
    if written.is_err() {
        return b"null".to_vec();
    }
    if pretty {
        out.push(b'\n');
    }
    out
}

/// Writes `<`, `>`, `&` and the two Unicode line separators as escapes, so that
/// an answer shown by a browser stays text.
struct HtmlSafe<F>(F);

impl<F: Formatter> Formatter for HtmlSafe<F> {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
            let (plain, tail) = rest.split_at(at);
            writer.write_all(plain.as_bytes())?;
            let mut characters = tail.chars();
            if let Some(special) = characters.next() {
                write!(writer, "\\u{:04x}", u32::from(special))?;
            }
            rest = characters.as_str();
        }
        writer.write_all(rest.as_bytes())
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

    #[test]
    fn the_largest_unsigned_number_stays_a_number() {
        assert_eq!(encode(&u64::MAX, false), b"18446744073709551615");
    }
}
