//! `/v1/session`.

use coord_state::Reply;
use coord_state::consul::{
    ConsulCommand, ConsulSession, ConsulSessionId, NewSession, SessionBehavior,
};
use coord_state::event::Topic;
use coord_wire::consul::catalog::boxed_list;
use coord_wire::consul::session::{SessionAnswer, SessionRequest};
use coord_wire::consul::{duration, json, uuid};
use serde::Serialize;

use crate::server::consul::ConsulApi;
use crate::server::consul::http::answer::Answer;
use crate::server::consul::http::call::Call;
use crate::server::consul::http::error_map::HttpError;

const TTL_MAX_NS: i64 = 86_400 * duration::SECOND;
const MISSING_SESSION: &str = "Missing session";
/// How long a session waits for this agent's node to be in the catalog.
const NODE_WAIT: std::time::Duration = std::time::Duration::from_secs(7);

#[derive(Serialize)]
struct Created {
    #[serde(rename = "ID")]
    id: String,
}

impl ConsulApi {
    pub(crate) async fn session_create(&self, mut call: Call) -> Result<Answer, HttpError> {
        let body = self.body(&mut call).await?;
        let request =
            SessionRequest::parse(&body).map_err(|error| HttpError::undecodable(&error))?;
        let ttl_min = i64::from(self.node.settings().session.consul_ttl_min_ms) * 1_000_000;
        let ttl_ms = ttl_ms(&request.ttl, ttl_min)?;
        let behavior = match request.behavior.as_str() {
            "" | "release" => SessionBehavior::Release,
            "delete" => SessionBehavior::Delete,
            other => {
                return Err(HttpError::internal(format!("Invalid Behavior setting '{other}'")));
            }
        };
        let mut node = request.node;
        if node.is_empty() {
            // Just after the start the node may be on its way into the catalog.
            let _ = tokio::time::timeout(NODE_WAIT, self.agent.wait_registered()).await;
            node.clone_from(&self.agent.identity().name);
        }
        let session = NewSession {
            id: ConsulSessionId(uuid::from_random(self.node.random())),
            name: request.name.into(),
            node: node.into(),
            lock_delay_ns: request.lock_delay_ns,
            behavior,
            ttl: request.ttl.into(),
            ttl_ms,
            node_checks: boxed_list(request.node_checks),
            service_checks: request.service_checks.map(boxed_list),
        };
        match self.change(ConsulCommand::CreateSession(Box::new(session))).await? {
            Reply::ConsulSession(id) => {
                Ok(Answer::json(&Created { id: id.to_string() }, call.pretty()))
            }
            other => Err(HttpError::internal(format!("unexpected reply {other:?}"))),
        }
    }

    pub(crate) async fn session_destroy(&self, call: Call) -> Result<Answer, HttpError> {
        if let Some(session) = session_id(&call)? {
            self.change(ConsulCommand::DestroySession { session }).await?;
        }
        Ok(Answer::json(&true, call.pretty()))
    }

    pub(crate) async fn session_renew(&self, call: Call) -> Result<Answer, HttpError> {
        let mut live = None;
        if let Some(id) = session_id(&call)? {
            live = self.holding(|| self.node.renew_consul_session(id)).await?.then_some(id);
        }
        let pretty = call.pretty();
        let answer = self.node.read(|state| {
            let session = state.consul().sessions().session(live?)?;
            Some(json::encode(&[SessionAnswer::from(session)], pretty))
        });
        match answer {
            Some(bytes) => Ok(Answer::json_bytes(bytes)),
            None => {
                let id = call.name();
                Err(HttpError::not_found(format!("Session id '{id}' not found")))
            }
        }
    }

    pub(crate) async fn session_info(&self, call: Call) -> Result<Answer, HttpError> {
        let id = session_id(&call)?;
        self.sessions(&call, |session| Some(session.id) == id).await
    }

    pub(crate) async fn session_node(&self, call: Call) -> Result<Answer, HttpError> {
        let node = call.required_name("Missing node name")?;
        self.sessions(&call, |session| session.node.eq_ignore_ascii_case(&node)).await
    }

    pub(crate) async fn session_list(&self, call: Call) -> Result<Answer, HttpError> {
        self.sessions(&call, |_| true).await
    }

    async fn sessions(
        &self,
        call: &Call,
        wanted: impl Fn(&ConsulSession) -> bool,
    ) -> Result<Answer, HttpError> {
        let options = self.read_options(call)?;
        let (meta, bytes) = self
            .blocking(
                &options,
                vec![Topic::Sessions],
                |state| state.consul().sessions().index(),
                |state| {
                    let sessions = state.consul().sessions().iter();
                    let answers: Vec<_> = sessions
                        .filter(|session| wanted(session))
                        .map(SessionAnswer::from)
                        .collect();
                    json::encode(&answers, call.pretty())
                },
            )
            .await?;
        Ok(Answer::json_bytes(bytes).with_meta(meta))
    }

    /// Reads a body that has no limit of its own.
    pub(crate) async fn body(&self, call: &mut Call) -> Result<bytes::Bytes, HttpError> {
        let bytes_max = self.node.settings().limits.http_body_bytes_max;
        call.read_body(bytes_max, bytes_max).await?.map_err(|too_large| {
            HttpError::too_large(format!(
                "Request body({} bytes) too large, max size: {bytes_max} bytes.",
                too_large.bytes
            ))
        })
    }
}

/// The session that the path names; `None` if no session can have such an id.
fn session_id(call: &Call) -> Result<Option<ConsulSessionId>, HttpError> {
    looked_up(&call.required_name(MISSING_SESSION)?)
}

/// The same of any text.
pub(crate) fn looked_up(text: &str) -> Result<Option<ConsulSessionId>, HttpError> {
    match uuid::looked_up(text) {
        Ok(id) => Ok(id.map(ConsulSessionId)),
        Err(problem) => {
            Err(HttpError::internal(format!("failed session lookup: index error: {problem}")))
        }
    }
}

/// Reads a TTL; 0 means none.
fn ttl_ms(text: &str, min_ns: i64) -> Result<u64, HttpError> {
    if text.is_empty() {
        return Ok(0);
    }
    let ttl = duration::parse(text).map_err(|problem| {
        HttpError::internal(format!("Session TTL '{text}' invalid: {problem}"))
    })?;
    if ttl != 0 && !(min_ns..=TTL_MAX_NS).contains(&ttl) {
        return Err(HttpError::internal(format!(
            "Invalid Session TTL '{ttl}', must be between [{}={}]",
            duration::format(min_ns),
            duration::format(TTL_MAX_NS)
        )));
    }
    // Rounded up: a session never ends before its time.
    Ok(u64::try_from(ttl).unwrap_or(0).div_ceil(1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: i64 = 10 * duration::SECOND;

    #[test]
    fn a_ttl_is_bounded_and_refused_with_consuls_texts() {
        let error = |text: &str| ttl_ms(text, MIN).unwrap_err().text().to_owned();
        assert_eq!(error("5s"), "Invalid Session TTL '5000000000', must be between [10s=24h0m0s]");
        assert_eq!(error("zzz"), "Session TTL 'zzz' invalid: time: invalid duration \"zzz\"");
        assert!(error("25h").starts_with("Invalid Session TTL"));
    }

    #[test]
    fn no_ttl_zero_and_fractions_are_understood() {
        assert_eq!(ttl_ms("", MIN).unwrap(), 0);
        assert_eq!(ttl_ms("0s", MIN).unwrap(), 0);
        assert_eq!(ttl_ms("15.0s", MIN).unwrap(), 15_000);
    }
}
