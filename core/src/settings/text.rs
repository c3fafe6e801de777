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
