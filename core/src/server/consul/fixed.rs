//! Answers that are always the same.

use hyper::StatusCode;

use super::answer::Answer;
use super::error_map::HttpError;

pub(super) fn acl_disabled() -> Result<Answer, HttpError> {
    Err(HttpError::new(StatusCode::UNAUTHORIZED, "ACL support disabled"))
}

/// The process belongs to whoever embeds the member.
pub(super) fn leave() -> Result<Answer, HttpError> {
    Err(HttpError::internal("leaving over HTTP is not supported: stop the process instead"))
}
