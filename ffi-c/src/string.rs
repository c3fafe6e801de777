//! Texts the library hands out.

use std::ffi::{CString, c_char};

use crate::boundary::Failure;
use crate::coord_status;
use crate::handle;

/// Hands a text to C, to be released with `coord_string_free`.
///
/// # Safety
/// `out` is NULL or points to a place for one pointer.
pub(crate) unsafe fn give_text(out: *mut *mut c_char, text: &str) -> Result<(), Failure> {
    if out.is_null() {
        return Err(Failure::null("out"));
    }
    let text = CString::new(text).map_err(|_| {
        Failure::new(coord_status::COORD_INTERNAL, "a text of the library contains a NUL byte")
    })?;
    // SAFETY: not NULL, and the caller promises the place.
    unsafe { crate::boundary::put(out, text.into_raw()) };
    Ok(())
}

/// Releases a text that a function of this library said to release so. NULL is fine.
///
/// # Safety
/// `text` is NULL or such a text, not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_string_free(text: *mut c_char) {
    if text.is_null() {
        return;
    }
    // SAFETY: promised by the caller; it came from `CString::into_raw`.
    drop(unsafe { CString::from_raw(text) });
}

/// Bytes the library hands out. Release with `coord_bytes_free`.
#[derive(Debug)]
#[expect(non_camel_case_types, reason = "the name is C's")]
pub struct coord_bytes {
    bytes: Vec<u8>,
}

impl coord_bytes {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }
}

/// Where the bytes are; never NULL except for NULL.
///
/// # Safety
/// `bytes` is NULL or from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_bytes_data(bytes: *const coord_bytes) -> *const u8 {
    // SAFETY: promised by the caller.
    unsafe { handle::lend(bytes, "bytes") }.map_or(std::ptr::null(), |bytes| bytes.bytes.as_ptr())
}

/// How many there are; 0 for NULL.
///
/// # Safety
/// As `coord_bytes_data`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_bytes_len(bytes: *const coord_bytes) -> usize {
    // SAFETY: promised by the caller.
    unsafe { handle::lend(bytes, "bytes") }.map_or(0, |bytes| bytes.bytes.len())
}

/// Releases bytes. NULL is fine.
///
/// # Safety
/// `bytes` is NULL or from this library, not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_bytes_free(bytes: *mut coord_bytes) {
    // SAFETY: promised by the caller.
    drop(unsafe { handle::take(bytes) });
}
