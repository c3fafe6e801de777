//! `/v1/health`: checks as printed and as registered.

use std::collections::BTreeMap;
use std::sync::Arc;

use coord_state::consul::{CheckStatus, HealthCheck, NewCheck, TakenInstance};
use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::catalog::{NodeAnswer, NodeServiceAnswer, complete_check};
use super::decode::{DecodeError, Fields};
use super::duration;

/// A check as printed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CheckAnswer<'a> {
    /// The node it is on.
    pub node: &'a str,
    /// Unique on the node.
    #[serde(rename = "CheckID")]
    pub id: &'a str,
    /// For people.
    pub name: &'a str,
    /// The verdict.
    pub status: &'static str,
    /// For people.
    pub notes: &'a str,
    /// What the probe last said.
    pub output: &'a str,
    /// The service it belongs to, or empty.
    #[serde(rename = "ServiceID")]
    pub service_id: &'a str,
    /// That service's name, or empty.
    pub service_name: &'a str,
    /// That service's tags.
    pub service_tags: Option<&'a [Box<str>]>,
    /// `ttl`, `http`, …, or empty.
    #[serde(rename = "Type")]
    pub kind: &'a str,
    /// A Go duration or empty.
    pub interval: &'a str,
    /// A Go duration or empty.
    pub timeout: &'a str,
    /// Always 0.
    pub exposed_port: u16,
    /// Of an external check; the agent's own checks have an empty one.
    pub definition: DefinitionAnswer<'a>,
    /// Revision of creation; 0 as the agent prints it.
    pub create_index: u64,
    /// Revision of the last change; 0 as the agent prints it.
    pub modify_index: u64,
}

impl<'a> CheckAnswer<'a> {
    /// As a transaction prints it: no tags are null.
    pub fn in_txn(check: &'a HealthCheck) -> Self {
        let service_tags = (!check.service_tags.is_empty()).then_some(&check.service_tags[..]);
        Self { service_tags, ..Self::from(check) }
    }
}

impl<'a> From<&'a HealthCheck> for CheckAnswer<'a> {
    fn from(check: &'a HealthCheck) -> Self {
        Self {
            node: &check.node,
            id: &check.id,
            name: &check.name,
            status: check.status.as_str(),
            notes: &check.notes,
            output: &check.output,
            service_id: &check.service_id,
            service_name: &check.service_name,
            service_tags: Some(&check.service_tags),
            kind: &check.kind,
            interval: &check.interval,
            timeout: &check.timeout,
            exposed_port: 0,
            definition: DefinitionAnswer(&check.definition),
            create_index: check.create_index,
            modify_index: check.modify_index,
        }
    }
}

/// An instance with its node and the checks that decide about it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct InstanceAnswer<'a> {
    node: NodeAnswer<'a>,
    service: NodeServiceAnswer<'a>,
    checks: ChecksAnswer<'a>,
}

impl<'a> InstanceAnswer<'a> {
    /// `instance`, in `datacenter` unless its node names another.
    pub fn new(instance: &'a TakenInstance, datacenter: &'a str) -> Self {
        Self {
            node: NodeAnswer::new(&instance.node, datacenter),
            service: (&*instance.service).into(),
            checks: ChecksAnswer(&instance.checks),
        }
    }
}

/// The checks of an instance, each made when it is printed.
#[derive(Debug)]
struct ChecksAnswer<'a>(&'a [Arc<HealthCheck>]);

impl Serialize for ChecksAnswer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|check| CheckAnswer::from(&**check)))
    }
}

/// A definition in the form that the state machine keeps. Read only when it is
/// printed, and not at all if there is none, as is usual.
#[derive(Debug, Clone, Copy, Default)]
pub struct DefinitionAnswer<'a>(&'a str);

impl Serialize for DefinitionAnswer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_empty() {
            return serializer.serialize_struct("ExternalDefinition", 0)?.end();
        }
        let kept: ExternalDefinition = serde_json::from_str(self.0).unwrap_or_default();
        kept.serialize(serializer)
    }
}

/// How an external monitor is to run a check. The catalog keeps it and gives
/// it back; nobody here runs it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ExternalDefinition {
    #[serde(skip_serializing_if = "String::is_empty")]
    interval: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    timeout: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    deregister_critical_service_after: String,
    #[serde(rename = "HTTP", skip_serializing_if = "String::is_empty")]
    http: String,
    #[serde(rename = "TLSServerName", skip_serializing_if = "String::is_empty")]
    tls_server_name: String,
    #[serde(rename = "TLSSkipVerify", skip_serializing_if = "std::ops::Not::not")]
    tls_skip_verify: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    header: BTreeMap<String, Vec<String>>,
    #[serde(skip_serializing_if = "String::is_empty")]
    method: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    body: String,
    #[serde(rename = "TCP", skip_serializing_if = "String::is_empty")]
    tcp: String,
    #[serde(rename = "UDP", skip_serializing_if = "String::is_empty")]
    udp: String,
    #[serde(rename = "GRPC", skip_serializing_if = "String::is_empty")]
    grpc: String,
    #[serde(rename = "GRPCUseTLS", skip_serializing_if = "std::ops::Not::not")]
    grpc_use_tls: bool,
    #[serde(rename = "OSService", skip_serializing_if = "String::is_empty")]
    os_service: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    script_args: Vec<String>,
    #[serde(rename = "DockerContainerID", skip_serializing_if = "String::is_empty")]
    docker_container_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    shell: String,
    #[serde(rename = "H2PING", skip_serializing_if = "String::is_empty")]
    h2ping: String,
    #[serde(rename = "TTL", skip_serializing_if = "String::is_empty")]
    ttl: String,
}

impl ExternalDefinition {
    fn take(value: Value) -> Result<Self, DecodeError> {
        let mut fields = Fields::of(value, "structs.HealthCheckDefinition")?;
        let time = |fields: &mut Fields, name: &str| {
            // Both spellings exist on the wire: a text, or nanoseconds.
            let long = fields.duration(&format!("{name}Duration"))?;
            let short = fields.duration(name)?;
            let amount = if short == 0 { long } else { short };
            Ok(if amount == 0 { String::new() } else { duration::format(amount) })
        };
        let definition = Self {
            interval: time(&mut fields, "Interval")?,
            timeout: time(&mut fields, "Timeout")?,
            deregister_critical_service_after: time(&mut fields, "DeregisterCriticalServiceAfter")?,
            http: fields.string("HTTP")?,
            tls_server_name: fields.string("TLSServerName")?,
            tls_skip_verify: fields.bool("TLSSkipVerify")?,
            header: super::check::header(&mut fields)?,
            method: fields.string("Method")?,
            body: fields.string("Body")?,
            tcp: fields.string("TCP")?,
            udp: fields.string("UDP")?,
            grpc: fields.string("GRPC")?,
            grpc_use_tls: fields.bool("GRPCUseTLS")?,
            os_service: fields.string("OSService")?,
            script_args: fields.strings("ScriptArgs")?.unwrap_or_default(),
            docker_container_id: fields.string("DockerContainerID")?,
            shell: fields.string("Shell")?,
            h2ping: fields.string("H2PING")?,
            ttl: time(&mut fields, "TTL")?,
        };
        // Newer switches of external monitors that this catalog does not print.
        for name in [
            "H2PingUseTLS",
            "TCPUseTLS",
            "OutputMaxSize",
            "AliasNode",
            "AliasService",
            "DisableRedirects",
            "SessionName",
        ] {
            fields.raw(name);
        }
        fields.finish()?;
        Ok(definition)
    }

    /// The form the state machine keeps.
    fn stored(&self) -> Box<str> {
        if *self == Self::default() {
            return Box::default();
        }
        serde_json::to_string(self).unwrap_or_default().into()
    }
}

/// Reads a check as the catalog takes it; with the node it says it is on.
///
/// # Errors
/// [`DecodeError`].
pub fn catalog_check(value: Value) -> Result<(String, NewCheck), DecodeError> {
    let (node, check, _) = check(value)?;
    Ok((node, check))
}

/// Reads a check as transactions take it: its node, itself, its modify index.
///
/// # Errors
/// [`DecodeError`].
pub fn check(value: Value) -> Result<(String, NewCheck, u64), DecodeError> {
    let mut fields = Fields::of(value, "structs.HealthCheck")?;
    let node = fields.string("Node")?;
    let status = fields.string("Status")?;
    let mut check = NewCheck {
        id: fields.string("CheckID")?.into(),
        name: fields.string("Name")?.into(),
        // What the catalog cannot name it does not call healthy.
        status: CheckStatus::from_name(&status).unwrap_or_default(),
        notes: fields.string("Notes")?.into(),
        output: fields.string("Output")?.into(),
        service_id: fields.string("ServiceID")?.into(),
        kind: fields.string("Type")?.into(),
        interval: text_or_duration(&mut fields, "Interval")?.into(),
        timeout: text_or_duration(&mut fields, "Timeout")?.into(),
        definition: fields
            .value("Definition")
            .map(ExternalDefinition::take)
            .transpose()?
            .unwrap_or_default()
            .stored(),
    };
    let alias = fields.string("ID")?;
    if check.id.is_empty() {
        check.id = alias.into();
    }
    complete_check(&mut check);
    let modify_index = fields.unsigned("ModifyIndex")?;
    for name in ["ServiceName", "ServiceTags", "CreateIndex", "ExposedPort"] {
        fields.raw(name);
    }
    fields.take_scope()?;
    fields.finish()?;
    Ok((node, check, modify_index))
}

fn text_or_duration(fields: &mut Fields, name: &str) -> Result<String, DecodeError> {
    let amount = fields.duration(name)?;
    Ok(if amount == 0 { String::new() } else { duration::format(amount) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consul::json;

    #[test]
    fn an_external_definition_is_given_back_with_go_durations_first() {
        let (node, check, _) = check(serde_json::json!({
            "Name": "db", "Node": "ext",
            "Definition": {"TCP": "1.2.3.4:5432", "Interval": "5s", "timeout": "1s",
                "DeregisterCriticalServiceAfter": 90_000_000_000_u64}
        }))
        .unwrap();
        assert_eq!((&*node, &*check.id, &*check.name), ("ext", "db", "db"));
        let kept: ExternalDefinition = serde_json::from_str(&check.definition).unwrap();
        assert_eq!(
            String::from_utf8(json::encode(&kept, false)).unwrap(),
            r#"{"Interval":"5s","Timeout":"1s","DeregisterCriticalServiceAfter":"1m30s","TCP":"1.2.3.4:5432"}"#
        );
    }

    #[test]
    fn a_check_without_a_definition_prints_an_empty_one() {
        let check = HealthCheck {
            node: "n".into(),
            id: "c".into(),
            name: "C".into(),
            status: CheckStatus::Passing,
            notes: "".into(),
            output: "".into(),
            service_id: "".into(),
            service_name: "".into(),
            service_tags: Vec::new(),
            kind: "ttl".into(),
            interval: "".into(),
            timeout: "".into(),
            definition: "".into(),
            create_index: 3,
            modify_index: 4,
        };
        assert_eq!(
            String::from_utf8(json::encode(&CheckAnswer::from(&check), false)).unwrap(),
            r#"{"Node":"n","CheckID":"c","Name":"C","Status":"passing","Notes":"","Output":"","ServiceID":"","ServiceName":"","ServiceTags":[],"Type":"ttl","Interval":"","Timeout":"","ExposedPort":0,"Definition":{},"CreateIndex":3,"ModifyIndex":4}"#
        );
    }
}
