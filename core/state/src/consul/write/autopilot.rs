//! Writes autopilot's configuration, as a whole.

use crate::consul::write::Writer;
use crate::consul::{Autopilot, AutopilotSettings, Consul};

impl Writer<'_> {
    /// False if the index is not the one it was last changed at.
    pub(super) fn set_autopilot(&mut self, settings: AutopilotSettings, cas: Option<u64>) -> bool {
        let present = &self.consul.autopilot;
        if cas.is_some_and(|index| index != present.modify_index) {
            return false;
        }
        if present.settings != settings {
            let modify_index = self.revision();
            let Consul { autopilot, ledger, .. } = &mut *self.consul;
            autopilot.put(ledger, Autopilot { settings, modify_index });
        }
        true
    }
}
