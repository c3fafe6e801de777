//! Which clients this member serves at the moment.

/// Whom a member serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServiceMode {
    /// Everybody.
    ReadWrite,
    /// Clients that said that they will only read.
    ReadOnly,
    /// Nobody.
    CutOff,
}
