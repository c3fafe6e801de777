//! Autopilot's configuration: one record, which does not exist until it is
//! first changed.
//!
//! The table only stores it; the leader's agent acts on it.

use alloc::boxed::Box;

use crate::consul::ledger::{Ledger, Undo, tag};

/// What an operator can set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AutopilotSettings {
    /// Whether members that died are removed from the cluster.
    pub cleanup_dead_servers: bool,
    /// How long a healthy member may be silent. Nanoseconds, as printed.
    pub last_contact_threshold_ns: i64,
    /// How far a healthy member may be behind. Kept and given back.
    pub max_trailing_logs: u64,
    /// No dead member is removed if fewer voters than these would be left.
    pub min_quorum: u64,
    /// How long a new member must be healthy. Nanoseconds. Kept and given back.
    pub server_stabilization_ns: i64,
    /// Of Consul Enterprise. Kept and given back.
    pub redundancy_zone_tag: Box<str>,
    /// Of Consul Enterprise. Kept and given back.
    pub disable_upgrade_migration: bool,
    /// Of Consul Enterprise. Kept and given back.
    pub upgrade_version_tag: Box<str>,
}

crate::record!(AutopilotSettings {
    cleanup_dead_servers,
    last_contact_threshold_ns,
    max_trailing_logs,
    min_quorum,
    server_stabilization_ns,
    redundancy_zone_tag,
    disable_upgrade_migration,
    upgrade_version_tag,
});

impl Default for AutopilotSettings {
    /// Consul's, but that nobody is removed unasked, and that a member is not
    /// ill before it would count as dead.
    fn default() -> Self {
        Self {
            cleanup_dead_servers: false,
            last_contact_threshold_ns: 5_000_000_000,
            max_trailing_logs: 250,
            min_quorum: 0,
            server_stabilization_ns: 10_000_000_000,
            redundancy_zone_tag: "".into(),
            disable_upgrade_migration: false,
            upgrade_version_tag: "".into(),
        }
    }
}

/// The settings, and since when they are so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Autopilot {
    /// As they are.
    pub settings: AutopilotSettings,
    /// Revision of the last change; 1 before the first.
    pub modify_index: u64,
}

crate::record!(Autopilot { settings, modify_index });

impl Default for Autopilot {
    /// As if the first command had written them: so it is in Consul.
    fn default() -> Self {
        Self { settings: AutopilotSettings::default(), modify_index: 1 }
    }
}

impl Autopilot {
    pub(super) fn put(&mut self, ledger: &mut Ledger, new: Self) {
        let old = core::mem::replace(self, new.clone());
        ledger.swap_indexes(tag::AUTOPILOT, old.clone(), new);
        ledger.remember(|| Undo::Autopilot(Box::new(old)));
    }
}
