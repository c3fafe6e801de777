//! What the catalog keeps of a node and of a service.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::consul::{Dependency, NewNode, NewService};

/// A registered machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogNode {
    /// As registered; looked up without regard to case.
    pub name: Box<str>,
    /// UUID, or empty.
    pub id: Box<str>,
    /// Its address.
    pub address: Box<str>,
    /// Or empty for the cluster's own.
    pub datacenter: Box<str>,
    /// `None` is printed as null.
    pub tagged_addresses: Option<BTreeMap<Box<str>, Box<str>>>,
    /// `None` is printed as null.
    pub meta: Option<BTreeMap<Box<str>, Box<str>>>,
    /// Revision of creation.
    pub create_index: u64,
    /// Revision of the last change.
    pub modify_index: u64,
}

/// One instance of a service, on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogService {
    /// The node's name as registered.
    pub node: Box<str>,
    /// Unique on the node.
    pub id: Box<str>,
    /// Looked up without regard to case.
    pub name: Box<str>,
    /// In the order given.
    pub tags: Vec<Box<str>>,
    /// Empty means the node's.
    pub address: Box<str>,
    /// By kind.
    pub tagged_addresses: BTreeMap<Box<str>, TaggedAddress>,
    /// `None` is printed as null.
    pub meta: Option<BTreeMap<Box<str>, Box<str>>>,
    /// As given.
    pub port: i64,
    /// DNS weights.
    pub weights: Weights,
    /// Whether the catalog's tags win over the agent's.
    pub enable_tag_override: bool,
    /// Usually empty.
    pub kind: Box<str>,
    /// Or empty.
    pub socket_path: Box<str>,
    /// JSON text, or empty.
    pub proxy: Box<str>,
    /// JSON text, or empty.
    pub connect: Box<str>,
    /// What it was registered to depend on, see [`CatalogService::dependencies`].
    pub depends_on: Vec<Dependency>,
    /// Revision of creation.
    pub create_index: u64,
    /// Revision of the last change.
    pub modify_index: u64,
}

/// An address and port for one kind of caller.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaggedAddress {
    /// The address.
    pub address: Box<str>,
    /// The port.
    pub port: i64,
}

/// DNS weights by health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weights {
    /// While passing.
    pub passing: i64,
    /// While warning.
    pub warning: i64,
}

impl Default for Weights {
    fn default() -> Self {
        Self { passing: 1, warning: 1 }
    }
}

impl CatalogNode {
    /// The record of a node registered at `revision` and never before.
    pub(in crate::consul) fn new(node: NewNode, revision: u64) -> Self {
        let NewNode { name, id, address, datacenter, tagged_addresses, meta } = node;
        let (create_index, modify_index) = (revision, revision);
        Self { name, id, address, datacenter, tagged_addresses, meta, create_index, modify_index }
    }
}

impl CatalogService {
    /// The record of a service registered at `revision` and never before.
    pub(in crate::consul) fn new(node: &str, service: NewService, revision: u64) -> Self {
        Self {
            node: node.into(),
            id: if service.id.is_empty() { service.name.clone() } else { service.id },
            name: service.name,
            tags: service.tags,
            address: service.address,
            tagged_addresses: service.tagged_addresses,
            meta: service.meta,
            port: service.port,
            weights: service.weights,
            enable_tag_override: service.enable_tag_override,
            kind: service.kind,
            socket_path: service.socket_path,
            proxy: service.proxy,
            connect: service.connect,
            depends_on: service.depends_on,
            create_index: revision,
            modify_index: revision,
        }
    }
}

crate::record!(CatalogNode {
    name,
    id,
    address,
    datacenter,
    tagged_addresses,
    meta,
    create_index,
    modify_index,
});
crate::record!(CatalogService {
    node,
    id,
    name,
    tags,
    address,
    tagged_addresses,
    meta,
    port,
    weights,
    enable_tag_override,
    kind,
    socket_path,
    proxy,
    connect,
    create_index,
    modify_index,
} beside { depends_on });
crate::record!(TaggedAddress { address, port });
crate::record!(Weights { passing, warning });
