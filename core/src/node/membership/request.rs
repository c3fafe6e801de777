//! A requested change of the members, and its possible outcomes.

use bytes::Bytes;
use coord_state::Revision;
use coord_state::znode::{Caller, Stat};

/// A membership change, in ZooKeeper's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MembershipChange {
    /// The caller.
    pub caller: Caller,
    /// Members to add or replace, `server.N=…` separated by commas.
    pub joining: Option<String>,
    /// Members to remove, numbers separated by commas.
    pub leaving: Option<String>,
    /// All members, instead of the two above.
    pub members: Option<String>,
    /// The expected version of the configuration; -1 for any.
    pub based_on: i64,
}

/// Why a change was refused; nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeRefusal {
    /// The leader's settings do not allow it.
    Disabled,
    /// The session has expired.
    SessionExpired,
    /// The session moved to another connection.
    SessionMoved,
    /// This member has no peer address, so no other member can join it.
    Standalone,
    /// Another change is in progress.
    InProgress,
    /// The configuration has another version.
    BadVersion,
    /// The change is invalid, or leaves too few voters.
    BadArguments,
    /// No majority of the new voters is reachable and caught up.
    NoQuorum,
    /// The caller may not write the configuration.
    NoAuth,
}

/// The configuration after a change, and its stat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedConfig {
    /// The text, including the version line.
    pub text: Bytes,
    /// Of `/zookeeper/config`.
    pub stat: Stat,
}

pub(crate) type ChangeOutcome = Result<Revision, ChangeRefusal>;
