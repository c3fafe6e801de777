//! Storage of the state machine's snapshots: one current snapshot, replaced
//! atomically.
//!
//! A snapshot is written under a temporary name, synced, renamed, and the
//! directory synced; only then are older ones removed. A snapshot is not used
//! before all its checksums were verified.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use bytes::Bytes;

use super::StorageTimes;
use super::disk::{Disk, DiskFile};
use super::free_space::FreeSpace;
use super::record::LogPosition;
use super::snapshot_file::{SnapshotDecoder, SnapshotEncoder};
use crate::clock::Stopwatch;
use crate::error::Error;
use crate::sync::{Mutex, MutexGuard};

/// The snapshots of one member. Cheap to clone; all clones are the same store.
#[derive(Debug, Clone)]
pub struct SnapshotStore {
    inner: Arc<StoreState>,
}

#[derive(Debug)]
struct StoreState {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    room: FreeSpace,
    times: Arc<StorageTimes>,
    current: Mutex<Option<Snapshot>>,
    temporary: AtomicU64,
}

/// A whole, verified snapshot on disk. Stays readable while it is held, even
/// when a newer one replaced it.
#[derive(Debug, Clone)]
pub struct Snapshot {
    file: Arc<SnapshotFile>,
}

#[derive(Debug)]
struct SnapshotFile {
    store: Arc<StoreState>,
    file: Arc<dyn DiskFile>,
    path: Mutex<PathBuf>,
    adopted: AtomicBool,
    position: Option<LogPosition>,
    meta: Bytes,
    size: u64,
}

impl SnapshotStore {
    /// Opens the store and verifies the newest snapshot in it.
    ///
    /// # Errors
    /// `Corrupt`, naming the file, if that snapshot is damaged.
    pub(super) fn open(
        disk: Arc<dyn Disk>,
        directory: PathBuf,
        room: FreeSpace,
        times: Arc<StorageTimes>,
    ) -> Result<Self, Error> {
        let unreadable = |error: io::Error| {
            Error::unavailable(format!("cannot read the snapshots in {}", directory.display()))
                .caused_by(error)
        };
        let mut newest: Option<LogPosition> = None;
        for name in disk.list(&directory).map_err(unreadable)? {
            match position_in(&name) {
                Some(position) => newest = newest.max(Some(position)),
                None if name.ends_with(".part") => {
                    disk.remove(&directory.join(name)).map_err(unreadable)?;
                }
                None => {}
            }
        }
        let store = Self {
            inner: Arc::new(StoreState {
                disk,
                directory: directory.clone(),
                room,
                times,
                current: Mutex::new(None),
                temporary: AtomicU64::new(0),
            }),
        };
        if let Some(position) = newest {
            let path = store.inner.directory.join(file_name(position));
            let file = store.inner.disk.open(&path).map_err(unreadable)?;
            let snapshot = store.verify(file, path.clone(), Some(position)).map_err(|error| {
                Error::corrupt(format!(
                    "the snapshot {} is damaged. To repair, restore the file from an intact copy \
                     of the disk, or, if the other members are intact, start this one with an \
                     empty data directory: they send it everything",
                    path.display()
                ))
                .caused_by(error)
            })?;
            snapshot.file.adopted.store(true, Ordering::Relaxed);
            *store.inner.current() = Some(snapshot);
            store.inner.remove_others(position).map_err(unreadable)?;
        }
        Ok(store)
    }

    /// Where they are.
    pub fn directory(&self) -> &Path {
        &self.inner.directory
    }

    /// The newest snapshot.
    pub fn current(&self) -> Option<Snapshot> {
        self.inner.current().clone()
    }

    /// Begins a snapshot of the state as of `position`. It takes no room that
    /// the log may need.
    ///
    /// # Errors
    /// As the system reports; `StorageFull` if one as large as the last does not fit.
    pub fn write(&self, position: LogPosition, meta: &[u8]) -> io::Result<SnapshotWriter> {
        let expected = self.current().map_or(0, |current| current.size());
        self.inner.room.spare(expected)?;
        let began = Stopwatch::start();
        let (path, file) = self.temporary()?;
        let partial = Partial { store: self.clone(), path, whole: false };
        let encoder = SnapshotEncoder::new(file.clone(), meta)?;
        Ok(SnapshotWriter { partial, file, position, encoder, unchecked: 0, began })
    }

    /// Begins to receive the bytes of a snapshot made elsewhere.
    ///
    /// # Errors
    /// As the system reports.
    pub fn receive(&self) -> io::Result<SnapshotReceiver> {
        let (path, file) = self.temporary()?;
        Ok(SnapshotReceiver { store: self.clone(), path, file, offset: 0, finished: false })
    }

    /// Makes a snapshot the current one, durably, and drops the others. Does
    /// nothing if a newer one is there already.
    ///
    /// # Errors
    /// As the system reports.
    pub fn adopt(&self, snapshot: &Snapshot, position: LogPosition) -> io::Result<()> {
        let current = self.inner.current();
        if current.as_ref().and_then(Snapshot::position) >= Some(position) {
            return Ok(());
        }
        self.put(current, snapshot, position)
    }

    /// As [`Self::adopt`], but whatever is there: for a state that took the
    /// place of one not to be trusted.
    ///
    /// # Errors
    /// As the system reports.
    pub fn replace(&self, snapshot: &Snapshot, position: LogPosition) -> io::Result<()> {
        self.put(self.inner.current(), snapshot, position)
    }

    fn put(
        &self,
        mut current: MutexGuard<'_, Option<Snapshot>>,
        snapshot: &Snapshot,
        position: LogPosition,
    ) -> io::Result<()> {
        let inner = &self.inner;
        let path = inner.directory.join(file_name(position));
        {
            let mut at = snapshot.file.path.lock().unwrap_or_else(PoisonError::into_inner);
            inner.disk.rename(&at, &path)?;
            at.clone_from(&path);
        }
        snapshot.file.adopted.store(true, Ordering::Relaxed);
        inner.disk.sync_directory(&inner.directory)?;
        let file = SnapshotFile {
            store: inner.clone(),
            file: snapshot.file.file.clone(),
            path: Mutex::new(path),
            adopted: AtomicBool::new(true),
            position: Some(position),
            meta: snapshot.file.meta.clone(),
            size: snapshot.file.size,
        };
        *current = Some(Snapshot { file: Arc::new(file) });
        drop(current);
        inner.remove_others(position)
    }

    fn temporary(&self) -> io::Result<(PathBuf, Arc<dyn DiskFile>)> {
        let number = self.inner.temporary.fetch_add(1, Ordering::Relaxed);
        let path = self.inner.directory.join(format!("{number:x}.part"));
        let file = self.inner.disk.create(&path)?;
        Ok((path, file))
    }

    fn verify(
        &self,
        file: Arc<dyn DiskFile>,
        path: PathBuf,
        position: Option<LogPosition>,
    ) -> io::Result<Snapshot> {
        let (records, meta) = SnapshotDecoder::new(file.clone())?;
        for record in records {
            record?;
        }
        let size = file.size()?;
        Ok(Snapshot {
            file: Arc::new(SnapshotFile {
                store: self.inner.clone(),
                file,
                path: Mutex::new(path),
                adopted: AtomicBool::new(false),
                position,
                meta,
                size,
            }),
        })
    }
}

impl StoreState {
    fn current(&self) -> MutexGuard<'_, Option<Snapshot>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remove_others(&self, than: LogPosition) -> io::Result<()> {
        for name in self.disk.list(&self.directory)? {
            if position_in(&name).is_some_and(|position| position != than) {
                self.disk.remove(&self.directory.join(name))?;
            }
        }
        Ok(())
    }
}

impl Snapshot {
    /// The description given when it was made.
    pub fn meta(&self) -> &Bytes {
        &self.file.meta
    }

    /// The last log entry it contains, once it was adopted.
    pub fn position(&self) -> Option<LogPosition> {
        self.file.position
    }

    /// Bytes of the file.
    pub fn size(&self) -> u64 {
        self.file.size
    }

    /// Its records in order. An error ends them.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn records(
        &self,
    ) -> io::Result<impl Iterator<Item = io::Result<(u8, Bytes)>> + Send + use<>> {
        Ok(SnapshotDecoder::new(self.file.file.clone())?.0)
    }

    /// A piece of the file, to be sent elsewhere.
    ///
    /// # Errors
    /// As the system reports.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.file.read_at(offset, buffer)
    }
}

impl Drop for SnapshotFile {
    fn drop(&mut self) {
        if !self.adopted.load(Ordering::Relaxed) {
            let path = self.path.get_mut().unwrap_or_else(PoisonError::into_inner);
            // What stays behind is removed at the next start.
            let _ = self.store.disk.remove(path);
        }
    }
}

/// A snapshot being written.
pub struct SnapshotWriter {
    partial: Partial,
    file: Arc<dyn DiskFile>,
    position: LogPosition,
    encoder: SnapshotEncoder,
    /// Bytes since it was last looked whether there is room for more.
    unchecked: usize,
    began: Stopwatch,
}

/// How often that is looked. Bytes.
const CHECK_ROOM_EVERY_BYTES: usize = 1 << 20;

/// A file that goes if it does not become whole: what failed for want of room
/// must not keep it.
struct Partial {
    store: SnapshotStore,
    path: PathBuf,
    whole: bool,
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.whole {
            // What stays behind is removed at the next start.
            let _ = self.store.inner.disk.remove(&self.path);
        }
    }
}

impl SnapshotWriter {
    /// Adds a record.
    ///
    /// # Errors
    /// As the system reports.
    pub fn record(&mut self, tag: u8, content: &[u8]) -> io::Result<()> {
        self.unchecked += content.len();
        if self.unchecked >= CHECK_ROOM_EVERY_BYTES {
            self.unchecked = 0;
            self.partial.store.inner.room.spare(content.len() as u64)?;
        }
        self.encoder.record(tag, content)
    }

    /// Ends the snapshot, makes it durable and the current one.
    ///
    /// # Errors
    /// As the system reports.
    pub fn finish(self) -> io::Result<Snapshot> {
        let Self { mut partial, file, position, encoder, began, .. } = self;
        encoder.finish()?;
        let store = partial.store.clone();
        let snapshot = store.verify(file, partial.path.clone(), Some(position))?;
        // From now on the snapshot itself knows whether its file stays.
        partial.whole = true;
        store.adopt(&snapshot, position)?;
        store.inner.times.snapshots.record(began.elapsed());
        Ok(store.current().unwrap_or(snapshot))
    }
}

impl fmt::Debug for SnapshotWriter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SnapshotWriter")
            .field("path", &self.partial.path)
            .finish_non_exhaustive()
    }
}

/// A snapshot being received.
#[derive(Debug)]
pub struct SnapshotReceiver {
    store: SnapshotStore,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    offset: u64,
    finished: bool,
}

impl SnapshotReceiver {
    /// Adds the next bytes.
    ///
    /// # Errors
    /// As the system reports.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(self.offset, bytes)?;
        self.offset += bytes.len() as u64;
        Ok(())
    }

    /// Makes the file durable and verifies it. It is not the current snapshot
    /// until it is adopted, and gone if it never is.
    ///
    /// # Errors
    /// `InvalidData` if it is damaged, or as the system reports.
    pub fn finish(mut self) -> io::Result<Snapshot> {
        self.file.sync()?;
        let snapshot = self.store.verify(self.file.clone(), self.path.clone(), None)?;
        self.finished = true;
        Ok(snapshot)
    }
}

impl Drop for SnapshotReceiver {
    fn drop(&mut self) {
        if !self.finished {
            // What stays behind is removed at the next start.
            let _ = self.store.inner.disk.remove(&self.path);
        }
    }
}

fn file_name(position: LogPosition) -> String {
    format!("{:016x}-{:016x}.snapshot", position.term, position.index)
}

fn position_in(name: &str) -> Option<LogPosition> {
    let (term, index) = name.strip_suffix(".snapshot")?.split_once('-')?;
    if term.len() != 16 || index.len() != 16 {
        return None;
    }
    let term = u64::from_str_radix(term, 16).ok()?;
    let index = u64::from_str_radix(index, 16).ok()?;
    Some(LogPosition { term, index })
}
