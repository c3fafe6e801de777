//! Index of the log: the entries, their positions on disk, and a cache of the
//! newest.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;
use coord_state::Violation;
use coord_state::invariants::require;

use super::record::{LogEntry, LogPosition};

/// Where a frame is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Location {
    pub(super) segment: u64,
    pub(super) offset: u64,
}

#[derive(Debug)]
struct Slot {
    term: u64,
    kind: u8,
    bytes: usize,
    /// None until it is durable.
    location: Option<Location>,
    /// None once it is only on disk.
    payload: Option<Bytes>,
}

/// One entry as the index knows it.
#[derive(Debug, Clone)]
pub(super) enum Found {
    Held(LogEntry),
    OnDisk { location: Location, bytes: usize },
}

/// The entries from `first` on, without holes.
#[derive(Debug)]
pub(super) struct LogIndex {
    purged: Option<LogPosition>,
    first: u64,
    slots: VecDeque<Slot>,
    /// Entries from this index on are held in memory.
    held_from: u64,
    held_bytes: usize,
    held_bytes_max: usize,
}

impl LogIndex {
    pub(super) fn new(held_bytes_max: usize) -> Self {
        Self {
            purged: None,
            first: 0,
            slots: VecDeque::new(),
            held_from: 0,
            held_bytes: 0,
            held_bytes_max,
        }
    }

    /// Adds new entries at the end, or none of them.
    ///
    /// # Errors
    /// B6, if one does not follow the one before it. What comes first may stand
    /// anywhere, unless there was something that is purged: only the layer above
    /// knows where a log begins.
    pub(super) fn append(&mut self, entries: &[LogEntry]) -> Result<(), Violation> {
        let begins = self.slots.is_empty() && self.purged.is_none();
        let first = match entries.first() {
            Some(first) if begins => first.position.index,
            _ => self.next(),
        };
        for (next, entry) in (first..).zip(entries) {
            let index = entry.position.index;
            require("B6", index == next, || {
                format!("the log would have a gap: entry {index} where {next} is to come")
            })?;
        }
        entries.iter().for_each(|entry| self.push(entry.clone(), None));
        Ok(())
    }

    /// Adds an entry at the end. An empty log takes any index while it is
    /// recovered; afterwards only the next one, which the caller has checked.
    pub(super) fn push(&mut self, entry: LogEntry, location: Option<Location>) {
        if self.slots.is_empty() {
            self.first = entry.position.index;
            self.held_from = self.first;
        }
        self.held_bytes += entry.payload.len();
        self.slots.push_back(Slot {
            term: entry.position.term,
            kind: entry.kind,
            bytes: entry.payload.len(),
            location,
            payload: Some(entry.payload),
        });
    }

    /// Learns where an entry became durable. Entries replaced since are left alone.
    pub(super) fn locate(&mut self, position: LogPosition, location: Location) {
        if let Some(slot) = self.slot_mut(position.index)
            && slot.term == position.term
        {
            slot.location = Some(location);
        }
    }

    /// Whether an entry is on disk, or was and is purged.
    pub(super) fn is_durable(&self, position: LogPosition) -> bool {
        let located = |slot: &Slot| slot.term == position.term && slot.location.is_some();
        self.purged >= Some(position) || self.slot(position.index).is_some_and(located)
    }

    /// Lets go of the oldest payloads past the bound, if they are on disk.
    pub(super) fn shrink(&mut self) {
        while self.held_bytes > self.held_bytes_max {
            let index = self.held_from;
            let Some(slot) = self.slot_mut(index) else { return };
            if slot.location.is_none() {
                return;
            }
            let freed = slot.payload.take().map_or(0, |payload| payload.len());
            self.held_bytes -= freed;
            self.held_from += 1;
        }
    }

    /// Drops the entries from `from` on.
    pub(super) fn truncate(&mut self, from: u64) {
        while self.next() > from {
            let Some(slot) = self.slots.pop_back() else { return };
            self.held_bytes -= slot.payload.map_or(0, |payload| payload.len());
        }
        self.held_from = self.held_from.min(self.next());
    }

    /// Drops the entries up to and including `upto`, which may lie past the end.
    pub(super) fn purge(&mut self, upto: LogPosition) {
        if self.purged >= Some(upto) {
            return;
        }
        self.purged = Some(upto);
        while !self.slots.is_empty() && self.first <= upto.index {
            let dropped = self.slots.pop_front().and_then(|slot| slot.payload);
            self.held_bytes -= dropped.map_or(0, |payload| payload.len());
            self.first += 1;
        }
        if self.slots.is_empty() {
            self.first = upto.index + 1;
        }
        self.held_from = self.held_from.max(self.first);
    }

    /// The position of the last purged entry.
    pub(super) fn purged(&self) -> Option<LogPosition> {
        self.purged
    }

    /// The index of the first entry held, if there is one.
    pub(super) fn first(&self) -> Option<u64> {
        (!self.slots.is_empty()).then_some(self.first)
    }

    /// The index after the last entry.
    pub(super) fn next(&self) -> u64 {
        self.first + self.slots.len() as u64
    }

    /// The last entry, or the last purged one.
    pub(super) fn last(&self) -> Option<LogPosition> {
        match self.slots.back() {
            Some(slot) => Some(LogPosition { term: slot.term, index: self.next() - 1 }),
            None => self.purged,
        }
    }

    /// The position of an entry.
    pub(super) fn position(&self, index: u64) -> Option<LogPosition> {
        Some(LogPosition { term: self.slot(index)?.term, index })
    }

    /// Whether every entry of the range that exists is in memory.
    pub(super) fn holds(&self, range: &Range<u64>) -> bool {
        range.start.max(self.first) >= self.held_from || range.start >= range.end
    }

    /// The entries of a range, until their payloads make `bytes_max`; at least one.
    pub(super) fn find(&self, range: Range<u64>, bytes_max: usize) -> Vec<Found> {
        let end = range.end.min(self.next());
        let mut found = Vec::new();
        let mut bytes = 0usize;
        for index in range.start.max(self.first)..end {
            let Some(slot) = self.slot(index) else { break };
            bytes = bytes.saturating_add(slot.bytes);
            if bytes > bytes_max && !found.is_empty() {
                break;
            }
            found.push(match (&slot.payload, slot.location) {
                (None, Some(location)) => Found::OnDisk { location, bytes: slot.bytes },
                (payload, _) => Found::Held(LogEntry {
                    position: LogPosition { term: slot.term, index },
                    kind: slot.kind,
                    payload: payload.clone().unwrap_or_default(),
                }),
            });
        }
        found
    }

    /// The oldest index such that the entries from it on make at most `bytes`.
    pub(super) fn tail_start(&self, bytes: u64) -> u64 {
        let mut left = bytes;
        let mut start = self.next();
        for slot in self.slots.iter().rev() {
            let Some(rest) = left.checked_sub(slot.bytes as u64 + 32) else { break };
            left = rest;
            start -= 1;
        }
        start
    }

    fn slot(&self, index: u64) -> Option<&Slot> {
        self.slots.get(usize::try_from(index.checked_sub(self.first)?).ok()?)
    }

    fn slot_mut(&mut self, index: u64) -> Option<&mut Slot> {
        self.slots.get_mut(usize::try_from(index.checked_sub(self.first)?).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(indexes: Range<u64>, held_bytes_max: usize) -> LogIndex {
        let mut index = LogIndex::new(held_bytes_max);
        for at in indexes {
            let position = LogPosition { term: 1, index: at };
            let payload = Bytes::from_static(b"0123456789");
            index.push(LogEntry { position, kind: 0, payload }, None);
        }
        index
    }

    #[test]
    fn entries_leave_memory_only_once_they_are_on_disk() {
        let mut index = filled(0..10, 30);
        index.shrink();
        assert!(index.holds(&(0..10)));
        for at in 0..5 {
            let location = Location { segment: 1, offset: at * 100 };
            index.locate(LogPosition { term: 1, index: at }, location);
        }
        index.shrink();
        assert!(!index.holds(&(4..10)));
        assert!(index.holds(&(5..10)));
    }

    #[test]
    fn a_purge_past_the_end_leaves_an_empty_log_behind_it() {
        let mut index = filled(0..10, 1000);
        let upto = LogPosition { term: 2, index: 20 };
        index.purge(upto);
        assert_eq!((index.first(), index.next(), index.last()), (None, 21, Some(upto)));
    }

    #[test]
    fn an_entry_that_leaves_a_gap_is_refused_with_all_that_came_with_it() {
        let entries = |indexes: &[u64]| -> Vec<LogEntry> {
            let position = |index: &u64| LogPosition { term: 1, index: *index };
            let entry =
                |index| LogEntry { position: position(index), kind: 0, payload: Bytes::new() };
            indexes.iter().map(entry).collect()
        };
        for gap in [&[11][..], &[9], &[10, 12], &[10, 10]] {
            let mut index = filled(0..10, 1000);
            let broken = index.append(&entries(gap)).unwrap_err();
            assert_eq!((broken.id(), index.next()), ("B6", 10), "{gap:?}");
        }
        let mut purged = filled(0..10, 1000);
        purged.purge(LogPosition { term: 2, index: 20 });
        assert!(purged.append(&entries(&[20])).is_err());
        assert_eq!(purged.append(&entries(&[21, 22])), Ok(()));
        assert_eq!(LogIndex::new(1000).append(&entries(&[5, 6])), Ok(()));
    }

    #[test]
    fn a_read_stops_at_its_bytes_but_gives_at_least_one() {
        let index = filled(5..15, 1000);
        assert_eq!(index.find(0..100, 25).len(), 2);
        assert_eq!(index.find(7..100, 1).len(), 1);
        assert_eq!(index.find(0..100, usize::MAX).len(), 10);
        assert!(index.find(20..30, 100).is_empty());
    }

    #[test]
    fn the_tail_counts_what_each_entry_costs_on_disk() {
        let index = filled(0..10, 1000);
        assert_eq!(index.tail_start(0), 10);
        assert_eq!(index.tail_start(42 * 3), 7);
        assert_eq!(index.tail_start(u64::MAX), 0);
    }
}
