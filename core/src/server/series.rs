//! Latency statistics: count, sum and extremes.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// How long many things of a kind took, recorded from any thread without a lock.
#[derive(Debug)]
pub(super) struct Series {
    count: AtomicU64,
    sum_ns: AtomicU64,
    /// Of milliseconds, as the bits of an `f64`: squares of nanoseconds would not fit.
    sum_of_squares: AtomicU64,
    min_ns: AtomicU64,
    max_ns: AtomicU64,
}

/// What a [`Series`] holds, in milliseconds. What somebody records at the same time may be in
/// some of the numbers and not yet in the others.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SeriesSummary {
    pub(super) count: u64,
    pub(super) sum: f64,
    sum_of_squares: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Default for Series {
    fn default() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            count: zero(),
            sum_ns: zero(),
            sum_of_squares: zero(),
            min_ns: AtomicU64::new(u64::MAX),
            max_ns: zero(),
        }
    }
}

impl Series {
    /// One more.
    pub(super) fn record(&self, taken: Duration) {
        let ns = u64::try_from(taken.as_nanos()).unwrap_or(u64::MAX);
        let ms = taken.as_secs_f64() * 1e3;
        let add = |bits| Some((f64::from_bits(bits) + ms * ms).to_bits());
        // Cannot fail: there is always a next value.
        let _ = self.sum_of_squares.fetch_update(Relaxed, Relaxed, add);
        self.sum_ns.fetch_add(ns, Relaxed);
        self.min_ns.fetch_min(ns, Relaxed);
        self.max_ns.fetch_max(ns, Relaxed);
        self.count.fetch_add(1, Relaxed);
    }

    /// How many there were.
    pub(super) fn count(&self) -> u64 {
        self.count.load(Relaxed)
    }

    pub(super) fn summary(&self) -> SeriesSummary {
        let count = self.count();
        if count == 0 {
            return SeriesSummary::default();
        }
        let ms = |ns: &AtomicU64| Duration::from_nanos(ns.load(Relaxed)).as_secs_f64() * 1e3;
        SeriesSummary {
            count,
            sum: ms(&self.sum_ns),
            sum_of_squares: f64::from_bits(self.sum_of_squares.load(Relaxed)),
            min: ms(&self.min_ns),
            max: ms(&self.max_ns),
        }
    }
}

impl SeriesSummary {
    pub(super) fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum / self.count_f64() }
    }

    pub(super) fn deviation(&self) -> f64 {
        if self.count < 2 {
            return 0.0;
        }
        let variance = self.sum_of_squares / self.count_f64() - self.mean() * self.mean();
        variance.max(0.0).sqrt()
    }

    #[expect(clippy::cast_precision_loss, reason = "a statistic may round past 2^53 requests")]
    fn count_f64(&self) -> f64 {
        self.count as f64
    }
}

/// How long the questions to DNS took.
#[derive(Debug, Default)]
pub struct DnsTimes {
    domain: Series,
    reverse: Series,
}

impl DnsTimes {
    /// Counts one answer; `reverse` if an address was asked for its name.
    pub(super) fn record(&self, reverse: bool, taken: Duration) {
        let series = if reverse { &self.reverse } else { &self.domain };
        series.record(taken);
    }

    /// Of names, and of addresses.
    pub(super) fn both(&self) -> (SeriesSummary, SeriesSummary) {
        (self.domain.summary(), self.reverse.summary())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_knows_its_spread() {
        let series = Series::default();
        for ms in [2, 4] {
            series.record(Duration::from_millis(ms));
        }
        let summary = series.summary();
        assert_eq!((summary.count, summary.min, summary.max), (2, 2.0, 4.0));
        assert_eq!((summary.mean(), summary.deviation()), (3.0, 1.0));
    }

    #[test]
    fn a_series_without_anything_is_all_zeros() {
        let summary = Series::default().summary();
        assert_eq!((summary.count, summary.sum, summary.min, summary.max), (0, 0.0, 0.0, 0.0));
        assert_eq!((summary.mean(), summary.deviation()), (0.0, 0.0));
    }

    #[test]
    fn nothing_is_lost_when_many_record_at_once() {
        let series = Series::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for ms in [1, 3].repeat(1000) {
                        series.record(Duration::from_millis(ms));
                    }
                });
            }
        });
        let summary = series.summary();
        assert_eq!((summary.count, summary.sum), (8000, 16_000.0));
        assert_eq!((summary.mean(), summary.deviation()), (2.0, 1.0));
    }
}
