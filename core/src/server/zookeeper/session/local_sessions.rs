//! Sessions that only this member knows: local sessions if they are enabled,
//! and read-only sessions while the member is partitioned. They are not in the
//! log, so they cannot own ephemerals, end with the member and cannot move.
//!
//! | kind | from | until |
//! |---|---|---|
//! | local | a handshake | its timeout or close; it becomes an ordinary one when upgraded |
//! | read-only | a handshake in read-only mode | the same, and a leader at the latest |
//! | visiting | an ordinary session's handshake in read-only mode | the same; the ordinary session goes on |

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use coord_state::{Revision, SessionId};

use crate::node::ConnectionSink;
use crate::server::zookeeper::inbox::Inbox;
use crate::server::zookeeper::translate::Owner;
use crate::sync::{Mutex, MutexGuard};

/// Why a local session is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LocalKind {
    Local,
    ReadOnly,
    Visiting,
}

/// What a client brings for its session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim {
    pub(crate) owner: Owner,
    pub(crate) password: [u8; 16],
    pub(crate) timeout_ms: u32,
}

/// All of one member.
#[derive(Debug, Default)]
pub(crate) struct LocalSessions {
    table: Mutex<BTreeMap<SessionId, Entry>>,
}

#[derive(Debug)]
struct Entry {
    kind: LocalKind,
    claim: Claim,
    heard: Duration,
    /// Its connection, while there is one.
    inbox: Option<Arc<Inbox>>,
    /// Whether it was proposed to the cluster; the outcome may be unknown.
    proposed: bool,
}

/// Where a client's session is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Not here: ask the cluster.
    Elsewhere,
    /// Here, but perhaps the cluster's already: ask it first.
    Proposed,
    /// Here.
    Here,
    /// Here, and the password is wrong.
    NotTheirs,
}

impl LocalSessions {
    /// Opens a session for the connection of `inbox`.
    pub(crate) fn open(&self, kind: LocalKind, claim: Claim, inbox: &Arc<Inbox>, now: Duration) {
        let inbox = Some(Arc::clone(inbox));
        let entry = Entry { kind, claim, heard: now, inbox, proposed: false };
        let before = self.lock().insert(claim.owner.session, entry);
        if let Some(Entry { inbox: Some(earlier), .. }) = before {
            earlier.session_moved(claim.owner.attachment);
        }
    }

    /// Looks for the session somebody claims.
    pub(crate) fn find(&self, session: SessionId, password: [u8; 16]) -> Found {
        match self.lock().get(&session) {
            None => Found::Elsewhere,
            Some(entry) if entry.claim.password != password => Found::NotTheirs,
            Some(entry) if entry.proposed => Found::Proposed,
            Some(_) => Found::Here,
        }
    }

    /// Moves a session that was found to another connection; the one it had
    /// ends. False if the session ended meanwhile.
    pub(super) fn attach(&self, claim: Claim, inbox: &Arc<Inbox>, now: Duration) -> bool {
        let mut table = self.lock();
        let Some(entry) = table.get_mut(&claim.owner.session) else { return false };
        entry.claim = claim;
        entry.heard = now;
        entry.proposed = false;
        if let Some(earlier) = entry.inbox.replace(Arc::clone(inbox)) {
            earlier.session_moved(claim.owner.attachment);
        }
        true
    }

    /// A sign of life.
    pub(crate) fn touch(&self, session: SessionId, now: Duration) {
        if let Some(entry) = self.lock().get_mut(&session) {
            entry.heard = now;
        }
    }

    /// The connection ended; its session has its timeout to come back.
    pub(crate) fn leave(&self, owner: Owner) {
        if let Some(entry) = self.lock().get_mut(&owner.session)
            && entry.claim.owner.attachment == owner.attachment
        {
            entry.inbox = None;
        }
    }

    /// The client ends its session; tells what it was.
    pub(crate) fn close(&self, session: SessionId) -> Option<LocalKind> {
        self.lock().remove(&session).map(|entry| entry.kind)
    }

    /// The session is about to be proposed to the cluster, with what it claims.
    pub(crate) fn propose(&self, owner: Owner) -> Option<Claim> {
        let mut table = self.lock();
        let entry = table.get_mut(&owner.session)?;
        if entry.claim.owner.attachment != owner.attachment {
            return None;
        }
        entry.proposed = true;
        Some(entry.claim)
    }

    /// Ends those not heard from for their timeout.
    pub(super) fn expire(&self, now: Duration) {
        self.end_where(|entry| {
            entry.heard + Duration::from_millis(entry.claim.timeout_ms.into()) <= now
        });
    }

    /// Ends those that only read-only mode made.
    pub(super) fn end_read_only(&self) {
        self.end_where(|entry| entry.kind != LocalKind::Local);
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn end_where(&self, over: impl Fn(&Entry) -> bool) {
        let mut table = self.lock();
        let ended: Vec<SessionId> =
            table.iter().filter(|(_, entry)| over(entry)).map(|(id, _)| *id).collect();
        for id in ended {
            // One that was proposed is the cluster's to end.
            if let Some(Entry { inbox: Some(inbox), proposed: false, .. }) = table.remove(&id) {
                inbox.session_closed(Revision(0));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SessionId, Entry>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use coord_state::Attachment;
    use coord_state::znode::Identity;

    use super::*;

    const TIMEOUT: Duration = Duration::from_millis(4000);

    fn inbox() -> Arc<Inbox> {
        Arc::new(Inbox::new(Identity { scheme: "ip".into(), id: "127.0.0.1".into() }, 1000))
    }

    fn claim(session: i64, attachment: u64) -> Claim {
        let owner =
            Owner { session: SessionId(session), attachment: Attachment(attachment), local: true };
        Claim { owner, password: [7; 16], timeout_ms: 4000 }
    }

    fn ended(inbox: &Inbox) -> bool {
        let mut items = Vec::new();
        inbox.drain(&mut items);
        !items.is_empty()
    }

    #[test]
    fn a_silent_session_ends_after_its_timeout_and_its_connection_with_it() {
        let (sessions, inbox) = (LocalSessions::default(), inbox());
        sessions.open(LocalKind::Local, claim(1, 1), &inbox, Duration::ZERO);
        sessions.touch(SessionId(1), TIMEOUT / 2);
        sessions.expire(TIMEOUT);
        assert!(sessions.len() == 1 && !ended(&inbox));
        sessions.expire(TIMEOUT + TIMEOUT / 2);
        assert!(sessions.len() == 0 && ended(&inbox));
    }

    #[test]
    fn whoever_has_the_password_takes_the_session_over() {
        let (sessions, first, second) = (LocalSessions::default(), inbox(), inbox());
        sessions.open(LocalKind::Local, claim(1, 1), &first, Duration::ZERO);
        assert_eq!(sessions.find(SessionId(1), [0; 16]), Found::NotTheirs);
        assert_eq!(sessions.find(SessionId(2), [7; 16]), Found::Elsewhere);
        assert_eq!(sessions.find(SessionId(1), [7; 16]), Found::Here);
        assert!(sessions.attach(claim(1, 2), &second, Duration::ZERO));
        assert!(ended(&first) && !ended(&second));
        // The earlier connection's end is not the session's.
        sessions.leave(claim(1, 1).owner);
        sessions.end_where(|entry| entry.inbox.is_none());
        assert_eq!(sessions.len(), 1);
    }

    #[test]
    fn what_was_proposed_is_asked_of_the_cluster_first() {
        let (sessions, inbox) = (LocalSessions::default(), inbox());
        sessions.open(LocalKind::Local, claim(1, 1), &inbox, Duration::ZERO);
        assert!(sessions.propose(claim(1, 9).owner).is_none());
        assert!(sessions.propose(claim(1, 1).owner).is_some());
        assert_eq!(sessions.find(SessionId(1), [7; 16]), Found::Proposed);
        sessions.expire(TIMEOUT);
        assert!(!ended(&inbox), "whether it lives is the cluster's to say");
    }

    #[test]
    fn only_what_read_only_mode_made_goes_with_it() {
        let (sessions, inbox) = (LocalSessions::default(), inbox());
        let kinds = [LocalKind::Local, LocalKind::ReadOnly, LocalKind::Visiting];
        for (number, kind) in (1..).zip(kinds) {
            sessions.open(kind, claim(number, 1), &inbox, Duration::ZERO);
        }
        sessions.end_read_only();
        assert_eq!(sessions.find(SessionId(1), [7; 16]), Found::Here);
        assert_eq!(sessions.len(), 1);
    }
}
