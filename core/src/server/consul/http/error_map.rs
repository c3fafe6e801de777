//! Maps failures to HTTP responses: a status and a text, never JSON.

use std::borrow::Cow;

use coord_state::Rejection;
use coord_wire::consul::DecodeError;
use hyper::StatusCode;

use crate::agent::AgentError;
use crate::error::{Error, ErrorKind};
use crate::node::TooLarge;

/// A failed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HttpError {
    status: StatusCode,
    text: Cow<'static, str>,
}

impl HttpError {
    pub(crate) fn new(status: StatusCode, text: impl Into<Cow<'static, str>>) -> Self {
        Self { status, text: text.into() }
    }

    /// 400.
    pub(crate) fn bad_request(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// 404.
    pub(crate) fn not_found(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }

    /// 500, which in Consul is most of what goes wrong, faulty requests included.
    pub(crate) fn internal(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, text)
    }

    /// 413.
    pub(crate) fn too_large(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, text)
    }

    /// 429 for a request that there is no room for.
    pub(crate) fn too_much_is_kept() -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "HTTP connections use as much memory as they may, those of your address \
             (limits.http_bytes_per_ip_max) or all together (limits.http_bytes_max): retry after \
             earlier requests are answered",
        )
    }

    /// The same for an answer.
    pub(crate) fn answer_too_long() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "The response does not fit into the memory left for HTTP connections \
             (limits.http_bytes_per_ip_max, limits.http_bytes_max): read earlier responses first, \
             or ask for less at once",
        )
    }

    /// 400 for a body that was not understood.
    pub(crate) fn undecodable(error: &DecodeError) -> Self {
        Self::bad_request(format!("Request decode failed: {error}"))
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

impl From<Error> for HttpError {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::NotLeader { .. } | ErrorKind::Unavailable => {
                Self::internal("No cluster leader")
            }
            ErrorKind::ReadOnly => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, format!("Writes are refused: {error}"))
            }
            ErrorKind::Indeterminate => Self::internal("leadership lost while committing log"),
            ErrorKind::Closed => Self::internal("server is shutting down"),
            ErrorKind::Invalid if is_too_large(&error) => Self::too_large(error.to_string()),
            ErrorKind::Invalid => Self::bad_request(error.to_string()),
            ErrorKind::Corrupt | ErrorKind::Internal => Self::internal(error.chain()),
            ErrorKind::Rejected(rejection) => rejection.into(),
        }
    }
}

fn is_too_large(error: &Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<TooLarge>())
}

/// Invariant D2: complete by the compiler.
impl From<&Rejection> for HttpError {
    fn from(rejection: &Rejection) -> Self {
        match rejection {
            // Consul knows no dependencies, so these need not look like its own refusals.
            Rejection::Consul(refused) if refused.is_about_dependencies() => {
                Self::bad_request(refused.to_string())
            }
            // Consul validates behind its RPC layer, so even these are 500.
            Rejection::Consul(refused) => Self::internal(refused.to_string()),
            Rejection::Archive(refused) => Self::internal(refused.to_string()),
            Rejection::NoAuth => Self::new(StatusCode::FORBIDDEN, "Permission denied"),
            // No request of this API leads to the others: they are ZooKeeper's.
            Rejection::BadArguments(_)
            | Rejection::Unimplemented
            | Rejection::NoNode
            | Rejection::BadVersion
            | Rejection::NoChildrenForEphemerals
            | Rejection::NodeExists
            | Rejection::NotEmpty
            | Rejection::SessionExpired
            | Rejection::SessionMoved
            | Rejection::InvalidAcl
            | Rejection::QuotaExceeded
            | Rejection::MultiFailed { .. } => Self::internal(rejection.to_string()),
        }
    }
}

impl From<AgentError> for HttpError {
    fn from(error: AgentError) -> Self {
        match error {
            AgentError::Invalid(text) => Self::bad_request(text),
            AgentError::NotFound(text) => Self::not_found(text),
            AgentError::Impossible(text) => Self::internal(text),
            AgentError::Failed(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use coord_state::consul::ConsulRejection;

    use super::*;

    #[test]
    fn a_lock_for_a_dead_session_is_a_500_that_begins_with_the_reason() {
        let rejection = Rejection::Consul(ConsulRejection::InvalidSession("x".into()));
        let error = HttpError::from(Error::from(rejection));
        assert_eq!(error.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(error.text(), "invalid session \"x\"");
    }

    #[test]
    fn a_change_that_is_too_large_to_be_ordered_is_a_413() {
        let too_large = Error::invalid("x").caused_by(TooLarge { bytes: 9, bytes_max: 8 });
        assert_eq!(HttpError::from(too_large).status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(HttpError::from(Error::invalid("x")).status(), StatusCode::BAD_REQUEST);
    }

    #[test]
    fn a_missing_leader_has_consuls_text() {
        let error = HttpError::from(Error::unavailable("nobody"));
        assert_eq!((error.status().as_u16(), error.text()), (500, "No cluster leader"));
    }
}
