//! Replaces this member's state with another member's, when its own is not
//! trustworthy.
//!
//! ```text
//! this member                                   the other
//! applied up to a ── fetch, not before a ─────> snapshot at s >= a, taken now if need be
//!                 <─── the file ───────────────
//! applied up to s, at least
//! between two entries: the snapshot becomes the current one, the state is
//! made of it, and the own log from s on is applied again
//! ```
//!
//! Log and vote stay: this member still has everything that it acknowledged, so
//! majorities that included it remain valid. What is replaced is the state, its
//! snapshot and, with the next purge, the log before it.

use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use coord_state::MemberId;
use coord_state::codec::{Decode, Encode, Input};
use openraft::RaftTypeConfig;
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::entry::EntryPayload;

use super::lifetime::timeout;
use super::log_store::LogStore;
use super::member::{Consensus, fatal_error};
use super::peer_frame::{Connection, PeerError, Purpose, framed};
use super::peer_server::PeerServer;
use super::snapshot_transfer::{SNAPSHOT_STALL, receive_snapshot, send_snapshot};
use super::snapshots::take;
use super::state_machine::{CommittedEntry, StateMachineAdapter, blocking};
use super::types::{LogId, TypeConfig, decode_snapshot_meta, position};
use crate::error::Error;
use crate::storage::{RaftLog, Snapshot, SnapshotStore};

/// How long one of the two may be behind the other.
const CATCH_UP: Duration = Duration::from_secs(30);
/// How long a log may be behind an entry that a peer has applied. That entry is
/// committed, so a leader is about to send it.
const LOG_BEHIND: Duration = Duration::from_secs(2);

impl Consensus {
    /// Replaces the state by that of `peer`, as of an entry not older than the
    /// last one applied here, and brings it up to date. Nothing is applied
    /// meanwhile.
    ///
    /// # Errors
    /// `Unavailable` if the peer cannot be reached, is too far behind, or the
    /// two cannot be brought together: try again. `Closed` or `Internal` if
    /// this member stopped or failed.
    pub async fn reinstall(&self, peer: MemberId) -> Result<(), Error> {
        // No snapshot of the old state may come after the one that replaces it.
        let _no_snapshot = self.inner.snapshotting.lock().await;
        let fetched = self.fetch(peer).await.map_err(|error| {
            Error::unavailable(format!("cannot get a snapshot from member {peer}")).caused_by(error)
        })?;
        let meta = decode_snapshot_meta(fetched.meta().clone())
            .map_err(|error| Error::internal("a snapshot's description").caused_by(error))?;
        let last = meta
            .last_log_id
            .ok_or_else(|| Error::unavailable(format!("member {peer} has applied nothing yet")))?;
        timeout(CATCH_UP, self.wait_applied(last.index)).await.unwrap_or_else(|| {
            Err(Error::unavailable("this member's log did not reach the snapshot in time"))
        })?;
        let log = self.log().ok_or_else(|| Error::closed("the member stopped"))?;
        let replaced = self
            .inner
            .raft
            .with_state_machine(move |machine: &mut StateMachineAdapter| {
                let log = LogStore::reading(log);
                let replacing = replace(machine.clone(), log, fetched, last);
                Box::pin(replacing)
            })
            .await
            .map_err(fatal_error)?;
        replaced.map_err(|error| Error::unavailable("cannot replace the state").caused_by(error))
    }

    /// The log, until the member stops.
    fn log(&self) -> Option<RaftLog> {
        let storage = self.inner.storage.lock().unwrap_or_else(PoisonError::into_inner);
        storage.as_ref().map(|storage| storage.log.clone())
    }

    /// The snapshots, until the member stops.
    fn snapshots(&self) -> Option<SnapshotStore> {
        let storage = self.inner.storage.lock().unwrap_or_else(PoisonError::into_inner);
        storage.as_ref().map(|storage| storage.snapshots.clone())
    }

    /// Keeps snapshots from being taken and states from being replaced.
    #[cfg(test)]
    pub(crate) fn hold_snapshots(&self) -> tokio::sync::OwnedMutexGuard<()> {
        let held = self.inner.snapshotting.clone().try_lock_owned();
        held.expect("no snapshot is being taken")
    }

    async fn fetch(&self, peer: MemberId) -> Result<Snapshot, PeerError> {
        let inner = &self.inner;
        let applied = *inner.progress.watch().borrow();
        let mut connection = inner.peers.connect(peer, Purpose::Fetch).await?;
        let request = framed(|out| applied.saturating_sub(1).encode(out));
        connection.writer.send(&request).await?;
        let gone = || PeerError::Broken("the peer sent no snapshot".to_owned());
        let offer = timeout(SNAPSHOT_STALL, connection.reader.next()).await.ok_or_else(gone)??;
        let size = u64::decode(&mut Input::new(offer.ok_or_else(gone)?))?;
        let snapshots = self.snapshots().ok_or_else(gone)?;
        let living = Arc::new(inner.lifetime.enter());
        receive_snapshot(&mut connection.reader, snapshots, living, size).await
    }
}

/// Runs between two chunks of applied entries.
async fn replace(
    machine: StateMachineAdapter,
    log: LogStore,
    snapshot: Snapshot,
    last: LogId,
) -> io::Result<()> {
    let applied = machine.progress.position().0.map_or(0, |applied| applied.index);
    if log.purged().is_some_and(|purged| purged > last.index) {
        return Err(io::Error::other(
            "the log entries after the snapshot have already been removed",
        ));
    }
    let (store, restoring) = (machine.snapshots.clone(), machine.machine.clone());
    let living = machine.living.clone();
    let snapshot = blocking(move || {
        let _living = living;
        let mut records = snapshot.records()?;
        restoring.restore(last.index, &mut records)?;
        drop(records);
        store.replace(&snapshot, position(&last))?;
        Ok(snapshot)
    })
    .await?;
    let mut next = last.index + 1;
    while next <= applied {
        let entries = log.read_some(next..applied + 1).await?;
        let Some(read_to) = entries.last().map(|entry| entry.log_id.index) else {
            return Err(io::Error::other(format!("log entry {next} is missing")));
        };
        next = read_to + 1;
        machine.apply_payloads(entries.into_iter().filter_map(committed).collect(), read_to)?;
    }
    machine.progress.note_snapshot(0, &snapshot);
    Ok(())
}

fn committed(entry: <TypeConfig as RaftTypeConfig>::Entry) -> Option<CommittedEntry> {
    let at = position(&entry.log_id);
    match entry.payload {
        EntryPayload::Normal(proposal) => {
            Some(CommittedEntry { index: at.index, term: at.term, payload: proposal.0 })
        }
        EntryPayload::Blank | EntryPayload::Membership(_) => None,
    }
}

impl PeerServer {
    /// Gives a snapshot not older than asked for.
    pub(super) async fn serve_fetch(&self, connection: Connection) -> Result<(), PeerError> {
        let Connection { mut reader, mut writer, living: _living, .. } = connection;
        while let Some(request) = reader.next().await? {
            let wanted = u64::decode(&mut Input::new(request))?;
            let snapshot = self.recent_snapshot(wanted).await?;
            writer.send(&framed(|out| snapshot.size().encode(out))).await?;
            send_snapshot(&mut writer, snapshot).await?;
        }
        Ok(())
    }

    async fn recent_snapshot(&self, wanted: u64) -> Result<Snapshot, PeerError> {
        if let Some(recent) = self.snapshot_since(wanted) {
            return Ok(recent);
        }
        let failed = |error: &dyn fmt::Display| PeerError::Broken(error.to_string());
        // Waited for before the lock is taken: what was asked for may never come.
        let logged = self.raft.metrics().borrow_watched().last_log_index;
        let within = if logged >= Some(wanted) { CATCH_UP } else { LOG_BEHIND };
        let wait = self.raft.wait(Some(within));
        let applied = wait.applied_index_at_least(Some(wanted), "what a peer has applied");
        applied.await.map_err(|error| failed(&error))?;
        let _one_at_a_time = self.snapshotting.lock().await;
        if let Some(recent) = self.snapshot_since(wanted) {
            return Ok(recent);
        }
        take(&self.raft).await.map_err(|error| failed(&Error::from(error)))?;
        let recent = self.snapshot_since(wanted);
        recent.ok_or_else(|| PeerError::Broken("no snapshot was taken".to_owned()))
    }

    /// The current snapshot, if it has the entry.
    fn snapshot_since(&self, wanted: u64) -> Option<Snapshot> {
        let current = self.snapshots.current();
        current.filter(|current| current.position().is_some_and(|at| at.index >= wanted))
    }
}
