//! What a watch saw.

use std::ffi::{CString, c_char};

use coord_core::client::zookeeper::{EventKind, WatchEvent};

use crate::boundary::{Failure, free, look};
use crate::handle;
use crate::string::c_text;

/// What happened to a watched znode. ZooKeeper's numbers where it has one.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(non_camel_case_types, reason = "the name is C's")]
pub enum coord_event_kind {
    /// No event.
    COORD_EVENT_NONE = 0,
    /// It was created.
    COORD_EVENT_CREATED = 1,
    /// It was deleted.
    COORD_EVENT_DELETED = 2,
    /// Its data was written.
    COORD_EVENT_DATA_CHANGED = 3,
    /// A child of it was created or deleted.
    COORD_EVENT_CHILDREN_CHANGED = 4,
    /// The watch was removed: this is its last event.
    COORD_EVENT_WATCH_REMOVED = 7,
    /// Changes may have been missed because the connection was lost or events
    /// were not fetched: read again. A one-time watch may already have fired.
    COORD_EVENT_MISSED = 101,
    /// The session has ended, and the watch with it.
    COORD_EVENT_SESSION_LOST = 102,
}

impl From<EventKind> for coord_event_kind {
    fn from(kind: EventKind) -> Self {
        match kind {
            EventKind::Created => Self::COORD_EVENT_CREATED,
            EventKind::Deleted => Self::COORD_EVENT_DELETED,
            EventKind::DataChanged => Self::COORD_EVENT_DATA_CHANGED,
            EventKind::ChildrenChanged => Self::COORD_EVENT_CHILDREN_CHANGED,
            EventKind::WatchRemoved => Self::COORD_EVENT_WATCH_REMOVED,
            EventKind::Missed => Self::COORD_EVENT_MISSED,
            EventKind::SessionLost => Self::COORD_EVENT_SESSION_LOST,
        }
    }
}

/// An event of a watch. Release with `coord_event_free`.
#[derive(Debug)]
#[expect(non_camel_case_types, reason = "the name is C's")]
pub struct coord_event {
    kind: coord_event_kind,
    path: CString,
    zxid: i64,
}

impl coord_event {
    pub(super) fn new(event: WatchEvent) -> Result<Self, Failure> {
        let path = c_text(event.path)?;
        Ok(Self { kind: event.kind.into(), path, zxid: event.zxid.unwrap_or(-1) })
    }
}

/// What happened. COORD_EVENT_NONE for NULL.
///
/// # Safety
/// `event` is NULL or from coord_zk_wait_event.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_event_type(event: *const coord_event) -> coord_event_kind {
    // SAFETY: the caller promises that `event` is NULL or a live object of this library.
    look(coord_event_kind::COORD_EVENT_NONE, || Ok(unsafe { handle::lend(event, "event") }?.kind))
}

/// The path of the znode; empty if it concerns all znodes, and for NULL. Valid as long as the
/// event.
///
/// # Safety
/// As `coord_event_type`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_event_path(event: *const coord_event) -> *const c_char {
    // SAFETY: the caller promises that `event` is NULL or a live object of this library.
    look(c"".as_ptr(), || Ok(unsafe { handle::lend(event, "event") }?.path.as_ptr()))
}

/// The zxid of the change; -1 if the server does not send it (before ZooKeeper
/// 3.9), and for NULL.
///
/// # Safety
/// As `coord_event_type`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_event_zxid(event: *const coord_event) -> i64 {
    // SAFETY: the caller promises that `event` is NULL or a live object of this library.
    look(-1, || Ok(unsafe { handle::lend(event, "event") }?.zxid))
}

/// Releases an event. NULL is allowed.
///
/// # Safety
/// `event` is NULL or from coord_zk_wait_event, not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_event_free(event: *mut coord_event) {
    // SAFETY: the caller promises that `event` is NULL or from this library, and is not used
    // again.
    unsafe { free(event) };
}
