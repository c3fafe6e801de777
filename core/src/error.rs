//! What can go wrong when operating a member or a client of one.
//!
//! Three kinds of failure never mix here. A decision of the state machine is a
//! [`coord_state::Rejection`], the same on every member. Bytes that make no
//! sense are a `coord_wire` decode error. Everything else is an [`Error`]: few
//! kinds, each saying what the caller does next.

use std::fmt;

use coord_state::Rejection;

/// A failed operation: what kind, for people a message, and its cause.
#[derive(Debug)]
pub struct Error {
    // Boxed, so that a call that succeeds does not carry room for one that fails.
    inner: Box<ErrorContent>,
}

#[derive(Debug)]
struct ErrorContent {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What the caller does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorKind {
    /// This member is not the leader: ask again there, if one is known.
    NotLeader {
        /// The leader as far as this member knows.
        hint: Option<u64>,
    },
    /// Nothing was applied; try again later.
    Unavailable,
    /// This member takes no writes now, since its disk is full or fails: nothing
    /// was applied; try later, or another member.
    ReadOnly,
    /// The operation may or may not have been applied: read again before retrying.
    Indeterminate,
    /// The handle was closed.
    Closed,
    /// The call itself is wrong and will fail again as it is.
    Invalid,
    /// Stored or received data is damaged: stop and repair.
    Corrupt,
    /// The state machine decided against it.
    Rejected(Rejection),
    /// A fault of this library: report it.
    Internal,
}

impl Error {
    /// An error of `kind` with a message for people.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { inner: Box::new(ErrorContent { kind, message: message.into(), source: None }) }
    }

    /// Names the cause, which `Display` does not repeat.
    #[must_use]
    pub fn caused_by(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    /// The call is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// Try again later.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// This member takes no writes now.
    pub fn read_only(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::ReadOnly, message)
    }

    /// The outcome is unknown.
    pub fn indeterminate(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Indeterminate, message)
    }

    /// The handle is closed.
    pub fn closed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Closed, message)
    }

    /// Stored data is damaged.
    pub fn corrupt(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, message)
    }

    /// A fault of this library.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// What the caller does next.
    pub fn kind(&self) -> &ErrorKind {
        &self.inner.kind
    }

    /// Whether the same call may succeed later without change.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.inner.kind,
            ErrorKind::NotLeader { .. } | ErrorKind::Unavailable | ErrorKind::ReadOnly
        )
    }

    /// Whether the operation may have taken effect in spite of the error.
    pub fn may_have_applied(&self) -> bool {
        matches!(self.inner.kind, ErrorKind::Indeterminate)
    }

    /// The message and every cause behind it, for a log or a person.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.inner.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner.source.as_ref().map(|source| &**source as &(dyn std::error::Error + 'static))
    }
}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        let message = rejection.to_string();
        Self::new(ErrorKind::Rejected(rejection), message)
    }
}
