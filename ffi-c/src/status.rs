//! Status codes. Numbers are stable and never reused. Those of ZooKeeper are
//! ZooKeeper's own; our own are positive.

use coord_core::client::consul::ConsulFailure;
use coord_core::client::zookeeper::ErrorCode;
use coord_core::{Error, ErrorKind};

/// The result of a call: `COORD_OK`, or why it failed.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(non_camel_case_types, reason = "the name is C's")]
pub enum coord_status {
    /// Success.
    COORD_OK = 0,

    /// This member is not the leader: retry there.
    COORD_NOT_LEADER = 1,
    /// Nothing was applied; retry later.
    COORD_UNAVAILABLE = 2,
    /// The call may or may not have taken effect: read again before retrying.
    COORD_INDETERMINATE = 3,
    /// The handle was closed.
    COORD_CLOSED = 4,
    /// The call itself is wrong: an argument is NULL, not UTF-8 or not acceptable.
    COORD_INVALID = 5,
    /// Stored or received data is damaged: stop and repair.
    COORD_CORRUPT = 6,
    /// A bug in libcoord: please report it.
    COORD_INTERNAL = 7,
    /// Nothing happened within the timeout.
    COORD_TIMEOUT = 8,
    /// A panic in libcoord was caught; do not use the handle any more.
    COORD_PANIC = 9,
    /// The handle was created before fork(): open a new one in the child.
    COORD_FORKED = 10,
    /// A Consul server refused the call; see `coord_error_http_status`.
    COORD_HTTP = 11,
    /// The key, service or other object does not exist.
    COORD_NOT_FOUND = 12,

    /// ZooKeeper: a request or reply could not be decoded.
    COORD_ZK_MARSHALLING_ERROR = -5,
    /// ZooKeeper: the server does not support the operation.
    COORD_ZK_UNIMPLEMENTED = -6,
    /// ZooKeeper: bad path, flags or other argument.
    COORD_ZK_BAD_ARGUMENTS = -8,
    /// ZooKeeper: no such znode, or no such parent.
    COORD_ZK_NO_NODE = -101,
    /// ZooKeeper: the ACL forbids it.
    COORD_ZK_NO_AUTH = -102,
    /// ZooKeeper: the version is not the expected one.
    COORD_ZK_BAD_VERSION = -103,
    /// ZooKeeper: ephemeral znodes cannot have children.
    COORD_ZK_NO_CHILDREN_FOR_EPHEMERALS = -108,
    /// ZooKeeper: the znode already exists.
    COORD_ZK_NODE_EXISTS = -110,
    /// ZooKeeper: the znode has children.
    COORD_ZK_NOT_EMPTY = -111,
    /// ZooKeeper: the session has expired.
    COORD_ZK_SESSION_EXPIRED = -112,
    /// ZooKeeper: the ACL is invalid.
    COORD_ZK_INVALID_ACL = -114,
    /// ZooKeeper: authentication failed.
    COORD_ZK_AUTH_FAILED = -115,
    /// ZooKeeper: the session moved to another connection.
    COORD_ZK_SESSION_MOVED = -118,
    /// ZooKeeper: the server is read-only.
    COORD_ZK_NOT_READ_ONLY = -119,
    /// ZooKeeper: a quota would be exceeded.
    COORD_ZK_QUOTA_EXCEEDED = -125,
    /// ZooKeeper: any other code; see `coord_error_zk_code`.
    COORD_ZK_OTHER = -100,
}

impl coord_status {
    /// The status of an error of the core.
    pub(crate) fn of(error: &Error) -> Self {
        let by_code = code_sent(error).and_then(Self::of_zookeeper);
        let by_http = http_status_sent(error);
        match (error.kind(), by_code, by_http) {
            (_, Some(status), _) => status,
            (ErrorKind::Invalid | ErrorKind::Rejected(_), None, Some(404)) => Self::COORD_NOT_FOUND,
            (ErrorKind::Invalid | ErrorKind::Rejected(_), None, Some(_)) => Self::COORD_HTTP,
            (kind, None, _) => Self::of_kind(kind),
        }
    }

    fn of_kind(kind: &ErrorKind) -> Self {
        match kind {
            ErrorKind::NotLeader { .. } => Self::COORD_NOT_LEADER,
            ErrorKind::Unavailable | ErrorKind::ReadOnly => Self::COORD_UNAVAILABLE,
            ErrorKind::Indeterminate => Self::COORD_INDETERMINATE,
            ErrorKind::Closed => Self::COORD_CLOSED,
            ErrorKind::Invalid => Self::COORD_INVALID,
            ErrorKind::Corrupt => Self::COORD_CORRUPT,
            // Those of ZooKeeper have a code; what has none is Consul's.
            ErrorKind::Rejected(rejection) => {
                Self::of_zookeeper(rejection.into()).unwrap_or(Self::COORD_HTTP)
            }
            ErrorKind::Internal => Self::COORD_INTERNAL,
        }
    }

    /// The status that stands for a code of ZooKeeper; `None` where the kind of
    /// the error says more.
    fn of_zookeeper(code: ErrorCode) -> Option<Self> {
        Some(match code {
            ErrorCode::MarshallingError => Self::COORD_ZK_MARSHALLING_ERROR,
            ErrorCode::Unimplemented => Self::COORD_ZK_UNIMPLEMENTED,
            ErrorCode::BadArguments => Self::COORD_ZK_BAD_ARGUMENTS,
            ErrorCode::NoNode => Self::COORD_ZK_NO_NODE,
            ErrorCode::NoAuth => Self::COORD_ZK_NO_AUTH,
            ErrorCode::BadVersion => Self::COORD_ZK_BAD_VERSION,
            ErrorCode::NoChildrenForEphemerals => Self::COORD_ZK_NO_CHILDREN_FOR_EPHEMERALS,
            ErrorCode::NodeExists => Self::COORD_ZK_NODE_EXISTS,
            ErrorCode::NotEmpty => Self::COORD_ZK_NOT_EMPTY,
            ErrorCode::SessionExpired | ErrorCode::UnknownSession => Self::COORD_ZK_SESSION_EXPIRED,
            ErrorCode::InvalidAcl => Self::COORD_ZK_INVALID_ACL,
            ErrorCode::AuthFailed => Self::COORD_ZK_AUTH_FAILED,
            ErrorCode::SessionMoved => Self::COORD_ZK_SESSION_MOVED,
            ErrorCode::NotReadOnly => Self::COORD_ZK_NOT_READ_ONLY,
            ErrorCode::QuotaExceeded => Self::COORD_ZK_QUOTA_EXCEEDED,
            ErrorCode::RuntimeInconsistency
            | ErrorCode::DataInconsistency
            | ErrorCode::NewConfigNoQuorum
            | ErrorCode::ReconfigInProgress
            | ErrorCode::ReconfigDisabled
            | ErrorCode::EphemeralOnLocalSession
            | ErrorCode::NoWatcher
            | ErrorCode::SessionClosedRequireSaslAuth
            | ErrorCode::ApiError
            | ErrorCode::Unknown(_) => Self::COORD_ZK_OTHER,
            ErrorCode::Ok
            | ErrorCode::SystemError
            | ErrorCode::ConnectionLoss
            | ErrorCode::OperationTimeout
            | ErrorCode::InvalidState
            | ErrorCode::SslConnectionError
            | ErrorCode::InvalidCallback
            | ErrorCode::Closing
            | ErrorCode::Nothing
            | ErrorCode::RequestTimeout
            | ErrorCode::ThrottledOp => return None,
        })
    }
}

/// ZooKeeper's code behind an error, if it is one of a ZooKeeper client.
pub(crate) fn code_sent(error: &Error) -> Option<ErrorCode> {
    std::error::Error::source(error)?.downcast_ref().copied()
}

/// The HTTP status behind an error, if a Consul server answered one.
pub(crate) fn http_status_sent(error: &Error) -> Option<u16> {
    match ConsulFailure::of(error)? {
        ConsulFailure::Status { status, .. } => Some(*status),
        ConsulFailure::TimedOut(_) | ConsulFailure::Transport(_) | ConsulFailure::Unexpected(_) => {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_named_after_zookeeper_has_its_number() {
        for &code in ErrorCode::ALL {
            let Some(status) = coord_status::of_zookeeper(code) else { continue };
            let shared = matches!(code, ErrorCode::UnknownSession);
            if status != coord_status::COORD_ZK_OTHER && !shared {
                assert_eq!(status as i32, code.code(), "{code}");
            }
        }
    }

    #[test]
    fn the_kind_decides_where_nobody_sent_a_code() {
        assert_eq!(coord_status::of(&Error::closed("x")), coord_status::COORD_CLOSED);
        assert_eq!(coord_status::of(&Error::invalid("x")), coord_status::COORD_INVALID);
        let lost = Error::indeterminate("x").caused_by(ErrorCode::ConnectionLoss);
        assert_eq!(coord_status::of(&lost), coord_status::COORD_INDETERMINATE);
    }

    #[test]
    fn a_missing_thing_is_not_found_and_another_refusal_is_http() {
        let of = |status| {
            let failure = ConsulFailure::Status { status, body: String::new() };
            coord_status::of(&Error::invalid("x").caused_by(failure))
        };
        assert_eq!(of(404), coord_status::COORD_NOT_FOUND);
        assert_eq!(of(400), coord_status::COORD_HTTP);
    }
}
