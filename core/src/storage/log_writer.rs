//! The log writer thread: encodes requests as frames and makes them durable.
//!
//! Failed writes are retried from the last durable batch on as long as the
//! failure may be temporary: an operator can fix a full disk or a lack of
//! descriptors, and nothing was reported durable yet. Only a file whose fsync
//! failed is not used again. See [`super::failure`].

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use super::StorageTimes;
use super::durable_mark::{DurableMark, MarkFile};
use super::failure::{Attempts, LogCondition, Next};
use super::log_index::Location;
use super::log_queue::{Completion, LogShared, Request};
use super::record::{
    FRAME_HEADER_BYTES, FrameHeader, LogEntry, LogPosition, Record, SEGMENT_HEADER_BYTES,
    SMALL_BODY_BYTES_MAX, StoredVote, end_batch, entry_frame_bytes, frame_bytes, segment_header,
    write_frame,
};
use super::segment::{ActiveSegment, SegmentPool};
use crate::clock::Stopwatch;

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
    pub(super) hard: HardState,
    /// The number of the batch being written.
    pub(super) batch: u32,
    /// Frames of the batch that the file does not have yet.
    buffer: Vec<u8>,
    /// Where the last frame begins in the buffer, if a batch is begun.
    last_frame: Option<usize>,
    /// Where the entries of the batch went.
    placed: Vec<(LogPosition, Location)>,
    /// Says after each sync how far the log is durable.
    marks: MarkFile,
    /// Not while the marks prove that something was lost.
    marks_allowed: Arc<AtomicBool>,
    /// Changes that are not durable yet, oldest first.
    pending: VecDeque<Record>,
    /// How many of them are in the batch being written.
    recorded: usize,
    /// What holds after the last durable batch.
    durable: Durable,
    /// The active segment is ended by a durable seal: the next frame goes to a new one.
    sealed: bool,
    /// An fsync of the active segment's file failed: what it holds beyond the last
    /// durable batch is not known, and it must not be synced again.
    spoiled: bool,
    times: Arc<StorageTimes>,
}

/// Where the writer says how far the log is durable, and whether it may.
pub(super) struct Marking {
    pub(super) marks: MarkFile,
    pub(super) allowed: Arc<AtomicBool>,
}

/// What a segment's first frame says of those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HardState {
    pub(super) vote: Option<StoredVote>,
    pub(super) committed: Option<LogPosition>,
    pub(super) purged: Option<LogPosition>,
    /// The index after the last entry.
    pub(super) next: u64,
}

#[derive(Debug, Clone, Copy)]
struct Durable {
    hard: HardState,
    /// Where it ends in the active segment.
    end: u64,
}

impl LogWriter {
    pub(super) fn new(
        pool: SegmentPool,
        active: ActiveSegment,
        segments: BTreeMap<u64, WrittenSegment>,
        hard: HardState,
        batch: u32,
        marking: Marking,
        times: Arc<StorageTimes>,
    ) -> Self {
        let Marking { marks, allowed: marks_allowed } = marking;
        let durable = Durable { hard, end: active.end };
        Self {
            pool,
            active,
            segments,
            hard,
            batch,
            buffer: Vec::new(),
            last_frame: None,
            placed: Vec::new(),
            marks,
            marks_allowed,
            pending: VecDeque::new(),
            recorded: 0,
            durable,
            sealed: false,
            spoiled: false,
            times,
        }
    }

    pub(super) fn run(mut self, shared: &LogShared) {
        let mut done = Vec::new();
        while let Some(requests) = shared.take_requests() {
            self.accept(requests, &mut done);
            if let Err(error) = self.write_until_durable(shared) {
                let reason = format!("the log failed: {error}");
                tracing::error!(
                    %error,
                    "the log failed permanently: this member stops serving; check the disk and \
                     restart it"
                );
                shared.fail(&reason);
                for done in done.drain(..) {
                    done(Err(io::Error::other(reason.clone())));
                }
                return shared.refuse_forever(&reason);
            }
            for done in done.drain(..) {
                done(Ok(()));
            }
            if let Err(error) = self.drop_purged(shared) {
                tracing::warn!(%error, "cannot delete a purged log segment yet");
            }
        }
        if let Err(error) = self.finish(shared) {
            tracing::warn!(%error, "cannot write the last record of the log on shutdown");
        }
        self.pool.close();
    }

    fn accept(&mut self, requests: Vec<Request>, done: &mut Vec<Completion>) {
        for request in requests {
            match request {
                Request::Append { entries, done: completion } => {
                    done.push(completion);
                    self.pending.extend(entries.into_iter().map(Record::Entry));
                }
                Request::Vote { vote, done: completion } => {
                    done.push(completion);
                    self.pending.push_back(Record::Vote(vote));
                }
                Request::Truncate { from } => self.pending.push_back(Record::Truncate { from }),
                Request::Purge(upto) => self.pending.push_back(Record::Purge(upto)),
            }
        }
    }

    /// Makes all that is pending durable, however long that takes.
    ///
    /// # Errors
    /// Why it never will be.
    fn write_until_durable(&mut self, shared: &LogShared) -> io::Result<()> {
        let mut attempts = Attempts::default();
        loop {
            let error = match self.write(shared) {
                Ok(()) => break,
                Err(error) => error,
            };
            self.roll_back();
            match attempts.after(&error) {
                Next::GiveUp => return Err(error),
                Next::Again { pause, report } => {
                    if report {
                        shared.set_condition(LogCondition::Stalled(error.to_string()));
                    }
                    if attempts.is_worth_a_line() {
                        tracing::warn!(
                            %error,
                            "cannot write the log: this member does not vote or acknowledge \
                             until it can"
                        );
                    }
                    if shared.pause_unless_ending(pause) {
                        return Err(error);
                    }
                }
            }
        }
        if shared.set_condition(LogCondition::Sound) {
            tracing::warn!("the log can be written again");
            self.pool.want_spares();
        }
        Ok(())
    }

    fn write(&mut self, shared: &LogShared) -> io::Result<()> {
        if self.spoiled {
            self.move_active(shared)?;
        }
        while let Some(change) = self.pending.get(self.recorded).cloned() {
            self.record(change, shared)?;
            self.recorded += 1;
        }
        self.record_committed(shared)?;
        self.make_durable(shared)
    }

    /// Forgets whatever is not durable, so that it can be written anew.
    fn roll_back(&mut self) {
        self.hard = self.durable.hard;
        self.active.end = self.durable.end;
        self.buffer.clear();
        self.last_frame = None;
        self.placed.clear();
        self.recorded = 0;
    }

    /// Gives the active segment another file, with its durable batches.
    fn move_active(&mut self, shared: &LogShared) -> io::Result<()> {
        let len = usize::try_from(self.durable.end).unwrap_or(usize::MAX);
        let mut content = vec![0; len];
        self.active.file.read_at(0, &mut content)?;
        let number = self.active.number;
        check_frames(number, &content)?;
        self.active = self.pool.rewrite_segment(number, self.active.size, &content)?;
        shared.state().files.insert(number, self.active.file.clone());
        self.spoiled = false;
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
        if committed == self.hard.committed || !known {
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
            Record::Vote(vote) => self.hard.vote = Some(*vote),
            Record::Purge(upto) => {
                self.hard.purged = self.hard.purged.max(Some(*upto));
                self.hard.next = self.hard.next.max(upto.index + 1);
            }
            Record::Committed(position) => self.hard.committed = *position,
            Record::Entry(entry) => self.place(entry),
            Record::Truncate { from } => self.hard.next = self.hard.next.min(*from),
            Record::Checkpoint { .. } | Record::Seal => {}
        }
        self.frame(&record)
    }

    /// A segment's first batch begins with what the segments before it say.
    fn begin_batch(&mut self) {
        if self.batch == 0 && self.last_frame.is_none() {
            let HardState { vote, committed, purged, .. } = self.hard;
            let record = Record::Checkpoint { vote, committed, purged };
            self.last_frame = Some(self.buffer.len());
            write_frame(self.active.number, self.batch, &record, &mut self.buffer);
        }
    }

    fn place(&mut self, entry: &LogEntry) {
        let offset = self.active.end + self.buffer.len() as u64;
        let location = Location { segment: self.active.number, offset };
        self.placed.push((entry.position, location));
        self.hard.next = entry.position.index + 1;
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
        if !self.sealed {
            let used = self.active.end + self.buffer.len() as u64;
            if used + needed <= self.active.size {
                return Ok(());
            }
            self.begin_batch();
            self.frame(&Record::Seal)?;
            self.make_durable(shared)?;
            self.sealed = true;
        }
        let number = self.active.number + 1;
        self.active = self.pool.start_segment(number, needed)?;
        self.durable.end = self.active.end;
        self.sealed = false;
        self.batch = 0;
        self.segments.insert(number, WrittenSegment { size: self.active.size, index_max: None });
        shared.state().files.insert(number, self.active.file.clone());
        self.mark();
        Ok(())
    }

    fn mark(&mut self) {
        if self.marks_allowed.load(Ordering::Acquire) {
            let ActiveSegment { number: segment, size, end, .. } = self.active;
            self.marks.note(DurableMark { segment, size, end, next: self.hard.next });
        }
    }

    fn make_durable(&mut self, shared: &LogShared) -> io::Result<()> {
        if let Some(start) = self.last_frame.take() {
            end_batch(self.active.number, &mut self.buffer[start..]);
            self.active.write(&self.buffer)?;
            self.buffer.clear();
            let began = Stopwatch::start();
            if let Err(error) = self.active.file.sync() {
                // Invariant B2: this file is not synced again.
                self.spoiled = true;
                return Err(error);
            }
            self.times.syncs.record(began.elapsed());
            self.batch += 1;
            self.mark();
            self.pool.note_written(self.active.end - self.durable.end);
        }
        self.durable = Durable { hard: self.hard, end: self.active.end };
        self.pending.drain(..self.recorded);
        self.recorded = 0;
        let mut state = shared.state();
        for (position, location) in self.placed.drain(..) {
            state.index.locate(position, location);
        }
        state.index.shrink();
        drop(state);
        if self.active.end > self.active.size / 4 {
            self.pool.want_spares();
        }
        Ok(())
    }

    /// Drops the oldest segments whose entries are all purged. Only after the
    /// active segment holds a durable batch, and with it all they say beside entries.
    fn drop_purged(&mut self, shared: &LogShared) -> io::Result<()> {
        let Some(purged) = self.hard.purged else { return Ok(()) };
        while let Some((&number, segment)) = self.segments.first_key_value()
            && number < self.active.number
            && self.batch > 0
            && segment.index_max.is_none_or(|index| index <= purged.index)
        {
            // In order, and the next time again if it fails: a hole is taken for damage.
            self.pool.drop_segment(number, segment.size)?;
            self.segments.remove(&number);
            shared.state().files.remove(&number);
        }
        Ok(())
    }
}

/// Compares the checksums of a segment's frames.
fn check_frames(number: u64, content: &[u8]) -> io::Result<()> {
    let content = Bytes::copy_from_slice(content);
    let frame = |offset: usize| {
        let header = FrameHeader::read(number, content.get(offset..)?)?;
        let start = offset + FRAME_HEADER_BYTES;
        let end = start.checked_add(header.body).filter(|end| *end <= content.len())?;
        header.record(content.slice(start..end))?;
        Some(frame_bytes(header.body))
    };
    let mut offset = SEGMENT_HEADER_BYTES;
    let mut sound = content.get(..offset) == Some(segment_header(number).as_slice());
    while sound && offset < content.len() {
        match frame(offset) {
            Some(bytes) => offset += bytes,
            None => sound = false,
        }
    }
    sound.then_some(()).ok_or_else(|| {
        let what = format!("segment {number:x} is damaged at byte {offset} when read back");
        io::Error::new(io::ErrorKind::InvalidData, what)
    })
}
