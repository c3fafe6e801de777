//! Classification of failed writes, and retries.
//!
//! | failure | what the log does |
//! |---|---|
//! | no space, a quota, a size limit, no descriptor, no memory | retries until it succeeds: an operator can fix it, and nothing is lost meanwhile |
//! | any other, especially a failed fsync | tries [`HARD_MAX`] times, each in a new file, then fails permanently |
//!
//! Nothing is reported durable before it is, so a retry is always correct.
//! Syncing the same file again after a failed fsync is not, since the kernel
//! may have marked the lost pages as clean.

use std::io;
use std::time::Duration;

use rustix::io::Errno;

/// Whether the log can be written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum LogCondition {
    /// As far as is known.
    #[default]
    Sound,
    /// Not at the moment, and why. It is tried again and again.
    Stalled(String),
    /// Never again, and why.
    Failed(String),
}

/// Failures that do not pass by themselves, in a row, before the log gives up.
const HARD_MAX: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(200);
/// One line in so many attempts: in about half a minute.
const ATTEMPTS_PER_LINE: u32 = 150;

/// Whether a failure passes when somebody makes room.
pub(crate) fn may_pass(error: &io::Error) -> bool {
    use io::ErrorKind::{
        FileTooLarge, Interrupted, OutOfMemory, QuotaExceeded, StorageFull, WouldBlock,
    };
    matches!(
        error.kind(),
        StorageFull | QuotaExceeded | FileTooLarge | OutOfMemory | Interrupted | WouldBlock
    ) || lacks_descriptor(error)
}

/// Whether the process, or the machine, has no file descriptor left.
pub(crate) fn lacks_descriptor(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

/// What comes after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Again {
        pause: Duration,
        /// It lasts: those outside are to know.
        report: bool,
    },
    GiveUp,
}

/// Attempts at the same thing that failed.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    failed: u32,
    hard: u32,
}

impl Attempts {
    pub(super) fn after(&mut self, error: &io::Error) -> Next {
        self.failed = self.failed.saturating_add(1);
        if may_pass(error) {
            self.hard = 0;
        } else {
            self.hard += 1;
            if self.hard > HARD_MAX {
                return Next::GiveUp;
            }
        }
        let doubled = FIRST_PAUSE * 2_u32.pow((self.failed - 1).min(10));
        // One that is mended within milliseconds is nobody's concern.
        Next::Again { pause: doubled.min(PAUSE_MAX), report: self.failed > 1 }
    }

    /// Whether this one is to be logged: not each, or a full disk would be filled by it.
    pub(super) fn is_worth_a_line(&self) -> bool {
        self.failed == 2 || self.failed.is_multiple_of(ATTEMPTS_PER_LINE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> io::Error {
        io::Error::from_raw_os_error(Errno::NOSPC.raw_os_error())
    }

    #[test]
    fn what_room_mends_is_tried_for_ever() {
        for errno in [Errno::NOSPC, Errno::DQUOT, Errno::FBIG, Errno::MFILE, Errno::NFILE] {
            let error = io::Error::from_raw_os_error(errno.raw_os_error());
            assert!(may_pass(&error), "{error}");
        }
        let mut attempts = Attempts::default();
        assert_eq!(attempts.after(&full()), Next::Again { pause: FIRST_PAUSE, report: false });
        for _ in 0..1000 {
            assert_ne!(attempts.after(&full()), Next::GiveUp);
        }
        assert_eq!(attempts.after(&full()), Next::Again { pause: PAUSE_MAX, report: true });
    }

    #[test]
    fn a_broken_disk_is_given_up_after_a_few_attempts() {
        let broken = io::Error::from_raw_os_error(Errno::IO.raw_os_error());
        let mut attempts = Attempts::default();
        for _ in 0..HARD_MAX {
            assert_ne!(attempts.after(&broken), Next::GiveUp);
        }
        assert_eq!(attempts.after(&broken), Next::GiveUp);
    }

    #[test]
    fn few_of_many_attempts_are_logged() {
        let mut attempts = Attempts::default();
        let lines = (0..1500).filter(|_| {
            attempts.after(&full());
            attempts.is_worth_a_line()
        });
        assert_eq!(lines.count(), 11);
    }
}
