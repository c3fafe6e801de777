//! Sidecar proxies: `Connect.SidecarService`.
//!
//! A sidecar is a service of its own, registered and removed together with its service. libcoord
//! starts no proxy; deployment tools register one and look it up in the catalog.

use coord_state::consul::DEPENDENCIES_META;
use coord_wire::consul::agent::ServiceDefinition;
use coord_wire::consul::check::CheckDefinition;
use coord_wire::consul::proxy::sidecar_proxy;

use super::errors::AgentError;
use super::registrations::Registrations;

/// Where proxies listen that have no port of their own.
pub const SIDECAR_PORTS: std::ops::RangeInclusive<i64> = 21_000..=21_255;
const SUFFIX: &str = "-sidecar-proxy";
const CHECK_INTERVAL_NS: i64 = 10_000_000_000;

/// The proxy beside a service, with everything that its definition leaves out.
///
/// # Errors
/// `Invalid` for what the agent decides by itself, and if no port is free.
pub(super) fn beside(
    service: &ServiceDefinition,
    mut proxy: ServiceDefinition,
    local: &Registrations,
) -> Result<ServiceDefinition, AgentError> {
    let refuse = |why: &str| {
        Err(AgentError::Invalid(format!(
            "1 error occurred:\n\t* A SidecarService cannot {why}\n\n"
        )))
    };
    if !proxy.id.is_empty() {
        return refuse("specify an ID as this is managed by the agent");
    }
    if proxy.sidecar.is_some() {
        return refuse("have a nested SidecarService");
    }
    let service_id = if service.id.is_empty() { &service.name } else { &service.id };
    proxy.id = format!("{service_id}{SUFFIX}");
    proxy.sidecar_of.clone_from(service_id);
    if proxy.name.is_empty() {
        proxy.name = format!("{}{SUFFIX}", service.name);
    }
    if proxy.kind.is_empty() {
        proxy.kind = "connect-proxy".to_owned();
    }
    if proxy.tags.is_empty() {
        proxy.tags.clone_from(&service.tags);
    }
    if proxy.meta.is_empty() {
        proxy.meta.clone_from(&service.meta);
        // What the service depends on is told of it, and not once more of its proxy.
        proxy.meta.remove(DEPENDENCIES_META);
    }
    if proxy.token.is_empty() {
        proxy.token.clone_from(&service.token);
    }
    if proxy.port == 0 && proxy.socket_path.is_empty() {
        proxy.port = port(&proxy.id, local)?;
    }
    proxy.proxy = sidecar_proxy(&proxy.proxy, &service.name, service_id, service.port);
    if proxy.checks.is_empty() {
        let address = if proxy.address.is_empty() { "127.0.0.1" } else { &proxy.address };
        let target = match address.contains(':') {
            true => format!("[{address}]:{}", proxy.port),
            false => format!("{address}:{}", proxy.port),
        };
        proxy.checks = vec![
            CheckDefinition {
                name: "Connect Sidecar Listening".to_owned(),
                tcp: target,
                interval_ns: CHECK_INTERVAL_NS,
                ..CheckDefinition::default()
            },
            CheckDefinition {
                name: format!("Connect Sidecar Aliasing {service_id}"),
                alias_service: service_id.clone(),
                ..CheckDefinition::default()
            },
        ];
    }
    Ok(proxy)
}

/// The port it has, or the first that no service here has.
fn port(id: &str, local: &Registrations) -> Result<i64, AgentError> {
    if let Some(known) = local.service(id).filter(|known| SIDECAR_PORTS.contains(&known.port)) {
        return Ok(known.port);
    }
    let is_free = |port: &i64| local.services().all(|service| service.port != *port);
    SIDECAR_PORTS.clone().find(is_free).ok_or_else(|| {
        AgentError::Invalid(format!(
            "no free port for the sidecar between {} and {}: set Port in the SidecarService",
            SIDECAR_PORTS.start(),
            SIDECAR_PORTS.end()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defined(json: &str) -> (ServiceDefinition, ServiceDefinition) {
        let mut service = ServiceDefinition::parse(json.as_bytes()).unwrap();
        let proxy = service.sidecar.take().unwrap();
        (service, *proxy)
    }

    fn beside_of(json: &str) -> Result<ServiceDefinition, String> {
        let (service, proxy) = defined(json);
        beside(&service, proxy, &Registrations::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_a_sidecar_leaves_out_is_taken_from_its_service() {
        let proxy = beside_of(
            r#"{"Name":"web","ID":"web1","Port":80,"Tags":["t"],"Meta":{"m":"1","depends-on":"db"},
                "Connect":{"SidecarService":{}}}"#,
        )
        .unwrap();
        assert_eq!((&*proxy.id, &*proxy.name), ("web1-sidecar-proxy", "web-sidecar-proxy"));
        assert_eq!((&*proxy.kind, proxy.port), ("connect-proxy", 21_000));
        assert_eq!((proxy.tags.len(), proxy.meta.len()), (1, 1));
        assert_eq!(&*proxy.sidecar_of, "web1");
        assert_eq!(proxy.checks[0].tcp, "127.0.0.1:21000");
        assert_eq!(proxy.checks[1].alias_service, "web1");
        let kept: serde_json::Value = serde_json::from_str(&proxy.proxy).unwrap();
        assert_eq!(kept["DestinationServiceName"], "web");
        assert_eq!(kept["LocalServicePort"], 80);
    }

    #[test]
    fn what_a_sidecar_says_itself_counts() {
        let proxy = beside_of(
            r#"{"Name":"web","connect":{"sidecar_service":{"name":"p","port":9,"tags":["x"],
                "proxy":{"local_service_port":7},"check":{"ttl":"5s"}}}}"#,
        )
        .unwrap();
        assert_eq!((&*proxy.name, proxy.port, &proxy.tags[..]), ("p", 9, &["x".to_owned()][..]));
        assert_eq!(proxy.checks.len(), 1);
        assert!(proxy.proxy.contains(r#""LocalServicePort":7"#), "{}", proxy.proxy);
    }

    #[test]
    fn what_the_agent_decides_is_refused() {
        let nested =
            r#"{"Name":"w","Connect":{"SidecarService":{"Connect":{"SidecarService":{}}}}}"#;
        assert!(beside_of(nested).unwrap_err().contains("nested"));
        let named = r#"{"Name":"w","Connect":{"SidecarService":{"ID":"x"}}}"#;
        assert!(beside_of(named).unwrap_err().contains("specify an ID"));
    }
}
