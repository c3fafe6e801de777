//! `/v1/connect/intentions`: which service may connect to which. Intentions are stored and
//! returned; they only determine the results of `check` and `authorize`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use coord_state::StateMachine;
use coord_state::consul::{ConsulCommand, Intention, IntentionId};
use coord_state::event::Topic;
use coord_wire::consul::filter::{Work, shape};
use coord_wire::consul::intention::{
    IntentionAnswer, IntentionRequest, allows, deciding, is_about, shown, sort,
};
use coord_wire::consul::{json, uuid};
use hyper::Method;
use serde::Serialize;
use serde_json::json;

use crate::server::consul::ConsulApi;
use crate::server::consul::http::answer::Answer;
use crate::server::consul::http::call::Call;
use crate::server::consul::http::error_map::HttpError;
use crate::server::consul::http::fingerprint;
use crate::server::consul::http::printing::{Row, print_rows};
use crate::server::consul::http::times::rfc3339;

const NOT_FOUND: &str = "Intention not found";
/// Longest definition: every list has all of it. Bytes.
const DEFINITION_BYTES_MAX: usize = 64 << 10;
/// Services whose intentions are asked for at once: an intention may be told for each.
const MATCHED_NAMES_MAX: usize = 32;

#[derive(Serialize)]
struct Id {
    #[serde(rename = "ID")]
    id: String,
}

impl ConsulApi {
    pub(crate) async fn intentions(&self, call: Call) -> Result<Answer, HttpError> {
        let (method, path) = (call.method.clone(), call.name());
        match (&method, path.as_str()) {
            (&Method::POST, "") => self.create_intention(call).await,
            (_, "") => self.list_intentions(&call).await,
            (&Method::GET, "match") => self.match_intentions(&call).await,
            (&Method::GET, "check") => self.check_intention(&call).await,
            (_, "exact") => self.exact_intention(call).await,
            (&Method::GET, id) => {
                let id = intention_id(id)?;
                let found = |state: &StateMachine| state.consul().mesh().intention(id).cloned();
                self.one_intention(&call, found).await
            }
            (&Method::DELETE, id) => {
                let intention = changed_id(id)?;
                self.change(ConsulCommand::DeleteIntention { intention }).await?;
                Ok(Answer::json(&true, call.pretty()))
            }
            (_, id) => {
                let id = changed_id(id)?;
                self.replace_intention(call, id).await
            }
        }
    }

    async fn intention_request(&self, call: &mut Call) -> Result<IntentionRequest, HttpError> {
        let body = self.body(call).await?;
        IntentionRequest::parse(&body)
            .map_err(|error| HttpError::internal(format!("Failed to decode request body: {error}")))
    }

    async fn set_intention(
        &self,
        id: IntentionId,
        request: IntentionRequest,
        create: bool,
    ) -> Result<(), HttpError> {
        request.validate().map_err(HttpError::internal)?;
        let intention = request.with_id(id);
        if intention.definition.len() > DEFINITION_BYTES_MAX {
            return Err(HttpError::too_large(format!(
                "An intention may have at most {DEFINITION_BYTES_MAX} bytes, and this one has {}",
                intention.definition.len()
            )));
        }
        // The state says so too, but does not know what an intention says.
        let holder = self.node.read(|state| {
            let mesh = state.consul().mesh();
            mesh.intention_between(&intention.source, &intention.destination).cloned()
        });
        if let Some(holder) = holder.filter(|holder| holder.id != id) {
            let text = format!("duplicate intention found: {}", shown(&holder));
            return Err(HttpError::internal(text));
        }
        let intention = Box::new(intention);
        self.change(ConsulCommand::SetIntention { intention, create }).await?;
        Ok(())
    }

    async fn create_intention(&self, mut call: Call) -> Result<Answer, HttpError> {
        let request = self.intention_request(&mut call).await?;
        if !request.id.is_empty() {
            return Err(HttpError::internal("ID must be empty when creating a new intention"));
        }
        let id = IntentionId(uuid::from_random(self.node.random()));
        self.set_intention(id, request, true).await?;
        Ok(Answer::json(&Id { id: uuid::format(id.0) }, call.pretty()))
    }

    async fn replace_intention(
        &self,
        mut call: Call,
        id: IntentionId,
    ) -> Result<Answer, HttpError> {
        let request = self.intention_request(&mut call).await?;
        self.set_intention(id, request, false).await?;
        Ok(Answer::json(&Id { id: uuid::format(id.0) }, call.pretty()))
    }

    /// By the names of both services, as newer clients do it.
    async fn exact_intention(&self, mut call: Call) -> Result<Answer, HttpError> {
        let named = |name: &str| {
            let given = call.params.nonempty(name).ok_or_else(|| missing(name))?;
            plain_name(given).map(str::to_owned)
        };
        let (source, destination) = (named("source")?, named("destination")?);
        let find = |state: &StateMachine| {
            state.consul().mesh().intention_between(&source, &destination).cloned()
        };
        if call.method == Method::GET {
            return self.one_intention(&call, find).await;
        }
        let known = self.node.read(find).map(|one| one.id);
        if call.method == Method::DELETE {
            if let Some(intention) = known {
                self.change(ConsulCommand::DeleteIntention { intention }).await?;
            }
        } else {
            let mut request = self.intention_request(&mut call).await?;
            (request.source, request.destination) = (source, destination);
            let fresh = || IntentionId(uuid::from_random(self.node.random()));
            let id = known.unwrap_or_else(fresh);
            self.set_intention(id, request, known.is_none()).await?;
        }
        Ok(Answer::json(&true, call.pretty()))
    }

    async fn one_intention(
        &self,
        call: &Call,
        find: impl Fn(&StateMachine) -> Option<Arc<Intention>>,
    ) -> Result<Answer, HttpError> {
        let options = self.read_options(call)?;
        let topics = vec![Topic::Intentions];
        let print = Some(|found: &Option<Arc<Intention>>| fingerprint::of(found));
        let (meta, found) =
            self.blocking_while_same(&options, topics, intentions_index, find, print).await?;
        let answer = match &found {
            Some(one) => Answer::json(&IntentionAnswer::new(one, rfc3339), call.pretty()),
            None => HttpError::not_found(NOT_FOUND).into(),
        };
        Ok(answer.with_meta(meta))
    }

    async fn list_intentions(&self, call: &Call) -> Result<Answer, HttpError> {
        let filter = call.filter(&shape::INTENTION)?;
        let options = self.read_options(call)?;
        let print = print_rows(call, self.datacenter(), filter);
        let topics = vec![Topic::Intentions];
        let read = self.read_rows(call, &options, topics, intentions_index, sorted, print).await;
        read.map(|(meta, body)| Answer::json_bytes(body).with_meta(meta))
    }

    /// By each name those intentions that are about it.
    async fn match_intentions(&self, call: &Call) -> Result<Answer, HttpError> {
        let by_source = match call.params.get("by") {
            Some("source") => true,
            Some("destination") => false,
            None | Some("") => return Err(missing("by")),
            Some(_) => {
                return Err(HttpError::bad_request(
                    "'by' parameter must be one of 'source' or 'destination'",
                ));
            }
        };
        let names = call.params.all("name").map(|name| plain_name(name).map(str::to_owned));
        let names = names.collect::<Result<BTreeSet<String>, _>>()?;
        if names.is_empty() {
            return Err(missing("name"));
        }
        if names.len() > MATCHED_NAMES_MAX {
            return Err(HttpError::bad_request(format!(
                "{} services in one request, at most {MATCHED_NAMES_MAX} are allowed",
                names.len()
            )));
        }
        let options = self.read_options(call)?;
        let pretty = call.pretty();
        let print = move |all: &Vec<Arc<Intention>>, work: &Work| {
            let mut matched = BTreeMap::new();
            for name in &names {
                let about = all.iter().take_while(|_| work.row()).filter(|one| {
                    is_about(if by_source { &one.source } else { &one.destination }, name)
                });
                let answers = about.map(|one| IntentionAnswer::new(one, rfc3339));
                matched.insert(&**name, answers.collect::<Vec<_>>());
            }
            json::encode(&matched, pretty)
        };
        let topics = vec![Topic::Intentions];
        let read = self.read_rows(call, &options, topics, intentions_index, sorted, print).await;
        read.map(|(meta, body)| Answer::json_bytes(body).with_meta(meta))
    }

    async fn check_intention(&self, call: &Call) -> Result<Answer, HttpError> {
        let named = |name: &str| {
            let given = call.params.nonempty(name).ok_or_else(|| missing(name))?;
            plain_name(given)
        };
        let (source, destination) = (named("source")?, named("destination")?);
        let options = self.read_options(call)?;
        self.confirm(&options).await?;
        let allowed = self.node.read(|state| {
            let all = state.consul().mesh().intentions();
            deciding(all, source, destination).is_none_or(|one| allows(one))
        });
        Ok(Answer::json(&json!({"Allowed": allowed}), call.pretty()))
    }
}

impl Row for Arc<Intention> {
    type Printed<'a> = IntentionAnswer<'a>;

    fn printed<'a>(&'a self, _datacenter: &'a str) -> IntentionAnswer<'a> {
        IntentionAnswer::new(self, rfc3339)
    }
}

/// All intentions, those that count most first.
fn sorted(state: &StateMachine) -> Vec<Arc<Intention>> {
    let mut all: Vec<_> = state.consul().mesh().intentions().cloned().collect();
    sort(&mut all);
    all
}

fn intentions_index(state: &StateMachine) -> u64 {
    state.consul().mesh().intentions_index()
}

fn missing(name: &str) -> HttpError {
    HttpError::bad_request(format!("required query parameter '{name}' not set"))
}

/// `name` or `default/name`.
fn plain_name(given: &str) -> Result<&str, HttpError> {
    match given.rsplit_once('/') {
        None => Ok(given),
        Some(("default" | "*" | "default/default", name)) => Ok(name),
        Some(_) => Err(HttpError::bad_request(format!(
            "Invalid name {given:?} - Namespaces are a Consul Enterprise feature"
        ))),
    }
}

/// The id of an intention that is to be changed.
fn changed_id(text: &str) -> Result<IntentionId, HttpError> {
    match uuid::looked_up(text) {
        Ok(id) => Ok(IntentionId(id.unwrap_or_default())),
        Err(problem) => Err(HttpError::internal(format!(
            "Intention lookup failed: failed intention lookup: index error: {problem}"
        ))),
    }
}

fn intention_id(text: &str) -> Result<IntentionId, HttpError> {
    match uuid::looked_up(text) {
        Ok(id) => Ok(IntentionId(id.unwrap_or_default())),
        Err(problem) => Err(HttpError::bad_request(format!(
            "Bad request: failed intention lookup: index error: {problem}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_be_in_the_one_namespace() {
        assert_eq!(plain_name("web").unwrap(), "web");
        assert_eq!(plain_name("default/web").unwrap(), "web");
        assert!(plain_name("team-a/web").is_err());
    }

    #[test]
    fn a_malformed_id_is_told_as_a_failed_lookup() {
        assert_eq!(
            intention_id("nope").unwrap_err().text(),
            "Bad request: failed intention lookup: index error: UUID must be 36 characters"
        );
    }
}
