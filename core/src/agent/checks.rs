//! Where probes will report: HTTP, TCP, script and other checks that the agent
//! runs itself.
//!
//! Such a check is accepted, kept and shown, but nothing probes it yet: it
//! keeps the status it was registered with. A runner takes its definition from
//! [`super::Registrations::checks`] and reports through [`Agent::judge_check`],
//! which is also what the TTL verbs use.

use std::time::Duration;

use coord_state::consul::CheckStatus;

use super::{Agent, LocalCheck};
use crate::agent::ordering::Ordered;

/// How long the catalog may show an older output of an unchanged verdict.
const OUTPUT_DELAY: Duration = Duration::from_secs(300);

impl Agent {
    /// Takes a verdict. The catalog learns of another status at once, of
    /// another output alone only later: a heartbeat with a fresh text would
    /// otherwise wake every watcher each time. Nothing to await if so.
    pub(super) fn judge_check(
        &self,
        id: &str,
        status: CheckStatus,
        output: String,
    ) -> Option<Ordered> {
        let now = self.node.clock().monotonic();
        let mut local = self.local();
        let check = local.check_mut(id)?;
        let same_output = check.output == output;
        if check.judge(status, output, now) {
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
