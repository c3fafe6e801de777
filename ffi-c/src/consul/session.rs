//! Consul sessions, which hold locks.

use std::ffi::c_char;

use coord_core::client::consul::{SessionDefinition, WriteOptions};

use super::{client, coord_consul, not_found};
use crate::boundary::{self, Failure, guard, required};
use crate::error::coord_error;
use crate::status::coord_status;
use crate::string::give_text;

/// Creates a session, which can hold locks.
///
/// name           a human-readable name; NULL for none.
/// ttl_ms         the session ends unless renewed at least this often, 10 seconds to a day; 0
///                for no TTL.
/// lock_delay_ms  how long its locks cannot be acquired after it expires; negative for 15 seconds.
/// delete_keys    whether the keys it locks are deleted with it instead of unlocked.
/// out            receives its id; release with coord_string_free.
/// Returns        COORD_OK; COORD_INVALID or COORD_HTTP (refused); see also coord_consul_register.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_consul_session_create(
    consul: *const coord_consul,
    name: *const c_char,
    ttl_ms: u64,
    lock_delay_ms: i64,
    delete_keys: bool,
    out: *mut *mut c_char,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        required(out, "out")?;
        // SAFETY: the caller promises that `consul` is NULL or a live object of this library and
        // `name` is NULL or NUL-terminated.
        let (client, name) = unsafe { (client(consul)?, boundary::optional_text(name, "name")?) };
        let session = SessionDefinition {
            name: name.map(str::to_owned),
            lock_delay: (lock_delay_ms >= 0).then(|| format!("{lock_delay_ms}ms")),
            behavior: delete_keys.then(|| "delete".to_owned()),
            ttl: (ttl_ms > 0).then(|| format!("{ttl_ms}ms")),
            ..SessionDefinition::default()
        };
        let id = client.session_create(&session, &WriteOptions::default())?;
        // SAFETY: the caller promises that `out` is NULL or writable.
        unsafe { give_text(out, &id) }
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Restarts the TTL of a session.
///
/// Returns  COORD_OK; COORD_NOT_FOUND (it has ended and lost its locks); see also
///          coord_consul_register.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_consul_session_renew(
    consul: *const coord_consul,
    session: *const c_char,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        // SAFETY: the caller promises that `consul` is NULL or a live object of this library and
        // `session` is NULL or NUL-terminated.
        let (client, id) = unsafe { (client(consul)?, boundary::text(session, "session")?) };
        match client.session_renew(id, &WriteOptions::default())? {
            Some(_) => Ok(()),
            None => Err(not_found(format!("there is no session {id:?}"))),
        }
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Ends a session and releases its locks. Succeeds if it does not exist.
///
/// Returns  COORD_OK; see also coord_consul_register.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_consul_session_destroy(
    consul: *const coord_consul,
    session: *const c_char,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        // SAFETY: the caller promises that `consul` is NULL or a live object of this library and
        // `session` is NULL or NUL-terminated.
        let (client, id) = unsafe { (client(consul)?, boundary::text(session, "session")?) };
        client.session_destroy(id, &WriteOptions::default()).map(|_| ()).map_err(Failure::from)
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}
