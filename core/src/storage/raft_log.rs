//! The durable log of one member.
//!
//! Callers change the log in memory, immediately and in order; one thread then
//! writes the changes in the same order, makes all waiting ones durable with a
//! single fsync, and reports completion. Readers see entries before they are
//! durable; only the completion says when they are.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use coord_state::Violation;
use tokio::sync::watch;

use super::disk::DiskFile;
use super::failure::LogCondition;
use super::log_index::{Found, Location};
use super::log_queue::{Completion, LogShared, LogState, Request};
use super::log_writer::LogWriter;
use super::record::{
    FRAME_HEADER_BYTES, FrameHeader, LogEntry, LogPosition, Record, StoredVote, entry_frame_bytes,
};
use crate::sync::{Condvar, Mutex};

/// Where a log begins and ends, and what was decided about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogExtent {
    /// The last purged entry.
    pub purged: Option<LogPosition>,
    /// The last entry, or the last purged one if there is none.
    pub last: Option<LogPosition>,
    /// The last vote.
    pub vote: Option<StoredVote>,
    /// How far it was last noted to be committed.
    pub committed: Option<LogPosition>,
}

/// A member's log. Cheap to clone; all clones are the same log.
#[derive(Clone)]
pub struct RaftLog {
    shared: Arc<LogShared>,
}

impl RaftLog {
    pub(super) fn start(state: LogState, writer: LogWriter, thread_name: &str) -> io::Result<Self> {
        let shared = Arc::new(LogShared {
            state: Mutex::new(state),
            queue: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            condition: watch::Sender::default(),
            writer: Mutex::new(None),
        });
        let for_writer = shared.clone();
        let run = super::with_log_of_this_thread(move || {
            let shared = &*for_writer;
            // A panic is one more way to fail: whoever waits is told. Nothing was reported
            // durable before it was: invariant B1.
            if catch_unwind(AssertUnwindSafe(|| writer.run(shared))).is_err() {
                let reason = "the log's thread panicked";
                shared.fail(reason);
                shared.refuse_forever(reason);
            }
        });
        let handle = std::thread::Builder::new().name(thread_name.to_owned()).spawn(run)?;
        *shared.writer.lock().unwrap_or_else(PoisonError::into_inner) = Some(handle);
        Ok(Self { shared })
    }

    /// Adds entries at the end. They can be read at once; `done` tells when they
    /// are durable.
    ///
    /// # Errors
    /// If the log failed before or is closed; `done` is told too.
    pub fn append(&self, entries: Vec<LogEntry>, done: Completion) -> io::Result<()> {
        let bytes = entries.iter().map(|entry| entry_frame_bytes(entry.payload.len())).sum();
        if let Err(error) = self.change(|state| state.index.append(&entries)) {
            done(Err(io::Error::other(error.to_string())));
            return Err(error);
        }
        self.shared.push(Request::Append { entries, done }, bytes)
    }

    /// Replaces the vote.
    ///
    /// # Errors
    /// If the log failed before or is closed; `done` is told too.
    pub fn save_vote(&self, vote: StoredVote, done: Completion) -> io::Result<()> {
        let change = |state: &mut LogState| {
            state.vote = Some(vote);
            Ok(())
        };
        if let Err(error) = self.change(change) {
            done(Err(io::Error::other(error.to_string())));
            return Err(error);
        }
        self.shared.push(Request::Vote { vote, done }, 0)
    }

    /// Drops the entries from `from` on. Durable before anything added later is.
    ///
    /// # Errors
    /// If the log failed before or is closed.
    pub fn truncate(&self, from: u64) -> io::Result<()> {
        self.change(|state| {
            state.index.truncate(from);
            Ok(())
        })?;
        self.shared.push(Request::Truncate { from }, 0)
    }

    /// Drops the entries up to and including `upto`, which a durable snapshot
    /// covers. Their space is freed later.
    ///
    /// # Errors
    /// If the log failed before or is closed.
    pub fn purge(&self, upto: LogPosition) -> io::Result<()> {
        self.change(|state| {
            state.index.purge(upto);
            Ok(())
        })?;
        self.shared.push(Request::Purge(upto), 0)
    }

    /// Notes how far the log is committed. Becomes durable along with the next
    /// change or when the log is closed, not by itself.
    pub fn note_committed(&self, position: Option<LogPosition>) {
        self.shared.state().committed = position;
    }

    /// Where the log begins and ends, and what was decided about it, at one moment.
    pub fn extent(&self) -> LogExtent {
        let state = self.shared.state();
        LogExtent {
            purged: state.index.purged(),
            last: state.index.last(),
            vote: state.vote,
            committed: state.committed,
        }
    }

    /// Takes no change from now on: whoever writes it found that it must not be built
    /// upon. [`LogCondition::Failed`] says why; the first reason counts.
    pub fn fail(&self, why: &str) {
        self.shared.fail(why);
    }

    /// The last vote.
    pub fn vote(&self) -> Option<StoredVote> {
        self.shared.state().vote
    }

    /// How far the log was last noted to be committed.
    pub fn committed(&self) -> Option<LogPosition> {
        self.shared.state().committed
    }

    /// The last purged entry.
    pub fn purged(&self) -> Option<LogPosition> {
        self.shared.state().index.purged()
    }

    /// The last entry, or the last purged one if there is none.
    pub fn last(&self) -> Option<LogPosition> {
        self.shared.state().index.last()
    }

    /// Whether everything up to and including `index` is on disk, or was and is purged.
    pub fn is_durable_to(&self, index: u64) -> bool {
        let state = self.shared.state();
        let purged = state.index.purged().is_some_and(|purged| purged.index >= index);
        // Entries become durable in their order.
        purged || state.index.position(index).is_some_and(|at| state.index.is_durable(at))
    }

    /// The position of one entry, if the log holds it.
    pub fn position(&self, index: u64) -> Option<LogPosition> {
        self.shared.state().index.position(index)
    }

    /// The oldest index such that the entries from it on take at most `bytes`.
    pub fn tail_start(&self, bytes: u64) -> u64 {
        self.shared.state().index.tail_start(bytes)
    }

    /// Whether reading this range needs no disk.
    pub fn holds(&self, range: &Range<u64>) -> bool {
        self.shared.state().index.holds(range)
    }

    /// The entries of a range that the log holds, in order, until their payloads
    /// make `bytes_max`; at least one, if there is one.
    ///
    /// # Errors
    /// If an entry cannot be read back from the disk.
    pub fn read(&self, range: Range<u64>, bytes_max: usize) -> io::Result<Vec<LogEntry>> {
        let (found, files) = {
            let state = self.shared.state();
            let found = state.index.find(range, bytes_max);
            let on_disk = found.iter().any(|found| matches!(found, Found::OnDisk { .. }));
            (found, if on_disk { state.files.clone() } else { BTreeMap::new() })
        };
        let mut entries = Vec::with_capacity(found.len());
        for found in found {
            match found {
                Found::Held(entry) => entries.push(entry),
                Found::OnDisk { location, bytes } => {
                    match read_entry(&files, location, bytes) {
                        Ok(entry) => entries.push(entry),
                        // Its segment may have been reused since: then it is purged.
                        Err(error) => self.check_purged(location, error)?,
                    }
                }
            }
        }
        Ok(entries)
    }

    /// Whether it can be written, as that changes.
    pub fn watch_condition(&self) -> watch::Receiver<LogCondition> {
        self.shared.condition.subscribe()
    }

    /// Has what cannot be written now fail instead of being tried again: for a
    /// member that is to end and would wait for it.
    pub fn abandon(&self) {
        self.shared.queue().abandoned = true;
        self.shared.filled.notify_all();
    }

    /// Writes what waits, makes it durable and ends the thread. Idempotent.
    pub fn close(&self) {
        self.shared.queue().closed = true;
        self.shared.filled.notify_all();
        self.shared.emptied.notify_all();
        let writer = self.shared.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // A panic of the writer was caught and made a failure.
            let _ = writer.join();
        }
    }

    /// Changes the log in memory. A change that would violate an invariant is refused
    /// and fails the log.
    fn change(
        &self,
        change: impl FnOnce(&mut LogState) -> Result<(), Violation>,
    ) -> io::Result<()> {
        let mut state = self.shared.state();
        if let Some(reason) = &state.failed {
            return Err(io::Error::other(reason.clone()));
        }
        let changed = change(&mut state);
        drop(state);
        changed.map_err(|broken| {
            self.shared.fail(&broken.to_string());
            io::Error::other(broken)
        })
    }

    fn check_purged(&self, location: Location, error: io::Error) -> io::Result<()> {
        if self.shared.state().files.contains_key(&location.segment) { Err(error) } else { Ok(()) }
    }
}

fn read_entry(
    files: &BTreeMap<u64, Arc<dyn DiskFile>>,
    location: Location,
    payload: usize,
) -> io::Result<LogEntry> {
    let damaged = || {
        let place = format!("segment {:x}, byte {}", location.segment, location.offset);
        io::Error::new(io::ErrorKind::InvalidData, format!("the log is damaged: {place}"))
    };
    let file = files.get(&location.segment).ok_or_else(damaged)?;
    let mut frame = vec![0; entry_frame_bytes(payload)];
    file.read_at(location.offset, &mut frame)?;
    let frame = Bytes::from(frame);
    let header = FrameHeader::read(location.segment, &frame).ok_or_else(damaged)?;
    let end = FRAME_HEADER_BYTES + header.body;
    if end > frame.len() {
        return Err(damaged());
    }
    match header.record(frame.slice(FRAME_HEADER_BYTES..end)) {
        Some(Record::Entry(entry)) => Ok(entry),
        _ => Err(damaged()),
    }
}

impl fmt::Debug for RaftLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RaftLog").finish_non_exhaustive()
    }
}
