//! Validation of registrations. The error texts are Consul's.

use std::collections::BTreeMap;
use std::net::IpAddr;

use coord_state::consul::{CHECKS_MAX, CheckStatus, ConsulRejection, SERVICE_TAGS_BYTES_MAX};
use coord_wire::consul::agent::ServiceDefinition;
use coord_wire::consul::catalog::TaggedAddressRequest;
use coord_wire::consul::check::CheckDefinition;
use coord_wire::consul::proxy::proxy_problem;

use super::errors::AgentError;

const META_PAIRS_MAX: usize = 64;
const META_KEY_BYTES_MAX: usize = 128;
const META_VALUE_BYTES_MAX: usize = 512;

/// Checks a service and fills in what it leaves out, its checks included.
pub(super) fn service(mut service: ServiceDefinition) -> Result<ServiceDefinition, AgentError> {
    if service.name.is_empty() {
        return invalid("Missing service name");
    }
    if matches!(service.address.as_str(), "0.0.0.0" | "::" | "[::]") {
        return invalid("Invalid service address");
    }
    let has_port = service.port != 0 || !service.socket_path.is_empty();
    let problem = proxy_problem(&service.kind, &service.proxy, &service.connect, has_port);
    if let Some(problem) = problem {
        return invalid(&problem);
    }
    meta(&service.meta)?;
    if service.tags.iter().map(|tag| tag.len() + 8).sum::<usize>() > SERVICE_TAGS_BYTES_MAX {
        return invalid(&ConsulRejection::TagsTooLong.to_string());
    }
    if service.checks.len() > CHECKS_MAX {
        return invalid(&ConsulRejection::TooManyChecks(service.name.into()).to_string());
    }
    if let Some((passing, warning)) = service.weights {
        weights(passing, warning)?;
    }
    if service.id.is_empty() {
        service.id = service.name.clone();
    }
    tag_address(&mut service);
    let several = service.checks.len() > 1;
    for (at, check) in service.checks.iter_mut().enumerate() {
        self::check(check)?;
        if check.id.is_empty() {
            check.id = match several {
                true => format!("service:{}:{}", service.id, at + 1),
                false => format!("service:{}", service.id),
            };
        }
        if check.name.is_empty() {
            check.name = format!("Service '{}' check", service.name);
        }
        check.service_id.clone_from(&service.id);
    }
    Ok(service)
}

/// Checks a check registered on its own and fills in what it leaves out.
pub(super) fn standalone_check(
    mut definition: CheckDefinition,
) -> Result<CheckDefinition, AgentError> {
    if definition.name.is_empty() {
        return invalid("Missing check name");
    }
    if !status_is_known(&definition.status) {
        return invalid("Bad check status");
    }
    check(&definition)?;
    if definition.id.is_empty() {
        definition.id.clone_from(&definition.name);
    }
    Ok(definition)
}

fn check(check: &CheckDefinition) -> Result<(), AgentError> {
    let refuse = |problem: &str| invalid(&format!("Invalid check: {problem}"));
    let alias = check.kind() == "alias";
    let probed = [
        &check.http,
        &check.tcp,
        &check.udp,
        &check.grpc,
        &check.h2ping,
        &check.docker_container_id,
        &check.os_service,
    ]
    .iter()
    .any(|target| !target.is_empty())
        || !check.args.is_empty();
    if !status_is_known(&check.status) {
        return refuse("Status for checks must 'passing', 'warning', 'critical'");
    }
    if alias {
        if check.interval_ns != 0 {
            return refuse("Interval cannot be set for Alias checks");
        }
        if check.ttl_ns != 0 {
            return refuse("TTL must be not be set for Alias checks");
        }
    } else if probed {
        if check.interval_ns <= 0 {
            return refuse("Interval must be > 0 for Script, HTTP, or TCP checks");
        }
        if check.ttl_ns > 0 {
            return refuse("Interval and TTL cannot both be specified");
        }
    } else {
        if check.interval_ns > 0 && check.ttl_ns > 0 {
            return refuse("Interval and TTL cannot both be specified");
        }
        if check.ttl_ns <= 0 {
            return refuse("TTL must be > 0 for TTL checks");
        }
    }
    if check.failures_before_warning > check.failures_before_critical {
        return refuse("FailuresBeforeWarning can't be higher than FailuresBeforeCritical");
    }
    if check.output_max_size < 0 {
        return refuse("MaxOutputMaxSize must be positive");
    }
    Ok(())
}

fn status_is_known(status: &str) -> bool {
    status.is_empty() || CheckStatus::from_name(status).is_some()
}

fn weights(passing: i64, warning: i64) -> Result<(), AgentError> {
    let problem = if passing < 1 {
        "Passing must be greater than 0"
    } else if warning < 0 {
        "Warning must be greater or equal than 0"
    } else if passing > 65_535 || warning > 65_535 {
        "DNS Weight must be between 0 and 65535"
    } else {
        return Ok(());
    };
    invalid(&format!("Invalid Weights: {problem}"))
}

fn meta(meta: &BTreeMap<String, String>) -> Result<(), AgentError> {
    if meta.len() > META_PAIRS_MAX {
        return invalid(&format!(
            "Invalid Service Meta: Node metadata cannot contain more than {META_PAIRS_MAX} key/value pairs"
        ));
    }
    for (key, value) in meta {
        let problem = if key.is_empty() {
            "Key cannot be blank".to_owned()
        } else if !key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
            "Key contains invalid characters".to_owned()
        } else if key.len() > META_KEY_BYTES_MAX {
            format!("Key is too long (limit: {META_KEY_BYTES_MAX} characters)")
        } else if key.starts_with("consul-") {
            "Key prefix 'consul-' is reserved for internal use".to_owned()
        } else if value.len() > META_VALUE_BYTES_MAX {
            format!("Value is too long (limit: {META_VALUE_BYTES_MAX} characters)")
        } else {
            continue;
        };
        return invalid(&format!(
            "Invalid Service Meta: Couldn't load metadata pair ('{key}', '{value}'): {problem}"
        ));
    }
    Ok(())
}

/// A service with an IP address is reachable there from near and far, unless
/// it says otherwise.
fn tag_address(service: &mut ServiceDefinition) {
    let kinds = match service.address.parse() {
        Ok(IpAddr::V4(_)) => ["lan_ipv4", "wan_ipv4"],
        Ok(IpAddr::V6(_)) => ["lan_ipv6", "wan_ipv6"],
        Err(_) => return,
    };
    let own = TaggedAddressRequest { address: service.address.clone(), port: service.port };
    for kind in kinds {
        service.tagged_addresses.entry(kind.to_owned()).or_insert_with(|| own.clone());
    }
}

fn invalid<T>(text: &str) -> Result<T, AgentError> {
    Err(AgentError::Invalid(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(json: &str) -> Result<ServiceDefinition, String> {
        let definition = ServiceDefinition::parse(json.as_bytes()).unwrap();
        service(definition).map_err(|error| error.to_string())
    }

    #[test]
    fn one_check_is_named_after_its_service_and_several_are_numbered() {
        let one = parsed(r#"{"Name":"web","ID":"w1","Check":{"TTL":"5s"}}"#).unwrap();
        assert_eq!(
            (&*one.checks[0].id, &*one.checks[0].name),
            ("service:w1", "Service 'web' check")
        );
        let two = parsed(r#"{"Name":"web","Check":{"TTL":"5s"},"Checks":[{"TTL":"6s","CheckID":"own"},{"TTL":"7s"}]}"#).unwrap();
        let ids: Vec<_> = two.checks.iter().map(|check| &*check.id).collect();
        assert_eq!(ids, ["service:web:1", "own", "service:web:3"]);
        assert!(two.checks.iter().all(|check| check.service_id == "web"));
    }

    #[test]
    fn a_service_is_refused_with_consuls_texts() {
        for (json, text) in [
            (r#"{}"#, "Missing service name"),
            (r#"{"Name":"w","Address":"0.0.0.0"}"#, "Invalid service address"),
            (
                r#"{"Name":"w","Weights":{"Passing":0,"Warning":1}}"#,
                "Invalid Weights: Passing must be greater than 0",
            ),
            (
                r#"{"Name":"w","Weights":{"Passing":1,"Warning":-1}}"#,
                "Invalid Weights: Warning must be greater or equal than 0",
            ),
            (
                r#"{"Name":"w","Weights":{"Passing":70000,"Warning":1}}"#,
                "Invalid Weights: DNS Weight must be between 0 and 65535",
            ),
            (
                r#"{"Name":"w","Meta":{"consul-x":"1"}}"#,
                "Invalid Service Meta: Couldn't load metadata pair ('consul-x', '1'): Key prefix 'consul-' is reserved for internal use",
            ),
            (
                r#"{"Name":"w","Check":{"HTTP":"http://x"}}"#,
                "Invalid check: Interval must be > 0 for Script, HTTP, or TCP checks",
            ),
            (
                r#"{"Name":"w","Check":{"HTTP":"http://x","Interval":"1s","TTL":"1s"}}"#,
                "Invalid check: Interval and TTL cannot both be specified",
            ),
            (r#"{"Name":"w","Checks":[{}]}"#, "Invalid check: TTL must be > 0 for TTL checks"),
            (
                r#"{"Name":"w","Check":{"Notes":"n"}}"#,
                "Invalid check: TTL must be > 0 for TTL checks",
            ),
            (
                r#"{"Name":"w","Check":{"TTL":"1s","Status":"bad"}}"#,
                "Invalid check: Status for checks must 'passing', 'warning', 'critical'",
            ),
            (
                r#"{"Name":"w","Check":{"AliasService":"x","TTL":"1s"}}"#,
                "Invalid check: TTL must be not be set for Alias checks",
            ),
        ] {
            assert_eq!(parsed(json).unwrap_err(), text, "{json}");
        }
    }

    #[test]
    fn any_port_is_accepted() {
        for port in [-1, 0, 70_000] {
            assert_eq!(parsed(&format!(r#"{{"Name":"w","Port":{port}}}"#)).unwrap().port, port);
        }
    }

    #[test]
    fn an_ip_address_is_tagged_and_a_name_is_not() {
        let tags = |address: &str| {
            let json = format!(r#"{{"Name":"w","Port":80,"Address":"{address}"}}"#);
            parsed(&json).unwrap().tagged_addresses.into_keys().collect::<Vec<_>>()
        };
        assert_eq!(tags("10.0.0.1"), ["lan_ipv4", "wan_ipv4"]);
        assert_eq!(tags("fd00::1"), ["lan_ipv6", "wan_ipv6"]);
        assert!(tags("host.example").is_empty());
    }

    #[test]
    fn a_check_of_its_own_needs_a_name() {
        let check = |json: serde_json::Value| {
            standalone_check(CheckDefinition::take(json).unwrap()).map_err(|e| e.to_string())
        };
        assert_eq!(check(serde_json::json!({"TTL": "1s"})).unwrap_err(), "Missing check name");
        assert_eq!(
            check(serde_json::json!({"Name": "c", "TTL": "1s", "Status": "x"})).unwrap_err(),
            "Bad check status"
        );
        assert_eq!(
            check(serde_json::json!({"Name": "c"})).unwrap_err(),
            "Invalid check: TTL must be > 0 for TTL checks"
        );
        assert_eq!(check(serde_json::json!({"Name": "c", "TTL": "1s"})).unwrap().id, "c");
    }
}
