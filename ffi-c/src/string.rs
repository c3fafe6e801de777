//! Texts the library hands out.

use std::ffi::{CString, c_char};

use crate::boundary::{Failure, free, look, put, required};
use crate::handle;
use crate::status::coord_status;

/// Hands a text to C, to be released with `coord_string_free`.
///
/// # Safety
/// `out` is NULL or points to a place for one pointer.
pub(crate) unsafe fn give_text(out: *mut *mut c_char, text: &str) -> Result<(), Failure> {
    required(out, "out")?;
    let text = c_text(text)?;
    // SAFETY: not NULL, and the caller promises the place.
    unsafe { put(out, text.into_raw()) };
    Ok(())
}

/// As C has it. A name with a NUL byte in it, which a server may hold, has no
/// such form.
pub(crate) fn c_text(text: impl Into<Vec<u8>>) -> Result<CString, Failure> {
    CString::new(text).map_err(|_| {
        Failure::new(coord_status::COORD_CORRUPT, "a string to return contains a NUL byte")
    })
}

/// Releases a string that the library returned, where the function's description says so. NULL is
/// allowed.
///
/// # Safety
/// `text` is NULL or such a text, not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_string_free(text: *mut c_char) {
    look((), || {
        required(text, "text")?;
        // SAFETY: promised by the caller; it came from `CString::into_raw`.
        drop(unsafe { CString::from_raw(text) });
        Ok(())
    });
}

/// A list of strings. Release with `coord_strings_free`.
#[derive(Debug)]
#[expect(non_camel_case_types, reason = "the name is C's")]
pub struct coord_strings {
    texts: Vec<CString>,
}

impl coord_strings {
    pub(crate) fn new(texts: Vec<String>) -> Result<Self, Failure> {
        Ok(Self { texts: texts.into_iter().map(c_text).collect::<Result<_, _>>()? })
    }
}

/// The number of strings; 0 for NULL.
///
/// # Safety
/// `strings` is NULL or from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_strings_count(strings: *const coord_strings) -> usize {
    // SAFETY: the caller promises that `strings` is NULL or a live object of this library.
    look(0, || Ok(unsafe { handle::lend(strings, "strings") }?.texts.len()))
}

/// The string at `position`, from 0; NULL past the end. Valid as long as the
/// list.
///
/// # Safety
/// As `coord_strings_count`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_strings_at(
    strings: *const coord_strings,
    position: usize,
) -> *const c_char {
    look(std::ptr::null(), || {
        // SAFETY: the caller promises that `strings` is NULL or a live object of this library.
        let texts = &unsafe { handle::lend(strings, "strings") }?.texts;
        Ok(texts.get(position).map_or(std::ptr::null(), |text| text.as_ptr()))
    })
}

/// Releases a list. NULL is allowed.
///
/// # Safety
/// `strings` is NULL or from this library, not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_strings_free(strings: *mut coord_strings) {
    // SAFETY: the caller promises that `strings` is NULL or from this library, and is not used
    // again.
    unsafe { free(strings) };
}
