//! A note that the state kept here is not to be trusted.
//!
//! It is an empty file, so that an operator can leave one, too. With it a
//! member answers nobody after its start until it took over another member's
//! state.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::disk::Disk;

const FILE: &str = "reinstall";

/// The note in one data directory.
#[derive(Debug, Clone)]
pub struct Distrust {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
}

impl Distrust {
    pub(super) fn new(disk: Arc<dyn Disk>, directory: PathBuf) -> Self {
        Self { disk, directory }
    }

    /// Whether the note is there.
    ///
    /// # Errors
    /// As the system reports.
    pub fn is_noted(&self) -> io::Result<bool> {
        Ok(self.disk.list(&self.directory)?.iter().any(|name| name == FILE))
    }

    /// Leaves the note, durably.
    ///
    /// # Errors
    /// As the system reports.
    pub fn note(&self) -> io::Result<()> {
        if !self.is_noted()? {
            self.disk.create(&self.directory.join(FILE))?.sync()?;
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
            self.disk.remove(&self.directory.join(FILE))?;
            self.disk.sync_directory(&self.directory)?;
        }
        Ok(())
    }
}
