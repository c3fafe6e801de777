//! The revision and time at which a command takes effect.

use crate::id::Revision;

/// When and at which position a command takes effect: the same on every member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// This command's revision.
    pub revision: Revision,
    /// Wall time in milliseconds since the epoch, as the leader read it when
    /// it appended the command.
    pub time_ms: u64,
}
