//! ZooKeeper sessions: who they are, what they may own, how they end.
//!
//! The record is replicated; when a session was last heard from is not (that
//! is the leader's clock, see `coord-core`'s session clock).

mod command;

pub use command::SessionCommand;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::digest::{Digest, Hasher};
use crate::event::Event;
use crate::id::{Attachment, SessionId};
use crate::machine::Stamp;
use crate::rejection::Rejection;
use crate::reply::Reply;
use crate::znode::Tree;

/// A session as every member knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Proof of ownership: whoever has it may attach.
    pub password: [u8; 16],
    /// Negotiated, in milliseconds.
    pub timeout_ms: u32,
    /// The connection that owns the session.
    pub attachment: Attachment,
    /// The ephemerals it owns.
    pub ephemerals: BTreeSet<Arc<str>>,
}

/// All live sessions.
#[derive(Debug, Default)]
pub struct Sessions {
    live: BTreeMap<SessionId, Session>,
    hasher: Hasher,
    digest: Digest,
}

impl Sessions {
    pub(crate) fn apply(
        &mut self,
        _stamp: Stamp,
        _command: SessionCommand,
        _znodes: &mut Tree,
        _events: &mut Vec<Event>,
    ) -> Result<Reply, Rejection> {
        Err(Rejection::Unimplemented)
    }

    /// The session, if it is live.
    pub fn session(&self, id: SessionId) -> Option<&Session> {
        self.live.get(&id)
    }

    /// All live sessions in id order.
    pub fn iter(&self) -> impl Iterator<Item = (SessionId, &Session)> {
        self.live.iter().map(|(id, session)| (*id, session))
    }

    /// How many sessions are live.
    pub fn len(&self) -> usize {
        self.live.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    pub(crate) fn rehash(&mut self, hasher: Hasher) {
        self.hasher = hasher;
    }

    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }

    pub(crate) fn check_invariants(&self, _znodes: &Tree) -> Result<(), String> {
        Ok(())
    }
}
