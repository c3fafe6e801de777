//! What is kept of how long things took.

use std::sync::PoisonError;
use std::time::Duration;

use crate::sync::{Mutex, MutexGuard};

/// Milliseconds of many things of a kind.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Series {
    pub(super) count: u64,
    pub(super) sum: f64,
    sum_of_squares: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Series {
    /// One more.
    pub(super) fn record(&mut self, ms: f64) {
        self.min = if self.count == 0 { ms } else { self.min.min(ms) };
        self.max = self.max.max(ms);
        self.count += 1;
        self.sum += ms;
        self.sum_of_squares += ms * ms;
    }

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
    domain: Mutex<Series>,
    reverse: Mutex<Series>,
}

impl DnsTimes {
    /// Counts one answer; `reverse` if an address was asked for its name.
    pub(super) fn record(&self, reverse: bool, taken: Duration) {
        let series = if reverse { &self.reverse } else { &self.domain };
        lock(series).record(taken.as_secs_f64() * 1e3);
    }

    /// Of names, and of addresses.
    pub(super) fn both(&self) -> (Series, Series) {
        (*lock(&self.domain), *lock(&self.reverse))
    }
}

fn lock(series: &Mutex<Series>) -> MutexGuard<'_, Series> {
    series.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_knows_its_spread() {
        let mut series = Series::default();
        for ms in [2.0, 4.0] {
            series.record(ms);
        }
        assert_eq!((series.count, series.min, series.max), (2, 2.0, 4.0));
        assert_eq!((series.mean(), series.deviation()), (3.0, 1.0));
    }
}
