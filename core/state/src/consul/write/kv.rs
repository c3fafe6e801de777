//! Keys: set, compare-and-set, lock, unlock, delete.

use alloc::format;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::consul::kv::KvIndexes;
use crate::consul::write::Writer;
use crate::consul::{Consul, ConsulRejection, ConsulSessionId, KvEntry, KvOp};
use crate::event::Topic;

/// A lock delay is never longer, whatever the session asked for.
const LOCK_DELAY_MAX_MS: u64 = 60_000;

/// Why a lock was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lock {
    Taken,
    Held,
    Delayed,
}

/// What a set does to the lock.
enum LockChange {
    /// The counter starts again, the holder stays.
    ResetIndex,
    /// All stays.
    Keep,
    /// The counter and the holder become these.
    To(u64, Option<ConsulSessionId>),
}

impl Writer<'_> {
    /// Does one operation; `false` means a condition did not hold.
    pub(super) fn kv(&mut self, op: &KvOp) -> Result<bool, ConsulRejection> {
        match op {
            KvOp::Set { key, value, flags } => {
                self.set(key, value, *flags, LockChange::ResetIndex);
                Ok(true)
            }
            KvOp::Cas { key, value, flags, index } => {
                let matches = self.modify_index(key).unwrap_or(0) == *index;
                if matches {
                    self.set(key, value, *flags, LockChange::Keep);
                }
                Ok(matches)
            }
            KvOp::Acquire { key, value, flags, session } => {
                Ok(self.acquire(key, value, *flags, *session)? == Lock::Taken)
            }
            KvOp::Release { key, value, flags, session } => {
                Ok(self.release(key, value, *flags, *session))
            }
            KvOp::Delete { key } => {
                self.delete(key);
                Ok(true)
            }
            KvOp::DeleteCas { key, index } => {
                let matches = self.modify_index(key).is_none_or(|current| current == *index);
                if matches {
                    self.delete(key);
                }
                Ok(matches)
            }
            KvOp::DeleteTree { prefix } => {
                self.delete_tree(prefix);
                Ok(true)
            }
        }
    }

    fn modify_index(&self, key: &[u8]) -> Option<u64> {
        self.consul.kv.get(key).map(|entry| entry.modify_index)
    }

    /// Takes the lock, or keeps it, and sets. The delay is looked at before
    /// the session: nobody learns anything about a key while it lasts.
    pub(super) fn acquire(
        &mut self,
        key: &Bytes,
        value: &Bytes,
        flags: u64,
        session: ConsulSessionId,
    ) -> Result<Lock, ConsulRejection> {
        let delay = self.consul.kv.lock_delayed_until(key);
        if delay.is_some_and(|until| until > self.stamp.time_ms) {
            return Ok(Lock::Delayed);
        }
        if self.consul.sessions.session(session).is_none() {
            return Err(ConsulRejection::InvalidSession(format!("{session}").into()));
        }
        let current = self.consul.kv.get(key).map(|entry| (entry.lock_index, entry.session));
        let lock_index = match current {
            Some((lock_index, Some(holder))) if holder == session => lock_index,
            Some((_, Some(_))) => return Ok(Lock::Held),
            Some((lock_index, None)) => lock_index.saturating_add(1),
            None => 1,
        };
        self.set(key, value, flags, LockChange::To(lock_index, Some(session)));
        Ok(Lock::Taken)
    }

    fn release(
        &mut self,
        key: &Bytes,
        value: &Bytes,
        flags: u64,
        session: ConsulSessionId,
    ) -> bool {
        let Some(entry) = self.consul.kv.get(key) else { return false };
        if entry.session != Some(session) {
            return false;
        }
        let lock_index = entry.lock_index;
        self.set(key, value, flags, LockChange::To(lock_index, None));
        true
    }

    /// Sets a key. A set that changes nothing moves no index.
    fn set(&mut self, key: &Bytes, value: &Bytes, flags: u64, lock: LockChange) {
        let revision = self.revision();
        let old = self.consul.kv.get(key);
        let (old_lock_index, old_session) =
            old.map_or((0, None), |entry| (entry.lock_index, entry.session));
        let (lock_index, session) = match lock {
            LockChange::ResetIndex => (0, old_session),
            LockChange::Keep => (old_lock_index, old_session),
            LockChange::To(lock_index, session) => (lock_index, session),
        };
        let unchanged = old.is_some_and(|old| {
            old.value == *value
                && old.flags == flags
                && old.lock_index == lock_index
                && old.session == session
        });
        if unchanged {
            return;
        }
        let create_index = old.map_or(revision, |old| old.create_index);
        // Copies, so that a small key does not keep the log entry it came in alive.
        let key = Bytes::copy_from_slice(key);
        let value = Bytes::copy_from_slice(value);
        let modify_index = revision;
        let entry = KvEntry { value, flags, lock_index, session, create_index, modify_index };
        let Consul { kv, ledger, .. } = &mut *self.consul;
        if kv.tombstones().get(&key).is_some() {
            kv.put_tombstone(ledger, &key, None);
        }
        kv.put(ledger, &key, Some(entry));
        self.key_changed(key);
    }

    fn delete(&mut self, key: &[u8]) {
        if self.consul.kv.get(key).is_none() {
            return;
        }
        let key = Bytes::copy_from_slice(key);
        let revision = self.revision();
        let Consul { kv, ledger, .. } = &mut *self.consul;
        kv.put(ledger, &key, None);
        kv.put_tombstone(ledger, &key, Some(revision));
        self.key_changed(key);
    }

    /// One tombstone stands for the whole tree and for all older ones in it.
    fn delete_tree(&mut self, prefix: &[u8]) {
        let revision = self.revision();
        let keys: Vec<_> = self.consul.kv.range(prefix).map(|(key, _)| key.clone()).collect();
        if keys.is_empty() {
            return;
        }
        let Consul { kv, ledger, .. } = &mut *self.consul;
        let covered: Vec<_> = kv.tombstones().range(prefix).map(|(key, _)| key.clone()).collect();
        for key in &covered {
            kv.put_tombstone(ledger, key, None);
        }
        for key in &keys {
            kv.put(ledger, key, None);
        }
        // Of an empty table every prefix reports the table's index: no tombstone is needed.
        if !prefix.is_empty() {
            kv.put_tombstone(ledger, &Bytes::copy_from_slice(prefix), Some(revision));
        }
        for key in keys {
            self.key_changed(key);
        }
    }

    fn key_changed(&mut self, key: Bytes) {
        let index = self.revision();
        let Consul { kv, ledger, .. } = &mut *self.consul;
        let indexes = KvIndexes { index, ..kv.indexes() };
        if indexes != kv.indexes() {
            kv.put_indexes(ledger, indexes);
        }
        self.changed(Topic::Key(key));
    }

    /// Takes a key from a session that ended: it is unlocked or deleted, and
    /// cannot be locked again before the session's lock delay is over.
    pub(super) fn unhold(&mut self, key: &Bytes, delete: bool, lock_delay_ns: i64) {
        if delete {
            self.delete(key);
        } else if let Some(entry) = self.consul.kv.get(key) {
            let (value, flags, lock_index) = (entry.value.clone(), entry.flags, entry.lock_index);
            self.set(key, &value, flags, LockChange::To(lock_index, None));
        }
        let delay_ns = u64::try_from(lock_delay_ns).unwrap_or(0);
        let delay_ms = delay_ns.div_ceil(1_000_000).min(LOCK_DELAY_MAX_MS);
        if delay_ms > 0 {
            let end = self.stamp.time_ms.saturating_add(delay_ms);
            let Consul { kv, ledger, .. } = &mut *self.consul;
            kv.put_lock_delay(ledger, key, Some(end));
        }
    }
}
