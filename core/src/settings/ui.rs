//! What a user can set about the page in the browser.

use serde::{Deserialize, Serialize};

/// The page in the browser.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UiSettings {
    /// Whether the HTTP port shows it at `/ui/`, where `/` then leads. It only
    /// reads, and shows what the port tells everybody anyway. Default no.
    /// Consul: `ui_config.enabled`.
    pub enabled: bool,
}
