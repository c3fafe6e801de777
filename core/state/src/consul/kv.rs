//! Keys and values.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use core::ops::Bound;

use bytes::Bytes;

use crate::consul::ConsulSessionId;
use crate::consul::ledger::{Ledger, Undo, tag};
use crate::consul::tombstone::Tombstones;
use crate::invariants::{Violation, require, require_all};

/// One key and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvEntry {
    /// Its value.
    pub value: Bytes,
    /// The client's own number.
    pub flags: u64,
    /// How often its lock was taken.
    pub lock_index: u64,
    /// Who holds its lock.
    pub session: Option<ConsulSessionId>,
    /// Revision of creation.
    pub create_index: u64,
    /// Revision of the last change.
    pub modify_index: u64,
}

crate::record!(KvEntry { value, flags, lock_index, session, create_index, modify_index });

/// Indexes of the table as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct KvIndexes {
    /// Last change of any key.
    pub(super) index: u64,
    /// No prefix read reports less.
    pub(super) floor: u64,
}

crate::record!(KvIndexes { index, floor });

/// The key-value store.
#[derive(Debug, Default)]
pub struct Kv {
    entries: BTreeMap<Bytes, KvEntry>,
    held: BTreeMap<ConsulSessionId, BTreeSet<Bytes>>,
    tombstones: Tombstones,
    lock_delays: BTreeMap<Bytes, u64>,
    lock_delays_by_end: BTreeSet<(u64, Bytes)>,
    indexes: KvIndexes,
}

impl Kv {
    /// The entry at exactly this key.
    pub fn get(&self, key: &[u8]) -> Option<&KvEntry> {
        self.entries.get(key)
    }

    /// All entries whose key begins with `prefix`, in bytewise order.
    pub fn range<'a>(&'a self, prefix: &'a [u8]) -> impl Iterator<Item = (&'a Bytes, &'a KvEntry)> {
        self.entries
            .range::<[u8], _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(move |(key, _)| key.starts_with(prefix))
    }

    /// The index of a read of one key: the entry's own, or the table's if
    /// there is none, for any later entry will have a larger one.
    pub fn key_index(&self, key: &[u8]) -> u64 {
        self.get(key).map_or(self.indexes.index, |entry| entry.modify_index)
    }

    /// The index of a read of a prefix: the largest under it, deletions
    /// included, or the table's if there never was anything.
    /// Never goes backwards for the same prefix.
    pub fn prefix_index(&self, prefix: &[u8]) -> u64 {
        if prefix.is_empty() {
            return self.indexes.index;
        }
        let entries = self.range(prefix).map(|(_, entry)| entry.modify_index);
        let tombstones = self.tombstones.range(prefix).map(|(_, revision)| revision);
        let largest = entries.chain(tombstones).max();
        largest.map_or(self.indexes.index, |largest| largest.max(self.indexes.floor))
    }

    /// Last change of any key.
    pub fn index(&self) -> u64 {
        self.indexes.index
    }

    /// Until when (leader's time, ms) the key cannot be locked, if it cannot.
    pub fn lock_delayed_until(&self, key: &[u8]) -> Option<u64> {
        self.lock_delays.get(key).copied()
    }

    /// The keys whose lock a session holds, in order.
    pub fn held_by(&self, session: ConsulSessionId) -> impl Iterator<Item = &Bytes> {
        self.held.get(&session).into_iter().flatten()
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn indexes(&self) -> KvIndexes {
        self.indexes
    }

    pub(super) fn tombstones(&self) -> &Tombstones {
        &self.tombstones
    }

    pub(super) fn lock_delays(&self) -> impl Iterator<Item = (&Bytes, &u64)> {
        self.lock_delays.iter()
    }

    /// The lock delays that are over at `time_ms`, earliest first.
    pub(super) fn lock_delays_over(&self, time_ms: u64) -> impl Iterator<Item = &Bytes> {
        let over = self.lock_delays_by_end.iter().take_while(move |(end, _)| *end <= time_ms);
        over.map(|(_, key)| key)
    }

    pub(super) fn put(&mut self, ledger: &mut Ledger, key: &Bytes, entry: Option<KvEntry>) {
        let old = self.entries.get(key);
        ledger.swap(tag::KEY, key, old, entry.as_ref());
        let new_holder = entry.as_ref().and_then(|entry| entry.session);
        let old = match entry {
            Some(entry) => self.entries.insert(key.clone(), entry),
            None => self.entries.remove(key),
        };
        let old_holder = old.as_ref().and_then(|entry| entry.session);
        if old_holder != new_holder {
            self.move_lock(key, old_holder, new_holder);
        }
        ledger.remember(|| Undo::Key(key.clone(), old));
    }

    fn move_lock(
        &mut self,
        key: &Bytes,
        from: Option<ConsulSessionId>,
        to: Option<ConsulSessionId>,
    ) {
        if let Some(from) = from
            && let Some(keys) = self.held.get_mut(&from)
        {
            keys.remove(key);
            if keys.is_empty() {
                self.held.remove(&from);
            }
        }
        if let Some(to) = to {
            self.held.entry(to).or_default().insert(key.clone());
        }
    }

    pub(super) fn put_tombstone(
        &mut self,
        ledger: &mut Ledger,
        key: &Bytes,
        revision: Option<u64>,
    ) {
        let old = self.tombstones.put(key, revision);
        ledger.swap(tag::TOMBSTONE, key, old.as_ref(), revision.as_ref());
        ledger.remember(|| Undo::Tombstone(key.clone(), old));
    }

    pub(super) fn put_lock_delay(&mut self, ledger: &mut Ledger, key: &Bytes, end: Option<u64>) {
        let old = match end {
            Some(end) => self.lock_delays.insert(key.clone(), end),
            None => self.lock_delays.remove(key),
        };
        if let Some(old) = old {
            self.lock_delays_by_end.remove(&(old, key.clone()));
        }
        if let Some(end) = end {
            self.lock_delays_by_end.insert((end, key.clone()));
        }
        ledger.swap(tag::LOCK_DELAY, key, old.as_ref(), end.as_ref());
        ledger.remember(|| Undo::LockDelay(key.clone(), old));
    }

    pub(super) fn put_indexes(&mut self, ledger: &mut Ledger, indexes: KvIndexes) {
        let old = core::mem::replace(&mut self.indexes, indexes);
        ledger.swap_indexes(tag::KV_INDEXES, old, indexes);
        ledger.remember(|| Undo::KvIndexes(old));
    }

    pub(super) fn check_invariants(&self) -> Result<(), Violation> {
        let mut held: BTreeMap<_, BTreeSet<Bytes>> = BTreeMap::new();
        for (key, entry) in &self.entries {
            if let Some(session) = entry.session {
                held.entry(session).or_default().insert(key.clone());
            }
        }
        let ends: BTreeSet<_> =
            self.lock_delays.iter().map(|(key, end)| (*end, key.clone())).collect();
        let no_tombstone = |key: &Bytes| self.tombstones.get(key).is_none();
        let is_noted = |entry: &KvEntry| {
            entry.create_index <= entry.modify_index && entry.modify_index <= self.indexes.index
        };
        require("A6", held == self.held, || "a session's keys are not those it holds".into())?;
        require_all(
            "A2",
            &[
                ("the lock delays by their end", ends == self.lock_delays_by_end),
                ("the tombstones", self.tombstones.is_consistent()),
                ("the tombstones beside keys", self.entries.keys().all(no_tombstone)),
            ],
        )?;
        require("A3", self.entries.values().all(is_noted), || {
            format!("a key is later than the table, which is of {}", self.indexes.index)
        })
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn table() -> Kv {
        let (mut kv, mut ledger) = (Kv::default(), Ledger::default());
        let key = Bytes::from_static(b"locked");
        let entry = KvEntry {
            value: Bytes::new(),
            flags: 0,
            lock_index: 1,
            session: Some(ConsulSessionId(7)),
            create_index: 1,
            modify_index: 2,
        };
        kv.put(&mut ledger, &key, Some(entry));
        kv.put_lock_delay(&mut ledger, &Bytes::from_static(b"delayed"), Some(9));
        kv.put_tombstone(&mut ledger, &Bytes::from_static(b"gone"), Some(2));
        kv.put_indexes(&mut ledger, KvIndexes { index: 2, floor: 0 });
        kv
    }

    #[test]
    fn whatever_is_kept_twice_is_compared() {
        assert_eq!(table().check_invariants(), Ok(()));
        type Damage = fn(&mut Kv);
        let damages: [(&str, Damage); 6] = [
            ("A6", |kv| kv.held.clear()),
            ("A6", |kv| {
                kv.held.entry(ConsulSessionId(8)).or_default().insert(Bytes::new());
            }),
            ("A2", |kv| kv.lock_delays_by_end.clear()),
            ("A2", |kv| {
                let key = Bytes::from_static(b"locked");
                kv.put_tombstone(&mut Ledger::default(), &key, Some(1));
            }),
            ("A2", |kv| kv.lock_delays.clear()),
            ("A3", |kv| kv.indexes.index = 1),
        ];
        let found: Vec<_> = damages
            .into_iter()
            .map(|(_, damage)| {
                let mut kv = table();
                damage(&mut kv);
                kv.check_invariants().map_err(|broken| broken.id())
            })
            .collect();
        let expected: Vec<_> = damages.map(|(id, _)| Err(id)).into();
        assert_eq!(found, expected);
    }
}
