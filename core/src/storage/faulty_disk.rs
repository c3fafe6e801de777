//! A disk that fails when told to, for tests.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};

use rustix::io::Errno;

use super::disk::{Disk, DiskFile, Space, SystemDisk};
use crate::sync::Mutex;

/// The system's disk, until something is made to fail.
#[derive(Debug, Clone, Default)]
pub(crate) struct FaultyDisk {
    disk: SystemDisk,
    faults: Arc<Faults>,
}

#[derive(Debug, Default)]
struct Faults {
    syncs_fail: AtomicBool,
    /// So many syncs fail, and what was written since the one before is lost.
    syncs_to_fail: AtomicUsize,
    full: AtomicBool,
    /// Only for files whose path contains this.
    full_where: Mutex<Option<&'static str>>,
    no_descriptors: AtomicBool,
    space: Mutex<Option<Space>>,
}

impl FaultyDisk {
    pub(crate) fn fail_syncs(&self, fail: bool) {
        self.faults.syncs_fail.store(fail, Ordering::SeqCst);
    }

    /// Has the next syncs of files fail, with an error that does not pass.
    pub(crate) fn fail_next_syncs(&self, count: usize) {
        self.faults.syncs_to_fail.store(count, Ordering::SeqCst);
    }

    /// Takes no byte any more, of whatever file.
    pub(crate) fn fill(&self, full: bool) {
        self.faults.full.store(full, Ordering::SeqCst);
    }

    /// Takes no byte of files whose path contains this.
    pub(crate) fn fill_where(&self, part: Option<&'static str>) {
        *self.faults.full_where.lock().unwrap_or_else(PoisonError::into_inner) = part;
    }

    /// Opens and creates no file.
    pub(crate) fn take_descriptors(&self, taken: bool) {
        self.faults.no_descriptors.store(taken, Ordering::SeqCst);
    }

    /// Says that there is this much room.
    pub(crate) fn set_space(&self, space: Option<Space>) {
        *self.faults.space.lock().unwrap_or_else(PoisonError::into_inner) = space;
    }

    fn wrap(&self, path: &Path, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        let path = path.display().to_string();
        Arc::new(FaultyFile { file, path, faults: self.faults.clone(), unsynced: Mutex::default() })
    }

    fn descriptor(&self) -> io::Result<()> {
        match self.faults.no_descriptors.load(Ordering::SeqCst) {
            true => Err(io::Error::from_raw_os_error(Errno::MFILE.raw_os_error())),
            false => Ok(()),
        }
    }
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.descriptor()?;
        Ok(self.wrap(path, self.disk.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.descriptor()?;
        Ok(self.wrap(path, self.disk.open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        self.disk.list(directory)
    }

    fn create_directory(&self, directory: &Path) -> io::Result<()> {
        self.disk.create_directory(directory)
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        self.descriptor()?;
        self.disk.sync_directory(directory)
    }

    fn space(&self, directory: &Path) -> io::Result<Space> {
        let told = *self.faults.space.lock().unwrap_or_else(PoisonError::into_inner);
        told.map_or_else(|| self.disk.space(directory), Ok)
    }
}

#[derive(Debug)]
struct FaultyFile {
    file: Arc<dyn DiskFile>,
    path: String,
    faults: Arc<Faults>,
    /// Where something was written since the last sync.
    unsynced: Mutex<Vec<(u64, usize)>>,
}

impl FaultyFile {
    fn room(&self) -> io::Result<()> {
        let part = *self.faults.full_where.lock().unwrap_or_else(PoisonError::into_inner);
        let full = self.faults.full.load(Ordering::SeqCst)
            || part.is_some_and(|part| self.path.contains(part));
        match full {
            true => Err(io::Error::from_raw_os_error(Errno::NOSPC.raw_os_error())),
            false => Ok(()),
        }
    }
}

impl DiskFile for FaultyFile {
    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn resize(&self, size: u64) -> io::Result<()> {
        self.file.resize(size)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.room()?;
        let mut unsynced = self.unsynced.lock().unwrap_or_else(PoisonError::into_inner);
        unsynced.push((offset, bytes.len()));
        self.file.write_at(offset, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        let one = |left: usize| left.checked_sub(1);
        let fails = self.faults.syncs_to_fail.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one);
        let mut unsynced = self.unsynced.lock().unwrap_or_else(PoisonError::into_inner);
        let unsynced = std::mem::take(&mut *unsynced);
        if fails.is_ok() || self.faults.syncs_fail.load(Ordering::SeqCst) {
            for (offset, len) in unsynced {
                self.file.write_at(offset, &vec![0; len])?;
            }
            return Err(io::Error::other("the disk is on fire"));
        }
        self.file.sync()
    }
}
