//! Events: the changes made by a command, for ZooKeeper watches and Consul
//! blocking queries. All members produce the same events; each member has its
//! own waiters.

use alloc::sync::Arc;

use bytes::Bytes;

use crate::id::{Attachment, SessionId};
use crate::znode::Acl;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A znode changed, or its list of children did.
    Znode {
        /// What happened.
        kind: ZnodeEventKind,
        /// The znode the event is about.
        path: Arc<str>,
        /// Its access list (of a deleted node, the last one it had): only
        /// those who may read it are told.
        acl: Acl,
    },
    /// A session ended, by close or expiry: its connection is to be closed.
    SessionClosed {
        /// Which.
        session: SessionId,
    },
    /// A session is now owned by another connection.
    SessionAttached {
        /// Which.
        session: SessionId,
        /// Its new owner; all older connections are to be closed.
        attachment: Attachment,
    },
    /// Something a Consul blocking query may wait for.
    Changed(Topic),
    /// The whole state was replaced by a snapshot or an archive: everybody looks
    /// again.
    Restored,
}

/// Values as on ZooKeeper's wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZnodeEventKind {
    /// The znode came into being.
    Created = 1,
    /// The znode is gone.
    Deleted = 2,
    /// Its data was set.
    DataChanged = 3,
    /// A child was created or deleted.
    ChildrenChanged = 4,
}

/// What a Consul blocking query can wait on. A query registers on every topic
/// that can change its answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// One key, or (for a waiter) with [`Topic::KeyPrefix`] all that begin so.
    Key(Bytes),
    /// Waiters only: any key with this prefix.
    KeyPrefix(Bytes),
    /// Any record in the nodes table.
    Nodes,
    /// One catalog node, its services and checks; name in lower case.
    Node(Arc<str>),
    /// Any record in the services table.
    Services,
    /// One service name (lower case): its instances, their checks, their nodes.
    Service(Arc<str>),
    /// Any health check.
    Checks,
    /// Any Consul session.
    Sessions,
    /// Any prepared query.
    PreparedQueries,
    /// Any coordinate.
    Coordinates,
    /// What services depend on, which there are, and how they fare: once any of
    /// them ever depended on another.
    Graph,
    /// Any config entry.
    ConfigEntries,
    /// Any intention.
    Intentions,
    /// Waiters only: nothing but the replacement of the whole state.
    Restoration,
}
