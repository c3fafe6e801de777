//! `/v1/session`: what a session is created from and how it is printed.

use coord_state::consul::{ConsulSession, SessionBehavior};
use serde::Serialize;
use serde_json::Value;

use super::decode::{self, DecodeError, Fields};
use super::duration::{self, SECOND};

/// Numbers below this are seconds, not nanoseconds: old clients send both.
const LOCK_DELAY_SECONDS_BELOW: i64 = 1000;
const LOCK_DELAY_DEFAULT_NS: i64 = 15 * SECOND;
/// The check that every member's node has.
pub const SERF_HEALTH: &str = "serfHealth";

/// A session to create, as asked for. Unknown fields are ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRequest {
    /// For people.
    pub name: String,
    /// The catalog node; empty means the agent's own.
    pub node: String,
    /// In nanoseconds.
    pub lock_delay_ns: i64,
    /// `release`, `delete`, something else, or empty.
    pub behavior: String,
    /// As given.
    pub ttl: String,
    /// Checks of the node that it depends on.
    pub node_checks: Vec<String>,
    /// Service checks that it depends on.
    pub service_checks: Option<Vec<String>>,
}

impl Default for SessionRequest {
    fn default() -> Self {
        Self {
            name: String::new(),
            node: String::new(),
            lock_delay_ns: LOCK_DELAY_DEFAULT_NS,
            behavior: String::new(),
            ttl: String::new(),
            node_checks: vec![SERF_HEALTH.to_owned()],
            service_checks: None,
        }
    }
}

impl SessionRequest {
    /// Reads a body; an empty one asks for the defaults.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        let mut fields = Fields::of(decode::parse(body)?, "api.SessionEntry")?;
        let mut request = Self {
            name: fields.string("Name")?,
            node: fields.string("Node")?,
            behavior: fields.string("Behavior")?,
            ttl: ttl(&mut fields)?,
            ..Self::default()
        };
        fields.take_scope()?;
        if let Some(value) = fields.value("LockDelay") {
            request.lock_delay_ns = lock_delay(&value)?;
        }
        if let Some(checks) = list_if_given(&mut fields, "NodeChecks")? {
            request.node_checks = checks;
        }
        // The older name for both kinds of check; given, it replaces the default.
        if let Some(checks) = list_if_given(&mut fields, "Checks")? {
            request.node_checks = checks;
        }
        if let Some(checks) = fields.values("ServiceChecks")? {
            request.service_checks =
                Some(checks.into_iter().map(service_check).collect::<Result<_, _>>()?);
        }
        Ok(request)
    }
}

/// A TTL may come as a number of nanoseconds; it is then kept as a Go duration.
fn ttl(fields: &mut Fields) -> Result<String, DecodeError> {
    match fields.value("TTL") {
        Some(Value::Number(number)) => Ok(duration::format(number.as_i64().unwrap_or(0))),
        Some(Value::String(text)) => Ok(text),
        None => Ok(String::new()),
        Some(_) => Err(DecodeError::new(
            "json: cannot unmarshal value into Go struct field .TTL of type string",
        )),
    }
}

fn list_if_given(fields: &mut Fields, name: &str) -> Result<Option<Vec<String>>, DecodeError> {
    match fields.raw(name) {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(Vec::new())),
        Some(Value::String(text)) => Ok(Some(vec![text])),
        Some(value) => decode::list(value, "[]string")?
            .into_iter()
            .map(|item| match item {
                Value::String(text) => Ok(text),
                other => Err(DecodeError::new(format!(
                    "json: cannot unmarshal {other} into Go struct field .{name} of type string"
                ))),
            })
            .collect::<Result<_, _>>()
            .map(Some),
    }
}

fn service_check(value: Value) -> Result<String, DecodeError> {
    match value {
        Value::String(id) => Ok(id),
        other => {
            let mut fields = Fields::of(other, "structs.ServiceCheck")?;
            fields.take_scope()?;
            fields.string("ID")
        }
    }
}

fn lock_delay(value: &Value) -> Result<i64, DecodeError> {
    let amount = match value {
        Value::String(text) => duration::parse(text).map_err(DecodeError::new)?,
        // A float is what a generic encoder makes of a whole number.
        Value::Number(number) => match number.as_i64() {
            Some(number) => number,
            None => duration::parse(&format!("{number}ns")).map_err(DecodeError::new)?,
        },
        _ => return Err(DecodeError::new("invalid type for LockDelay")),
    };
    if amount < LOCK_DELAY_SECONDS_BELOW { Ok(amount.saturating_mul(SECOND)) } else { Ok(amount) }
}

/// A session as printed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SessionAnswer<'a> {
    #[serde(rename = "ID")]
    id: String,
    name: &'a str,
    node: &'a str,
    lock_delay: i64,
    behavior: &'static str,
    #[serde(rename = "TTL")]
    ttl: &'a str,
    node_checks: &'a [Box<str>],
    service_checks: Option<Vec<ServiceCheckAnswer<'a>>>,
    create_index: u64,
    modify_index: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceCheckAnswer<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    namespace: &'static str,
}

impl<'a> From<&'a ConsulSession> for SessionAnswer<'a> {
    fn from(session: &'a ConsulSession) -> Self {
        let service_checks = session.service_checks.as_ref().map(|checks| {
            checks.iter().map(|id| ServiceCheckAnswer { id, namespace: "" }).collect()
        });
        Self {
            id: session.id.to_string(),
            name: &session.name,
            node: &session.node,
            lock_delay: session.lock_delay_ns,
            behavior: match session.behavior {
                SessionBehavior::Release => "release",
                SessionBehavior::Delete => "delete",
            },
            ttl: &session.ttl,
            node_checks: &session.node_checks,
            service_checks,
            create_index: session.create_index,
            modify_index: session.modify_index,
        }
    }
}

#[cfg(test)]
mod tests {
    use coord_state::consul::{ConsulSessionId, NewSession};

    use super::*;
    use crate::consul::json;

    #[test]
    fn an_empty_body_asks_for_the_defaults() {
        let request = SessionRequest::parse(b"").unwrap();
        assert_eq!(request.lock_delay_ns, 15 * SECOND);
        assert_eq!(request.node_checks, ["serfHealth"]);
        assert_eq!(SessionRequest::parse(b"{}").unwrap(), request);
    }

    #[test]
    fn a_leader_electors_lower_case_body_is_understood() {
        let body =
            br#"{"name":"p","lockdelay":"0.001s","behavior":"delete","checks":[],"ttl":"15.0s"}"#;
        let request = SessionRequest::parse(body).unwrap();
        assert_eq!(request.lock_delay_ns, 1_000_000);
        assert_eq!(request.behavior, "delete");
        assert_eq!(request.ttl, "15.0s");
        assert!(request.node_checks.is_empty());
    }

    #[test]
    fn small_lock_delays_are_seconds_and_large_ones_nanoseconds() {
        let delay = |body: &str| SessionRequest::parse(body.as_bytes()).unwrap().lock_delay_ns;
        assert_eq!(delay(r#"{"LockDelay":5}"#), 5 * SECOND);
        assert_eq!(delay(r#"{"LockDelay":5000000000}"#), 5 * SECOND);
        assert_eq!(delay(r#"{"LockDelay":"5s"}"#), 5 * SECOND);
        assert_eq!(delay(r#"{"LockDelay":"0s"}"#), 0);
        assert_eq!(delay(r#"{"LockDelay":0}"#), 0);
    }

    #[test]
    fn a_session_is_printed_in_consuls_order() {
        let created = NewSession {
            id: ConsulSessionId(1),
            name: "n".into(),
            node: "ext".into(),
            lock_delay_ns: 15 * SECOND,
            ttl: "60s".into(),
            ttl_ms: 60_000,
            node_checks: vec!["serfHealth".into()],
            ..NewSession::default()
        };
        let session = ConsulSession { created, create_index: 4, modify_index: 5 };
        let text = String::from_utf8(json::encode(&SessionAnswer::from(&session), false)).unwrap();
        assert_eq!(
            text,
            r#"{"ID":"00000000-0000-0000-0000-000000000001","Name":"n","Node":"ext","LockDelay":15000000000,"Behavior":"release","TTL":"60s","NodeChecks":["serfHealth"],"ServiceChecks":null,"CreateIndex":4,"ModifyIndex":5}"#
        );
    }
}
