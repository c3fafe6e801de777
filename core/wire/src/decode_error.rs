//! Bytes that make no sense.

/// What the peer sent that is not a message. The connection is answered with
/// an error or closed; the process does not mind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The message ended early.
    #[error("the message ends {missing} bytes early in {what}")]
    Truncated {
        /// The field being read.
        what: &'static str,
        /// How many bytes were missing.
        missing: usize,
    },
    /// A length or count below -1, or of a frame below 0.
    #[error("{what} has the length {length}")]
    NegativeLength {
        /// The field being read.
        what: &'static str,
        /// The length found.
        length: i32,
    },
    /// More than the reader allows.
    #[error("{what} is {length} bytes long, but at most {limit} are allowed")]
    TooLong {
        /// What was too long.
        what: &'static str,
        /// The length found.
        length: usize,
        /// The reader's limit.
        limit: usize,
    },
    /// Null where a value is required.
    #[error("{what} is null")]
    Null {
        /// The field being read.
        what: &'static str,
    },
    /// A code that means nothing here.
    #[error("{what} has the unknown value {value}")]
    Unknown {
        /// The field being read.
        what: &'static str,
        /// The value found.
        value: i32,
    },
}
