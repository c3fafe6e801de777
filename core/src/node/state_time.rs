//! The timestamp of log entries, set by the leader.
//!
//! Lock delays and TTLs are differences of timestamps, so this time runs like a
//! stopwatch: it advances by the time that passed on this machine, and is
//! corrected towards the wall clock by at most one part in [`CORRECTION`] of
//! that. A wall clock that is wrong briefly has almost no effect, and one that
//! is wrong for long changes a duration by that part.
//!
//! ```text
//!                    leads                       follows
//!   known            goes on, corrected          is what the leader told
//!   not known        the wall clock's, but       not asked for
//!                    not before the state's
//! ```
//!
//! It is known once this member has heard from a leader or led. A new leader
//! therefore continues from its predecessor's time, whatever its own wall clock
//! says. Only when a whole cluster restarts does the wall clock determine how
//! long it was down, so that delays also end during downtime.
//!
//! Invariants:
//! 1. It never goes backwards while this member leads (A7).
//! 2. It is never before the time of the state as applied here, or a slow clock
//!    would make the state's time stand still.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::sync::{Mutex, MutexGuard};

/// An hour is corrected within sixteen, and a lock delay of fifteen seconds is
/// never shorter than fourteen.
const CORRECTION: u32 = 16;
/// A wall clock this far from the state's time is worth a line in the log.
const REMARKABLE: Duration = Duration::from_secs(10);

/// The state's time as this member knows it.
#[derive(Debug)]
pub(super) struct StateTime {
    clock: Arc<dyn Clock>,
    stopwatch: Mutex<Stopwatch>,
}

impl StateTime {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let stopwatch = Mutex::new(Stopwatch::new(clock.boot_time()));
        Self { clock, stopwatch }
    }

    /// On the leader: the time now. Milliseconds since the epoch.
    pub(super) fn lead(&self) -> u64 {
        let wall = Duration::from_millis(self.clock.wall_ms());
        let mut stopwatch = self.lock();
        let time = stopwatch.lead(self.clock.boot_time(), wall);
        let off = wall.abs_diff(time);
        let remark = off >= REMARKABLE;
        if remark != std::mem::replace(&mut stopwatch.remarked, remark) && remark {
            tracing::warn!(
                off_s = off.as_secs(),
                ahead = time > wall,
                "this machine's clock and the cluster's time differ: check the clock (NTP); the \
                 cluster's time adjusts by at most 1/16 of the elapsed time"
            );
        }
        ms(time)
    }

    /// The leader that this member follows says what the time is.
    pub(super) fn told(&self, time_ms: u64) {
        self.lock().told(self.clock.boot_time(), Duration::from_millis(time_ms));
    }

    /// What was applied here brought the state to this time.
    pub(super) fn applied(&self, time_ms: u64) {
        self.lock().applied(self.clock.boot_time(), Duration::from_millis(time_ms));
    }

    fn lock(&self) -> MutexGuard<'_, Stopwatch> {
        self.stopwatch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A time that goes on.
#[derive(Debug)]
struct Stopwatch {
    /// Since the epoch, as of …
    time: Duration,
    /// … this moment of the machine's.
    at: Duration,
    /// The state's, as applied here.
    applied: Duration,
    known: bool,
    /// Whether the wall clock was said to be far off.
    remarked: bool,
}

impl Stopwatch {
    fn new(at: Duration) -> Self {
        Self { time: Duration::ZERO, at, applied: Duration::ZERO, known: false, remarked: false }
    }

    fn lead(&mut self, at: Duration, wall: Duration) -> Duration {
        let passed = self.go_on(at);
        if self.known {
            let correction = passed / CORRECTION;
            if wall > self.time {
                self.time += correction.min(wall - self.time);
            } else {
                self.time -= correction.min(self.time - wall);
            }
        } else {
            self.known = true;
            self.time = self.time.max(wall);
        }
        self.time
    }

    fn told(&mut self, at: Duration, time: Duration) {
        self.go_on(at);
        self.known = true;
        // A new leader may not have applied yet what this member has.
        self.time = time.max(self.applied);
    }

    fn applied(&mut self, at: Duration, time: Duration) {
        self.go_on(at);
        self.applied = self.applied.max(time);
        self.time = self.time.max(time);
    }

    /// How much time passed since the last look.
    fn go_on(&mut self, at: Duration) -> Duration {
        let passed = at.saturating_sub(self.at);
        self.at = self.at.max(at);
        self.time = self.time.saturating_add(passed);
        passed
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
