//! Receivers of the apply task's results. Implementations must not block and
//! must not call back into the node: they run while the state is locked.

use std::sync::Arc;

use coord_state::event::ZnodeEventKind;
use coord_state::znode::Acl;
use coord_state::{Applied, Attachment, Revision};

use crate::error::Error;

/// Gets the outcome of a submitted command.
pub trait ReplySink: Send + Sync + 'static {
    /// The command submitted with `token` was applied, or will not be (or, as
    /// `Indeterminate`, nobody knows).
    ///
    /// Outcomes of commands submitted in order through one node arrive in that
    /// order, except that a refusal to take a command in (an error, never
    /// `Ok`) may overtake. Events of a command are delivered before its outcome.
    fn complete(&self, token: u64, outcome: Result<Applied, Error>);
}

/// A client connection that can own a session and have watches.
pub trait ConnectionSink: Send + Sync + 'static {
    /// A watch fired. Delivered before any read or reply can show a state at
    /// or past `revision`.
    fn watch_event(&self, revision: Revision, kind: ZnodeEventKind, path: &Arc<str>);

    /// Whether the connection may be told about a znode with this access list.
    fn may_read(&self, acl: &Acl) -> bool;

    /// The session of this connection was closed or expired at `revision`.
    fn session_closed(&self, revision: Revision);

    /// The session of this connection now belongs to another one.
    fn session_moved(&self, to: Attachment);

    /// The state was replaced as a whole by that of `revision`: what the
    /// connection's watches waited for may have happened unseen.
    fn state_replaced(&self, revision: Revision);
}
