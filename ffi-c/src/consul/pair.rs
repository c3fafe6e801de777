//! The value of a key, with its metadata.

use std::ffi::{CString, c_char};

use bytes::Bytes;
use coord_core::client::consul::KvPair;

use crate::boundary::{Failure, free, look};
use crate::handle;
use crate::string::c_text;

/// The value of a key, with its metadata. Release with `coord_pair_free`.
#[derive(Debug)]
#[expect(non_camel_case_types, reason = "the name is C's")]
pub struct coord_pair {
    value: Bytes,
    session: Option<CString>,
    flags: u64,
    lock_index: u64,
    modify_index: u64,
}

impl coord_pair {
    pub(super) fn new(pair: KvPair) -> Result<Self, Failure> {
        Ok(Self {
            value: pair.value.unwrap_or_default(),
            session: pair.session.map(c_text).transpose()?,
            flags: pair.flags,
            lock_index: pair.lock_index,
            modify_index: pair.modify_index,
        })
    }
}

/// The value; NULL only for NULL. Valid as long as the pair.
///
/// # Safety
/// `pair` is NULL or from coord_consul_kv_get.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_pair_data(pair: *const coord_pair) -> *const u8 {
    // SAFETY: the caller promises that `pair` is NULL or a live object of this library.
    look(std::ptr::null(), || Ok(unsafe { handle::lend(pair, "pair") }?.value.as_ptr()))
}

/// The length of the value; 0 for NULL.
///
/// # Safety
/// As `coord_pair_data`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_pair_len(pair: *const coord_pair) -> usize {
    // SAFETY: the caller promises that `pair` is NULL or a live object of this library.
    look(0, || Ok(unsafe { handle::lend(pair, "pair") }?.value.len()))
}

/// The flags stored with the value; 0 for NULL.
///
/// # Safety
/// As `coord_pair_data`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_pair_flags(pair: *const coord_pair) -> u64 {
    // SAFETY: the caller promises that `pair` is NULL or a live object of this library.
    look(0, || Ok(unsafe { handle::lend(pair, "pair") }?.flags))
}

/// The index of the last change of the key; pass it to coord_consul_kv_cas. 0
/// for NULL.
///
/// # Safety
/// As `coord_pair_data`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_pair_modify_index(pair: *const coord_pair) -> u64 {
    // SAFETY: the caller promises that `pair` is NULL or a live object of this library.
    look(0, || Ok(unsafe { handle::lend(pair, "pair") }?.modify_index))
}

/// The number of times the key was locked; 0 for NULL.
///
/// # Safety
/// As `coord_pair_data`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_pair_lock_index(pair: *const coord_pair) -> u64 {
    // SAFETY: the caller promises that `pair` is NULL or a live object of this library.
    look(0, || Ok(unsafe { handle::lend(pair, "pair") }?.lock_index))
}

/// The session that holds the lock; NULL if none does. Valid as long as the
/// pair.
///
/// # Safety
/// As `coord_pair_data`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_pair_session(pair: *const coord_pair) -> *const c_char {
    look(std::ptr::null(), || {
        // SAFETY: the caller promises that `pair` is NULL or a live object of this library.
        let session = &unsafe { handle::lend(pair, "pair") }?.session;
        Ok(session.as_ref().map_or(std::ptr::null(), |session| session.as_ptr()))
    })
}

/// Releases a pair. NULL is allowed.
///
/// # Safety
/// `pair` is NULL or from coord_consul_kv_get, not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_pair_free(pair: *mut coord_pair) {
    // SAFETY: the caller promises that `pair` is NULL or from this library, and is not used again.
    unsafe { free(pair) };
}
