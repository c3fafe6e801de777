//! Registering services with the agent, and finding them.

use std::ffi::c_char;
use std::ptr;

use coord_core::client::consul::{Check, ServiceDefinition};

use super::graph::{coord_dependency, dependencies};
use super::instances::coord_services;
use super::{client, coord_consul, not_found, waiting};
use crate::boundary::{self, Failure, guard, put, required};
use crate::error::coord_error;
use crate::handle;
use crate::status::coord_status;

/// Registers a service with the agent, replacing one of the same id.
///
/// name      the name it is looked up by.
/// id        unique at the agent; NULL for the name.
/// address   its address; NULL for the address of the agent's node.
/// port      0 for none.
/// tags      `tag_count` labels; NULL with 0 for none.
/// ttl_ms    0 for no check. Otherwise the check `service:<id>` is critical unless
///           coord_consul_check_update is called at least this often.
/// Returns   COORD_OK; COORD_HTTP (refused); COORD_UNAVAILABLE (no agent; nothing was done);
///           COORD_INDETERMINATE (no response: it may have been done). As every call also
///           COORD_INVALID, COORD_CLOSED, COORD_FORKED.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_consul_register(
    consul: *const coord_consul,
    name: *const c_char,
    id: *const c_char,
    address: *const c_char,
    port: u16,
    tags: *const *const c_char,
    tag_count: usize,
    ttl_ms: u64,
    error: *mut *mut coord_error,
) -> coord_status {
    // SAFETY: the caller promises the same here, and there are no dependencies.
    unsafe {
        coord_consul_register_with_dependencies(
            consul,
            name,
            id,
            address,
            port,
            tags,
            tag_count,
            ptr::null(),
            0,
            ttl_ms,
            error,
        )
    }
}

/// Registers a service as coord_consul_register does, with its dependencies. Requires a libcoord
/// member: the original Consul rejects it.
///
/// depends_on        `depends_on_count` services, registered or not; NULL with 0 for none.
/// Returns           as coord_consul_register; COORD_HTTP also if that would close a cycle, which
///                   the error names.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_consul_register_with_dependencies(
    consul: *const coord_consul,
    name: *const c_char,
    id: *const c_char,
    address: *const c_char,
    port: u16,
    tags: *const *const c_char,
    tag_count: usize,
    depends_on: *const coord_dependency,
    depends_on_count: usize,
    ttl_ms: u64,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        // SAFETY: the caller promises that `consul` is NULL or a live object of this library,
        // `name`, `id` and `address` are NULL or NUL-terminated, `tags` is NULL or has `tag_count`
        // NUL-terminated texts and `depends_on` is NULL or has `depends_on_count` dependencies.
        let (client, name, id, address, tags, depends_on) = unsafe {
            (
                client(consul)?,
                boundary::text(name, "name")?,
                boundary::optional_text(id, "id")?,
                boundary::optional_text(address, "address")?,
                boundary::texts(tags, tag_count, "tags")?,
                dependencies(depends_on, depends_on_count)?,
            )
        };
        let service = ServiceDefinition {
            id: id.map(str::to_owned),
            address: address.map(str::to_owned),
            port: Some(port).filter(|port| *port > 0),
            tags: tags.into_iter().map(str::to_owned).collect(),
            checks: (ttl_ms > 0).then(|| Check::ttl(&format!("{ttl_ms}ms"))).into_iter().collect(),
            depends_on,
            ..ServiceDefinition::named(name)
        };
        client.agent_service_register(&service, None).map_err(Failure::from)
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Removes a service and its checks from the agent.
///
/// id       as registered: the name if none was given.
/// Returns  COORD_OK; COORD_NOT_FOUND; see also coord_consul_register.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_consul_deregister(
    consul: *const coord_consul,
    id: *const c_char,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        // SAFETY: the caller promises that `consul` is NULL or a live object of this library and
        // `id` is NULL or NUL-terminated.
        let (client, id) = unsafe { (client(consul)?, boundary::text(id, "id")?) };
        if client.agent_service_deregister(id, None)? {
            return Ok(());
        }
        Err(not_found(format!("the agent has no service with the id {id:?}")))
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Finds the instances of a service, with their health. It is not an error if
/// there are none.
///
/// passing_only  only instances whose checks all pass.
/// index         NULL returns immediately. Otherwise waits for a change after this index; 0 returns
///               immediately. Receives the index for the next call.
/// wait_ms       maximum wait; negative means 5 minutes, more than 10 are reduced to 10.
/// out           receives the instances; release with coord_services_free.
/// Returns       COORD_OK; see also coord_consul_register.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_consul_health_service(
    consul: *const coord_consul,
    name: *const c_char,
    passing_only: bool,
    index: *mut u64,
    wait_ms: i64,
    out: *mut *mut coord_services,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        required(out, "out")?;
        // SAFETY: the caller promises that `consul` is NULL or a live object of this library,
        // `name` is NULL or NUL-terminated and `index` is NULL or readable.
        let (client, name, mut options) =
            unsafe { (client(consul)?, boundary::text(name, "name")?, waiting(index, wait_ms)) };
        options.passing = passing_only;
        let answer = client.health_service(name, &options)?;
        let services = coord_services::from_json(&answer.body)?;
        // SAFETY: the caller promises that `index` and `out` are NULL or writable.
        unsafe {
            put(index, answer.index.unwrap_or_default());
            handle::give(out, services)
        }
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}
