//! Status codes. Numbers are stable and never reused. Those of ZooKeeper are
//! ZooKeeper's own; our own are positive.

use coord_core::{Error, ErrorKind};

/// What a call returns: `COORD_OK`, or why not.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(non_camel_case_types, reason = "the name is C's")]
pub enum coord_status {
    /// Done.
    COORD_OK = 0,

    /// This member is not the leader: ask again there.
    COORD_NOT_LEADER = 1,
    /// Nothing was applied; try again later.
    COORD_UNAVAILABLE = 2,
    /// It may or may not have been applied: read again before retrying.
    COORD_INDETERMINATE = 3,
    /// The handle was closed.
    COORD_CLOSED = 4,
    /// The call itself is wrong: an argument is NULL, not UTF-8 or not acceptable.
    COORD_INVALID = 5,
    /// Stored or received data is damaged: stop and repair.
    COORD_CORRUPT = 6,
    /// A fault of libcoord: please report it.
    COORD_INTERNAL = 7,
    /// Nothing happened within the time given.
    COORD_TIMEOUT = 8,
    /// A fault of libcoord was caught at the boundary; the handle is not to be used further.
    COORD_PANIC = 9,
    /// The process was forked since the handle was made: open a new one here.
    COORD_FORKED = 10,
    /// A Consul server refused; `coord_error_http_status` tells the HTTP status.
    COORD_HTTP = 11,
    /// The key, service or other thing asked for is not there.
    COORD_NOT_FOUND = 12,

    /// ZooKeeper: a request or reply could not be read.
    COORD_ZK_MARSHALLING_ERROR = -5,
    /// ZooKeeper: the server does not know the operation.
    COORD_ZK_UNIMPLEMENTED = -6,
    /// ZooKeeper: bad path, flags or other argument.
    COORD_ZK_BAD_ARGUMENTS = -8,
    /// ZooKeeper: no such znode, or no such parent.
    COORD_ZK_NO_NODE = -101,
    /// ZooKeeper: the access list forbids it.
    COORD_ZK_NO_AUTH = -102,
    /// ZooKeeper: the version is not the expected one.
    COORD_ZK_BAD_VERSION = -103,
    /// ZooKeeper: ephemerals have no children.
    COORD_ZK_NO_CHILDREN_FOR_EPHEMERALS = -108,
    /// ZooKeeper: the znode is there already.
    COORD_ZK_NODE_EXISTS = -110,
    /// ZooKeeper: the znode has children.
    COORD_ZK_NOT_EMPTY = -111,
    /// ZooKeeper: the session has expired.
    COORD_ZK_SESSION_EXPIRED = -112,
    /// ZooKeeper: the access list is invalid.
    COORD_ZK_INVALID_ACL = -114,
    /// ZooKeeper: authentication failed.
    COORD_ZK_AUTH_FAILED = -115,
    /// ZooKeeper: the session moved to another connection.
    COORD_ZK_SESSION_MOVED = -118,
    /// ZooKeeper: the server is read-only.
    COORD_ZK_NOT_READ_ONLY = -119,
    /// ZooKeeper: a quota would be exceeded.
    COORD_ZK_QUOTA_EXCEEDED = -125,
    /// ZooKeeper: another of its codes; `coord_error_zk_code` tells which.
    COORD_ZK_OTHER = -100,
}

impl coord_status {
    /// The status of an error that is not a server's refusal.
    pub(crate) fn of_kind(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::NotLeader { .. } => Self::COORD_NOT_LEADER,
            ErrorKind::Unavailable => Self::COORD_UNAVAILABLE,
            ErrorKind::Indeterminate => Self::COORD_INDETERMINATE,
            ErrorKind::Closed => Self::COORD_CLOSED,
            ErrorKind::Invalid => Self::COORD_INVALID,
            ErrorKind::Corrupt => Self::COORD_CORRUPT,
            ErrorKind::Rejected(_) => Self::COORD_HTTP,
            ErrorKind::Internal => Self::COORD_INTERNAL,
        }
    }
}
