//! Sessions, which hold locks.

use hyper::Method;
use serde_json::{Map, Value, json};

use super::Client;
use super::client::{missing, truth};
use super::options::{ReadOptions, WriteOptions};
use super::request::{Answer, Request};
use crate::Error;

/// A session to create. Durations are strings in Consul's format (`15s`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionDefinition {
    /// A human-readable name.
    pub name: Option<String>,
    /// The agent's own unless given.
    pub node: Option<String>,
    /// Checks that invalidate it; `serfHealth` unless given.
    pub checks: Option<Vec<String>>,
    /// How long its locks cannot be acquired after it was invalidated; 15 s unless given.
    pub lock_delay: Option<String>,
    /// `release` (default) or `delete`: what happens to its locked keys.
    pub behavior: Option<String>,
    /// It expires unless renewed within this, 10 s to 24 h; without a TTL it does not expire.
    pub ttl: Option<String>,
}

impl SessionDefinition {
    /// In Consul's JSON.
    pub fn to_json(&self) -> Value {
        let mut body = Map::new();
        let texts = [
            ("Name", &self.name),
            ("Node", &self.node),
            ("LockDelay", &self.lock_delay),
            ("Behavior", &self.behavior),
            ("TTL", &self.ttl),
        ];
        for (field, text) in texts {
            if let Some(text) = text {
                body.insert(field.to_owned(), json!(text));
            }
        }
        if let Some(checks) = &self.checks {
            body.insert("Checks".to_owned(), json!(checks));
        }
        Value::Object(body)
    }
}

impl Client {
    /// Creates a session and returns its id.
    pub async fn session_create(
        &self,
        session: &SessionDefinition,
        options: &WriteOptions,
    ) -> Result<String, Error> {
        let request = Request::new(Method::PUT, "/v1/session/create").json(&session.to_json());
        let body = self.write(request, options).await?.json()?;
        let id = body.get("ID").and_then(Value::as_str).ok_or_else(|| missing("ID"))?;
        Ok(id.to_owned())
    }

    /// Ends a session; succeeds if it does not exist.
    pub async fn session_destroy(&self, id: &str, options: &WriteOptions) -> Result<bool, Error> {
        let request = Request::new(Method::PUT, format!("/v1/session/destroy/{id}"));
        truth(&self.write(request, options).await?)
    }

    /// Restarts the TTL of a session and returns the session, `None` if it does
    /// not exist.
    pub async fn session_renew(
        &self,
        id: &str,
        options: &WriteOptions,
    ) -> Result<Option<Value>, Error> {
        let request = Request::new(Method::PUT, format!("/v1/session/renew/{id}"));
        let request = options.put_on(request, self.settings().datacenter.as_deref());
        let response = self.request(request).await?;
        match response.status {
            200..=299 => match response.json()? {
                Value::Array(list) => Ok(list.into_iter().next()),
                other => Ok(Some(other)),
            },
            404 => Ok(None),
            _ => Err(response.failure().into_error(true)),
        }
    }

    /// A session, `None` if it does not exist.
    pub async fn session_info(
        &self,
        id: &str,
        options: &ReadOptions,
    ) -> Result<Answer<Option<Value>>, Error> {
        self.read_one(&format!("/v1/session/info/{id}"), options).await
    }

    /// All sessions.
    pub async fn session_list(&self, options: &ReadOptions) -> Result<Answer, Error> {
        self.read("/v1/session/list", options).await
    }

    /// The sessions of a node.
    pub async fn session_node(&self, node: &str, options: &ReadOptions) -> Result<Answer, Error> {
        self.read(&format!("/v1/session/node/{node}"), options).await
    }
}
