//! Monitors free disk space, so that writes can be refused before the log fills
//! the disk.
//!
//! ```text
//! free bytes   ── above floor and a quarter ──> there is room
//!              ── below the floor ───────────> short: no more of the clients' writes
//!              ── none at all ───────────────> what is zero-filled ahead still takes what
//!                                              was accepted before
//! ```
//!
//! A quota is not visible in the free bytes. It shows when the next log segment
//! cannot be preallocated, which counts as low space, too.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use tokio::sync::watch;

use super::disk::{Disk, Space};
use crate::sync::Mutex;

/// The least that is kept free by default, and by how much it is a part of all.
const FLOOR_MIN: u64 = 1 << 20;
const FLOOR_DIVISOR: u64 = 8;
/// On a small file system segments are smaller than asked for: at most this
/// part of it, or nothing could ever be dropped.
const SEGMENT_DIVISOR: u64 = 16;
const SMALL_SEGMENT_BYTES_MIN: u64 = 1 << 20;
/// The same for the log that makes a snapshot due.
const SNAPSHOT_LOG_DIVISOR: u64 = 6;
/// Written between two looks of a writer. Bytes.
const LOOK_EVERY_BYTES: u64 = 64 << 10;

/// The room in one data directory. Cheap to clone; all clones are the same.
#[derive(Debug, Clone)]
pub struct FreeSpace {
    inner: Arc<SpaceState>,
}

#[derive(Debug)]
struct SpaceState {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    /// What the user wants to be kept free; none for the default.
    free_bytes_min: Option<u64>,
    segment_bytes: u64,
    /// Since the last look.
    written: AtomicU64,
    /// Why no segment can be filled ahead, if none can.
    unprepared: Mutex<Option<String>>,
    unreadable: AtomicBool,
    short: watch::Sender<Option<String>>,
}

impl FreeSpace {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        directory: PathBuf,
        free_bytes_min: Option<u64>,
        segment_bytes: u64,
    ) -> Self {
        let inner = SpaceState {
            disk,
            directory,
            free_bytes_min,
            segment_bytes,
            written: AtomicU64::new(0),
            unprepared: Mutex::default(),
            unreadable: AtomicBool::new(false),
            short: watch::Sender::default(),
        };
        let room = Self { inner: Arc::new(inner) };
        room.look();
        room
    }

    /// Why writes are to be refused, if they are, as that changes.
    pub fn watch_short(&self) -> watch::Receiver<Option<String>> {
        self.inner.short.subscribe()
    }

    /// A log segment's size, smaller than asked for on a small file system.
    pub(super) fn segment_bytes(&self) -> u64 {
        let asked = self.inner.segment_bytes;
        let part = self.space().map(|space| space.total / SEGMENT_DIVISOR);
        part.map_or(asked, |part| asked.min(part.max(SMALL_SEGMENT_BYTES_MIN)))
    }

    /// How much log makes a snapshot due, if `asked` is what the user wants.
    pub fn snapshot_log_bytes(&self, asked: u64) -> u64 {
        let part = self.space().map(|space| space.total / SNAPSHOT_LOG_DIVISOR);
        part.map_or(asked, |part| asked.min(part.max(SMALL_SEGMENT_BYTES_MIN)))
    }

    /// Looks how much is free.
    pub fn look(&self) {
        let inner = &self.inner;
        inner.written.store(0, Ordering::Relaxed);
        let unprepared = inner.unprepared.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let space = self.space();
        inner.short.send_if_modified(|short| {
            let why =
                unprepared.or_else(|| space.and_then(|space| self.lack(space, short.is_some())));
            let changed = why.is_some() != short.is_some();
            if changed {
                match &why {
                    Some(why) => tracing::warn!("disk almost full, refusing writes: {why}"),
                    None => tracing::warn!("disk space is available again: accepting writes"),
                }
                *short = why;
            }
            changed
        });
    }

    /// Looks after every so many bytes written.
    pub(super) fn note_written(&self, bytes: u64) {
        let written = self.inner.written.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if written >= LOOK_EVERY_BYTES {
            self.look();
        }
    }

    /// Whether so many bytes can be taken for something that may wait.
    ///
    /// # Errors
    /// `StorageFull` if not.
    pub(super) fn spare(&self, bytes: u64) -> io::Result<()> {
        let Some(space) = self.space() else { return Ok(()) };
        let left = space.free.saturating_sub(bytes);
        if left >= self.floor(space) / 2 {
            return Ok(());
        }
        let text = format!("only {} bytes are free, and they are reserved for the log", space.free);
        Err(io::Error::new(io::ErrorKind::StorageFull, text))
    }

    /// A segment was filled ahead of need, or could not be.
    pub(super) fn note_prepared(&self, outcome: Result<(), &io::Error>) {
        let text = outcome.err().map(|error| {
            format!("cannot allocate the next log segment on {}: {error}", self.place())
        });
        *self.inner.unprepared.lock().unwrap_or_else(PoisonError::into_inner) = text;
        self.look();
    }

    /// Whether so many bytes leave room enough for everything else.
    pub(super) fn is_ample(&self, bytes: u64) -> bool {
        self.space().is_none_or(|space| space.free >= bytes + self.floor(space))
    }

    fn lack(&self, space: Space, was_short: bool) -> Option<String> {
        let floor = self.floor(space);
        // Some way back up, so that it does not change with every batch.
        let wanted = if was_short { floor + floor / 4 } else { floor };
        (space.free < wanted).then(|| {
            format!(
                "{} has {} of {} bytes free, and needs {wanted} (storage.free_bytes_min)",
                self.place(),
                space.free,
                space.total
            )
        })
    }

    fn floor(&self, space: Space) -> u64 {
        let default = || {
            let part = space.total / FLOOR_DIVISOR;
            part.clamp(FLOOR_MIN.min(part), self.inner.segment_bytes.max(FLOOR_MIN))
        };
        self.inner.free_bytes_min.unwrap_or_else(default)
    }

    fn space(&self) -> Option<Space> {
        match self.inner.disk.space(&self.inner.directory) {
            Ok(space) => Some(space),
            Err(error) => {
                if !self.inner.unreadable.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        %error,
                        "cannot determine the free disk space: writes are not limited by it"
                    );
                }
                None
            }
        }
    }

    fn place(&self) -> String {
        format!("the file system of {}", self.inner.directory.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::faulty_disk::FaultyDisk;

    const MIB: u64 = 1 << 20;

    fn room(total: u64, free_bytes_min: Option<u64>) -> (FreeSpace, FaultyDisk) {
        let disk = FaultyDisk::default();
        disk.set_space(Some(Space { free: total, total }));
        let room = FreeSpace::new(Arc::new(disk.clone()), "/".into(), free_bytes_min, 16 * MIB);
        (room, disk)
    }

    fn is_short(room: &FreeSpace, disk: &FaultyDisk, total: u64, free: u64) -> bool {
        disk.set_space(Some(Space { free, total }));
        room.look();
        room.watch_short().borrow().is_some()
    }

    #[test]
    fn the_floor_fits_the_file_system() {
        let (room, disk) = room(24 * MIB, None);
        assert!(!is_short(&room, &disk, 24 * MIB, 4 * MIB));
        assert!(is_short(&room, &disk, 24 * MIB, 2 * MIB));
        assert!(!is_short(&room, &disk, 1000 * MIB, 24 * MIB));
        assert!(is_short(&room, &disk, 1000 * MIB, 15 * MIB));
    }

    #[test]
    fn room_has_to_be_back_for_some_way_to_count() {
        let (room, disk) = room(1000 * MIB, Some(8 * MIB));
        assert!(is_short(&room, &disk, 1000 * MIB, 7 * MIB));
        assert!(is_short(&room, &disk, 1000 * MIB, 9 * MIB));
        assert!(!is_short(&room, &disk, 1000 * MIB, 10 * MIB));
        assert!(!is_short(&room, &disk, 1000 * MIB, 8 * MIB));
    }

    #[test]
    fn a_writer_looks_by_itself() {
        let (room, disk) = room(1000 * MIB, None);
        disk.set_space(Some(Space { free: 0, total: 1000 * MIB }));
        room.note_written(1000);
        assert!(room.watch_short().borrow().is_none());
        room.note_written(LOOK_EVERY_BYTES);
        let why = room.watch_short().borrow().clone().unwrap();
        assert!(why.contains("has 0 of") && why.contains("storage.free_bytes_min"), "{why}");
    }

    #[test]
    fn a_segment_that_cannot_be_prepared_counts_as_short() {
        let (room, _disk) = room(1000 * MIB, None);
        let quota = io::Error::from(io::ErrorKind::QuotaExceeded);
        room.note_prepared(Err(&quota));
        assert!(room.watch_short().borrow().as_ref().unwrap().contains("quota"));
        room.note_prepared(Ok(()));
        assert!(room.watch_short().borrow().is_none());
    }

    #[test]
    fn segments_are_small_on_a_small_file_system() {
        let (room, disk) = room(24 * MIB, None);
        assert_eq!(room.segment_bytes(), 24 * MIB / 16);
        assert_eq!(room.snapshot_log_bytes(64 * MIB), 4 * MIB);
        disk.set_space(Some(Space { free: 1000 * MIB, total: 1000 * MIB }));
        assert_eq!(room.segment_bytes(), 16 * MIB);
        assert_eq!(room.snapshot_log_bytes(64 * MIB), 64 * MIB);
    }
}
