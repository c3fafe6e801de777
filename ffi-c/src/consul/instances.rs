//! The instances of a service.

use std::ffi::{CString, c_char};

use serde_json::Value;

use super::check::coord_check_state;
use crate::boundary::{Failure, free, look};
use crate::handle;
use crate::status::coord_status;
use crate::string::c_text;

/// The instances of a service. Release with `coord_services_free`.
#[derive(Debug)]
#[expect(non_camel_case_types, reason = "the name is C's")]
pub struct coord_services {
    instances: Vec<Instance>,
}

#[derive(Debug)]
struct Instance {
    node: CString,
    id: CString,
    address: CString,
    port: u16,
    state: coord_check_state,
}

impl coord_services {
    /// From the answer of `/v1/health/service`.
    pub(super) fn from_json(body: &Value) -> Result<Self, Failure> {
        let list = body.as_array().ok_or_else(|| unexpected("a list of instances"))?;
        Ok(Self { instances: list.iter().map(Instance::from_json).collect::<Result<_, _>>()? })
    }
}

impl Instance {
    fn from_json(entry: &Value) -> Result<Self, Failure> {
        let (node, service) = (&entry["Node"], &entry["Service"]);
        let text =
            |value: &Value, what| value.as_str().ok_or_else(|| unexpected(what)).map(str::to_owned);
        let mut address = text(&service["Address"], "an address")?;
        if address.is_empty() {
            address = text(&node["Address"], "an address of the node")?;
        }
        let port = service["Port"].as_u64().unwrap_or_default();
        Ok(Self {
            node: c_text(text(&node["Node"], "the name of a node")?)?,
            id: c_text(text(&service["ID"], "the id of a service")?)?,
            address: c_text(address)?,
            port: u16::try_from(port).map_err(|_| unexpected("a port"))?,
            state: worst_state(&entry["Checks"]),
        })
    }
}

fn worst_state(checks: &Value) -> coord_check_state {
    let states =
        checks.as_array().into_iter().flatten().map(|check| match check["Status"].as_str() {
            Some("passing") => coord_check_state::COORD_CHECK_PASSING,
            Some("warning") => coord_check_state::COORD_CHECK_WARNING,
            // Also `maintenance`, and whatever may come: not known to be well.
            _ => coord_check_state::COORD_CHECK_CRITICAL,
        });
    states.max().unwrap_or(coord_check_state::COORD_CHECK_PASSING)
}

fn unexpected(what: &str) -> Failure {
    Failure::new(coord_status::COORD_CORRUPT, format!("unexpected response: missing {what}"))
}

/// The number of instances; 0 for NULL.
///
/// # Safety
/// `services` is NULL or from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_services_count(services: *const coord_services) -> usize {
    // SAFETY: the caller promises that `services` is NULL or a live object of this library.
    look(0, || Ok(unsafe { handle::lend(services, "services") }?.instances.len()))
}

/// Reads something of one instance; `fallback` behind the last.
///
/// # Safety
/// `services` is NULL or from this library.
unsafe fn of_instance<T>(
    services: *const coord_services,
    position: usize,
    fallback: T,
    read: impl FnOnce(&Instance) -> T,
) -> Result<T, Failure> {
    // SAFETY: the caller promises that `services` is NULL or a live object of this library.
    let instances = &unsafe { handle::lend(services, "services") }?.instances;
    Ok(match instances.get(position) {
        Some(instance) => read(instance),
        None => fallback,
    })
}

/// The name of the node that an instance runs on; NULL past the end. Valid as
/// long as the list.
///
/// # Safety
/// As `coord_services_count`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_services_node(
    services: *const coord_services,
    position: usize,
) -> *const c_char {
    let none = std::ptr::null();
    // SAFETY: the caller promises that `services` is NULL or a live object of this library.
    look(none, || unsafe { of_instance(services, position, none, |found| found.node.as_ptr()) })
}

/// The id of an instance; NULL past the end. Valid as long as the list.
///
/// # Safety
/// As `coord_services_count`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_services_id(
    services: *const coord_services,
    position: usize,
) -> *const c_char {
    let none = std::ptr::null();
    // SAFETY: the caller promises that `services` is NULL or a live object of this library.
    look(none, || unsafe { of_instance(services, position, none, |found| found.id.as_ptr()) })
}

/// The address of an instance, or else of its node; NULL past the end. Valid as
/// long as the list.
///
/// # Safety
/// As `coord_services_count`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_services_address(
    services: *const coord_services,
    position: usize,
) -> *const c_char {
    let none = std::ptr::null();
    // SAFETY: the caller promises that `services` is NULL or a live object of this library.
    look(none, || unsafe { of_instance(services, position, none, |found| found.address.as_ptr()) })
}

/// The port of an instance; 0 if it has none, and past the end.
///
/// # Safety
/// As `coord_services_count`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_services_port(
    services: *const coord_services,
    position: usize,
) -> u16 {
    // SAFETY: the caller promises that `services` is NULL or a live object of this library.
    look(0, || unsafe { of_instance(services, position, 0, |found| found.port) })
}

/// The worst state among the checks of an instance and its node: passing if
/// there are none, critical past the end.
///
/// # Safety
/// As `coord_services_count`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_services_state(
    services: *const coord_services,
    position: usize,
) -> coord_check_state {
    let none = coord_check_state::COORD_CHECK_CRITICAL;
    // SAFETY: the caller promises that `services` is NULL or a live object of this library.
    look(none, || unsafe { of_instance(services, position, none, |found| found.state) })
}

/// Releases a list of instances. NULL is allowed.
///
/// # Safety
/// `services` is NULL or from this library, not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_services_free(services: *mut coord_services) {
    // SAFETY: the caller promises that `services` is NULL or from this library, and is not used
    // again.
    unsafe { free(services) };
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(address: &str, checks: &[&str]) -> Value {
        let checks: Vec<Value> = checks.iter().map(|state| json!({"Status": state})).collect();
        json!({
            "Node": {"Node": "n", "Address": "10.0.0.1"},
            "Service": {"ID": "web-1", "Service": "web", "Address": address, "Port": 80},
            "Checks": checks,
        })
    }

    #[test]
    fn an_instance_without_an_address_has_that_of_its_node() {
        let of = |address| Instance::from_json(&entry(address, &[])).unwrap().address;
        assert_eq!(of("10.0.0.2").to_str(), Ok("10.0.0.2"));
        assert_eq!(of("").to_str(), Ok("10.0.0.1"));
    }

    #[test]
    fn an_instance_is_as_well_as_its_worst_check() {
        let of = |checks: &[&str]| Instance::from_json(&entry("", checks)).unwrap().state;
        assert_eq!(of(&[]), coord_check_state::COORD_CHECK_PASSING);
        assert_eq!(of(&["passing", "warning"]), coord_check_state::COORD_CHECK_WARNING);
        assert_eq!(of(&["critical", "passing"]), coord_check_state::COORD_CHECK_CRITICAL);
        assert_eq!(of(&["maintenance"]), coord_check_state::COORD_CHECK_CRITICAL);
    }

    #[test]
    fn an_answer_that_is_none_is_refused() {
        for body in [json!(null), json!([{}]), json!({"Node": 1})] {
            let refused = coord_services::from_json(&body).unwrap_err();
            assert_eq!(refused.status, coord_status::COORD_CORRUPT);
        }
    }
}
