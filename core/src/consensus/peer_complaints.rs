//! Rate-limited warnings about peers for the operator.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use coord_state::MemberId;

use crate::sync::Mutex;

/// The same peer is not complained about more often.
const PAUSE: Duration = Duration::from_secs(10);

/// Complaints so far, by peer: at most as many as there are numbers of members.
#[derive(Debug, Default)]
pub(super) struct Complaints(Mutex<BTreeMap<MemberId, Told>>);

#[derive(Debug)]
struct Told {
    at: Instant,
    since: u64,
}

impl Complaints {
    /// Warns, unless that was done a moment ago.
    pub(super) fn tell(&self, peer: MemberId, what: &str) {
        if let Some(more) = self.is_due(peer, Instant::now()) {
            tracing::warn!(peer = peer.0, more, "{what}");
        }
    }

    /// How many were left out since the last one, if it is time for the next.
    fn is_due(&self, peer: MemberId, now: Instant) -> Option<u64> {
        let mut complaints = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match complaints.get_mut(&peer) {
            Some(told) if now.saturating_duration_since(told.at) < PAUSE => {
                told.since += 1;
                None
            }
            Some(told) => {
                told.at = now;
                Some(std::mem::take(&mut told.since))
            }
            None => {
                complaints.insert(peer, Told { at: now, since: 0 });
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_peer_is_complained_about_seldom_and_the_rest_is_counted() {
        let complaints = Complaints::default();
        let start = Instant::now();
        assert_eq!(complaints.is_due(MemberId(1), start), Some(0));
        for _ in 0..7 {
            assert_eq!(complaints.is_due(MemberId(1), start), None);
        }
        assert_eq!(complaints.is_due(MemberId(2), start), Some(0));
        assert_eq!(complaints.is_due(MemberId(1), start + PAUSE), Some(7));
        assert_eq!(complaints.is_due(MemberId(1), start + PAUSE), None);
    }
}
