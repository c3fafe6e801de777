//! The catalog: nodes and services of the datacenter.

use hyper::Method;
use serde_json::Value;

use super::Client;
use super::client::truth;
use super::options::{ReadOptions, WriteOptions};
use super::request::{Answer, Request};
use crate::Error;

impl Client {
    /// Registers a node, a service or a check directly; `body` is Consul's
    /// JSON (`{"Node", "Address", "Service": {..}, "Check": {..}}`).
    pub async fn catalog_register(
        &self,
        body: &Value,
        options: &WriteOptions,
    ) -> Result<bool, Error> {
        let request = Request::new(Method::PUT, "/v1/catalog/register").json(body);
        truth(&self.write(request, options).await?)
    }

    /// Removes a node, or one of its services or checks (`{"Node",
    /// "ServiceID", "CheckID"}`).
    pub async fn catalog_deregister(
        &self,
        body: &Value,
        options: &WriteOptions,
    ) -> Result<bool, Error> {
        let request = Request::new(Method::PUT, "/v1/catalog/deregister").json(body);
        truth(&self.write(request, options).await?)
    }

    /// The names of the datacenters.
    pub async fn catalog_datacenters(&self) -> Result<Value, Error> {
        let request = Request::new(Method::GET, "/v1/catalog/datacenters");
        self.expect_success(request).await?.json()
    }

    /// All nodes.
    pub async fn catalog_nodes(&self, options: &ReadOptions) -> Result<Answer, Error> {
        self.read("/v1/catalog/nodes", options).await
    }

    /// All service names with their tags.
    pub async fn catalog_services(&self, options: &ReadOptions) -> Result<Answer, Error> {
        self.read("/v1/catalog/services", options).await
    }

    /// A node and its services; `null` if there is no such node.
    pub async fn catalog_node(&self, node: &str, options: &ReadOptions) -> Result<Answer, Error> {
        self.read(&format!("/v1/catalog/node/{node}"), options).await
    }

    /// The instances of a service, healthy or not.
    pub async fn catalog_service(
        &self,
        service: &str,
        options: &ReadOptions,
    ) -> Result<Answer, Error> {
        self.read(&format!("/v1/catalog/service/{service}"), options).await
    }
}
