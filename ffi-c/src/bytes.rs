//! Bytes returned by the library.

use bytes::Bytes;

use crate::boundary::{free, look};
use crate::handle;

/// Bytes returned by the library. Release with `coord_bytes_free`.
#[derive(Debug)]
#[expect(non_camel_case_types, reason = "the name is C's")]
pub struct coord_bytes {
    bytes: Bytes,
}

impl coord_bytes {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self { bytes }
    }
}

/// The bytes; NULL only for NULL.
///
/// # Safety
/// `bytes` is NULL or from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_bytes_data(bytes: *const coord_bytes) -> *const u8 {
    // SAFETY: the caller promises that `bytes` is NULL or a live object of this library.
    look(std::ptr::null(), || Ok(unsafe { handle::lend(bytes, "bytes") }?.bytes.as_ptr()))
}

/// The number of bytes; 0 for NULL.
///
/// # Safety
/// As `coord_bytes_data`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_bytes_len(bytes: *const coord_bytes) -> usize {
    // SAFETY: the caller promises that `bytes` is NULL or a live object of this library.
    look(0, || Ok(unsafe { handle::lend(bytes, "bytes") }?.bytes.len()))
}

/// Releases bytes. NULL is allowed.
///
/// # Safety
/// `bytes` is NULL or from this library, not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_bytes_free(bytes: *mut coord_bytes) {
    // SAFETY: the caller promises that `bytes` is NULL or from this library, and is not used
    // again.
    unsafe { free(bytes) };
}
