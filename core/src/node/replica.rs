//! This member's copy of the state: consensus applies to it, and all reads use
//! it.
//!
//! Events and outcomes are delivered while the state is locked for writing, so
//! a reader of a revision has been sent every event up to it.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, Weak};

use bytes::Bytes;
use coord_state::batch::Outcome;
use coord_state::invariants::require;
use coord_state::session::SessionCommand;
use coord_state::snapshot::Restore;
use coord_state::{
    Applied, Attachment, Batch, Command, Event, LeaderBatch, MemberId, Revision, SessionId,
    StateMachine, StoredBatch, Violation,
};
use tokio::sync::watch;

use super::divergence::digest_history::DigestHistory;
use super::divergence::fingerprints::{FingerprintHistory, StateFingerprint};
use super::divergence::integrity::Integrity;
use super::impairment::Impairment;
use super::membership::config_membership::ConfigMembership;
use super::membership::config_znode::CONFIG;
use super::node_core::NodeCore;
use super::proposals::Proposals;
use super::state_time::StateTime;
use super::verdicts::{Verdicts, out_of_term};
use super::{ConnectionSink, TopicWaiters, ZnodeWatches};
use crate::consensus::{CommittedEntry, FrozenState, RecordSink, ReplicatedMachine};
use crate::settings::ENTRY_BYTES_MAX;
use crate::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub(super) struct Replica {
    member: MemberId,
    state: RwLock<StateMachine>,
    pub(super) znode_watches: ZnodeWatches,
    pub(super) topic_waiters: Arc<TopicWaiters>,
    owners: Mutex<HashMap<SessionId, Owner>>,
    pub(super) proposals: Proposals,
    pub(super) digests: DigestHistory,
    pub(super) config_membership: ConfigMembership,
    /// `/zookeeper/config` has another text than was last looked at.
    config_changed: AtomicBool,
    /// The applied state says which cluster this is; once it does, it always will.
    has_identity: AtomicBool,
    /// Of the last snapshot made or taken over since the start; 0 for none.
    frozen: AtomicU64,
    pub(super) fingerprints: FingerprintHistory,
    pub(super) integrity: Integrity,
    pub(super) state_time: StateTime,
    pub(super) verdicts: Verdicts,
    /// What keeps this member from serving as it should.
    pub(super) impaired: watch::Sender<Option<Impairment>>,
    #[cfg(test)]
    pub(super) fault: Mutex<Option<Fault>>,
    /// Set once the node runs; gone when it was dropped.
    node: OnceLock<Weak<NodeCore>>,
}

/// For tests: what goes wrong with a batch while it is applied on this member.
#[cfg(test)]
pub(crate) type Fault = Box<dyn FnMut(&mut Batch) + Send>;

struct Owner {
    attachment: Attachment,
    sink: Arc<dyn ConnectionSink>,
}

impl Replica {
    pub(super) fn new(
        member: MemberId,
        proposals: Proposals,
        integrity: Integrity,
        state_time: StateTime,
    ) -> Self {
        Self {
            member,
            state: RwLock::new(StateMachine::new()),
            znode_watches: ZnodeWatches::default(),
            topic_waiters: Arc::new(TopicWaiters::default()),
            owners: Mutex::new(HashMap::new()),
            proposals,
            digests: DigestHistory::default(),
            config_membership: ConfigMembership::default(),
            config_changed: AtomicBool::new(false),
            has_identity: AtomicBool::new(false),
            frozen: AtomicU64::new(0),
            fingerprints: FingerprintHistory::default(),
            integrity,
            state_time,
            verdicts: Verdicts::default(),
            impaired: watch::Sender::default(),
            #[cfg(test)]
            fault: Mutex::default(),
            node: OnceLock::new(),
        }
    }

    pub(super) fn attach(&self, node: Weak<NodeCore>) {
        self.node.get_or_init(|| node);
    }

    pub(super) fn state(&self) -> RwLockReadGuard<'_, StateMachine> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the cluster was founded, as far as this member has applied. Never waits.
    pub(super) fn has_cluster_identity(&self) -> bool {
        self.has_identity.load(Ordering::Acquire)
    }

    /// What the last snapshot made or taken over since the start contains.
    pub(super) fn snapshot_revision(&self) -> Option<Revision> {
        let revision = self.frozen.load(Ordering::Relaxed);
        (revision > 0).then_some(Revision(revision))
    }

    fn state_mut(&self) -> RwLockWriteGuard<'_, StateMachine> {
        // A panic while applying left the state half changed. Consensus fails
        // this member for it; going on here would diverge.
        self.state.write().expect("a panic while applying ends this member")
    }

    /// The state as while something is applied, by a member that knows or does not
    /// know yet whether the cluster was founded.
    #[cfg(test)]
    pub(super) fn locked_with(&self, founded: bool) -> RwLockWriteGuard<'_, StateMachine> {
        self.has_identity.store(founded, Ordering::Release);
        self.state_mut()
    }

    pub(super) fn own_session(
        &self,
        session: SessionId,
        attachment: Attachment,
        sink: Arc<dyn ConnectionSink>,
    ) {
        self.owners().insert(session, Owner { attachment, sink });
        // One that came while the others were turned away.
        if !self.integrity.serves() || self.is_down() {
            self.end_connections();
        }
    }

    pub(super) fn impairment(&self) -> Option<Impairment> {
        self.impaired.borrow().clone()
    }

    /// Whether this member takes no part.
    pub(super) fn is_down(&self) -> bool {
        self.impaired.borrow().as_ref().is_some_and(Impairment::is_down)
    }

    /// Why clients are turned away, if they are.
    pub(super) fn withdrawn(&self) -> Option<String> {
        let down = self.impairment().filter(Impairment::is_down);
        down.map(|down| down.reason().to_owned()).or_else(|| self.integrity.withdrawn())
    }

    /// Ends everything clients have here, and refuses what they send.
    pub(super) fn turn_away(&self) {
        self.proposals.withdraw();
        self.end_connections();
        self.topic_waiters.notify_all();
    }

    /// Ends all connections with a session; the sessions go on.
    pub(super) fn end_connections(&self) {
        let revision = self.state().revision();
        let owners = std::mem::take(&mut *self.owners());
        owners.into_values().for_each(|owner| owner.sink.state_replaced(revision));
    }

    pub(super) fn disown_session(&self, session: SessionId, attachment: Attachment) {
        let mut owners = self.owners();
        if owners.get(&session).is_some_and(|owner| owner.attachment == attachment) {
            owners.remove(&session);
        }
    }

    /// Takes note of a new text, if there is one.
    fn read_changed_config(&self, state: &StateMachine) -> bool {
        let changed = self.config_changed.swap(false, Ordering::Relaxed);
        if changed {
            self.config_membership.read_text(self.member, state);
        }
        changed
    }

    fn owners(&self) -> MutexGuard<'_, HashMap<SessionId, Owner>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply_stored(
        &self,
        state: &mut StateMachine,
        at: LogPlace,
        batch: StoredBatch,
    ) -> Result<Seen, Violation> {
        let LogPlace { term, index } = at;
        let last = self.fingerprints.latest().map(|latest| latest.index);
        require("B8", last.is_none_or(|last| index > last), || {
            format!("entry {index} would be applied to the state after entry {last:?}")
        })?;
        let seen = match batch {
            StoredBatch::Member(batch) => self.apply_in_turn(state, batch)?,
            StoredBatch::Leader(batch) => self.apply_decided(state, term, batch),
        };
        let fingerprint = StateFingerprint::new(index, state.revision(), state.digest());
        if let Some(mismatch) = self.fingerprints.note(fingerprint) {
            self.integrity.dispute(mismatch);
        }
        Ok(seen)
    }

    fn apply_in_turn(&self, state: &mut StateMachine, batch: Batch) -> Result<Seen, Violation> {
        #[cfg(test)]
        let batch = self.with_fault(batch);
        let own = batch.origin == self.member;
        let (incarnation, sequence) = (batch.incarnation, batch.sequence);
        let before = state.revision();
        Ok(match state.apply_batch(batch) {
            Outcome::Applied(results) => {
                self.digests.note(before, state);
                let waiters =
                    if own { self.proposals.applied(incarnation, sequence)? } else { Vec::new() };
                self.deliver(results, waiters);
                Seen { own, gap: false }
            }
            Outcome::Duplicate | Outcome::OutOfTerm { .. } => Seen { own, gap: false },
            Outcome::Gap { .. } => Seen { own, gap: own },
        })
    }

    fn apply_decided(&self, state: &mut StateMachine, term: u64, batch: LeaderBatch) -> Seen {
        let ticket = batch.ticket;
        let expires: Vec<bool> = batch.commands.iter().map(is_expiry).collect();
        let before = state.revision();
        match state.apply_leader_batch(term, batch) {
            Outcome::Applied(mut results) => {
                self.digests.note(before, state);
                let ended = results.iter().zip(&expires);
                let ended = ended.filter(|(applied, expires)| **expires && applied.result.is_ok());
                let sessions_expired = ended.count() as u64;
                for applied in &mut results {
                    self.dispatch_all(applied);
                }
                if self.verdicts.is_under_way(ticket)
                    && let Some(node) = self.node.get().and_then(Weak::upgrade)
                {
                    node.work.sessions_expired.fetch_add(sessions_expired, Ordering::Relaxed);
                }
                self.verdicts.end(ticket, Ok(results));
            }
            Outcome::Duplicate | Outcome::Gap { .. } | Outcome::OutOfTerm { .. } => {
                self.verdicts.end(ticket, Err(out_of_term()));
            }
        }
        Seen { own: false, gap: false }
    }

    #[cfg(test)]
    fn with_fault(&self, mut batch: Batch) -> Batch {
        if let Some(fault) = &mut *self.fault.lock().unwrap_or_else(PoisonError::into_inner) {
            fault(&mut batch);
        }
        batch
    }

    fn deliver(&self, results: Vec<Applied>, waiters: Vec<super::proposals::Waiter>) {
        let mut waiters = waiters.into_iter();
        for mut applied in results {
            // Invariants C1 and C3: applied here, then its events, then its outcome.
            self.dispatch_all(&mut applied);
            if let Some((sink, token)) = waiters.next() {
                sink.complete(token, Ok(applied));
            }
        }
    }

    fn dispatch_all(&self, applied: &mut Applied) {
        for event in std::mem::take(&mut applied.events) {
            self.dispatch(applied.revision, &event);
        }
    }

    fn dispatch(&self, revision: Revision, event: &Event) {
        match event {
            Event::Znode { path, .. } => {
                if **path == *CONFIG {
                    self.config_changed.store(true, Ordering::Relaxed);
                }
                self.znode_watches.dispatch(revision, event);
            }
            Event::Changed(topic) => self.topic_waiters.notify(topic),
            Event::SessionClosed { session } => {
                let owner = self.owners().remove(session);
                if let Some(owner) = owner {
                    owner.sink.session_closed(revision);
                }
            }
            Event::SessionAttached { session, attachment } => {
                let mut owners = self.owners();
                let moved =
                    owners.get(session).is_some_and(|owner| owner.attachment != *attachment);
                let owner = if moved { owners.remove(session) } else { None };
                drop(owners);
                if let Some(owner) = owner {
                    owner.sink.session_moved(*attachment);
                }
            }
            Event::Restored => {
                self.config_changed.store(true, Ordering::Relaxed);
                self.znode_watches.dispatch(revision, event);
                self.topic_waiters.notify_all();
            }
        }
    }
}

/// Whether a leader ends a session of ZooKeeper by it.
fn is_expiry(command: &Command) -> bool {
    matches!(command, Command::Session(SessionCommand::Expire { .. }))
}

/// Where a log entry stands.
#[derive(Clone, Copy)]
struct LogPlace {
    term: u64,
    index: u64,
}

/// Reads a log entry. Each was checked when it was stored, so one that does not decode
/// was written by a newer release, and one that is too large by nobody.
fn decode(entry: CommittedEntry) -> io::Result<(LogPlace, StoredBatch)> {
    let CommittedEntry { index, term, payload } = entry;
    let bytes = payload.len();
    require("C9", bytes <= ENTRY_BYTES_MAX, || {
        format!("log entry {index} has {bytes} bytes, and no more than {ENTRY_BYTES_MAX} can be")
    })
    .map_err(io::Error::other)?;
    let batch = StoredBatch::from_bytes(payload).map_err(|error| {
        let what = format!("cannot apply log entry {index}: {error}");
        io::Error::new(io::ErrorKind::InvalidData, what)
    })?;
    Ok((LogPlace { term, index }, batch))
}

/// What applying one batch tells its member.
struct Seen {
    own: bool,
    gap: bool,
}

impl ReplicatedMachine for Replica {
    fn apply(&self, entries: Vec<CommittedEntry>) -> io::Result<()> {
        // Decoding needs no lock.
        let batches: io::Result<Vec<(LogPlace, StoredBatch)>> =
            entries.into_iter().map(decode).collect();
        let batches = batches?;
        let (mut own, mut gap) = (false, false);
        let entries = batches.len() as u64;
        let mut state = self.state_mut();
        for (at, batch) in batches {
            let seen = self.apply_stored(&mut state, at, batch).map_err(io::Error::other)?;
            own |= seen.own;
            gap |= seen.gap;
        }
        self.has_identity.store(state.cluster_identity().is_some(), Ordering::Release);
        let config_changed = self.read_changed_config(&state);
        let time_ms = state.time_ms();
        drop(state);
        self.state_time.applied(time_ms);
        let Some(node) = self.node.get().and_then(Weak::upgrade) else { return Ok(()) };
        if node.is_leader() {
            node.work.commits.fetch_add(entries, Ordering::Relaxed);
        }
        if config_changed {
            node.follow_config_membership();
        }
        if own {
            node.pump();
        }
        if gap {
            node.reroute();
        }
        Ok(())
    }

    fn freeze(&self) -> FrozenState {
        // Writers wait while what it holds beside the znodes is copied.
        let state = self.state();
        self.frozen.store(state.revision().0, Ordering::Relaxed);
        let frozen = state.freeze();
        drop(state);
        Box::new(move |sink: &mut RecordSink<'_>| frozen.each(sink))
    }

    fn restore(
        &self,
        index: u64,
        records: &mut dyn Iterator<Item = io::Result<(u8, Bytes)>>,
    ) -> io::Result<()> {
        let damaged =
            |error| io::Error::new(io::ErrorKind::InvalidData, format!("snapshot: {error}"));
        let mut restore = Restore::new();
        for record in records {
            let (tag, payload) = record?;
            restore.record(tag, payload).map_err(damaged)?;
        }
        let restored = restore.finish().map_err(damaged)?;
        let (applied_here, revision) = (restored.origin(self.member), restored.revision());
        let fingerprint = StateFingerprint::new(index, revision, restored.digest());
        self.state_time.applied(restored.time_ms());
        self.frozen.store(revision.0, Ordering::Relaxed);
        self.has_identity.store(restored.cluster_identity().is_some(), Ordering::Release);
        {
            let mut state = self.state_mut();
            *state = restored;
            self.fingerprints.restart(fingerprint);
        }
        if let Some(origin) = applied_here {
            self.proposals.skipped_to(origin.incarnation, origin.sequence);
        }
        self.end_connections();
        self.dispatch(revision, &Event::Restored);
        if self.read_changed_config(&self.state())
            && let Some(node) = self.node.get().and_then(Weak::upgrade)
        {
            node.follow_config_membership();
        }
        Ok(())
    }
}
