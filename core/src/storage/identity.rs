//! Whose directory this is: one member's, and one process at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use bytes::Bytes;
use coord_state::codec::{Decode, Encode, Input};

use super::disk::Disk;
use super::permissions::FILE_MODE;
use crate::error::Error;

const MAGIC: &[u8; 8] = b"coordmbr";
const VERSION: u32 = 1;
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
        let unusable = |error: std::io::Error| {
            Error::unavailable(format!("{} cannot be opened", path.display())).caused_by(error)
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

/// Checks that the directory is this member's, or makes it so, and counts this
/// start. The count is greater than at every start before, and durable.
///
/// # Errors
/// `Invalid` if it is another member's, `Corrupt` if its note is damaged.
pub(super) fn begin_incarnation(
    disk: &dyn Disk,
    directory: &Path,
    member: u64,
    wall_ms: u64,
) -> Result<u64, Error> {
    let path = directory.join(FILE);
    let unusable = |error: std::io::Error| {
        Error::unavailable(format!("{} cannot be used", path.display())).caused_by(error)
    };
    let names = disk.list(directory).map_err(unusable)?;
    let previous = if names.iter().any(|name| name == FILE) {
        let file = disk.open(&path).map_err(unusable)?;
        let size = file.size().map_err(unusable)?;
        let mut content = vec![0; usize::try_from(size).unwrap_or(usize::MAX).min(4096)];
        file.read_at(0, &mut content).map_err(unusable)?;
        let (owner, incarnation) = decode(content.into()).ok_or_else(|| {
            Error::corrupt(format!(
                "{} is damaged; restore it from a copy of the data directory",
                path.display()
            ))
        })?;
        if owner != member {
            return Err(Error::invalid(format!(
                "the data directory {} belongs to member {owner}, not to member {member}",
                directory.display()
            )));
        }
        incarnation
    } else {
        0
    };
    let incarnation = wall_ms.max(previous + 1);
    let temporary = directory.join("member.new");
    if names.iter().any(|name| name == "member.new") {
        disk.remove(&temporary).map_err(unusable)?;
    }
    let file = disk.create(&temporary).map_err(unusable)?;
    file.write_at(0, &encode(member, incarnation)).map_err(unusable)?;
    file.sync().map_err(unusable)?;
    disk.rename(&temporary, &path).map_err(unusable)?;
    disk.sync_directory(directory).map_err(unusable)?;
    Ok(incarnation)
}

fn encode(member: u64, incarnation: u64) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    VERSION.encode(&mut out);
    member.encode(&mut out);
    incarnation.encode(&mut out);
    crc32fast::hash(&out).encode(&mut out);
    out
}

fn decode(content: Bytes) -> Option<(u64, u64)> {
    let checked = content.len().checked_sub(4)?;
    let expected = crc32fast::hash(content.get(..checked)?);
    let mut input = Input::new(content);
    let magic = input.take(MAGIC.len(), "magic").ok()?;
    let version = u32::decode(&mut input).ok()?;
    let member = u64::decode(&mut input).ok()?;
    let incarnation = u64::decode(&mut input).ok()?;
    let crc = u32::decode(&mut input).ok()?;
    let sound = &magic[..] == MAGIC && version == VERSION && crc == expected && input.is_empty();
    sound.then_some((member, incarnation))
}
