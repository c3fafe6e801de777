//! Latency statistics, recorded where operations run and reported by the
//! servers.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Counts what takes time, from any thread.
#[derive(Debug)]
pub struct Durations {
    count: AtomicU64,
    total_us: AtomicU64,
    min_us: AtomicU64,
    max_us: AtomicU64,
}

/// What [`Durations`] counted since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DurationSummary {
    /// How many.
    pub count: u64,
    /// All together, in microseconds.
    pub total_us: u64,
    /// The shortest, in microseconds; 0 if there was none.
    pub min_us: u64,
    /// The longest, in microseconds.
    pub max_us: u64,
}

impl Default for Durations {
    fn default() -> Self {
        let zero = || AtomicU64::new(0);
        Self { count: zero(), total_us: zero(), min_us: AtomicU64::new(u64::MAX), max_us: zero() }
    }
}

impl Durations {
    /// Counts one.
    pub fn record(&self, taken: Duration) {
        let us = u64::try_from(taken.as_micros()).unwrap_or(u64::MAX);
        self.count.fetch_add(1, Relaxed);
        self.total_us.fetch_add(us, Relaxed);
        self.min_us.fetch_min(us, Relaxed);
        self.max_us.fetch_max(us, Relaxed);
    }

    /// All of them.
    pub fn summary(&self) -> DurationSummary {
        let count = self.count.load(Relaxed);
        DurationSummary {
            count,
            total_us: self.total_us.load(Relaxed),
            min_us: if count == 0 { 0 } else { self.min_us.load(Relaxed) },
            max_us: self.max_us.load(Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_and_the_longest_are_kept_with_the_sum() {
        let durations = Durations::default();
        assert_eq!(durations.summary(), DurationSummary::default());
        for us in [300, 100, 200] {
            durations.record(Duration::from_micros(us));
        }
        let all = DurationSummary { count: 3, total_us: 600, min_us: 100, max_us: 300 };
        assert_eq!(durations.summary(), all);
    }
}
