//! Commands on znodes.

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::digest::ContentHash;
use crate::id::{Attachment, SessionId};
use crate::znode::{Ace, Identity, Reach};

/// A change to the tree, and who asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZnodeCommand {
    /// Who asks.
    pub caller: Caller,
    /// What for.
    pub op: ZnodeOp,
}

/// On whose behalf a znode command runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The session and the connection that owns it. The command is refused as
    /// `SessionExpired` if the session is gone and as `SessionMoved` if
    /// another connection owns it now. `None` is the system itself (sweeps,
    /// in-process callers): no session, no ephemerals.
    pub session: Option<(SessionId, Attachment)>,
    /// What the connection has proven to be, apart from `world` and from what
    /// it told before, which counts, too: see
    /// [`crate::session::SessionCommand::Identify`].
    pub identities: Box<[Identity]>,
}

/// One change, or several that happen together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ZnodeOp {
    /// One operation. Replies: `Created`, `Done` (delete, check), `Set`.
    Single(MultiOp),
    /// `SetAcl`. Reply: `Set`.
    SetAcl {
        /// Which.
        path: Box<str>,
        /// The new list; `None` as on the wire is refused as `InvalidAcl`.
        acl: Option<Vec<Ace>>,
        /// The expected `aversion`, -1 for any.
        version: i32,
    },
    /// All or nothing, one revision. Reply: `Multi`; refused as `MultiFailed`.
    Multi(Vec<MultiOp>),
    /// The members changed: these lines, and a line with the version behind
    /// them, become the data of `/zookeeper/config`. Refused with a session,
    /// so to clients. Reply: `Done`.
    SetConfig {
        /// One per member, each with its end.
        lines: Box<str>,
    },
    /// The sweep found an empty container or an outlived TTL node; checked
    /// again here. Reply: `Done`.
    Reap {
        /// Which.
        path: Box<str>,
    },
    /// The sweep found a container that never had a child and was not set for
    /// too long; checked again here. Reply: `Done`.
    ReapUnused {
        /// Which.
        path: Box<str>,
        /// For longer than this, in milliseconds.
        unused_ms: u64,
    },
}

/// What can stand inside a `multi`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MultiOp {
    /// Create a znode.
    Create {
        /// Its path; a sequential one gets ten digits behind it.
        path: Box<str>,
        /// `None` is kept apart from empty, as ZooKeeper does.
        data: Option<Bytes>,
        /// Its access list; `None` or empty is refused as `InvalidAcl`.
        acl: Option<Vec<Ace>>,
        /// Its kind.
        mode: CreateMode,
    },
    /// Delete a znode without children.
    Delete {
        /// Which.
        path: Box<str>,
        /// The expected data version, -1 for any.
        version: i32,
    },
    /// Set a znode's data.
    SetData {
        /// Which.
        path: Box<str>,
        /// `None` is kept apart from empty.
        data: Option<Bytes>,
        /// The expected data version, -1 for any.
        version: i32,
    },
    /// Refuse the whole unless the data version is the expected one.
    CheckVersion {
        /// Which.
        path: Box<str>,
        /// The expected data version, -1 for any (then only existence counts).
        version: i32,
    },
    /// Refuse the whole as `BadVersion` unless the content is the expected one.
    CheckHash {
        /// Which.
        path: Box<str>,
        /// Whether what is below it counts.
        reach: Reach,
        /// The expected hash.
        hash: ContentHash,
    },
    /// Refuse the whole as `NodeExists` if the znode is there.
    CheckAbsent {
        /// Which.
        path: Box<str>,
        /// Only with this data version, -1 for any.
        version: i32,
    },
    /// As `Create`, but fine if the znode is there already. Never sequential.
    CreateIfAbsent {
        /// Its path.
        path: Box<str>,
        /// As for `Create`.
        data: Option<Bytes>,
        /// As for `Create`.
        acl: Option<Vec<Ace>>,
        /// Its kind.
        mode: CreateMode,
    },
    /// Delete a znode and everything below it, or nothing.
    DeleteSubtree {
        /// Which.
        path: Box<str>,
        /// Refused as `NotEmpty` if there are more; never more than
        /// [`crate::znode::DELETED_MAX`].
        limit: u32,
    },
}

/// The kind of a znode to create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreateMode {
    /// Stays until deleted.
    Persistent {
        /// Append a sequence number.
        sequential: bool,
    },
    /// Goes with its session.
    Ephemeral {
        /// Append a sequence number.
        sequential: bool,
    },
    /// Goes some time after its last child.
    Container,
    /// Goes when it has no children and was not set for `ttl_ms`.
    Ttl {
        /// Append a sequence number.
        sequential: bool,
        /// 1 to 2^40 − 1.
        ttl_ms: u64,
    },
}
