//! A client of Consul's HTTP API: opening, closing, waiting for changes.

pub mod check;
pub mod instances;
pub mod kv;
pub mod pair;
pub mod service;
pub mod session;

use std::ffi::c_char;
use std::time::Duration;

use coord_core::client::consul::blocking::Client;
use coord_core::client::consul::{ReadOptions, Settings};

use crate::boundary::{self, Failure, free, guard, required, with_signals_blocked};
use crate::error::coord_error;
use crate::handle::{self, Handle};
use crate::status::coord_status;

/// A client of a Consul agent, libcoord's own or a genuine one. Release with
/// `coord_consul_free`.
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
    // SAFETY: passed on.
    unsafe { handle::lend(consul, "consul") }?.handle.value()
}

/// Makes a client. Nothing is sent yet, so that it succeeds without an agent.
///
/// address  `host:port`, `http://host:port` or `unix:///path`; NULL for CONSUL_HTTP_ADDR of the
///          environment, or else 127.0.0.1:8500.
/// token    sent with every call; NULL for CONSUL_HTTP_TOKEN, or else none.
/// out      receives the client; release with coord_consul_free.
/// Returns  COORD_OK; COORD_INVALID (not an address); COORD_UNAVAILABLE (no thread can be made).
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
        // SAFETY: promised by the caller.
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
        let client = with_signals_blocked(|| Client::new(settings))?;
        // SAFETY: promised by the caller.
        unsafe { handle::give(out, coord_consul { handle: Handle::new(client) }) }
    };
    // SAFETY: promised by the caller.
    unsafe { guard(error, body) }
}

/// Closes a client. Other calls on it, also those that wait in another thread,
/// return COORD_CLOSED. Sessions and registrations stay. Twice is fine.
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
    // SAFETY: promised by the caller.
    let body = || unsafe { client(consul) }?.close().map_err(Failure::from);
    // SAFETY: promised by the caller.
    unsafe { guard(error, body) }
}

/// Closes a client unless it was closed, and releases it. NULL is fine.
///
/// # Safety
/// `consul` is NULL or from coord_consul_connect, not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_consul_free(consul: *mut coord_consul) {
    // SAFETY: promised by the caller.
    unsafe { free(consul) };
}

/// Options of a read that waits for a change, if the caller has an index.
///
/// # Safety
/// `index` is NULL or points to a number.
unsafe fn waiting(index: *const u64, wait_ms: i64) -> ReadOptions {
    // SAFETY: promised by the caller.
    let since = unsafe { index.as_ref() }.copied().filter(|index| *index > 0);
    let wait = u64::try_from(wait_ms).ok().map(Duration::from_millis);
    ReadOptions { index: since, wait: since.and(wait), ..ReadOptions::default() }
}

fn not_found(what: String) -> Failure {
    Failure { http_status: 404, ..Failure::new(coord_status::COORD_NOT_FOUND, what) }
}
