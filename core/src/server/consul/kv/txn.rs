//! `/v1/txn`.

use coord_state::Reply;
use coord_state::consul::{ConsulCommand, ConsulReply, TxnError, TxnOp, TxnResult};
use coord_wire::consul::json;
use coord_wire::consul::txn::{OpError, ReadTxnAnswer, ResultAnswer, TxnAnswer, TxnRequest};
use hyper::StatusCode;

use crate::server::consul::ConsulApi;
use crate::server::consul::http::answer::{Answer, Meta};
use crate::server::consul::http::call::Call;
use crate::server::consul::http::error_map::HttpError;
use crate::server::consul::http::printing::{BYTES_PRINTED_HERE_MAX, reserve};
use crate::server::consul::http::read_options::ReadOptions;

const LIMIT_DOCUMENT: &str = "https://www.consul.io/docs/agent/config/config-files#txn_max_req_len";
impl ConsulApi {
    pub(crate) async fn txn(&self, mut call: Call) -> Result<Answer, HttpError> {
        let options = self.read_options(&call)?;
        let limits = &self.node.settings().limits;
        let bytes_max = limits.txn_bytes_max;
        let body = call.read_body(bytes_max, limits.http_body_bytes_max).await?;
        let body = body.map_err(|too_large| {
            HttpError::too_large(format!(
                "Request body({} bytes) too large, max size: {bytes_max} bytes. See {LIMIT_DOCUMENT}.",
                too_large.bytes
            ))
        })?;
        let request = TxnRequest::parse(&body, limits.kv_value_bytes_max)
            .map_err(|error| HttpError::bad_request(format!("Failed to parse body: {error}")))?;
        if request.given > limits.txn_ops_max {
            return Err(HttpError::too_large(format!(
                "Transaction contains too many operations ({} > {})",
                request.given, limits.txn_ops_max
            )));
        }
        if let Some((key, bytes)) = request.too_large {
            return Err(HttpError::too_large(format!(
                "Value for key {key:?} is too large ({bytes} > {} bytes)",
                limits.kv_value_bytes_max
            )));
        }
        let operations: Vec<_> = request.operations.into_iter().map(tried).collect();
        if operations.iter().all(TxnOp::is_read) {
            self.read_txn(&operations, &options, &call).await
        } else {
            self.write_txn(operations, &call).await
        }
    }

    async fn read_txn(
        &self,
        operations: &[TxnOp],
        options: &ReadOptions,
        call: &Call,
    ) -> Result<Answer, HttpError> {
        let freshness = self.confirm(options).await?;
        let results = match self.node.read(|state| state.consul().read_txn(operations)) {
            Ok(results) => results,
            Err(errors) => return Ok(failed(op_errors(errors), call.pretty())),
        };
        let fresh = Some((freshness.known_leader, freshness.last_contact_ms));
        Ok(self.told(call, results, fresh).await?.with_meta(Meta {
            index: None,
            known_leader: freshness.known_leader,
            last_contact_ms: freshness.last_contact_ms,
            consistency: None,
        }))
    }

    async fn write_txn(&self, operations: Vec<TxnOp>, call: &Call) -> Result<Answer, HttpError> {
        match self.change(ConsulCommand::Txn(operations)).await? {
            Reply::Consul(ConsulReply::Txn(Ok(results))) => self.told(call, results, None).await,
            Reply::Consul(ConsulReply::Txn(Err(errors))) => {
                Ok(failed(op_errors(errors), call.pretty()))
            }
            other => Err(HttpError::internal(format!("unexpected reply {other:?}"))),
        }
    }

    /// The answer with these results. Many, or long ones, wait for a turn: they
    /// share their values with the state meanwhile.
    async fn told(
        &self,
        call: &Call,
        results: Vec<TxnResult>,
        fresh: Option<(bool, u64)>,
    ) -> Result<Answer, HttpError> {
        let bytes: usize = results.iter().map(ResultAnswer::printed_bytes).sum();
        let (pretty, datacenter) = (call.pretty(), self.datacenter().to_owned());
        let print = move |results: Vec<TxnResult>| {
            let results = results.iter().map(|result| ResultAnswer::new(result, &datacenter));
            let answer = TxnAnswer { results: Some(results.collect()), errors: None };
            match fresh {
                None => json::encode(&answer, pretty),
                Some((known_leader, last_contact_ms)) => {
                    json::encode(&ReadTxnAnswer::new(answer, known_leader, last_contact_ms), pretty)
                }
            }
        };
        if bytes <= BYTES_PRINTED_HERE_MAX {
            return Ok(Answer::json_bytes(print(results)));
        }
        let take = || {
            // Values are printed once each before all of it is.
            reserve(&call.kept, 2 * bytes)?;
            Ok(results)
        };
        let bytes = self.printed_in_turn(call, false, take, move |all| Ok(print(all))).await?;
        Ok(Answer::json_bytes(bytes))
    }
}

/// What nobody can carry out fails in its place, so that every failing operation is
/// told, and not only those of one kind.
fn tried(operation: Result<TxnOp, String>) -> TxnOp {
    operation.unwrap_or_else(|what| TxnOp::Fail { what: what.into() })
}

fn op_errors(errors: Vec<TxnError>) -> Vec<OpError> {
    errors.into_iter().map(|error| OpError { op_index: error.op_index, what: error.what }).collect()
}

fn failed(errors: Vec<OpError>, pretty: bool) -> Answer {
    let answer = TxnAnswer { results: None, errors: Some(errors) };
    Answer::json(&answer, pretty).with_status(StatusCode::CONFLICT)
}
