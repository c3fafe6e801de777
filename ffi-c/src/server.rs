//! An embedded member.

use std::ffi::c_char;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use coord_core::embedded::{Addresses, Server, ServerState};

use crate::boundary::{Failure, free_with_threads, guard, limit, on_own_thread, put, required};
use crate::error::coord_error;
use crate::handle::{self, Handle};
use crate::settings::{Start, coord_settings};
use crate::status::coord_status;
use crate::string::give_text;

/// A member running inside this process, with its own threads, ports and data
/// directory. A process can run several. Release with `coord_server_free`.
#[derive(Debug)]
#[expect(non_camel_case_types, reason = "the name is C's")]
pub struct coord_server {
    handle: Handle<Box<Member>>,
}

#[derive(Debug)]
struct Member {
    server: Mutex<Server>,
    addresses: Addresses,
}

/// Starts a member and waits until it is ready. Blocks.
///
/// settings    NULL for the defaults of coord_settings_new; copied.
/// timeout_ms  how long to wait for a majority; negative means one minute.
/// out         receives the member; release with coord_server_free.
/// Returns     COORD_OK; COORD_INVALID (a setting, a port or directory in use);
///             COORD_CORRUPT (a damaged data directory); COORD_UNAVAILABLE (no majority in time).
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_server_start(
    settings: *const coord_settings,
    timeout_ms: i64,
    out: *mut *mut coord_server,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        required(out, "out")?;
        // SAFETY: the caller promises that `settings` is NULL or a live object of this library.
        let start = unsafe { Start::with(settings) }?;
        let limit = limit(timeout_ms, START_TIMEOUT);
        let member = on_own_thread(|| {
            let server = Server::start_logged(start.settings, start.log.as_ref())?;
            server.wait_ready(limit)?;
            let addresses = server.addresses();
            Ok(Box::new(Member { server: Mutex::new(server), addresses }))
        })?;
        // SAFETY: the caller promises that `out` is NULL or writable.
        unsafe { handle::give(out, coord_server { handle: Handle::new(member) }) }
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

pub(crate) const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A listener of a member.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(non_camel_case_types, reason = "the name is C's")]
pub enum coord_listener {
    /// ZooKeeper clients.
    COORD_LISTENER_ZK = 0,
    /// Consul's HTTP API.
    COORD_LISTENER_HTTP = 1,
    /// DNS.
    COORD_LISTENER_DNS = 2,
    /// Other members.
    COORD_LISTENER_PEER = 3,
    /// ZooKeeper clients over TLS, on a port of its own.
    COORD_LISTENER_ZK_TLS = 4,
    /// Consul's HTTP API over TLS.
    COORD_LISTENER_HTTPS = 5,
}

/// The address of a listener, as `host:port` with the actual port, or `off`.
///
/// listener  one of coord_listener.
/// out       receives a string; release with coord_string_free.
/// Returns   COORD_OK, COORD_INVALID, COORD_FORKED.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_server_address(
    server: *const coord_server,
    listener: i32,
    out: *mut *mut c_char,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        // SAFETY: the caller promises that `server` is NULL or a live object of this library.
        let member = unsafe { handle::lend(server, "server") }?.handle.value()?;
        let address = pick(&member.addresses, listener)?;
        let text = address.map_or_else(|| "off".to_owned(), |address| address.to_string());
        // SAFETY: the caller promises that `out` is NULL or writable.
        unsafe { give_text(out, &text) }
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

pub(crate) fn pick(addresses: &Addresses, listener: i32) -> Result<Option<SocketAddr>, Failure> {
    // An enum from C may hold any number, so it arrives as one.
    const ZK: i32 = coord_listener::COORD_LISTENER_ZK as i32;
    const HTTP: i32 = coord_listener::COORD_LISTENER_HTTP as i32;
    const DNS: i32 = coord_listener::COORD_LISTENER_DNS as i32;
    const PEER: i32 = coord_listener::COORD_LISTENER_PEER as i32;
    const ZK_TLS: i32 = coord_listener::COORD_LISTENER_ZK_TLS as i32;
    const HTTPS: i32 = coord_listener::COORD_LISTENER_HTTPS as i32;
    match listener {
        ZK => Ok(addresses.zk),
        HTTP => Ok(addresses.http),
        DNS => Ok(addresses.dns),
        PEER => Ok(addresses.peer),
        ZK_TLS => Ok(addresses.zk_tls),
        HTTPS => Ok(addresses.https),
        other => Err(Failure::new(
            coord_status::COORD_INVALID,
            format!("{other} is not one of coord_listener"),
        )),
    }
}

/// The current state of a member.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(non_camel_case_types, reason = "the name is C's")]
pub enum coord_server_state {
    /// Serves reads and writes.
    COORD_SERVER_SERVING = 0,
    /// Waits until it knows a leader, belongs to the cluster and has its state.
    COORD_SERVER_WAITING = 1,
    /// Serves reads only: its disk is almost full. It resumes by itself.
    COORD_SERVER_REFUSING_WRITES = 2,
    /// Serves almost nothing: it cannot write its log. It resumes by itself.
    COORD_SERVER_STALLED = 3,
    /// Failed permanently: stop it and start it again.
    COORD_SERVER_FAILED = 4,
    /// Stopped.
    COORD_SERVER_STOPPED = 5,
}

/// The state of a member, and why.
///
/// state    receives one of coord_server_state.
/// reason   NULL, or receives the problem, empty if there is none; release with
///          coord_string_free.
/// Returns  COORD_OK, COORD_INVALID, COORD_FORKED.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_server_status(
    server: *const coord_server,
    state: *mut i32,
    reason: *mut *mut c_char,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        required(state, "state")?;
        // SAFETY: the caller promises that `server` is NULL or a live object of this library.
        let member = unsafe { handle::lend(server, "server") }?.handle.value()?;
        let status = member.server.lock().unwrap_or_else(PoisonError::into_inner).status();
        if !reason.is_null() {
            // SAFETY: the caller promises that `reason` is NULL or writable.
            unsafe { give_text(reason, &status.reason) }?;
        }
        // SAFETY: not NULL, and the caller promises the place.
        unsafe { put(state, number_of(status.state) as i32) };
        Ok(())
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

fn number_of(state: ServerState) -> coord_server_state {
    match state {
        ServerState::Serving => coord_server_state::COORD_SERVER_SERVING,
        ServerState::Waiting => coord_server_state::COORD_SERVER_WAITING,
        ServerState::RefusingWrites => coord_server_state::COORD_SERVER_REFUSING_WRITES,
        ServerState::Stalled => coord_server_state::COORD_SERVER_STALLED,
        ServerState::Failed => coord_server_state::COORD_SERVER_FAILED,
        ServerState::Stopped => coord_server_state::COORD_SERVER_STOPPED,
    }
}

/// Waits until a member fails permanently. Blocks; other threads may use the
/// member meanwhile, and stop it.
///
/// timeout_ms  0 returns immediately; negative waits forever.
/// reason      NULL, or receives why; release with coord_string_free.
/// Returns     COORD_OK: it failed; COORD_TIMEOUT: it did not; COORD_CLOSED: it was stopped;
///             COORD_INVALID, COORD_FORKED.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_server_wait_failed(
    server: *const coord_server,
    timeout_ms: i64,
    reason: *mut *mut c_char,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        // SAFETY: the caller promises that `server` is NULL or a live object of this library.
        let member = unsafe { handle::lend(server, "server") }?.handle.value()?;
        let watch = {
            let server = member.server.lock().unwrap_or_else(PoisonError::into_inner);
            server.failure_watch()
        };
        let Some(why) = watch.wait(limit(timeout_ms, FOR_EVER))? else {
            return Err(Failure::new(coord_status::COORD_TIMEOUT, "the member did not fail"));
        };
        if !reason.is_null() {
            // SAFETY: the caller promises that `reason` is NULL or writable.
            unsafe { give_text(reason, &why) }?;
        }
        Ok(())
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Longer than any process lasts, and no overflow anywhere.
const FOR_EVER: Duration = Duration::from_secs(u32::MAX as u64);

/// Stops a member: closes its ports, flushes its log, joins its threads.
/// Blocks; stopping twice is allowed.
///
/// Returns  COORD_OK, COORD_INVALID, COORD_FORKED.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_server_stop(
    server: *mut coord_server,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        // SAFETY: the caller promises that `server` is NULL or a live object of this library.
        let member = unsafe { handle::lend(server, "server") }?.handle.value()?;
        on_own_thread(|| {
            member.server.lock().unwrap_or_else(PoisonError::into_inner).stop();
            Ok(())
        })
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Stops a member if it is still running, and releases it. NULL is allowed. In
/// a forked child nothing is stopped: the member runs in the parent.
///
/// # Safety
/// `server` is NULL or from coord_server_start, not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_server_free(server: *mut coord_server) {
    // SAFETY: the caller promises that `server` is NULL or from this library, and is not used
    // again.
    unsafe { free_with_threads(server) };
}
