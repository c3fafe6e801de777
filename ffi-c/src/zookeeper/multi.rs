//! Several changes as one: all or none.

use std::ffi::c_char;
use std::sync::{Mutex, PoisonError};

use coord_core::client::zookeeper::{Op, OpResult};

use super::tree::create_mode;
use super::{coord_zk, session};
use crate::boundary::{self, free, guard};
use crate::error::coord_error;
use crate::handle;
use crate::status::coord_status;
use crate::string::coord_strings;

/// Operations to apply atomically with coord_zk_multi. Release with
/// `coord_ops_free`.
#[derive(Debug)]
#[expect(non_camel_case_types, reason = "the name is C's")]
pub struct coord_ops {
    ops: Mutex<Vec<Op>>,
}

impl coord_ops {
    pub(super) fn add(&self, op: Op) {
        self.ops.lock().unwrap_or_else(PoisonError::into_inner).push(op);
    }
}

/// Creates an empty list of operations.
///
/// out      receives it; release with coord_ops_free.
/// Returns  COORD_OK, COORD_INVALID.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_ops_new(
    out: *mut *mut coord_ops,
    error: *mut *mut coord_error,
) -> coord_status {
    // SAFETY: the caller promises that `out` is NULL or writable.
    let body = || unsafe { handle::give(out, coord_ops { ops: Mutex::default() }) };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Adds the creation of a znode. Arguments as for coord_zk_create, copied.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_ops_create(
    ops: *mut coord_ops,
    path: *const c_char,
    data: *const u8,
    data_len: usize,
    mode: i32,
    ttl_ms: i64,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        // SAFETY: the caller promises that `ops` is NULL or a live object of this library, `path`
        // is NULL or NUL-terminated and `data` is NULL or has `data_len` bytes.
        let (ops, path, data) = unsafe {
            (
                handle::lend(ops, "ops")?,
                boundary::text(path, "path")?.to_owned(),
                boundary::optional_bytes(data, data_len, "data")?,
            )
        };
        ops.add(Op::Create { path, data, acl: None, mode: create_mode(mode, ttl_ms)? });
        Ok(())
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Adds setting the data of a znode. Arguments as for coord_zk_set, copied.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_ops_set(
    ops: *mut coord_ops,
    path: *const c_char,
    data: *const u8,
    data_len: usize,
    version: i32,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        // SAFETY: the caller promises that `ops` is NULL or a live object of this library, `path`
        // is NULL or NUL-terminated and `data` is NULL or has `data_len` bytes.
        let (ops, path, data) = unsafe {
            (
                handle::lend(ops, "ops")?,
                boundary::text(path, "path")?.to_owned(),
                boundary::optional_bytes(data, data_len, "data")?,
            )
        };
        ops.add(Op::Set { path, data, version });
        Ok(())
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Adds the deletion of a znode. Arguments as for coord_zk_delete, copied.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_ops_delete(
    ops: *mut coord_ops,
    path: *const c_char,
    version: i32,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        // SAFETY: the caller promises that `ops` is NULL or a live object of this library and
        // `path` is NULL or NUL-terminated.
        let (ops, path) = unsafe { (handle::lend(ops, "ops")?, boundary::text(path, "path")?) };
        ops.add(Op::Delete { path: path.to_owned(), version });
        Ok(())
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Adds the condition that a znode exists and has this version, -1 for any.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_ops_check(
    ops: *mut coord_ops,
    path: *const c_char,
    version: i32,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        // SAFETY: the caller promises that `ops` is NULL or a live object of this library and
        // `path` is NULL or NUL-terminated.
        let (ops, path) = unsafe { (handle::lend(ops, "ops")?, boundary::text(path, "path")?) };
        ops.add(Op::CheckVersion { path: path.to_owned(), version });
        Ok(())
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Releases a list of operations. NULL is allowed.
///
/// # Safety
/// `ops` is NULL or from coord_ops_new, not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_ops_free(ops: *mut coord_ops) {
    // SAFETY: the caller promises that `ops` is NULL or from this library, and is not used again.
    unsafe { free(ops) };
}

/// Applies all operations of a list atomically. If one fails, none is applied,
/// its status is returned, and the message names it.
///
/// out_paths  NULL, or receives for each change the path as created, empty for
///            what is not a creation; release with coord_strings_free.
/// Returns    COORD_OK; what the refused change returns by itself; see also coord_zk_get.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_zk_multi(
    zk: *const coord_zk,
    ops: *const coord_ops,
    out_paths: *mut *mut coord_strings,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        // SAFETY: the caller promises that `zk` and `ops` are NULL or live objects of this
        // library.
        let (session, ops) = unsafe { (session(zk)?, handle::lend(ops, "ops")?) };
        let ops = ops.ops.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let results = session.client.multi(&ops)?;
        if out_paths.is_null() {
            return Ok(());
        }
        let paths = coord_strings::new(results.into_iter().map(path_created).collect())?;
        // SAFETY: the caller promises that `out_paths` is NULL or writable.
        unsafe { handle::give(out_paths, paths) }
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

fn path_created(result: OpResult) -> String {
    match result {
        OpResult::Created(created) => created.path,
        OpResult::Deleted | OpResult::Set(_) | OpResult::Checked => String::new(),
    }
}
