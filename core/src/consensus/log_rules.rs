//! Raft's promises about log, vote and applied state, checked at run time.
//!
//! openraft keeps these rules, and storage keeps what it is given. They are checked
//! here as well, in release builds too: a bug in either, or in this adapter, would
//! otherwise be made durable and replicated before anybody notices. On a violation
//! the operation is refused, the log accepts no further changes, and the member
//! fails (C13); the process goes on.
//!
//! | before | what must hold |
//! |---|---|
//! | entries are appended | each follows the one before; terms never fall, nor pass the vote's (B6, B7) |
//! | entries are cut off | none of them is committed (B6) |
//! | entries are purged | a durable snapshot holds them (B4) |
//! | a vote is saved | it is not less than the last (B7) |
//! | a request or a granted vote is sent | its term is not later than the durable vote's (B7) |
//! | entries are committed | the log has them; it never goes back (B6) |
//! | an entry is applied | it follows the last one and is committed (B8) |
//! | a snapshot is installed | it is not older than what was applied (B8) |
//!
//! The rules are functions of plain values, so that a test can violate each of them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use coord_state::Violation;
use coord_state::invariants::require;

use super::types::{Vote, vote};
use crate::storage::{LogEntry, LogExtent, LogPosition, RaftLog, SnapshotStore};

/// The rules of one member's log. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct LogRules {
    log: RaftLog,
    snapshots: SnapshotStore,
    /// The term of the last vote that is durable.
    promised: Arc<AtomicU64>,
}

impl LogRules {
    /// Of a log as it was read back, so that its vote is durable.
    pub(super) fn new(log: RaftLog, snapshots: SnapshotStore) -> Self {
        let promised = Arc::new(AtomicU64::new(log.vote().map_or(0, |vote| vote.term)));
        Self { log, snapshots, promised }
    }

    pub(super) fn before_append(&self, entries: &[LogEntry]) -> io::Result<()> {
        self.enforce(may_append(&self.log.extent(), entries))
    }

    pub(super) fn before_truncate(&self, from: u64) -> io::Result<()> {
        self.enforce(may_truncate(&self.log.extent(), from))
    }

    pub(super) fn before_purge(&self, upto: LogPosition) -> io::Result<()> {
        let held = self.snapshots.current().and_then(|snapshot| snapshot.position());
        self.enforce(may_purge(held, upto))
    }

    pub(super) fn before_vote(&self, new: &Vote) -> io::Result<()> {
        self.enforce(may_vote(self.log.vote().map(vote).as_ref(), new))
    }

    /// A vote is durable.
    pub(super) fn voted(&self, vote: &Vote) {
        self.promised.fetch_max(vote.leader_id.term, Ordering::AcqRel);
    }

    pub(super) fn before_commit(&self, upto: LogPosition) -> io::Result<()> {
        self.enforce(may_commit(&self.log.extent(), self.log.position(upto.index), upto))
    }

    pub(super) fn before_apply(
        &self,
        mut last: Option<LogPosition>,
        entries: impl IntoIterator<Item = LogPosition>,
    ) -> io::Result<()> {
        let committed = self.log.committed();
        for next in entries {
            self.enforce(may_apply(committed, last, next))?;
            last = Some(next);
        }
        Ok(())
    }

    pub(super) fn before_install(
        &self,
        applied: Option<LogPosition>,
        snapshot: LogPosition,
    ) -> io::Result<()> {
        self.enforce(may_install(applied, snapshot))
    }

    /// Before a request, or a vote that is granted, leaves this member.
    pub(super) fn before_send(&self, term: u64) -> io::Result<()> {
        self.enforce(may_send(self.promised.load(Ordering::Acquire), term))
    }

    /// Fails the log, and with it this member, if a rule is violated.
    fn enforce(&self, rule: Result<(), Violation>) -> io::Result<()> {
        rule.map_err(|violation| {
            self.log.fail(&format!(
                "{violation}. This is a bug, or the disk returned wrong data. Keep the data directory \
                 and the logs of this member and report it. If the other members are healthy, start \
                 this member with an empty data directory: it gets everything from them"
            ));
            io::Error::other(violation)
        })
    }
}

fn may_append(log: &LogExtent, entries: &[LogEntry]) -> Result<(), Violation> {
    let voted = log.vote.map_or(0, |vote| vote.term);
    let mut last = log.last;
    for entry in entries {
        let at = entry.position;
        let next = last.map_or(0, |last| last.index + 1);
        require("B6", at.index == next, || {
            format!("entry {} of the log would follow entry {last:?}", at.index)
        })?;
        require("B6", last.is_none_or(|last| at.term >= last.term), || {
            format!("entry {} of term {} would follow {last:?}", at.index, at.term)
        })?;
        require("B7", at.term <= voted, || {
            format!("entry {} is of term {}, but the vote of {voted}", at.index, at.term)
        })?;
        last = Some(at);
    }
    Ok(())
}

fn may_truncate(log: &LogExtent, from: u64) -> Result<(), Violation> {
    let kept = log.committed.max_by_index(log.purged);
    require("B6", kept.is_none_or(|kept| from > kept.index), || {
        format!("the log would be cut off from entry {from} on, but is committed up to {kept:?}")
    })
}

fn may_purge(snapshot: Option<LogPosition>, upto: LogPosition) -> Result<(), Violation> {
    require("B4", snapshot.is_some_and(|held| held.index >= upto.index), || {
        format!("the log up to entry {} would go, but the snapshot is of {snapshot:?}", upto.index)
    })
}

fn may_vote(last: Option<&Vote>, new: &Vote) -> Result<(), Violation> {
    require("B7", last.is_none_or(|last| new >= last), || {
        format!("vote {new} would follow {}", last.map(ToString::to_string).unwrap_or_default())
    })
}

fn may_send(promised: u64, term: u64) -> Result<(), Violation> {
    require("B7", term <= promised, || {
        format!("term {term} would be sent, but the durable vote is of term {promised}")
    })
}

fn may_commit(
    log: &LogExtent,
    found: Option<LogPosition>,
    upto: LogPosition,
) -> Result<(), Violation> {
    require("B6", log.committed.is_none_or(|before| upto.index >= before.index), || {
        format!("entry {} would be the last committed one after {:?}", upto.index, log.committed)
    })?;
    let purged = log.purged.is_some_and(|purged| purged.index >= upto.index);
    require("B6", purged || found == Some(upto), || {
        format!("{upto:?} would be committed, but the log has {found:?} there")
    })
}

fn may_apply(
    committed: Option<LogPosition>,
    last: Option<LogPosition>,
    next: LogPosition,
) -> Result<(), Violation> {
    let expected = last.map_or(0, |last| last.index + 1);
    require("B8", next.index == expected, || {
        format!("entry {} would be applied after {last:?}", next.index)
    })?;
    require("B8", committed.is_some_and(|committed| next.index <= committed.index), || {
        format!("entry {} would be applied, but only {committed:?} is committed", next.index)
    })
}

fn may_install(applied: Option<LogPosition>, snapshot: LogPosition) -> Result<(), Violation> {
    require("B8", applied.is_none_or(|applied| snapshot.index >= applied.index), || {
        format!("a snapshot of entry {} would replace the state of {applied:?}", snapshot.index)
    })
}

/// The later of two places in the log.
trait MaxByIndex {
    fn max_by_index(self, other: Self) -> Self;
}

impl MaxByIndex for Option<LogPosition> {
    fn max_by_index(self, other: Self) -> Self {
        match (self, other) {
            (Some(one), Some(other)) => Some(if one.index >= other.index { one } else { other }),
            (one, other) => one.or(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::storage::StoredVote;

    fn at(term: u64, index: u64) -> LogPosition {
        LogPosition { term, index }
    }

    fn entries(positions: &[LogPosition]) -> Vec<LogEntry> {
        let entry = |position: &LogPosition| LogEntry {
            position: *position,
            kind: 0,
            payload: Bytes::new(),
        };
        positions.iter().map(entry).collect()
    }

    fn voted(term: u64, voted_for: u64, committed: bool) -> StoredVote {
        StoredVote { term, voted_for, committed }
    }

    /// Entries 4 to 9 of term 3, of which 6 are committed.
    fn log() -> LogExtent {
        LogExtent {
            purged: Some(at(2, 3)),
            last: Some(at(3, 9)),
            vote: Some(voted(4, 1, true)),
            committed: Some(at(3, 6)),
        }
    }

    fn broken(rule: Result<(), Violation>) -> Option<&'static str> {
        rule.err().map(|broken| broken.id())
    }

    #[test]
    fn entries_follow_each_other_without_a_gap_and_terms_never_fall() {
        let append = |positions: &[LogPosition]| broken(may_append(&log(), &entries(positions)));
        assert_eq!(append(&[at(3, 10), at(4, 11)]), None);
        assert_eq!(append(&[]), None);
        for gap in [&[at(3, 11)][..], &[at(3, 9)], &[at(3, 10), at(3, 12)], &[at(3, 10), at(3, 10)]]
        {
            assert_eq!(append(gap), Some("B6"), "{gap:?}");
        }
        assert_eq!(append(&[at(2, 10)]), Some("B6"));
        assert_eq!(append(&[at(4, 10), at(3, 11)]), Some("B6"));
        assert_eq!(append(&[at(5, 10)]), Some("B7"));
        let first = |position| broken(may_append(&LogExtent::default(), &entries(&[position])));
        assert_eq!(first(at(0, 0)), None);
        assert_eq!(first(at(0, 1)), Some("B6"));
    }

    #[test]
    fn what_is_committed_or_purged_is_never_cut_off() {
        for (from, id) in [(10, None), (7, None), (6, Some("B6")), (0, Some("B6"))] {
            assert_eq!(broken(may_truncate(&log(), from)), id, "{from}");
        }
        let uncommitted = LogExtent { committed: None, ..log() };
        assert_eq!(broken(may_truncate(&uncommitted, 4)), None);
        assert_eq!(broken(may_truncate(&uncommitted, 3)), Some("B6"));
    }

    #[test]
    fn only_what_a_snapshot_holds_is_purged() {
        for (snapshot, id) in
            [(Some(at(3, 6)), None), (Some(at(3, 5)), Some("B4")), (None, Some("B4"))]
        {
            assert_eq!(broken(may_purge(snapshot, at(3, 6))), id, "{snapshot:?}");
        }
    }

    #[test]
    fn a_vote_never_goes_back() {
        let after =
            |last: StoredVote, new: StoredVote| broken(may_vote(Some(&vote(last)), &vote(new)));
        for new in [voted(5, 2, false), voted(4, 1, true), voted(9, 1, true)] {
            assert_eq!(after(voted(4, 1, true), new), None, "{new:?}");
        }
        // The leader of a term in which another one was voted for.
        assert_eq!(after(voted(4, 1, false), voted(4, 2, true)), None);
        for new in [voted(3, 1, true), voted(4, 1, false), voted(4, 2, false), voted(0, 0, false)] {
            assert_eq!(after(voted(4, 1, true), new), Some("B7"), "{new:?}");
        }
        assert_eq!(after(voted(4, 1, false), voted(4, 2, false)), Some("B7"));
        assert_eq!(broken(may_vote(None, &vote(voted(0, 0, false)))), None);
    }

    #[test]
    fn no_term_is_sent_before_its_vote_is_durable() {
        assert_eq!(broken(may_send(4, 4)), None);
        assert_eq!(broken(may_send(4, 3)), None);
        assert_eq!(broken(may_send(4, 5)), Some("B7"));
    }

    #[test]
    fn what_is_committed_is_in_the_log_and_never_goes_back() {
        let commit = |found, upto| broken(may_commit(&log(), found, upto));
        assert_eq!(commit(Some(at(3, 9)), at(3, 9)), None);
        assert_eq!(commit(Some(at(3, 6)), at(3, 6)), None);
        assert_eq!(commit(Some(at(3, 5)), at(3, 5)), Some("B6"));
        assert_eq!(commit(None, at(3, 10)), Some("B6"));
        assert_eq!(commit(Some(at(3, 9)), at(4, 9)), Some("B6"));
        let purged = LogExtent { purged: Some(at(3, 12)), ..log() };
        assert_eq!(broken(may_commit(&purged, None, at(3, 10))), None);
    }

    #[test]
    fn committed_entries_are_applied_in_order_and_once() {
        let apply = |last, next| broken(may_apply(Some(at(3, 6)), last, next));
        assert_eq!(apply(Some(at(3, 5)), at(3, 6)), None);
        assert_eq!(apply(None, at(0, 0)), None);
        assert_eq!(apply(Some(at(3, 5)), at(3, 5)), Some("B8"));
        assert_eq!(apply(Some(at(3, 4)), at(3, 6)), Some("B8"));
        assert_eq!(apply(None, at(3, 1)), Some("B8"));
        assert_eq!(apply(Some(at(3, 6)), at(3, 7)), Some("B8"));
        assert_eq!(broken(may_apply(None, None, at(0, 0))), Some("B8"));
    }

    #[test]
    fn a_snapshot_never_takes_the_state_back() {
        assert_eq!(broken(may_install(Some(at(3, 6)), at(3, 6))), None);
        assert_eq!(broken(may_install(None, at(3, 6))), None);
        assert_eq!(broken(may_install(Some(at(3, 6)), at(3, 5))), Some("B8"));
    }
}
