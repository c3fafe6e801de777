//! Replies of commands that were not rejected.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::consul::{ConsulReply, ConsulSessionId};
use crate::znode::Stat;

/// The answer to one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Done, nothing to tell.
    Done,
    /// A session was opened or attached, with this timeout.
    Session {
        /// In milliseconds.
        timeout_ms: u32,
    },
    /// A znode was created, or was there already where that is fine.
    Created {
        /// Its path, with the sequence number if one was asked for.
        path: Arc<str>,
        /// Its stat just after that.
        stat: Stat,
    },
    /// A znode's data or access list was set.
    Set(Stat),
    /// Every operation of a `multi` succeeded.
    Multi(Vec<MultiReply>),
    /// A Consul session was created.
    ConsulSession(ConsulSessionId),
    /// Another of Consul's answers.
    Consul(ConsulReply),
}

/// The answer to one operation of a successful `multi`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MultiReply {
    /// Created, or there already where that is fine.
    Created {
        /// Its path, with the sequence number.
        path: Arc<str>,
        /// Its stat as of this operation.
        stat: Stat,
    },
    /// Deleted.
    Deleted,
    /// Set.
    Set(Stat),
    /// The version, the content or the absence was as expected.
    Checked,
}
