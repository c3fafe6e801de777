//! Fingerprints of this member's state after recent log entries, to compare
//! with those of other members.
//!
//! Every applied entry adds a fingerprint. The leader piggybacks its latest on
//! each append request, so a follower compares as often as it hears from the
//! leader; a fingerprint of an entry that is not applied yet waits for it.
//! Nothing is stored.
//!
//! Invariants:
//! 1. Own fingerprints are in log order and cover every entry with a payload
//!    since the oldest: between two of them the state did not change.
//! 2. Both queues are bounded. When the queue of future fingerprints is full it
//!    accepts no more: its content is compared first.

use std::collections::VecDeque;
use std::sync::PoisonError;

use coord_state::codec::{CodecError, Decode, Encode, Input};
use coord_state::digest::DIGEST_VERSION;
use coord_state::{Digest, MemberId, Revision};

use crate::sync::{Mutex, MutexGuard};

const KEPT: usize = 4096;
const AWAITED_MAX: usize = 64;

/// What a state was after a log entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StateFingerprint {
    /// By which rules the digest was made.
    version: u16,
    /// The entry.
    pub(crate) index: u64,
    pub(crate) revision: Revision,
    pub(crate) digest: u128,
}

impl Encode for StateFingerprint {
    fn encode(&self, out: &mut Vec<u8>) {
        self.version.encode(out);
        self.index.encode(out);
        self.revision.encode(out);
        self.digest.encode(out);
    }
}

impl Decode for StateFingerprint {
    fn decode(input: &mut Input) -> Result<Self, CodecError> {
        Ok(Self {
            version: Decode::decode(input)?,
            index: Decode::decode(input)?,
            revision: Decode::decode(input)?,
            digest: Decode::decode(input)?,
        })
    }
}

impl StateFingerprint {
    pub(crate) fn new(index: u64, revision: Revision, digest: Digest) -> Self {
        Self { version: DIGEST_VERSION, index, revision, digest: digest.0 }
    }

    /// Whether it says anything about a state here: other releases may come to
    /// other digests.
    pub(super) fn is_comparable(&self) -> bool {
        self.version == DIGEST_VERSION
    }

    /// Whether the states were the same.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        (self.revision, self.digest) == (other.revision, other.digest)
    }
}

/// Two members' states contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mismatch {
    pub(crate) own: StateFingerprint,
    pub(crate) theirs: StateFingerprint,
    pub(crate) peer: MemberId,
}

#[derive(Debug, Default)]
pub(crate) struct FingerprintHistory(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    own: VecDeque<StateFingerprint>,
    awaited: VecDeque<(MemberId, StateFingerprint)>,
}

impl FingerprintHistory {
    /// A log entry was applied here. Gives what was awaited for it and differs.
    pub(crate) fn note(&self, fingerprint: StateFingerprint) -> Option<Mismatch> {
        let mut kept = self.lock();
        if kept.own.len() == KEPT {
            kept.own.pop_front();
        }
        kept.own.push_back(fingerprint);
        let mut mismatch = None;
        while kept.awaited.front().is_some_and(|(_, awaited)| awaited.index <= fingerprint.index) {
            if let Some((peer, theirs)) = kept.awaited.pop_front() {
                mismatch = mismatch.or_else(|| kept.compare(peer, theirs));
            }
        }
        mismatch
    }

    /// The state was replaced by one that was elsewhere after this entry.
    pub(crate) fn restart(&self, fingerprint: StateFingerprint) {
        let mut kept = self.lock();
        kept.own.clear();
        kept.own.push_back(fingerprint);
        kept.awaited.retain(|(_, awaited)| awaited.index > fingerprint.index);
    }

    /// A peer's state was so. Gives the two if they differ; nothing if they
    /// agree, or if there is nothing to compare with, or not yet.
    pub(crate) fn compare(&self, peer: MemberId, theirs: StateFingerprint) -> Option<Mismatch> {
        if !theirs.is_comparable() {
            return None;
        }
        let mut kept = self.lock();
        match kept.own.back() {
            Some(latest) if theirs.index <= latest.index => kept.compare(peer, theirs),
            _ => {
                let last = kept.awaited.back().map(|(_, awaited)| awaited.index);
                let full = kept.awaited.len() == AWAITED_MAX;
                if !full && last.is_none_or(|last| last < theirs.index) {
                    kept.awaited.push_back((peer, theirs));
                }
                None
            }
        }
    }

    /// The latest.
    pub(crate) fn latest(&self) -> Option<StateFingerprint> {
        self.lock().own.back().copied()
    }

    /// What the state was after an entry that is applied here; nothing if that
    /// was too long ago.
    pub(crate) fn at(&self, index: u64) -> Option<StateFingerprint> {
        self.lock().at(index)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// The last fingerprint not after `index`: entries without one changed nothing.
    fn at(&self, index: u64) -> Option<StateFingerprint> {
        let after = self.own.partition_point(|own| own.index <= index);
        Some(self.own[after.checked_sub(1)?])
    }

    fn compare(&self, peer: MemberId, theirs: StateFingerprint) -> Option<Mismatch> {
        let own = self.at(theirs.index)?;
        (!own.agrees(&theirs)).then_some(Mismatch { own, theirs, peer })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: MemberId = MemberId(2);

    fn fingerprint(index: u64, digest: u128) -> StateFingerprint {
        StateFingerprint::new(index, Revision(index), Digest(digest))
    }

    #[test]
    fn a_mark_is_compared_at_its_own_entry_at_once_or_when_that_is_applied() {
        let fingerprints = FingerprintHistory::default();
        assert_eq!(fingerprints.note(fingerprint(3, 30)), None);
        assert_eq!(fingerprints.compare(PEER, fingerprint(3, 30)), None);
        let differs = fingerprints.compare(PEER, fingerprint(3, 31)).expect("it differs");
        assert_eq!((differs.own.digest, differs.theirs.digest, differs.peer), (30, 31, PEER));

        assert_eq!(fingerprints.compare(PEER, fingerprint(5, 50)), None);
        assert_eq!(fingerprints.compare(PEER, fingerprint(6, 60)), None);
        assert_eq!(fingerprints.note(fingerprint(5, 50)), None);
        assert!(fingerprints.note(fingerprint(6, 61)).is_some());
        assert_eq!(fingerprints.note(fingerprint(7, 70)), None);
    }

    #[test]
    fn an_entry_without_a_payload_leaves_the_state_as_before() {
        let fingerprints = FingerprintHistory::default();
        fingerprints.note(fingerprint(3, 30));
        fingerprints.note(fingerprint(5, 50));
        assert_eq!(fingerprints.at(4), Some(fingerprint(3, 30)));
        assert_eq!(fingerprints.at(9), Some(fingerprint(5, 50)));
        assert_eq!(fingerprints.at(2), None);
        let theirs = StateFingerprint { index: 4, ..fingerprint(3, 30) };
        assert_eq!(fingerprints.compare(PEER, theirs), None);
    }

    #[test]
    fn fingerprints_of_other_releases_are_not_compared() {
        let fingerprints = FingerprintHistory::default();
        fingerprints.note(fingerprint(3, 30));
        let theirs = StateFingerprint { version: DIGEST_VERSION + 1, ..fingerprint(3, 31) };
        assert_eq!(fingerprints.compare(PEER, theirs), None);
        assert!(fingerprints.compare(PEER, fingerprint(3, 31)).is_some());
    }

    #[test]
    fn nothing_is_kept_for_ever_and_the_oldest_awaited_stays() {
        let fingerprints = FingerprintHistory::default();
        for index in 1..=3 * AWAITED_MAX as u64 {
            assert_eq!(fingerprints.compare(PEER, fingerprint(index, 1)), None);
        }
        assert_eq!(fingerprints.lock().awaited.len(), AWAITED_MAX);
        assert!(fingerprints.note(fingerprint(1, 0)).is_some());
        for index in 2..=2 * KEPT as u64 {
            fingerprints.note(fingerprint(index, 1));
        }
        assert_eq!(fingerprints.lock().own.len(), KEPT);
        assert_eq!(fingerprints.at(1), None);
    }

    #[test]
    fn a_replaced_state_is_compared_from_its_entry_on() {
        let fingerprints = FingerprintHistory::default();
        fingerprints.note(fingerprint(3, 30));
        fingerprints.compare(PEER, fingerprint(9, 90));
        fingerprints.restart(fingerprint(7, 70));
        assert_eq!(fingerprints.at(3), None);
        assert_eq!(fingerprints.compare(PEER, fingerprint(3, 31)), None);
        assert!(fingerprints.compare(PEER, fingerprint(7, 71)).is_some());
        assert!(fingerprints.note(fingerprint(9, 91)).is_some());
    }
}
