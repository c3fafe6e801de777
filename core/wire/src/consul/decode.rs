//! Decodes request bodies like Go's `encoding/json`.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize as _;
use serde_json::{Map, Value};

use super::{duration, lenient};

/// Why a body was not understood: Go's sentence, without a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError(String);

impl DecodeError {
    /// An error with this sentence.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }

    fn wrong_type(value: &Value, field: &str, go_type: &str) -> Self {
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let place = if field.is_empty() {
            format!("Go value of type {go_type}")
        } else {
            format!("Go struct field .{field} of type {go_type}")
        };
        Self(format!("json: cannot unmarshal {kind} into {place}"))
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for DecodeError {}

/// Parses the first JSON value of a body. Empty is `EOF`.
///
/// As Go's decoder does it: bytes that are not UTF-8 and halves of surrogate pairs
/// become U+FFFD, and what follows the value is not looked at.
///
/// # Errors
/// [`DecodeError`] if it does not begin with a JSON value.
pub fn parse(body: &[u8]) -> Result<Value, DecodeError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(DecodeError::new("EOF"));
    }
    let text = lenient::text(body);
    let body = text.as_bytes();
    let mut first = serde_json::Deserializer::from_str(&text);
    Value::deserialize(&mut first).map_err(|error| {
        if error.is_eof() {
            return DecodeError::new("unexpected EOF");
        }
        // What stands at the error is what Go would complain about.
        let line = body.split(|byte| *byte == b'\n').nth(error.line().saturating_sub(1));
        let found = line.and_then(|line| line.get(error.column().saturating_sub(1))).copied();
        let found = char::from(found.unwrap_or(b' '));
        DecodeError::new(format!("invalid character {found:?} looking for beginning of value"))
    })
}

/// The list in `value`; null is empty.
///
/// # Errors
/// [`DecodeError`] if it is something else.
pub fn list(value: Value, go_type: &str) -> Result<Vec<Value>, DecodeError> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) => Ok(items),
        other => Err(DecodeError::wrong_type(&other, "", go_type)),
    }
}

/// The fields of one JSON object, taken one by one.
///
/// A name matches whatever its case and whatever underscores it has, so
/// `EnableTagOverride`, `enabletagoverride` and `enable_tag_override` are one
/// field. Null is as good as absent.
#[derive(Debug)]
pub struct Fields {
    rest: Map<String, Value>,
}

impl Fields {
    /// The fields of `value`; null has none.
    ///
    /// # Errors
    /// [`DecodeError`] if it is not an object.
    pub fn of(value: Value, go_type: &str) -> Result<Self, DecodeError> {
        match value {
            Value::Null => Ok(Self { rest: Map::new() }),
            Value::Object(rest) => Ok(Self { rest }),
            other => Err(DecodeError::wrong_type(&other, "", go_type)),
        }
    }

    /// Parses `body` and takes its fields.
    ///
    /// # Errors
    /// [`DecodeError`] if it is not an object.
    pub fn parse(body: &[u8], go_type: &str) -> Result<Self, DecodeError> {
        Self::of(parse(body)?, go_type)
    }

    /// Whether the field is there and not null.
    pub fn has(&self, name: &str) -> bool {
        self.rest.iter().any(|(key, value)| same_name(key, name) && !value.is_null())
    }

    /// The field as it stands, if it is there. Null counts as there.
    pub fn raw(&mut self, name: &str) -> Option<Value> {
        let mut found = None;
        while let Some(key) = self.rest.keys().find(|key| same_name(key, name)).cloned() {
            // With two spellings of one field, one that says something wins.
            if let Some(value) = self.rest.remove(&key)
                && (found.is_none() || !value.is_null())
            {
                found = Some(value);
            }
        }
        found
    }

    /// The field, unless it is absent or null.
    pub fn value(&mut self, name: &str) -> Option<Value> {
        self.raw(name).filter(|value| !value.is_null())
    }

    /// A text, if given.
    ///
    /// # Errors
    /// [`DecodeError`] if it is not a text.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, DecodeError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(DecodeError::wrong_type(&other, name, "string")),
        }
    }

    /// A text, empty if absent.
    ///
    /// # Errors
    /// [`DecodeError`] if it is not a text.
    pub fn string(&mut self, name: &str) -> Result<String, DecodeError> {
        Ok(self.text(name)?.unwrap_or_default())
    }

    /// A boolean, false if absent.
    ///
    /// # Errors
    /// [`DecodeError`] if it is not a boolean.
    pub fn bool(&mut self, name: &str) -> Result<bool, DecodeError> {
        match self.value(name) {
            None => Ok(false),
            Some(Value::Bool(value)) => Ok(value),
            Some(other) => Err(DecodeError::wrong_type(&other, name, "bool")),
        }
    }

    /// A whole number, if given.
    ///
    /// # Errors
    /// [`DecodeError`] if it is not one.
    pub fn integer(&mut self, name: &str) -> Result<Option<i64>, DecodeError> {
        match self.value(name) {
            None => Ok(None),
            Some(value) => match value.as_i64() {
                Some(number) => Ok(Some(number)),
                None => Err(DecodeError::wrong_type(&value, name, "int")),
            },
        }
    }

    /// A whole number not below zero, 0 if absent.
    ///
    /// # Errors
    /// [`DecodeError`] if it is not one.
    pub fn unsigned(&mut self, name: &str) -> Result<u64, DecodeError> {
        match self.value(name) {
            None => Ok(0),
            Some(value) => match value.as_u64() {
                Some(number) => Ok(number),
                None => Err(DecodeError::wrong_type(&value, name, "uint64")),
            },
        }
    }

    /// A list of texts, if given.
    ///
    /// # Errors
    /// [`DecodeError`] if it is something else.
    pub fn strings(&mut self, name: &str) -> Result<Option<Vec<String>>, DecodeError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Array(items)) => items
                .into_iter()
                .map(|item| match item {
                    Value::String(text) => Ok(text),
                    Value::Null => Ok(String::new()),
                    other => Err(DecodeError::wrong_type(&other, name, "string")),
                })
                .collect::<Result<_, _>>()
                .map(Some),
            Some(other) => Err(DecodeError::wrong_type(&other, name, "[]string")),
        }
    }

    /// Texts by name, if given.
    ///
    /// # Errors
    /// [`DecodeError`] if it is something else.
    pub fn string_map(
        &mut self,
        name: &str,
    ) -> Result<Option<BTreeMap<String, String>>, DecodeError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Object(map)) => map
                .into_iter()
                .map(|(key, value)| match value {
                    Value::String(text) => Ok((key, text)),
                    Value::Null => Ok((key, String::new())),
                    other => Err(DecodeError::wrong_type(&other, name, "string")),
                })
                .collect::<Result<_, _>>()
                .map(Some),
            Some(other) => Err(DecodeError::wrong_type(&other, name, "map[string]string")),
        }
    }

    /// A list of values, if given.
    ///
    /// # Errors
    /// [`DecodeError`] if it is not a list.
    pub fn values(&mut self, name: &str) -> Result<Option<Vec<Value>>, DecodeError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(other) => Err(DecodeError::wrong_type(&other, name, "[]interface {}")),
        }
    }

    /// An object by name, in order, if given.
    ///
    /// # Errors
    /// [`DecodeError`] if it is something else.
    pub fn object(&mut self, name: &str) -> Result<Option<Map<String, Value>>, DecodeError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map)),
            Some(other) => Err(DecodeError::wrong_type(&other, name, "map")),
        }
    }

    /// A duration in nanoseconds: a Go duration, or a number of nanoseconds; 0 if absent.
    ///
    /// # Errors
    /// [`DecodeError`] if it is neither.
    pub fn duration(&mut self, name: &str) -> Result<i64, DecodeError> {
        match self.value(name) {
            None => Ok(0),
            Some(Value::String(text)) if text.is_empty() => Ok(0),
            Some(Value::String(text)) => duration::parse(&text).map_err(DecodeError::new),
            Some(value) => match value.as_i64() {
                Some(number) => Ok(number),
                None => Err(DecodeError::wrong_type(&value, name, "time.Duration")),
            },
        }
    }

    /// Takes what stands for tokens, and the divisions of Consul Enterprise and of
    /// newer versions. There is one of each here: whoever names another is told so,
    /// because what it asks for would happen where it did not mean it to.
    ///
    /// # Errors
    /// [`DecodeError`] if another namespace, partition, peer or sameness group is
    /// named than the one there is.
    pub fn take_scope(&mut self) -> Result<(), DecodeError> {
        for name in ["WriteRequest", "EnterpriseMeta", "Locality"] {
            self.raw(name);
        }
        for (name, why) in [
            ("Namespace", "Namespaces are a Consul Enterprise feature"),
            ("Partition", "Partitions are a Consul Enterprise feature"),
            ("SamenessGroup", "Sameness groups are a Consul Enterprise feature"),
            ("PeerName", "cluster peering is not supported"),
            ("Peer", "cluster peering is not supported"),
        ] {
            let is_the_only_one = match self.value(name) {
                None => true,
                Some(Value::String(text)) => text.is_empty() || text == "default",
                Some(_) => false,
            };
            if !is_the_only_one {
                return Err(DecodeError::new(format!("json: unknown field {name:?} - {why}")));
            }
        }
        Ok(())
    }

    /// What nobody took, as it was given.
    pub fn rest(self) -> Map<String, Value> {
        self.rest
    }

    /// Refuses what nobody took.
    ///
    /// # Errors
    /// [`DecodeError`] naming the first field left.
    pub fn finish(self) -> Result<(), DecodeError> {
        match self.rest.keys().next() {
            None => Ok(()),
            Some(name) => Err(DecodeError::new(format!("json: unknown field {name:?}"))),
        }
    }
}

fn same_name(given: &str, name: &str) -> bool {
    let plain = |text: &str| {
        text.chars().filter(|c| *c != '_').map(|c| c.to_ascii_lowercase()).collect::<String>()
    };
    given.eq_ignore_ascii_case(name) || plain(given) == plain(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Fields {
        Fields::parse(text.as_bytes(), "T").unwrap()
    }

    #[test]
    fn names_match_in_any_case_and_in_snake_case() {
        for text in [
            r#"{"EnableTagOverride":true}"#,
            r#"{"enabletagoverride":true}"#,
            r#"{"enable_tag_override":true}"#,
        ] {
            let mut fields = fields(text);
            assert_eq!(fields.bool("EnableTagOverride"), Ok(true), "{text}");
            assert_eq!(fields.finish(), Ok(()));
        }
    }

    #[test]
    fn null_is_as_good_as_absent() {
        let mut fields = fields(r#"{"Port":null,"Tags":null}"#);
        assert_eq!(fields.integer("Port"), Ok(None));
        assert_eq!(fields.strings("Tags"), Ok(None));
    }

    #[test]
    fn an_unknown_field_is_named() {
        let mut fields = fields(r#"{"Name":"x","bogus":1}"#);
        fields.string("Name").unwrap();
        assert_eq!(fields.finish().unwrap_err().to_string(), "json: unknown field \"bogus\"");
    }

    #[test]
    fn a_wrong_type_names_field_and_go_type() {
        let error = fields(r#"{"Port":"80"}"#).integer("Port").unwrap_err();
        assert_eq!(
            error.to_string(),
            "json: cannot unmarshal string into Go struct field .Port of type int"
        );
        let error = Fields::parse(b"[]", "api.AgentService").unwrap_err();
        assert_eq!(
            error.to_string(),
            "json: cannot unmarshal array into Go value of type api.AgentService"
        );
    }

    #[test]
    fn an_empty_body_is_eof() {
        assert_eq!(parse(b"").unwrap_err().to_string(), "EOF");
        assert_eq!(parse(b"{").unwrap_err().to_string(), "unexpected EOF");
        assert_eq!(
            parse(b"xyz").unwrap_err().to_string(),
            "invalid character 'x' looking for beginning of value"
        );
    }

    #[test]
    fn text_that_is_not_unicode_is_replaced_and_what_follows_the_value_is_ignored() {
        for (body, output) in [
            (&b"{\"A\":\"caf\xe9\"}"[..], "caf\u{fffd}"),
            (b"{\"A\":\"x\xf0\x9f\"}", "x\u{fffd}\u{fffd}"),
            (br#"{"A":"x\ud83d"}"#, "x\u{fffd}"),
            (br#"{"A":"x"} and more"#, "x"),
            (b"{\"A\":\"x\"}\n{\"A\":\"y\"}", "x"),
            (b"{\"A\":\"x\"}\xff", "x"),
        ] {
            let mut fields = Fields::parse(body, "T").unwrap();
            assert_eq!(fields.string("A").as_deref(), Ok(output), "{body:?}");
        }
    }

    #[test]
    fn another_namespace_than_the_default_one_is_refused() {
        for (body, refused) in [
            (r#"{"Namespace":"team-a"}"#, Some("Namespace")),
            (r#"{"namespace":"team-a"}"#, Some("Namespace")),
            (r#"{"Partition":"p"}"#, Some("Partition")),
            (r#"{"PeerName":"p"}"#, Some("PeerName")),
            (r#"{"Namespace":"","Partition":"default","PeerName":null}"#, None),
        ] {
            let refusal = fields(body).take_scope().err().map(|error| error.to_string());
            let named = refusal.as_deref().map(|text| text.split('"').nth(1).unwrap());
            assert_eq!(named, refused, "{body}");
        }
    }

    #[test]
    fn a_duration_is_a_text_or_nanoseconds() {
        let mut fields = fields(r#"{"A":"1m30s","B":5000000000,"C":"","D":"x"}"#);
        assert_eq!(fields.duration("A"), Ok(90 * duration::SECOND));
        assert_eq!(fields.duration("B"), Ok(5 * duration::SECOND));
        assert_eq!(fields.duration("C"), Ok(0));
        assert!(fields.duration("D").is_err());
    }

    #[test]
    fn of_two_spellings_the_one_that_says_something_wins() {
        let mut fields = fields(r#"{"ServiceID":"a","service_id":null}"#);
        assert_eq!(fields.string("ServiceID"), Ok("a".to_owned()));
        assert_eq!(fields.finish(), Ok(()));
    }
}
