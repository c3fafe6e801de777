//! Consul's sessions.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::fmt;
use core::ops::Deref;

use crate::codec::{CodecError, Decode, Encode, Input};
use crate::consul::NewSession;
use crate::consul::ledger::{Ledger, Undo, tag};
use crate::consul::name::lower;
use crate::invariants::{Violation, require_all};

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

/// A session as every member knows it. Its fields are those it was created with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsulSession {
    /// As created.
    pub created: NewSession,
    /// Revision of creation.
    pub create_index: u64,
    /// Revision of the last change.
    pub modify_index: u64,
}

impl Deref for ConsulSession {
    type Target = NewSession;

    fn deref(&self) -> &NewSession {
        &self.created
    }
}

impl ConsulSession {
    /// The ids of all checks that keep it alive.
    pub fn checks(&self) -> impl Iterator<Item = &str> {
        self.node_checks.iter().chain(self.service_checks.iter().flatten()).map(|id| &**id)
    }
}

impl Encode for SessionBehavior {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::Release => 0,
            Self::Delete => 1,
        });
    }
}

impl Decode for SessionBehavior {
    fn decode(input: &mut Input) -> Result<Self, CodecError> {
        Ok(match u8::decode(input)? {
            0 => Self::Release,
            1 => Self::Delete,
            tag => return Err(CodecError::UnknownTag { what: "behavior", tag: tag.into() }),
        })
    }
}

// A session is stored in its command as it is here.
crate::record!(ConsulSession { created, create_index, modify_index });

/// Indexes of the table as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct SessionIndexes {
    /// Last change of any session.
    pub(super) index: u64,
}

crate::record!(SessionIndexes { index });

/// All live sessions.
#[derive(Debug, Default)]
pub struct ConsulSessions {
    live: BTreeMap<ConsulSessionId, ConsulSession>,
    by_node: BTreeMap<Box<str>, NodeSessions>,
    indexes: SessionIndexes,
}

/// The sessions on one catalog node.
#[derive(Debug, Default, PartialEq, Eq)]
struct NodeSessions {
    sessions: BTreeSet<ConsulSessionId>,
    by_check: BTreeMap<Box<str>, BTreeSet<ConsulSessionId>>,
}

impl NodeSessions {
    fn insert(&mut self, session: &ConsulSession) {
        self.sessions.insert(session.id);
        for check in session.checks() {
            self.by_check.entry(check.into()).or_default().insert(session.id);
        }
    }

    fn remove(&mut self, session: &ConsulSession) {
        self.sessions.remove(&session.id);
        for check in session.checks() {
            if let Some(sessions) = self.by_check.get_mut(check) {
                sessions.remove(&session.id);
                if sessions.is_empty() {
                    self.by_check.remove(check);
                }
            }
        }
    }
}

impl ConsulSessions {
    /// The session, if it is live.
    pub fn session(&self, id: ConsulSessionId) -> Option<&ConsulSession> {
        self.live.get(&id)
    }

    /// All live sessions by id.
    pub fn iter(&self) -> impl Iterator<Item = &ConsulSession> {
        self.live.values()
    }

    /// The sessions on one node (whatever the case of its name), by id.
    pub fn sessions_on(&self, node: &str) -> impl Iterator<Item = &ConsulSession> {
        let on_node = self.by_node.get(&lower(node));
        let ids = on_node.into_iter().flat_map(|on_node| &on_node.sessions);
        ids.filter_map(|id| self.live.get(id))
    }

    /// The sessions that a check of a node keeps alive, by id.
    pub(super) fn depending_on(
        &self,
        node: &str,
        check: &str,
    ) -> impl Iterator<Item = ConsulSessionId> {
        let on_node = self.by_node.get(node);
        on_node.and_then(|on_node| on_node.by_check.get(check)).into_iter().flatten().copied()
    }

    /// How many sessions are live.
    pub fn len(&self) -> usize {
        self.live.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    /// Last change of the sessions table.
    pub fn index(&self) -> u64 {
        self.indexes.index
    }

    pub(super) fn indexes(&self) -> SessionIndexes {
        self.indexes
    }

    pub(super) fn put(
        &mut self,
        ledger: &mut Ledger,
        id: ConsulSessionId,
        session: Option<ConsulSession>,
    ) {
        ledger.swap(tag::SESSION, &id, self.live.get(&id), session.as_ref());
        let old = self.live.remove(&id);
        if let Some(old) = &old {
            let node = lower(&old.node);
            if let Some(on_node) = self.by_node.get_mut(&node) {
                on_node.remove(old);
                if on_node.sessions.is_empty() {
                    self.by_node.remove(&node);
                }
            }
        }
        if let Some(session) = session {
            self.by_node.entry(lower(&session.node)).or_default().insert(&session);
            self.live.insert(id, session);
        }
        ledger.remember(|| Undo::Session(id, old.map(Box::new)));
    }

    pub(super) fn put_indexes(&mut self, ledger: &mut Ledger, indexes: SessionIndexes) {
        let old = core::mem::replace(&mut self.indexes, indexes);
        ledger.swap_indexes(tag::SESSION_INDEXES, old, indexes);
        ledger.remember(|| Undo::SessionIndexes(old));
    }

    pub(super) fn check_invariants(&self) -> Result<(), Violation> {
        let mut by_node: BTreeMap<_, NodeSessions> = BTreeMap::new();
        for session in self.live.values() {
            by_node.entry(lower(&session.node)).or_default().insert(session);
        }
        require_all(
            "A2",
            &[
                ("Consul's sessions by node and check", by_node == self.by_node),
                (
                    "Consul's sessions by id",
                    self.live.iter().all(|(id, session)| *id == session.id),
                ),
            ],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sessions_of_a_node_are_compared_with_all() {
        let sessions = || {
            let mut sessions = ConsulSessions::default();
            let created = NewSession {
                id: ConsulSessionId(1),
                name: "".into(),
                node: "n".into(),
                lock_delay_ns: 0,
                behavior: SessionBehavior::Release,
                ttl: "".into(),
                ttl_ms: 0,
                node_checks: ["c".into()].into(),
                service_checks: None,
            };
            let session = ConsulSession { created, create_index: 1, modify_index: 1 };
            sessions.put(&mut Ledger::default(), ConsulSessionId(1), Some(session));
            sessions
        };
        type Damage = fn(&mut ConsulSessions);
        let damages: [Damage; 3] = [
            |sessions| sessions.by_node.clear(),
            |sessions| {
                let on_node = sessions.by_node.get_mut("n").unwrap();
                on_node.by_check.clear();
            },
            |sessions| {
                let mut other = sessions.live[&ConsulSessionId(1)].clone();
                other.created.name = "under another id".into();
                sessions.live.insert(ConsulSessionId(2), other);
            },
        ];
        assert_eq!(sessions().check_invariants(), Ok(()));
        for damage in damages {
            let mut sessions = sessions();
            damage(&mut sessions);
            assert_eq!(sessions.check_invariants().unwrap_err().id(), "A2", "{sessions:?}");
        }
    }
}
