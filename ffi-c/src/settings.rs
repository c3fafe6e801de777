//! Settings of an embedded member, as text: a new knob changes no struct.

use std::ffi::c_char;
use std::sync::{Mutex, PoisonError};

use coord_core::settings::Settings;

use crate::boundary::{self, Failure, guard};
use crate::error::coord_error;
use crate::handle;
use crate::status::coord_status;

/// What a member is to be started with. Release with `coord_settings_free`.
#[derive(Debug)]
#[expect(non_camel_case_types, reason = "the name is C's")]
pub struct coord_settings {
    inner: Mutex<Settings>,
}

impl coord_settings {
    pub(crate) fn copy(&self) -> Settings {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
        // SAFETY: promised by the caller.
        unsafe { handle::give(out, coord_settings { inner: Mutex::new(Settings::embedded()) }) }
    };
    // SAFETY: promised by the caller.
    unsafe { guard(error, body) }
}

/// Sets one setting by its name, as in docs/CONFIGURATION.md: `data_dir`,
/// `zk_addr`, `session.tick_ms` and so on.
///
/// Returns  COORD_OK; COORD_INVALID for an unknown name or a value that does not fit.
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
        // SAFETY: promised by the caller.
        let settings = unsafe { handle::lend(settings, "settings") }?;
        // SAFETY: promised by the caller.
        let key = unsafe { boundary::text(key, "key") }?;
        // SAFETY: promised by the caller.
        let value = unsafe { boundary::text(value, "value") }?;
        let mut inner = settings.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.set(key, value).map_err(Failure::from)
    };
    // SAFETY: promised by the caller.
    unsafe { guard(error, body) }
}

/// Releases settings. NULL is fine.
///
/// # Safety
/// `settings` is NULL or from coord_settings_new, not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_settings_free(settings: *mut coord_settings) {
    // SAFETY: promised by the caller.
    unsafe { boundary::free(settings) };
}
