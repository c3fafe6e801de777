//! What ZooKeeper calls a refusal.

use coord_state::Rejection;
use coord_wire::zookeeper::ErrorCode;

/// The code for a refusal; `None` if the connection is closed instead of
/// answered.
pub(super) fn error_code(rejection: &Rejection) -> Option<ErrorCode> {
    Some(match rejection {
        Rejection::BadArguments(_) => ErrorCode::BadArguments,
        Rejection::Unimplemented => ErrorCode::Unimplemented,
        Rejection::NoNode => ErrorCode::NoNode,
        Rejection::NoAuth => ErrorCode::NoAuth,
        Rejection::BadVersion => ErrorCode::BadVersion,
        Rejection::NoChildrenForEphemerals => ErrorCode::NoChildrenForEphemerals,
        Rejection::NodeExists => ErrorCode::NodeExists,
        Rejection::NotEmpty => ErrorCode::NotEmpty,
        Rejection::SessionExpired => ErrorCode::SessionExpired,
        Rejection::SessionMoved => return None,
        Rejection::InvalidAcl => ErrorCode::InvalidAcl,
        Rejection::QuotaExceeded => ErrorCode::QuotaExceeded,
        Rejection::MultiFailed { cause, .. } => return error_code(cause),
        // No command of this server is answered so; it would be a fault of ours.
        Rejection::Consul(_) | Rejection::Archive(_) => ErrorCode::MarshallingError,
    })
}
