//! Errors of operating a member or a client.
//!
//! There are three separate kinds of failure. A decision of the state machine
//! is a [`coord_state::Rejection`], the same on every member. Invalid bytes are
//! a `coord_wire` decode error. Everything else is an [`Error`] with one of a
//! few kinds, each of which tells the caller what to do next.

use std::fmt;

use coord_state::Rejection;

/// A failed operation: kind, message and cause.
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

/// The kind of an error, which tells the caller what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorKind {
    /// This member is not the leader: retry there, if it is known.
    NotLeader {
        /// The leader that this member knows.
        hint: Option<u64>,
    },
    /// Nothing was applied; retry later.
    Unavailable,
    /// This member refuses writes because its disk is full or failing. Nothing
    /// was applied; retry later, or at another member.
    ReadOnly,
    /// The operation may or may not have been applied: read again before retrying.
    Indeterminate,
    /// The handle was closed.
    Closed,
    /// The call itself is invalid; it fails again if unchanged.
    Invalid,
    /// Stored or received data is damaged: stop and repair.
    Corrupt,
    /// The state machine rejected the command.
    Rejected(Rejection),
    /// A bug in this library: please report it.
    Internal,
}

impl Error {
    /// An error of `kind` with a human-readable message.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { inner: Box::new(ErrorContent { kind, message: message.into(), source: None }) }
    }

    /// Sets the cause, which `Display` does not include.
    #[must_use]
    pub fn caused_by(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    /// The call is invalid.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// Retry later.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// This member refuses writes now.
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

    /// A bug in this library.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// The kind of an error, which tells the caller what to do next.
    pub fn kind(&self) -> &ErrorKind {
        &self.inner.kind
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.inner.kind,
            ErrorKind::NotLeader { .. } | ErrorKind::Unavailable | ErrorKind::ReadOnly
        )
    }

    /// Whether the operation may have taken effect despite the error.
    pub fn may_have_applied(&self) -> bool {
        matches!(self.inner.kind, ErrorKind::Indeterminate)
    }

    /// The message with all its causes, for logs and users.
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
