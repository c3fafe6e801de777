//! Constant responses.

use hyper::StatusCode;

use super::answer::Answer;
use super::error_map::HttpError;

pub(crate) fn acl_disabled() -> Result<Answer, HttpError> {
    Err(HttpError::new(StatusCode::UNAUTHORIZED, "ACL support disabled"))
}
