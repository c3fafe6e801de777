//! Several embedded members, for tests and experiments.

use std::ffi::c_char;
use std::sync::{Mutex, PoisonError};

use coord_core::embedded::{Addresses, Cluster, Server};

use crate::boundary::{Failure, free_with_threads, guard, limit, look, on_own_thread, required};
use crate::error::coord_error;
use crate::handle::{self, Handle};
use crate::server::{START_TIMEOUT, pick};
use crate::settings::{Start, coord_settings};
use crate::status::coord_status;
use crate::string::give_text;

/// A cluster of members inside this process, each with its own threads, ports
/// and temporary directory. Release with `coord_cluster_free`.
#[derive(Debug)]
#[expect(non_camel_case_types, reason = "the name is C's")]
pub struct coord_cluster {
    handle: Handle<Members>,
}

#[derive(Debug)]
struct Members {
    cluster: Mutex<Cluster>,
    addresses: Vec<Addresses>,
}

/// Starts a cluster on free loopback ports and waits until all members are
/// ready. Blocks.
///
/// size        1 to 7 members; 3 tolerate the loss of one, 5 of two.
/// settings    for each member, except addresses and directories; NULL for the defaults; copied.
/// timeout_ms  how long to wait for each; negative means one minute.
/// out         receives the cluster; release with coord_cluster_free.
/// Returns     as coord_server_start.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_cluster_start(
    size: u64,
    settings: *const coord_settings,
    timeout_ms: i64,
    out: *mut *mut coord_cluster,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        required(out, "out")?;
        // SAFETY: the caller promises that `settings` is NULL or a live object of this library.
        let start = unsafe { Start::with(settings) }?;
        let limit = limit(timeout_ms, START_TIMEOUT);
        let members = on_own_thread(|| {
            let Start { settings, log } = &*start;
            let started = Cluster::start_while(size, settings, limit, log.as_ref(), &mut || true)?;
            let cluster = started.ok_or_else(|| {
                Failure::new(coord_status::COORD_INTERNAL, "the wait is never interrupted")
            })?;
            let addresses = cluster.servers().iter().map(Server::addresses).collect();
            Ok(Members { cluster: Mutex::new(cluster), addresses })
        })?;
        // SAFETY: the caller promises that `out` is NULL or writable.
        unsafe { handle::give(out, coord_cluster { handle: Handle::new(members) }) }
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// The number of members that a cluster was started with; 0 for NULL.
///
/// # Safety
/// `cluster` is NULL or from coord_cluster_start.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_cluster_size(cluster: *const coord_cluster) -> usize {
    // SAFETY: the caller promises that `cluster` is NULL or a live object of this library.
    look(0, || Ok(unsafe { handle::lend(cluster, "cluster") }?.handle.value()?.addresses.len()))
}

/// The address of a listener of a member; see coord_server_address.
///
/// position  which member, from 0.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_cluster_address(
    cluster: *const coord_cluster,
    position: usize,
    listener: i32,
    out: *mut *mut c_char,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        // SAFETY: the caller promises that `cluster` is NULL or a live object of this library.
        let members = unsafe { handle::lend(cluster, "cluster") }?.handle.value()?;
        let missing = || {
            let text = format!("there is no member at position {position}");
            Failure::new(coord_status::COORD_INVALID, text)
        };
        let address = pick(members.addresses.get(position).ok_or_else(missing)?, listener)?;
        let text = address.map_or_else(|| "off".to_owned(), |address| address.to_string());
        // SAFETY: the caller promises that `out` is NULL or writable.
        unsafe { give_text(out, &text) }
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Stops one member permanently. The others continue while they are a majority.
///
/// position  which member, from 0.
/// Returns   COORD_OK, also if it was already stopped; COORD_INVALID; COORD_FORKED.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_cluster_stop_member(
    cluster: *mut coord_cluster,
    position: usize,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        // SAFETY: the caller promises that `cluster` is NULL or a live object of this library.
        let members = unsafe { handle::lend(cluster, "cluster") }?.handle.value()?;
        on_own_thread(|| {
            let mut cluster = members.cluster.lock().unwrap_or_else(PoisonError::into_inner);
            cluster.stop_member(position).map_err(Failure::from)
        })
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Stops all members that are still running, and releases the cluster. NULL is
/// allowed. In a forked child nothing is stopped: the members run in the
/// parent.
///
/// # Safety
/// `cluster` is NULL or from coord_cluster_start, not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_cluster_free(cluster: *mut coord_cluster) {
    // SAFETY: the caller promises that `cluster` is NULL or from this library, and is not used
    // again.
    unsafe { free_with_threads(cluster) };
}
