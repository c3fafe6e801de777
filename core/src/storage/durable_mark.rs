//! Records how far the log is durable, in a separate file.
//!
//! The log alone cannot distinguish an unacknowledged write that a crash cut
//! short from an acknowledged one that the disk lost later: both leave an
//! unreadable end. So after every sync of the log this file records how far it
//! reached. It is overwritten in place and not synced itself, which costs
//! microseconds: after a power failure it may be older than the log, never
//! newer. A log that ends before it has lost acknowledged entries.
//!
//! ```text
//! magic "coorddur" | version u32 | segment u64 | size u64 | end u64 | next u64 | crc u32
//! ```
//!
//! It is in the data directory, not among the segments, so that it survives the
//! loss of all of them. An operator removes it to accept the log as it is.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use coord_state::codec::{Decode, Encode, Input};

use super::disk::{Disk, DiskFile};
use super::segment::segment_name;
use crate::error::Error;

const FILE: &str = "durable";
const TEMPORARY: &str = "durable.new";
const MAGIC: &[u8; 8] = b"coorddur";
const VERSION: u32 = 1;
const BYTES: usize = 8 + 4 + 4 * 8 + 4;

/// A place up to which the log was durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DurableMark {
    /// The segment being written.
    pub(super) segment: u64,
    /// The size of that file.
    pub(super) size: u64,
    /// The end of its last whole batch.
    pub(super) end: u64,
    /// The index after the last entry.
    pub(super) next: u64,
}

impl DurableMark {
    fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        VERSION.encode(&mut out);
        for number in [self.segment, self.size, self.end, self.next] {
            number.encode(&mut out);
        }
        crc32fast::hash(&out).encode(&mut out);
        out
    }

    fn decode(content: Bytes) -> Option<Self> {
        let expected = crc32fast::hash(content.get(..BYTES - 4)?);
        let mut input = Input::new(content);
        let magic = input.take(MAGIC.len(), "magic").ok()?;
        let version = u32::decode(&mut input).ok()?;
        let mark = Self {
            segment: u64::decode(&mut input).ok()?,
            size: u64::decode(&mut input).ok()?,
            end: u64::decode(&mut input).ok()?,
            next: u64::decode(&mut input).ok()?,
        };
        let crc = u32::decode(&mut input).ok()?;
        (&magic[..] == MAGIC && version == VERSION && crc == expected).then_some(mark)
    }
}

/// The file.
#[derive(Debug)]
pub(super) struct MarkFile {
    file: Arc<dyn DiskFile>,
    complained: bool,
}

impl MarkFile {
    /// What the file says; nothing if there is none, as in a new directory.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be read.
    pub(super) fn read(disk: &dyn Disk, directory: &Path) -> Result<Option<DurableMark>, Error> {
        let path = directory.join(FILE);
        let unusable = unusable(&path);
        if !disk.list(directory).map_err(&unusable)?.iter().any(|name| name == FILE) {
            return Ok(None);
        }
        let file = disk.open(&path).map_err(&unusable)?;
        let mut content = vec![0; BYTES];
        let read = match file.size().map_err(&unusable)? {
            size if size < BYTES as u64 => None,
            _ => {
                file.read_at(0, &mut content).map_err(&unusable)?;
                DurableMark::decode(content.into())
            }
        };
        if read.is_none() {
            tracing::warn!(
                file = %path.display(),
                "the file is damaged: cannot check this time whether the end of the log was lost"
            );
        }
        Ok(read)
    }

    /// Replaces the file, durably.
    ///
    /// # Errors
    /// `Unavailable` if the disk fails.
    pub(super) fn start(
        disk: &dyn Disk,
        directory: &Path,
        mark: DurableMark,
    ) -> Result<Self, Error> {
        let path = directory.join(FILE);
        let temporary = directory.join(TEMPORARY);
        let started = || -> std::io::Result<Self> {
            if disk.list(directory)?.iter().any(|name| name == TEMPORARY) {
                disk.remove(&temporary)?;
            }
            let file = disk.create(&temporary)?;
            file.write_at(0, &mark.encode())?;
            file.sync()?;
            disk.rename(&temporary, &path)?;
            disk.sync_directory(directory)?;
            Ok(Self { file, complained: false })
        };
        started().map_err(unusable(&path))
    }

    /// Opens the file that is there.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be opened.
    pub(super) fn open(disk: &dyn Disk, directory: &Path) -> Result<Self, Error> {
        let path = directory.join(FILE);
        let file = disk.open(&path).map_err(unusable(&path))?;
        Ok(Self { file, complained: false })
    }

    /// Says that the log is durable up to here.
    pub(super) fn note(&mut self, mark: DurableMark) {
        if let Err(error) = self.file.write_at(0, &mark.encode())
            && !std::mem::replace(&mut self.complained, true)
        {
            tracing::warn!(%error, "cannot record how far the log is durable");
        }
    }
}

fn unusable(path: &Path) -> impl Fn(std::io::Error) -> Error + '_ {
    move |error| {
        Error::unavailable(format!("cannot read or write {}", path.display())).caused_by(error)
    }
}

/// Acknowledged log that is not there any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    pub(super) directory: PathBuf,
    pub(super) file: PathBuf,
    pub(super) what: String,
    /// The index after the last entry that was durable; nothing if that is not known.
    pub(super) durable_next: Option<u64>,
    /// The index after the last entry there is.
    pub(super) found_next: Option<u64>,
}

impl fmt::Display for Loss {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} {}; the log was durable up to entry {}, but is intact only up to {}",
            self.file.display(),
            self.what,
            number(self.durable_next),
            number(self.found_next)
        )
    }
}

fn number(next: Option<u64>) -> String {
    match next {
        None => "(unknown)".to_owned(),
        Some(0) => "(none)".to_owned(),
        Some(next) => (next - 1).to_string(),
    }
}

impl Loss {
    /// Of a log that is empty though a snapshot was taken of what it held.
    pub(super) fn of_everything(directory: &Path, durable_next: Option<u64>) -> Self {
        Self {
            directory: directory.to_owned(),
            file: directory.join("log"),
            what: "is empty, but there is a snapshot".to_owned(),
            durable_next,
            found_next: Some(0),
        }
    }

    /// Of a newest segment that holds nothing at all, not even its header.
    pub(super) fn of_segment(directory: &Path, segment: u64, found_next: u64) -> Self {
        Self {
            directory: directory.to_owned(),
            file: directory.join("log").join(segment_name(segment)),
            what: "is empty, without even a header".to_owned(),
            durable_next: None,
            found_next: Some(found_next),
        }
    }

    /// For a member that has nobody to get it back from.
    pub fn refusal(&self) -> Error {
        Error::corrupt(format!(
            "{self}. The missing entries were acknowledged, and no other member has them. To \
             repair, restore the data directory from an intact copy of the disk. To accept the \
             loss, remove {} and start again",
            self.directory.join(FILE).display()
        ))
    }
}

/// What a log was found to be.
pub(super) struct Found {
    /// The newest segment, where its last whole batch ends, and its file's size.
    pub(super) newest: Option<(u64, u64, u64)>,
    /// The index after its last entry.
    pub(super) next: u64,
}

/// Compares what is there with what was durable.
pub(super) fn compare(directory: &Path, mark: Option<DurableMark>, found: &Found) -> Option<Loss> {
    let mark = mark?;
    let what = match found.newest {
        Some((segment, _, _)) if segment > mark.segment => return None,
        Some((segment, end, size)) if segment == mark.segment => {
            if end < mark.end {
                format!("is intact up to byte {end}, but was durable up to byte {}", mark.end)
            } else if size < mark.size {
                format!("has {size} bytes, but was created with {}", mark.size)
            } else {
                return None;
            }
        }
        _ => "is gone".to_owned(),
    };
    Some(Loss {
        directory: directory.to_owned(),
        file: directory.join("log").join(segment_name(mark.segment)),
        what,
        durable_next: Some(mark.next),
        found_next: Some(found.next),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: DurableMark = DurableMark { segment: 3, size: 4096, end: 1000, next: 50 };

    fn loss(newest: Option<(u64, u64, u64)>) -> Option<String> {
        let found = Found { newest, next: 40 };
        compare(Path::new("d"), Some(MARK), &found).map(|loss| loss.to_string())
    }

    #[test]
    fn a_log_that_ends_before_its_mark_lost_something() {
        for whole in [(3, 1000, 4096), (3, 1200, 4096), (4, 32, 4096)] {
            assert_eq!(loss(Some(whole)), None);
        }
        for (lost, what) in [
            (Some((3, 996, 4096)), "intact up to byte 996"),
            (Some((3, 1000, 4095)), "has 4095 bytes"),
            (Some((2, 4000, 4096)), "is gone"),
            (None, "is gone"),
        ] {
            let said = loss(lost).unwrap();
            assert!(said.contains(what) && said.contains("0000000000000003.wal"), "{said}");
            assert!(said.contains("up to entry 49") && said.contains("up to 39"), "{said}");
        }
    }

    /// Pins the stored form: this byte string may never stop being readable.
    #[test]
    fn the_stored_form_of_a_mark_stays() {
        let stored = MARK.encode();
        let hex: String = stored.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "636f6f726464757201000000030000000000000000100000000000\
             00e8030000000000003200000000000000e04091d0"
        );
        assert_eq!(DurableMark::decode(stored.clone().into()), Some(MARK));
        for at in 0..stored.len() {
            let mut damaged = stored.clone();
            damaged[at] ^= 1;
            assert_eq!(DurableMark::decode(damaged.into()), None, "byte {at}");
        }
    }
}
