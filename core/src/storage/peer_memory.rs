//! Stores the identities of the other members' data directories, to detect a
//! member that lost acknowledged data.
//!
//! ```text
//! magic "coordprs" | version u32 | members | crc u32
//! member = number u64 | identity u128 | incarnation u64 | run u64
//! ```

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use coord_state::codec::{Decode, Encode, Input, decode_len, encode_len};

use super::disk::Disk;
use super::identity::replace;
use crate::error::Error;
use crate::sync::{Mutex, MutexGuard};

const FILE: &str = "peers";
const MAGIC: &[u8; 8] = b"coordprs";
const VERSION: u32 = 1;
/// Members have numbers up to 254.
const PEERS_MAX: usize = 256;

/// A data directory, as its member described it last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RememberedPeer {
    /// Its identity.
    pub identity: u128,
    /// The count of its starts.
    pub incarnation: u64,
    /// Made by chance at that start.
    pub run: u64,
}

/// The memory of one member. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PeerMemory {
    inner: Arc<PeerRecords>,
}

#[derive(Debug)]
struct PeerRecords {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    kept: Mutex<Kept>,
    /// Held while the file is written, so that an older one never replaces a newer.
    writing: Mutex<()>,
}

#[derive(Debug, Default)]
struct Kept {
    known: BTreeMap<u64, RememberedPeer>,
    unsaved: bool,
}

impl PeerMemory {
    /// Reads what was remembered. A damaged file counts as none: then only what is
    /// seen from now on can be told from what comes later.
    ///
    /// # Errors
    /// `Unavailable` if the disk cannot be read.
    pub(super) fn open(disk: Arc<dyn Disk>, directory: &Path) -> Result<Self, Error> {
        let path = directory.join(FILE);
        let unreadable = |error: io::Error| {
            Error::unavailable(format!("cannot read {}", path.display())).caused_by(error)
        };
        let mut known = BTreeMap::new();
        if disk.list(directory).map_err(unreadable)?.iter().any(|name| name == FILE) {
            let file = disk.open(&path).map_err(unreadable)?;
            let size = file.size().map_err(unreadable)?;
            let mut content = vec![0; usize::try_from(size).unwrap_or(usize::MAX).min(64 << 10)];
            file.read_at(0, &mut content).map_err(unreadable)?;
            match decode(content.into()) {
                Some(read) => known = read,
                None => tracing::warn!(
                    file = %path.display(),
                    "the file is damaged: the identities of the other members will be learned \
                     again"
                ),
            }
        }
        let kept = Mutex::new(Kept { known, unsaved: false });
        let directory = directory.to_owned();
        Ok(Self { inner: Arc::new(PeerRecords { disk, directory, kept, writing: Mutex::new(()) }) })
    }

    /// What is remembered of a member.
    pub fn of(&self, member: u64) -> Option<RememberedPeer> {
        self.kept().known.get(&member).copied()
    }

    /// Remembers a member, until the next [`Self::save`] in memory only. True if
    /// that is news.
    pub fn remember(&self, member: u64, peer: RememberedPeer) -> bool {
        let mut kept = self.kept();
        if kept.known.len() >= PEERS_MAX && !kept.known.contains_key(&member) {
            return false;
        }
        let news = kept.known.insert(member, peer) != Some(peer);
        kept.unsaved |= news;
        news
    }

    /// Makes durable what is remembered.
    ///
    /// # Errors
    /// As the system reports.
    pub fn save(&self) -> io::Result<()> {
        let _one_at_a_time = self.inner.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let content = {
            let mut kept = self.kept();
            if !std::mem::take(&mut kept.unsaved) {
                return Ok(());
            }
            encode(&kept.known)
        };
        replace(&*self.inner.disk, &self.inner.directory, FILE, &content)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.inner.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn encode(known: &BTreeMap<u64, RememberedPeer>) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    VERSION.encode(&mut out);
    encode_len(known.len(), &mut out);
    for (member, peer) in known {
        member.encode(&mut out);
        peer.identity.encode(&mut out);
        peer.incarnation.encode(&mut out);
        peer.run.encode(&mut out);
    }
    crc32fast::hash(&out).encode(&mut out);
    out
}

fn decode(content: Bytes) -> Option<BTreeMap<u64, RememberedPeer>> {
    let checked = content.len().checked_sub(4)?;
    let expected = crc32fast::hash(content.get(..checked)?);
    let mut input = Input::new(content);
    let magic = input.take(MAGIC.len(), "magic").ok()?;
    let version = u32::decode(&mut input).ok()?;
    if &magic[..] != MAGIC || version != VERSION {
        return None;
    }
    let mut known = BTreeMap::new();
    for _ in 0..decode_len(&mut input).ok()?.min(PEERS_MAX) {
        let member = u64::decode(&mut input).ok()?;
        let identity = u128::decode(&mut input).ok()?;
        let incarnation = u64::decode(&mut input).ok()?;
        let run = u64::decode(&mut input).ok()?;
        known.insert(member, RememberedPeer { identity, incarnation, run });
    }
    let crc = u32::decode(&mut input).ok()?;
    (crc == expected && input.is_empty()).then_some(known)
}

#[cfg(test)]
mod tests {
    use super::super::disk::SystemDisk;
    use super::*;

    fn open(directory: &Path) -> PeerMemory {
        PeerMemory::open(Arc::new(SystemDisk::default()), directory).unwrap()
    }

    #[test]
    fn what_was_saved_is_remembered_and_a_damaged_file_counts_as_none() {
        let directory = tempfile::tempdir().unwrap();
        let memory = open(directory.path());
        let peer = RememberedPeer { identity: 7, incarnation: 8, run: 9 };
        assert!(memory.remember(2, peer));
        assert!(!memory.remember(2, peer));
        assert_eq!(open(directory.path()).of(2), None);
        memory.save().unwrap();
        assert_eq!(open(directory.path()).of(2), Some(peer));
        assert_eq!(open(directory.path()).of(3), None);
        let path = directory.path().join(FILE);
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            std::fs::write(&path, damaged).unwrap();
            assert_eq!(open(directory.path()).of(2), None, "byte {at}");
        }
    }
}
