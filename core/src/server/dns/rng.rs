//! Random order of equal answers.

use std::sync::atomic::{AtomicU64, Ordering};

/// SplitMix64's: odd, so that adding it up comes by every number.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A small generator with a seed of its own for every question. It spreads load; it
/// keeps no secret.
#[derive(Debug, Clone)]
pub(super) struct Rng(u64);

/// Seeds for one question after the other, from a single one: asking the system
/// for chance every time would cost as much as finding the answer.
#[derive(Debug)]
pub(super) struct Seeds(AtomicU64);

impl Seeds {
    pub(super) fn new(first: u64) -> Self {
        Self(AtomicU64::new(first))
    }

    /// Far from all others: drawing from a seed mixes it, so they need not look random.
    pub(super) fn next(&self) -> u64 {
        self.0.fetch_add(STEP.rotate_left(32) | 1, Ordering::Relaxed)
    }
}

impl Rng {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Puts `items` into an order of chance.
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.up_to(last));
        }
    }

    /// A number from 0 to `most`.
    fn up_to(&mut self, most: usize) -> usize {
        let span = (most as u128) + 1;
        // The upper half of a 64 by 64 bit product is below `span`.
        let scaled = (u128::from(self.next()) * span) >> 64;
        usize::try_from(scaled).unwrap_or(most)
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_questions_draw_the_same_numbers() {
        let seeds = Seeds::new(7);
        let drawn = |_| {
            let mut rng = Rng::new(seeds.next());
            [rng.next(), rng.next(), rng.next()]
        };
        let all: HashSet<u64> = (0..1000).flat_map(drawn).collect();
        assert_eq!(all.len(), 3000);
    }
}
