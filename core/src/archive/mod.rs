//! File format of an archive of the whole state, as `/v1/snapshot` saves and restores it.
//!
//! `container` is the file with its checksums; `tar` reads and writes as much of tar as that
//! needs. Access checks and the restore through the log belong to the front end.

pub(crate) mod container;
mod tar;
