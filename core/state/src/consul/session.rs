//! Consul's sessions.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

/// A session's UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ConsulSessionId(pub u128);

crate::record!(ConsulSessionId { 0 });

impl fmt::Display for ConsulSessionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.0;
        write!(
            formatter,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            id >> 96,
            (id >> 80) & 0xffff,
            (id >> 64) & 0xffff,
            (id >> 48) & 0xffff,
            id & 0xffff_ffff_ffff
        )
    }
}

/// What becomes of a session's keys when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SessionBehavior {
    /// They are unlocked.
    #[default]
    Release,
    /// They are deleted.
    Delete,
}

/// A session as every member knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsulSession {
    /// Its UUID.
    pub id: ConsulSessionId,
    /// For people.
    pub name: Box<str>,
    /// The catalog node it lives on.
    pub node: Box<str>,
    /// In ns, as printed.
    pub lock_delay_ns: i64,
    /// What becomes of its keys.
    pub behavior: SessionBehavior,
    /// As given.
    pub ttl: Box<str>,
    /// Parsed; 0 means none.
    pub ttl_ms: u64,
    /// Node checks that keep it alive.
    pub node_checks: Vec<Box<str>>,
    /// Service checks that keep it alive; `None` is printed as null.
    pub service_checks: Option<Vec<Box<str>>>,
    /// Revision of creation.
    pub create_index: u64,
    /// Revision of the last change.
    pub modify_index: u64,
}

/// All live sessions.
#[derive(Debug, Default)]
pub struct ConsulSessions {}

impl ConsulSessions {
    /// The session, if it is live.
    pub fn session(&self, _id: ConsulSessionId) -> Option<&ConsulSession> {
        None
    }

    /// All live sessions by id.
    pub fn iter(&self) -> impl Iterator<Item = &ConsulSession> {
        [].into_iter()
    }

    /// Last change of the sessions table.
    pub fn index(&self) -> u64 {
        0
    }
}
