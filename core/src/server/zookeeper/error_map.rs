//! Maps errors to ZooKeeper's error codes.

use coord_state::Rejection;
use coord_wire::zookeeper::ErrorCode;

/// The code for a refusal (D2); `None` if the connection is closed instead of
/// answered.
pub(super) fn error_code(rejection: &Rejection) -> Option<ErrorCode> {
    let code = ErrorCode::from(rejection);
    (code != ErrorCode::SessionMoved).then_some(code)
}
