//! The digest at some past revisions, to compare members.
//!
//! It is recorded at the end of the log entry that reaches or passes a multiple
//! of [`EVERY`]. Log entries are the same everywhere, so members record the
//! same revisions. The history is not stored: it starts empty after a restart.

use std::collections::VecDeque;
use std::sync::PoisonError;

use coord_state::{Digest, Revision, StateMachine};

use crate::sync::{Mutex, MutexGuard};

/// As ZooKeeper has it.
const EVERY: u64 = 128;
const KEPT: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct DigestHistory(Mutex<VecDeque<(Revision, Digest)>>);

impl DigestHistory {
    /// A log entry was applied; before it the state was at `before`.
    pub(crate) fn note(&self, before: Revision, state: &StateMachine) {
        let revision = state.revision();
        if before.0 / EVERY == revision.0 / EVERY {
            return;
        }
        let mut noted = self.lock();
        if noted.len() == KEPT {
            noted.pop_front();
        }
        noted.push_back((revision, state.digest()));
    }

    /// Oldest first.
    pub(crate) fn noted(&self) -> Vec<(Revision, Digest)> {
        self.lock().iter().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(Revision, Digest)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use coord_state::Command;
    use coord_state::machine::ClusterIdentity;

    use super::*;

    #[test]
    fn digests_are_noted_once_per_128_revisions_and_not_for_ever() {
        let history = DigestHistory::default();
        let mut state = StateMachine::new();
        let found = Command::InitCluster(ClusterIdentity { cluster: 1, digest_key: 2 });
        for _ in 0..EVERY * 1030 {
            let before = state.revision();
            state.apply(0, found.clone());
            history.note(before, &state);
        }
        let noted = history.noted();
        assert_eq!(noted.len(), KEPT);
        assert!(noted.iter().all(|(revision, _)| revision.0 % EVERY == 0));
        assert_eq!(noted.last(), Some(&(state.revision(), state.digest())));
    }
}
