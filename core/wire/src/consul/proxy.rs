//! What a registration tells of a proxy: kept as JSON text, given back, and read where
//! the service that it stands for is looked for.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::decode::{DecodeError, Fields};
use super::spelling::canonical;

/// The service that a proxy stands for, by the JSON text that is kept of the proxy;
/// empty if it names none.
pub fn destination(proxy: &str) -> Cow<'_, str> {
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "PascalCase", default)]
    struct Destination<'a> {
        #[serde(borrow)]
        destination_service_name: Cow<'a, str>,
    }
    // Every look for a service's proxies reads all proxies: nothing else is taken out.
    let kept: Destination<'_> = serde_json::from_str(proxy).unwrap_or_default();
    kept.destination_service_name
}

/// The services that a proxy lets its own reach, by the JSON text that is kept of the
/// proxy (`CatalogService::proxy`): the names of its upstreams, each once, sorted.
/// Prepared queries are none. Nor are upstreams with a datacenter: most name another
/// one, of whose services nothing is known here.
pub fn upstreams(proxy: &str) -> Vec<String> {
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "PascalCase", default)]
    struct Upstreams {
        upstreams: Vec<Upstream>,
    }
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "PascalCase", default)]
    struct Upstream {
        destination_type: String,
        destination_name: String,
        datacenter: String,
    }
    if proxy.is_empty() {
        return Vec::new();
    }
    let kept: Upstreams = serde_json::from_str(proxy).unwrap_or_default();
    let is_counted = |upstream: &Upstream| {
        matches!(&*upstream.destination_type, "" | "service")
            && upstream.datacenter.is_empty()
            && !upstream.destination_name.is_empty()
    };
    let counted = kept.upstreams.into_iter().filter(is_counted);
    let mut names: Vec<String> = counted.map(|upstream| upstream.destination_name).collect();
    names.sort();
    names.dedup();
    names
}

/// Whether a service speaks the mesh's protocol itself, by the JSON text that is kept
/// of its `Connect`.
pub fn is_native(connect: &str) -> bool {
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "PascalCase", default)]
    struct Connect {
        native: bool,
    }
    let kept: Connect = serde_json::from_str(connect).unwrap_or_default();
    kept.native
}

/// Takes what is told of a proxy: spelled as Consul spells it, with the parts that it
/// always has. Nothing if nothing is told.
pub(super) fn take(fields: &mut Fields) -> Result<Option<Value>, DecodeError> {
    let given = fields.object("Proxy")?.filter(|given| !given.is_empty());
    Ok(given.map(|given| Value::Object(complete(canonical(given)))))
}

/// The same, as an agent takes it: it says what the kind of an upstream is by default,
/// which the catalog leaves to whoever registers.
pub(super) fn take_by_agent(fields: &mut Fields) -> Result<Option<Value>, DecodeError> {
    let mut proxy = take(fields)?;
    if let Some(proxy) = &mut proxy {
        for upstream in upstreams_of(proxy) {
            upstream.entry("DestinationType").or_insert_with(|| "service".into());
        }
    }
    Ok(proxy)
}

fn complete(proxy: Map<String, Value>) -> Map<String, Value> {
    let empty = || Value::Object(Map::new());
    let mut proxy = Value::Object(proxy);
    for upstream in upstreams_of(&mut proxy) {
        upstream.entry("MeshGateway").or_insert_with(empty);
    }
    let Value::Object(mut proxy) = proxy else { return Map::new() };
    for part in ["MeshGateway", "Expose"] {
        proxy.entry(part).or_insert_with(empty);
    }
    proxy
}

fn upstreams_of(proxy: &mut Value) -> impl Iterator<Item = &mut Map<String, Value>> {
    let list = proxy.get_mut("Upstreams").and_then(Value::as_array_mut);
    list.into_iter().flatten().filter_map(Value::as_object_mut)
}

/// What is kept of the proxy beside a service: what was given of it, and where it is
/// not said, that it stands for that service on this machine.
pub fn sidecar_proxy(given: &str, name: &str, id: &str, port: i64) -> String {
    let given: Map<String, Value> = serde_json::from_str(given).unwrap_or_default();
    let mut proxy = given;
    let mut fill = |field: &str, value: Value| {
        proxy.entry(field).or_insert(value);
    };
    fill("DestinationServiceName", name.into());
    fill("DestinationServiceID", id.into());
    fill("LocalServiceAddress", "127.0.0.1".into());
    if port > 0 {
        fill("LocalServicePort", port.into());
    }
    Value::Object(complete(proxy)).to_string()
}

/// What is wrong with a service that says it is a proxy, in Consul's words.
pub fn proxy_problem(kind: &str, proxy: &str, connect: &str, has_port: bool) -> Option<String> {
    if kind != "connect-proxy" {
        return None;
    }
    let target = destination(proxy);
    let problems: Vec<&str> = [
        (
            target.is_empty(),
            "Proxy.DestinationServiceName must be non-empty for Connect proxy services",
        ),
        (
            target == "*",
            "Proxy.DestinationServiceName must not be a wildcard for Connect proxy services",
        ),
        (!has_port, "Port or SocketPath must be set for a Connect proxy"),
        (is_native(connect), "A Proxy cannot also be Connect Native, only typical services"),
    ]
    .iter()
    .filter(|(is_wrong, _)| *is_wrong)
    .map(|(_, problem)| *problem)
    .collect();
    super::intention::errors_occurred(&problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(given: Value) -> Result<Option<Value>, DecodeError> {
        take(&mut Fields::of(serde_json::json!({"proxy": given}), "").unwrap())
    }

    #[test]
    fn an_agent_says_what_kind_an_upstream_is_and_the_catalog_does_not() {
        let given = || serde_json::json!({"proxy": {"upstreams": [{"destination_name": "db"}]}});
        let upstream = |proxy: Option<Value>| proxy.unwrap()["Upstreams"][0].clone();
        let by_agent = take_by_agent(&mut Fields::of(given(), "").unwrap()).unwrap();
        assert_eq!(upstream(by_agent)["DestinationType"], "service");
        let by_catalog = take(&mut Fields::of(given(), "").unwrap()).unwrap();
        assert_eq!(
            upstream(by_catalog),
            serde_json::json!({"DestinationName": "db", "MeshGateway": {}})
        );
    }

    #[test]
    fn a_proxy_tells_what_it_stands_for() {
        let given = serde_json::json!({"destination_service_name": "web", "config": {"a_b": 1},
            "upstreams": [{"destination_name": "db", "local_bind_port": 9}]});
        let kept = kept(given).unwrap().unwrap();
        assert_eq!(destination(&kept.to_string()), "web");
        assert_eq!(kept["Config"]["a_b"], 1);
        assert_eq!(kept["Upstreams"][0]["LocalBindPort"], 9);
        assert_eq!(destination(r#"{"DestinationServiceName":"w\u0065b"}"#), "web");
        for none in ["", "{}", "[]", r#"{"DestinationServiceName":7}"#] {
            assert_eq!(destination(none), "", "{none}");
        }
        assert!(is_native(r#"{"Native":true}"#) && !is_native("{}") && !is_native(""));
    }

    #[test]
    fn the_upstreams_of_a_proxy_are_the_services_it_names() {
        let given = serde_json::json!({"upstreams": [
            {"destination_name": "db"},
            {"DestinationType": "service", "DestinationName": "cache"},
            {"DestinationType": "prepared_query", "DestinationName": "q"},
            {"DestinationName": "db", "LocalBindPort": 2},
            {"DestinationName": "far", "Datacenter": "dc9"},
            {"LocalBindPort": 3}]});
        let kept = kept(given).unwrap().unwrap().to_string();
        assert_eq!(upstreams(&kept), ["cache", "db"]);
        assert!(upstreams("").is_empty() && upstreams("{}").is_empty());
    }

    #[test]
    fn what_is_no_object_is_no_proxy() {
        assert!(kept(serde_json::json!("x")).is_err());
        assert_eq!(kept(serde_json::json!({})), Ok(None));
        assert_eq!(kept(Value::Null), Ok(None));
    }
}
