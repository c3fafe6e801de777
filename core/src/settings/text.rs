//! Setting one field by its dotted name, for the command line, C and Python:
//! a new knob changes no signature.

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
    // Try the value as TOML (number, boolean, table) first, then as bare text.
    let candidates = [value.parse::<Value>().ok(), Some(Value::String(value.to_owned()))];
    let mut problem = String::new();
    for candidate in candidates.into_iter().flatten() {
        place.insert(last.to_owned(), candidate);
        match Settings::deserialize_table(&table) {
            Ok(settings) => return Ok(settings),
            Err(error) => problem = error,
        }
        place = table_at(&mut table, key)?;
    }
    Err(Error::invalid(match is_secret(key) {
        // What does not fit may be quoted in what is said of it.
        true => format!("{key}: such a value cannot stand here, or there is no such setting"),
        false => format!("{key}={value}: {problem}"),
    }))
}

/// Says where in a configuration file something is wrong. The line itself is
/// shown only if no secret can be on it.
pub(super) fn unreadable(text: &str, error: &toml::de::Error) -> Error {
    let end = error.span().map_or(0, |span| span.end.min(text.len()));
    let start = error.span().map_or(0, |span| span.start.min(end));
    // From the beginning of its first line to the end of its last one.
    let head = text.get(..start).unwrap_or_default();
    let from = head.rfind('\n').map_or(0, |at| at + 1);
    let until = text.get(end..).and_then(|tail| tail.find('\n')).map_or(text.len(), |at| end + at);
    let lines = text.get(from..until).unwrap_or(text);
    if !is_secret(lines) {
        return Error::invalid(format!("the configuration cannot be read: {error}"));
    }
    let line = head.matches('\n').count() + 1;
    Error::invalid(format!(
        "the configuration cannot be read: what stands in line {line} is not a setting with a \
         value that fits it"
    ))
}

/// Whether it names, or may hold, what must not be shown.
fn is_secret(text: &str) -> bool {
    ["digest", "password", "sasl_users", "secret", "token"].iter().any(|part| text.contains(part))
}

/// What stands instead of a secret.
const MASK: &str = "*****";

impl Settings {
    /// All settings as a configuration file would say them, for people:
    /// secrets are masked.
    pub fn shown(&self) -> String {
        let mut table = Table::try_from(self).unwrap_or_default();
        mask(&mut table);
        table.to_string()
    }

    /// All settings by dotted name, for people: secrets are masked.
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
            // Where a secret is kept may be shown.
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
