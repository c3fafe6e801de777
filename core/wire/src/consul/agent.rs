//! `/v1/agent`: registrations and the agent's description.

use std::collections::BTreeMap;

use coord_state::consul::{NewService, Weights};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::catalog::{self, TaggedAddressRequest, WeightsAnswer};
use super::check::CheckDefinition;
use super::decode::{self, DecodeError, Fields};
use super::dependency::{self, DependencyDefinition};
use super::proxy;

/// A service as `agent/service/register` takes it.
///
/// Also the form in which the agent keeps it on disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceDefinition {
    /// The service's name.
    pub name: String,
    /// Unique on the agent; empty means the name.
    pub id: String,
    /// In the order given.
    pub tags: Vec<String>,
    /// Empty means the node's.
    pub address: String,
    /// By kind.
    pub tagged_addresses: BTreeMap<String, TaggedAddressRequest>,
    /// For clients.
    pub meta: BTreeMap<String, String>,
    /// As given.
    pub port: i64,
    /// DNS weights while passing and warning, if given.
    pub weights: Option<(i64, i64)>,
    /// Whether the catalog's tags win over the agent's.
    pub enable_tag_override: bool,
    /// Kept for whoever registers.
    pub token: String,
    /// `connect-proxy` and so on; usually empty.
    pub kind: String,
    /// JSON text, or empty.
    pub proxy: String,
    /// JSON text, or empty.
    pub connect: String,
    /// A Unix socket, or empty.
    pub socket_path: String,
    /// What it depends on, upstreams of a proxy included, beside what its metadata says.
    pub depends_on: Vec<DependencyDefinition>,
    /// The service beside which it was registered, and with which it goes; or empty.
    pub sidecar_of: String,
    /// The proxy to be registered beside it. On disk that is a service of its own.
    #[serde(skip)]
    pub sidecar: Option<Box<Self>>,
    /// `Check` first, then `Checks`. On disk they are kept on their own.
    #[serde(skip)]
    pub checks: Vec<CheckDefinition>,
}

impl ServiceDefinition {
    /// Reads a body.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        Self::take(decode::parse(body)?)
    }

    fn take(value: Value) -> Result<Self, DecodeError> {
        let mut fields = Fields::of(value, "structs.ServiceDefinition")?;
        let (connect, sidecar) = connect(fields.value("Connect"))?;
        let mut checks = Vec::new();
        if let Some(value) = fields.value("Check") {
            let check = CheckDefinition::take(value)?;
            // An empty one is none, but not one in the list.
            checks.extend((!check.is_empty()).then_some(check));
        }
        for value in fields.values("Checks")?.unwrap_or_default() {
            checks.push(CheckDefinition::take(value)?);
        }
        let weights = catalog::weights(&mut fields)?.map(|w| (w.passing, w.warning));
        let proxy: String = catalog::kept(proxy::take_by_agent(&mut fields)?).into();
        let mut depends_on = dependency::depends_on(&mut fields)?;
        dependency::add_upstreams(&mut depends_on, &proxy);
        let definition = Self {
            name: fields.string("Name")?,
            id: fields.string("ID")?,
            tags: fields.strings("Tags")?.unwrap_or_default(),
            address: fields.string("Address")?,
            tagged_addresses: catalog::tagged_addresses(&mut fields)?,
            meta: fields.string_map("Meta")?.unwrap_or_default(),
            port: fields.integer("Port")?.unwrap_or(0),
            weights,
            enable_tag_override: fields.bool("EnableTagOverride")?,
            token: fields.string("Token")?,
            kind: fields.string("Kind")?,
            proxy,
            connect,
            socket_path: fields.string("SocketPath")?,
            depends_on,
            sidecar_of: String::new(),
            sidecar,
            checks,
        };
        fields.raw("Ports");
        fields.take_scope()?;
        fields.finish()?;
        Ok(definition)
    }

    /// As the catalog takes it.
    pub fn to_catalog(&self) -> NewService {
        let (passing, warning) = self.weights.unwrap_or((1, 1));
        NewService {
            id: self.id.as_str().into(),
            name: self.name.as_str().into(),
            tags: catalog::boxed_list(self.tags.clone()),
            address: self.address.as_str().into(),
            tagged_addresses: self
                .tagged_addresses
                .iter()
                .map(|(kind, tagged)| (kind.as_str().into(), tagged.clone().into()))
                .collect(),
            meta: Some(catalog::boxed_texts(self.meta.clone())),
            port: self.port,
            weights: Weights { passing, warning },
            enable_tag_override: self.enable_tag_override,
            kind: self.kind.as_str().into(),
            socket_path: self.socket_path.as_str().into(),
            proxy: self.proxy.as_str().into(),
            connect: self.connect.as_str().into(),
            depends_on: self.depends_on.iter().map(DependencyDefinition::to_catalog).collect(),
        }
    }
}

/// What is kept of a service's `Connect`, and the proxy it asks for.
fn connect(value: Option<Value>) -> Result<(String, Option<Box<ServiceDefinition>>), DecodeError> {
    let mut fields = Fields::of(value.unwrap_or_default(), "structs.ServiceConnect")?;
    let native = fields.bool("Native")?;
    let sidecar = fields.value("SidecarService").map(ServiceDefinition::take).transpose()?;
    for name in ["Proxy", "PeerMeta"] {
        fields.raw(name);
    }
    fields.finish()?;
    let kept = if native { r#"{"Native":true}"# } else { "" };
    Ok((kept.to_owned(), sidecar.map(Box::new)))
}

/// A service as the agent prints it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AgentServiceAnswer<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    kind: &'a str,
    #[serde(rename = "ID")]
    id: &'a str,
    service: &'a str,
    tags: &'a [String],
    meta: &'a BTreeMap<String, String>,
    port: i64,
    address: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    socket_path: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tagged_addresses: BTreeMap<&'a str, TaggedAnswer<'a>>,
    weights: WeightsAnswer,
    enable_tag_override: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connect: Option<Value>,
    datacenter: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_hash: Option<String>,
    /// Not Consul's.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<&'a str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct TaggedAnswer<'a> {
    address: &'a str,
    port: i64,
}

impl<'a> AgentServiceAnswer<'a> {
    /// `service`, as listed.
    pub fn new(service: &'a ServiceDefinition, datacenter: &'a str) -> Self {
        let (passing, warning) = service.weights.unwrap_or((1, 1));
        Self {
            kind: &service.kind,
            id: &service.id,
            service: &service.name,
            tags: &service.tags,
            meta: &service.meta,
            port: service.port,
            address: &service.address,
            socket_path: &service.socket_path,
            tagged_addresses: service
                .tagged_addresses
                .iter()
                .map(|(kind, tagged)| {
                    let answer = TaggedAnswer { address: &tagged.address, port: tagged.port };
                    (kind.as_str(), answer)
                })
                .collect(),
            weights: Weights { passing, warning }.into(),
            enable_tag_override: service.enable_tag_override,
            proxy: serde_json::from_str(&service.proxy).ok(),
            connect: serde_json::from_str(&service.connect).ok(),
            datacenter,
            content_hash: None,
            refused: None,
        }
    }

    /// The same with why the catalog does not take it, if it does not.
    #[must_use]
    pub fn with_refusal(mut self, refused: Option<&'a str>) -> Self {
        self.refused = refused;
        self
    }

    /// The same with the hash of its content, as a single read prints it.
    #[must_use]
    pub fn with_hash(mut self) -> Self {
        // FNV-1a: stable across versions, and nobody's security rests on it.
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        for byte in super::json::encode(&self, false) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.content_hash = Some(format!("{hash:016x}"));
        self
    }

    /// Sixteen hexadecimal digits that change when the definition does, if
    /// they were asked for.
    pub fn hash(&self) -> Option<&str> {
        self.content_hash.as_deref()
    }
}

/// The body of `check/update`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckUpdate {
    /// The new verdict, as given.
    pub status: String,
    /// What the probe said.
    pub output: String,
}

impl CheckUpdate {
    /// Reads a body.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields::parse(body, "agent.checkUpdate")?;
        let update = Self { status: fields.string("Status")?, output: fields.string("Output")? };
        fields.finish()?;
        Ok(update)
    }
}

/// One member as `agent/members` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct MemberAnswer {
    /// Its name in the catalog.
    pub name: String,
    /// Its address.
    pub addr: String,
    /// Its port.
    pub port: u16,
    /// What it announces.
    pub tags: BTreeMap<&'static str, String>,
    /// 1 alive, 4 failed.
    pub status: u8,
    protocol_min: u8,
    protocol_max: u8,
    protocol_cur: u8,
    delegate_min: u8,
    delegate_max: u8,
    delegate_cur: u8,
}

impl MemberAnswer {
    /// A member with the protocol versions that Consul announces.
    pub fn new(
        name: String,
        addr: String,
        port: u16,
        tags: BTreeMap<&'static str, String>,
        alive: bool,
    ) -> Self {
        Self {
            name,
            addr,
            port,
            tags,
            status: if alive { 1 } else { 4 },
            protocol_min: 1,
            protocol_max: 5,
            protocol_cur: 2,
            delegate_min: 2,
            delegate_max: 5,
            delegate_cur: 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consul::json;

    #[test]
    fn a_service_is_read_in_any_spelling_and_printed_in_consuls_order() {
        let service = ServiceDefinition::parse(
            br#"{"name":"web","id":"web1","tags":["a"],"port":80,"enable_tag_override":true,
                "Weights":null,"check":{"ttl":"10s"},"checks":[{"TTL":"5s"}]}"#,
        )
        .unwrap();
        assert_eq!(service.checks.len(), 2);
        let text = json::encode(&AgentServiceAnswer::new(&service, "dc1"), false);
        assert_eq!(
            String::from_utf8(text).unwrap(),
            r#"{"ID":"web1","Service":"web","Tags":["a"],"Meta":{},"Port":80,"Address":"","Weights":{"Passing":1,"Warning":1},"EnableTagOverride":true,"Datacenter":"dc1"}"#
        );
    }

    #[test]
    fn the_content_hash_changes_with_the_content_only() {
        let hash = |port: i64| {
            let service = ServiceDefinition { port, ..ServiceDefinition::default() };
            AgentServiceAnswer::new(&service, "dc1").with_hash().hash().unwrap().to_owned()
        };
        assert_eq!(hash(1), hash(1));
        assert_ne!(hash(1), hash(2));
        assert_eq!(hash(1).len(), 16);
    }

    #[test]
    fn a_service_with_an_unknown_field_is_refused() {
        let error = ServiceDefinition::parse(br#"{"Name":"x","bogus":1}"#).unwrap_err();
        assert_eq!(error.to_string(), "json: unknown field \"bogus\"");
    }
}
