//! Reserve of file descriptors for storage.
//!
//! Clients must not use up the descriptors that the log needs, for each
//! segment, for a snapshot and briefly to sync a directory. Some are held open
//! as a reserve, and one of them is released when a call finds none left.

use std::fs::File;
use std::io;
use std::sync::PoisonError;

use super::failure::lacks_descriptor;
use crate::sync::Mutex;

/// Open files that can be given up.
#[derive(Debug)]
pub(super) struct HeldBack {
    files: Mutex<Vec<File>>,
    wanted: usize,
}

impl HeldBack {
    pub(super) fn new(wanted: usize) -> Self {
        let held = Self { files: Mutex::default(), wanted };
        held.refill();
        held
    }

    /// Runs what opens a file, with a descriptor held back if there is no other.
    pub(super) fn with<T>(&self, mut open: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        let mut opened = open();
        while let Err(error) = &opened
            && lacks_descriptor(error)
            && let Some(given_up) = self.take()
        {
            drop(given_up);
            // Somebody else may have been faster.
            opened = open();
        }
        if opened.is_ok() {
            self.refill();
        }
        opened
    }

    fn take(&self) -> Option<File> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn refill(&self) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        while files.len() < self.wanted {
            match File::open("/dev/null") {
                Ok(file) => files.push(file),
                Err(_) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use rustix::io::Errno;

    use super::*;

    fn none_left() -> io::Error {
        io::Error::from_raw_os_error(Errno::MFILE.raw_os_error())
    }

    #[test]
    fn one_held_back_is_given_up_for_one_that_is_needed() {
        let held = HeldBack::new(3);
        let tries = Cell::new(0);
        let opened = held.with(|| {
            tries.set(tries.get() + 1);
            // The first descriptor that became free went to somebody else.
            if tries.get() < 3 { Err(none_left()) } else { Ok(tries.get()) }
        });
        assert_eq!(opened.unwrap(), 3);
        assert_eq!(held.files.lock().unwrap().len(), 3, "held back again");
    }

    #[test]
    fn a_call_that_fails_otherwise_costs_none() {
        let held = HeldBack::new(3);
        let other = || Err::<(), _>(io::Error::from(io::ErrorKind::NotFound));
        assert_eq!(held.with(other).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(held.files.lock().unwrap().len(), 3);
        let none = held.with(|| Err::<(), _>(none_left())).unwrap_err();
        assert!(lacks_descriptor(&none));
        assert!(held.files.lock().unwrap().is_empty());
    }
}
