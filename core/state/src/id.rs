//! Identifiers, as newtypes so that they cannot be confused.

use core::fmt;

/// A Raft participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MemberId(pub u64);

/// The state machine's own counter: +1 per command, whatever the batching of
/// log entries. It is at once the ZooKeeper zxid and the Consul index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(pub u64);

impl Revision {
    /// As ZooKeeper writes it: a signed 64-bit zxid.
    pub fn zxid(self) -> i64 {
        self.0.cast_signed()
    }
}

/// A ZooKeeper session. Never zero, never `i64::MIN`, high byte never 0xff
/// (that byte marks extended owners such as TTL nodes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SessionId(pub i64);

impl SessionId {
    /// Whether a session can have this id: the others mean something else in
    /// the owner field of a znode.
    pub fn is_possible(self) -> bool {
        self.0 != 0 && self.0 != i64::MIN && self.0.to_be_bytes()[0] != 0xff
    }
}

/// Which connection owns a session now. A session that reconnects gets a new
/// attachment; a write under an older one is refused as moved.
///
/// The member that accepts the connection makes it unique: member id in the
/// high 16 bits, its own counter below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Attachment(pub u64);

macro_rules! display_as_inner {
    ($($name:ty => $format:literal),* $(,)?) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, $format, self.0)
            }
        }
    )*};
}

display_as_inner!(
    MemberId => "{}",
    Revision => "{}",
    SessionId => "0x{:x}",
    Attachment => "0x{:x}",
);
