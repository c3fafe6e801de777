//! Service mesh endpoints, without a mesh: registered proxies are listed,
//! everything is allowed unless an intention denies it, and there are no
//! certificates.

use std::sync::Arc;

use coord_state::StateMachine;
use coord_state::consul::{CatalogNode, CatalogService, Instance};
use coord_state::event::Topic;
use coord_wire::consul::filter::shape;
use coord_wire::consul::intention::{Authorization, allows, deciding, shown};
use serde_json::json;

use super::coordinate::sort_by_distance;
use super::health::only_passing;
use super::registry::{NodeMetaFilter, tags_asked};
use crate::server::consul::ConsulApi;
use crate::server::consul::http::answer::{Answer, Meta};
use crate::server::consul::http::call::Call;
use crate::server::consul::http::error_map::HttpError;
use crate::server::consul::http::printing::print_rows;
use crate::server::proxies::stands_for;

const NO_CONNECT: &str = "Connect must be enabled in order to use this endpoint";

/// Certificates and discovery chains. The headers are those Consul sends with
/// an error raised this late.
pub(crate) fn connect_disabled() -> Answer {
    let meta = Meta { index: Some(1), known_leader: false, last_contact_ms: 0, consistency: None };
    Answer::from(HttpError::internal(NO_CONNECT)).with_meta(meta)
}

impl ConsulApi {
    /// Lists that are always empty: peerings, exported and imported services. Who
    /// waits for a change waits its whole time, and does not ask in a loop.
    pub(crate) async fn empty_list(&self, call: Call) -> Result<Answer, HttpError> {
        self.nothing(&call, "[]").await
    }

    /// JSON that never changes, for those who may wait for a change of it.
    pub(crate) async fn nothing(&self, call: &Call, json: &str) -> Result<Answer, HttpError> {
        let options = self.read_options(call)?;
        let never = vec![Topic::Restoration];
        let (mut meta, ()) = self.blocking(&options, never, |_| 1, |_| ()).await?;
        meta.consistency = Some(options.consistency());
        let pretty = if call.pretty() { "\n" } else { "" };
        Ok(Answer::json_bytes(format!("{json}{pretty}").into_bytes()).with_meta(meta))
    }

    /// Proxies that stand for a service, and instances that need none.
    pub(crate) async fn catalog_connect(&self, call: Call) -> Result<Answer, HttpError> {
        let name = call.required_name("Missing service name")?;
        let filter = call.filter(&shape::SERVICE_NODE)?;
        let nodes = NodeMetaFilter::of(&call.params);
        let tags = tags_asked(&call.params);
        let near = self.near_asked(&call);
        let take = |state: &StateMachine| {
            let mut wanted: Vec<(Arc<CatalogNode>, Arc<CatalogService>)> = connecting(state, &name)
                .filter(|instance| tags.all_of(instance.service()))
                .filter(|instance| nodes.admits(instance.node()))
                .map(|found| (Arc::clone(found.node()), Arc::clone(found.service())))
                .collect();
            sort_by_distance(state, near.as_deref(), &mut wanted, |(node, _)| &node.name);
            wanted
        };
        let index = |state: &StateMachine| {
            let catalog = state.consul().catalog();
            catalog.services_index().max(catalog.nodes_index())
        };
        let topics = vec![Topic::Services, Topic::Nodes];
        let print = print_rows(&call, self.datacenter(), filter);
        self.catalog_read(&call, topics, index, take, print).await
    }

    /// The same with health.
    pub(crate) async fn health_connect(&self, call: Call) -> Result<Answer, HttpError> {
        let name = call.required_name("Missing service name")?;
        let filter = call.filter(&shape::INSTANCE)?;
        let wanted = self.instances_asked(&call)?;
        let take = |state: &StateMachine| wanted.taken(state, connecting(state, &name));
        let print = print_rows(&call, self.datacenter(), filter);
        self.catalog_read(&call, everything(), whole_index, take, print).await
    }

    /// Gateways of a service: which those are is told by config entries, on which
    /// nobody acts here.
    pub(crate) async fn health_ingress(&self, call: Call) -> Result<Answer, HttpError> {
        call.required_name("Missing service name")?;
        call.filter(&shape::INSTANCE)?;
        only_passing(&call.params)?;
        self.nothing(&call, "[]").await
    }

    /// Whether the bearer of a certificate may connect to a service.
    pub(crate) async fn connect_authorize(&self, mut call: Call) -> Result<Answer, HttpError> {
        let body = self.body(&mut call).await?;
        let bad = |why: &str| HttpError::bad_request(format!("Bad request: {why}"));
        let asked = Authorization::parse(&body)
            .map_err(|error| bad(&format!("Request decode failed: {error}")))?;
        if asked.target.is_empty() {
            return Err(bad("Target service must be specified"));
        }
        let Some(client) = asked.client() else {
            return Err(bad("ClientCertURI not a valid Connect identifier"));
        };
        let options = self.read_options(&call)?;
        self.confirm(&options).await?;
        let matched = self.node.read(|state| {
            let all = state.consul().mesh().intentions();
            deciding(all, client, &asked.target).cloned()
        });
        let (allowed, reason) = match &matched {
            None => (true, "Default behavior configured by ACLs".to_owned()),
            Some(one) => (allows(one), format!("Matched intention: {}", shown(one))),
        };
        let answer = json!({"Authorized": allowed, "Reason": reason});
        Ok(Answer::json(&answer, call.pretty()))
    }
}

fn connecting<'a>(state: &'a StateMachine, name: &'a str) -> impl Iterator<Item = Instance<'a>> {
    let all = state.consul().catalog().instances_in_mesh();
    all.filter(move |instance| stands_for(instance.service(), name))
}

/// What can change which instances stand for a service, and their health.
fn everything() -> Vec<Topic> {
    vec![Topic::Nodes, Topic::Services, Topic::Checks]
}

fn whole_index(state: &StateMachine) -> u64 {
    let catalog = state.consul().catalog();
    catalog.nodes_index().max(catalog.services_index()).max(catalog.checks_index())
}
