//! Setting watches and waiting for their events.

use std::ffi::c_char;
use std::time::Duration;

use coord_core::client::zookeeper::{WatchMode, WatcherKind};

use super::event::coord_event;
use super::{coord_zk, session};
use crate::boundary::{self, Failure, guard, required};
use crate::error::coord_error;
use crate::handle;
use crate::status::coord_status;

/// What to watch, and for how long.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(non_camel_case_types, reason = "the name is C's")]
pub enum coord_watch_kind {
    /// One event, when the znode is created, deleted or written. It need not exist yet.
    COORD_WATCH_DATA = 0,
    /// One event, when a child is created or deleted, or the znode itself deleted.
    COORD_WATCH_CHILDREN = 1,
    /// All events of the znode and its list of children, until unwatched.
    COORD_WATCH_PERSISTENT = 2,
    /// All events of the znode and its descendants, until unwatched.
    COORD_WATCH_RECURSIVE = 3,
}

impl coord_watch_kind {
    /// An enum from C may hold any number, so it arrives as one.
    fn from_c(kind: i32) -> Result<Self, Failure> {
        let all = [
            Self::COORD_WATCH_DATA,
            Self::COORD_WATCH_CHILDREN,
            Self::COORD_WATCH_PERSISTENT,
            Self::COORD_WATCH_RECURSIVE,
        ];
        all.into_iter().find(|known| *known as i32 == kind).ok_or_else(|| {
            let text = format!("{kind} is not one of coord_watch_kind");
            Failure::new(coord_status::COORD_INVALID, text)
        })
    }
}

/// Sets a watch on a znode; fetch its events with coord_zk_wait_event. To miss
/// no change, set the watch before reading.
///
/// kind     one of coord_watch_kind.
/// Returns  COORD_OK; COORD_ZK_NO_NODE (children of a missing znode); see also coord_zk_get.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_zk_watch(
    zk: *const coord_zk,
    path: *const c_char,
    kind: i32,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        // SAFETY: the caller promises that `zk` is NULL or a live object of this library and
        // `path` is NULL or NUL-terminated.
        let (session, path) = unsafe { (session(zk)?, boundary::text(path, "path")?) };
        let (kind, watcher) = (coord_watch_kind::from_c(kind)?, session.watcher()?);
        let client = &session.client;
        match kind {
            coord_watch_kind::COORD_WATCH_DATA => {
                client.exists_with(path, Some(watcher)).map(|_| ())
            }
            coord_watch_kind::COORD_WATCH_CHILDREN => {
                client.children_with(path, Some(watcher)).map(|_| ())
            }
            coord_watch_kind::COORD_WATCH_PERSISTENT => {
                client.add_watch(path, WatchMode::Persistent, watcher)
            }
            coord_watch_kind::COORD_WATCH_RECURSIVE => {
                client.add_watch(path, WatchMode::PersistentRecursive, watcher)
            }
        }
        .map_err(Failure::from)
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Removes the session's watches of a kind from a znode. The last event for
/// each is COORD_EVENT_WATCH_REMOVED.
///
/// kind     one of coord_watch_kind.
/// Returns  COORD_OK; COORD_ZK_OTHER (no such watch); see also coord_zk_get.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_zk_unwatch(
    zk: *const coord_zk,
    path: *const c_char,
    kind: i32,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        // SAFETY: the caller promises that `zk` is NULL or a live object of this library and
        // `path` is NULL or NUL-terminated.
        let (session, path) = unsafe { (session(zk)?, boundary::text(path, "path")?) };
        let kind = match coord_watch_kind::from_c(kind)? {
            coord_watch_kind::COORD_WATCH_DATA => WatcherKind::Data,
            coord_watch_kind::COORD_WATCH_CHILDREN => WatcherKind::Children,
            coord_watch_kind::COORD_WATCH_PERSISTENT => WatcherKind::Persistent,
            coord_watch_kind::COORD_WATCH_RECURSIVE => WatcherKind::PersistentRecursive,
        };
        session.client.remove_watches(path, kind).map_err(Failure::from)
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Waits for the next event of any watch of the session. Up to 4096 events are
/// queued; beyond that they are replaced by one COORD_EVENT_MISSED.
///
/// timeout_ms  0 returns immediately, negative waits forever.
/// out         receives the event; release with coord_event_free.
/// Returns     COORD_OK; COORD_TIMEOUT (no event, no error object); COORD_CLOSED; COORD_INVALID;
///             COORD_FORKED.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_zk_wait_event(
    zk: *const coord_zk,
    timeout_ms: i64,
    out: *mut *mut coord_event,
    error: *mut *mut coord_error,
) -> coord_status {
    let mut nothing_happened = false;
    let body = || {
        required(out, "out")?;
        // SAFETY: the caller promises that `zk` is NULL or a live object of this library.
        let session = unsafe { session(zk) }?;
        let limit = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
        match session.events.wait(limit)? {
            // SAFETY: the caller promises that `out` is NULL or writable.
            Some(event) => unsafe { handle::give(out, coord_event::new(event)?) },
            None => {
                nothing_happened = true;
                Ok(())
            }
        }
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    let status = unsafe { guard(error, body) };
    if nothing_happened { coord_status::COORD_TIMEOUT } else { status }
}
