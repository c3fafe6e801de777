//! Verbs on Consul's tables.

use coord_state::consul::ConsulReply;

use super::Verb;

/// The verbs of this area.
pub(crate) fn verb(_name: &str) -> Option<Verb> {
    None
}

/// One of Consul's answers, as scripts show it.
pub(crate) fn reply_text(reply: &ConsulReply) -> String {
    format!("{reply:?}")
}
