//! When this member last heard from a leader, and from which one.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use coord_state::MemberId;

use crate::sync::Mutex;

/// When a leader was last heard.
#[derive(Debug)]
pub(super) struct LeaderContact {
    origin: Instant,
    /// Milliseconds since the origin, plus one; 0 for never.
    heard: AtomicU64,
    /// A leader that was not heard for longer was cut off from this member.
    silence_max: Duration,
    last: Mutex<Option<Heard>>,
}

/// Which leader was heard last, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heard {
    leader: MemberId,
    pub(super) term: u64,
    at: Instant,
}

impl LeaderContact {
    pub(super) fn new(origin: Instant, silence_max: Duration) -> Self {
        Self { origin, heard: AtomicU64::new(0), silence_max, last: Mutex::default() }
    }

    /// A leader was heard. If that was after a silence, tells since when.
    pub(super) fn note_leader(&self, leader: MemberId, term: u64, now: Instant) -> Option<Instant> {
        self.note();
        let heard = Heard { leader, term, at: now };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let before = last.replace(heard)?;
        let same = (before.leader, before.term) == (leader, term);
        let silent = now.saturating_duration_since(before.at) > self.silence_max;
        (same && silent).then_some(before.at)
    }

    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }

    pub(super) fn note(&self) {
        self.heard.store(self.now() + 1, Ordering::Relaxed);
    }

    /// Milliseconds since then.
    pub(super) fn age_ms(&self) -> Option<u64> {
        let heard = self.heard.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.now().saturating_sub(heard))
    }
}
