//! Maps ZooKeeper's error codes to our error kinds and back.

use coord_state::Rejection;
use coord_wire::zookeeper::ErrorCode;

use crate::{Error, ErrorKind};

/// The ZooKeeper code of `error`: the one from the server or, for local errors,
/// the one that ZooKeeper's own clients use. `None` if ZooKeeper has no code
/// for it.
pub fn zookeeper_code(error: &Error) -> Option<i32> {
    let source = std::error::Error::source(error);
    if let Some(code) = source.and_then(|source| source.downcast_ref::<ErrorCode>()) {
        return Some(code.code());
    }
    let code = match error.kind() {
        ErrorKind::Rejected(rejection) => rejection.into(),
        ErrorKind::Indeterminate | ErrorKind::NotLeader { .. } => ErrorCode::ConnectionLoss,
        ErrorKind::Closed => ErrorCode::Closing,
        ErrorKind::Invalid => ErrorCode::BadArguments,
        ErrorKind::Unavailable => ErrorCode::ConnectionLoss,
        ErrorKind::ReadOnly => ErrorCode::NotReadOnly,
        ErrorKind::Corrupt => ErrorCode::MarshallingError,
        ErrorKind::Internal => return None,
    };
    Some(code.code())
}

/// The error kind of a code: rejections are `Rejected`, the others tell the
/// caller what to do next.
pub fn kind_of_code(code: ErrorCode) -> ErrorKind {
    let rejection = match code {
        ErrorCode::BadArguments => Rejection::BadArguments("the server rejected an argument"),
        ErrorCode::Unimplemented | ErrorCode::ReconfigDisabled => Rejection::Unimplemented,
        ErrorCode::NoNode => Rejection::NoNode,
        ErrorCode::NoAuth | ErrorCode::AuthFailed | ErrorCode::SessionClosedRequireSaslAuth => {
            Rejection::NoAuth
        }
        ErrorCode::BadVersion => Rejection::BadVersion,
        ErrorCode::NoChildrenForEphemerals => Rejection::NoChildrenForEphemerals,
        ErrorCode::NodeExists => Rejection::NodeExists,
        ErrorCode::NotEmpty => Rejection::NotEmpty,
        ErrorCode::SessionExpired | ErrorCode::UnknownSession => Rejection::SessionExpired,
        ErrorCode::SessionMoved => Rejection::SessionMoved,
        ErrorCode::InvalidAcl => Rejection::InvalidAcl,
        ErrorCode::QuotaExceeded => Rejection::QuotaExceeded,

        ErrorCode::ConnectionLoss | ErrorCode::OperationTimeout | ErrorCode::RequestTimeout => {
            return ErrorKind::Indeterminate;
        }
        ErrorCode::NotReadOnly
        | ErrorCode::ThrottledOp
        | ErrorCode::NewConfigNoQuorum
        | ErrorCode::ReconfigInProgress => return ErrorKind::Unavailable,
        ErrorCode::Closing | ErrorCode::InvalidState => return ErrorKind::Closed,
        ErrorCode::MarshallingError
        | ErrorCode::InvalidCallback
        | ErrorCode::EphemeralOnLocalSession
        | ErrorCode::NoWatcher => return ErrorKind::Invalid,
        ErrorCode::Ok
        | ErrorCode::SystemError
        | ErrorCode::RuntimeInconsistency
        | ErrorCode::DataInconsistency
        | ErrorCode::SslConnectionError
        | ErrorCode::ApiError
        | ErrorCode::Nothing
        | ErrorCode::Unknown(_) => return ErrorKind::Internal,
    };
    ErrorKind::Rejected(rejection)
}

/// The error of a call that was answered with `code`.
pub(super) fn error_of_code(code: ErrorCode, what: &str) -> Error {
    error_of_kind(kind_of_code(code), code, what)
}

/// Like [`error_of_code`], if the kind is known more precisely.
pub(super) fn error_of_kind(kind: ErrorKind, code: ErrorCode, what: &str) -> Error {
    let text = match &kind {
        ErrorKind::Rejected(rejection) => format!("{what}: {rejection}"),
        ErrorKind::Indeterminate => {
            format!(
                "{what}: the connection was lost before the response, so it may or may not have \
                 taken effect ({})",
                code.name()
            )
        }
        ErrorKind::Closed => format!("{what}: the client is closed"),
        _ => format!("{what}: {code}"),
    };
    Error::new(kind, text).caused_by(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_keep_their_code_both_ways() {
        for &code in ErrorCode::ALL {
            let ErrorKind::Rejected(rejection) = kind_of_code(code) else { continue };
            let back = ErrorCode::from(&rejection);
            assert_eq!(kind_of_code(back), ErrorKind::Rejected(rejection), "{code}");
        }
    }

    #[test]
    fn every_code_survives_inside_an_error() {
        for &code in ErrorCode::ALL {
            assert_eq!(zookeeper_code(&error_of_code(code, "call")), Some(code.code()));
        }
        let odd = error_of_code(ErrorCode::Unknown(-999), "call");
        assert_eq!((zookeeper_code(&odd), odd.kind()), (Some(-999), &ErrorKind::Internal));
    }

    #[test]
    fn errors_without_a_code_get_that_of_their_kind() {
        assert_eq!(zookeeper_code(&Error::from(Rejection::NoNode)), Some(-101));
        assert_eq!(zookeeper_code(&Error::closed("")), Some(-116));
        assert_eq!(zookeeper_code(&Error::internal("")), None);
    }
}
