//! Lenient service registration, the same in every binding.
//!
//! Consul's Python clients take a service's id as the second argument, where
//! many users write its address: `register("test", "10.0.0.1:8500")` then
//! registers an instance with that id and no address, which
//! `deregister("test")` does not remove. These rules interpret such calls as
//! they are meant.
//!
//! | input | meaning |
//! |---|---|
//! | second argument without a name, `host:port` or `[v6]:port`, no address and no port | address and port; the id is the name |
//! | the same with `id` by name, or anything that is not exactly `host:port` | the id, unchanged |
//! | deregister an id that does not exist, but exactly one service has that name | that service |
//! | several services have that name | an error that lists their ids |
//! | strict | Consul's own meaning throughout |
//!
//! Because the id is then the name, a second registration of the name with
//! another address would silently replace the first: it is refused if the same
//! client made the first.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::sync::PoisonError;

use coord_wire::address::HostPort;
use serde_json::Value;

use super::Client;
use super::agent::ServiceDefinition;
use crate::Error;
use crate::sync::{Mutex, MutexGuard};

/// Registrations remembered per client, to detect replacements.
const REMEMBERED_MAX: usize = 65_536;

/// How the caller passed the id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GivenId<'a> {
    /// Not at all.
    Absent,
    /// As the second positional argument.
    Positional(&'a str),
    /// By name.
    Keyword(&'a str),
}

/// The meaning of a registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The id to send; the name if none.
    pub id: Option<String>,
    /// The address to send.
    pub address: Option<String>,
    /// The port to send.
    pub port: Option<u16>,
    recognised: bool,
}

/// What to deregister if there is no such id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ByName {
    /// No service has that name.
    None,
    /// The id of the only one.
    One(String),
    /// The ids of all of them, in order.
    Several(Vec<String>),
}

/// The rules, with the registrations of one client object so far.
#[derive(Debug, Default)]
pub struct RegistrationRules {
    strict: bool,
    registered: Mutex<BTreeMap<String, Endpoint>>,
}

type Endpoint = (Option<String>, Option<u16>);

impl RegistrationRules {
    /// Rules for one client object; `strict` turns them off.
    pub fn new(strict: bool) -> Self {
        Self { strict, registered: Mutex::default() }
    }

    /// Rules that are strict if `COORD_STRICT` is set to `1`.
    pub fn from_environment() -> Self {
        Self::new(std::env::var("COORD_STRICT").is_ok_and(|value| value == "1"))
    }

    /// Whether Consul's own meaning is kept throughout.
    pub fn is_strict(&self) -> bool {
        self.strict
    }

    /// Interprets a registration of `name` with these arguments.
    ///
    /// # Errors
    /// `Invalid` if it would replace a registration of this client object with
    /// another address, and the id was inferred.
    pub fn resolve(
        &self,
        name: &str,
        id: GivenId<'_>,
        address: Option<&str>,
        port: Option<u16>,
    ) -> Result<Resolved, Error> {
        let literal = |id: Option<&str>| Resolved {
            id: id.map(str::to_owned),
            address: address.map(str::to_owned),
            port,
            recognised: false,
        };
        let positional = match id {
            GivenId::Absent => return Ok(literal(None)),
            GivenId::Keyword(id) => return Ok(literal(Some(id))),
            GivenId::Positional(id) => id,
        };
        let (None, None, false, Some((host, found))) =
            (address, port, self.strict, host_and_port(positional))
        else {
            return Ok(literal(Some(positional)));
        };
        let endpoint = (Some(host), Some(found));
        self.refuse_replacement(name, &endpoint)?;
        let (address, port) = endpoint;
        Ok(Resolved { id: Some(name.to_owned()), address, port, recognised: true })
    }

    fn refuse_replacement(&self, name: &str, endpoint: &Endpoint) -> Result<(), Error> {
        match self.lock().get(name) {
            Some(before) if before != endpoint => Err(Error::invalid(format!(
                "this client has already registered service {name:?} at {}, and this call would \
                 replace it: pass service_id= to register several instances",
                shown(before)
            ))),
            _ => Ok(()),
        }
    }

    /// Remembers a registration that was accepted.
    pub fn registered(&self, name: &str, resolved: &Resolved) {
        let id = resolved.id.clone().unwrap_or_else(|| name.to_owned());
        let mut registered = self.lock();
        if registered.len() < REMEMBERED_MAX || registered.contains_key(&id) {
            registered.insert(id, (resolved.address.clone(), resolved.port));
        }
    }

    /// Forgets a removed registration.
    pub fn deregistered(&self, id: &str) {
        self.lock().remove(id);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Endpoint>> {
        self.registered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resolved {
    /// Whether the id was read as an address.
    pub fn is_recognised(&self) -> bool {
        self.recognised
    }
}

impl ByName {
    /// Looks in the agent's services (`/v1/agent/services`).
    pub fn find(name: &str, services: &Value) -> Self {
        let Value::Object(services) = services else { return Self::None };
        let named = services.iter().filter(|(_, service)| service["Service"] == name);
        let mut ids: Vec<String> = named.map(|(id, _)| id.clone()).collect();
        ids.sort_unstable();
        match ids.len() {
            0 => Self::None,
            1 => Self::One(ids.remove(0)),
            _ => Self::Several(ids),
        }
    }
}

impl Client {
    /// Registers `service`, interpreting `id` by the rules; `service.id` is
    /// ignored. Returns the interpretation.
    ///
    /// # Errors
    /// As [`RegistrationRules::resolve`] and [`Client::agent_service_register`].
    pub async fn register_service(
        &self,
        rules: &RegistrationRules,
        service: &ServiceDefinition,
        id: GivenId<'_>,
        token: Option<&str>,
    ) -> Result<Resolved, Error> {
        let resolved =
            rules.resolve(&service.name, id, service.address.as_deref(), service.port)?;
        let service = ServiceDefinition {
            id: resolved.id.clone(),
            address: resolved.address.clone(),
            port: resolved.port,
            ..service.clone()
        };
        self.agent_service_register(&service, token).await?;
        rules.registered(&service.name, &resolved);
        Ok(resolved)
    }

    /// Deregisters the service with that id or, unless strict, the only one
    /// with that name; `false` if there is neither.
    ///
    /// # Errors
    /// `Invalid` if several services have the name; the message lists their
    /// ids.
    pub async fn deregister_service(
        &self,
        rules: &RegistrationRules,
        id_or_name: &str,
        token: Option<&str>,
    ) -> Result<bool, Error> {
        if self.agent_service_deregister(id_or_name, token).await? {
            rules.deregistered(id_or_name);
            return Ok(true);
        }
        if rules.is_strict() {
            return Ok(false);
        }
        let services = self.agent_services_with(token).await?;
        match ByName::find(id_or_name, &services) {
            ByName::None => Ok(false),
            ByName::One(id) => {
                let done = self.agent_service_deregister(&id, token).await?;
                rules.deregistered(&id);
                Ok(done)
            }
            ByName::Several(ids) => Err(Error::invalid(format!(
                "no service has the id {id_or_name:?}, and several instances have that name: \
                 pass one of their ids: {}",
                ids.join(", ")
            ))),
        }
    }
}

/// `host:port` or `[v6]:port` and nothing else, with a port from 1 to 65535. Other forms of an
/// address, such as with a port name, could also be an id.
fn host_and_port(text: &str) -> Option<(String, u16)> {
    let read = HostPort::parse(text).ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let is_host = read.host.bytes().all(plain) || read.host.parse::<Ipv6Addr>().is_ok();
    let is_whole = is_host && !read.host.is_empty() && read.port > 0;
    (is_whole && read.to_string() == text).then_some((read.host, read.port))
}

fn shown((address, port): &Endpoint) -> String {
    match (address, port) {
        (Some(address), Some(port)) => format!("{address}:{port}"),
        (Some(address), None) => address.clone(),
        (None, Some(port)) => format!("port {port}"),
        (None, None) => "the node's address".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn resolve(rules: &RegistrationRules, name: &str, id: &str) -> Result<Resolved, Error> {
        rules.resolve(name, GivenId::Positional(id), None, None)
    }

    fn literal(resolved: &Resolved) -> Option<&str> {
        assert_eq!((&resolved.address, resolved.port), (&None, None));
        resolved.id.as_deref()
    }

    #[test]
    fn a_positional_host_and_port_is_the_address_and_the_id_is_the_name() {
        let rules = RegistrationRules::new(false);
        for (given, host, port) in [
            ("127.0.0.1:8500", "127.0.0.1", 8500),
            ("web-1.example:1", "web-1.example", 1),
            ("db_1:65535", "db_1", 65535),
            ("[::1]:80", "::1", 80),
        ] {
            let resolved = resolve(&rules, "test", given).unwrap();
            assert_eq!(resolved.id.as_deref(), Some("test"), "{given}");
            assert_eq!(resolved.address.as_deref(), Some(host));
            assert_eq!(resolved.port, Some(port));
            assert!(resolved.is_recognised());
        }
    }

    #[test]
    fn a_positional_value_that_is_not_fully_host_and_port_is_an_id() {
        let rules = RegistrationRules::new(false);
        for id in [
            "web-1",
            "host",
            "host:",
            ":80",
            "host:0",
            "host:65536",
            "host:080",
            "host:+80",
            "host:port",
            "host:80:extra",
            "http://host:80",
            "::1:8500",
            "[::1]",
            "[::1]80",
            "[host]:80",
            "a b:80",
            "a/b:80",
            "5f1c2a7e-9f0a-4f0e-8a53-2c1d0b8a1e77",
            "",
        ] {
            let resolved = resolve(&rules, "test", id).unwrap();
            assert_eq!(literal(&resolved), Some(id));
            assert!(!resolved.is_recognised());
        }
    }

    #[test]
    fn an_id_given_by_name_is_literal_even_if_it_looks_like_an_address() {
        let rules = RegistrationRules::new(false);
        let given = GivenId::Keyword("127.0.0.1:8500");
        let resolved = rules.resolve("test", given, None, None).unwrap();
        assert_eq!(literal(&resolved), Some("127.0.0.1:8500"));
        let resolved = rules.resolve("test", GivenId::Absent, None, None).unwrap();
        assert_eq!(literal(&resolved), None);
    }

    #[test]
    fn a_positional_id_is_literal_once_an_address_or_a_port_is_given() {
        let rules = RegistrationRules::new(false);
        let given = GivenId::Positional("127.0.0.1:8500");
        let resolved = rules.resolve("test", given, None, Some(80)).unwrap();
        assert_eq!((resolved.id.as_deref(), resolved.port), (Some("127.0.0.1:8500"), Some(80)));
        let resolved = rules.resolve("test", given, Some("h"), None).unwrap();
        assert_eq!(resolved.id.as_deref(), Some("127.0.0.1:8500"));
        assert_eq!(resolved.address.as_deref(), Some("h"));
    }

    #[test]
    fn strict_keeps_consuls_own_meaning() {
        let rules = RegistrationRules::new(true);
        let resolved = resolve(&rules, "test", "127.0.0.1:8500").unwrap();
        assert_eq!(literal(&resolved), Some("127.0.0.1:8500"));
    }

    #[test]
    fn a_second_address_for_a_name_is_refused_until_the_first_is_gone() {
        let rules = RegistrationRules::new(false);
        let first = resolve(&rules, "test", "10.0.0.1:80").unwrap();
        rules.registered("test", &first);
        resolve(&rules, "test", "10.0.0.1:80").expect("the same again");
        let refused = resolve(&rules, "test", "10.0.0.2:80").unwrap_err();
        assert!(refused.to_string().contains("10.0.0.1:80"), "{refused}");
        resolve(&rules, "other", "10.0.0.2:80").expect("another name");
        rules.deregistered("test");
        resolve(&rules, "test", "10.0.0.2:80").expect("free again");
    }

    #[test]
    fn a_name_finds_the_only_service_that_has_it() {
        let services = json!({
            "b": {"ID": "b", "Service": "web"},
            "a": {"ID": "a", "Service": "web"},
            "c": {"ID": "c", "Service": "db"},
        });
        assert_eq!(ByName::find("db", &services), ByName::One("c".to_owned()));
        assert_eq!(
            ByName::find("web", &services),
            ByName::Several(vec!["a".to_owned(), "b".to_owned()])
        );
        assert_eq!(ByName::find("c", &services), ByName::None);
        assert_eq!(ByName::find("c", &json!(null)), ByName::None);
    }
}
