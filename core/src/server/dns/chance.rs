//! The order of equal answers.

/// A small generator, drawn afresh for every question. It spreads load; it
/// keeps no secret.
#[derive(Debug, Clone)]
pub(super) struct Chance(u64);

impl Chance {
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
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
