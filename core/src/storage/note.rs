//! What a member must remember about itself over a restart, as empty files in
//! its data directory, so that an operator can leave one or take one away, too.
//!
//! | file | means |
//! |---|---|
//! | `reinstall` | the state kept here is not to be trusted: the member answers nobody until it took over another member's |
//! | `recovering` | log or vote kept here are not what this member told others they were: it has no vote until it has caught up |

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
