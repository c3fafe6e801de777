//! Tombstones of deleted keys, so that the index of a prefix never goes
//! backwards.
//!
//! A deleted key leaves its revision under its name; a deleted tree leaves one
//! revision under its prefix. A prefix read takes the largest under its prefix.
//! Names are not kept for ever: beyond a limit the older half is dropped and
//! their largest revision becomes the floor, below which no prefix index may
//! fall. The floor only moves forward, to a past revision, so at worst a waiter
//! wakes once without a change. It moves once in [`COUNT_MAX`] / 2 deletions.

use alloc::collections::{BTreeMap, BTreeSet};
use core::ops::Bound;

use bytes::Bytes;

/// How many names are kept.
pub(super) const COUNT_MAX: usize = 65_536;
/// How many bytes of names are kept.
pub(super) const BYTES_MAX: usize = 16 << 20;

/// Names of deleted keys and trees with the revision of their deletion.
#[derive(Debug, Default)]
pub(super) struct Tombstones {
    revisions: BTreeMap<Bytes, u64>,
    by_age: BTreeSet<(u64, Bytes)>,
    bytes: usize,
}

impl Tombstones {
    /// Sets or removes one; returns the previous.
    pub(super) fn put(&mut self, key: &Bytes, revision: Option<u64>) -> Option<u64> {
        let old = match revision {
            Some(revision) => {
                self.by_age.insert((revision, key.clone()));
                self.revisions.insert(key.clone(), revision)
            }
            None => self.revisions.remove(key),
        };
        if let Some(old) = old.filter(|old| Some(*old) != revision) {
            self.by_age.remove(&(old, key.clone()));
        }
        match (old, revision) {
            (None, Some(_)) => self.bytes += key.len(),
            (Some(_), None) => self.bytes -= key.len(),
            _ => {}
        }
        old
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<u64> {
        self.revisions.get(key).copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Bytes, u64)> {
        self.revisions.iter().map(|(key, revision)| (key, *revision))
    }

    /// All whose name begins with `prefix`.
    pub(super) fn range<'a>(&'a self, prefix: &'a [u8]) -> impl Iterator<Item = (&'a Bytes, u64)> {
        self.revisions
            .range::<[u8], _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(move |(key, _)| key.starts_with(prefix))
            .map(|(key, revision)| (key, *revision))
    }

    /// Whether there are more than are kept.
    pub(super) fn overflows(&self) -> bool {
        self.revisions.len() > COUNT_MAX || self.bytes > BYTES_MAX
    }

    /// The older half, oldest first.
    pub(super) fn older_half(&self) -> impl Iterator<Item = &(u64, Bytes)> {
        self.by_age.iter().take(self.by_age.len().div_ceil(2))
    }

    /// Whether both orders hold the same.
    pub(super) fn is_consistent(&self) -> bool {
        self.by_age.len() == self.revisions.len()
            && self.bytes == self.revisions.keys().map(Bytes::len).sum::<usize>()
            && self.by_age.iter().all(|(revision, key)| self.get(key) == Some(*revision))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_orders_and_the_size_are_compared() {
        let table = || {
            let mut tombstones = Tombstones::default();
            tombstones.put(&Bytes::from_static(b"gone"), Some(2));
            tombstones
        };
        assert!(table().is_consistent());
        type Damage = fn(&mut Tombstones);
        let damages: [Damage; 3] = [
            |tombstones| tombstones.by_age.clear(),
            |tombstones| tombstones.revisions.clear(),
            |tombstones| tombstones.bytes += 1,
        ];
        for damage in damages {
            let mut tombstones = table();
            damage(&mut tombstones);
            assert!(!tombstones.is_consistent(), "{tombstones:?}");
        }
    }
}
