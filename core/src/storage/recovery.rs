//! Reads the log on startup.
//!
//! A batch is used completely or not at all. Data after the last complete batch
//! of the newest segment was never reported durable, unless a later batch
//! follows it: each batch is written after the one before was durable, so then
//! the disk lost or changed confirmed data. That, and any damage in an older
//! segment, is refused.
//!
//! Missing data that was acknowledged is a [`Loss`]: the log ends before its
//! durable mark, or its newest file is empty. It is reported to the caller,
//! which knows whether other members have the missing entries.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use coord_state::invariants::require;

use super::disk::{Disk, DiskFile};
use super::durable_mark::{DurableMark, Found, Loss, compare};
use super::log_index::{Location, LogIndex};
use super::record::{
    FRAME_HEADER_BYTES, FrameHeader, LogPosition, Record, SEGMENT_HEADER_BYTES, StoredVote,
    frame_bytes, header_fault, segment_header,
};
use super::segment::{ActiveSegment, is_spare, segment_name, segment_number};
use crate::error::Error;

/// A segment as recovery found it.
#[derive(Debug)]
pub(super) struct KnownSegment {
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) size: u64,
    /// The highest index among its entries.
    pub(super) index_max: Option<u64>,
}

/// What the log says.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) index: LogIndex,
    pub(super) vote: Option<StoredVote>,
    pub(super) committed: Option<LogPosition>,
    /// All segments by number, the newest included.
    pub(super) segments: std::collections::BTreeMap<u64, KnownSegment>,
    /// Where to go on writing, and the batch to write next; None to start a new segment.
    pub(super) active: Option<(ActiveSegment, u32)>,
    /// The number of that.
    pub(super) next_segment: u64,
    /// What was acknowledged and is not there any more.
    pub(super) loss: Option<Loss>,
}

/// Reads all segments in the data directory `root`, and compares what they hold
/// with how far they were durable.
///
/// # Errors
/// `Corrupt`, naming file and offset; `Unavailable` if the disk cannot be read.
pub(super) fn recover(
    disk: &dyn Disk,
    root: &Path,
    mark: Option<DurableMark>,
    held_bytes_max: usize,
) -> Result<Recovered, Error> {
    let directory = root.join("log");
    let directory = directory.as_path();
    let unreadable = |error: std::io::Error| {
        Error::unavailable(format!("cannot read the log in {}", directory.display()))
            .caused_by(error)
    };
    let mut numbers = Vec::new();
    for name in disk.list(directory).map_err(unreadable)? {
        if is_spare(&name) {
            disk.remove(&directory.join(&name)).map_err(unreadable)?;
        } else if let Some(number) = segment_number(&name) {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();

    let mut recovered = Recovered {
        index: LogIndex::new(held_bytes_max),
        vote: None,
        committed: None,
        segments: std::collections::BTreeMap::new(),
        active: None,
        next_segment: 0,
        loss: None,
    };
    let mut end_of_newest = None;
    for (at, &number) in numbers.iter().enumerate() {
        if at > 0 && numbers[at - 1] + 1 != number {
            return Err(corrupt(
                &directory.join(segment_name(numbers[at - 1] + 1)),
                0,
                "the segment is missing",
            ));
        }
        let newest = at + 1 == numbers.len();
        let path = directory.join(segment_name(number));
        let file = disk.open(&path).map_err(unreadable)?;
        let size = file.size().map_err(unreadable)?;
        let mut content = vec![0; usize::try_from(size).unwrap_or(usize::MAX)];
        file.read_at(0, &mut content).map_err(unreadable)?;
        let mut scan =
            Scan { number, path, content: content.into(), index_max: None, whole_until: 0 };
        if newest && scan.holds_nothing() {
            // Its header was durable before it got its name.
            recovered.loss = Some(Loss::of_segment(root, number, recovered.index.next()));
            recovered.next_segment = number;
            break;
        }
        let end = scan.run(newest, &mut recovered)?;
        recovered.index.shrink();
        recovered.next_segment = number + 1;
        if newest {
            end_of_newest = Some((number, scan.whole_until, size));
        }
        if newest && let Tail::Open { end, stale_until, batch } = end {
            let active = ActiveSegment { number, file: file.clone(), end, size, filled: size };
            let acknowledged = mark.is_some_and(|mark| mark.segment == number && mark.end > end);
            if stale_until > end && !acknowledged {
                tracing::warn!(
                    file = %scan.path.display(), byte = end, bytes = stale_until - end,
                    log_ends_before = recovered.index.next(),
                    "truncated an unfinished write at the end of the log"
                );
            }
            // Invariant B3: nothing but the unconfirmed tail is cut off.
            clear_stale(&*file, end, stale_until).map_err(unreadable)?;
            recovered.active = Some((active, batch));
        }
        recovered.segments.insert(number, KnownSegment { file, size, index_max: scan.index_max });
    }
    check_start(&recovered, directory, numbers.first().copied())?;
    let found = Found { newest: end_of_newest, next: recovered.index.next() };
    recovered.loss = match (compare(root, mark, &found), recovered.loss.take()) {
        // The mark knows how much is missing, the file why.
        (Some(loss), Some(Loss { what, .. })) => Some(Loss { what, ..loss }),
        (by_mark, by_file) => by_mark.or(by_file),
    };
    Ok(recovered)
}

/// The log has to begin right behind what was purged.
fn check_start(recovered: &Recovered, directory: &Path, first: Option<u64>) -> Result<(), Error> {
    let expected = recovered.index.purged().map_or(0, |purged| purged.index + 1);
    match recovered.index.first() {
        Some(found) if found != expected => {
            let path = directory.join(segment_name(first.unwrap_or_default()));
            let what = format!("the log begins with entry {found} instead of {expected}");
            Err(corrupt(&path, 0, &what))
        }
        _ => Ok(()),
    }
}

/// A torn batch must not come back to life behind a shorter one written over it.
fn clear_stale(file: &dyn DiskFile, end: u64, stale_until: u64) -> std::io::Result<()> {
    if stale_until <= end {
        return Ok(());
    }
    let len = usize::try_from(stale_until - end).unwrap_or(usize::MAX);
    file.write_at(end, &vec![0; len])?;
    file.sync()
}

/// How a segment ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tail {
    Sealed,
    /// The next batch goes to `end`; frames of this segment may remain until `stale_until`.
    Open {
        end: u64,
        stale_until: u64,
        batch: u32,
    },
}

struct Scan {
    number: u64,
    path: PathBuf,
    content: Bytes,
    index_max: Option<u64>,
    /// The end of the last whole batch.
    whole_until: u64,
}

impl Scan {
    /// Whether there is nothing but zeros where header and frames must be.
    fn holds_nothing(&self) -> bool {
        self.content.len() < SEGMENT_HEADER_BYTES || self.content.iter().all(|byte| *byte == 0)
    }

    fn run(&mut self, newest: bool, recovered: &mut Recovered) -> Result<Tail, Error> {
        let mut end = 0;
        let mut next_batch = 0;
        let mut pending = Vec::new();
        let header_ok = self.content.get(..SEGMENT_HEADER_BYTES)
            == Some(segment_header(self.number).as_slice());
        let mut offset = SEGMENT_HEADER_BYTES;
        if header_ok {
            end = offset;
            self.whole_until = end as u64;
        }
        while header_ok && let Some((record, header)) = self.frame(offset, next_batch) {
            let location = Location { segment: self.number, offset: offset as u64 };
            offset += frame_bytes(header.body);
            let sealed = record == Record::Seal;
            pending.push((record, location));
            if header.ends_batch {
                for (record, location) in pending.drain(..) {
                    self.replay(record, location, recovered)?;
                }
                end = offset;
                self.whole_until = end as u64;
                next_batch += 1;
                if sealed {
                    return Ok(Tail::Sealed);
                }
            }
        }
        if !newest {
            return Err(corrupt(&self.path, offset, "a log frame is damaged"));
        }
        if !header_ok {
            return Err(corrupt(&self.path, 0, &header_fault(self.number, &self.content)));
        }
        let stale_until = self.look_behind(offset, next_batch)?;
        Ok(Tail::Open { end: end as u64, stale_until: stale_until as u64, batch: next_batch })
    }

    fn frame(&self, offset: usize, batch: u32) -> Option<(Record, FrameHeader)> {
        let header = FrameHeader::read(self.number, self.content.get(offset..)?)?;
        if header.batch != batch {
            return None;
        }
        let start = offset + FRAME_HEADER_BYTES;
        let end = start.checked_add(header.body)?;
        if end > self.content.len() {
            return None;
        }
        Some((header.record(self.content.slice(start..end))?, header))
    }

    /// Looks for frames of this segment behind the place where reading stopped,
    /// in what should be the torn batch `torn`; one of a later batch proves damage.
    /// Returns where the last of them ends.
    fn look_behind(&self, stopped: usize, torn: u32) -> Result<usize, Error> {
        let mut stale_until = stopped;
        let mut offset = stopped.next_multiple_of(4);
        while let Some(bytes) = self.content.get(offset..offset + FRAME_HEADER_BYTES) {
            if let Some(header) = FrameHeader::read(self.number, bytes) {
                if header.batch > torn {
                    return Err(corrupt(
                        &self.path,
                        stopped,
                        "a log frame that is not the last one is damaged",
                    ));
                }
                stale_until = (offset + frame_bytes(header.body)).min(self.content.len());
            }
            offset += 4;
        }
        Ok(stale_until)
    }

    fn replay(
        &mut self,
        record: Record,
        location: Location,
        recovered: &mut Recovered,
    ) -> Result<(), Error> {
        let index = &mut recovered.index;
        match record {
            Record::Checkpoint { vote, committed, purged } => {
                self.check_vote(recovered.vote, vote, location)?;
                recovered.vote = vote;
                recovered.committed = committed;
                if let Some(purged) = purged {
                    index.purge(purged);
                }
            }
            Record::Vote(vote) => {
                self.check_vote(recovered.vote, Some(vote), location)?;
                recovered.vote = Some(vote);
            }
            Record::Entry(entry) => {
                let at = entry.position.index;
                self.index_max = self.index_max.max(Some(at));
                if index.purged().is_some_and(|purged| at <= purged.index) {
                    return Ok(());
                }
                let follows = index.first().is_none() || index.next() == at;
                self.require("B6", follows, location, || {
                    format!("entry {at} follows entry {}", index.next() - 1)
                })?;
                let term = entry.position.term;
                let rises = index.last().is_none_or(|last| term >= last.term);
                self.require("B6", rises, location, || {
                    format!("entry {at} of term {term} follows {:?}", index.last())
                })?;
                index.push(entry, Some(location));
            }
            Record::Truncate { from } => {
                let kept = recovered.committed.is_none_or(|committed| from > committed.index);
                let what = || format!("what is committed is cut off from entry {from} on");
                self.require("B6", kept, location, what)?;
                index.truncate(from);
            }
            Record::Purge(position) => index.purge(position),
            Record::Committed(position) => recovered.committed = position,
            Record::Seal => {}
        }
        Ok(())
    }
}

impl Scan {
    /// A vote never goes back, whatever became of the one who gave it.
    fn check_vote(
        &self,
        before: Option<StoredVote>,
        vote: Option<StoredVote>,
        location: Location,
    ) -> Result<(), Error> {
        let term = |vote: Option<StoredVote>| vote.map(|vote| vote.term);
        self.require("B7", term(vote) >= term(before), location, || {
            format!("a vote of term {:?} follows one of {:?}", term(vote), term(before))
        })
    }

    /// What the log says of itself has to make sense, too: no disk damages it so,
    /// and its checksums are right, so it was written by a fault.
    fn require(
        &self,
        id: &'static str,
        holds: bool,
        location: Location,
        what: impl FnOnce() -> String,
    ) -> Result<(), Error> {
        require(id, holds, what).map_err(|broken| {
            let offset = usize::try_from(location.offset).unwrap_or(usize::MAX);
            corrupt(&self.path, offset, &broken.to_string())
        })
    }
}

fn corrupt(path: &Path, offset: usize, what: &str) -> Error {
    Error::corrupt(format!(
        "{} is damaged at byte {offset}: {what}. This member must not vote with it. To repair, \
         restore the file from an intact copy of the disk, or, if the other members are intact, \
         start this one with an empty data directory: they send it everything",
        path.display()
    ))
}
