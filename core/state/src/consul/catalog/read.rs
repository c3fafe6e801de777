//! Reads of the catalog for front ends. No read visits more than it returns.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::consul::catalog::{Catalog, CatalogNode, CatalogService, NodeRow};
use crate::consul::name::lower;
use crate::consul::{CheckStatus, HealthCheck};

/// One instance of a service with all that is needed to judge it.
#[derive(Debug, Clone, Copy)]
pub struct Instance<'a> {
    row: &'a NodeRow,
    service: &'a Arc<CatalogService>,
}

impl<'a> Instance<'a> {
    /// The node it is on.
    pub fn node(self) -> &'a Arc<CatalogNode> {
        &self.row.record.node
    }

    /// The instance itself.
    pub fn service(self) -> &'a Arc<CatalogService> {
        self.service
    }

    /// The checks that decide about it: node-level ones by id, then its own by id.
    pub fn checks(self) -> impl Iterator<Item = &'a Arc<HealthCheck>> {
        self.row.checks_of("").chain(self.row.checks_of(&self.service.id))
    }
}

/// An instance taken out of the tables, to be looked at while they change.
#[derive(Debug, Clone)]
pub struct TakenInstance {
    /// The node it is on.
    pub node: Arc<CatalogNode>,
    /// The instance itself.
    pub service: Arc<CatalogService>,
    /// The checks that decide about it, in the order of [`Instance::checks`].
    pub checks: Vec<Arc<HealthCheck>>,
}

impl From<Instance<'_>> for TakenInstance {
    fn from(instance: Instance<'_>) -> Self {
        Self {
            node: Arc::clone(instance.node()),
            service: Arc::clone(instance.service()),
            checks: instance.checks().cloned().collect(),
        }
    }
}

impl NodeRow {
    pub(super) fn checks_of<'a>(
        &'a self,
        service_id: &str,
    ) -> impl Iterator<Item = &'a Arc<HealthCheck>> + use<'a> {
        let ids = self.checks_of.get(service_id).into_iter().flatten();
        ids.filter_map(|id| self.checks.get(id))
    }
}

impl Catalog {
    fn row(&self, node: &str) -> Option<&NodeRow> {
        self.nodes.get(&lower(node))
    }

    /// A node by name, whatever the case, or by UUID.
    pub fn node(&self, name_or_id: &str) -> Option<&Arc<CatalogNode>> {
        let key = lower(name_or_id);
        let row = self.nodes.get(&key).or_else(|| self.nodes.get(self.node_ids.get(&key)?));
        row.map(|row| &row.record.node)
    }

    /// All nodes by lower-case name.
    pub fn nodes(&self) -> impl Iterator<Item = &Arc<CatalogNode>> {
        self.nodes.values().map(|row| &row.record.node)
    }

    /// All instances of all services, by node and service id.
    pub fn services(&self) -> impl Iterator<Item = &Arc<CatalogService>> {
        self.all_instances().map(Instance::service)
    }

    /// The same with node and checks.
    pub fn all_instances(&self) -> impl Iterator<Item = Instance<'_>> {
        self.nodes
            .values()
            .flat_map(|row| row.services.values().map(move |service| Instance { row, service }))
    }

    /// The instances that have a kind, as proxies do, or say something of a mesh: by node
    /// and service id, with node and checks.
    pub fn instances_in_mesh(&self) -> impl Iterator<Item = Instance<'_>> {
        self.in_mesh.iter().filter_map(|(node, id)| {
            let row = self.nodes.get(node)?;
            row.services.get(id).map(|service| Instance { row, service })
        })
    }

    /// Service names as registered, in order, each once.
    pub fn service_names(&self) -> impl Iterator<Item = &str> {
        self.names.values().flat_map(|row| row.spellings.keys()).map(|name| &**name)
    }

    /// All instances of one service (whatever the case of its name), by node
    /// and service id, with node and checks.
    pub fn instances(&self, name: &str) -> impl Iterator<Item = Instance<'_>> {
        let keys = self.names.get(&lower(name)).into_iter().flat_map(|row| &row.instances);
        keys.filter_map(|(node, id)| {
            let row = self.nodes.get(node)?;
            row.services.get(id).map(|service| Instance { row, service })
        })
    }

    /// All instances of one service (whatever the case of its name), by node and service id.
    pub fn service_instances(&self, name: &str) -> impl Iterator<Item = &Arc<CatalogService>> {
        self.instances(name).map(Instance::service)
    }

    /// The services on one node, by id.
    pub fn services_on(&self, node: &str) -> impl Iterator<Item = &Arc<CatalogService>> {
        self.row(node).into_iter().flat_map(|row| row.services.values())
    }

    /// One instance.
    pub fn service(&self, node: &str, service_id: &str) -> Option<&Arc<CatalogService>> {
        self.row(node)?.services.get(service_id)
    }

    /// All checks, by node and check id.
    pub fn checks(&self) -> impl Iterator<Item = &Arc<HealthCheck>> {
        self.nodes.values().flat_map(|row| row.checks.values())
    }

    /// The checks on one node, by id, node-level and service-level.
    pub fn checks_on(&self, node: &str) -> impl Iterator<Item = &Arc<HealthCheck>> {
        self.row(node).into_iter().flat_map(|row| row.checks.values())
    }

    /// One check.
    pub fn check(&self, node: &str, check_id: &str) -> Option<&Arc<HealthCheck>> {
        self.row(node)?.checks.get(check_id)
    }

    /// The checks of one service name on all nodes, node-level ones not included.
    pub fn checks_of_service(&self, name: &str) -> impl Iterator<Item = &Arc<HealthCheck>> {
        self.instances(name).flat_map(|instance| instance.row.checks_of(&instance.service.id))
    }

    /// Last change of the nodes table.
    pub fn nodes_index(&self) -> u64 {
        self.indexes.nodes
    }

    /// Last change of the services table.
    pub fn services_index(&self) -> u64 {
        self.indexes.services
    }

    /// Last change of the checks table.
    pub fn checks_index(&self) -> u64 {
        self.indexes.checks
    }

    /// The index of a read of the graph of services: the last change of what it
    /// tells, or of the tables as long as nothing ever depended on anything.
    pub fn graph_index(&self) -> u64 {
        match self.graph_row.index {
            0 => self.indexes.nodes.max(self.indexes.services).max(self.indexes.checks),
            index => index,
        }
    }

    /// Whether changes of the graph are told by [`crate::event::Topic::Graph`]: once
    /// they are, they stay so.
    pub fn has_graph_index(&self) -> bool {
        self.graph_row.index != 0
    }

    /// The worst check of a service, by its name in lower case.
    pub(in crate::consul) fn name_status(&self, name: &str) -> Option<CheckStatus> {
        self.registered(name).map(|(_, worst)| worst)
    }

    /// How a name in lower case is registered, and its worst check; `None` without instances.
    pub(in crate::consul) fn registered(&self, name: &str) -> Option<(&str, CheckStatus)> {
        self.names.get(name)?.told()
    }

    /// All names, in order, with the answer of [`Self::registered`].
    pub(in crate::consul) fn registered_names(
        &self,
    ) -> impl Iterator<Item = (&str, Option<(&str, CheckStatus)>)> {
        self.names.iter().map(|(name, row)| (&**name, row.told()))
    }

    /// A name in lower case as it is registered, or else as it is depended upon.
    pub(in crate::consul) fn name_spelled<'a>(&'a self, name: &'a str) -> &'a str {
        let registered = self.registered(name).map(|(spelled, _)| spelled);
        registered.or_else(|| self.graph.spelling(name)).unwrap_or(name)
    }

    /// The index of a read of one service name: its own, or of the last
    /// extinction of any service if it has no instances.
    pub fn service_index(&self, name: &str) -> u64 {
        self.names.get(&lower(name)).map_or(self.indexes.service_extinction, |row| row.index)
    }

    /// The last change of a node, its services or its checks; of an unknown
    /// node, the last removal of any, so that those who wait on it see it go.
    pub fn node_index(&self, node: &str) -> u64 {
        self.row(node).map_or(self.indexes.node_extinction, |row| row.record.index)
    }
}
