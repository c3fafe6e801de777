//! A client of ZooKeeper's protocol: connecting, closing, who we are.

pub mod event;
pub mod hash;
pub mod multi;
pub mod stat;
pub mod tree;
pub mod watch;

use std::ffi::c_char;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use coord_core::client::zookeeper::blocking::Client;
use coord_core::client::zookeeper::{Settings, State, Subscription, Watcher};

use crate::boundary::{
    self, Failure, free_with_threads, guard, limit, look, on_own_thread, required,
};
use crate::error::coord_error;
use crate::handle::{self, Handle};
use crate::status::coord_status;

/// Events that wait to be fetched; if there are more, they give way to one
/// that says so.
const EVENTS_MAX: usize = 4096;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// A session with a ZooKeeper server, libcoord's own or the original. Release with `coord_zk_free`.
#[derive(Debug)]
#[expect(non_camel_case_types, reason = "the name is C's")]
pub struct coord_zk {
    handle: Handle<Session>,
}

#[derive(Debug)]
struct Session {
    client: Client,
    /// Where all watches send to; none once closed, so that waiting ends.
    watcher: Mutex<Option<Watcher>>,
    events: Subscription,
}

impl Session {
    fn watcher(&self) -> Result<Watcher, Failure> {
        let watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner);
        let closed = || Failure::new(coord_status::COORD_CLOSED, "this session was closed");
        watcher.clone().ok_or_else(closed)
    }
}

/// The session behind a pointer of C.
///
/// # Safety
/// `zk` is NULL or from coord_zk_connect and not freed.
unsafe fn session<'a>(zk: *const coord_zk) -> Result<&'a Session, Failure> {
    // SAFETY: the caller promises that `zk` is NULL or a live object of this library.
    unsafe { handle::lend(zk, "zk") }?.handle.value()
}

/// Connects and opens a session. Blocks. If the connection is lost, the client reconnects to any of
/// the hosts; calls wait for that up to 30 seconds.
///
/// hosts               `host:port,host:port`, optionally followed by a chroot path.
/// session_timeout_ms  the session and its ephemeral znodes end if the servers receive
///                     nothing for this long; negative means 10 seconds. Servers limit it.
/// timeout_ms          how long to try; negative means 30 seconds, or about 5 if none of the
///                     hosts is listening. The error contains the reason for each host.
/// out                 receives the session; release with coord_zk_free.
/// Returns             COORD_OK; COORD_INVALID (hosts); COORD_UNAVAILABLE (no server in time).
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_zk_connect(
    hosts: *const c_char,
    session_timeout_ms: i64,
    timeout_ms: i64,
    out: *mut *mut coord_zk,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        required(out, "out")?;
        // SAFETY: the caller promises that `hosts` is NULL or NUL-terminated.
        let hosts = unsafe { boundary::text(hosts, "hosts") }?;
        let settings = Settings::with_hosts(hosts);
        let session = connect(settings, session_timeout_ms, timeout_ms)?;
        // SAFETY: the caller promises that `out` is NULL or writable.
        unsafe { handle::give(out, coord_zk { handle: Handle::new(session) }) }
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Connects like coord_zk_connect, with TLS or authentication.
///
/// options  lines of `name=value`:
///          `tls=on` trusts the system's CAs; `tls.ca_file=PATH` those in a PEM file,
///          `tls.ca_path=PATH` those in the files of a directory;
///          `tls.cert_file=PATH` and `tls.key_file=PATH` are the client certificate;
///          `tls.verify=any_name` accepts a valid certificate of any host, `nothing` any at all;
///          `sasl=USER:PASSWORD` authenticates with DIGEST-MD5.
/// Returns  as coord_zk_connect; COORD_INVALID also for an invalid option or an unusable
///          file; COORD_ZK_AUTH_FAILED if the server rejects the user.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_zk_connect_secured(
    hosts: *const c_char,
    options: *const c_char,
    session_timeout_ms: i64,
    timeout_ms: i64,
    out: *mut *mut coord_zk,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        required(out, "out")?;
        // SAFETY: the caller promises that `hosts` is NULL or NUL-terminated.
        let hosts = unsafe { boundary::text(hosts, "hosts") }?;
        // SAFETY: the caller promises that `options` is NULL or NUL-terminated.
        let options = unsafe { boundary::text(options, "options") }?;
        let mut settings = Settings::with_hosts(hosts);
        boundary::for_each_option(options, |name, value| settings.set(name, value))?;
        let session = connect(settings, session_timeout_ms, timeout_ms)?;
        // SAFETY: the caller promises that `out` is NULL or writable.
        unsafe { handle::give(out, coord_zk { handle: Handle::new(session) }) }
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

fn connect(
    mut settings: Settings,
    session_timeout_ms: i64,
    timeout_ms: i64,
) -> Result<Session, Failure> {
    settings.session_timeout = limit(session_timeout_ms, settings.session_timeout);
    let client = on_own_thread(|| {
        let client = Client::start(settings)?;
        match u64::try_from(timeout_ms) {
            Ok(timeout_ms) => client.wait_connected(Duration::from_millis(timeout_ms))?,
            Err(_) => client.wait_connected_unless_refused(CONNECT_TIMEOUT)?,
        }
        Ok(client)
    })?;
    let (watcher, events) = Watcher::new(EVENTS_MAX);
    Ok(Session { client, watcher: Mutex::new(Some(watcher)), events })
}

/// Ends the session and with it its ephemeral znodes and watches. Other calls
/// on it, also those waiting in another thread, return COORD_CLOSED; a change
/// that was sent but not answered returns COORD_INDETERMINATE. Closing twice is
/// allowed and returns the same.
///
/// Returns  COORD_OK once the server has confirmed it; COORD_INDETERMINATE if no server did: the
///          client is closed, but the session, its ephemeral znodes and its locks may
///          live until its timeout; COORD_INVALID, COORD_FORKED.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_zk_close(
    zk: *mut coord_zk,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        // SAFETY: the caller promises that `zk` is NULL or a live object of this library.
        let session = unsafe { session(zk) }?;
        session.watcher.lock().unwrap_or_else(PoisonError::into_inner).take();
        on_own_thread(|| session.client.close().map_err(Failure::from))
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Ends the session unless it was closed, and releases it. NULL is allowed. In
/// a forked child the session stays open: it belongs to the parent.
///
/// # Safety
/// `zk` is NULL or from coord_zk_connect, not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_zk_free(zk: *mut coord_zk) {
    // SAFETY: the caller promises that `zk` is NULL or from this library, and is not used again.
    unsafe { free_with_threads(zk) };
}

/// The state of a session.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(non_camel_case_types, reason = "the name is C's")]
pub enum coord_session_state {
    /// Not connected yet.
    COORD_SESSION_CONNECTING = 0,
    /// Connected and alive.
    COORD_SESSION_CONNECTED = 1,
    /// Not connected; the session may or may not be alive. Treat its ephemeral
    /// znodes and locks as lost until it is connected again.
    COORD_SESSION_SUSPENDED = 2,
    /// Expired, and its ephemeral znodes with it: open a new session.
    COORD_SESSION_LOST = 3,
    /// Closed by coord_zk_close.
    COORD_SESSION_CLOSED = 4,
}

/// The current state of a session. Closed for NULL and in a forked child.
///
/// # Safety
/// `zk` is NULL or from coord_zk_connect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_zk_state(zk: *const coord_zk) -> coord_session_state {
    look(coord_session_state::COORD_SESSION_CLOSED, || {
        // SAFETY: the caller promises that `zk` is NULL or a live object of this library.
        Ok(match unsafe { session(zk) }?.client.state() {
            State::Connecting => coord_session_state::COORD_SESSION_CONNECTING,
            State::Connected => coord_session_state::COORD_SESSION_CONNECTED,
            State::Suspended => coord_session_state::COORD_SESSION_SUSPENDED,
            State::Lost => coord_session_state::COORD_SESSION_LOST,
            State::Closed => coord_session_state::COORD_SESSION_CLOSED,
        })
    })
}

/// The id of a session, as in `ephemeral_owner` of what it creates. 0 for NULL
/// and in a forked child.
///
/// # Safety
/// `zk` is NULL or from coord_zk_connect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_zk_session_id(zk: *const coord_zk) -> i64 {
    // SAFETY: the caller promises that `zk` is NULL or a live object of this library.
    look(0, || Ok(unsafe { session(zk) }?.client.session().id))
}

/// The session timeout that the server granted, in ms. 0 for NULL and in a
/// forked child.
///
/// # Safety
/// `zk` is NULL or from coord_zk_connect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_zk_session_timeout_ms(zk: *const coord_zk) -> i64 {
    look(0, || {
        // SAFETY: the caller promises that `zk` is NULL or a live object of this library.
        let timeout = unsafe { session(zk) }?.client.session().timeout;
        Ok(i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX))
    })
}

/// The latest zxid that this session has seen. 0 for NULL and in a forked
/// child.
///
/// # Safety
/// `zk` is NULL or from coord_zk_connect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_zk_last_zxid(zk: *const coord_zk) -> i64 {
    // SAFETY: the caller promises that `zk` is NULL or a live object of this library.
    look(0, || Ok(unsafe { session(zk) }?.client.last_zxid()))
}

/// Authenticates, now and on every later connection of the session.
///
/// scheme   such as `digest`.
/// proof    `proof_len` bytes, such as `user:password`.
/// Returns  COORD_OK; COORD_ZK_AUTH_FAILED; see also coord_zk_get.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_zk_add_auth(
    zk: *const coord_zk,
    scheme: *const c_char,
    proof: *const u8,
    proof_len: usize,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        // SAFETY: the caller promises that `zk` is NULL or a live object of this library, `scheme`
        // is NULL or NUL-terminated and `proof` is NULL or has `proof_len` bytes.
        let (session, scheme, proof) = unsafe {
            (
                session(zk)?,
                boundary::text(scheme, "scheme")?,
                boundary::bytes(proof, proof_len, "proof")?,
            )
        };
        session.client.add_auth(scheme, Bytes::copy_from_slice(proof)).map_err(Failure::from)
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}
