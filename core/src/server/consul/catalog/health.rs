//! `/v1/health`.

use std::sync::Arc;

use coord_state::StateMachine;
use coord_state::consul::{CheckStatus, HealthCheck, Instance, TakenInstance};
use coord_state::event::Topic;
use coord_wire::consul::filter::shape;
use coord_wire::consul::health::{CheckAnswer, InstanceAnswer};

use super::coordinate::sort_by_distance;
use super::registry::{NodeMetaFilter, lower, node_topics, tags_asked};
use crate::server::consul::ConsulApi;
use crate::server::consul::http::answer::Answer;
use crate::server::consul::http::call::Call;
use crate::server::consul::http::error_map::HttpError;
use crate::server::consul::http::params::{Params, parse_bool};
use crate::server::consul::http::printing::{Row, print_rows};
use crate::server::tags::Tags;

impl ConsulApi {
    pub(crate) async fn health_node(&self, call: Call) -> Result<Answer, HttpError> {
        let name = call.required_name("Missing node name")?;
        let filter = call.filter(&shape::CHECK)?;
        let take = |state: &StateMachine| -> Vec<_> {
            let catalog = state.consul().catalog();
            let node = catalog.node(&name);
            let checks = node.into_iter().flat_map(|node| catalog.checks_on(&node.name));
            checks.cloned().collect()
        };
        let print = print_rows(&call, self.datacenter(), filter);
        self.catalog_read(&call, node_topics(&name), checks_index, take, print).await
    }

    pub(crate) async fn health_checks(&self, call: Call) -> Result<Answer, HttpError> {
        let name = call.required_name("Missing service name")?;
        let filter = call.filter(&shape::CHECK)?;
        let nodes = NodeMetaFilter::of(&call.params);
        let near = self.near_asked(&call);
        let topics = vec![Topic::Service(lower(&name))];
        let take = |state: &StateMachine| {
            let catalog = state.consul().catalog();
            let checks = catalog.checks_of_service(&name);
            let checks = checks.filter(|check| on_wanted_node(state, &nodes, check));
            nearest_first(state, near.as_deref(), checks)
        };
        let print = print_rows(&call, self.datacenter(), filter);
        self.catalog_read(&call, topics, checks_index, take, print).await
    }

    pub(crate) async fn health_service(&self, call: Call) -> Result<Answer, HttpError> {
        let name = call.required_name("Missing service name")?;
        let filter = call.filter(&shape::INSTANCE)?;
        let wanted = self.instances_asked(&call)?;
        let topics = vec![Topic::Service(lower(&name))];
        let index = |state: &StateMachine| state.consul().catalog().service_index(&name);
        let take =
            |state: &StateMachine| wanted.taken(state, state.consul().catalog().instances(&name));
        let print = print_rows(&call, self.datacenter(), filter);
        self.catalog_read(&call, topics, index, take, print).await
    }

    /// Which instances of a service a request about their health wants.
    pub(super) fn instances_asked(&self, call: &Call) -> Result<InstancesAsked, HttpError> {
        Ok(InstancesAsked {
            nodes: NodeMetaFilter::of(&call.params),
            tags: tags_asked(&call.params),
            passing: only_passing(&call.params)?,
            near: self.near_asked(call),
        })
    }

    pub(crate) async fn health_state(&self, call: Call) -> Result<Answer, HttpError> {
        let state_name = call.required_name("Missing check state")?;
        let filter = call.filter(&shape::CHECK)?;
        let nodes = NodeMetaFilter::of(&call.params);
        let near = self.near_asked(&call);
        let any = state_name == "any";
        let wanted = CheckStatus::from_name(&state_name);
        let take = |state: &StateMachine| {
            let checks = state.consul().catalog().checks();
            let checks = checks
                .filter(|check| any || Some(check.status) == wanted)
                .filter(|check| on_wanted_node(state, &nodes, check));
            nearest_first(state, near.as_deref(), checks)
        };
        let print = print_rows(&call, self.datacenter(), filter);
        self.catalog_read(&call, vec![Topic::Checks], checks_index, take, print).await
    }
}

/// Instances by their node's metadata, their tags and their health, and by what they
/// are sorted.
pub(super) struct InstancesAsked {
    nodes: NodeMetaFilter,
    tags: Tags,
    passing: bool,
    near: Option<String>,
}

impl InstancesAsked {
    /// Those of `instances` that are wanted, the nearest first.
    pub(crate) fn taken<'a>(
        &self,
        state: &StateMachine,
        instances: impl Iterator<Item = Instance<'a>>,
    ) -> Vec<TakenInstance> {
        let mut wanted: Vec<TakenInstance> = instances
            .filter(|instance| self.tags.all_of(instance.service()))
            .filter(|instance| self.nodes.admits(instance.node()))
            .filter(|instance| !self.passing || all_pass(*instance))
            .map(TakenInstance::from)
            .collect();
        sort_by_distance(state, self.near.as_deref(), &mut wanted, |row| &row.node.name);
        wanted
    }
}

fn all_pass(instance: Instance<'_>) -> bool {
    instance.checks().all(|check| check.status == CheckStatus::Passing)
}

fn nearest_first<'a>(
    state: &StateMachine,
    near: Option<&str>,
    checks: impl Iterator<Item = &'a Arc<HealthCheck>>,
) -> Vec<Arc<HealthCheck>> {
    let mut checks: Vec<_> = checks.cloned().collect();
    sort_by_distance(state, near, &mut checks, |check| &check.node);
    checks
}

fn checks_index(state: &StateMachine) -> u64 {
    state.consul().catalog().checks_index()
}

fn on_wanted_node(state: &StateMachine, nodes: &NodeMetaFilter, check: &HealthCheck) -> bool {
    nodes.is_empty()
        || state.consul().catalog().node(&check.node).is_some_and(|node| nodes.admits(node))
}

impl Row for Arc<HealthCheck> {
    type Printed<'a> = CheckAnswer<'a>;

    fn printed<'a>(&'a self, _datacenter: &'a str) -> CheckAnswer<'a> {
        CheckAnswer::from(&**self)
    }
}

impl Row for TakenInstance {
    type Printed<'a> = InstanceAnswer<'a>;

    fn printed<'a>(&'a self, datacenter: &'a str) -> InstanceAnswer<'a> {
        InstanceAnswer::new(self, datacenter)
    }
}

/// `passing`, bare or with a boolean.
pub(crate) fn only_passing(params: &Params) -> Result<bool, HttpError> {
    match params.get("passing") {
        None => Ok(false),
        Some("") => Ok(true),
        Some(text) => {
            parse_bool(text).ok_or_else(|| HttpError::bad_request("Invalid value for ?passing"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passing_is_bare_or_a_boolean() {
        let passing = |query: &str| only_passing(&Params::parse(query).unwrap());
        assert_eq!(passing(""), Ok(false));
        assert_eq!(passing("passing"), Ok(true));
        assert_eq!(passing("passing=1"), Ok(true));
        assert_eq!(passing("passing=false"), Ok(false));
        assert_eq!(passing("passing=maybe").unwrap_err().text(), "Invalid value for ?passing");
    }
}
