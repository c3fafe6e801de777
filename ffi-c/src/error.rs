//! The error object: everything known about one failed call.

use std::ffi::{CString, c_char};

use crate::boundary::{Failure, free, look};
use crate::handle;
use crate::status::coord_status;

/// Why a call failed. Owned by the caller; release with `coord_error_free`.
#[derive(Debug)]
#[expect(non_camel_case_types, reason = "the name is C's")]
pub struct coord_error {
    failure: Failure,
    message: CString,
}

impl coord_error {
    pub(crate) fn new(failure: Failure) -> Self {
        // NUL bytes end a C string, so they cannot be part of one.
        let message = CString::new(failure.message.replace('\0', " ")).unwrap_or_default();
        Self { failure, message }
    }
}

/// The status of the failed call. `COORD_OK` for NULL.
///
/// # Safety
/// `error` is NULL or an error of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_error_status(error: *const coord_error) -> coord_status {
    // SAFETY: the caller promises that `error` is NULL or a live object of this library.
    look(coord_status::COORD_OK, || Ok(unsafe { handle::lend(error, "error") }?.failure.status))
}

/// A human-readable message: what went wrong and what to do. NUL-terminated;
/// valid as long as the error. Empty for NULL.
///
/// # Safety
/// As `coord_error_status`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_error_message(error: *const coord_error) -> *const c_char {
    // SAFETY: the caller promises that `error` is NULL or a live object of this library.
    look(c"".as_ptr(), || Ok(unsafe { handle::lend(error, "error") }?.message.as_ptr()))
}

/// Whether the same call may succeed later. False for NULL.
///
/// # Safety
/// As `coord_error_status`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_error_is_retryable(error: *const coord_error) -> bool {
    // SAFETY: the caller promises that `error` is NULL or a live object of this library.
    look(false, || Ok(unsafe { handle::lend(error, "error") }?.failure.retryable))
}

/// Whether the operation may have taken effect despite the error. False for NULL.
///
/// # Safety
/// As `coord_error_status`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_error_may_have_applied(error: *const coord_error) -> bool {
    // SAFETY: the caller promises that `error` is NULL or a live object of this library.
    look(false, || Ok(unsafe { handle::lend(error, "error") }?.failure.may_have_applied))
}

/// ZooKeeper's own code, or 0 if the call was not one to a ZooKeeper server.
///
/// # Safety
/// As `coord_error_status`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_error_zk_code(error: *const coord_error) -> i32 {
    // SAFETY: the caller promises that `error` is NULL or a live object of this library.
    look(0, || Ok(unsafe { handle::lend(error, "error") }?.failure.zk_code))
}

/// The HTTP status, or 0 if no Consul server answered.
///
/// # Safety
/// As `coord_error_status`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_error_http_status(error: *const coord_error) -> i32 {
    // SAFETY: the caller promises that `error` is NULL or a live object of this library.
    look(0, || Ok(unsafe { handle::lend(error, "error") }?.failure.http_status.into()))
}

/// Releases an error. NULL is allowed.
///
/// # Safety
/// `error` is NULL or an error of this library, not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_error_free(error: *mut coord_error) {
    // SAFETY: the caller promises that `error` is NULL or from this library, and is not used
    // again.
    unsafe { free(error) };
}
