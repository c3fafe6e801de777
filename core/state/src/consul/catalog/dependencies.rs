//! Dependencies in the catalog: validation, and the index of the graph.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Catalog, CatalogService};
use crate::consul::graph::{EDGES_MAX, Graph};
use crate::consul::ledger::{Ledger, Undo, tag};
use crate::consul::name::lower;
use crate::consul::{ConsulRejection, Dependency};

/// Names told of a cycle of services that depend on each other.
const CYCLE_NAMES_MAX: usize = 100;

/// The index of the graph of services. It begins with the first dependency:
/// until then the graph is as old as the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::consul) struct GraphIndex {
    /// Last change of what it tells.
    pub(in crate::consul) index: u64,
}

crate::record!(GraphIndex { index });
impl Catalog {
    pub(in crate::consul) fn graph_row(&self) -> GraphIndex {
        self.graph_row
    }

    pub(in crate::consul) fn put_graph_index(&mut self, ledger: &mut Ledger, indexes: GraphIndex) {
        let old = core::mem::replace(&mut self.graph_row, indexes);
        ledger.swap_indexes(tag::GRAPH_INDEXES, old, indexes);
        ledger.remember(|| Undo::GraphIndex(old));
    }

    pub(in crate::consul) fn graph_table(&self) -> &Graph {
        &self.graph
    }

    /// A number that grows with what readers of the graph are told, or `None`
    /// as long as nothing ever depended on anything.
    pub(in crate::consul) fn graph_changes(&self) -> Option<u64> {
        let has_begun = !self.graph.is_empty() || self.graph_row.index != 0;
        has_begun.then(|| self.graph.changes() + self.name_changes)
    }

    /// Lets the order of the graph wait for [`Self::settle_graph`].
    pub(in crate::consul) fn defer_graph(&mut self) {
        self.graph.defer();
    }

    /// Orders the graph. False if it has a cycle.
    pub(in crate::consul) fn settle_graph(&mut self) -> bool {
        self.graph.settle()
    }

    /// Refuses an instance that depends on more than it may or, by way of
    /// others, on itself. What it declares already must have the same name.
    pub(in crate::consul) fn check_dependencies(
        &mut self,
        service: &CatalogService,
    ) -> Result<(), ConsulRejection> {
        let dependencies = service.checked_dependencies()?;
        if dependencies.is_empty() {
            return Ok(());
        }
        let name = lower(&service.name);
        if self.graph.edges_with(&name, &dependencies) > EDGES_MAX {
            return Err(ConsulRejection::TooManyEdges);
        }
        match self.graph.cycle(&name, &dependencies) {
            None => Ok(()),
            Some(cycle) => {
                let text = self.cycle_text(&cycle, service, &dependencies);
                Err(ConsulRejection::DependencyCycle(text.into()))
            }
        }
    }

    /// The cycle, in which the first name comes again at the end. In the middle
    /// of a long one some are left out.
    fn cycle_text(
        &self,
        cycle: &[Box<str>],
        service: &CatalogService,
        dependencies: &[Dependency],
    ) -> String {
        let spelled = |name: &str| {
            let fresh = dependencies.iter().map(|needed| &needed.name);
            let mut fresh = core::iter::once(&service.name).chain(fresh);
            if self.has_instances(name) || self.graph.spelling(name).is_some() {
                return self.name_spelled(name).to_owned();
            }
            fresh.find(|fresh| *lower(fresh) == *name).map_or(name, |fresh| &**fresh).to_owned()
        };
        let mut names: Vec<String> =
            cycle.iter().chain(cycle.first()).map(|name| spelled(name)).collect();
        if names.len() > CYCLE_NAMES_MAX {
            let tail = names.split_off(names.len() - CYCLE_NAMES_MAX / 2);
            let left_out = names.len() - CYCLE_NAMES_MAX / 2;
            names.truncate(CYCLE_NAMES_MAX / 2);
            names.push(format!("({left_out} more)"));
            names.extend(tail);
        }
        names.join(" -> ")
    }
}
