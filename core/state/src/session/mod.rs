//! ZooKeeper sessions: identity, ephemerals, expiry.
//!
//! The record is replicated; when a session was last heard from is not (that
//! is the leader's clock, see `coord-core`'s session clock).

mod command;

pub use command::SessionCommand;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::codec::{CodecError, Decode, Encode, Input, encode_items};
use crate::digest::{Digest, Hasher, kind};
use crate::event::Event;
use crate::id::{Attachment, Revision, SessionId};
use crate::invariants::{Violation, require_all};
use crate::rejection::Rejection;
use crate::reply::Reply;
use crate::stamp::Stamp;
use crate::znode::{Identity, Lifetime, Tree};

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
    /// What its connection has proven to be, beyond what each of its commands
    /// says. Told once, so that commands need not repeat it; gone when another
    /// connection takes the session over.
    pub identities: Arc<[Identity]>,
}

/// All live sessions.
#[derive(Debug, Default)]
pub struct Sessions {
    live: BTreeMap<SessionId, Session>,
    hasher: Hasher,
    digest: Digest,
    identity_bytes: usize,
}

impl Sessions {
    pub(crate) fn apply(
        &mut self,
        stamp: Stamp,
        command: SessionCommand,
        znodes: &mut Tree,
        events: &mut Vec<Event>,
    ) -> Result<Reply, Rejection> {
        match command {
            SessionCommand::Open { session, password, timeout_ms, attachment } => {
                self.open(session, Session::new(password, timeout_ms, attachment))
            }
            SessionCommand::Attach { session, password, timeout_ms, attachment } => {
                self.attach(session, password, timeout_ms, attachment, events)
            }
            SessionCommand::Close { session, attachment }
            | SessionCommand::Expire { session, attachment } => {
                self.check_attached(session, attachment)?;
                self.end(stamp, session, znodes, events);
                Ok(Reply::Done)
            }
            SessionCommand::Identify { session, attachment, identities } => {
                self.check_attached(session, attachment)?;
                self.identify(session, identities.into());
                Ok(Reply::Done)
            }
        }
    }

    /// Replaces what the session's connection has proven to be.
    pub(crate) fn identify(&mut self, id: SessionId, identities: Arc<[Identity]>) {
        let Some(session) = self.live.get_mut(&id) else { return };
        self.digest.toggle(session.content_hash(id, self.hasher));
        self.identity_bytes -= bytes_of(&session.identities);
        self.identity_bytes += bytes_of(&identities);
        session.identities = identities;
        self.digest.toggle(session.content_hash(id, self.hasher));
    }

    fn open(&mut self, id: SessionId, session: Session) -> Result<Reply, Rejection> {
        if !id.is_possible() {
            return Err(Rejection::BadArguments("no session can have this id"));
        }
        if self.live.contains_key(&id) {
            return Err(Rejection::BadArguments("the session exists"));
        }
        let timeout_ms = session.timeout_ms;
        self.insert(id, session);
        Ok(Reply::Session { timeout_ms })
    }

    /// Puts a session in, without any rules.
    pub(crate) fn insert(&mut self, id: SessionId, session: Session) {
        self.digest.toggle(session.content_hash(id, self.hasher));
        self.live.insert(id, session);
    }

    fn attach(
        &mut self,
        id: SessionId,
        password: [u8; 16],
        timeout_ms: u32,
        attachment: Attachment,
        events: &mut Vec<Event>,
    ) -> Result<Reply, Rejection> {
        let session = self.live.get_mut(&id).filter(|session| session.password == password);
        let session = session.ok_or(Rejection::SessionExpired)?;
        self.digest.toggle(session.content_hash(id, self.hasher));
        session.timeout_ms = timeout_ms;
        session.attachment = attachment;
        // Another connection proves itself anew.
        self.identity_bytes -= bytes_of(&session.identities);
        session.identities = Arc::default();
        self.digest.toggle(session.content_hash(id, self.hasher));
        events.push(Event::SessionAttached { session: id, attachment });
        Ok(Reply::Session { timeout_ms })
    }

    /// Takes a session out, and with it its ephemerals, in path order.
    fn end(&mut self, stamp: Stamp, id: SessionId, znodes: &mut Tree, events: &mut Vec<Event>) {
        let Some(session) = self.live.remove(&id) else { return };
        self.identity_bytes -= bytes_of(&session.identities);
        self.digest.toggle(session.content_hash(id, self.hasher));
        for path in &session.ephemerals {
            znodes.delete_ephemeral(stamp.revision, path, events);
        }
        events.push(Event::SessionClosed { session: id });
    }

    /// Takes all sessions out, and with them their ephemerals.
    pub(crate) fn end_all(&mut self, revision: Revision, znodes: &mut Tree) {
        let mut untold = Vec::new();
        for (_, session) in core::mem::take(&mut self.live) {
            for path in &session.ephemerals {
                znodes.delete_ephemeral(revision, path, &mut untold);
                untold.clear();
            }
        }
        self.digest = Digest::default();
        self.identity_bytes = 0;
    }

    /// The same sessions, with passwords that tell nothing, and without what they
    /// own and what their clients have proven to be.
    pub(crate) fn with_passwords_blanked(&self) -> Self {
        let mut blanked = Self { hasher: self.hasher, ..Self::default() };
        for (id, session) in &self.live {
            blanked.insert(*id, Session::new([0; 16], session.timeout_ms, session.attachment));
        }
        blanked
    }

    /// Refuses what comes for a session that is gone, or over a connection
    /// that does not own it any more.
    pub(crate) fn check_attached(
        &self,
        id: SessionId,
        attachment: Attachment,
    ) -> Result<(), Rejection> {
        let session = self.live.get(&id).ok_or(Rejection::SessionExpired)?;
        if session.attachment == attachment { Ok(()) } else { Err(Rejection::SessionMoved) }
    }

    /// What the connection that a command came over has proven to be, beyond
    /// what the command says itself.
    pub(crate) fn identities(&self, owner: Option<(SessionId, Attachment)>) -> Arc<[Identity]> {
        let session = owner.and_then(|(id, attachment)| {
            self.live.get(&id).filter(|session| session.attachment == attachment)
        });
        session.map(|session| Arc::clone(&session.identities)).unwrap_or_default()
    }

    /// How many bytes the sessions' identities take.
    pub fn identity_bytes(&self) -> usize {
        self.identity_bytes
    }

    /// An ephemeral of this session was created.
    pub(crate) fn own(&mut self, id: SessionId, path: Arc<str>) {
        if let Some(session) = self.live.get_mut(&id) {
            session.ephemerals.insert(path);
        }
    }

    /// An ephemeral of this session was deleted.
    pub(crate) fn disown(&mut self, id: SessionId, path: &str) {
        if let Some(session) = self.live.get_mut(&id) {
            session.ephemerals.remove(path);
        }
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
        self.digest = self.computed_digest();
    }

    fn computed_digest(&self) -> Digest {
        let mut digest = Digest::default();
        for (id, session) in &self.live {
            digest.toggle(session.content_hash(*id, self.hasher));
        }
        digest
    }

    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }

    pub(crate) fn check_invariants(&self, znodes: &Tree) -> Result<(), Violation> {
        for (id, session) in &self.live {
            let stray = session.ephemerals.iter().find(|path| {
                let lifetime = znodes.znode(path).map(|znode| znode.lifetime());
                lifetime != Some(Lifetime::Ephemeral(*id))
            });
            if let Some(path) = stray {
                let found = format!("{id} lists {path}, which is not its ephemeral");
                return Err(Violation::new("A6", found));
            }
        }
        let identity_bytes: usize =
            self.live.values().map(|session| bytes_of(&session.identities)).sum();
        require_all(
            "A2",
            &[
                ("the bytes of the sessions' identities", identity_bytes == self.identity_bytes),
                ("the digest of the sessions", self.computed_digest() == self.digest),
            ],
        )
    }
}

impl Session {
    fn new(password: [u8; 16], timeout_ms: u32, attachment: Attachment) -> Self {
        let (ephemerals, identities) = Default::default();
        Self { password, timeout_ms, attachment, ephemerals, identities }
    }

    /// Its ephemerals are not in it: they are in the digest of the tree, with their owner.
    fn content_hash(&self, id: SessionId, hasher: Hasher) -> Digest {
        let mut stored = Vec::with_capacity(48);
        id.encode(&mut stored);
        self.encode(&mut stored);
        // As it was before there were any.
        if !self.identities.is_empty() {
            encode_items(&self.identities, &mut stored);
        }
        hasher.entry(kind::SESSION, &stored)
    }
}

impl Encode for Session {
    fn encode(&self, out: &mut Vec<u8>) {
        self.password.encode(out);
        self.timeout_ms.encode(out);
        self.attachment.encode(out);
    }
}

/// Its ephemerals are not in the stored form: they come back with the tree. Nor
/// are its identities, which have a record of their own.
impl Decode for Session {
    fn decode(input: &mut Input) -> Result<Self, CodecError> {
        let (password, timeout_ms) = (Decode::decode(input)?, Decode::decode(input)?);
        Ok(Self::new(password, timeout_ms, Decode::decode(input)?))
    }
}

fn bytes_of(identities: &[Identity]) -> usize {
    identities.iter().map(Identity::bytes).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_all_sessions_is_compared_with_them() {
        let sessions = || {
            let mut sessions = Sessions::default();
            sessions.insert(SessionId(7), Session::new([0; 16], 4000, Attachment(1)));
            sessions
        };
        let tree = Tree::default();
        assert_eq!(sessions().check_invariants(&tree), Ok(()));
        let mut miscounted = sessions();
        miscounted.identity_bytes += 1;
        let mut changed = sessions();
        changed.live.get_mut(&SessionId(7)).unwrap().timeout_ms += 1;
        for (broken, what) in [(miscounted, "identities"), (changed, "digest")] {
            let broken = broken.check_invariants(&tree).unwrap_err();
            assert_eq!(broken.id(), "A2");
            assert!(format!("{broken}").contains(what), "{broken}");
        }
    }
}
