//! `/v1/txn`: operations as asked for, results as printed.
//!
//! Each operation is one object with exactly one of `KV`, `Node`, `Service`,
//! `Check`. What is wrong with the whole body is a [`DecodeError`]; what is
//! wrong with one operation is an [`OpError`], reported beside the others.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use coord_state::consul::{ConsulSessionId, KvOp, NewCheck, NewNode, NewService, TxnOp, TxnResult};
use serde::Serialize;
use serde_json::Value;

use super::decode::{self, DecodeError, Fields};
use super::{catalog, health, uuid};
use crate::consul::catalog::{NodeAnswer, NodeServiceAnswer};
use crate::consul::health::CheckAnswer;
use crate::consul::kv::KvAnswer;

/// A transaction as asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TxnRequest {
    /// In order; one that cannot be carried out says why. Empty ones are left out.
    pub operations: Vec<Result<TxnOp, String>>,
    /// How many there were, empty ones included.
    pub given: usize,
    /// The first key whose value is larger than allowed, and how large.
    pub too_large: Option<(String, usize)>,
}

impl TxnRequest {
    /// Reads a body.
    ///
    /// # Errors
    /// [`DecodeError`] if it is not a list of operations.
    pub fn parse(body: &[u8], value_bytes_max: usize) -> Result<Self, DecodeError> {
        let items = decode::list(decode::parse(body)?, "api.TxnOps")?;
        let mut request = Self { given: items.len(), ..Self::default() };
        for item in items {
            let mut fields = Fields::of(item, "api.TxnOp")?;
            // All are taken before one is chosen: Go's client names every kind
            // and gives null for those it does not mean.
            let given = ["KV", "Node", "Service", "Check"].map(|kind| fields.value(kind));
            fields.finish()?;
            let operation = match given {
                [Some(value), ..] => Some(request.kv(value, value_bytes_max)?),
                [_, Some(value), ..] => Some(node(value)?),
                [_, _, Some(value), _] => Some(service(value)?),
                [.., check_given] => check_given.map(check).transpose()?,
            };
            request.operations.extend(operation);
        }
        Ok(request)
    }

    fn kv(&mut self, value: Value, value_bytes_max: usize) -> Result<Operation, DecodeError> {
        let mut fields = Fields::of(value, "api.KVTxnOp")?;
        let verb = fields.string("Verb")?;
        let key = fields.string("Key")?;
        let value = base64(fields.string("Value")?)?;
        let flags = fields.unsigned("Flags")?;
        let index = fields.unsigned("Index")?;
        let session = fields.string("Session")?;
        fields.take_scope()?;
        fields.finish()?;
        if value.len() > value_bytes_max && self.too_large.is_none() {
            self.too_large = Some((key.clone(), value.len()));
        }
        Ok(kv_op(&verb, key, value, flags, index, &session))
    }
}

type Operation = Result<TxnOp, String>;

fn base64(text: String) -> Result<Bytes, DecodeError> {
    match STANDARD.decode(text.as_bytes()) {
        Ok(bytes) => Ok(bytes.into()),
        Err(error) => {
            let at = match error {
                base64::DecodeError::InvalidByte(at, _)
                | base64::DecodeError::InvalidLastSymbol(at, _) => at,
                base64::DecodeError::InvalidLength(_) | base64::DecodeError::InvalidPadding => {
                    text.len() / 4 * 4
                }
            };
            Err(DecodeError::new(format!("illegal base64 data at input byte {at}")))
        }
    }
}

fn kv_op(
    verb: &str,
    key: String,
    value: Bytes,
    flags: u64,
    index: u64,
    session: &str,
) -> Operation {
    // A whole tree may be named by the empty prefix, a key may not be empty.
    if key.is_empty() && !matches!(verb, "delete-tree" | "get-tree") {
        return Err("Must provide key".to_owned());
    }
    let key = Bytes::from(key);
    let named = || match session {
        "" => Err("missing session".to_owned()),
        text => Ok(text),
    };
    // Only who takes a lock is looked up; elsewhere texts are compared.
    let taker = || {
        uuid::looked_up(named()?)
            .map_err(|error| format!("failed session lookup: index error: {error}"))?
            .map(ConsulSessionId)
            .ok_or_else(|| format!("invalid session {session:?}"))
    };
    let holder = |key: &Bytes| {
        uuid::looked_up(named()?).ok().flatten().map(ConsulSessionId).ok_or_else(|| {
            let key = String::from_utf8_lossy(key);
            format!("failed to unlock key {key:?}, lock isn't held, or is held by another session")
        })
    };
    Ok(match verb {
        "set" => TxnOp::Kv(KvOp::Set { key, value, flags }),
        "cas" => TxnOp::Kv(KvOp::Cas { key, value, flags, index }),
        "lock" => TxnOp::Kv(KvOp::Acquire { key, value, flags, session: taker()? }),
        "unlock" => {
            let session = holder(&key)?;
            TxnOp::Kv(KvOp::Release { key, value, flags, session })
        }
        "delete" => TxnOp::Kv(KvOp::Delete { key }),
        "delete-cas" => TxnOp::Kv(KvOp::DeleteCas { key, index }),
        "delete-tree" => TxnOp::Kv(KvOp::DeleteTree { prefix: key }),
        "get" => TxnOp::Get { key },
        "get-or-empty" => TxnOp::GetOrEmpty { key },
        "get-tree" => TxnOp::GetTree { prefix: key },
        "check-index" => TxnOp::CheckIndex { key, index },
        "check-session" => TxnOp::CheckHolder { key, holder: session.into() },
        "check-not-exists" => TxnOp::CheckNotExists { key },
        other => return Err(format!("unknown KV verb {other:?}")),
    })
}

fn node(value: Value) -> Result<Operation, DecodeError> {
    let mut fields = Fields::of(value, "api.NodeTxnOp")?;
    let verb = fields.string("Verb")?;
    let (node, index): (NewNode, u64) = catalog::node(fields.value("Node").unwrap_or(Value::Null))?;
    fields.finish()?;
    if node.name.is_empty() {
        return Ok(Err("Must provide node".to_owned()));
    }
    let name = node.name.clone();
    Ok(Ok(match verb.as_str() {
        "set" => TxnOp::NodeSet { node, cas: None },
        "cas" => TxnOp::NodeSet { node, cas: Some(index) },
        "get" => TxnOp::NodeGet { node: name },
        "delete" => TxnOp::NodeDelete { node: name, cas: None },
        "delete-cas" => TxnOp::NodeDelete { node: name, cas: Some(index) },
        other => return Ok(Err(format!("unknown Node verb {other:?}"))),
    }))
}

fn service(value: Value) -> Result<Operation, DecodeError> {
    let mut fields = Fields::of(value, "api.ServiceTxnOp")?;
    let verb = fields.string("Verb")?;
    let node: Box<str> = fields.string("Node")?.into();
    let mut body = fields.value("Service").unwrap_or(Value::Null);
    let index = take_modify_index(&mut body);
    let mut service: NewService = catalog::service(body)?;
    fields.take_scope()?;
    fields.finish()?;
    if service.id.is_empty() {
        service.id = service.name.clone();
    }
    let service_id = service.id.clone();
    let service = Box::new(service);
    Ok(Ok(match verb.as_str() {
        "set" => TxnOp::ServiceSet { node, service, cas: None },
        "cas" => TxnOp::ServiceSet { node, service, cas: Some(index) },
        "get" => TxnOp::ServiceGet { node, service_id },
        "delete" => TxnOp::ServiceDelete { node, service_id, cas: None },
        "delete-cas" => TxnOp::ServiceDelete { node, service_id, cas: Some(index) },
        other => return Ok(Err(format!("unknown Service verb {other:?}"))),
    }))
}

/// The modify index in a service body, which the catalog's own reader passes over.
fn take_modify_index(body: &mut Value) -> u64 {
    let Some(map) = body.as_object_mut() else { return 0 };
    let key = map.keys().find(|key| key.eq_ignore_ascii_case("ModifyIndex")).cloned();
    key.and_then(|key| map.remove(&key)).and_then(|value| value.as_u64()).unwrap_or(0)
}

fn check(value: Value) -> Result<Operation, DecodeError> {
    let mut fields = Fields::of(value, "api.CheckTxnOp")?;
    let verb = fields.string("Verb")?;
    let (node, check, index): (String, NewCheck, u64) =
        health::check(fields.value("Check").unwrap_or(Value::Null))?;
    fields.finish()?;
    let node: Box<str> = node.into();
    let check_id = check.id.clone();
    let check = Box::new(check);
    Ok(Ok(match verb.as_str() {
        "set" => TxnOp::CheckSet { node, check, cas: None },
        "cas" => TxnOp::CheckSet { node, check, cas: Some(index) },
        "get" => TxnOp::CheckGet { node, check_id },
        "delete" => TxnOp::CheckDelete { node, check_id, cas: None },
        "delete-cas" => TxnOp::CheckDelete { node, check_id, cas: Some(index) },
        other => return Ok(Err(format!("unknown Check verb {other:?}"))),
    }))
}

/// The answer to a transaction.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TxnAnswer<'a> {
    /// One or more per reading or writing operation, or null after a failure.
    pub results: Option<Vec<ResultAnswer<'a>>>,
    /// Every failed operation, or null.
    pub errors: Option<Vec<OpError>>,
}

/// The answer to a transaction that only read.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ReadTxnAnswer<'a> {
    results: Option<Vec<ResultAnswer<'a>>>,
    errors: Option<Vec<OpError>>,
    index: u64,
    last_contact: u64,
    known_leader: bool,
    consistency_level: &'static str,
}

impl<'a> ReadTxnAnswer<'a> {
    /// `answer` with how fresh it is.
    pub fn new(answer: TxnAnswer<'a>, known_leader: bool, last_contact_ms: u64) -> Self {
        Self {
            results: answer.results,
            errors: answer.errors,
            index: 0,
            last_contact: last_contact_ms,
            known_leader,
            consistency_level: "",
        }
    }
}

/// Why one operation failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct OpError {
    /// Which, from 0.
    pub op_index: usize,
    /// Consul's text.
    pub what: String,
}

/// One result.
#[derive(Debug, Serialize)]
pub enum ResultAnswer<'a> {
    /// A key.
    #[serde(rename = "KV")]
    Kv(KvAnswer),
    /// A node.
    Node(NodeAnswer<'a>),
    /// A service.
    Service(Box<NodeServiceAnswer<'a>>),
    /// A check.
    Check(Box<CheckAnswer<'a>>),
}

impl<'a> ResultAnswer<'a> {
    /// About how many bytes `result` takes as JSON.
    pub fn printed_bytes(result: &TxnResult) -> usize {
        /// A service with its tags and metadata, or a check.
        const RECORD_BYTES: usize = 600;
        match result {
            TxnResult::Kv { key, entry, with_value: true } => KvAnswer::printed_bytes(key, entry),
            TxnResult::Kv { key, .. } => RECORD_BYTES / 4 + key.len(),
            TxnResult::Node(_) | TxnResult::Service(_) | TxnResult::Check(_) => RECORD_BYTES,
        }
    }

    /// `result` as printed by a member of `datacenter`.
    pub fn new(result: &'a TxnResult, datacenter: &'a str) -> Self {
        match result {
            TxnResult::Kv { key, entry, with_value: false } => {
                Self::Kv(KvAnswer::without_value(key, entry))
            }
            TxnResult::Kv { key, entry, with_value: true } => Self::Kv(KvAnswer::new(key, entry)),
            TxnResult::Node(node) => Self::Node(NodeAnswer::new(node, datacenter)),
            TxnResult::Service(service) => {
                Self::Service(Box::new(NodeServiceAnswer::in_txn(service)))
            }
            TxnResult::Check(check) => Self::Check(Box::new(CheckAnswer::in_txn(check))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consul::json;

    fn parse(body: &str) -> Result<TxnRequest, DecodeError> {
        TxnRequest::parse(body.as_bytes(), 16)
    }

    #[test]
    fn every_kv_verb_is_understood() {
        let uuid = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
        for verb in [
            "set",
            "cas",
            "lock",
            "unlock",
            "get",
            "get-or-empty",
            "get-tree",
            "check-index",
            "check-session",
            "check-not-exists",
            "delete",
            "delete-cas",
            "delete-tree",
        ] {
            let body = format!(
                r#"[{{"KV":{{"Verb":"{verb}","Key":"k","Value":"aGk=","Index":1,"Session":"{uuid}"}}}}]"#
            );
            assert!(parse(&body).unwrap().operations[0].is_ok(), "{verb}");
        }
    }

    #[test]
    fn a_wrong_operation_says_why_beside_the_right_ones() {
        let request = parse(
            r#"[{"KV":{"Verb":"bogus","Key":"k"}},{"KV":{"Verb":"set"}},{"KV":{"Verb":"get","Key":"k"}}]"#,
        )
        .unwrap();
        assert_eq!(request.operations[0], Err("unknown KV verb \"bogus\"".to_owned()));
        assert_eq!(request.operations[1], Err("Must provide key".to_owned()));
        assert!(request.operations[2].is_ok());
    }

    #[test]
    fn a_session_is_looked_up_only_where_it_takes_a_lock() {
        let of = |verb: &str, session: &str| {
            let body = format!(r#"[{{"KV":{{"Verb":"{verb}","Key":"k","Session":"{session}"}}}}]"#);
            parse(&body).unwrap().operations.remove(0)
        };
        let nobody = TxnOp::CheckHolder { key: "k".into(), holder: "".into() };
        assert_eq!(of("check-session", ""), Ok(nobody));
        assert!(of("check-session", "not a uuid").is_ok());
        assert_eq!(of("lock", "").unwrap_err(), "missing session");
        let digits = "0123456789abcdef0123456789abcdef0123";
        assert_eq!(of("lock", digits).unwrap_err(), format!("invalid session {digits:?}"));
        assert!(of("lock", "x").unwrap_err().starts_with("failed session lookup"));
        assert!(of("unlock", "x").unwrap_err().starts_with("failed to unlock key \"k\""));
    }

    #[test]
    fn kinds_that_are_not_meant_may_be_null() {
        let request = parse(
            r#"[{"KV":{"Verb":"get","Key":"k","Value":null},"Node":null,"Service":null,"Check":null},
                {"KV":null,"Node":null,"Service":null,"Check":{"Verb":"get","Check":{"Node":"n","CheckID":"c"}}}]"#,
        )
        .unwrap();
        assert!(request.operations.iter().all(Result::is_ok), "{request:?}");
        assert!(parse(r#"[{"KV":null,"Key":1}]"#).is_err());
    }

    #[test]
    fn empty_operations_are_left_out_but_counted() {
        let request = parse("[{}]").unwrap();
        assert!(request.operations.is_empty());
        assert_eq!(request.given, 1);
    }

    #[test]
    fn nonsense_gets_gos_sentences() {
        let error = |body: &str| parse(body).unwrap_err().to_string();
        assert_eq!(error("{}"), "json: cannot unmarshal object into Go value of type api.TxnOps");
        assert_eq!(error(""), "EOF");
        assert_eq!(
            error(r#"[{"KV":{"Verb":"set","Key":"k","Value":"!"}}]"#),
            "illegal base64 data at input byte 0"
        );
    }

    #[test]
    fn a_value_over_the_limit_is_noticed() {
        let body = r#"[{"KV":{"Verb":"set","Key":"k","Value":"MDEyMzQ1Njc4OWFiY2RlZmc="}}]"#;
        assert_eq!(parse(body).unwrap().too_large, Some(("k".to_owned(), 17)));
    }

    #[test]
    fn a_service_cas_compares_the_index_inside_the_service() {
        let request = parse(
            r#"[{"Service":{"Verb":"cas","Node":"n","Service":{"Service":"web","ModifyIndex":7}}}]"#,
        )
        .unwrap();
        let Ok(TxnOp::ServiceSet { service, cas, .. }) = &request.operations[0] else {
            panic!("{request:?}")
        };
        assert_eq!((&*service.id, *cas), ("web", Some(7)));
    }

    #[test]
    fn failure_prints_null_results() {
        let answer = TxnAnswer {
            results: None,
            errors: Some(vec![OpError { op_index: 0, what: "w".to_owned() }]),
        };
        assert_eq!(
            json::encode(&answer, false),
            br#"{"Results":null,"Errors":[{"OpIndex":0,"What":"w"}]}"#
        );
    }

    #[test]
    fn a_reading_transaction_prints_its_freshness() {
        let answer = TxnAnswer { results: Some(Vec::new()), errors: None };
        assert_eq!(
            json::encode(&ReadTxnAnswer::new(answer, true, 0), false),
            br#"{"Results":[],"Errors":null,"Index":0,"LastContact":0,"KnownLeader":true,"ConsistencyLevel":""}"#
        );
    }
}
