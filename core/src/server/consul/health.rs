//! `/v1/health`.

use coord_state::StateMachine;
use coord_state::consul::{CheckStatus, HealthCheck, Instance};
use coord_state::event::Topic;
use coord_wire::consul::filter::{Filter, shape};
use coord_wire::consul::health::{CheckAnswer, InstanceAnswer};
use coord_wire::consul::json;

use super::Front;
use super::answer::Answer;
use super::call::Call;
use super::catalog::{NodeMetaFilter, TagFilter, lower, node_topics};
use super::coordinate::sort_by_distance;
use super::error_map::HttpError;
use super::params::{Params, parse_bool};

impl Front {
    pub(super) async fn health_node(&self, call: Call) -> Result<Answer, HttpError> {
        let name = call.required_name("Missing node name")?;
        let filter = call.filter(&shape::CHECK)?;
        self.catalog_read(&call, node_topics(&name), checks_index, |state| {
            let catalog = state.consul().catalog();
            let node = catalog.node(&name);
            let checks = node.into_iter().flat_map(|node| catalog.checks_on(&node.name));
            printed(checks, &filter, call.pretty())
        })
        .await
    }

    pub(super) async fn health_checks(&self, call: Call) -> Result<Answer, HttpError> {
        let name = call.required_name("Missing service name")?;
        let filter = call.filter(&shape::CHECK)?;
        let nodes = NodeMetaFilter::of(&call.params);
        let near = self.near_asked(&call);
        let topics = vec![Topic::Service(lower(&name))];
        self.catalog_read(&call, topics, checks_index, |state| {
            let catalog = state.consul().catalog();
            let checks = catalog.checks_of_service(&name);
            let checks = checks.filter(|check| on_wanted_node(state, &nodes, check));
            let checks = nearest_first(state, near.as_deref(), checks);
            printed(checks.into_iter(), &filter, call.pretty())
        })
        .await
    }

    pub(super) async fn health_service(&self, call: Call) -> Result<Answer, HttpError> {
        let name = call.required_name("Missing service name")?;
        let nodes = NodeMetaFilter::of(&call.params);
        let tags = TagFilter::of(&call.params);
        let filter = call.filter(&shape::INSTANCE)?;
        let passing = only_passing(&call.params)?;
        let near = self.near_asked(&call);
        self.catalog_read(
            &call,
            vec![Topic::Service(lower(&name))],
            |state| state.consul().catalog().service_index(&name),
            |state| {
                let row = |instance| InstanceAnswer::new(instance, self.datacenter());
                let mut wanted: Vec<_> = state
                    .consul()
                    .catalog()
                    .instances(&name)
                    .filter(|instance| tags.admits(instance.service()))
                    .filter(|instance| nodes.admits(instance.node()))
                    .filter(|instance| !passing || all_pass(*instance))
                    .filter(|instance| filter.is_empty() || filter.admits(&row(*instance)))
                    .collect();
                sort_by_distance(state, near.as_deref(), &mut wanted, |row| &row.node().name);
                json::encode_rows(wanted.into_iter().map(row), call.pretty())
            },
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
        self.catalog_read(&call, vec![Topic::Checks], checks_index, |state| {
            let checks = state.consul().catalog().checks();
            let checks = checks
                .filter(|check| any || Some(check.status) == wanted)
                .filter(|check| on_wanted_node(state, &nodes, check));
            let checks = nearest_first(state, near.as_deref(), checks);
            printed(checks.into_iter(), &filter, call.pretty())
        })
        .await
    }
}

fn all_pass(instance: Instance<'_>) -> bool {
    instance.checks().all(|check| check.status == CheckStatus::Passing)
}

fn nearest_first<'a>(
    state: &StateMachine,
    near: Option<&str>,
    checks: impl Iterator<Item = &'a HealthCheck>,
) -> Vec<&'a HealthCheck> {
    let mut checks: Vec<_> = checks.collect();
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

fn printed<'a>(
    checks: impl Iterator<Item = &'a HealthCheck>,
    filter: &Filter,
    pretty: bool,
) -> Vec<u8> {
    let answers = checks.map(CheckAnswer::from).filter(|answer| filter.admits(answer));
    json::encode_rows(answers, pretty)
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
