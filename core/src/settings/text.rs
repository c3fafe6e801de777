//! Sets one field by its dotted name, for the command line, C and Python, so
//! that a new setting changes no signature.

use toml::{Table, Value};

use super::Settings;
use crate::error::Error;

pub(super) fn with_field(settings: &Settings, key: &str, value: &str) -> Result<Settings, Error> {
    let internal = |error: &dyn std::fmt::Display| Error::internal(format!("settings: {error}"));
    let mut table = Table::try_from(settings).map_err(|error| internal(&error))?;
    let (parents, last) = match key.rsplit_once('.') {
        Some((parents, last)) => (parents.split('.').collect(), last),
        None => (Vec::new(), key),
    };
    let mut place = &mut table;
    for parent in parents {
        place = place
            .get_mut(parent)
            .and_then(Value::as_table_mut)
            .ok_or_else(|| Error::invalid(format!("there is no setting named {key}")))?;
    }
    let candidates = readings(value, place.get(last));
    let mut problem = String::from("invalid value");
    for candidate in candidates {
        place.insert(last.to_owned(), candidate);
        match Settings::deserialize_table(&table) {
            Ok(settings) => return Ok(settings),
            Err(error) => problem = error,
        }
        place = table_at(&mut table, key)?;
    }
    Err(Error::invalid(match is_secret(key) || is_secret(value) {
        // The error may quote the value, which may be a secret.
        true => format!("{key}: invalid value, or no such setting"),
        false => format!("{key}={value}: {problem}"),
    }))
}

/// The possible readings of a text for a setting that is now `now`: TOML first
/// (number, boolean, table). Then, for a table or a list, the forms that users
/// write without looking up the syntax; for anything else the bare text.
fn readings(text: &str, now: Option<&Value>) -> Vec<Value> {
    let mut readings: Vec<Value> = text.parse().into_iter().collect();
    match now {
        Some(Value::Table(_)) => {
            readings.extend(json(text));
            readings.extend(pairs(text, |value| Value::String(value.to_owned())));
            readings.extend(pairs(text, typed));
        }
        Some(Value::Array(_)) => {
            readings.extend(json(text));
            readings.push(items(text, |item| Value::String(item.to_owned())));
            readings.push(items(text, typed));
        }
        _ => {}
    }
    // Last, so that its error is reported: it names the expected type.
    readings.push(Value::String(text.to_owned()));
    readings
}

/// A JSON object or list.
fn json(text: &str) -> Option<Value> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    (value.is_object() || value.is_array()).then(|| Value::try_from(value).ok())?
}

/// `1=HOST:PORT,2=HOST:PORT` as a table.
fn pairs(text: &str, read: impl Fn(&str) -> Value) -> Option<Value> {
    let mut table = Table::new();
    // Spaces around an equals sign do not separate.
    let text = text.split('=').map(str::trim).collect::<Vec<_>>().join("=");
    for part in parts(&text) {
        let (key, value) = part.split_once('=')?;
        let before = table.insert(unquoted(key).to_owned(), read(unquoted(value)));
        if before.is_some() {
            return None;
        }
    }
    (!table.is_empty()).then_some(Value::Table(table))
}

/// `2,3` as a list.
fn items(text: &str, read: impl Fn(&str) -> Value) -> Value {
    Value::Array(parts(text).map(|item| read(unquoted(item))).collect())
}

/// Split at commas, semicolons or line ends; if there are none, at white space.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let marked = text.contains([',', ';', '\n']);
    let separates = move |character: char| match marked {
        true => [',', ';', '\n'].contains(&character),
        false => character.is_whitespace(),
    };
    text.split(separates).map(str::trim).filter(|part| !part.is_empty())
}

fn unquoted(text: &str) -> &str {
    let text = text.trim();
    ['"', '\'']
        .into_iter()
        .find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(text)
}

fn typed(text: &str) -> Value {
    text.parse().unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// Names the place of an error in a configuration file. The line itself is
/// shown only if it cannot contain a secret.
pub(super) fn unreadable(text: &str, error: &toml::de::Error) -> Error {
    let end = error.span().map_or(0, |span| span.end.min(text.len()));
    let start = error.span().map_or(0, |span| span.start.min(end));
    // From the start of its first line to the end of its last one.
    let head = text.get(..start).unwrap_or_default();
    let from = head.rfind('\n').map_or(0, |at| at + 1);
    let until = text.get(end..).and_then(|tail| tail.find('\n')).map_or(text.len(), |at| end + at);
    let lines = text.get(from..until).unwrap_or(text);
    if !is_secret(lines) {
        return Error::invalid(format!("cannot parse the configuration: {error}"));
    }
    let line = head.matches('\n').count() + 1;
    Error::invalid(format!(
        "cannot parse the configuration: line {line} is not a setting with a valid value"
    ))
}

/// Whether the text may name or contain a secret.
fn is_secret(text: &str) -> bool {
    ["digest", "password", "sasl_users", "secret", "token"].iter().any(|part| text.contains(part))
}

/// Shown instead of a secret.
const MASK: &str = "*****";

impl Settings {
    /// All settings in the form of a configuration file, for display: secrets
    /// are masked.
    pub fn shown(&self) -> String {
        let mut table = Table::try_from(self).unwrap_or_default();
        mask(&mut table);
        table.to_string()
    }

    /// All settings by dotted name, for display: secrets are masked.
    pub fn named(&self) -> Vec<(String, String)> {
        let mut table = Table::try_from(self).unwrap_or_default();
        mask(&mut table);
        let mut named = Vec::new();
        flatten("", &table, &mut named);
        named
    }
}

fn mask(table: &mut Table) {
    for (key, value) in table {
        match value {
            Value::Table(inner) => mask(inner),
            // The file that contains a secret may be shown.
            value if is_secret(key) && !key.ends_with("_file") => {
                *value = Value::from(MASK);
            }
            _ => {}
        }
    }
}

fn flatten(prefix: &str, table: &Table, named: &mut Vec<(String, String)>) {
    for (key, value) in table {
        match value {
            Value::Table(inner) => flatten(&format!("{prefix}{key}."), inner, named),
            Value::String(text) => named.push((format!("{prefix}{key}"), text.clone())),
            other => named.push((format!("{prefix}{key}"), other.to_string())),
        }
    }
}

fn table_at<'a>(table: &'a mut Table, key: &str) -> Result<&'a mut Table, Error> {
    let mut place = table;
    let Some((parents, _)) = key.rsplit_once('.') else { return Ok(place) };
    for parent in parents.split('.') {
        place = place
            .get_mut(parent)
            .and_then(Value::as_table_mut)
            .ok_or_else(|| Error::invalid(format!("there is no setting named {key}")))?;
    }
    Ok(place)
}

impl Settings {
    fn deserialize_table(table: &Table) -> Result<Self, String> {
        table.clone().try_into().map_err(|error: toml::de::Error| error.message().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: [(u64, &str); 3] = [(1, "a:7001"), (2, "b:7001"), (3, "[::1]:7001")];

    fn members(text: &str) -> Result<Vec<(u64, String)>, Error> {
        let mut settings = Settings::default();
        settings.set("members", text)?;
        Ok(settings.members.into_iter().collect())
    }

    #[test]
    fn members_are_read_in_the_forms_that_people_write() {
        let expected = THREE.map(|(member, address)| (member, address.to_owned()));
        for text in [
            "{1='a:7001', 2='b:7001', 3='[::1]:7001'}",
            "1=a:7001,2=b:7001,3=[::1]:7001",
            " 1 = a:7001, 2 = b:7001,",
            "3=[::1]:7001; 2=b:7001; 1=a:7001",
            "1=a:7001 2=b:7001 3=[::1]:7001",
            "1 = a:7001",
            "1=a:7001\n2=b:7001\n3=[::1]:7001\n",
            "1='a:7001',2=\"b:7001\",3='[::1]:7001'",
            r#"{"1": "a:7001", "2": "b:7001", "3": "[::1]:7001"}"#,
        ] {
            let read = members(text).unwrap();
            assert_eq!(read, expected[..read.len()], "{text}");
            assert!(!read.is_empty(), "{text}");
        }
    }

    #[test]
    fn members_that_cannot_be_read_are_refused_with_their_name() {
        for text in ["a:7001,b:7001", "1", "one=a:7001", "1=a:7001,1=b:7001", "1=a:1,b:2", "-1=a:1"]
        {
            let refused = members(text).unwrap_err().to_string();
            assert!(refused.contains("members") && refused.contains("1=HOST:PORT"), "{refused}");
        }
    }

    #[test]
    fn lists_and_tables_are_read_from_plain_text_whatever_they_hold() {
        let mut settings = Settings::default();
        for text in ["2,3", "2 3", "[2, 3]", "2;3"] {
            settings.observers.clear();
            settings.set("observers", text).expect(text);
            assert_eq!(settings.observers, [2, 3].into(), "{text}");
        }
        settings.set("dns.recursors", "10.0.0.1,10.0.0.2").unwrap();
        assert_eq!(settings.dns.recursors, ["10.0.0.1", "10.0.0.2"]);
        settings.set("dns.recursors", "10.0.0.3").unwrap();
        assert_eq!(settings.dns.recursors, ["10.0.0.3"]);
        settings.set("dns.service_ttl_s", "web=5,*=1").unwrap();
        assert_eq!(settings.dns.service_ttl_s.get("web"), Some(&5));
        settings.set("observers", "two").unwrap_err();
    }

    #[test]
    fn a_secret_inside_a_table_is_not_told_when_it_is_refused() {
        let mut settings = Settings::default();
        for text in ["{secret='hush', no=1}", "secret=hush,no=1"] {
            let refused = settings.set("peers", text).unwrap_err().chain();
            assert!(!refused.contains("hush"), "{refused}");
        }
    }

    #[test]
    fn settings_are_shown_without_their_secrets() {
        let mut settings = Settings::default();
        settings.set("auth.super_digest", "super:hash").expect("a known setting");
        settings.members.insert(7, "host:1".to_owned());
        let shown = settings.shown();
        assert!(shown.contains("tick_ms = 2000") && !shown.contains("hash"), "{shown}");
        let named = settings.named();
        let value =
            |name: &str| named.iter().find(|(key, _)| key == name).map(|(_, value)| &**value);
        assert_eq!(value("session.tick_ms"), Some("2000"));
        assert_eq!(value("members.7"), Some("host:1"));
        assert_eq!(value("auth.super_digest"), Some(MASK));
    }
}
