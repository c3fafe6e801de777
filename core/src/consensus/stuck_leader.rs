//! Makes a leader step down that cannot append.
//!
//! Heartbeats are small and have their own connection: they may get through
//! where log entries do not, and would keep a leader that commits nothing. So a
//! leader with entries in flight of which none gets committed goes silent for a
//! while, as if it had died, and followers elect another one. If none of them
//! can, it continues.

use std::time::{Duration, Instant};

use openraft::async_runtime::watch::WatchReceiver;
use openraft::{Instant as _, ServerState};

use super::lifetime::pause;
use super::member::Consensus;

/// At least so long nothing is committed before a leader steps back.
const PATIENCE_MIN: Duration = Duration::from_secs(1);
/// A slow link carries at least so much in a second; more under way is more time.
const BYTES_PER_SECOND_MIN: usize = 256 << 10;

/// What a leader sees of its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Leading {
    term: u64,
    last: u64,
    committed: u64,
    /// Whether a majority answers it. One that is alone is another matter: see
    /// `quorum_loss_probe_interval` in ADR 0002.
    heard: bool,
}

/// Watches whether the log of a leader moves.
#[derive(Debug)]
struct Watch {
    /// How long it may stand still.
    patience: Duration,
    /// How long the leader is silent then.
    silence: Duration,
    seen: Option<Leading>,
    since: Instant,
    silent_until: Option<Instant>,
}

impl Watch {
    fn new(election_max: Duration, now: Instant) -> Self {
        // A lease that ends, and an election.
        let silence = election_max * 2;
        let patience = silence.max(PATIENCE_MIN);
        Self { patience, silence, seen: None, since: now, silent_until: None }
    }

    /// Whether to be silent now. `leading` is None on who does not lead.
    fn look(&mut self, now: Instant, leading: Option<Leading>, bytes_under_way: usize) -> bool {
        let Some(leading) = leading else {
            (self.seen, self.silent_until) = (None, None);
            return false;
        };
        let moved = self.seen.is_none_or(|seen| {
            (seen.term, seen.committed) != (leading.term, leading.committed)
                || leading.last <= leading.committed
        });
        self.seen = Some(leading);
        match self.silent_until {
            Some(until) if now < until && !moved => return true,
            None if leading.heard && !moved => {}
            // It commits, or nobody took over: then it tries again as long as at first.
            Some(_) | None => {
                (self.since, self.silent_until) = (now, None);
                return false;
            }
        }
        let carrying = Duration::from_secs_f64(
            f64::from(u32::try_from(bytes_under_way / 1024).unwrap_or(u32::MAX))
                / f64::from(u32::try_from(BYTES_PER_SECOND_MIN / 1024).unwrap_or(u32::MAX)),
        );
        if now.saturating_duration_since(self.since) < self.patience + carrying {
            return false;
        }
        self.silent_until = Some(now + self.silence);
        true
    }
}

impl Consensus {
    /// Looks after this member whenever it leads.
    pub(super) async fn step_back_when_stuck(self, election_max: Duration) {
        let mut watch = Watch::new(election_max, Instant::now());
        let peers = &self.inner.peers;
        loop {
            pause(election_max / 4).await;
            let leading = self.leading(election_max);
            let silent = watch.look(Instant::now(), leading, peers.in_flight_bytes());
            if silent && !peers.is_silent() {
                tracing::warn!(
                    member = peers.me.0,
                    ?leading,
                    "nothing was committed for too long although followers respond: this leader \
                     steps down, so that a member whose log entries get through can lead"
                );
            }
            peers.set_silent(silent);
        }
    }

    fn leading(&self, lease: Duration) -> Option<Leading> {
        let metrics = self.inner.raft.metrics();
        let metrics = metrics.borrow_watched();
        (metrics.state == ServerState::Leader).then(|| Leading {
            term: metrics.current_term,
            last: metrics.last_log_index.unwrap_or(0),
            committed: metrics.local_committed.as_ref().map_or(0, |log_id| log_id.index),
            heard: metrics.last_quorum_acked.is_some_and(|acked| acked.elapsed() <= lease),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ELECTION_MAX: Duration = Duration::from_millis(600);

    /// Looks every 100 ms, with nothing committed behind `committed`; tells when it is silent.
    fn silent_at(
        watch: &mut Watch,
        start: Instant,
        ms: std::ops::Range<u64>,
        bytes: usize,
    ) -> Vec<u64> {
        let leading = Leading { term: 1, last: 9, committed: 5, heard: true };
        ms.step_by(100)
            .filter(|ms| watch.look(start + Duration::from_millis(*ms), Some(leading), bytes))
            .collect()
    }

    #[test]
    fn a_leader_whose_log_stands_still_is_silent_for_a_while_and_then_tries_again() {
        let start = Instant::now();
        let mut watch = Watch::new(ELECTION_MAX, start);
        let silent = silent_at(&mut watch, start, 0..5000, 0);
        let expected = (1200..2400).step_by(100).chain((3600..4800).step_by(100));
        assert_eq!(silent, expected.collect::<Vec<_>>());
    }

    #[test]
    fn a_leader_that_is_idle_or_commits_or_is_alone_does_not_step_back() {
        let start = Instant::now();
        let mut watch = Watch::new(ELECTION_MAX, start);
        for step in 0..100 {
            let now = start + Duration::from_millis(step * 100);
            let idle = Leading { term: 1, last: 5, committed: 5, heard: true };
            assert!(!watch.look(now, Some(idle), 0));
        }
        for step in 0..100 {
            let now = start + Duration::from_millis(10_000 + step * 100);
            let busy = Leading { term: 1, last: 5 + step * 2, committed: 5 + step, heard: true };
            assert!(!watch.look(now, Some(busy), 0));
        }
        for step in 0..100 {
            let now = start + Duration::from_millis(30_000 + step * 100);
            let alone = Leading { term: 1, last: 500, committed: 200, heard: false };
            assert!(!watch.look(now, Some(alone), 0));
        }
        assert!(!watch.look(start + Duration::from_secs(60), None, 0));
    }

    #[test]
    fn much_under_way_over_a_slow_link_is_more_time() {
        let start = Instant::now();
        let mut watch = Watch::new(ELECTION_MAX, start);
        assert_eq!(silent_at(&mut watch, start, 0..5100, 1 << 20), Vec::<u64>::new());
        assert!(!silent_at(&mut watch, start, 5100..5400, 1 << 20).is_empty());
    }
}
