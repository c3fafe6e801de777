//! `/v1/health`.

use std::sync::Arc;

use coord_state::StateMachine;
use coord_state::consul::{CheckStatus, HealthCheck, Instance, TakenInstance};
use coord_state::event::Topic;
use coord_wire::consul::filter::shape;
use coord_wire::consul::health::{CheckAnswer, InstanceAnswer};

use super::Front;
use super::answer::Answer;
use super::call::Call;
use super::catalog::{NodeMetaFilter, lower, node_topics, tags_asked};
use super::coordinate::sort_by_distance;
use super::error_map::HttpError;
use super::params::{Params, parse_bool};
use super::printing::{Row, print_rows};

impl Front {
    pub(super) async fn health_node(&self, call: Call) -> Result<Answer, HttpError> {
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

    pub(super) async fn health_checks(&self, call: Call) -> Result<Answer, HttpError> {
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

    pub(super) async fn health_service(&self, call: Call) -> Result<Answer, HttpError> {
        let name = call.required_name("Missing service name")?;
        let nodes = NodeMetaFilter::of(&call.params);
        let tags = tags_asked(&call.params);
        let filter = call.filter(&shape::INSTANCE)?;
        let passing = only_passing(&call.params)?;
        let near = self.near_asked(&call);
        self.catalog_read(
            &call,
            vec![Topic::Service(lower(&name))],
            |state| state.consul().catalog().service_index(&name),
            |state| {
                let mut wanted: Vec<TakenInstance> = state
                    .consul()
                    .catalog()
                    .instances(&name)
                    .filter(|instance| tags.all_of(instance.service()))
                    .filter(|instance| nodes.admits(instance.node()))
                    .filter(|instance| !passing || all_pass(*instance))
                    .map(TakenInstance::from)
                    .collect();
                sort_by_distance(state, near.as_deref(), &mut wanted, |row| &row.node.name);
                wanted
            },
            print_rows(&call, self.datacenter(), filter),
        )
        .await
    }

    pub(super) async fn health_state(&self, call: Call) -> Result<Answer, HttpError> {
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

pub(super) fn all_pass(instance: Instance<'_>) -> bool {
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
pub(super) fn only_passing(params: &Params) -> Result<bool, HttpError> {
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
