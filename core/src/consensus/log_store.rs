//! Adapter of the durable log to openraft.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, Range, RangeBounds, RangeInclusive};

use futures_util::stream::{self, Stream};
use openraft::OptionalSend;
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use tokio::sync::oneshot;

use super::log_rules::LogRules;
use super::types::{
    Entry, LogId, TypeConfig, Vote, entry, log_id, position, stored_entry, stored_vote, vote,
};
use crate::storage::{LogEntry, RaftLog};

/// Payload bytes read at once to be sent or applied.
const READ_BYTES_MAX: usize = 1 << 20;

/// A member's log. Clones read and write the same log; openraft writes from
/// one task only.
#[derive(Debug, Clone)]
pub(super) struct LogStore {
    log: RaftLog,
    /// Not needed where the log is only read.
    rules: Option<LogRules>,
}

impl LogStore {
    pub(super) fn new(log: RaftLog, rules: LogRules) -> Self {
        Self { log, rules: Some(rules) }
    }

    /// For whoever does not write it, and for openraft's suite, which begins logs and
    /// states anywhere.
    pub(super) fn reading(log: RaftLog) -> Self {
        Self { log, rules: None }
    }

    fn check(&self, rule: impl FnOnce(&LogRules) -> io::Result<()>) -> io::Result<()> {
        self.rules.as_ref().map_or(Ok(()), rule)
    }

    /// The index of the last purged entry.
    pub(super) fn purged(&self) -> Option<u64> {
        self.log.purged().map(|purged| purged.index)
    }

    /// The first entries of a range.
    pub(super) async fn read_some(&self, range: Range<u64>) -> io::Result<Vec<Entry>> {
        self.read(range, READ_BYTES_MAX).await
    }

    async fn read(&self, range: Range<u64>, bytes_max: usize) -> io::Result<Vec<Entry>> {
        let stored = if self.log.holds(&range) {
            self.log.read(range, bytes_max)?
        } else {
            let log = self.log.clone();
            tokio::task::spawn_blocking(move || log.read(range, bytes_max)).await??
        };
        stored.into_iter().map(decode).collect()
    }
}

fn decode(stored: LogEntry) -> io::Result<Entry> {
    let index = stored.position.index;
    entry(stored).map_err(|error| {
        io::Error::new(io::ErrorKind::InvalidData, format!("log entry {index}: {error}"))
    })
}

fn half_open(range: &impl RangeBounds<u64>) -> Range<u64> {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    start..end
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> io::Result<Vec<Entry>>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        self.read(half_open(&range), usize::MAX).await
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.read(start..end, READ_BYTES_MAX).await
    }

    /// Reads piece by piece: after a restart the range may be the whole log.
    async fn entries_stream<RB>(
        &mut self,
        range: RB,
    ) -> impl Stream<Item = io::Result<Entry>> + OptionalSend
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let state = (self.clone(), half_open(&range), Vec::new().into_iter());
        let entries = stream::unfold(Some(state), |state| async {
            let (store, mut rest, mut piece): (Self, Range<u64>, std::vec::IntoIter<Entry>) =
                state?;
            if piece.len() == 0 {
                match store.read(rest.clone(), READ_BYTES_MAX).await {
                    Ok(read) => piece = read.into_iter(),
                    Err(error) => return Some((Err(error), None)),
                }
            }
            let entry = piece.next()?;
            rest.start = entry.log_id.index + 1;
            Some((Ok(entry), Some((store, rest, piece))))
        });
        Box::pin(entries)
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.log.vote().map(vote))
    }

    /// The last entry of each term in the range.
    async fn get_key_log_ids(&mut self, range: RangeInclusive<LogId>) -> io::Result<Vec<LogId>> {
        let (mut before, end) = range.into_inner();
        let mut found = Vec::new();
        for index in before.index + 1..end.index {
            let Some(at) = self.log.position(index).map(log_id) else { continue };
            if before.leader_id != at.leader_id {
                found.push(before);
            }
            before = at;
        }
        if before.leader_id != end.leader_id {
            found.push(before);
        }
        found.push(end);
        Ok(found)
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        Ok(LogState {
            last_purged_log_id: self.log.purged().map(log_id),
            last_log_id: self.log.last().map(log_id),
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        self.check(|rules| rules.before_vote(vote))?;
        let (sender, receiver) = oneshot::channel();
        let done = Box::new(move |outcome| {
            // Nobody waits any more if the member stops.
            let _ = sender.send(outcome);
        });
        self.log.save_vote(stored_vote(vote), done)?;
        receiver.await.map_err(io::Error::other)??;
        if let Some(rules) = &self.rules {
            rules.voted(vote);
        }
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        let committed = committed.as_ref().map(position);
        if let Some(upto) = committed {
            self.check(|rules| rules.before_commit(upto))?;
        }
        self.log.note_committed(committed);
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.log.committed().map(log_id))
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<LogEntry> = entries.into_iter().map(stored_entry).collect();
        if let Err(error) = self.check(|rules| rules.before_append(&entries)) {
            callback.io_completed(Err(io::Error::other(error.to_string())));
            return Err(error);
        }
        self.log.append(entries, Box::new(move |outcome| callback.io_completed(outcome)))
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let from = last.map_or(0, |last| last.index + 1);
        self.check(|rules| rules.before_truncate(from))?;
        self.log.truncate(from)
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        let upto = position(&upto);
        self.check(|rules| rules.before_purge(upto))?;
        self.log.purge(upto)
    }
}
