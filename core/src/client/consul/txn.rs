//! Transactions: operations that are applied atomically.

use hyper::Method;
use serde_json::Value;

use super::Client;
use super::client::missing;
use super::options::WriteOptions;
use super::request::Request;
use crate::Error;

/// The outcome of a transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct TxnOutcome {
    /// Whether it was committed.
    pub committed: bool,
    /// One entry per operation that has a result, as `{"KV": {..}}` and so on.
    pub results: Vec<Value>,
    /// `{"OpIndex": n, "What": text}` for each operation that failed.
    pub errors: Vec<Value>,
    /// The complete response.
    pub body: Value,
}

impl Client {
    /// Runs `operations`, a list in Consul's JSON (`[{"KV": {"Verb": "set",
    /// "Key": "k", "Value": base64}}, ..]`; at most 128). A rollback is an
    /// outcome, not an error.
    pub async fn txn(
        &self,
        operations: &Value,
        options: &WriteOptions,
    ) -> Result<TxnOutcome, Error> {
        let request = Request::new(Method::PUT, "/v1/txn").json(operations);
        let request = options.put_on(request, self.settings().datacenter.as_deref());
        let response = self.request(request).await?;
        let committed = match response.status {
            200..=299 => true,
            409 => false,
            _ => return Err(response.failure().into_error(true)),
        };
        let body = response.json()?;
        let Value::Object(fields) = &body else { return Err(missing("results")) };
        let list = |name| fields.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        Ok(TxnOutcome { committed, results: list("Results"), errors: list("Errors"), body })
    }
}
