//! The data of one service name, with the aggregated health of its instances.
//!
//! Checks are counted as they change, so that finding the worst state does not
//! visit all instances.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;

use super::{CatalogService, NodeRow};
use crate::consul::{CheckStatus, HealthCheck};

/// All instances under one service name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct NameRow {
    pub(super) index: u64,
    pub(super) instances: BTreeSet<(Box<str>, Box<str>)>,
    /// How many instances spell the name so.
    pub(super) spellings: BTreeMap<Box<str>, usize>,
    /// The checks that decide about the instances.
    pub(super) checks: Verdicts,
}

/// How many checks there are of each verdict.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdicts {
    warning: usize,
    critical: usize,
}

impl NameRow {
    /// How it is spelled, and the worst check; `None` without instances.
    pub(super) fn told(&self) -> Option<(&str, CheckStatus)> {
        let (spelled, _) = self.spellings.first_key_value()?;
        Some((spelled, self.checks.worst()))
    }

    /// Whether that is news to readers of the graph.
    pub(super) fn insert(
        &mut self,
        node: &str,
        service: &CatalogService,
        checks: Verdicts,
    ) -> bool {
        let before = self.checks.worst();
        self.instances.insert((node.into(), service.id.clone()));
        let count = self.spellings.entry(service.name.clone()).or_default();
        *count += 1;
        let is_new = *count == 1;
        self.checks.warning += checks.warning;
        self.checks.critical += checks.critical;
        is_new || before != self.checks.worst()
    }

    /// Whether that is news to readers of the graph.
    pub(super) fn remove(
        &mut self,
        node: &str,
        service: &CatalogService,
        checks: Verdicts,
    ) -> bool {
        let before = self.checks.worst();
        self.instances.remove(&(node.into(), service.id.clone()));
        let mut is_last = false;
        if let Some(count) = self.spellings.get_mut(&service.name) {
            *count -= 1;
            is_last = *count == 0;
            if is_last {
                self.spellings.remove(&service.name);
            }
        }
        self.checks.warning -= checks.warning;
        self.checks.critical -= checks.critical;
        is_last || before != self.checks.worst()
    }

    /// A verdict comes or goes: whether that is news to readers of the graph.
    pub(super) fn judge(&mut self, status: CheckStatus, comes: bool) -> bool {
        let before = self.checks.worst();
        let count = match status {
            CheckStatus::Passing => return false,
            CheckStatus::Warning => &mut self.checks.warning,
            CheckStatus::Critical => &mut self.checks.critical,
        };
        *count = if comes { *count + 1 } else { *count - 1 };
        before != self.checks.worst()
    }
}

impl Verdicts {
    pub(super) fn worst(self) -> CheckStatus {
        if self.critical > 0 {
            CheckStatus::Critical
        } else if self.warning > 0 {
            CheckStatus::Warning
        } else {
            CheckStatus::Passing
        }
    }
}

impl NodeRow {
    /// The services that a check decides about: all of the node, or its own.
    pub(super) fn judged_by(
        &self,
        check: &HealthCheck,
    ) -> impl Iterator<Item = &Arc<CatalogService>> {
        let of_node = check.service_id.is_empty();
        let own = self.services.get(&check.service_id).filter(|_| !of_node);
        own.into_iter().chain(self.services.values().filter(move |_| of_node))
    }

    /// The verdicts about one service.
    pub(super) fn verdicts_on(&self, service_id: &str) -> Verdicts {
        let checks = self.checks_of("").chain(self.checks_of(service_id));
        let mut verdicts = Verdicts::default();
        for check in checks {
            match check.status {
                CheckStatus::Passing => {}
                CheckStatus::Warning => verdicts.warning += 1,
                CheckStatus::Critical => verdicts.critical += 1,
            }
        }
        verdicts
    }
}
