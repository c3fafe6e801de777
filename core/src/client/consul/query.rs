//! Prepared queries.

use hyper::Method;
use serde_json::Value;

use super::Client;
use super::client::missing;
use super::options::{ReadOptions, WriteOptions};
use super::request::{Answer, Request};
use crate::Error;

impl Client {
    /// All prepared queries.
    pub async fn query_list(&self, options: &ReadOptions) -> Result<Answer, Error> {
        self.read("/v1/query", options).await
    }

    /// Creates a prepared query from Consul's JSON and returns its id.
    pub async fn query_create(
        &self,
        body: &Value,
        options: &WriteOptions,
    ) -> Result<String, Error> {
        let request = Request::new(Method::POST, "/v1/query").json(body);
        let answer = self.write(request, options).await?.json()?;
        let id = answer.get("ID").and_then(Value::as_str).ok_or_else(|| missing("ID"))?;
        Ok(id.to_owned())
    }

    /// Replaces a prepared query.
    pub async fn query_update(
        &self,
        id: &str,
        body: &Value,
        options: &WriteOptions,
    ) -> Result<(), Error> {
        let request = Request::new(Method::PUT, format!("/v1/query/{id}")).json(body);
        self.write(request, options).await.map(|_| ())
    }

    /// A prepared query, `None` if there is none with that id.
    pub async fn query_get(
        &self,
        id: &str,
        options: &ReadOptions,
    ) -> Result<Answer<Option<Value>>, Error> {
        self.read_one(&format!("/v1/query/{id}"), options).await
    }

    /// Deletes a prepared query.
    pub async fn query_delete(&self, id: &str, options: &WriteOptions) -> Result<(), Error> {
        let request = Request::new(Method::DELETE, format!("/v1/query/{id}"));
        self.write(request, options).await.map(|_| ())
    }

    /// Runs a prepared query by id or name, `None` if there is none; at most
    /// `limit` instances.
    pub async fn query_execute(
        &self,
        query: &str,
        limit: Option<u32>,
        options: &ReadOptions,
    ) -> Result<Option<Value>, Error> {
        let path = format!("/v1/query/{query}/execute");
        let request =
            Request::new(Method::GET, path).param_if("limit", limit.map(|limit| limit.to_string()));
        let response = self.read_any(request, options).await?;
        match response.status {
            200..=299 => Ok(Some(response.json()?)),
            404 => Ok(None),
            _ => Err(response.failure().into_error(false)),
        }
    }
}
