//! Reading and changing znodes.

use std::ffi::c_char;

use coord_core::client::zookeeper::{CreateMode, CreateOptions};

use super::stat::{coord_stat, put_stat};
use super::{coord_zk, session};
use crate::boundary::{self, Failure, guard, put, required};
use crate::bytes::coord_bytes;
use crate::error::coord_error;
use crate::handle;
use crate::status::coord_status;
use crate::string::{coord_strings, give_text};

/// The create mode of a znode, with ZooKeeper's numbers.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(non_camel_case_types, reason = "the name is C's")]
pub enum coord_create_mode {
    /// Exists until deleted.
    COORD_CREATE_PERSISTENT = 0,
    /// Deleted when its session ends.
    COORD_CREATE_EPHEMERAL = 1,
    /// Exists until deleted; a sequence number is appended to its name.
    COORD_CREATE_PERSISTENT_SEQUENTIAL = 2,
    /// Deleted when its session ends; a sequence number is appended to its
    /// name.
    COORD_CREATE_EPHEMERAL_SEQUENTIAL = 3,
    /// Deleted some time after its last child.
    COORD_CREATE_CONTAINER = 4,
    /// Deleted when it has no children and was not written for `ttl_ms`.
    COORD_CREATE_TTL = 5,
    /// As COORD_CREATE_TTL; a sequence number is appended to its name.
    COORD_CREATE_TTL_SEQUENTIAL = 6,
}

/// The mode C means. An enum from C may hold any number, so it arrives as one.
pub(super) fn create_mode(mode: i32, ttl_ms: i64) -> Result<CreateMode, Failure> {
    const PERSISTENT: i32 = coord_create_mode::COORD_CREATE_PERSISTENT as i32;
    const EPHEMERAL: i32 = coord_create_mode::COORD_CREATE_EPHEMERAL as i32;
    const NUMBERED: i32 = coord_create_mode::COORD_CREATE_PERSISTENT_SEQUENTIAL as i32;
    const NUMBERED_EPHEMERAL: i32 = coord_create_mode::COORD_CREATE_EPHEMERAL_SEQUENTIAL as i32;
    const CONTAINER: i32 = coord_create_mode::COORD_CREATE_CONTAINER as i32;
    const TTL: i32 = coord_create_mode::COORD_CREATE_TTL as i32;
    const NUMBERED_TTL: i32 = coord_create_mode::COORD_CREATE_TTL_SEQUENTIAL as i32;
    let invalid = |text| Failure::new(coord_status::COORD_INVALID, text);
    if matches!(mode, TTL | NUMBERED_TTL) {
        let ttl_ms = u64::try_from(ttl_ms)
            .map_err(|_| invalid(format!("ttl_ms is {ttl_ms}, but must be at least 1")))?;
        return Ok(CreateMode::Ttl { sequential: mode == NUMBERED_TTL, ttl_ms });
    }
    if ttl_ms > 0 {
        return Err(invalid(format!("ttl_ms is {ttl_ms}, but the create mode has no TTL")));
    }
    match mode {
        PERSISTENT => Ok(CreateMode::Persistent { sequential: false }),
        NUMBERED => Ok(CreateMode::Persistent { sequential: true }),
        EPHEMERAL => Ok(CreateMode::Ephemeral { sequential: false }),
        NUMBERED_EPHEMERAL => Ok(CreateMode::Ephemeral { sequential: true }),
        CONTAINER => Ok(CreateMode::Container),
        other => Err(invalid(format!("{other} is not one of coord_create_mode"))),
    }
}

/// Creates a znode with an open ACL: anyone may read and change it.
///
/// data      `data_len` bytes; NULL with 0 means no data, which differs from empty data.
/// mode      one of coord_create_mode.
/// ttl_ms    TTL for the two modes that have one, otherwise 0.
/// out_path  NULL, or receives the path as created; release with coord_string_free.
/// Returns   COORD_OK; COORD_ZK_NODE_EXISTS; COORD_ZK_NO_NODE (no parent);
///           COORD_ZK_NO_CHILDREN_FOR_EPHEMERALS; COORD_ZK_UNIMPLEMENTED (a disabled mode);
///           see also coord_zk_get.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_zk_create(
    zk: *const coord_zk,
    path: *const c_char,
    data: *const u8,
    data_len: usize,
    mode: i32,
    ttl_ms: i64,
    out_path: *mut *mut c_char,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        // SAFETY: the caller promises that `zk` is NULL or a live object of this library, `path`
        // is NULL or NUL-terminated and `data` is NULL or has `data_len` bytes.
        let (session, path, data) = unsafe {
            (
                session(zk)?,
                boundary::text(path, "path")?,
                boundary::optional_bytes(data, data_len, "data")?,
            )
        };
        let options = CreateOptions::mode(create_mode(mode, ttl_ms)?);
        let created = session.client.create(path, data, &options)?;
        if out_path.is_null() {
            return Ok(());
        }
        // SAFETY: the caller promises that `out_path` is NULL or writable.
        unsafe { give_text(out_path, &created.path) }
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Creates a persistent znode without data, and missing parents. Succeeds if it
/// already exists.
///
/// Returns  as coord_zk_create.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_zk_ensure_path(
    zk: *const coord_zk,
    path: *const c_char,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        // SAFETY: the caller promises that `zk` is NULL or a live object of this library and
        // `path` is NULL or NUL-terminated.
        let (session, path) = unsafe { (session(zk)?, boundary::text(path, "path")?) };
        session.client.ensure_path(path, None).map_err(Failure::from)
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Reads a znode.
///
/// out       NULL, or receives its data; release with coord_bytes_free.
/// out_stat  NULL, or receives its stat.
/// Returns   COORD_OK; COORD_ZK_NO_NODE; COORD_ZK_NO_AUTH. As every call of a session also
///           COORD_UNAVAILABLE (no server; nothing was done), COORD_INDETERMINATE (a change
///           without a reply: it may have been made), COORD_ZK_SESSION_EXPIRED,
///           COORD_ZK_BAD_ARGUMENTS (such as a relative path), COORD_INVALID,
///           COORD_CLOSED, COORD_FORKED.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_zk_get(
    zk: *const coord_zk,
    path: *const c_char,
    out: *mut *mut coord_bytes,
    out_stat: *mut coord_stat,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        // SAFETY: the caller promises that `zk` is NULL or a live object of this library and
        // `path` is NULL or NUL-terminated.
        let (session, path) = unsafe { (session(zk)?, boundary::text(path, "path")?) };
        let znode = session.client.get(path)?;
        // SAFETY: the caller promises that `out_stat` is NULL or writable.
        unsafe { put_stat(out_stat, znode.stat) };
        if out.is_null() {
            return Ok(());
        }
        // SAFETY: the caller promises that `out` is NULL or writable.
        unsafe { handle::give(out, coord_bytes::new(znode.data.unwrap_or_default())) }
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Sets the data of a znode.
///
/// data      as for coord_zk_create.
/// version   the expected version, from coord_stat; -1 for any.
/// out_stat  NULL, or receives the new stat.
/// Returns   COORD_OK; COORD_ZK_NO_NODE; COORD_ZK_BAD_VERSION; see also coord_zk_get.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_zk_set(
    zk: *const coord_zk,
    path: *const c_char,
    data: *const u8,
    data_len: usize,
    version: i32,
    out_stat: *mut coord_stat,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        // SAFETY: the caller promises that `zk` is NULL or a live object of this library, `path`
        // is NULL or NUL-terminated and `data` is NULL or has `data_len` bytes.
        let (session, path, data) = unsafe {
            (
                session(zk)?,
                boundary::text(path, "path")?,
                boundary::optional_bytes(data, data_len, "data")?,
            )
        };
        let stat = session.client.set(path, data, version)?;
        // SAFETY: the caller promises that `out_stat` is NULL or writable.
        unsafe { put_stat(out_stat, stat) };
        Ok(())
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Deletes a znode without children.
///
/// version  the expected version, from coord_stat; -1 for any.
/// Returns  COORD_OK; COORD_ZK_NO_NODE; COORD_ZK_NOT_EMPTY; COORD_ZK_BAD_VERSION;
///          see also coord_zk_get.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_zk_delete(
    zk: *const coord_zk,
    path: *const c_char,
    version: i32,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        // SAFETY: the caller promises that `zk` is NULL or a live object of this library and
        // `path` is NULL or NUL-terminated.
        let (session, path) = unsafe { (session(zk)?, boundary::text(path, "path")?) };
        session.client.delete(path, version).map_err(Failure::from)
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Deletes a znode with all its descendants, one after the other.
///
/// Returns  as coord_zk_delete.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_zk_delete_recursive(
    zk: *const coord_zk,
    path: *const c_char,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        // SAFETY: the caller promises that `zk` is NULL or a live object of this library and
        // `path` is NULL or NUL-terminated.
        let (session, path) = unsafe { (session(zk)?, boundary::text(path, "path")?) };
        session.client.delete_recursive(path).map_err(Failure::from)
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Checks whether a znode exists. It is not an error if it does not.
///
/// out       receives whether it exists.
/// out_stat  NULL, or receives its stat if it exists.
/// Returns   COORD_OK; see also coord_zk_get.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_zk_exists(
    zk: *const coord_zk,
    path: *const c_char,
    out: *mut bool,
    out_stat: *mut coord_stat,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        required(out, "out")?;
        // SAFETY: the caller promises that `zk` is NULL or a live object of this library and
        // `path` is NULL or NUL-terminated.
        let (session, path) = unsafe { (session(zk)?, boundary::text(path, "path")?) };
        let stat = session.client.exists(path)?;
        // SAFETY: the caller promises that `out` is NULL or writable.
        unsafe { put(out, stat.is_some()) };
        if let Some(stat) = stat {
            // SAFETY: the caller promises that `out_stat` is NULL or writable.
            unsafe { put_stat(out_stat, stat) };
        }
        Ok(())
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Lists the names of a znode's children, in no particular order.
///
/// out       receives the names, without the path; release with coord_strings_free.
/// out_stat  NULL, or receives the znode's stat.
/// Returns   COORD_OK; COORD_ZK_NO_NODE; see also coord_zk_get.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_zk_children(
    zk: *const coord_zk,
    path: *const c_char,
    out: *mut *mut coord_strings,
    out_stat: *mut coord_stat,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        required(out, "out")?;
        // SAFETY: the caller promises that `zk` is NULL or a live object of this library and
        // `path` is NULL or NUL-terminated.
        let (session, path) = unsafe { (session(zk)?, boundary::text(path, "path")?) };
        let (names, stat) = session.client.children(path)?;
        let names = coord_strings::new(names)?;
        // SAFETY: the caller promises that `out_stat` and `out` are NULL or writable.
        unsafe {
            put_stat(out_stat, stat);
            handle::give(out, names)
        }
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Makes the server catch up: later reads see every change that any client had
/// acknowledged before this call.
///
/// Returns  COORD_OK; see also coord_zk_get.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_zk_sync(
    zk: *const coord_zk,
    path: *const c_char,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        // SAFETY: the caller promises that `zk` is NULL or a live object of this library and
        // `path` is NULL or NUL-terminated.
        let (session, path) = unsafe { (session(zk)?, boundary::text(path, "path")?) };
        session.client.sync(path).map_err(Failure::from)
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}
