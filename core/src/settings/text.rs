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
    Err(Error::invalid(format!("{key}={value}: {problem}")))
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
            value
                if ["digest", "password", "sasl_users", "secret", "token"]
                    .iter()
                    .any(|part| key.contains(part)) =>
            {
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
