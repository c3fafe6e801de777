//! Keys and values, conditions and locks.

use std::ffi::c_char;

use bytes::Bytes;
use coord_core::client::consul::{KvDelete, KvPut};

use super::pair::coord_pair;
use super::{client, coord_consul, not_found, waiting};
use crate::boundary::{self, Failure, guard, put, required};
use crate::error::coord_error;
use crate::handle;
use crate::status::coord_status;
use crate::string::coord_strings;

/// Reads a key.
///
/// index    NULL returns immediately. Otherwise waits for a change of the key after this index; 0
///          returns immediately. Receives the index for the next call, also with COORD_NOT_FOUND.
/// wait_ms  maximum wait; negative means 5 minutes, more than 10 are reduced to 10.
/// out      receives the value; release with coord_pair_free.
/// Returns  COORD_OK; COORD_NOT_FOUND; see also coord_consul_register.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_consul_kv_get(
    consul: *const coord_consul,
    key: *const c_char,
    index: *mut u64,
    wait_ms: i64,
    out: *mut *mut coord_pair,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        required(out, "out")?;
        // SAFETY: the caller promises that `consul` is NULL or a live object of this library,
        // `key` is NULL or NUL-terminated and `index` is NULL or readable.
        let (client, key, options) =
            unsafe { (client(consul)?, boundary::text(key, "key")?, waiting(index, wait_ms)) };
        let answer = client.kv_get(key, &options)?;
        // SAFETY: the caller promises that `index` is NULL or writable.
        unsafe { put(index, answer.index.unwrap_or_default()) };
        let pair = answer.body.ok_or_else(|| not_found(format!("there is no key {key:?}")))?;
        // SAFETY: the caller promises that `out` is NULL or writable.
        unsafe { handle::give(out, coord_pair::new(pair)?) }
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Lists the names of all keys that begin with `prefix`, in bytewise order.
///
/// separator  NULL lists all. Otherwise names are cut behind the first separator after the prefix.
/// out        receives the names, perhaps none; release with coord_strings_free.
/// Returns    COORD_OK; see also coord_consul_register.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_consul_kv_keys(
    consul: *const coord_consul,
    prefix: *const c_char,
    separator: *const c_char,
    out: *mut *mut coord_strings,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        required(out, "out")?;
        // SAFETY: the caller promises that `consul` is NULL or a live object of this library and
        // `prefix` and `separator` are NULL or NUL-terminated.
        let (client, prefix, separator, options) = unsafe {
            (
                client(consul)?,
                boundary::text(prefix, "prefix")?,
                boundary::optional_text(separator, "separator")?,
                waiting(std::ptr::null(), 0),
            )
        };
        let keys = client.kv_keys(prefix, separator, &options)?.body.unwrap_or_default();
        // SAFETY: the caller promises that `out` is NULL or writable.
        unsafe { handle::give(out, coord_strings::new(keys)?) }
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// What every put does: sends, and tells whether the condition held.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
unsafe fn put_key(
    consul: *const coord_consul,
    key: *const c_char,
    (data, data_len): (*const u8, usize),
    condition: &KvPut,
) -> Result<bool, Failure> {
    // SAFETY: the caller promises that `consul` is NULL or a live object of this library, `key` is
    // NULL or NUL-terminated and `data` is NULL or has `data_len` bytes.
    let (client, key, data) = unsafe {
        (client(consul)?, boundary::text(key, "key")?, boundary::bytes(data, data_len, "data")?)
    };
    client.kv_put(key, Bytes::copy_from_slice(data), condition).map_err(Failure::from)
}

/// Sets a key.
///
/// data     `data_len` bytes, at most 512 KiB by default.
/// flags    a number to store with it.
/// Returns  COORD_OK; see also coord_consul_register.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_consul_kv_put(
    consul: *const coord_consul,
    key: *const c_char,
    data: *const u8,
    data_len: usize,
    flags: u64,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        let condition = KvPut { flags: Some(flags), ..KvPut::default() };
        // SAFETY: the caller promises that `consul` is NULL or a live object of this library,
        // `key` is NULL or NUL-terminated and `data` is NULL or has `data_len` bytes.
        if unsafe { put_key(consul, key, (data, data_len), &condition) }? {
            return Ok(());
        }
        Err(Failure::new(coord_status::COORD_HTTP, "the agent did not set the key"))
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Sets a key if it was not changed in the meantime (check-and-set).
///
/// modify_index  as read by coord_pair_modify_index; 0 sets the key only if there is none.
/// out           receives whether it was set.
/// Returns       COORD_OK, also when it was not set; see also coord_consul_register.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_consul_kv_cas(
    consul: *const coord_consul,
    key: *const c_char,
    data: *const u8,
    data_len: usize,
    modify_index: u64,
    out: *mut bool,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        required(out, "out")?;
        let condition = KvPut { cas: Some(modify_index), ..KvPut::default() };
        // SAFETY: the caller promises that `consul` is NULL or a live object of this library,
        // `key` is NULL or NUL-terminated, `data` is NULL or has `data_len` bytes and `out` is
        // NULL or writable.
        unsafe { put(out, put_key(consul, key, (data, data_len), &condition)?) };
        Ok(())
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Sets a key and locks it for a session, unless another holds it.
///
/// session  from coord_consul_session_create.
/// out      receives whether the session now holds the lock.
/// Returns  COORD_OK, also when it does not; COORD_HTTP (no such session); see also
///          coord_consul_register.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_consul_kv_acquire(
    consul: *const coord_consul,
    key: *const c_char,
    data: *const u8,
    data_len: usize,
    session: *const c_char,
    out: *mut bool,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        required(out, "out")?;
        // SAFETY: the caller promises that `session` is NULL or NUL-terminated.
        let session = unsafe { boundary::text(session, "session") }?;
        let condition = KvPut { acquire: Some(session.to_owned()), ..KvPut::default() };
        // SAFETY: the caller promises that `consul` is NULL or a live object of this library,
        // `key` is NULL or NUL-terminated, `data` is NULL or has `data_len` bytes and `out` is
        // NULL or writable.
        unsafe { put(out, put_key(consul, key, (data, data_len), &condition)?) };
        Ok(())
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Sets a key and releases a session's lock on it.
///
/// out      receives whether the session held it.
/// Returns  COORD_OK, also when it did not; see also coord_consul_register.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_consul_kv_release(
    consul: *const coord_consul,
    key: *const c_char,
    data: *const u8,
    data_len: usize,
    session: *const c_char,
    out: *mut bool,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        required(out, "out")?;
        // SAFETY: the caller promises that `session` is NULL or NUL-terminated.
        let session = unsafe { boundary::text(session, "session") }?;
        let condition = KvPut { release: Some(session.to_owned()), ..KvPut::default() };
        // SAFETY: the caller promises that `consul` is NULL or a live object of this library,
        // `key` is NULL or NUL-terminated, `data` is NULL or has `data_len` bytes and `out` is
        // NULL or writable.
        unsafe { put(out, put_key(consul, key, (data, data_len), &condition)?) };
        Ok(())
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Deletes a key. Succeeds if it does not exist.
///
/// recurse  also deletes every key with this prefix.
/// Returns  COORD_OK; see also coord_consul_register.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_consul_kv_delete(
    consul: *const coord_consul,
    key: *const c_char,
    recurse: bool,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        // SAFETY: the caller promises that `consul` is NULL or a live object of this library and
        // `key` is NULL or NUL-terminated.
        let (client, key) = unsafe { (client(consul)?, boundary::text(key, "key")?) };
        client.kv_delete(key, &KvDelete { recurse, ..KvDelete::default() })?;
        Ok(())
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Deletes a key if it was not changed in the meantime (check-and-set).
///
/// modify_index  as read by coord_pair_modify_index.
/// out           receives whether it was deleted.
/// Returns       COORD_OK, also when it was not deleted; see also coord_consul_register.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_consul_kv_delete_cas(
    consul: *const coord_consul,
    key: *const c_char,
    modify_index: u64,
    out: *mut bool,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        required(out, "out")?;
        // SAFETY: the caller promises that `consul` is NULL or a live object of this library and
        // `key` is NULL or NUL-terminated.
        let (client, key) = unsafe { (client(consul)?, boundary::text(key, "key")?) };
        let condition = KvDelete { cas: Some(modify_index), ..KvDelete::default() };
        let deleted = client.kv_delete(key, &condition)?;
        // SAFETY: the caller promises that `out` is NULL or writable.
        unsafe { put(out, deleted) };
        Ok(())
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}
