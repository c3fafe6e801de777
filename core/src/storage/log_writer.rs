//! The log's thread: turns requests into frames and frames into durable bytes.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::durable_mark::{DurableMark, MarkFile};
use super::log_index::Location;
use super::raft_log::{Completion, LogShared, Request};
use super::record::{
    LogEntry, LogPosition, Record, SMALL_BODY_BYTES_MAX, StoredVote, end_batch, entry_frame_bytes,
    frame_bytes, write_frame,
};
use super::segment::{ActiveSegment, SegmentPool};

/// Frames are handed to the file at least every so many bytes.
const WRITE_BYTES: usize = 1 << 20;

/// A segment before the active one, or that one.
#[derive(Debug, Clone, Copy)]
pub(super) struct WrittenSegment {
    pub(super) size: u64,
    pub(super) index_max: Option<u64>,
}

/// Owns the segments.
pub(super) struct LogWriter {
    pub(super) pool: SegmentPool,
    pub(super) active: ActiveSegment,
    pub(super) segments: BTreeMap<u64, WrittenSegment>,
    /// The hard state as of the frames written so far.
    pub(super) vote: Option<StoredVote>,
    pub(super) committed: Option<LogPosition>,
    pub(super) purged: Option<LogPosition>,
    /// The number of the batch being written.
    pub(super) batch: u32,
    /// Frames of the batch that the file does not have yet.
    pub(super) buffer: Vec<u8>,
    /// Where the last frame begins in the buffer, if a batch is begun.
    pub(super) last_frame: Option<usize>,
    /// Where the entries of the batch went.
    pub(super) placed: Vec<(LogPosition, Location)>,
    /// Says after each sync how far the log is durable.
    pub(super) marks: MarkFile,
    /// Not while the marks prove that something was lost.
    pub(super) marks_allowed: Arc<AtomicBool>,
    /// The index after the last entry.
    pub(super) next: u64,
}

impl LogWriter {
    pub(super) fn run(mut self, shared: &LogShared) {
        let mut done = Vec::new();
        while let Some(requests) = shared.take_requests() {
            if let Err(error) = self.write(requests, shared, &mut done) {
                tracing::error!(%error, "the log failed; this member stops");
                let reason = format!("the log failed: {error}");
                shared.state().failed = Some(reason.clone());
                for done in done.drain(..) {
                    done(Err(io::Error::other(reason.clone())));
                }
                return shared.fail_forever(&reason);
            }
        }
        if let Err(error) = self.finish(shared) {
            tracing::warn!(%error, "the log could not note how far it is committed");
        }
        self.pool.close();
    }

    fn write(
        &mut self,
        requests: Vec<Request>,
        shared: &LogShared,
        done: &mut Vec<Completion>,
    ) -> io::Result<()> {
        // All completions first: whatever fails below, each of them is told.
        let mut changes = Vec::with_capacity(requests.len());
        for request in requests {
            match request {
                Request::Append { entries, done: completion } => {
                    done.push(completion);
                    changes.extend(entries.into_iter().map(Record::Entry));
                }
                Request::Vote { vote, done: completion } => {
                    done.push(completion);
                    changes.push(Record::Vote(vote));
                }
                Request::Truncate { from } => changes.push(Record::Truncate { from }),
                Request::Purge(upto) => changes.push(Record::Purge(upto)),
            }
        }
        for change in changes {
            self.record(change, shared)?;
        }
        self.record_committed(shared)?;
        self.make_durable(shared)?;
        for done in done.drain(..) {
            done(Ok(()));
        }
        if let Err(error) = self.drop_purged(shared) {
            tracing::warn!(%error, "a purged log segment could not be dropped");
        }
        Ok(())
    }

    fn finish(&mut self, shared: &LogShared) -> io::Result<()> {
        self.record_committed(shared)?;
        if self.last_frame.is_some() { self.make_durable(shared) } else { Ok(()) }
    }

    fn record_committed(&mut self, shared: &LogShared) -> io::Result<()> {
        let state = shared.state();
        let committed = state.committed;
        // A note about an entry must not become durable before the entry.
        let known = committed.is_none_or(|position| {
            state.index.is_durable(position)
                || self.placed.iter().rev().any(|(placed, _)| *placed == position)
        });
        drop(state);
        if committed == self.committed || !known {
            return Ok(());
        }
        self.record(Record::Committed(committed), shared)
    }

    fn record(&mut self, record: Record, shared: &LogShared) -> io::Result<()> {
        let bytes = match &record {
            Record::Entry(entry) => entry_frame_bytes(entry.payload.len()),
            _ => frame_bytes(SMALL_BODY_BYTES_MAX),
        };
        self.make_room(bytes, shared)?;
        self.begin_batch();
        match &record {
            Record::Vote(vote) => self.vote = Some(*vote),
            Record::Purge(upto) => {
                self.purged = self.purged.max(Some(*upto));
                self.next = self.next.max(upto.index + 1);
            }
            Record::Committed(position) => self.committed = *position,
            Record::Entry(entry) => self.place(entry),
            Record::Truncate { from } => self.next = self.next.min(*from),
            Record::Checkpoint { .. } | Record::Seal => {}
        }
        self.frame(&record)
    }

    /// A segment's first batch begins with what the segments before it say.
    fn begin_batch(&mut self) {
        if self.batch == 0 && self.last_frame.is_none() {
            let (vote, committed, purged) = (self.vote, self.committed, self.purged);
            let record = Record::Checkpoint { vote, committed, purged };
            self.last_frame = Some(self.buffer.len());
            write_frame(self.active.number, self.batch, &record, &mut self.buffer);
        }
    }

    fn place(&mut self, entry: &LogEntry) {
        let offset = self.active.end + self.buffer.len() as u64;
        let location = Location { segment: self.active.number, offset };
        self.placed.push((entry.position, location));
        self.next = entry.position.index + 1;
        if let Some(segment) = self.segments.get_mut(&self.active.number) {
            segment.index_max = segment.index_max.max(Some(entry.position.index));
        }
    }

    fn frame(&mut self, record: &Record) -> io::Result<()> {
        // The frame before stays in memory until it is known not to be the batch's last.
        let start = self.buffer.len();
        write_frame(self.active.number, self.batch, record, &mut self.buffer);
        self.last_frame = Some(start);
        if start >= WRITE_BYTES {
            self.active.write(&self.buffer[..start])?;
            self.buffer.drain(..start);
            self.last_frame = Some(0);
        }
        Ok(())
    }

    /// Starts a new segment unless the active one has room for so many bytes
    /// and for the frames around them.
    fn make_room(&mut self, bytes: usize, shared: &LogShared) -> io::Result<()> {
        let around = 2 * frame_bytes(SMALL_BODY_BYTES_MAX);
        let needed = (bytes + around) as u64;
        let used = self.active.end + self.buffer.len() as u64;
        if used + needed <= self.active.size {
            return Ok(());
        }
        self.begin_batch();
        self.frame(&Record::Seal)?;
        self.make_durable(shared)?;
        let number = self.active.number + 1;
        self.active = self.pool.start_segment(number, needed)?;
        self.batch = 0;
        self.segments.insert(number, WrittenSegment { size: self.active.size, index_max: None });
        shared.state().files.insert(number, self.active.file.clone());
        self.mark();
        Ok(())
    }

    fn mark(&mut self) {
        if self.marks_allowed.load(Ordering::Acquire) {
            let ActiveSegment { number: segment, size, end, .. } = self.active;
            self.marks.note(DurableMark { segment, size, end, next: self.next });
        }
    }

    fn make_durable(&mut self, shared: &LogShared) -> io::Result<()> {
        if let Some(start) = self.last_frame.take() {
            end_batch(self.active.number, &mut self.buffer[start..]);
            self.active.write(&self.buffer)?;
            self.buffer.clear();
            self.active.file.sync()?;
            self.batch += 1;
            self.mark();
        }
        let mut state = shared.state();
        for (position, location) in self.placed.drain(..) {
            state.index.locate(position, location);
        }
        state.index.shrink();
        drop(state);
        if self.active.end > self.active.size / 4 {
            self.pool.want_one();
        }
        Ok(())
    }

    /// Drops the oldest segments whose entries are all purged. Only after the
    /// active segment holds a durable batch, and with it all they say beside entries.
    fn drop_purged(&mut self, shared: &LogShared) -> io::Result<()> {
        let Some(purged) = self.purged else { return Ok(()) };
        while let Some((&number, segment)) = self.segments.first_key_value()
            && number < self.active.number
            && self.batch > 0
            && segment.index_max.is_none_or(|index| index <= purged.index)
        {
            let size = segment.size;
            self.segments.remove(&number);
            shared.state().files.remove(&number);
            self.pool.drop_segment(number, size)?;
        }
        Ok(())
    }
}
