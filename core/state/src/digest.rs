//! The incremental digest of everything in the state machine.
//!
//! Every entry (a znode, a session, a key, a catalog record …) has a content
//! hash over its kind, its unique key and all its stored fields. The digest is
//! the XOR of all of them (Zobrist's rule), so one change costs two hashes,
//! the old entry's out and the new one's in, whatever the size of the state.
//! Entries are unique by kind and key, so no two equal hashes can cancel.
//!
//! The hash is XXH3-128 under a key that the cluster draws at random when it
//! is founded, so that nobody can prepare colliding contents beforehand.

use core::fmt;

use xxhash_rust::xxh3::xxh3_128_with_seed;

/// The kinds of entries. Stored nowhere, but members of all releases have to
/// agree on them: never reuse a number. 32 and up are Consul's.
pub(crate) mod kind {
    /// A session.
    pub(crate) const SESSION: u8 = 1;
    /// A znode without its data.
    pub(crate) const ZNODE: u8 = 2;
    /// A znode's data.
    pub(crate) const ZNODE_DATA: u8 = 3;
    /// When an archive last replaced the state.
    pub(crate) const RESTORED: u8 = 16;
    /// A staged state as a whole.
    pub(crate) const STAGED: u8 = 17;
}

/// The XOR of the content hashes of a set of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Digest(pub u128);

impl Digest {
    /// Puts an entry in, or takes it out: the operation is its own inverse.
    pub fn toggle(&mut self, entry: Self) {
        self.0 ^= entry.0;
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

/// Hashes entries under the cluster's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hasher {
    key: u64,
}

impl Hasher {
    /// A hasher under `key`.
    pub fn new(key: u64) -> Self {
        Self { key }
    }

    /// The key.
    pub(crate) fn key(self) -> u64 {
        self.key
    }

    /// The content hash of one entry in its stored form.
    ///
    /// `kind` separates tables, so that equal bytes in two tables differ.
    pub fn entry(self, kind: u8, stored: &[u8]) -> Digest {
        // The kind is mixed into the seed rather than into the bytes, to hash without copying.
        let seed = self.key ^ u64::from(kind).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Digest(xxh3_128_with_seed(stored, seed))
    }
}
