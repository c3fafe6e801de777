//! `/v1/catalog`: nodes and service instances, as printed and as registered.

use std::collections::BTreeMap;

use coord_state::consul::{
    CatalogNode, CatalogService, NewCheck, NewNode, NewService, Registration, TaggedAddress,
    Weights,
};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::decode::{DecodeError, Fields};
use super::dependency::{self, DependencyDefinition};
use super::spelling::canonical;
use super::{health, proxy};

pub(super) type Texts = BTreeMap<Box<str>, Box<str>>;

static NO_TEXTS: Texts = BTreeMap::new();

/// A node as printed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NodeAnswer<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    node: &'a str,
    address: &'a str,
    datacenter: &'a str,
    tagged_addresses: Option<&'a Texts>,
    meta: Option<&'a Texts>,
    create_index: u64,
    modify_index: u64,
}

impl<'a> NodeAnswer<'a> {
    /// `node`, in `datacenter` unless it names another.
    pub fn new(node: &'a CatalogNode, datacenter: &'a str) -> Self {
        Self {
            id: &node.id,
            node: &node.name,
            address: &node.address,
            datacenter: datacenter_of(node, datacenter),
            tagged_addresses: node.tagged_addresses.as_ref(),
            meta: node.meta.as_ref(),
            create_index: node.create_index,
            modify_index: node.modify_index,
        }
    }
}

fn datacenter_of<'a>(node: &'a CatalogNode, default: &'a str) -> &'a str {
    if node.datacenter.is_empty() { default } else { &node.datacenter }
}

/// A service instance with its node's fields beside it, as `catalog/service` prints it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ServiceNodeAnswer<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    node: &'a str,
    address: &'a str,
    datacenter: &'a str,
    tagged_addresses: Option<&'a Texts>,
    node_meta: Option<&'a Texts>,
    service_kind: &'a str,
    #[serde(rename = "ServiceID")]
    service_id: &'a str,
    service_name: &'a str,
    service_tags: &'a [Box<str>],
    service_address: &'a str,
    #[serde(skip_serializing_if = "TaggedAnswers::is_empty")]
    service_tagged_addresses: TaggedAnswers<'a>,
    service_weights: WeightsAnswer,
    service_meta: &'a Texts,
    service_port: i64,
    service_socket_path: &'a str,
    service_enable_tag_override: bool,
    service_proxy: ProxyAnswer<'a>,
    service_connect: ConnectAnswer<'a>,
    create_index: u64,
    modify_index: u64,
}

impl<'a> ServiceNodeAnswer<'a> {
    /// `instance`, in `datacenter` unless its node names another.
    pub fn new(node: &'a CatalogNode, service: &'a CatalogService, datacenter: &'a str) -> Self {
        Self {
            id: &node.id,
            node: &node.name,
            address: &node.address,
            datacenter: datacenter_of(node, datacenter),
            tagged_addresses: node.tagged_addresses.as_ref(),
            node_meta: node.meta.as_ref(),
            service_kind: &service.kind,
            service_id: &service.id,
            service_name: &service.name,
            service_tags: &service.tags,
            service_address: &service.address,
            service_tagged_addresses: TaggedAnswers(&service.tagged_addresses),
            service_weights: service.weights.into(),
            service_meta: service.meta.as_ref().unwrap_or(&NO_TEXTS),
            service_port: service.port,
            service_socket_path: &service.socket_path,
            service_enable_tag_override: service.enable_tag_override,
            service_proxy: ProxyAnswer(&service.proxy),
            service_connect: ConnectAnswer(&service.connect),
            create_index: service.create_index,
            modify_index: service.modify_index,
        }
    }
}

/// A service instance without its node, as `catalog/node` and health print it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NodeServiceAnswer<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    kind: &'a str,
    #[serde(rename = "ID")]
    id: &'a str,
    service: &'a str,
    tags: Option<&'a [Box<str>]>,
    address: &'a str,
    #[serde(skip_serializing_if = "TaggedAnswers::is_empty")]
    tagged_addresses: TaggedAnswers<'a>,
    meta: Option<&'a Texts>,
    port: i64,
    #[serde(skip_serializing_if = "str::is_empty")]
    socket_path: &'a str,
    weights: WeightsAnswer,
    enable_tag_override: bool,
    proxy: ProxyAnswer<'a>,
    connect: ConnectAnswer<'a>,
    create_index: u64,
    modify_index: u64,
}

impl<'a> NodeServiceAnswer<'a> {
    /// As a transaction prints it: no tags are null.
    pub fn in_txn(service: &'a CatalogService) -> Self {
        let tags = (!service.tags.is_empty()).then_some(&service.tags[..]);
        Self { tags, ..Self::from(service) }
    }
}

impl<'a> From<&'a CatalogService> for NodeServiceAnswer<'a> {
    fn from(service: &'a CatalogService) -> Self {
        Self {
            kind: &service.kind,
            id: &service.id,
            service: &service.name,
            tags: Some(&service.tags),
            address: &service.address,
            tagged_addresses: TaggedAnswers(&service.tagged_addresses),
            meta: service.meta.as_ref(),
            port: service.port,
            socket_path: &service.socket_path,
            weights: service.weights.into(),
            enable_tag_override: service.enable_tag_override,
            proxy: ProxyAnswer(&service.proxy),
            connect: ConnectAnswer(&service.connect),
            create_index: service.create_index,
            modify_index: service.modify_index,
        }
    }
}

/// `catalog/node`: a node and its services by id.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NodeWithServices<'a> {
    /// The node.
    pub node: NodeAnswer<'a>,
    /// By service id.
    pub services: BTreeMap<&'a str, NodeServiceAnswer<'a>>,
}

/// `catalog/node-services`: a node and the list of its services, or two nulls.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NodeServiceList<'a> {
    /// The node.
    pub node: Option<NodeAnswer<'a>>,
    /// By service id.
    pub services: Option<Vec<NodeServiceAnswer<'a>>>,
}

/// Addresses by kind; not printed if there are none.
#[derive(Debug, Clone, Copy)]
struct TaggedAnswers<'a>(&'a BTreeMap<Box<str>, TaggedAddress>);

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct TaggedAnswer<'a> {
    address: &'a str,
    port: i64,
}

impl TaggedAnswers<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for TaggedAnswers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(kind, tagged)| {
            (kind, TaggedAnswer { address: &tagged.address, port: tagged.port })
        }))
    }
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WeightsAnswer {
    passing: i64,
    warning: i64,
}

impl From<Weights> for WeightsAnswer {
    fn from(weights: Weights) -> Self {
        Self { passing: weights.passing, warning: weights.warning }
    }
}

/// A proxy's settings as they were given, or Consul's empty ones. Read only
/// when printed, and not at all if nothing was given, as is usual.
#[derive(Debug, Clone, Copy)]
struct ProxyAnswer<'a>(&'a str);

/// The same of a service in the mesh.
#[derive(Debug, Clone, Copy)]
struct ConnectAnswer<'a>(&'a str);

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct NoProxy {
    mesh_gateway: Empty,
    expose: Empty,
}

#[derive(Debug, Default, Serialize)]
struct Empty {}

impl Serialize for ProxyAnswer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        given_or(self.0, &NoProxy::default(), serializer)
    }
}

impl Serialize for ConnectAnswer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        given_or(self.0, &Empty {}, serializer)
    }
}

/// Prints the JSON that was kept, or else what stands for none.
fn given_or<S: Serializer>(
    kept: &str,
    none: &impl Serialize,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if kept.is_empty() {
        return none.serialize(serializer);
    }
    match serde_json::from_str::<Value>(kept) {
        Ok(given) => given.serialize(serializer),
        Err(_) => none.serialize(serializer),
    }
}

/// Reads the body of `catalog/register`.
///
/// # Errors
/// [`DecodeError`].
pub fn registration(body: &[u8]) -> Result<RegistrationRequest, DecodeError> {
    let mut fields = Fields::parse(body, "structs.RegisterRequest")?;
    let node = NewNode {
        name: fields.string("Node")?.into(),
        id: fields.string("ID")?.to_ascii_lowercase().into(),
        address: fields.string("Address")?.into(),
        datacenter: Box::default(),
        tagged_addresses: fields.string_map("TaggedAddresses")?.map(boxed_texts),
        meta: fields.string_map("NodeMeta")?.map(boxed_texts),
    };
    let datacenter = fields.string("Datacenter")?;
    let skip_node_update = fields.bool("SkipNodeUpdate")?;
    let service = fields.value("Service").map(service).transpose()?;
    let mut checks = Vec::new();
    checks.extend(fields.value("Check").map(health::catalog_check).transpose()?);
    for value in fields.values("Checks")?.unwrap_or_default() {
        checks.push(health::catalog_check(value)?);
    }
    fields.take_scope()?;
    fields.finish()?;
    let (check_nodes, checks) = checks.into_iter().unzip();
    let services: Vec<NewService> = service.into_iter().collect();
    let registration = Registration { node, skip_node_update, services, checks };
    Ok(RegistrationRequest { registration, datacenter, check_nodes })
}

/// What `catalog/register` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationRequest {
    /// What to put in the catalog.
    pub registration: Registration,
    /// Where, or empty.
    pub datacenter: String,
    /// The node each check says it is on, or empty.
    pub check_nodes: Vec<String>,
}

/// What `catalog/deregister` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeregistrationRequest {
    /// Where, or empty.
    pub datacenter: String,
    /// The node.
    pub node: String,
    /// The service on it, or empty.
    pub service_id: String,
    /// The check on it, or empty.
    pub check_id: String,
}

/// Reads the body of `catalog/deregister`.
///
/// # Errors
/// [`DecodeError`].
pub fn deregistration(body: &[u8]) -> Result<DeregistrationRequest, DecodeError> {
    let mut fields = Fields::parse(body, "structs.DeregisterRequest")?;
    let request = DeregistrationRequest {
        datacenter: fields.string("Datacenter")?,
        node: fields.string("Node")?,
        service_id: fields.string("ServiceID")?,
        check_id: fields.string("CheckID")?,
    };
    fields.string("Address")?;
    fields.take_scope()?;
    fields.finish()?;
    Ok(request)
}

/// Reads a service as the catalog and transactions take it.
///
/// # Errors
/// [`DecodeError`].
pub fn service(value: Value) -> Result<NewService, DecodeError> {
    let mut fields = Fields::of(value, "structs.NodeService")?;
    let proxy = kept(proxy::take(&mut fields)?);
    let mut depends_on = dependency::depends_on(&mut fields)?;
    dependency::add_upstreams(&mut depends_on, &proxy);
    let service = NewService {
        id: fields.string("ID")?.into(),
        name: fields.string("Service")?.into(),
        tags: boxed_list(fields.strings("Tags")?.unwrap_or_default()),
        address: fields.string("Address")?.into(),
        tagged_addresses: tagged_addresses(&mut fields)?
            .into_iter()
            .map(|(kind, tagged)| (kind.into(), tagged.into()))
            .collect(),
        meta: fields.string_map("Meta")?.map(boxed_texts),
        port: fields.integer("Port")?.unwrap_or(0),
        weights: weights(&mut fields)?.filter(are_valid).unwrap_or_default(),
        enable_tag_override: fields.bool("EnableTagOverride")?,
        kind: fields.string("Kind")?.into(),
        socket_path: fields.string("SocketPath")?.into(),
        depends_on: depends_on.iter().map(DependencyDefinition::to_catalog).collect(),
        proxy,
        connect: kept(fields.object("Connect")?.map(canonical).map(Value::Object)),
    };
    for name in ["CreateIndex", "ModifyIndex", "Ports"] {
        fields.raw(name);
    }
    fields.take_scope()?;
    fields.finish()?;
    Ok(service)
}

/// JSON that is kept as text; what says nothing is kept as nothing.
pub(super) fn kept(value: Option<Value>) -> Box<str> {
    match value {
        None | Some(Value::Null) => Box::default(),
        Some(Value::Object(map)) if map.is_empty() => Box::default(),
        Some(value) => value.to_string().into(),
    }
}

/// Whether DNS could tell them. The catalog takes weights that are none as absent:
/// every Go program that sets none sends zero for both.
fn are_valid(weights: &Weights) -> bool {
    (1..=WEIGHT_MAX).contains(&weights.passing) && (0..=WEIGHT_MAX).contains(&weights.warning)
}

const WEIGHT_MAX: i64 = 65_535;

/// The weights in a service, as given if they are.
///
/// # Errors
/// [`DecodeError`].
pub(super) fn weights(fields: &mut Fields) -> Result<Option<Weights>, DecodeError> {
    let Some(value) = fields.value("Weights") else { return Ok(None) };
    let mut fields = Fields::of(value, "structs.Weights")?;
    let weights = Weights {
        passing: fields.integer("Passing")?.unwrap_or(0),
        warning: fields.integer("Warning")?.unwrap_or(0),
    };
    fields.finish()?;
    Ok(Some(weights))
}

/// An address by kind of caller.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TaggedAddressRequest {
    /// The address.
    pub address: String,
    /// The port.
    pub port: i64,
}

impl From<TaggedAddressRequest> for TaggedAddress {
    fn from(request: TaggedAddressRequest) -> Self {
        Self { address: request.address.into(), port: request.port }
    }
}

pub(super) fn tagged_addresses(
    fields: &mut Fields,
) -> Result<BTreeMap<String, TaggedAddressRequest>, DecodeError> {
    let Some(map) = fields.object("TaggedAddresses")? else { return Ok(BTreeMap::new()) };
    map.into_iter()
        .map(|(kind, value)| {
            let mut fields = Fields::of(value, "structs.ServiceAddress")?;
            let address = fields.string("Address")?;
            let port = fields.integer("Port")?.unwrap_or(0);
            fields.finish()?;
            Ok((kind, TaggedAddressRequest { address, port }))
        })
        .collect()
}

/// Reads a node as transactions take it; with its modify index.
///
/// # Errors
/// [`DecodeError`].
pub fn node(value: Value) -> Result<(NewNode, u64), DecodeError> {
    let mut fields = Fields::of(value, "structs.Node")?;
    let node = NewNode {
        name: fields.string("Node")?.into(),
        id: fields.string("ID")?.to_ascii_lowercase().into(),
        address: fields.string("Address")?.into(),
        datacenter: fields.string("Datacenter")?.into(),
        tagged_addresses: fields.string_map("TaggedAddresses")?.map(boxed_texts),
        meta: fields.string_map("Meta")?.map(boxed_texts),
    };
    fields.raw("CreateIndex");
    let modify_index = fields.unsigned("ModifyIndex")?;
    fields.take_scope()?;
    fields.finish()?;
    Ok((node, modify_index))
}

/// Owned texts as the state machine keeps them.
pub fn boxed_texts(map: BTreeMap<String, String>) -> Texts {
    map.into_iter().map(|(key, value)| (key.into(), value.into())).collect()
}

/// Owned texts as the state machine keeps them.
pub fn boxed_list(list: Vec<String>) -> Vec<Box<str>> {
    list.into_iter().map(Into::into).collect()
}

/// A check with a default id and name as the catalog has it.
pub fn complete_check(check: &mut NewCheck) {
    if check.id.is_empty() {
        check.id = check.name.clone();
    }
    if check.name.is_empty() {
        check.name = check.id.clone();
    }
}

#[cfg(test)]
#[path = "catalog_tests.rs"]
mod tests;
