//! Latencies, counted in buckets about 1.5 % wide.

use std::time::Duration;

/// Buckets per power of two.
const STEPS: u64 = 64;
const STEP_BITS: u32 = STEPS.trailing_zeros();

/// Counts of durations in microseconds.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        let buckets = bucket(u64::from(u32::MAX)) + 1;
        Self { counts: vec![0; buckets], total: 0 }
    }

    pub(crate) fn record(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.counts[bucket(micros.min(u64::from(u32::MAX)))] += 1;
        self.total += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The latency that `per_mille` of a thousand did not exceed, in
    /// microseconds; 0 if nothing was recorded.
    pub(crate) fn quantile(&self, per_mille: u64) -> u64 {
        let wanted = (self.total * per_mille).div_ceil(1000);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted && seen > 0 {
                return lowest(index);
            }
        }
        0
    }
}

/// Exact up to `2 * STEPS`, then `STEPS` buckets for each power of two.
fn bucket(micros: u64) -> usize {
    let octave = (u64::BITS - micros.leading_zeros()).saturating_sub(STEP_BITS + 1);
    let place = u64::from(octave) * STEPS + (micros >> octave);
    usize::try_from(place).expect("fewer than 64 * 64 buckets")
}

fn lowest(index: usize) -> u64 {
    let index = index as u64;
    if index < 2 * STEPS {
        return index;
    }
    let octave = index / STEPS - 1;
    (index - octave * STEPS) << octave
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_at_most_two_percent_wide() {
        for micros in (0..100_000).chain([1 << 20, (1 << 31) + 12345, u64::from(u32::MAX)]) {
            let low = lowest(bucket(micros));
            assert!(low <= micros, "{micros} is put at {low}");
            assert!((micros - low) * 50 <= micros, "{micros} is put at {low}");
        }
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_list() {
        let mut histogram = Histogram::new();
        for micros in 1..=100 {
            histogram.record(Duration::from_micros(micros));
        }
        let found = [500, 990, 999].map(|per_mille| histogram.quantile(per_mille));
        assert_eq!(found, [50, 99, 100]);
        assert_eq!(Histogram::new().quantile(500), 0);
    }
}
