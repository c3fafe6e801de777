//! Flags that a member must remember across a restart, as empty files in its
//! data directory, so that an operator can create or remove them, too.
//!
//! | file | means |
//! |---|---|
//! | `reinstall` | the stored state is not trustworthy: the member serves no clients until it has replaced it with another member's |
//! | `recovering` | the stored log or vote lacks what this member acknowledged: it has no vote until it has recovered |

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::disk::Disk;

/// The state is not to be trusted.
pub(super) const REINSTALL: &str = "reinstall";
/// The log is not to be trusted.
pub(super) const RECOVERING: &str = "recovering";

/// A note in one data directory.
#[derive(Debug, Clone)]
pub struct Note {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    file: &'static str,
}

impl Note {
    pub(super) fn new(disk: Arc<dyn Disk>, directory: PathBuf, file: &'static str) -> Self {
        Self { disk, directory, file }
    }

    /// Whether the note is there.
    ///
    /// # Errors
    /// As the system reports.
    pub fn is_noted(&self) -> io::Result<bool> {
        Ok(self.disk.list(&self.directory)?.iter().any(|name| name == self.file))
    }

    /// Leaves the note, durably.
    ///
    /// # Errors
    /// As the system reports.
    pub fn note(&self) -> io::Result<()> {
        if !self.is_noted()? {
            self.disk.create(&self.directory.join(self.file))?.sync()?;
            self.disk.sync_directory(&self.directory)?;
        }
        Ok(())
    }

    /// Takes the note away, durably.
    ///
    /// # Errors
    /// As the system reports.
    pub fn clear(&self) -> io::Result<()> {
        if self.is_noted()? {
            self.disk.remove(&self.directory.join(self.file))?;
            self.disk.sync_directory(&self.directory)?;
        }
        Ok(())
    }
}
