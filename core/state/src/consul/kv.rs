//! Keys and values.

use bytes::Bytes;

use crate::consul::ConsulSessionId;

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

/// The key-value store.
#[derive(Debug, Default)]
pub struct Kv {}

impl Kv {
    /// The entry at exactly this key.
    pub fn get(&self, _key: &[u8]) -> Option<&KvEntry> {
        None
    }

    /// All entries whose key begins with `prefix`, in bytewise order.
    pub fn range<'a>(
        &'a self,
        _prefix: &'a [u8],
    ) -> impl Iterator<Item = (&'a Bytes, &'a KvEntry)> {
        [].into_iter()
    }

    /// The index of a read of one key: the entry's, or of its deletion, or the table's.
    pub fn key_index(&self, _key: &[u8]) -> u64 {
        0
    }

    /// The index of a read of a prefix: the largest under it, deletions included.
    /// Never goes backwards for the same prefix.
    pub fn prefix_index(&self, _prefix: &[u8]) -> u64 {
        0
    }

    /// Until when (leader's time, ms) the key cannot be locked, if it cannot.
    pub fn lock_delayed_until(&self, _key: &[u8]) -> Option<u64> {
        None
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        0
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        true
    }
}
