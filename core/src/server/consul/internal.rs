//! `/v1/internal/ui`: the catalog as Consul's own pages want it.

use std::collections::BTreeMap;

use coord_state::StateMachine;
use coord_state::event::Topic;
use coord_wire::consul::catalog::ServiceNodeAnswer;
use coord_wire::consul::filter::shape;
use coord_wire::consul::json;
use coord_wire::consul::ui::{NodeDump, ServiceSummary};
use hyper::StatusCode;

use super::Front;
use super::answer::Answer;
use super::call::Call;
use super::catalog::node_topics;
use super::error_map::HttpError;

impl Front {
    /// Every service name with its instances summed up.
    pub(super) async fn internal_services(&self, call: Call) -> Result<Answer, HttpError> {
        let filter = call.filter(&shape::SERVICE_NODE)?;
        self.catalog_read(&call, everything(), whole_index, |state| {
            let catalog = state.consul().catalog();
            let mut summaries = BTreeMap::new();
            for instance in catalog.all_instances() {
                let row = || ServiceNodeAnswer::new(instance, self.datacenter());
                if filter.is_empty() || filter.admits(&row()) {
                    let name = &*instance.service().name;
                    summaries.entry(name).or_insert_with(|| ServiceSummary::of(name)).add(instance);
                }
            }
            let summaries: Vec<_> = summaries.into_values().collect();
            json::encode(&summaries, call.pretty())
        })
        .await
    }

    /// Every node with everything on it.
    pub(super) async fn internal_nodes(&self, call: Call) -> Result<Answer, HttpError> {
        let filter = call.filter(&shape::NODE)?;
        self.catalog_read(&call, everything(), whole_index, |state| {
            let catalog = state.consul().catalog();
            let dumps = catalog.nodes().map(|node| NodeDump::new(catalog, node));
            let dumps: Vec<_> = dumps.filter(|dump| filter.admits(dump)).collect();
            json::encode(&dumps, call.pretty())
        })
        .await
    }

    /// One node; 404 with nothing in it for one that is not there.
    pub(super) async fn internal_node(&self, call: Call) -> Result<Answer, HttpError> {
        let name = call.required_name("Missing node name")?;
        let options = self.read_options(&call)?;
        let (meta, dump) = self
            .blocking(&options, node_topics(&name), whole_index, |state| {
                let catalog = state.consul().catalog();
                let node = catalog.node(&name);
                node.map(|node| json::encode(&NodeDump::new(catalog, node), call.pretty()))
            })
            .await?;
        let answer = match dump {
            Some(dump) => Answer::json_bytes(dump),
            None => Answer::empty().with_status(StatusCode::NOT_FOUND),
        };
        Ok(answer.with_meta(meta))
    }
}

fn everything() -> Vec<Topic> {
    vec![Topic::Nodes, Topic::Services, Topic::Checks]
}

fn whole_index(state: &StateMachine) -> u64 {
    let catalog = state.consul().catalog();
    catalog.nodes_index().max(catalog.services_index()).max(catalog.checks_index())
}
