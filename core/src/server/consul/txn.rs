//! `/v1/txn`.

use coord_state::Reply;
use coord_state::consul::{ConsulCommand, ConsulReply, TxnError, TxnOp, TxnResult};
use coord_wire::consul::txn::{OpError, ReadTxnAnswer, ResultAnswer, TxnAnswer, TxnRequest};
use hyper::StatusCode;

use super::Front;
use super::answer::{Answer, Meta};
use super::call::Call;
use super::error_map::HttpError;
use super::read_options::ReadOptions;

const LIMIT_DOCUMENT: &str = "https://www.consul.io/docs/agent/config/config-files#txn_max_req_len";

impl Front {
    pub(super) async fn txn(&self, mut call: Call) -> Result<Answer, HttpError> {
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
            self.read_txn(&operations, &options, call.pretty()).await
        } else {
            self.write_txn(operations, call.pretty()).await
        }
    }

    async fn read_txn(
        &self,
        operations: &[TxnOp],
        options: &ReadOptions,
        pretty: bool,
    ) -> Result<Answer, HttpError> {
        let freshness = self.confirm(options).await?;
        let results = match self.node.read(|state| state.consul().read_txn(operations)) {
            Ok(results) => results,
            Err(errors) => return Ok(failed(op_errors(errors), pretty)),
        };
        let answer = self.results(&results);
        let answer = ReadTxnAnswer::new(answer, freshness.known_leader, freshness.last_contact_ms);
        Ok(Answer::json(&answer, pretty).with_meta(Meta {
            index: None,
            known_leader: freshness.known_leader,
            last_contact_ms: freshness.last_contact_ms,
            consistency: None,
        }))
    }

    async fn write_txn(&self, operations: Vec<TxnOp>, pretty: bool) -> Result<Answer, HttpError> {
        match self.change(ConsulCommand::Txn(operations)).await? {
            Reply::Consul(ConsulReply::Txn(Ok(results))) => {
                Ok(Answer::json(&self.results(&results), pretty))
            }
            Reply::Consul(ConsulReply::Txn(Err(errors))) => Ok(failed(op_errors(errors), pretty)),
            other => Err(HttpError::internal(format!("unexpected reply {other:?}"))),
        }
    }

    fn results<'a>(&'a self, results: &'a [TxnResult]) -> TxnAnswer<'a> {
        let datacenter = &self.node.settings().datacenter;
        let results = results.iter().map(|result| ResultAnswer::new(result, datacenter)).collect();
        TxnAnswer { results: Some(results), errors: None }
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
