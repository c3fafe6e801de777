//! Serializes a map with numbers as keys in formats that only have strings as
//! keys, such as TOML.

use std::collections::BTreeMap;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

/// The form outside TOML.
const FORM: &str = ": write 1=HOST:PORT,2=HOST:PORT";

pub(super) fn serialize<S: Serializer>(
    table: &BTreeMap<u64, String>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(table.iter().map(|(number, value)| (number.to_string(), value)))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<u64, String>, D::Error> {
    let table = BTreeMap::<String, String>::deserialize(deserializer)
        .map_err(|error| D::Error::custom(format!("{}{FORM}", error.to_string().trim_end())))?;
    let number = |(key, value): (String, String)| match key.parse() {
        Ok(number) => Ok((number, value)),
        Err(_) => Err(D::Error::custom(format!("'{key}' is not a member number{FORM}"))),
    };
    table.into_iter().map(number).collect()
}
