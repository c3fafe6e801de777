//! `/v1/config`: config entries as sent, stored and printed.
//!
//! No mesh acts on them, so their content is not validated: kinds and fields
//! differ between versions of Consul.

use coord_state::consul::{ConfigEntry, NewConfigEntry};
use serde::Serialize;
use serde_json::{Map, Value};

use super::decode::{DecodeError, Fields};
use super::spelling::canonical;

/// Every kind of config entry there is, in any version.
const KINDS: &[&str] = &[
    "service-defaults",
    "proxy-defaults",
    "service-router",
    "service-splitter",
    "service-resolver",
    "service-intentions",
    "ingress-gateway",
    "terminating-gateway",
    "mesh",
    "exported-services",
    "api-gateway",
    "http-route",
    "tcp-route",
    "bound-api-gateway",
    "inline-certificate",
    "file-system-certificate",
    "sameness-group",
    "control-plane-request-limit",
    "jwt-provider",
];

/// Whether there are config entries of that kind.
pub fn is_kind(kind: &str) -> bool {
    KINDS.contains(&kind)
}

/// Reads the body of `/v1/config`.
///
/// # Errors
/// [`DecodeError`] if it is no config entry.
pub fn config_entry(body: &[u8]) -> Result<NewConfigEntry, DecodeError> {
    let mut fields = Fields::parse(body, "map[string]interface {}")?;
    fields.take_scope()?;
    let kind = fields.text("Kind")?.ok_or_else(|| {
        DecodeError::new("Payload does not contain a kind/Kind key at the top level")
    })?;
    if !is_kind(&kind) {
        return Err(DecodeError::new(format!("invalid config entry kind: {kind}")));
    }
    let mut name = fields.string("Name")?;
    // Of these there is one each.
    match kind.as_str() {
        "proxy-defaults" => name = "global".to_owned(),
        "mesh" => name = "mesh".to_owned(),
        _ => {}
    }
    for own in ["CreateIndex", "ModifyIndex", "Hash"] {
        fields.raw(own);
    }
    let mut definition = canonical(fields.rest());
    if matches!(kind.as_str(), "service-defaults" | "proxy-defaults") {
        for part in ["MeshGateway", "Expose"] {
            definition.entry(part).or_insert_with(|| Value::Object(Map::new()));
        }
    }
    if let Some(Value::String(protocol)) = definition.get_mut("Protocol") {
        *protocol = protocol.to_lowercase();
    }
    Ok(NewConfigEntry {
        kind: kind.into(),
        name: name.into(),
        definition: Value::Object(definition).to_string().into(),
    })
}

/// A config entry as printed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ConfigEntryAnswer<'a> {
    kind: &'a str,
    name: &'a str,
    #[serde(flatten)]
    definition: Map<String, Value>,
    create_index: u64,
    modify_index: u64,
}

impl<'a> From<&'a ConfigEntry> for ConfigEntryAnswer<'a> {
    fn from(entry: &'a ConfigEntry) -> Self {
        Self {
            kind: &entry.kind,
            name: &entry.name,
            definition: serde_json::from_str(&entry.definition).unwrap_or_default(),
            create_index: entry.create_index,
            modify_index: entry.modify_index,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consul::json;

    fn kept(body: &str) -> Result<(String, String, Value), String> {
        let entry = config_entry(body.as_bytes()).map_err(|error| error.to_string())?;
        let definition = serde_json::from_str(&entry.definition).unwrap();
        Ok((entry.kind.into(), entry.name.into(), definition))
    }

    #[test]
    fn a_config_entry_is_spelled_as_consul_spells_it() {
        let (kind, name, definition) = kept(
            r#"{"kind":"service-defaults","name":"web","protocol":"HTTP","external_sni":"x",
                "mesh_gateway":{"mode":"local"},"upstream_config":{"defaults":{"connect_timeout_ms":5}}}"#,
        )
        .unwrap();
        assert_eq!((&*kind, &*name), ("service-defaults", "web"));
        assert_eq!(
            definition,
            serde_json::json!({"Protocol": "http", "ExternalSNI": "x",
                "MeshGateway": {"Mode": "local"}, "Expose": {},
                "UpstreamConfig": {"Defaults": {"ConnectTimeoutMs": 5}}})
        );
    }

    #[test]
    fn of_some_kinds_there_is_one_entry() {
        let name = |body: &str| kept(body).unwrap().1;
        assert_eq!(name(r#"{"Kind":"proxy-defaults"}"#), "global");
        assert_eq!(name(r#"{"Kind":"mesh"}"#), "mesh");
    }

    #[test]
    fn what_is_no_config_entry_is_told() {
        let error = |body: &str| kept(body).unwrap_err();
        assert_eq!(error(""), "EOF");
        assert_eq!(
            error(r#"{"Name":"a"}"#),
            "Payload does not contain a kind/Kind key at the top level"
        );
        assert_eq!(error(r#"{"Kind":"bogus"}"#), "invalid config entry kind: bogus");
        assert!(error(r#"{"Kind":"mesh","Namespace":"x"}"#).contains("Namespace"));
    }

    #[test]
    fn a_config_entry_is_printed_with_its_indexes() {
        let entry = ConfigEntry {
            kind: "service-defaults".into(),
            name: "web".into(),
            definition: r#"{"Protocol":"http"}"#.into(),
            create_index: 3,
            modify_index: 4,
        };
        assert_eq!(
            String::from_utf8(json::encode(&ConfigEntryAnswer::from(&entry), false)).unwrap(),
            r#"{"Kind":"service-defaults","Name":"web","Protocol":"http","CreateIndex":3,"ModifyIndex":4}"#
        );
    }
}
