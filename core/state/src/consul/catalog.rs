//! Nodes and services.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::consul::HealthCheck;

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

/// Nodes, services and checks.
#[derive(Debug, Default)]
pub struct Catalog {}

impl Catalog {
    /// A node by name, whatever the case, or by UUID.
    pub fn node(&self, _name_or_id: &str) -> Option<&CatalogNode> {
        None
    }

    /// All nodes by lower-case name.
    pub fn nodes(&self) -> impl Iterator<Item = &CatalogNode> {
        [].into_iter()
    }

    /// All instances of all services, by node and service id.
    pub fn services(&self) -> impl Iterator<Item = &CatalogService> {
        [].into_iter()
    }

    /// Service names as registered, in order, each once.
    pub fn service_names(&self) -> impl Iterator<Item = &str> {
        [].into_iter()
    }

    /// All instances of one service (whatever the case of its name), by node and service id.
    pub fn service_instances(&self, _name: &str) -> impl Iterator<Item = &CatalogService> {
        [].into_iter()
    }

    /// The services on one node, by id.
    pub fn services_on(&self, _node: &str) -> impl Iterator<Item = &CatalogService> {
        [].into_iter()
    }

    /// One instance.
    pub fn service(&self, _node: &str, _service_id: &str) -> Option<&CatalogService> {
        None
    }

    /// All checks, by node and check id.
    pub fn checks(&self) -> impl Iterator<Item = &HealthCheck> {
        [].into_iter()
    }

    /// The checks on one node, by id, node-level and service-level.
    pub fn checks_on(&self, _node: &str) -> impl Iterator<Item = &HealthCheck> {
        [].into_iter()
    }

    /// One check.
    pub fn check(&self, _node: &str, _check_id: &str) -> Option<&HealthCheck> {
        None
    }

    /// The checks of one service name on all nodes, node-level ones not included.
    pub fn checks_of_service(&self, _name: &str) -> impl Iterator<Item = &HealthCheck> {
        [].into_iter()
    }

    /// The checks that decide about one instance: node-level ones by id, then its own by id.
    pub fn checks_of_instance(
        &self,
        _node: &str,
        _service_id: &str,
    ) -> impl Iterator<Item = &HealthCheck> {
        [].into_iter()
    }

    /// Last change of the nodes table.
    pub fn nodes_index(&self) -> u64 {
        0
    }

    /// Last change of the services table.
    pub fn services_index(&self) -> u64 {
        0
    }

    /// Last change of the checks table.
    pub fn checks_index(&self) -> u64 {
        0
    }

    /// The index of a read of one service name: its own, or of the last
    /// extinction of any service if it has no instances.
    pub fn service_index(&self, _name: &str) -> u64 {
        0
    }

    /// The last change of a node, its services or its checks.
    pub fn node_index(&self, _node: &str) -> u64 {
        0
    }
}
