//! A client for Consul's HTTP API: open, close, blocking queries.

pub mod check;
pub mod graph;
pub mod instances;
pub mod kv;
pub mod pair;
pub mod service;
pub mod session;

use std::ffi::c_char;
use std::time::Duration;

use coord_core::client::consul::blocking::Client;
use coord_core::client::consul::{ReadOptions, Settings};

use crate::boundary::{self, Failure, free_with_threads, guard, on_own_thread, required};
use crate::error::coord_error;
use crate::handle::{self, Handle};
use crate::status::coord_status;

/// A client of a Consul agent, libcoord's own or the original. Release with `coord_consul_free`.
#[derive(Debug)]
#[expect(non_camel_case_types, reason = "the name is C's")]
pub struct coord_consul {
    handle: Handle<Client>,
}

/// The client behind a pointer of C.
///
/// # Safety
/// `consul` is NULL or from coord_consul_connect and not freed.
unsafe fn client<'a>(consul: *const coord_consul) -> Result<&'a Client, Failure> {
    // SAFETY: the caller promises that `consul` is NULL or a live object of this library.
    unsafe { handle::lend(consul, "consul") }?.handle.value()
}

/// Creates a client. Sends nothing yet, so it succeeds without an agent.
///
/// TLS is used with `https://`, or if CONSUL_HTTP_SSL is `true` and the address has no scheme;
/// CONSUL_CACERT, CONSUL_CAPATH, CONSUL_CLIENT_CERT, CONSUL_CLIENT_KEY, CONSUL_TLS_SERVER_NAME and
/// CONSUL_HTTP_SSL_VERIFY have the same meaning as for Consul's own client.
///
/// address  `host:port`, `http://host:port`, `https://host:port` or `unix:///path`; NULL for
///          CONSUL_HTTP_ADDR of the environment, or else 127.0.0.1:8500.
/// token    sent with every call; NULL for CONSUL_HTTP_TOKEN, or else none.
/// out      receives the client; release with coord_consul_free.
/// Returns  COORD_OK; COORD_INVALID (not an address, or an unusable TLS file);
///          COORD_UNAVAILABLE (cannot start a thread).
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_consul_connect(
    address: *const c_char,
    token: *const c_char,
    out: *mut *mut coord_consul,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        required(out, "out")?;
        // SAFETY: the caller promises that `address` and `token` are NULL or NUL-terminated.
        let settings = unsafe { settings(address, token) }?;
        let client = on_own_thread(|| Client::new(settings).map_err(Failure::from))?;
        // SAFETY: the caller promises that `out` is NULL or writable.
        unsafe { handle::give(out, coord_consul { handle: Handle::new(client) }) }
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Creates a client like coord_consul_connect, with TLS options.
///
/// options  lines of `name=value`, which override the environment:
///          `tls=on` trusts the system's CAs; `tls.ca_file=PATH` those in a PEM file,
///          `tls.ca_path=PATH` those in the files of a directory;
///          `tls.cert_file=PATH` and `tls.key_file=PATH` are the client certificate;
///          `tls.verify=any_name` accepts a valid certificate of any host, `nothing` any at all;
///          `tls.server_name=NAME` is the host name expected in the server's certificate.
/// Returns  as coord_consul_connect; COORD_INVALID also for an invalid option.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_consul_connect_secured(
    address: *const c_char,
    token: *const c_char,
    options: *const c_char,
    out: *mut *mut coord_consul,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        required(out, "out")?;
        // SAFETY: the caller promises that `address` and `token` are NULL or NUL-terminated.
        let mut settings = unsafe { settings(address, token) }?;
        // SAFETY: the caller promises that `options` is NULL or NUL-terminated.
        let options = unsafe { boundary::text(options, "options") }?;
        boundary::for_each_option(options, |name, value| settings.set(name, value))?;
        let client = on_own_thread(|| Client::new(settings).map_err(Failure::from))?;
        // SAFETY: the caller promises that `out` is NULL or writable.
        unsafe { handle::give(out, coord_consul { handle: Handle::new(client) }) }
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// What the environment says, and what was given instead.
///
/// # Safety
/// As coord_consul_connect.
unsafe fn settings(address: *const c_char, token: *const c_char) -> Result<Settings, Failure> {
    // SAFETY: the caller promises that `address` and `token` are NULL or NUL-terminated.
    let (address, token) = unsafe {
        (boundary::optional_text(address, "address")?, boundary::optional_text(token, "token")?)
    };
    let mut settings = Settings::from_environment();
    if let Some(address) = address {
        settings.address = address.to_owned();
    }
    if let Some(token) = token {
        settings.token = Some(token.to_owned());
    }
    Ok(settings)
}

/// Closes a client. Other calls on it, also those waiting in another thread,
/// return COORD_CLOSED; a change in progress returns COORD_INDETERMINATE.
/// Sessions and registrations stay. Closing twice is allowed.
///
/// Returns  COORD_OK, COORD_INVALID, COORD_FORKED.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_consul_close(
    consul: *mut coord_consul,
    error: *mut *mut coord_error,
) -> coord_status {
    // SAFETY: the caller promises that `consul` is NULL or a live object of this library.
    let body = || {
        // SAFETY: the caller promises that `consul` is NULL or a live object of this library.
        let client = unsafe { client(consul) }?;
        on_own_thread(|| client.close().map_err(Failure::from))
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Closes a client unless it was closed, and releases it. NULL is allowed.
///
/// # Safety
/// `consul` is NULL or from coord_consul_connect, not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_consul_free(consul: *mut coord_consul) {
    // SAFETY: the caller promises that `consul` is NULL or from this library, and is not used
    // again.
    unsafe { free_with_threads(consul) };
}

/// Options of a read that waits for a change, if the caller has an index.
///
/// # Safety
/// `index` is NULL or points to a number.
unsafe fn waiting(index: *const u64, wait_ms: i64) -> ReadOptions {
    // SAFETY: the caller promises that `index` is NULL or readable.
    let since = unsafe { index.as_ref() }.copied().filter(|index| *index > 0);
    let wait = u64::try_from(wait_ms).ok().map(Duration::from_millis);
    ReadOptions { index: since, wait: since.and(wait), ..ReadOptions::default() }
}

fn not_found(what: String) -> Failure {
    Failure { http_status: 404, ..Failure::new(coord_status::COORD_NOT_FOUND, what) }
}
