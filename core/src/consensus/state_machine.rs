//! Applies committed entries to the state machine, and handles its snapshots.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::FutureExt;
use futures_util::stream::{Stream, StreamExt};
use openraft::OptionalSend;
use openraft::entry::EntryPayload;
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use tokio::sync::{Notify, watch};

use super::lifetime::Living;
use super::log_rules::LogRules;
use super::types::{
    LogId, RaftSnapshot, SnapshotMeta, StoredMembership, TypeConfig, decode_snapshot_meta,
    encode_snapshot_meta, position,
};
use crate::storage::failure::may_pass;
use crate::storage::{LogPosition, Snapshot, SnapshotStore};
use crate::sync::{Mutex, MutexGuard};

/// openraft over our log and state machine.
pub(super) type Raft = openraft::Raft<TypeConfig, StateMachineAdapter>;

/// A committed entry with a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedEntry {
    /// Its place in the log. Not consecutive: the log also holds entries of its own.
    pub index: u64,
    /// The term of the leader that proposed it.
    pub term: u64,
    /// What was proposed.
    pub payload: Bytes,
}

/// Takes the records of a snapshot: a tag and bytes each.
pub type RecordSink<'a> = dyn FnMut(u8, &[u8]) -> io::Result<()> + 'a;

/// Writes a frozen state, some time later and on another thread.
pub type FrozenState = Box<dyn FnOnce(&mut RecordSink<'_>) -> io::Result<()> + Send>;

/// The replicated state machine, as consensus sees it.
pub trait ReplicatedMachine: Send + Sync + 'static {
    /// Takes committed payloads in log order, each once, several per call.
    /// Called from one task at a time.
    ///
    /// # Errors
    /// If they cannot be applied, or an invariant would be broken by going on. The
    /// member then stops, as it does if this panics.
    fn apply(&self, entries: Vec<CommittedEntry>) -> io::Result<()>;

    /// Freezes the state as of the last applied entry.
    fn freeze(&self) -> FrozenState;

    /// Replaces the state by that of a snapshot, as of log entry `index`.
    ///
    /// # Errors
    /// If the records make no sense. The member then stops.
    fn restore(
        &self,
        index: u64,
        records: &mut dyn Iterator<Item = io::Result<(u8, Bytes)>>,
    ) -> io::Result<()>;
}

/// Entries applied in one call at most.
const CHUNK_ENTRIES_MAX: usize = 1024;
/// What an entry costs in the log beside its payload.
const ENTRY_OVERHEAD_BYTES: u64 = 40;

/// How far the state machine is; shared with everybody who waits for it.
#[derive(Debug)]
pub(super) struct Progress {
    applied: watch::Sender<u64>,
    position: Mutex<(Option<LogId>, StoredMembership)>,
    /// Log applied since the last snapshot, in bytes.
    log_bytes: AtomicU64,
    /// That much makes the next snapshot due.
    log_bytes_max: AtomicU64,
    snapshot_log_bytes: u64,
    pub(super) snapshot_due: Notify,
}

impl Progress {
    pub(super) fn new(snapshot_log_bytes: u64) -> Self {
        Self {
            applied: watch::Sender::new(0),
            position: Mutex::default(),
            log_bytes: AtomicU64::new(0),
            log_bytes_max: AtomicU64::new(snapshot_log_bytes),
            snapshot_log_bytes,
            snapshot_due: Notify::new(),
        }
    }

    /// The index after the last applied entry, as it changes.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.applied.subscribe()
    }

    pub(super) fn position(&self) -> MutexGuard<'_, (Option<LogId>, StoredMembership)> {
        self.position.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn advance(&self, log_id: LogId, bytes: u64) {
        self.applied.send_replace(log_id.index + 1);
        let total = self.log_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if total > self.log_bytes_max.load(Ordering::Relaxed) {
            self.snapshot_due.notify_one();
        }
    }

    /// A snapshot holds what was applied up to now. The larger it is, the more
    /// log has to make the next one worth its writing.
    pub(super) fn note_snapshot(&self, log_bytes: u64, snapshot: &Snapshot) {
        // A snapshot installed while another was written may have counted the same log.
        let rest = |total: u64| Some(total.saturating_sub(log_bytes));
        let _ = self.log_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, rest);
        let bytes_max = self.snapshot_log_bytes.max(snapshot.size());
        self.log_bytes_max.store(bytes_max, Ordering::Relaxed);
    }
}

/// openraft's state machine: feeds a [`ReplicatedMachine`].
#[derive(Clone)]
pub(super) struct StateMachineAdapter {
    pub(super) machine: Arc<dyn ReplicatedMachine>,
    pub(super) snapshots: SnapshotStore,
    pub(super) progress: Arc<Progress>,
    pub(super) living: Arc<Living>,
    /// Only openraft's own suite does without.
    pub(super) rules: Option<LogRules>,
}

impl StateMachineAdapter {
    pub(super) fn new(
        machine: Arc<dyn ReplicatedMachine>,
        snapshots: SnapshotStore,
        progress: Arc<Progress>,
        living: Living,
    ) -> Self {
        if let Some(current) = snapshots.current() {
            progress.note_snapshot(0, &current);
        }
        Self { machine, snapshots, progress, living: Arc::new(living), rules: None }
    }

    /// Has what is applied compared with what the log says.
    pub(super) fn under(self, rules: LogRules) -> Self {
        Self { rules: Some(rules), ..self }
    }

    fn check(&self, rule: impl FnOnce(&LogRules) -> io::Result<()>) -> io::Result<()> {
        self.rules.as_ref().map_or(Ok(()), rule)
    }

    /// Has the machine apply payloads, the last of them that of entry `upto`.
    ///
    /// # Errors
    /// If that fails or panics: a state that changed by half must not be used, and
    /// the member is to hear of it.
    pub(super) fn apply_payloads(
        &self,
        payloads: Vec<CommittedEntry>,
        upto: u64,
    ) -> io::Result<()> {
        if payloads.is_empty() {
            return Ok(());
        }
        let applied = catch_unwind(AssertUnwindSafe(|| self.machine.apply(payloads)));
        applied.unwrap_or_else(|panic| {
            Err(io::Error::other(format!(
                "applying the log up to entry {upto} panicked: {}",
                panic_text(&*panic)
            )))
        })
    }

    /// Applies one chunk and answers its proposers.
    ///
    /// # Errors
    /// As [`Self::apply_payloads`], or if these are not the next committed entries.
    fn apply_chunk(&self, chunk: Vec<EntryResponder<TypeConfig>>) -> io::Result<()> {
        let mut payloads = Vec::with_capacity(chunk.len());
        let mut responders = Vec::new();
        let mut membership = None;
        let mut last = self.progress.position().0;
        let mut bytes = 0;
        self.check(|rules| {
            let entries = chunk.iter().map(|(entry, _)| position(&entry.log_id));
            rules.before_apply(last.as_ref().map(position), entries)
        })?;
        for (entry, responder) in chunk {
            let LogPosition { term, index } = position(&entry.log_id);
            bytes += ENTRY_OVERHEAD_BYTES;
            match entry.payload {
                EntryPayload::Blank => {}
                EntryPayload::Normal(proposal) => {
                    bytes += proposal.0.len() as u64;
                    payloads.push(CommittedEntry { index, term, payload: proposal.0 });
                }
                EntryPayload::Membership(changed) => {
                    membership = Some(StoredMembership::new(Some(entry.log_id), changed));
                }
            }
            last = Some(entry.log_id);
            responders.extend(responder);
        }
        let Some(last) = last else { return Ok(()) };
        self.apply_payloads(payloads, last.index)?;
        {
            let mut position = self.progress.position();
            position.0 = Some(last);
            if let Some(membership) = membership {
                position.1 = membership;
            }
        }
        self.progress.advance(last, bytes);
        for responder in responders {
            responder.send(());
        }
        Ok(())
    }
}

/// What a panic said, if it said something.
fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

impl RaftStateMachine<TypeConfig> for StateMachineAdapter {
    type SnapshotData = Snapshot;
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok(self.progress.position().clone())
    }

    async fn apply<Strm>(&mut self, entries: Strm) -> io::Result<()>
    where
        Strm: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        let mut entries = entries.fuse();
        while let Some(first) = entries.next().await {
            let mut chunk = vec![first?];
            while chunk.len() < CHUNK_ENTRIES_MAX
                && let Some(Some(more)) = entries.next().now_or_never()
            {
                chunk.push(more?);
            }
            self.apply_chunk(chunk)?;
        }
        Ok(())
    }

    /// openraft takes a failed snapshot for the end of the member, so it is given
    /// only what is on the disk already: see [`super::snapshots`].
    async fn try_create_snapshot_builder(&mut self, force: bool) -> Option<SnapshotBuilder> {
        if force {
            return Some(self.get_snapshot_builder().await);
        }
        let current = self.snapshots.current()?;
        Some(SnapshotBuilder::Taken(current))
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        let (last_log_id, last_membership) = self.progress.position().clone();
        SnapshotBuilder::Frozen(Box::new(FrozenSnapshot {
            meta: SnapshotMeta { last_log_id, last_membership },
            frozen: Mutex::new(Some(self.machine.freeze())),
            log_bytes: self.progress.log_bytes.load(Ordering::Relaxed),
            snapshots: self.snapshots.clone(),
            progress: self.progress.clone(),
            living: self.living.clone(),
        }))
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Snapshot,
    ) -> io::Result<()> {
        let Some(last) = meta.last_log_id else { return Ok(()) };
        let applied = self.progress.position().0.as_ref().map(position);
        self.check(|rules| rules.before_install(applied, position(&last)))?;
        let (machine, store) = (self.machine.clone(), self.snapshots.clone());
        let living = self.living.clone();
        let snapshot = blocking(move || {
            adopt_patiently(&store, &snapshot, position(&last), &living)?;
            let mut records = snapshot.records()?;
            machine.restore(last.index, &mut records)?;
            Ok(snapshot)
        })
        .await?;
        *self.progress.position() = (Some(last), meta.last_membership.clone());
        self.progress.advance(last, 0);
        self.progress.note_snapshot(self.progress.log_bytes.load(Ordering::Relaxed), &snapshot);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<RaftSnapshot>> {
        self.snapshots.current().map(described).transpose()
    }
}

fn described(snapshot: Snapshot) -> io::Result<RaftSnapshot> {
    let meta = decode_snapshot_meta(snapshot.meta().clone())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(RaftSnapshot { meta, snapshot })
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await?
}

/// Makes a snapshot that the leader sent the current one. What it lacks for
/// that, a descriptor say, somebody will free; openraft would end the member.
fn adopt_patiently(
    store: &SnapshotStore,
    snapshot: &Snapshot,
    at: LogPosition,
    living: &Living,
) -> io::Result<()> {
    let mut said = false;
    loop {
        match store.adopt(snapshot, at) {
            Err(error) if may_pass(&error) && !living.is_ending() => {
                if !std::mem::replace(&mut said, true) {
                    tracing::warn!(%error, "cannot store a snapshot from the leader yet");
                }
                std::thread::sleep(ADOPT_AGAIN);
            }
            adopted => return adopted,
        }
    }
}

const ADOPT_AGAIN: Duration = Duration::from_millis(50);

/// What a snapshot is made of.
pub(super) enum SnapshotBuilder {
    /// A state waiting to be written.
    Frozen(Box<FrozenSnapshot>),
    /// One that is on the disk.
    Taken(Snapshot),
}

pub(super) struct FrozenSnapshot {
    meta: SnapshotMeta,
    /// In a lock only because openraft asks for `Sync`.
    frozen: Mutex<Option<FrozenState>>,
    log_bytes: u64,
    snapshots: SnapshotStore,
    progress: Arc<Progress>,
    living: Arc<Living>,
}

impl SnapshotBuilder {
    /// Up to where the state was applied.
    pub(super) fn upto(&self) -> Option<u64> {
        match self {
            Self::Frozen(frozen) => frozen.meta.last_log_id.map(|last| last.index),
            Self::Taken(taken) => taken.position().map(|at| at.index),
        }
    }
}

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    type SnapshotData = Snapshot;

    async fn build_snapshot(&mut self) -> io::Result<RaftSnapshot> {
        match self {
            Self::Frozen(frozen) => frozen.write().await,
            Self::Taken(snapshot) => described(snapshot.clone()),
        }
    }
}

impl FrozenSnapshot {
    async fn write(&mut self) -> io::Result<RaftSnapshot> {
        let frozen = self
            .frozen
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .ok_or_else(|| io::Error::other("a snapshot builder builds one snapshot"))?;
        let meta = encode_snapshot_meta(&self.meta);
        let at = self.meta.last_log_id.as_ref().map(position);
        let at = at.unwrap_or(LogPosition { term: 0, index: 0 });
        let (store, living) = (self.snapshots.clone(), self.living.clone());
        let snapshot = blocking(move || {
            let _living = living;
            let mut writer = store.write(at, &meta)?;
            frozen(&mut |tag, bytes| writer.record(tag, bytes))?;
            writer.finish()
        })
        .await?;
        self.progress.note_snapshot(self.log_bytes, &snapshot);
        described(snapshot)
    }
}
