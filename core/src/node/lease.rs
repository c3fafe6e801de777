//! The lease: until when the leader that this member follows, or is, is known
//! to have a majority.
//!
//! The leader hears from a majority with every round of append requests, and
//! reports with the next one how long ago that was. A member without such a
//! report for as long as an election may take cannot know whether another
//! leader is expiring its clients' sessions, and so answers nothing that a
//! client would take as proof that its session is alive.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::node_core::{Node, NodeCore};
use crate::consensus::ConsensusRole;

/// When a majority stood behind the leader last, in milliseconds of this
/// member's monotonic clock, plus one; 0 for never.
#[derive(Debug, Default)]
pub(super) struct MajorityContact(AtomicU64);

impl MajorityContact {
    /// A majority stood behind the leader at this moment.
    pub(super) fn note(&self, at: Duration) {
        let at_ms = u64::try_from(at.as_millis()).unwrap_or(u64::MAX - 1);
        self.0.fetch_max(at_ms + 1, Ordering::AcqRel);
    }

    pub(super) fn last(&self) -> Option<Duration> {
        self.0.load(Ordering::Acquire).checked_sub(1).map(Duration::from_millis)
    }

    fn is_within(&self, lease: Duration, now: Duration) -> bool {
        self.last().is_some_and(|last| now.saturating_sub(last) < lease)
    }
}

impl Node {
    /// Whether a majority was known, within an election's time before `now`, to
    /// stand behind the leader. Cheap: asked before every reply to a client.
    pub fn is_backed(&self, now: Duration) -> bool {
        // Invariant C12.
        self.inner.is_backed(now)
    }

    /// When that was so last, on this member's monotonic clock.
    pub fn majority_contact(&self) -> Option<Duration> {
        let inner = &self.inner;
        inner.look_for_majority(inner.clock.monotonic());
        inner.majority.last()
    }

    /// The term in which this member may decide about others by its own clock:
    /// it leads, and hears a majority. What it decides holds in that term only,
    /// see [`Self::decide`].
    pub fn deciding_term(&self) -> Option<u64> {
        self.inner.deciding_term()
    }
}

impl NodeCore {
    pub(super) fn is_backed(&self, now: Duration) -> bool {
        if self.majority.is_within(self.settings.raft.lease(), now) {
            return true;
        }
        self.look_for_majority(now);
        self.majority.is_within(self.settings.raft.lease(), now)
    }

    /// On the leader: what consensus heard. Others are told, see
    /// [`super::leader_report`].
    fn look_for_majority(&self, now: Duration) {
        if let Some(age) = self.consensus.majority_heard() {
            self.majority.note(now.saturating_sub(age));
        }
    }

    pub(super) fn deciding_term(&self) -> Option<u64> {
        let status = self.consensus.status();
        let leads =
            status.role == ConsensusRole::Leader && self.leader_told(&status) == Some(self.member);
        leads.then_some(status.term)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn nobody_is_backed_before_the_first_word_or_long_after_the_last() {
        let majority = MajorityContact::default();
        assert!(!majority.is_within(SECOND, Duration::ZERO));
        majority.note(SECOND * 5);
        // A word that was long under way is no news.
        majority.note(SECOND * 4);
        assert!(majority.is_within(SECOND, SECOND * 6 - SECOND / 100));
        assert!(!majority.is_within(SECOND, SECOND * 6));
    }
}
