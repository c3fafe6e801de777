//! User events.

use bytes::Bytes;
use hyper::Method;
use serde_json::Value;

use super::Client;
use super::options::{ReadOptions, WriteOptions};
use super::request::{Answer, Request};
use crate::Error;

/// The recipients of an event, as regular expressions; all unless given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FireOptions {
    /// Node names.
    pub node: Option<String>,
    /// Service names.
    pub service: Option<String>,
    /// Tags; needs a service.
    pub tag: Option<String>,
    /// Datacenter and token.
    pub options: WriteOptions,
}

impl Client {
    /// Fires an event and returns it in Consul's JSON.
    pub async fn event_fire(
        &self,
        name: &str,
        payload: impl Into<Bytes>,
        fire: &FireOptions,
    ) -> Result<Value, Error> {
        let request = Request::new(Method::PUT, format!("/v1/event/fire/{name}"))
            .param_if("node", fire.node.as_deref())
            .param_if("service", fire.service.as_deref())
            .param_if("tag", fire.tag.as_deref())
            .body(payload);
        self.write(request, &fire.options).await?.json()
    }

    /// The recent events of this agent, at most 256, oldest first, payloads in
    /// base64; with `name` only those.
    pub async fn event_list(
        &self,
        name: Option<&str>,
        options: &ReadOptions,
    ) -> Result<Answer, Error> {
        let request = Request::new(Method::GET, "/v1/event/list").param_if("name", name);
        let response = self.read_any(request, options).await?;
        match response.status {
            200..=299 => Ok(Answer { index: response.index(), body: response.json()? }),
            _ => Err(response.failure().into_error(false)),
        }
    }
}
