//! Failures of requests as data: the source of every [`Error`] of this client,
//! so that bindings can raise the exceptions that their users expect.

use std::time::Duration;

use coord_state::Rejection;
use coord_state::consul::ConsulRejection;

use crate::{Error, ErrorKind};

/// Why a request has no usable response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConsulFailure {
    /// The server answered with an error status.
    #[error("{status} {body}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// The body, as text.
        body: String,
    },
    /// No complete response in time.
    #[error("no response within {0:?}")]
    TimedOut(Duration),
    /// No connection, or it was lost.
    #[error("{0}")]
    Transport(String),
    /// An unexpected response.
    #[error("unexpected response: {0}")]
    Unexpected(String),
}

impl ConsulFailure {
    /// The failure that caused `error`, if it is from this client.
    pub fn of(error: &Error) -> Option<&Self> {
        std::error::Error::source(error)?.downcast_ref()
    }

    /// Converts to an error; `writes` says whether the request could change
    /// something, so that its outcome is unknown.
    pub(super) fn into_error(self, writes: bool) -> Error {
        let kind = match &self {
            Self::Status { status, body } => kind_of_status(*status, body, writes),
            Self::TimedOut(_) | Self::Transport(_) => in_doubt(writes),
            Self::Unexpected(_) => ErrorKind::Corrupt,
        };
        Error::new(kind, self.to_string()).caused_by(self)
    }

    /// Converts to an error about a request that was never sent.
    pub(super) fn into_unsent_error(self, authority: &str) -> Error {
        let message = match &self {
            Self::TimedOut(_) => format!("cannot reach {authority}: {self}"),
            Self::Status { .. } | Self::Transport(_) | Self::Unexpected(_) => self.to_string(),
        };
        Error::new(ErrorKind::Unavailable, message).caused_by(self)
    }
}

/// Maps an error status to a kind.
///
/// | status | kind |
/// |---|---|
/// | 403 | `Rejected(NoAuth)` |
/// | 429, 503, and 500 without a leader | `Unavailable` |
/// | 500 with the text of a rejection | `Rejected` or `Invalid` |
/// | other 5xx | `Unavailable` for reads, `Indeterminate` for writes |
/// | everything else | `Invalid` |
fn kind_of_status(status: u16, body: &str, writes: bool) -> ErrorKind {
    match status {
        403 => ErrorKind::Rejected(Rejection::NoAuth),
        429 | 503 => ErrorKind::Unavailable,
        500 => kind_of_text(body).unwrap_or_else(|| in_doubt(writes)),
        501..=599 => in_doubt(writes),
        _ => ErrorKind::Invalid,
    }
}

/// Consul answers most invalid requests with 500, so only the text
/// distinguishes them from server failures. Forwarding members add a prefix.
fn kind_of_text(body: &str) -> Option<ErrorKind> {
    const NO_LEADER: [&str; 4] = [
        "No cluster leader",
        "Not ready to serve consistent reads",
        "No known Consul servers",
        "No path to datacenter",
    ];
    const MISTAKES: [&str; 8] = [
        "Invalid Session TTL",
        "Session TTL",
        "Invalid Behavior",
        "missing session",
        "failed session lookup",
        "strconv.",
        "Must provide",
        "Missing service registration",
    ];
    let text = body.trim();
    let text = text.strip_prefix("rpc error making call: ").unwrap_or(text);
    let text = text.strip_prefix("raft apply failed: ").unwrap_or(text);
    if NO_LEADER.iter().any(|known| text.contains(known)) {
        return Some(ErrorKind::Unavailable);
    }
    let rejection = if let Some(id) = text.strip_prefix("invalid session ") {
        ConsulRejection::InvalidSession(id.trim_matches('"').into())
    } else if text == "Missing node registration" {
        ConsulRejection::MissingNode
    } else if let Some(check) = between(text, "Missing check '", "' registration") {
        ConsulRejection::MissingCheck(check.into())
    } else if let Some(check) = between(text, "Check '", "' is in critical state") {
        ConsulRejection::CriticalCheck(check.into())
    } else {
        let mistake = MISTAKES.iter().any(|known| text.starts_with(known));
        return mistake.then_some(ErrorKind::Invalid);
    };
    Some(ErrorKind::Rejected(rejection.into()))
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.strip_prefix(before)?.strip_suffix(after)
}

fn in_doubt(writes: bool) -> ErrorKind {
    if writes { ErrorKind::Indeterminate } else { ErrorKind::Unavailable }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(status: u16, body: &str, writes: bool) -> ErrorKind {
        let failure = ConsulFailure::Status { status, body: body.to_owned() };
        failure.into_error(writes).kind().clone()
    }

    #[test]
    fn a_failure_keeps_its_status_and_text() {
        let failure = ConsulFailure::Status { status: 400, body: "Missing key name".to_owned() };
        let error = failure.clone().into_error(true);
        assert_eq!(error.to_string(), "400 Missing key name");
        assert_eq!(ConsulFailure::of(&error), Some(&failure));
        assert_eq!(ConsulFailure::of(&Error::invalid("another")), None);
    }

    #[test]
    fn statuses_say_what_to_do_next() {
        assert_eq!(kind(400, "", true), ErrorKind::Invalid);
        assert_eq!(kind(403, "Permission denied", true), ErrorKind::Rejected(Rejection::NoAuth));
        assert_eq!(kind(404, "", true), ErrorKind::Invalid);
        assert_eq!(kind(413, "", true), ErrorKind::Invalid);
        assert_eq!(kind(429, "", true), ErrorKind::Unavailable);
        assert_eq!(kind(503, "", true), ErrorKind::Unavailable);
        assert_eq!(kind(500, "No cluster leader", true), ErrorKind::Unavailable);
        assert_eq!(kind(500, "leadership lost", true), ErrorKind::Indeterminate);
        assert_eq!(kind(500, "leadership lost", false), ErrorKind::Unavailable);
    }

    #[test]
    fn decisions_hidden_in_a_500_are_recognised_with_their_prefixes() {
        let gone = ErrorKind::Rejected(ConsulRejection::InvalidSession("s".into()).into());
        assert_eq!(kind(500, "invalid session \"s\"", true), gone);
        assert_eq!(
            kind(500, "rpc error making call: raft apply failed: invalid session \"s\"", true),
            gone
        );
        assert_eq!(
            kind(500, "Missing check 'web' registration", true),
            ErrorKind::Rejected(ConsulRejection::MissingCheck("web".into()).into())
        );
        assert_eq!(kind(500, "Invalid Session TTL '5000000000'", true), ErrorKind::Invalid);
    }
}
