//! `/v1/query`: prepared queries.

use coord_state::consul::{
    ConsulCommand, ConsulSessionId, Instance, NewQuery, PreparedQuery, QueryId, TakenInstance,
};
use coord_state::event::Topic;
use coord_state::{Reply, StateMachine};
use coord_wire::consul::filter::Work;
use coord_wire::consul::health::InstanceAnswer;
use coord_wire::consul::query::{Dns, QueryAnswer, QueryDefinition};
use coord_wire::consul::{json, uuid};
use hyper::Method;
use serde::Serialize;

use super::coordinate::sort_by_distance;
use crate::server::consul::ConsulApi;
use crate::server::consul::http::answer::Answer;
use crate::server::consul::http::call::Call;
use crate::server::consul::http::error_map::HttpError;
use crate::server::prepared_query::{instances, query_for};

const TEMPLATE_BY_ID: &str = "prepared query templates can only be resolved up by name, not by ID";

#[derive(Serialize)]
struct Created {
    #[serde(rename = "ID")]
    id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Found<'a> {
    service: &'a str,
    nodes: Vec<InstanceAnswer<'a>>,
    #[serde(rename = "DNS")]
    dns: &'a Dns,
    datacenter: &'a str,
    failovers: u32,
    #[serde(flatten)]
    meta: Meta,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Explained {
    query: QueryAnswer,
    #[serde(flatten)]
    meta: Meta,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Meta {
    index: u64,
    last_contact: u64,
    known_leader: bool,
    consistency_level: &'static str,
}

impl ConsulApi {
    pub(crate) async fn queries(&self, mut call: Call) -> Result<Answer, HttpError> {
        if call.method == Method::POST {
            let id = QueryId(uuid::from_random(self.node.random()));
            self.set_query(&mut call, id, true).await?;
            return Ok(Answer::json(&Created { id: uuid::format(id.0) }, call.pretty()));
        }
        self.query_read(&call, |state| Some(state.consul().queries().iter().cloned().collect()))
            .await
    }

    pub(crate) async fn query(&self, mut call: Call) -> Result<Answer, HttpError> {
        let path = call.name();
        if call.method == Method::GET {
            return match path.rsplit_once('/') {
                Some((name, "execute")) => self.query_execute(&call, name).await,
                Some((name, "explain")) => self.query_explain(&call, name).await,
                _ => {
                    let id = uuid::parse(&path).ok().map(QueryId);
                    self.query_read(&call, |state| {
                        Some(vec![state.consul().queries().query(id?)?.clone()])
                    })
                    .await
                }
            };
        }
        let id = uuid::parse(&path).map(QueryId).map_err(|problem| {
            HttpError::internal(format!("Prepared Query lookup failed: index error: {problem}"))
        })?;
        if call.method == Method::DELETE {
            self.change(ConsulCommand::DeleteQuery { query: id }).await?;
        } else {
            self.set_query(&mut call, id, false).await?;
        }
        Ok(Answer::empty())
    }

    async fn set_query(
        &self,
        call: &mut Call,
        id: QueryId,
        create: bool,
    ) -> Result<Reply, HttpError> {
        let body = self.body(call).await?;
        let definition =
            QueryDefinition::parse(&body).map_err(|error| HttpError::undecodable(&error))?;
        definition
            .validate()
            .map_err(|problem| HttpError::internal(format!("Invalid prepared query: {problem}")))?;
        let session = match definition.session.as_str() {
            "" => None,
            text => Some(uuid::parse(text).map(ConsulSessionId).map_err(|problem| {
                HttpError::internal(format!("failed session lookup: index error: {problem}"))
            })?),
        };
        let query = NewQuery {
            id,
            name: definition.name.as_str().into(),
            template: definition.is_template(),
            session,
            definition: definition.stored(),
        };
        self.change(ConsulCommand::SetQuery { query: Box::new(query), create }).await
    }

    async fn query_read(
        &self,
        call: &Call,
        take: impl Fn(&StateMachine) -> Option<Vec<PreparedQuery>>,
    ) -> Result<Answer, HttpError> {
        let options = self.read_options(call)?;
        let (mut meta, queries) = self
            .blocking(
                &options,
                vec![Topic::PreparedQueries],
                |state| state.consul().queries().index(),
                take,
            )
            .await?;
        meta.consistency = Some(options.consistency());
        let Some(queries) = queries else { return Ok(unknown()) };
        // Read and printed outside of the state's lock.
        let answers =
            queries.iter().map(|query| QueryAnswer::new(query, QueryDefinition::of(query)));
        Ok(Answer::json_bytes(json::encode_rows(answers, call.pretty())).with_meta(meta))
    }

    async fn query_execute(&self, call: &Call, name: &str) -> Result<Answer, HttpError> {
        let options = self.read_options(call)?;
        let limit = match call.params.nonempty("limit") {
            None => 0,
            Some(text) => text.parse().map_err(|_| HttpError::bad_request("Invalid limit"))?,
        };
        let freshness = self.confirm(&options).await?;
        let near = self.near_asked(call);
        let seed = u64::from_le_bytes(self.node.random());
        let Some(query) = self.query_called(name) else { return Ok(unknown()) };
        // Without a name there is nothing to fill a template with.
        if query.template && uuid::parse(name).is_ok() {
            return Err(HttpError::internal(TEMPLATE_BY_ID));
        }
        let definition = rendered(&query, name)?;
        let find = |state: &StateMachine| {
            let mut instances = instances(state.consul(), &definition.service);
            shuffle(&mut instances, seed);
            let near = near.clone().or_else(|| {
                let near = definition.service.near.as_str();
                (!near.is_empty()).then(|| self.node_meant(state, near, call))
            });
            nearest_first(state, near.as_deref(), &mut instances);
            if limit > 0 {
                instances.truncate(limit);
            }
            instances.into_iter().map(TakenInstance::from).collect::<Vec<_>>()
        };
        let meta = Meta {
            index: 0,
            last_contact: freshness.last_contact_ms,
            known_leader: freshness.known_leader,
            consistency_level: options.consistency(),
        };
        let (pretty, datacenter) = (call.pretty(), self.datacenter().to_owned());
        let (service, dns) = (definition.service.service.clone(), definition.dns.clone());
        let print = move |instances: &Vec<TakenInstance>, work: &Work| {
            let nodes = instances.iter().take_while(|_| work.row());
            let found = Found {
                service: &service,
                nodes: nodes.map(|found| InstanceAnswer::new(found, &datacenter)).collect(),
                dns: &dns,
                datacenter: &datacenter,
                failovers: 0,
                meta,
            };
            json::encode(&found, pretty)
        };
        let again = || (0, self.node.read(find));
        let (_, bytes) = self.printed(call, self.node.read(find), again, print).await?;
        Ok(Answer::json_bytes(bytes))
    }

    /// The query with that id, or that answers that name.
    fn query_called(&self, name: &str) -> Option<PreparedQuery> {
        self.node.read(|state| query_for(state.consul(), name).cloned())
    }

    async fn query_explain(&self, call: &Call, name: &str) -> Result<Answer, HttpError> {
        let options = self.read_options(call)?;
        let freshness = self.confirm(&options).await?;
        let Some(query) = self.query_called(name) else { return Ok(unknown()) };
        let explained = Explained {
            query: QueryAnswer::new(&query, rendered(&query, name)?),
            meta: Meta {
                index: 0,
                last_contact: freshness.last_contact_ms,
                known_leader: freshness.known_leader,
                consistency_level: options.consistency(),
            },
        };
        Ok(Answer::json(&explained, call.pretty()))
    }
}

fn rendered(query: &PreparedQuery, name: &str) -> Result<QueryDefinition, HttpError> {
    QueryDefinition::of(query)
        .rendered(name)
        .map_err(|problem| HttpError::bad_request(format!("Prepared Query: {problem}")))
}

/// 404 with the headers of an index, without which older clients fail: they
/// are Consul's for an answer about nothing.
fn unknown() -> Answer {
    let nothing = crate::server::consul::http::answer::Meta {
        index: Some(1),
        known_leader: false,
        last_contact_ms: 0,
        consistency: None,
    };
    Answer::from(HttpError::not_found("Query not found")).with_meta(nothing)
}

/// Sorts by distance from a node, and what is on that node itself to the front.
fn nearest_first(state: &StateMachine, near: Option<&str>, instances: &mut [Instance<'_>]) {
    sort_by_distance(state, near, instances, |instance| &instance.node().name);
    let Some(near) = near else { return };
    // Consul looks no further than this.
    let mut nearest = instances.iter().take(10);
    if let Some(own) = nearest.position(|found| found.node().name.eq_ignore_ascii_case(near)) {
        instances.swap(0, own);
    }
}

/// Puts a list in an order that differs from call to call.
fn shuffle<T>(list: &mut [T], seed: u64) {
    let mut random = seed | 1;
    for end in (1..list.len()).rev() {
        // Xorshift: spreads load, guards nothing.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let chosen = random % (end as u64 + 1);
        list.swap(end, usize::try_from(chosen).unwrap_or(end));
    }
}
