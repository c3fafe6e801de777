//! The identity of a data directory: it belongs to one member, is locked by one
//! process at a time, and has an id by which other members recognise it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use coord_state::codec::{Decode, Encode, Input};

use super::disk::Disk;
use super::permissions::FILE_MODE;
use crate::error::Error;
use crate::sync::Mutex;

const MAGIC: &[u8; 8] = b"coordmbr";
/// 2: with an identity.
const VERSION: u32 = 2;
const FILE: &str = "member";

/// The lock on a data directory, held until it is dropped.
#[derive(Debug)]
pub(super) struct DirectoryLock {
    /// Closing the file releases the lock.
    _file: File,
}

impl DirectoryLock {
    /// Takes the lock.
    ///
    /// # Errors
    /// `Invalid` if another member has it.
    pub(super) fn take(directory: &Path) -> Result<Self, Error> {
        let path = directory.join("lock");
        let unusable = |error: io::Error| {
            Error::unavailable(format!("cannot open {}", path.display())).caused_by(error)
        };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(FILE_MODE)
            .open(&path)
            .map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(Error::invalid(format!(
                "the data directory {} is in use by another running member; \
                 give each member its own",
                directory.display()
            ))),
            Err(TryLockError::Error(error)) => Err(unusable(error)),
        }
    }
}

/// What a data directory says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirectoryIdentity {
    /// Made by chance with the directory, and anew when its member begins to
    /// recover: another one means that what was promised under it may be forgotten.
    pub identity: u128,
    /// Greater at every start of this member.
    pub incarnation: u64,
    /// The incarnation before, as it was read at this start; 0 at the first.
    pub previous: u64,
    /// Whether the member has caught up under this identity, so that nothing
    /// promised under an earlier one is missing.
    pub recovered: bool,
}

/// The identity of an open data directory. Cheap to clone.
#[derive(Debug, Clone)]
pub struct OwnIdentity {
    inner: Arc<Own>,
}

#[derive(Debug)]
struct Own {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    member: u64,
    current: Mutex<DirectoryIdentity>,
}

impl OwnIdentity {
    /// Checks that the directory is this member's, or makes it so, and counts this
    /// start. The count is greater than at every start before, and durable.
    ///
    /// # Errors
    /// `Invalid` if it is another member's, `Corrupt` if its note is damaged.
    pub(super) fn begin(
        disk: Arc<dyn Disk>,
        directory: &Path,
        member: u64,
        wall_ms: u64,
    ) -> Result<Self, Error> {
        let path = directory.join(FILE);
        let unusable = |error: io::Error| {
            Error::unavailable(format!("cannot read or write {}", path.display())).caused_by(error)
        };
        let stored = read(&*disk, directory).map_err(unusable)?;
        let before = match stored {
            None => None,
            Some(content) => Some(decode(content.into()).ok_or_else(|| {
                Error::corrupt(format!(
                    "{} is damaged; restore it from a copy of the data directory",
                    path.display()
                ))
            })?),
        };
        if let Some(before) = before
            && before.member != member
        {
            return Err(Error::invalid(format!(
                "the data directory {} belongs to member {}, not to member {member}",
                directory.display(),
                before.member
            )));
        }
        let previous = before.map_or(0, |before| before.incarnation);
        let known = before.and_then(|before| before.identity);
        let (identity, recovered) = match known {
            Some(known) => known,
            None => (fresh().map_err(unusable)?, false),
        };
        let incarnation = wall_ms.max(previous + 1);
        let current = DirectoryIdentity { identity, incarnation, previous, recovered };
        let directory = directory.to_owned();
        let own = Own { disk, directory, member, current: Mutex::new(current) };
        own.write(&current).map_err(unusable)?;
        Ok(Self { inner: Arc::new(own) })
    }

    /// What it is now.
    pub fn current(&self) -> DirectoryIdentity {
        *self.inner.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes another identity, durably: what was promised under the old one may be
    /// forgotten.
    ///
    /// # Errors
    /// As the system reports.
    pub fn renew(&self) -> io::Result<()> {
        let identity = fresh()?;
        self.change(|current| (current.identity, current.recovered) = (identity, false))
    }

    /// Notes, durably, that nothing is missing any more.
    ///
    /// # Errors
    /// As the system reports.
    pub fn note_recovered(&self) -> io::Result<()> {
        self.change(|current| current.recovered = true)
    }

    fn change(&self, change: impl FnOnce(&mut DirectoryIdentity)) -> io::Result<()> {
        let mut current = self.inner.current.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = *current;
        change(&mut changed);
        self.inner.write(&changed)?;
        *current = changed;
        Ok(())
    }
}

impl Own {
    fn write(&self, identity: &DirectoryIdentity) -> io::Result<()> {
        replace(&*self.disk, &self.directory, FILE, &encode(self.member, identity))
    }
}

/// The content of the file, if there is one.
fn read(disk: &dyn Disk, directory: &Path) -> io::Result<Option<Vec<u8>>> {
    if !disk.list(directory)?.iter().any(|name| name == FILE) {
        return Ok(None);
    }
    let file = disk.open(&directory.join(FILE))?;
    let mut content = vec![0; usize::try_from(file.size()?).unwrap_or(usize::MAX).min(4096)];
    file.read_at(0, &mut content)?;
    Ok(Some(content))
}

/// Puts a file in the place of another, durably: after a crash it is the one or
/// the other.
pub(super) fn replace(
    disk: &dyn Disk,
    directory: &Path,
    name: &str,
    content: &[u8],
) -> io::Result<()> {
    let temporary_name = format!("{name}.new");
    let temporary = directory.join(&temporary_name);
    if disk.list(directory)?.contains(&temporary_name) {
        disk.remove(&temporary)?;
    }
    let file = disk.create(&temporary)?;
    file.write_at(0, content)?;
    file.sync()?;
    disk.rename(&temporary, &directory.join(name))?;
    disk.sync_directory(directory)
}

fn fresh() -> io::Result<u128> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(u128::from_le_bytes(bytes))
}

fn encode(member: u64, own: &DirectoryIdentity) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    VERSION.encode(&mut out);
    member.encode(&mut out);
    own.incarnation.encode(&mut out);
    own.identity.encode(&mut out);
    own.recovered.encode(&mut out);
    crc32fast::hash(&out).encode(&mut out);
    out
}

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stored {
    member: u64,
    incarnation: u64,
    /// The identity, and whether it is recovered; not in version 1.
    identity: Option<(u128, bool)>,
}

fn decode(content: Bytes) -> Option<Stored> {
    let checked = content.len().checked_sub(4)?;
    let expected = crc32fast::hash(content.get(..checked)?);
    let mut input = Input::new(content);
    let magic = input.take(MAGIC.len(), "magic").ok()?;
    let version = u32::decode(&mut input).ok()?;
    let member = u64::decode(&mut input).ok()?;
    let incarnation = u64::decode(&mut input).ok()?;
    let identity = match version {
        1 => None,
        VERSION => Some((u128::decode(&mut input).ok()?, bool::decode(&mut input).ok()?)),
        _ => return None,
    };
    let crc = u32::decode(&mut input).ok()?;
    let sound = &magic[..] == MAGIC && crc == expected && input.is_empty();
    sound.then_some(Stored { member, incarnation, identity })
}

#[cfg(test)]
mod tests {
    use super::super::disk::SystemDisk;
    use super::*;

    fn begin(directory: &Path) -> OwnIdentity {
        OwnIdentity::begin(Arc::new(SystemDisk::default()), directory, 1, 0).unwrap()
    }

    #[test]
    fn a_directory_keeps_its_identity_until_its_member_begins_to_recover() {
        let directory = tempfile::tempdir().unwrap();
        let first = begin(directory.path()).current();
        let own = begin(directory.path());
        let second = own.current();
        assert_eq!((second.identity, second.previous), (first.identity, first.incarnation));
        own.renew().unwrap();
        assert_ne!(own.current().identity, first.identity);
        own.note_recovered().unwrap();
        let third = begin(directory.path()).current();
        assert_eq!((third.identity, third.recovered), (own.current().identity, true));
        let other = tempfile::tempdir().unwrap();
        assert_ne!(begin(other.path()).current().identity, first.identity);
    }

    /// As the releases before identities wrote it.
    #[test]
    fn a_note_of_version_1_gets_an_identity() {
        let directory = tempfile::tempdir().unwrap();
        let mut stored = MAGIC.to_vec();
        1u32.encode(&mut stored);
        (1u64, 77u64).encode(&mut stored);
        crc32fast::hash(&stored).encode(&mut stored);
        std::fs::write(directory.path().join(FILE), stored).unwrap();
        let own = begin(directory.path()).current();
        assert_eq!((own.previous, own.recovered), (77, false));
        assert_eq!(begin(directory.path()).current().identity, own.identity);
    }
}
