//! Health checks that the program reports itself.

use std::ffi::c_char;

use coord_core::client::consul::Check;
use serde_json::json;

use super::{client, coord_consul, not_found};
use crate::boundary::{self, Failure, guard};
use crate::error::coord_error;
use crate::status::coord_status;

/// The state of a service or check.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(non_camel_case_types, reason = "the name is C's")]
pub enum coord_check_state {
    /// Healthy.
    COORD_CHECK_PASSING = 0,
    /// Working, with a warning.
    COORD_CHECK_WARNING = 1,
    /// Not usable.
    COORD_CHECK_CRITICAL = 2,
}

/// Registers a TTL check with the agent: critical until
/// coord_consul_check_update reports another state, and again whenever that was
/// not called for `ttl_ms`.
///
/// name        a human-readable name.
/// id          unique at the agent; NULL for the name.
/// service_id  the service it belongs to; NULL for the whole node.
/// Returns     COORD_OK; COORD_HTTP (such as no such service); see also coord_consul_register.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_consul_check_register(
    consul: *const coord_consul,
    name: *const c_char,
    id: *const c_char,
    service_id: *const c_char,
    ttl_ms: u64,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        // SAFETY: the caller promises that `consul` is NULL or a live object of this library and
        // `name`, `id` and `service_id` are NULL or NUL-terminated.
        let (client, name, id, service_id) = unsafe {
            (
                client(consul)?,
                boundary::text(name, "name")?,
                boundary::optional_text(id, "id")?,
                boundary::optional_text(service_id, "service_id")?,
            )
        };
        let mut check = Check::ttl(&format!("{ttl_ms}ms"));
        if let Some(id) = id {
            check = check.with("ID", json!(id));
        }
        if let Some(service_id) = service_id {
            check = check.with("ServiceID", json!(service_id));
        }
        client.agent_check_register(name, &check, None).map_err(Failure::from)
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Reports the state of a TTL check.
///
/// check_id  as registered; `service:<id>` for a check of coord_consul_register.
/// state     one of coord_check_state.
/// note      a human-readable note; NULL for none.
/// Returns   COORD_OK; COORD_NOT_FOUND; see also coord_consul_register.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_consul_check_update(
    consul: *const coord_consul,
    check_id: *const c_char,
    state: i32,
    note: *const c_char,
    error: *mut *mut coord_error,
) -> coord_status {
    // An enum from C may hold any number, so it arrives as one.
    const PASSING: i32 = coord_check_state::COORD_CHECK_PASSING as i32;
    const WARNING: i32 = coord_check_state::COORD_CHECK_WARNING as i32;
    const CRITICAL: i32 = coord_check_state::COORD_CHECK_CRITICAL as i32;
    let body = || {
        // SAFETY: the caller promises that `consul` is NULL or a live object of this library and
        // `check_id` and `note` are NULL or NUL-terminated.
        let (client, id, note) = unsafe {
            (
                client(consul)?,
                boundary::text(check_id, "check_id")?,
                boundary::optional_text(note, "note")?,
            )
        };
        match state {
            PASSING => client.agent_check_pass(id, note)?,
            WARNING => client.agent_check_warn(id, note)?,
            CRITICAL => client.agent_check_fail(id, note)?,
            other => {
                let text = format!("{other} is not one of coord_check_state");
                return Err(Failure::new(coord_status::COORD_INVALID, text));
            }
        }
        Ok(())
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Removes a check from the agent.
///
/// Returns  COORD_OK; COORD_NOT_FOUND; see also coord_consul_register.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_consul_check_deregister(
    consul: *const coord_consul,
    check_id: *const c_char,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        // SAFETY: the caller promises that `consul` is NULL or a live object of this library and
        // `check_id` is NULL or NUL-terminated.
        let (client, id) = unsafe { (client(consul)?, boundary::text(check_id, "check_id")?) };
        if client.agent_check_deregister(id, None)? {
            return Ok(());
        }
        Err(not_found(format!("the agent has no check with the id {id:?}")))
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}
