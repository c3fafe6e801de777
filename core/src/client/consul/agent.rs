//! The local agent: its state and its registrations.

use std::collections::BTreeMap;

use hyper::Method;
use serde_json::{Map, Value, json};

use super::Client;
use super::check::Check;
use super::client::truth;
use super::dependency::Dependency;
use super::options::ReadOptions;
use super::request::Request;
use crate::Error;

/// A service to register with the agent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServiceDefinition {
    /// The name it is looked up by.
    pub name: String,
    /// Unique at the agent; the name unless given.
    pub id: Option<String>,
    /// The node's unless given.
    pub address: Option<String>,
    /// 0 unless given.
    pub port: Option<u16>,
    /// Labels.
    pub tags: Vec<String>,
    /// Keys and values.
    pub meta: BTreeMap<String, String>,
    /// Its checks.
    pub checks: Vec<Check>,
    /// Its dependencies. The original Consul does not know this field and
    /// refuses it.
    pub depends_on: Vec<Dependency>,
    /// Whether changes of tags in the catalog are kept.
    pub enable_tag_override: bool,
    /// Remove checks that are not in this definition.
    pub replace_existing_checks: bool,
    /// Any other field, named as in Consul's JSON.
    pub more: Map<String, Value>,
}

impl ServiceDefinition {
    /// A definition with only a name.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// In Consul's JSON.
    pub fn to_json(&self) -> Value {
        let mut body = self.more.clone();
        let mut put = |field: &str, value: Value| body.insert(field.to_owned(), value);
        put("Name", json!(self.name));
        if let Some(id) = &self.id {
            put("ID", json!(id));
        }
        if let Some(address) = &self.address {
            put("Address", json!(address));
        }
        if let Some(port) = self.port {
            put("Port", json!(port));
        }
        if !self.tags.is_empty() {
            put("Tags", json!(self.tags));
        }
        if !self.meta.is_empty() {
            put("Meta", json!(self.meta));
        }
        if !self.checks.is_empty() {
            put("Checks", self.checks.iter().map(Check::to_json).collect());
        }
        if !self.depends_on.is_empty() {
            put("DependsOn", self.depends_on.iter().map(Dependency::to_json).collect());
        }
        if self.enable_tag_override {
            put("EnableTagOverride", json!(true));
        }
        Value::Object(body)
    }
}

impl Client {
    /// The agent's settings, membership and metadata.
    pub async fn agent_self(&self) -> Result<Value, Error> {
        self.local("/v1/agent/self", None).await
    }

    /// The services registered with this agent, by id.
    pub async fn agent_services(&self, filter: Option<&str>) -> Result<Value, Error> {
        self.local("/v1/agent/services", filter).await
    }

    /// The checks registered with this agent, by id.
    pub async fn agent_checks(&self, filter: Option<&str>) -> Result<Value, Error> {
        self.local("/v1/agent/checks", filter).await
    }

    /// One service of this agent, `None` if it has none with that id.
    pub async fn agent_service(
        &self,
        id: &str,
        options: &ReadOptions,
    ) -> Result<Option<Value>, Error> {
        Ok(self.read_one(&format!("/v1/agent/service/{id}"), options).await?.body)
    }

    /// The members that this agent knows.
    pub async fn agent_members(&self, wan: bool) -> Result<Value, Error> {
        let request = Request::new(Method::GET, "/v1/agent/members");
        let request = if wan { request.param("wan", "1") } else { request };
        self.expect_success(request).await?.json()
    }

    /// Joins the cluster of another agent.
    pub async fn agent_join(&self, address: &str, wan: bool) -> Result<(), Error> {
        let request = Request::new(Method::PUT, format!("/v1/agent/join/{address}"));
        let request = if wan { request.param("wan", "1") } else { request };
        self.put_local(request, None).await
    }

    /// Leaves the cluster and stops.
    pub async fn agent_leave(&self) -> Result<(), Error> {
        self.put_local(Request::new(Method::PUT, "/v1/agent/leave"), None).await
    }

    /// Removes a failed member.
    pub async fn agent_force_leave(&self, node: &str, prune: bool) -> Result<(), Error> {
        let request = Request::new(Method::PUT, format!("/v1/agent/force-leave/{node}"));
        self.put_local(request.flag("prune", prune), None).await
    }

    /// Turns maintenance mode of the node on or off.
    pub async fn agent_maintenance(&self, enable: bool, reason: Option<&str>) -> Result<(), Error> {
        let request = Request::new(Method::PUT, "/v1/agent/maintenance");
        self.put_local(maintenance(request, enable, reason), None).await
    }

    /// Registers a service, or updates it if the id exists.
    pub async fn agent_service_register(
        &self,
        service: &ServiceDefinition,
        token: Option<&str>,
    ) -> Result<(), Error> {
        let mut request = Request::new(Method::PUT, "/v1/agent/service/register");
        if service.replace_existing_checks {
            request = request.param("replace-existing-checks", "true");
        }
        self.put_local(request.json(&service.to_json()), token).await
    }

    /// Deregisters the service with that id; `false` if the agent has none.
    /// (Consul before 1.9 always answers `true`.)
    pub async fn agent_service_deregister(
        &self,
        id: &str,
        token: Option<&str>,
    ) -> Result<bool, Error> {
        let path = format!("/v1/agent/service/deregister/{id}");
        let response = self.request(Request::new(Method::PUT, path).token(token)).await?;
        match response.status {
            200..=299 => Ok(true),
            404 => Ok(false),
            _ => Err(response.failure().into_error(true)),
        }
    }

    /// Turns maintenance mode of a service on or off.
    pub async fn agent_service_maintenance(
        &self,
        id: &str,
        enable: bool,
        reason: Option<&str>,
    ) -> Result<(), Error> {
        let request = Request::new(Method::PUT, format!("/v1/agent/service/maintenance/{id}"));
        self.put_local(maintenance(request, enable, reason), None).await
    }

    /// Registers a check named `name`; `definition` contains the probe and
    /// optionally `ID`, `ServiceID` and `Notes`.
    pub async fn agent_check_register(
        &self,
        name: &str,
        definition: &Check,
        token: Option<&str>,
    ) -> Result<(), Error> {
        let body = definition.clone().with("Name", json!(name)).to_json();
        let request = Request::new(Method::PUT, "/v1/agent/check/register").json(&body);
        self.put_local(request, token).await
    }

    /// Deregisters a check; `false` if the agent has none with that id.
    pub async fn agent_check_deregister(
        &self,
        id: &str,
        token: Option<&str>,
    ) -> Result<bool, Error> {
        let path = format!("/v1/agent/check/deregister/{id}");
        let response = self.request(Request::new(Method::PUT, path).token(token)).await?;
        match response.status {
            200..=299 => Ok(true),
            404 => Ok(false),
            _ => Err(response.failure().into_error(true)),
        }
    }

    /// Marks a TTL check as passing.
    pub async fn agent_check_pass(&self, id: &str, note: Option<&str>) -> Result<(), Error> {
        self.check_ttl("pass", id, note).await
    }

    /// Marks a TTL check as warning.
    pub async fn agent_check_warn(&self, id: &str, note: Option<&str>) -> Result<(), Error> {
        self.check_ttl("warn", id, note).await
    }

    /// Marks a TTL check as critical.
    pub async fn agent_check_fail(&self, id: &str, note: Option<&str>) -> Result<(), Error> {
        self.check_ttl("fail", id, note).await
    }

    async fn check_ttl(&self, verb: &str, id: &str, note: Option<&str>) -> Result<(), Error> {
        let request = Request::new(Method::PUT, format!("/v1/agent/check/{verb}/{id}"));
        self.put_local(request.param_if("note", note), None).await
    }

    /// As [`Self::agent_services`], on behalf of `token`.
    pub(super) async fn agent_services_with(&self, token: Option<&str>) -> Result<Value, Error> {
        let request = Request::new(Method::GET, "/v1/agent/services").token(token);
        self.expect_success(request).await?.json()
    }

    async fn local(&self, path: &str, filter: Option<&str>) -> Result<Value, Error> {
        let request = Request::new(Method::GET, path).param_if("filter", filter);
        self.expect_success(request).await?.json()
    }

    async fn put_local(&self, request: Request, token: Option<&str>) -> Result<(), Error> {
        let response = self.write_local(request, token).await?;
        // Some agents answer `true`, some nothing; both mean success.
        truth(&response).map(|_| ())
    }
}

fn maintenance(request: Request, enable: bool, reason: Option<&str>) -> Request {
    request.param("enable", if enable { "true" } else { "false" }).param_if("reason", reason)
}
