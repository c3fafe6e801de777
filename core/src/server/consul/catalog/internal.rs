//! `/v1/internal/ui`: the catalog in the form that Consul's UI uses.

use std::collections::BTreeMap;

use coord_state::StateMachine;
use coord_state::consul::TakenInstance;
use coord_state::event::Topic;
use coord_wire::consul::catalog::ServiceNodeAnswer;
use coord_wire::consul::filter::{Work, shape};
use coord_wire::consul::json;
use coord_wire::consul::ui::{NodeDump, ServiceSummary, TakenNode};
use hyper::StatusCode;

use super::registry::node_topics;
use crate::server::consul::ConsulApi;
use crate::server::consul::http::answer::Answer;
use crate::server::consul::http::call::Call;
use crate::server::consul::http::error_map::HttpError;
use crate::server::consul::http::printing::{Row, print_rows};

impl ConsulApi {
    /// Every service name with its instances summed up.
    pub(crate) async fn internal_services(&self, call: Call) -> Result<Answer, HttpError> {
        let filter = call.filter(&shape::SERVICE_NODE)?;
        let take = |state: &StateMachine| {
            state.consul().catalog().all_instances().map(TakenInstance::from).collect::<Vec<_>>()
        };
        let (pretty, datacenter) = (call.pretty(), self.datacenter().to_owned());
        let print = move |instances: &Vec<TakenInstance>, work: &Work| {
            let mut summaries = BTreeMap::new();
            for instance in instances.iter().take_while(|_| work.row()) {
                let TakenInstance { node, service, .. } = instance;
                let row = || ServiceNodeAnswer::new(node, service, &datacenter);
                if filter.is_empty() || filter.admits(&row(), work) {
                    let name = &*service.name;
                    summaries.entry(name).or_insert_with(|| ServiceSummary::of(name)).add(instance);
                }
            }
            let summaries: Vec<_> = summaries.into_values().collect();
            json::encode(&summaries, pretty)
        };
        self.catalog_read(&call, everything(), whole_index, take, print).await
    }

    /// Every node with everything on it.
    pub(crate) async fn internal_nodes(&self, call: Call) -> Result<Answer, HttpError> {
        let filter = call.filter(&shape::NODE)?;
        let take = |state: &StateMachine| {
            let catalog = state.consul().catalog();
            catalog.nodes().map(|node| TakenNode::of(catalog, node)).collect()
        };
        let print = print_rows::<TakenNode>(&call, self.datacenter(), filter);
        self.catalog_read(&call, everything(), whole_index, take, print).await
    }

    /// One node; 404 with nothing in it for one that is not there.
    pub(crate) async fn internal_node(&self, call: Call) -> Result<Answer, HttpError> {
        let name = call.required_name("Missing node name")?;
        let options = self.read_options(&call)?;
        let (meta, dump) = self
            .blocking(&options, node_topics(&name), whole_index, |state| {
                let catalog = state.consul().catalog();
                let node = catalog.node(&name);
                node.map(|node| TakenNode::of(catalog, node))
            })
            .await?;
        let answer = match &dump {
            Some(dump) => Answer::json(&NodeDump::from(dump), call.pretty()),
            None => Answer::empty().with_status(StatusCode::NOT_FOUND),
        };
        Ok(answer.with_meta(meta))
    }
}

impl Row for TakenNode {
    type Printed<'a> = NodeDump<'a>;

    fn printed<'a>(&'a self, _datacenter: &'a str) -> NodeDump<'a> {
        self.into()
    }
}

fn everything() -> Vec<Topic> {
    vec![Topic::Nodes, Topic::Services, Topic::Checks]
}

fn whole_index(state: &StateMachine) -> u64 {
    let catalog = state.consul().catalog();
    catalog.nodes_index().max(catalog.services_index()).max(catalog.checks_index())
}
