//! Nodes, services and checks.
//!
//! ```text
//!   nodes:    lower name -> record, services by id, checks by id, checks by service id
//!   names:    lower service name -> index, instances (node, id), spellings
//!   node_ids: UUID -> lower node name
//!   in_mesh:  (node, id) of proxies, and of instances that say something of a mesh
//! ```
//!
//! A read of one service or node touches nothing else. Only the records and the
//! indexes are stored; the rest is derived from them. Records are shared, so
//! that a reader can keep them and print them later while the tables change: a
//! record is replaced, never changed in place.

mod dependencies;
mod name_row;
mod read;
mod record;
#[cfg(test)]
mod tests;

pub(super) use dependencies::GraphIndex;
pub use read::{Instance, TakenInstance};
pub use record::{CatalogNode, CatalogService, TaggedAddress, Weights};

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use self::name_row::NameRow;
use crate::consul::HealthCheck;
use crate::consul::graph::Graph;
use crate::consul::ledger::{Ledger, Undo, tag};
use crate::consul::name::lower;
use crate::invariants::{Violation, require, require_all};

/// Indexes of the tables as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct CatalogIndexes {
    pub(super) nodes: u64,
    pub(super) services: u64,
    pub(super) checks: u64,
    /// When a service name last lost its last instance.
    pub(super) service_extinction: u64,
    /// When a node was last removed.
    pub(super) node_extinction: u64,
}

crate::record!(CatalogIndexes { nodes, services, checks, service_extinction, node_extinction });

/// A node as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NodeRecord {
    pub(super) node: Arc<CatalogNode>,
    /// Last change of the node, its services or its checks.
    pub(super) index: u64,
}

crate::record!(NodeRecord { node, index });

/// Nodes, services and checks.
#[derive(Debug, Default)]
pub struct Catalog {
    nodes: BTreeMap<Box<str>, NodeRow>,
    node_ids: BTreeMap<Box<str>, Box<str>>,
    names: BTreeMap<Box<str>, NameRow>,
    in_mesh: BTreeSet<(Box<str>, Box<str>)>,
    indexes: CatalogIndexes,
    graph: Graph,
    graph_row: GraphIndex,
    /// Grows when a name comes, goes, or fares otherwise.
    name_changes: u64,
}

/// A node and all that hangs on it.
#[derive(Debug)]
struct NodeRow {
    record: NodeRecord,
    services: BTreeMap<Box<str>, Arc<CatalogService>>,
    checks: BTreeMap<Box<str>, Arc<HealthCheck>>,
    /// Ids of checks by the id of their service, empty for the node's own.
    checks_of: BTreeMap<Box<str>, BTreeSet<Box<str>>>,
}

impl Catalog {
    pub(super) fn indexes(&self) -> CatalogIndexes {
        self.indexes
    }

    /// All nodes as stored, by lower-case name.
    pub(super) fn node_records(&self) -> impl Iterator<Item = (&str, &NodeRecord)> {
        self.nodes.iter().map(|(name, row)| (&**name, &row.record))
    }

    /// The node of this lower-case name as stored.
    pub(super) fn node_record(&self, lower_name: &str) -> Option<&NodeRecord> {
        self.nodes.get(lower_name).map(|row| &row.record)
    }

    /// The node with this UUID.
    pub(super) fn node_by_id(&self, id: &str) -> Option<&CatalogNode> {
        self.node_record(self.node_ids.get(id)?).map(|record| &*record.node)
    }

    /// Whether a lower-case service name has instances.
    pub(super) fn has_instances(&self, name: &str) -> bool {
        self.names.get(name).is_some_and(|row| !row.instances.is_empty())
    }

    /// The ids of the checks of one service on one node.
    pub(super) fn check_ids_of(&self, node: &str, service_id: &str) -> Vec<Box<str>> {
        let ids = self.nodes.get(node).and_then(|row| row.checks_of.get(service_id));
        ids.into_iter().flatten().cloned().collect()
    }

    /// How many checks one service on one node has; without an id, how many
    /// the node itself has.
    pub(super) fn checks_with(&self, node: &str, service_id: &str) -> usize {
        let ids = self.nodes.get(node).and_then(|row| row.checks_of.get(service_id));
        ids.map_or(0, BTreeSet::len)
    }

    /// All service names in lower case with their indexes.
    pub(super) fn name_indexes(&self) -> impl Iterator<Item = (&str, u64)> {
        self.names.iter().map(|(name, row)| (&**name, row.index))
    }

    /// Sets or removes a node. It is removed only after all that hangs on it.
    pub(super) fn put_node(&mut self, ledger: &mut Ledger, name: &str, record: Option<NodeRecord>) {
        ledger.swap(tag::NODE, name, self.node_record(name), record.as_ref());
        let new_id = record.as_ref().map(|record| record.node.id.clone()).unwrap_or_default();
        let old = match (self.nodes.get_mut(name), record) {
            (Some(row), Some(record)) => Some(core::mem::replace(&mut row.record, record)),
            (None, Some(record)) => {
                self.nodes.insert(name.into(), NodeRow::new(record));
                None
            }
            (_, None) => self.nodes.remove(name).map(|row| row.record),
        };
        let old_id = old.as_ref().map(|record| &*record.node.id).unwrap_or_default();
        if *old_id != *new_id {
            if self.node_ids.get(old_id).is_some_and(|holder| **holder == *name) {
                self.node_ids.remove(old_id);
            }
            if !new_id.is_empty() {
                self.node_ids.insert(new_id, name.into());
            }
        }
        ledger.remember(|| Undo::Node(name.into(), old.map(Box::new)));
    }

    /// Sets or removes a service on a node that is there.
    pub(super) fn put_service(
        &mut self,
        ledger: &mut Ledger,
        node: &str,
        id: &str,
        service: Option<Arc<CatalogService>>,
    ) {
        let Some(row) = self.nodes.get_mut(node) else { return };
        let old = row.services.remove(id);
        ledger.swap(tag::SERVICE, node, old.as_ref(), service.as_ref());
        let told = |service: &Arc<CatalogService>| service.depends_on.clone();
        let told = |service: Option<_>| service.map(told).filter(|all| !all.is_empty());
        let (old_told, new_told) = (told(old.as_ref()), told(service.as_ref()));
        if old_told != new_told {
            let key = (Box::<str>::from(node), Box::<str>::from(id));
            ledger.swap(tag::DEPENDENCIES, &key, old_told.as_ref(), new_told.as_ref());
        }
        let is_renamed = old.as_ref().map(|old| &old.name) != service.as_ref().map(|new| &new.name);
        if is_renamed {
            let checks = row.verdicts_on(id);
            if let Some(old) = &old
                && let Some(name) = self.names.get_mut(&lower(&old.name))
            {
                self.name_changes += u64::from(name.remove(node, old, checks));
            }
            if let Some(new) = &service {
                let name = self.names.entry(lower(&new.name)).or_default();
                self.name_changes += u64::from(name.insert(node, new, checks));
            }
        }
        let edges = |service: Option<&Arc<CatalogService>>| {
            service.map(|service| (lower(&service.name), service.dependencies()))
        };
        let (old_edges, new_edges) = (edges(old.as_ref()), edges(service.as_ref()));
        if old_edges != new_edges {
            // The new ones first, so that what stays is not taken for news.
            new_edges.iter().for_each(|(name, all)| self.graph.add(name, all));
            old_edges.iter().for_each(|(name, all)| self.graph.remove(name, all));
        }
        match (&old, &service) {
            (_, Some(new)) if is_in_mesh(new) => {
                self.in_mesh.insert((node.into(), id.into()));
            }
            (Some(old), _) if is_in_mesh(old) => {
                self.in_mesh.remove(&(node.into(), id.into()));
            }
            _ => {}
        }
        if let Some(service) = service {
            row.services.insert(id.into(), service);
        }
        ledger.remember(|| Undo::Service(node.into(), id.into(), old));
    }

    /// Sets or removes a check on a node that is there.
    pub(super) fn put_check(
        &mut self,
        ledger: &mut Ledger,
        node: &str,
        id: &str,
        check: Option<Arc<HealthCheck>>,
    ) {
        let Some(row) = self.nodes.get_mut(node) else { return };
        ledger.swap(tag::CHECK, node, row.checks.get(id), check.as_ref());
        let old = row.checks.remove(id);
        let decides = |check: &Arc<HealthCheck>| (check.service_id.clone(), check.status);
        if old.as_ref().map(decides) != check.as_ref().map(decides) {
            for (check, comes) in [(&old, false), (&check, true)] {
                let Some(check) = check else { continue };
                for service in row.judged_by(check) {
                    let Some(name) = self.names.get_mut(&lower(&service.name)) else { continue };
                    self.name_changes += u64::from(name.judge(check.status, comes));
                }
            }
        }
        if let Some(old) = &old {
            row.unlink(old);
        }
        if let Some(check) = check {
            row.checks_of.entry(check.service_id.clone()).or_default().insert(id.into());
            row.checks.insert(id.into(), check);
        }
        ledger.remember(|| Undo::Check(node.into(), id.into(), old));
    }

    /// Sets the index of a service name, or drops a name that has no instances.
    pub(super) fn put_service_index(
        &mut self,
        ledger: &mut Ledger,
        name: &str,
        index: Option<u64>,
    ) {
        // An index of 0 is that of a name whose first instance was just put.
        let old = self.names.get(name).map(|row| row.index).filter(|index| *index != 0);
        ledger.swap(tag::SERVICE_INDEX, name, old.as_ref(), index.as_ref());
        match index {
            Some(index) => match self.names.get_mut(name) {
                Some(row) => row.index = index,
                None => {
                    self.names.insert(name.into(), NameRow { index, ..NameRow::default() });
                }
            },
            None => {
                self.names.remove(name);
            }
        }
        ledger.remember(|| Undo::ServiceIndex(name.into(), old));
    }

    pub(super) fn put_indexes(&mut self, ledger: &mut Ledger, indexes: CatalogIndexes) {
        let old = core::mem::replace(&mut self.indexes, indexes);
        ledger.swap_indexes(tag::CATALOG_INDEXES, old, indexes);
        ledger.remember(|| Undo::CatalogIndexes(old));
    }

    /// What is derived from the records is what it would be anew.
    pub(super) fn check_invariants(&self) -> Result<(), Violation> {
        let mut names: BTreeMap<Box<str>, NameRow> = BTreeMap::new();
        let mut node_ids = BTreeMap::new();
        let mut graph = Graph::default();
        graph.defer();
        let mut in_mesh = BTreeSet::new();
        for (node, row) in &self.nodes {
            row.check_invariants(node)?;
            if !row.record.node.id.is_empty() {
                node_ids.insert(row.record.node.id.clone(), node.clone());
            }
            for service in row.services.values() {
                let name = lower(&service.name);
                graph.add(&name, &service.dependencies());
                let checks = row.verdicts_on(&service.id);
                names.entry(name).or_default().insert(node, service, checks);
                if is_in_mesh(service) {
                    in_mesh.insert((node.clone(), service.id.clone()));
                }
            }
        }
        self.graph.check_invariants()?;
        require("A9", graph.settle(), || "services depend on each other in a cycle".into())?;
        require("A9", self.graph.is_like(&graph), || {
            "the graph of services is not what the registrations give".into()
        })?;
        for (name, row) in &mut names {
            row.index = self.names.get(name).map_or(0, |row| row.index);
            require("A2", row.index != 0, || format!("the service {name} has no index"))?;
        }
        require_all(
            "A2",
            &[
                ("instances, spellings and verdicts by service name", names == self.names),
                ("nodes by id", node_ids == self.node_ids),
                ("the instances in a mesh", in_mesh == self.in_mesh),
            ],
        )
    }

    /// The latest index of any of its tables.
    pub(super) fn latest_index(&self) -> u64 {
        let CatalogIndexes { nodes, services, checks, service_extinction, node_extinction } =
            self.indexes;
        let tables = [nodes, services, checks, service_extinction, node_extinction];
        let names = self.names.values().map(|row| row.index);
        let rows = self.nodes.values().map(|row| row.record.index);
        let all = tables.into_iter().chain([self.graph_row.index]).chain(names).chain(rows);
        all.max().unwrap_or_default()
    }

    /// How many nodes, services and checks there are.
    pub(super) fn entries(&self) -> usize {
        self.nodes.values().map(|row| 1 + row.services.len() + row.checks.len()).sum()
    }
}

/// Whether an instance may be one that is reached over a service mesh.
fn is_in_mesh(service: &CatalogService) -> bool {
    !service.kind.is_empty() || !service.connect.is_empty()
}

impl NodeRow {
    fn new(record: NodeRecord) -> Self {
        Self {
            record,
            services: BTreeMap::new(),
            checks: BTreeMap::new(),
            checks_of: BTreeMap::new(),
        }
    }

    fn unlink(&mut self, check: &HealthCheck) {
        if let Some(ids) = self.checks_of.get_mut(&check.service_id) {
            ids.remove(&check.id);
            if ids.is_empty() {
                self.checks_of.remove(&check.service_id);
            }
        }
    }

    fn check_invariants(&self, name: &str) -> Result<(), Violation> {
        let mut checks_of: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for check in self.checks.values() {
            checks_of.entry(check.service_id.clone()).or_default().insert(check.id.clone());
        }
        let spelled = &self.record.node.name;
        let is_own = |check: &HealthCheck| {
            let service = self.services.get(&check.service_id);
            let (name, tags) =
                service.map(|service| (&*service.name, &*service.tags)).unwrap_or_default();
            check.node == *spelled
                && (check.service_id.is_empty() || service.is_some())
                && (&*check.service_name, &*check.service_tags) == (name, tags)
        };
        let holds = [
            (
                "the services",
                self.services
                    .iter()
                    .all(|(id, service)| service.id == *id && service.node == *spelled),
            ),
            ("the checks", self.checks.iter().all(|(id, check)| check.id == *id && is_own(check))),
            ("the checks by service", checks_of == self.checks_of),
            ("the name", *lower(spelled) == *name),
        ];
        match holds.iter().find(|(_, holds)| !holds) {
            Some((what, _)) => Err(Violation::new("A2", format!("{what} of the node {name}"))),
            None => Ok(()),
        }
    }
}
