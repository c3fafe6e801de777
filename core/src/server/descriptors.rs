//! Reserves file descriptors for what is more important than another client:
//! the log, snapshots, other members.
//!
//! The operating system assigns the lowest free number, so a connection with a
//! number close to the limit means that the table is nearly full.

use std::os::fd::AsRawFd;

use rustix::process::{Resource, getrlimit};

/// Numbers below the limit that no client gets, at most.
const KEPT_MAX: u64 = 64;
/// The same as a part of the limit.
const KEPT_DIVISOR: u64 = 8;

/// Whether a connection just accepted is to be closed for want of descriptors.
pub(crate) fn are_scarce_with(connection: &impl AsRawFd) -> bool {
    let number = u64::try_from(connection.as_raw_fd()).unwrap_or_default();
    leaves_too_few(number, getrlimit(Resource::Nofile).current)
}

fn leaves_too_few(number: u64, limit: Option<u64>) -> bool {
    limit.is_some_and(|limit| number + KEPT_MAX.min(limit / KEPT_DIVISOR) >= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_descriptors_go_to_no_client() {
        assert!(!leaves_too_few(900, Some(1024)));
        assert!(leaves_too_few(960, Some(1024)));
        assert!(leaves_too_few(57, Some(64)));
        assert!(!leaves_too_few(20, Some(64)));
        assert!(!leaves_too_few(1_000_000, None));
    }
}
