//! What a user can set about the page in the browser.

use serde::{Deserialize, Serialize};

/// The web UI.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UiSettings {
    /// Whether the HTTP port serves the web UI at `/ui/`, with a redirect from
    /// `/`. The UI is read-only and shows only what the HTTP API returns to
    /// anyone. Default no. Consul: `ui_config.enabled`.
    pub enabled: bool,
}
