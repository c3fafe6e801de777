//! The checks that the agent runs, and how their status is determined.
//!
//! ```text
//!  Registrations --changed--> run_checks: one task per check
//!                                |  interval, permit, probe
//!                                v
//!                           Thresholds --status--> judge --> catalog
//! ```
//!
//! When a check is deregistered or replaced, its task ends and releases what
//! the probe holds: sockets are closed, the processes of a script are killed. A
//! result counts only while the definition that produced it is still
//! registered, so a late result never reaches a successor.
//!
//! One file per kind of probe. TTL checks, which are not run but reported, are
//! in [`super::ttl`].

mod alias;
mod dial;
mod docker;
mod grpc;
mod h2ping;
mod http;
mod os_service;
mod probe;
mod runner;
mod script;
mod secure;
mod tail;
mod tcp;
mod thresholds;
mod udp;

pub(super) use runner::PROBES_MAX;
pub(super) use secure::Connectors;

use std::time::Duration;

use coord_state::consul::CheckStatus;
use coord_wire::consul::check::CheckDefinition;

use super::ordering::Ordered;
use super::registrations::same_probe;
use super::{Agent, LocalCheck};

/// How long the catalog may show an older output of an unchanged verdict.
pub const OUTPUT_DELAY: Duration = Duration::from_secs(300);

impl Agent {
    /// Takes a verdict. The catalog learns of another status and of a first
    /// output at once, of another output alone only later: a heartbeat with a fresh text would
    /// otherwise wake every watcher each time. Nothing to await if so.
    pub(super) fn judge_check(
        &self,
        id: &str,
        status: CheckStatus,
        output: String,
    ) -> Option<Ordered> {
        self.judge_if(id, status, output, |_| true)
    }

    /// Takes what a probe found, if its check is still registered as it was.
    async fn report(&self, of: &CheckDefinition, status: CheckStatus, output: String) {
        let current = |check: &LocalCheck| same_probe(&check.definition, of);
        let ordered = self.judge_if(&of.id, status, output, current);
        self.settle(ordered.into_iter().collect()).await;
    }

    fn judge_if(
        &self,
        id: &str,
        status: CheckStatus,
        output: String,
        counts: impl FnOnce(&LocalCheck) -> bool,
    ) -> Option<Ordered> {
        let now = self.node.clock().monotonic();
        let mut local = self.local();
        let check = local.check_mut(id).filter(|check| counts(check))?;
        let same_output = check.output == output;
        // Why a check is critical is news where nothing was said before.
        let first_words = check.output.is_empty() && !same_output;
        if check.judge(status, output, now) || first_words {
            check.output_due = None;
            let check = check.to_catalog();
            return Some(self.order_registration(Vec::new(), vec![check]));
        }
        if !same_output && check.output_due.is_none() {
            check.output_due = Some(now + self.output_delay());
        }
        None
    }

    /// Between half and one and a half times the usual, so that checks
    /// registered together do not report together.
    fn output_delay(&self) -> Duration {
        let [random] = self.node.random::<1>();
        OUTPUT_DELAY / 2 + OUTPUT_DELAY * u32::from(random) / 255
    }
}

impl LocalCheck {
    /// Whether the catalog may show an older output at `now`.
    pub(super) fn output_may_lag(&self, now: Duration) -> bool {
        self.output_due.is_some_and(|due| now < due)
    }
}
