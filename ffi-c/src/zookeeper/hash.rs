//! Hashes of contents, and acting only on the content they were read of.

use std::ffi::c_char;

use coord_core::client::zookeeper::{ContentHash, Op, Reach};

use super::multi::coord_ops;
use super::stat::{coord_stat, put_stat};
use super::{coord_zk, session};
use crate::boundary::{self, Failure, guard, put, required};
use crate::error::coord_error;
use crate::handle;
use crate::status::coord_status;

/// A content hash: equal for equal content, within one cluster. Compare with
/// memcmp.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct coord_hash {
    /// The hash.
    pub bytes: [u8; 16],
}

/// The hash behind a pointer of C.
///
/// # Safety
/// `hash` is NULL or valid.
unsafe fn hash_at(hash: *const coord_hash) -> Result<ContentHash, Failure> {
    // SAFETY: the caller promises that `hash` is NULL or readable.
    unsafe { handle::lend(hash, "hash") }.map(|hash| ContentHash(hash.bytes))
}

fn reach(subtree: bool) -> Reach {
    if subtree { Reach::Subtree } else { Reach::Znode }
}

/// Reads the content hash of a znode: of its path, data, ACL and lifetime
/// (owner or TTL). It does not cover versions and times: the same content
/// always has the same hash.
///
/// subtree   whether to include all descendants; requires permission to read all of them.
/// out       receives the hash.
/// out_zxid  NULL, or receives the zxid at which it was computed.
/// Returns   COORD_OK; COORD_ZK_NO_NODE; COORD_ZK_NO_AUTH; COORD_ZK_UNIMPLEMENTED (the original
///           ZooKeeper, which has no content hashes); see also coord_zk_get.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_zk_hash(
    zk: *const coord_zk,
    path: *const c_char,
    subtree: bool,
    out: *mut coord_hash,
    out_zxid: *mut i64,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        required(out, "out")?;
        // SAFETY: the caller promises that `zk` is NULL or a live object of this library and
        // `path` is NULL or NUL-terminated.
        let (session, path) = unsafe { (session(zk)?, boundary::text(path, "path")?) };
        let hashed = match reach(subtree) {
            Reach::Znode => session.client.content_hash(path)?,
            Reach::Subtree => session.client.subtree_hash(path)?,
        };
        // SAFETY: the caller promises that `out` and `out_zxid` are NULL or writable.
        unsafe {
            put(out, coord_hash { bytes: hashed.hash.0 });
            put(out_zxid, hashed.zxid);
        }
        Ok(())
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Sets the data of a znode if its content has this hash.
///
/// data      as for coord_zk_create.
/// hash      from coord_zk_hash, without the subtree.
/// out_stat  NULL, or receives the new stat.
/// Returns   COORD_OK; COORD_ZK_BAD_VERSION (another content); COORD_ZK_NO_NODE;
///           COORD_ZK_UNIMPLEMENTED as for coord_zk_hash; see also coord_zk_get.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_zk_set_if_hash(
    zk: *const coord_zk,
    path: *const c_char,
    data: *const u8,
    data_len: usize,
    hash: *const coord_hash,
    out_stat: *mut coord_stat,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        // SAFETY: the caller promises that `zk` is NULL or a live object of this library, `path` is
        // NULL or NUL-terminated, `data` is NULL or has `data_len` bytes and `hash` is NULL or
        // readable.
        let (session, path, data, hash) = unsafe {
            (
                session(zk)?,
                boundary::text(path, "path")?,
                boundary::optional_bytes(data, data_len, "data")?,
                hash_at(hash)?,
            )
        };
        let stat = session.client.set_data_if_hash(path, data, hash)?;
        // SAFETY: the caller promises that `out_stat` is NULL or writable.
        unsafe { put_stat(out_stat, stat) };
        Ok(())
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Deletes a znode without children if its content has this hash.
///
/// hash     from coord_zk_hash, without the subtree.
/// Returns  COORD_OK; COORD_ZK_BAD_VERSION (another content); COORD_ZK_NO_NODE;
///          COORD_ZK_NOT_EMPTY; COORD_ZK_UNIMPLEMENTED as for coord_zk_hash;
///          see also coord_zk_get.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_zk_delete_if_hash(
    zk: *const coord_zk,
    path: *const c_char,
    hash: *const coord_hash,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        // SAFETY: the caller promises that `zk` is NULL or a live object of this library, `path` is
        // NULL or NUL-terminated and `hash` is NULL or readable.
        let (session, path, hash) =
            unsafe { (session(zk)?, boundary::text(path, "path")?, hash_at(hash)?) };
        session.client.delete_if_hash(path, hash).map_err(Failure::from)
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Adds the condition that the content has this hash; otherwise the transaction
/// fails with COORD_ZK_BAD_VERSION.
///
/// subtree  as for the coord_zk_hash call that returned the hash.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_ops_check_hash(
    ops: *mut coord_ops,
    path: *const c_char,
    subtree: bool,
    hash: *const coord_hash,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        // SAFETY: the caller promises that `ops` is NULL or a live object of this library, `path` is
        // NULL or NUL-terminated and `hash` is NULL or readable.
        let (ops, path, hash) = unsafe {
            (handle::lend(ops, "ops")?, boundary::text(path, "path")?.to_owned(), hash_at(hash)?)
        };
        ops.add(Op::CheckHash { path, reach: reach(subtree), hash });
        Ok(())
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}
