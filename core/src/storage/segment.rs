//! Segment files: names, creation ahead of need, reuse.
//!
//! Writing into a file of zeros is about twice as fast to make durable as
//! growing one, so segments are filled with zeros before they are used. A helper
//! thread does that for the next one, and dropped segments are used again; when
//! neither is at hand, as at the first start, the writer fills ahead of itself
//! in small steps.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::disk::{Disk, DiskFile};
use super::record::{SEGMENT_HEADER_BYTES, segment_header};

/// How far the writer fills ahead of itself.
const FILL_STEP_BYTES: u64 = 256 << 10;
/// Dropped segments kept for reuse.
const SPARES_MAX: usize = 2;

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
        if end + FILL_STEP_BYTES / 2 > self.filled && self.filled < self.size {
            let from = self.filled.max(end);
            let upto = (from + FILL_STEP_BYTES).min(self.size);
            fill(&*self.file, from, upto)?;
            self.filled = upto;
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
    size: u64,
    shared: Arc<Shared>,
    helper: Option<JoinHandle<()>>,
    spare_number: u64,
}

#[derive(Debug, Default)]
struct Shared {
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

impl Shared {
    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SegmentPool {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        directory: PathBuf,
        size: u64,
        thread_name: &str,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let helper = {
            let (disk, directory, shared) = (disk.clone(), directory.clone(), shared.clone());
            std::thread::Builder::new()
                .name(format!("{thread_name}-fill"))
                .spawn(move || help(&*disk, &directory, size, &shared))?
        };
        Ok(Self { disk, directory, size, shared, helper: Some(helper), spare_number: 0 })
    }

    /// Asks for a file to be ready soon.
    pub(super) fn want_one(&self) {
        let mut state = self.shared.lock();
        if state.ready.is_empty() && !state.wanted {
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
            Some(path) => {
                let file = self.disk.open(&path)?;
                (path, file, size)
            }
            None => {
                let path = self.directory.join(format!("spare-{number:016x}-new"));
                let file = self.disk.create(&path)?;
                file.resize(size)?;
                let filled = FILL_STEP_BYTES.min(size);
                fill(&*file, 0, filled)?;
                (path, file, filled)
            }
        };
        file.write_at(0, &segment_header(number))?;
        file.sync()?;
        self.disk.rename(&path, &self.directory.join(segment_name(number)))?;
        self.disk.sync_directory(&self.directory)?;
        Ok(ActiveSegment { number, file, end: SEGMENT_HEADER_BYTES as u64, size, filled })
    }

    /// Takes back a segment whose entries are all purged.
    pub(super) fn drop_segment(&mut self, number: u64, size: u64) -> io::Result<()> {
        let path = self.directory.join(segment_name(number));
        let keep = size == self.size && self.shared.lock().ready.len() < SPARES_MAX;
        if !keep {
            return self.disk.remove(&path);
        }
        self.spare_number += 1;
        let spare = self.directory.join(format!("spare-used-{:x}", self.spare_number));
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

fn help(disk: &dyn Disk, directory: &Path, size: u64, shared: &Shared) {
    let mut made = 0u64;
    let mut state = shared.lock();
    loop {
        if state.closed {
            return;
        }
        if !state.wanted {
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        drop(state);
        made += 1;
        let path = directory.join(format!("spare-filled-{made:x}"));
        let outcome = prepare(disk, &path, size, shared);
        state = shared.lock();
        state.wanted = false;
        match outcome {
            Ok(true) => state.ready.push(path),
            Ok(false) => return,
            // The writer makes its own file then, and reports if it cannot.
            Err(error) => tracing::warn!(%error, "a log segment cannot be prepared ahead"),
        }
    }
}

/// Creates a filled file; false if asked to end meanwhile.
fn prepare(disk: &dyn Disk, path: &Path, size: u64, shared: &Shared) -> io::Result<bool> {
    let file = disk.create(path)?;
    file.resize(size)?;
    let mut offset = 0;
    while offset < size {
        if shared.lock().closed {
            return Ok(false);
        }
        let upto = (offset + FILL_STEP_BYTES).min(size);
        fill(&*file, offset, upto)?;
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
