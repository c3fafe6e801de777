//! The incremental digest of everything in the state machine.
//!
//! Every entry (a znode, a session, a key, a catalog record …) has a content
//! hash over its kind, its unique key and all its stored fields. The digest is
//! the XOR of all of them (Zobrist's rule), so one change costs two hashes,
//! the old entry's out and the new one's in, whatever the size of the state.
//! Entries are unique by kind and key, so no two equal hashes can cancel.
//!
//! The hash is XXH3-128 with a random key that is generated when the cluster is
//! bootstrapped, so that nobody can prepare colliding content in advance.

use core::fmt;
use core::hash::Hasher as _;

use siphasher::sip128::{Hasher128 as _, SipHasher24};
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// Raised whenever equal states may come to another digest than before: other
/// stored forms, kinds or hashes. Digests of different versions are not compared.
pub const DIGEST_VERSION: u16 = 1;

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
    /// What a znode contains besides its data; in content hashes only.
    pub(crate) const ZNODE_FRAME: u8 = 4;
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

/// What clients learn of the content of znodes: equal contents have equal
/// hashes, in one cluster, and nothing else can be told from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentHash(pub [u8; 16]);

impl fmt::Display for ContentHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
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

    /// A sum of entries as clients may see it.
    ///
    /// Who sees the sums themselves can solve for the key, since XXH3 can be
    /// undone, and for sets of entries that sum up alike, since XOR is linear.
    /// SipHash under the key shows only whether two sums are equal.
    pub(crate) fn seal(self, sum: Digest) -> ContentHash {
        let mut sip = SipHasher24::new_with_keys(self.key, !self.key);
        sip.write(&sum.0.to_le_bytes());
        ContentHash(sip.finish128().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_depends_on_the_key_and_on_every_bit_of_the_sum() {
        let sealed = |key, sum| Hasher::new(key).seal(Digest(sum));
        assert_eq!(sealed(7, 9), sealed(7, 9));
        assert_ne!(sealed(7, 9), sealed(8, 9));
        for bit in 0..128 {
            assert_ne!(sealed(7, 0), sealed(7, 1 << bit), "bit {bit}");
        }
    }

    /// Clients keep hashes over changes of release, and members of different
    /// releases have to decide alike.
    #[test]
    fn seals_stay_as_they_are() {
        let sealed = Hasher::new(0x0706_0504_0302_0100).seal(Digest(1));
        assert_eq!(std::format!("{sealed}"), "77eb60db455cd59080c631025408d382");
    }
}
