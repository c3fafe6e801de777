//! Counters of this member's work since its start, for operators.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::node_core::Node;
use crate::durations::{DurationSummary, Durations};
use crate::sync::Mutex;

/// The counters.
#[derive(Debug)]
pub(super) struct Work {
    proposals: AtomicU64,
    proposal_last: AtomicU64,
    proposal_min: AtomicU64,
    proposal_max: AtomicU64,
    pub(super) commits: AtomicU64,
    pub(super) sessions_expired: AtomicU64,
    elections: Durations,
    /// Since when no leader is known.
    looking: Mutex<Option<Duration>>,
}

/// What a member did, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NodeWork {
    /// Log entries proposed as the leader.
    pub proposals: u64,
    /// Bytes of the last, the smallest and the largest of them, if there was one.
    pub proposal_bytes: Option<[u64; 3]>,
    /// Log entries that were committed and applied while this member led.
    pub commits: u64,
    /// Sessions that ended by this member's clock, as the leader.
    pub sessions_expired: u64,
    /// From when no leader was known until one was, the start included.
    pub elections: DurationSummary,
    /// Of the log to the disk.
    pub syncs: DurationSummary,
    /// Snapshots, from the first byte until they were durable.
    pub snapshots: DurationSummary,
}

impl Work {
    /// Nothing yet, and no leader known.
    pub(super) fn new(now: Duration) -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            proposals: zero(),
            proposal_last: zero(),
            proposal_min: AtomicU64::new(u64::MAX),
            proposal_max: zero(),
            commits: zero(),
            sessions_expired: zero(),
            elections: Durations::default(),
            looking: Mutex::new(Some(now)),
        }
    }

    pub(super) fn proposed(&self, bytes: usize) {
        let bytes = bytes as u64;
        self.proposals.fetch_add(1, Relaxed);
        self.proposal_last.store(bytes, Relaxed);
        self.proposal_min.fetch_min(bytes, Relaxed);
        self.proposal_max.fetch_max(bytes, Relaxed);
    }

    /// Takes note of whether a leader is known.
    pub(super) fn knows_leader(&self, known: bool, now: Duration) {
        let mut looking = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        match (known, *looking) {
            (true, Some(since)) => {
                self.elections.record(now.saturating_sub(since));
                *looking = None;
            }
            (false, None) => *looking = Some(now),
            (true, None) | (false, Some(_)) => {}
        }
    }
}

impl Node {
    /// What this member did since its start.
    pub fn work(&self) -> NodeWork {
        let work = &self.inner.work;
        let proposals = work.proposals.load(Relaxed);
        let bytes = || {
            [&work.proposal_last, &work.proposal_min, &work.proposal_max]
                .map(|bytes| bytes.load(Relaxed))
        };
        NodeWork {
            proposals,
            proposal_bytes: (proposals > 0).then(bytes),
            commits: work.commits.load(Relaxed),
            sessions_expired: work.sessions_expired.load(Relaxed),
            elections: work.elections.summary(),
            syncs: self.inner.storage_times.syncs.summary(),
            snapshots: self.inner.storage_times.snapshots.summary(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_election_lasts_from_losing_a_leader_to_knowing_one() {
        let at = Duration::from_millis;
        let work = Work::new(at(10));
        // Nobody is known at the start, and is looked for once.
        work.knows_leader(false, at(20));
        assert_eq!(work.elections.summary().count, 0);
        work.knows_leader(true, at(110));
        work.knows_leader(true, at(500));
        assert_eq!(work.elections.summary().max_us, 100_000);
        work.knows_leader(false, at(600));
        work.knows_leader(true, at(650));
        let all = work.elections.summary();
        assert_eq!((all.count, all.min_us, all.max_us), (2, 50_000, 100_000));
    }
}
