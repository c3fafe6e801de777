//! A value loaded from files, and reloaded when they change.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::pem::PemFile;
use crate::clock::{Clock as _, SystemClock};
use crate::error::Error;
use crate::sync::{Mutex, MutexGuard};

/// The files are not looked at more often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What the files gave when they last made sense.
pub(crate) struct Reloading<T> {
    paths: Vec<PathBuf>,
    make: Box<Make<T>>,
    clock: SystemClock,
    state: Mutex<State<T>>,
}

/// Makes the value of the files, given in the order of their paths.
type Make<T> = dyn Fn(&[PemFile]) -> Result<T, Error> + Send + Sync;

struct State<T> {
    value: Arc<T>,
    /// Of the bytes that were last read, whether or not they made sense.
    seen: [u8; 20],
    looked: Duration,
}

impl<T> Reloading<T> {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// `Invalid` if they make no sense.
    pub(crate) fn read(paths: Vec<PathBuf>, make: Box<Make<T>>) -> Result<Self, Error> {
        let files = read_all(&paths)?;
        let clock = SystemClock::default();
        let state =
            State { value: Arc::new(make(&files)?), seen: seal(&files), looked: clock.monotonic() };
        Ok(Self { paths, make, clock, state: Mutex::new(state) })
    }

    /// The value.
    pub(crate) fn value(&self) -> Arc<T> {
        Arc::clone(&self.lock().value)
    }

    /// Whether it is time to look at the files. Whoever is told so looks.
    pub(crate) fn is_due(&self) -> bool {
        let now = self.clock.monotonic();
        let mut state = self.lock();
        let due = now.saturating_sub(state.looked) >= LOOK_EVERY;
        if due {
            state.looked = now;
        }
        due
    }

    /// Looks at the files. True if they have changed and make sense.
    ///
    /// # Errors
    /// `Invalid` if they have changed and make none: the value stays. Told
    /// once for each change.
    pub(crate) fn look(&self) -> Result<bool, Error> {
        let files = read_all(&self.paths);
        let seal = files.as_deref().map_or([0; 20], seal);
        if std::mem::replace(&mut self.lock().seen, seal) == seal {
            return Ok(false);
        }
        let value = Arc::new((self.make)(&files?)?);
        self.lock().value = value;
        Ok(true)
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> fmt::Debug for Reloading<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Reloading").field("paths", &self.paths).finish_non_exhaustive()
    }
}

fn read_all(paths: &[PathBuf]) -> Result<Vec<PemFile>, Error> {
    paths.iter().map(|path| PemFile::read(path)).collect()
}

/// Tells one reading from another; guards nothing.
fn seal(files: &[PemFile]) -> [u8; 20] {
    let mut hash = sha1_smol::Sha1::new();
    for file in files {
        hash.update(&(file.bytes.len() as u64).to_be_bytes());
        hash.update(&file.bytes);
    }
    hash.digest().bytes()
}
