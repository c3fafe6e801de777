//! `/v1/query`: prepared queries.

use coord_state::consul::{
    CatalogNode, CatalogService, CheckStatus, ConsulCommand, ConsulSessionId, NewQuery,
    PreparedQuery, QueryId,
};
use coord_state::event::Topic;
use coord_state::{Reply, StateMachine};
use coord_wire::consul::health::InstanceAnswer;
use coord_wire::consul::query::{Dns, QueryAnswer, QueryDefinition, Wanted};
use coord_wire::consul::{json, uuid};
use hyper::Method;
use serde::Serialize;

use super::Front;
use super::answer::Answer;
use super::call::Call;
use super::error_map::HttpError;
use super::read_options::ReadOptions;

const NOT_FOUND: &str = "Query not found";

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

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Meta {
    index: u64,
    last_contact: u64,
    known_leader: bool,
    consistency_level: &'static str,
}

impl Front {
    pub(super) async fn queries(&self, mut call: Call) -> Result<Answer, HttpError> {
        if call.method == Method::POST {
            let id = QueryId(uuid::from_random(self.node.random()));
            self.set_query(&mut call, id, true).await?;
            return Ok(Answer::json(&Created { id: uuid::format(id.0) }, call.pretty()));
        }
        self.query_read(&call, |state| {
            let queries = state.consul().queries().iter();
            Some(queries.map(|query| QueryAnswer::new(query, QueryDefinition::of(query))).collect())
        })
        .await
    }

    pub(super) async fn query(&self, mut call: Call) -> Result<Answer, HttpError> {
        let path = call.name();
        if call.method == Method::GET {
            return match path.rsplit_once('/') {
                Some((name, "execute")) => self.query_execute(&call, name).await,
                Some((name, "explain")) => self.query_explain(&call, name).await,
                _ => {
                    let id = uuid::parse(&path).ok().map(QueryId);
                    self.query_read(&call, |state| {
                        let query = state.consul().queries().query(id?)?;
                        Some(vec![QueryAnswer::new(query, QueryDefinition::of(query))])
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
        answer: impl Fn(&StateMachine) -> Option<Vec<QueryAnswer>>,
    ) -> Result<Answer, HttpError> {
        let options = ReadOptions::parse(&call.params)?;
        let (mut meta, bytes) = self
            .blocking(
                &options,
                vec![Topic::PreparedQueries],
                |state| state.consul().queries().index(),
                |state| answer(state).map(|answers| json::encode(&answers, call.pretty())),
            )
            .await?;
        meta.consistency = Some(options.consistency());
        let bytes = bytes.ok_or_else(|| HttpError::not_found(NOT_FOUND))?;
        Ok(Answer::json_bytes(bytes).with_meta(meta))
    }

    async fn query_execute(&self, call: &Call, name: &str) -> Result<Answer, HttpError> {
        let options = ReadOptions::parse(&call.params)?;
        let limit = match call.params.nonempty("limit") {
            None => 0,
            Some(text) => text.parse().map_err(|_| HttpError::bad_request("Invalid limit"))?,
        };
        let freshness = self.confirm(&options).await?;
        let seed = u64::from_le_bytes(self.node.random());
        let bytes = self.node.read(|state| {
            let query = query_for(state, name)?;
            let definition = QueryDefinition::of(query).rendered(name);
            let mut instances = instances(state, &definition.service);
            shuffle(&mut instances, seed);
            if limit > 0 {
                instances.truncate(limit);
            }
            let catalog = state.consul().catalog();
            let nodes = instances.into_iter().map(|(node, service)| {
                let checks = catalog.checks_of_instance(&service.node, &service.id);
                InstanceAnswer::new(node, service, checks, self.datacenter())
            });
            let found = Found {
                service: &definition.service.service,
                nodes: nodes.collect(),
                dns: &definition.dns,
                datacenter: self.datacenter(),
                failovers: 0,
                meta: Meta {
                    index: 0,
                    last_contact: freshness.last_contact_ms,
                    known_leader: freshness.known_leader,
                    consistency_level: options.consistency(),
                },
            };
            Some(json::encode(&found, call.pretty()))
        });
        bytes.map(Answer::json_bytes).ok_or_else(|| HttpError::not_found(NOT_FOUND))
    }

    async fn query_explain(&self, call: &Call, name: &str) -> Result<Answer, HttpError> {
        let options = ReadOptions::parse(&call.params)?;
        let freshness = self.confirm(&options).await?;
        let bytes = self.node.read(|state| {
            let query = query_for(state, name)?;
            let explained = Explained {
                query: QueryAnswer::new(query, QueryDefinition::of(query).rendered(name)),
                meta: Meta {
                    index: 0,
                    last_contact: freshness.last_contact_ms,
                    known_leader: freshness.known_leader,
                    consistency_level: options.consistency(),
                },
            };
            Some(json::encode(&explained, call.pretty()))
        });
        bytes.map(Answer::json_bytes).ok_or_else(|| HttpError::not_found(NOT_FOUND))
    }
}

/// The query with that id, or that answers that name.
fn query_for<'a>(state: &'a StateMachine, name: &str) -> Option<&'a PreparedQuery> {
    let queries = state.consul().queries();
    match uuid::parse(name) {
        Ok(id) => queries.query(QueryId(id)),
        Err(_) => queries.named(name),
    }
}

type Instance<'a> = (&'a CatalogNode, &'a CatalogService);

fn instances<'a>(state: &'a StateMachine, wanted: &Wanted) -> Vec<Instance<'a>> {
    // There is no mesh, so no service has a proxy.
    if wanted.connect {
        return Vec::new();
    }
    let catalog = state.consul().catalog();
    let ignored = wanted.ignore_check_ids.as_deref().unwrap_or_default();
    let healthy = |service: &CatalogService| {
        let mut checks = catalog.checks_of_instance(&service.node, &service.id);
        checks.all(|check| match check.status {
            _ if ignored.iter().any(|id| **id == *check.id) => true,
            CheckStatus::Passing => true,
            CheckStatus::Warning => !wanted.only_passing,
            CheckStatus::Critical => false,
        })
    };
    let has_meta = |meta: Option<&std::collections::BTreeMap<Box<str>, Box<str>>>,
                    asked: &Option<std::collections::BTreeMap<String, String>>| {
        asked.iter().flatten().all(|(key, value)| {
            meta.and_then(|meta| meta.get(key.as_str())).is_some_and(|found| **found == **value)
        })
    };
    catalog
        .service_instances(&wanted.service)
        .filter(|service| has_tags(service, wanted.tags.as_deref().unwrap_or_default()))
        .filter(|service| has_meta(service.meta.as_ref(), &wanted.service_meta))
        .filter(|service| healthy(service))
        .filter_map(|service| Some((catalog.node(&service.node)?, service)))
        .filter(|(node, _)| has_meta(node.meta.as_ref(), &wanted.node_meta))
        .collect()
}

/// All tags asked for, and none of those behind a `!`.
fn has_tags(service: &CatalogService, asked: &[String]) -> bool {
    let has = |tag: &str| service.tags.iter().any(|own| own.to_lowercase() == tag.to_lowercase());
    asked.iter().all(|tag| match tag.strip_prefix('!') {
        Some(unwanted) => !has(unwanted),
        None => has(tag),
    })
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
