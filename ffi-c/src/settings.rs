//! Settings of an embedded member, as text, so that a new setting changes no
//! struct.

use std::ffi::c_char;
use std::sync::{Mutex, PoisonError};

use coord_core::embedded::MemberLog;
use coord_core::settings::Settings;

use crate::boundary::{self, Failure, guard};
use crate::error::coord_error;
use crate::handle;
use crate::log::coord_log;
use crate::status::coord_status;

/// The settings to start a member with. Release with `coord_settings_free`.
#[derive(Debug)]
#[expect(non_camel_case_types, reason = "the name is C's")]
pub struct coord_settings {
    inner: Mutex<Settings>,
    log: Mutex<Option<MemberLog>>,
}

/// What a member is started with.
pub(crate) struct Start {
    pub(crate) settings: Settings,
    pub(crate) log: Option<MemberLog>,
}

impl Start {
    /// A copy of what C holds; the defaults for NULL. In a box, as it is large for
    /// a small stack.
    ///
    /// # Safety
    /// `settings` is NULL or from coord_settings_new.
    pub(crate) unsafe fn with(settings: *const coord_settings) -> Result<Box<Self>, Failure> {
        if settings.is_null() {
            return Ok(Box::new(Self { settings: Settings::embedded(), log: None }));
        }
        // SAFETY: the caller promises that `settings` is NULL or a live object of this library.
        let given = unsafe { handle::lend(settings, "settings") }?;
        let settings = given.inner.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let log = given.log.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Box::new(Self { settings, log }))
    }
}

/// Settings of one member for embedding: any free loopback port for each
/// protocol, data in a temporary directory unless `data_dir` is set.
///
/// out      receives the settings; release with coord_settings_free.
/// Returns  COORD_OK, COORD_INVALID.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_settings_new(
    out: *mut *mut coord_settings,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        // SAFETY: the caller promises that `out` is NULL or writable.
        unsafe {
            let inner = Mutex::new(Settings::embedded());
            handle::give(out, coord_settings { inner, log: Mutex::default() })
        }
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Sets one setting by its name, as in docs/CONFIGURATION.md: `data_dir`,
/// `zk_addr`, `session.tick_ms` and so on.
///
/// Returns  COORD_OK; COORD_INVALID for an unknown name or an invalid value.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_settings_set(
    settings: *mut coord_settings,
    key: *const c_char,
    value: *const c_char,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        // SAFETY: the caller promises that `settings` is NULL or a live object of this library.
        let settings = unsafe { handle::lend(settings, "settings") }?;
        // SAFETY: the caller promises that `key` is NULL or NUL-terminated.
        let key = unsafe { boundary::text(key, "key") }?;
        // SAFETY: the caller promises that `value` is NULL or NUL-terminated.
        let value = unsafe { boundary::text(value, "value") }?;
        let mut inner = settings.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.set(key, value).map_err(Failure::from)
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Redirects the log of members started with these settings to `log` only.
///
/// log      NULL for none. It may be released before the settings and the members.
/// Returns  COORD_OK, COORD_INVALID, COORD_FORKED.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_settings_set_log(
    settings: *mut coord_settings,
    log: *const coord_log,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        // SAFETY: the caller promises that `settings` is NULL or a live object of this library.
        let settings = unsafe { handle::lend(settings, "settings") }?;
        // SAFETY: the caller promises that `log` is NULL or a live object of this library.
        let log = unsafe { log.as_ref() }.map(coord_log::share).transpose()?;
        *settings.log.lock().unwrap_or_else(PoisonError::into_inner) = log;
        Ok(())
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Releases settings. NULL is allowed.
///
/// # Safety
/// `settings` is NULL or from coord_settings_new, not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_settings_free(settings: *mut coord_settings) {
    // SAFETY: the caller promises that `settings` is NULL or from this library, and is not used
    // again.
    unsafe { boundary::free(settings) };
}
