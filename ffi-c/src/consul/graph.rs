//! The service graph: declare dependencies, read it, wait for requirements.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CString, c_char};
use std::time::Duration;

use coord_core::client::consul::{Dependency, Readiness};
use serde_json::Value;

use super::check::coord_check_state;
use super::{client, coord_consul, not_found, waiting};
use crate::boundary::{self, Failure, free, guard, look, put, required};
use crate::error::coord_error;
use crate::handle;
use crate::status::coord_status;
use crate::string::{c_text, coord_strings};

/// A dependency of a service.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coord_dependency {
    /// The name of a service, registered or not.
    pub name: *const c_char,
    /// A tag that selects some of its instances; NULL for all.
    pub tag: *const c_char,
    /// Whether the service can run without it.
    pub optional: bool,
}

impl coord_dependency {
    /// # Safety
    /// Texts are NULL or NUL-terminated.
    unsafe fn read(&self) -> Result<Dependency, Failure> {
        // SAFETY: the caller promises that `self.name` and `self.tag` are NULL or NUL-terminated.
        let (name, tag) = unsafe {
            (
                boundary::text(self.name, "name of a dependency")?,
                boundary::optional_text(self.tag, "tag of a dependency")?,
            )
        };
        let (name, tag) = (name.to_owned(), tag.map(str::to_owned));
        Ok(Dependency { name, optional: self.optional, tag })
    }
}

/// Dependencies of the caller, as an array.
///
/// # Safety
/// `items` is NULL or points to `count` of them, whose texts are NUL-terminated.
pub(super) unsafe fn dependencies(
    items: *const coord_dependency,
    count: usize,
) -> Result<Vec<Dependency>, Failure> {
    // SAFETY: the caller promises that `items` is NULL or has `count` values.
    let items = unsafe { boundary::items(items, count, "depends_on") }?;
    // SAFETY: the caller promises that the texts of each are NULL or NUL-terminated.
    items.iter().map(|item| unsafe { item.read() }).collect()
}

/// Services and their dependencies, in start order. Release with
/// `coord_graph_free`.
#[derive(Debug)]
#[expect(non_camel_case_types, reason = "the name is C's")]
pub struct coord_graph {
    services: Vec<Service>,
    json: CString,
}

#[derive(Debug)]
struct Service {
    name: CString,
    state: coord_check_state,
    effective: coord_check_state,
    wave: i32,
    because: coord_strings,
    required: coord_strings,
    optional: coord_strings,
}

impl coord_graph {
    /// From an answer of `/v1/coord/graph`.
    fn from_json(body: &Value) -> Result<Self, Failure> {
        let told = body["Services"].as_array().ok_or_else(|| unexpected("a list of services"))?;
        let told: BTreeMap<&str, &Value> =
            told.iter().filter_map(|entry| Some((entry["Name"].as_str()?, entry))).collect();
        let waves = body["Waves"].as_array().ok_or_else(|| unexpected("a list of waves"))?;
        let missing = texts(&body["Missing"])?.into_iter().map(Service::missing);
        let mut services: Vec<Service> = missing.collect::<Result<_, _>>()?;
        for (wave, names) in (0..).zip(waves) {
            for name in texts(names)? {
                let entry = told.get(name).ok_or_else(|| unexpected("a service of a wave"))?;
                services.push(Service::from_json(name, entry, wave)?);
            }
        }
        Ok(Self { services, json: c_text(body.to_string())? })
    }
}

impl Service {
    fn from_json(name: &str, entry: &Value, wave: i32) -> Result<Self, Failure> {
        let needs: Vec<&Value> = entry["DependsOn"].as_array().into_iter().flatten().collect();
        // Named with several tags, it is told once for each.
        let named = |optional: bool| -> BTreeSet<&str> {
            let chosen = needs.iter().filter(|need| need["Optional"] == optional);
            chosen.filter_map(|need| need["Name"].as_str()).collect()
        };
        let required = named(false);
        let optional = named(true).difference(&required).copied().collect::<Vec<_>>();
        Ok(Self {
            name: c_text(name)?,
            state: state(&entry["Status"]),
            effective: state(&entry["EffectiveStatus"]),
            wave,
            because: strings(texts(&entry["Because"])?)?,
            required: strings(required)?,
            optional: strings(optional)?,
        })
    }

    fn missing(name: &str) -> Result<Self, Failure> {
        Ok(Self {
            name: c_text(name)?,
            state: coord_check_state::COORD_CHECK_CRITICAL,
            effective: coord_check_state::COORD_CHECK_CRITICAL,
            wave: -1,
            because: strings([])?,
            required: strings([])?,
            optional: strings([])?,
        })
    }
}

fn state(status: &Value) -> coord_check_state {
    match status.as_str() {
        Some("passing") => coord_check_state::COORD_CHECK_PASSING,
        Some("warning") => coord_check_state::COORD_CHECK_WARNING,
        // Also `maintenance`, and whatever may come: not known to be well.
        _ => coord_check_state::COORD_CHECK_CRITICAL,
    }
}

fn texts(list: &Value) -> Result<Vec<&str>, Failure> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().map(|text| text.as_str().ok_or_else(|| unexpected("a name"))).collect()
}

fn strings<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<coord_strings, Failure> {
    coord_strings::new(texts.into_iter().map(str::to_owned).collect())
}

fn unexpected(what: &str) -> Failure {
    Failure::new(coord_status::COORD_CORRUPT, format!("unexpected response: missing {what}"))
}

/// Reads the service graph: the dependencies and state of each service, and the causes of that
/// state. Requires a libcoord member: the original Consul has no graph.
///
/// name     NULL for all services; otherwise only that one with what it needs and what needs it,
///          however far.
/// index    NULL returns immediately. Otherwise waits for a change after this index; 0 returns
///          immediately. Receives the index for the next call.
/// wait_ms  maximum wait; negative means 5 minutes, more than 10 are reduced to 10.
/// out      receives the services in an order in which they can be started; release with
///          coord_graph_free.
/// Returns  COORD_OK; COORD_NOT_FOUND (nobody has heard of it; index is received as well);
///          COORD_INVALID (also if the server keeps no graph); see also coord_consul_register.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_consul_graph(
    consul: *const coord_consul,
    name: *const c_char,
    index: *mut u64,
    wait_ms: i64,
    out: *mut *mut coord_graph,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        required(out, "out")?;
        // SAFETY: the caller promises that `consul` is NULL or a live object of this library,
        // `name` is NULL or NUL-terminated and `index` is NULL or readable.
        let (client, name, options) = unsafe {
            (client(consul)?, boundary::optional_text(name, "name")?, waiting(index, wait_ms))
        };
        let (newer, body) = match name {
            None => client.graph(&options).map(|answer| (answer.index, Some(answer.body)))?,
            Some(name) => {
                client.graph_of(name, &options).map(|answer| (answer.index, answer.body))?
            }
        };
        // SAFETY: the caller promises that `index` is NULL or writable.
        unsafe { put(index, newer.unwrap_or_default()) };
        let unknown = || {
            not_found(format!(
                "no service {:?} is registered or depended on",
                name.unwrap_or_default()
            ))
        };
        let graph = coord_graph::from_json(&body.ok_or_else(unknown)?)?;
        // SAFETY: the caller promises that `out` is NULL or writable.
        unsafe { handle::give(out, graph) }
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Waits until all direct and indirect requirements of a service are registered and passing. The
/// service itself must be registered; its own checks are ignored.
///
/// timeout_ms  maximum wait; negative waits forever.
/// Returns     COORD_OK; COORD_TIMEOUT (the error tells what is not passing); COORD_INVALID (also if
///             the server keeps no graph); see also coord_consul_register.
///
/// # Safety
/// Pointers are NULL or valid; texts are NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_consul_wait_ready(
    consul: *const coord_consul,
    name: *const c_char,
    timeout_ms: i64,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        // SAFETY: the caller promises that `consul` is NULL or a live object of this library and
        // `name` is NULL or NUL-terminated.
        let (client, name) = unsafe { (client(consul)?, boundary::text(name, "name")?) };
        let limit = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
        match client.wait_ready(name, limit, None)? {
            Readiness::Ready => Ok(()),
            Readiness::Waiting(why) => Err(Failure::new(coord_status::COORD_TIMEOUT, why)),
        }
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// The number of services, including required ones that are not registered, which come first; 0 for
/// NULL.
///
/// # Safety
/// `graph` is NULL or from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_graph_count(graph: *const coord_graph) -> usize {
    // SAFETY: the caller promises that `graph` is NULL or a live object of this library.
    look(0, || Ok(unsafe { handle::lend(graph, "graph") }?.services.len()))
}

/// Reads something of one service; `fallback` behind the last.
///
/// # Safety
/// `graph` is NULL or from this library.
unsafe fn of_service<T>(
    graph: *const coord_graph,
    position: usize,
    fallback: T,
    read: impl FnOnce(&Service) -> T,
) -> Result<T, Failure> {
    // SAFETY: the caller promises that `graph` is NULL or a live object of this library.
    let services = &unsafe { handle::lend(graph, "graph") }?.services;
    Ok(match services.get(position) {
        Some(service) => read(service),
        None => fallback,
    })
}

/// The name of a service; NULL past the end. Valid as long as the graph.
///
/// # Safety
/// As `coord_graph_count`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_graph_name(
    graph: *const coord_graph,
    position: usize,
) -> *const c_char {
    let none = std::ptr::null();
    // SAFETY: the caller promises that `graph` is NULL or a live object of this library.
    look(none, || unsafe { of_service(graph, position, none, |found| found.name.as_ptr()) })
}

/// The worst state among the checks of a service: passing if it has none, critical if it is not
/// registered, and past the end.
///
/// # Safety
/// As `coord_graph_count`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_graph_state(
    graph: *const coord_graph,
    position: usize,
) -> coord_check_state {
    let none = coord_check_state::COORD_CHECK_CRITICAL;
    // SAFETY: the caller promises that `graph` is NULL or a live object of this library.
    look(none, || unsafe { of_service(graph, position, none, |found| found.state) })
}

/// The state of a service including its dependencies: critical if a requirement is critical or not
/// registered; warning if an optional dependency is.
///
/// # Safety
/// As `coord_graph_count`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_graph_effective_state(
    graph: *const coord_graph,
    position: usize,
) -> coord_check_state {
    let none = coord_check_state::COORD_CHECK_CRITICAL;
    // SAFETY: the caller promises that `graph` is NULL or a live object of this library.
    look(none, || unsafe { of_service(graph, position, none, |found| found.effective) })
}

/// The wave in which a service can be started, from 0, after all earlier waves. -1 if it is not
/// registered, and past the end.
///
/// # Safety
/// As `coord_graph_count`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_graph_wave(graph: *const coord_graph, position: usize) -> i32 {
    // SAFETY: the caller promises that `graph` is NULL or a live object of this library.
    look(-1, || unsafe { of_service(graph, position, -1, |found| found.wave) })
}

/// The nearest services that make the effective state worse than its own state; NULL past the end.
/// Valid as long as the graph; do not release it.
///
/// # Safety
/// As `coord_graph_count`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_graph_because(
    graph: *const coord_graph,
    position: usize,
) -> *const coord_strings {
    let none = std::ptr::null();
    // SAFETY: the caller promises that `graph` is NULL or a live object of this library.
    look(none, || unsafe {
        of_service(graph, position, none, |found| std::ptr::from_ref(&found.because))
    })
}

/// The services that a service requires; NULL past the end. Valid as long as the graph; do not
/// release it.
///
/// # Safety
/// As `coord_graph_count`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_graph_required(
    graph: *const coord_graph,
    position: usize,
) -> *const coord_strings {
    let none = std::ptr::null();
    // SAFETY: the caller promises that `graph` is NULL or a live object of this library.
    look(none, || unsafe {
        of_service(graph, position, none, |found| std::ptr::from_ref(&found.required))
    })
}

/// The optional dependencies of a service; NULL past the end. Valid as long as the graph; do not
/// release it.
///
/// # Safety
/// As `coord_graph_count`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_graph_optional(
    graph: *const coord_graph,
    position: usize,
) -> *const coord_strings {
    let none = std::ptr::null();
    // SAFETY: the caller promises that `graph` is NULL or a live object of this library.
    look(none, || unsafe {
        of_service(graph, position, none, |found| std::ptr::from_ref(&found.optional))
    })
}

/// The whole graph as received from the server, in JSON; NULL for NULL. Valid as long as the graph.
///
/// # Safety
/// As `coord_graph_count`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_graph_json(graph: *const coord_graph) -> *const c_char {
    let none = std::ptr::null();
    // SAFETY: the caller promises that `graph` is NULL or a live object of this library.
    look(none, || Ok(unsafe { handle::lend(graph, "graph") }?.json.as_ptr()))
}

/// Releases a graph. NULL is allowed.
///
/// # Safety
/// `graph` is NULL or from this library, not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_graph_free(graph: *mut coord_graph) {
    // SAFETY: the caller promises that `graph` is NULL or from this library, and is not used
    // again.
    unsafe { free(graph) };
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told() -> Value {
        json!({
            "Services": [
                {"Name": "db", "DependsOn": [], "Status": "critical", "EffectiveStatus": "critical",
                    "Because": []},
                {"Name": "web", "Status": "passing", "EffectiveStatus": "critical",
                    "Because": ["db"], "DependsOn": [
                        {"Name": "cache", "Optional": true, "Tag": ""},
                        {"Name": "db", "Optional": true, "Tag": "replica"},
                        {"Name": "db", "Optional": false, "Tag": "primary"},
                    ]},
            ],
            "Waves": [["db"], ["web"]],
            "Missing": ["cache"],
        })
    }

    #[test]
    fn services_are_given_in_the_order_to_start_them() {
        let graph = coord_graph::from_json(&told()).unwrap();
        let told: Vec<_> =
            graph.services.iter().map(|found| (found.name.to_str().unwrap(), found.wave)).collect();
        assert_eq!(told, [("cache", -1), ("db", 0), ("web", 1)]);
        let web = &graph.services[2];
        assert_eq!(web.state, coord_check_state::COORD_CHECK_PASSING);
        assert_eq!(web.effective, coord_check_state::COORD_CHECK_CRITICAL);
    }

    #[test]
    fn an_answer_that_is_none_is_refused() {
        let mut nobody = told();
        nobody["Waves"] = json!([["db"], ["nobody"]]);
        for body in [json!(null), json!({"Services": []}), nobody] {
            let refused = coord_graph::from_json(&body).unwrap_err();
            assert_eq!(refused.status, coord_status::COORD_CORRUPT);
        }
    }
}
