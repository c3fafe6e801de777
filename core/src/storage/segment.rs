//! Segment files: names, preallocation, reuse.
//!
//! Syncing writes to a zero-filled file is about twice as fast as to a growing
//! one, so segments are filled with zeros before use. A helper thread does that
//! for the next segment, and purged segments are reused; if neither is
//! available, as on the first start, the writer fills ahead in small steps.
//!
//! The preallocated space also takes the writes in flight when the disk
//! suddenly fills up: [`FILLED_AHEAD_BYTES`] of it, here and in prepared
//! segments.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::disk::{Disk, DiskFile};
use super::failure::{lacks_descriptor, may_pass};
use super::free_space::FreeSpace;
use super::record::{SEGMENT_HEADER_BYTES, segment_header};
use crate::sync::{Condvar, Mutex, MutexGuard};

/// How much of that the writer does at once.
const FILL_STEP_BYTES: u64 = 256 << 10;
/// More than the batches that can be under way.
const FILLED_AHEAD_BYTES: u64 = 4 << 20;
/// After a file could not be prepared ahead, before the next try.
const HELP_PAUSE: Duration = Duration::from_secs(2);
/// Segments that were dropped or prepared, at most.
const SPARES_MAX: usize = 4;

/// The segment being written.
#[derive(Debug)]
pub(super) struct ActiveSegment {
    pub(super) number: u64,
    pub(super) file: Arc<dyn DiskFile>,
    /// Where the next frame goes.
    pub(super) end: u64,
    /// Its size on disk.
    pub(super) size: u64,
    /// Up to here blocks are there to be written over.
    pub(super) filled: u64,
}

impl ActiveSegment {
    /// Writes frames at the end, filling ahead if need be.
    pub(super) fn write(&mut self, frames: &[u8]) -> io::Result<()> {
        let end = self.end + frames.len() as u64;
        self.file.write_at(self.end, frames)?;
        self.end = end;
        if end + FILLED_AHEAD_BYTES > self.filled && self.filled < self.size {
            let from = self.filled.max(end);
            let upto = (from + FILL_STEP_BYTES).min(self.size);
            // Only ahead of need: what does not fit shows when it is needed.
            if fill(&*self.file, from, upto).is_ok() {
                self.filled = upto;
            }
        }
        Ok(())
    }
}

/// The file name of a segment.
pub(super) fn segment_name(number: u64) -> String {
    format!("{number:016x}.wal")
}

/// The number in a segment's file name.
pub(super) fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".wal")?;
    (digits.len() == 16).then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

/// Whether a name is that of a file being prepared.
pub(super) fn is_spare(name: &str) -> bool {
    name.starts_with("spare-")
}

/// Makes and reuses segment files.
#[derive(Debug)]
pub(super) struct SegmentPool {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    room: FreeSpace,
    size: u64,
    /// Segments to be ready for use.
    spares: usize,
    shared: Arc<PoolShared>,
    helper: Option<JoinHandle<()>>,
    spare_number: u64,
}

#[derive(Debug, Default)]
struct PoolShared {
    state: Mutex<PoolState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct PoolState {
    wanted: bool,
    /// Filled files of the usual size.
    ready: Vec<PathBuf>,
    closed: bool,
}

impl PoolShared {
    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SegmentPool {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        directory: PathBuf,
        room: FreeSpace,
        thread_name: &str,
    ) -> io::Result<Self> {
        let size = room.segment_bytes();
        let spares = FILLED_AHEAD_BYTES.div_ceil(size).clamp(1, SPARES_MAX as u64);
        let shared = Arc::new(PoolShared::default());
        let helper = {
            let helper = Helper {
                disk: disk.clone(),
                directory: directory.clone(),
                room: room.clone(),
                size,
                spares: usize::try_from(spares).unwrap_or(SPARES_MAX),
                shared: shared.clone(),
            };
            std::thread::Builder::new()
                .name(format!("{thread_name}-fill"))
                .spawn(super::with_log_of_this_thread(move || helper.run()))?
        };
        let spares = usize::try_from(spares).unwrap_or(SPARES_MAX);
        let helper = Some(helper);
        Ok(Self { disk, directory, room, size, spares, shared, helper, spare_number: 0 })
    }

    /// Takes note of bytes written into a segment.
    pub(super) fn note_written(&self, bytes: u64) {
        self.room.note_written(bytes);
    }

    /// Asks for files to be ready soon.
    pub(super) fn want_spares(&self) {
        let mut state = self.shared.lock();
        if state.ready.len() < self.spares && !state.wanted {
            state.wanted = true;
            self.shared.changed.notify_one();
        }
    }

    /// Starts segment `number`, with room for at least `bytes` of frames.
    /// Durable, but for its frames, once this returns.
    pub(super) fn start_segment(&mut self, number: u64, bytes: u64) -> io::Result<ActiveSegment> {
        let needed = bytes + SEGMENT_HEADER_BYTES as u64;
        let size = self.size.max(needed);
        let ready = if size == self.size { self.shared.lock().ready.pop() } else { None };
        let (path, file, filled) = match ready {
            Some(path) => match self.disk.open(&path) {
                Ok(file) => (path, file, size),
                Err(error) => {
                    self.shared.lock().ready.push(path);
                    return Err(error);
                }
            },
            None => {
                let path = self.new_path();
                let file = self.disk.create(&path)?;
                (path, file, 0)
            }
        };
        let mut active =
            ActiveSegment { number, file, end: SEGMENT_HEADER_BYTES as u64, size, filled };
        self.install(path, &mut active, &segment_header(number))?;
        Ok(active)
    }

    /// Puts a new file in the place of segment `number`, with this content at
    /// its beginning, durably. The old one goes.
    pub(super) fn rewrite_segment(
        &mut self,
        number: u64,
        size: u64,
        content: &[u8],
    ) -> io::Result<ActiveSegment> {
        let path = self.new_path();
        let file = self.disk.create(&path)?;
        let mut active = ActiveSegment { number, file, end: content.len() as u64, size, filled: 0 };
        self.install(path, &mut active, content)?;
        Ok(active)
    }

    /// Fills a prepared file and gives it its name. One that fails is removed:
    /// it would only take room, and is not to be synced again.
    fn install(&self, path: PathBuf, active: &mut ActiveSegment, content: &[u8]) -> io::Result<()> {
        let file = &active.file;
        let prepare = || {
            let mut filled = active.filled;
            if filled == 0 {
                file.resize(active.size)?;
                filled = (active.end + FILL_STEP_BYTES).min(active.size);
                fill(&**file, active.end, filled)?;
            }
            file.write_at(0, content)?;
            file.sync()?;
            self.disk.rename(&path, &self.directory.join(segment_name(active.number)))?;
            Ok(filled)
        };
        match prepare() {
            Ok(filled) => active.filled = filled,
            Err(error) => {
                // What stays behind is removed at the next start.
                let _ = self.disk.remove(&path);
                return Err(error);
            }
        }
        self.disk.sync_directory(&self.directory)
    }

    fn new_path(&mut self) -> PathBuf {
        self.spare_number += 1;
        self.directory.join(format!("spare-new-{:x}", self.spare_number))
    }

    /// Takes back a segment whose entries are all purged.
    pub(super) fn drop_segment(&mut self, number: u64, size: u64) -> io::Result<()> {
        let path = self.directory.join(segment_name(number));
        let keep = size == self.size && self.shared.lock().ready.len() < SPARES_MAX;
        if !keep {
            return self.disk.remove(&path);
        }
        let spare = self.new_path();
        self.disk.rename(&path, &spare)?;
        self.shared.lock().ready.push(spare);
        Ok(())
    }

    /// Ends the helper thread.
    pub(super) fn close(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_one();
        if let Some(helper) = self.helper.take() {
            // A panic there costs a prepared file, nothing else.
            let _ = helper.join();
        }
    }
}

impl Drop for SegmentPool {
    fn drop(&mut self) {
        self.close();
    }
}

/// Prepares segments on a thread of its own.
struct Helper {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    room: FreeSpace,
    size: u64,
    spares: usize,
    shared: Arc<PoolShared>,
}

impl Helper {
    fn run(self) {
        let mut made = 0u64;
        let mut failed = false;
        let mut state = self.shared.lock();
        loop {
            if state.closed {
                return;
            }
            if !state.wanted {
                let waiting = self.shared.changed.wait(state);
                state = waiting.unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            if state.ready.len() >= self.spares {
                state.wanted = false;
                continue;
            }
            drop(state);
            // A file that takes the last room helps nobody.
            let outcome = self.room.is_ample(2 * self.size).then(|| {
                made += 1;
                let path = self.directory.join(format!("spare-filled-{made:x}"));
                prepare(&*self.disk, &path, self.size, &self.shared).map(|whole| (whole, path))
            });
            match &outcome {
                Some(Ok(_)) if failed => self.room.note_prepared(Ok(())),
                Some(Err(error)) if !failed => {
                    // The writer makes its own file then, and reports if it cannot.
                    tracing::warn!(%error, "cannot preallocate a log segment");
                    if may_pass(error) && !lacks_descriptor(error) {
                        self.room.note_prepared(Err(error));
                    }
                }
                _ => {}
            }
            failed = matches!(outcome, Some(Err(_))) || (failed && outcome.is_none());
            state = self.shared.lock();
            match outcome {
                Some(Ok((true, path))) => state.ready.push(path),
                Some(Ok((false, _))) => return,
                Some(Err(_)) | None => {
                    // A full disk is not to be kept busy by attempts.
                    let open = |state: &mut PoolState| !state.closed;
                    let waited = self.shared.changed.wait_timeout_while(state, HELP_PAUSE, open);
                    (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}

/// Creates a filled file, or none; false if asked to end meanwhile.
fn prepare(disk: &dyn Disk, path: &Path, size: u64, shared: &PoolShared) -> io::Result<bool> {
    let prepared = disk.create(path).and_then(|file| fill_all(&*file, size, shared));
    if prepared.is_err() {
        // What stays behind is removed at the next start.
        let _ = disk.remove(path);
    }
    prepared
}

fn fill_all(file: &dyn DiskFile, size: u64, shared: &PoolShared) -> io::Result<bool> {
    file.resize(size)?;
    let mut offset = 0;
    while offset < size {
        if shared.lock().closed {
            return Ok(false);
        }
        let upto = (offset + FILL_STEP_BYTES).min(size);
        fill(file, offset, upto)?;
        offset = upto;
    }
    file.sync()?;
    Ok(true)
}

fn fill(file: &dyn DiskFile, from: u64, upto: u64) -> io::Result<()> {
    static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
    let mut offset = from;
    while offset < upto {
        let len = usize::try_from(upto - offset).unwrap_or(usize::MAX).min(ZEROS.len());
        file.write_at(offset, &ZEROS[..len])?;
        offset += len as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_agree() {
        assert_eq!(segment_number(&segment_name(0x1f)), Some(0x1f));
        assert_eq!(segment_number("1f.wal"), None);
        assert_eq!(segment_number("spare-1"), None);
    }
}
