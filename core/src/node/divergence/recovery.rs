//! A member that recovers lost data disconnects its clients meanwhile.
//!
//! Consensus handles the recovery itself. This module only disconnects the
//! clients, so that they move to another member, and accepts them again
//! afterwards.

use std::sync::{PoisonError, Weak};

use crate::node::node_core::NodeCore;

/// Follows whether this member recovers.
pub(crate) async fn run_upkeep(weak: Weak<NodeCore>) {
    let Some(mut recovery) = weak.upgrade().map(|inner| inner.consensus.watch_recovery()) else {
        return;
    };
    loop {
        let why = recovery.borrow_and_update().clone();
        let Some(inner) = weak.upgrade() else { return };
        inner.follow_recovery(why);
        drop(inner);
        if recovery.changed().await.is_err() {
            return;
        }
    }
}

impl NodeCore {
    /// ElectionCounters clients away while there is a reason to.
    pub(crate) fn follow_recovery(&self, why: Option<String>) {
        let integrity = &self.replica.integrity;
        let why = why.map(|why| format!("this member is recovering lost data: {why}"));
        let recovers = why.is_some();
        let recovered = {
            let mut noted = integrity.recovering.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *noted, why).is_some()
        };
        if recovers && !recovered {
            self.replica.turn_away();
        } else if recovered && integrity.serves() {
            self.replica.proposals.serve_again();
        }
    }
}
