//! `/v1/catalog`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use coord_state::StateMachine;
use coord_state::consul::{CatalogNode, CatalogService, ConsulCommand};
use coord_state::event::Topic;
use coord_wire::consul::catalog::{
    self as wire, NodeAnswer, NodeServiceAnswer, NodeServiceList, NodeWithServices,
    RegistrationRequest, ServiceNodeAnswer,
};
use coord_wire::consul::filter::shape;
use coord_wire::consul::{json, uuid};

use super::Front;
use super::answer::Answer;
use super::call::Call;
use super::coordinate::sort_by_distance;
use super::error_map::HttpError;
use super::health::only_passing;
use super::params::Params;

const MISSING_NODE: &str = "Must provide node";

impl Front {
    pub(super) async fn catalog_register(&self, mut call: Call) -> Result<Answer, HttpError> {
        let body = self.body(&mut call).await?;
        let request = wire::registration(&body).map_err(|error| HttpError::undecodable(&error))?;
        self.check_datacenter(&request.datacenter)?;
        validate(&request)?;
        let mut registration = request.registration;
        for service in &mut registration.services {
            if service.id.is_empty() {
                service.id = service.name.clone();
            }
        }
        self.change(ConsulCommand::Register(Box::new(registration))).await?;
        Ok(Answer::json(&true, call.pretty()))
    }

    pub(super) async fn catalog_deregister(&self, mut call: Call) -> Result<Answer, HttpError> {
        let body = self.body(&mut call).await?;
        let request =
            wire::deregistration(&body).map_err(|error| HttpError::undecodable(&error))?;
        self.check_datacenter(&request.datacenter)?;
        if request.node.is_empty() {
            return Err(HttpError::internal(MISSING_NODE));
        }
        let given = |text: String| (!text.is_empty()).then(|| text.into());
        self.change(ConsulCommand::Deregister {
            node: request.node.into(),
            service_id: given(request.service_id),
            check_id: given(request.check_id),
        })
        .await?;
        Ok(Answer::json(&true, call.pretty()))
    }

    pub(super) fn catalog_datacenters(&self, call: &Call) -> Answer {
        Answer::json(&[&self.node.settings().datacenter], call.pretty())
    }

    pub(super) async fn catalog_nodes(&self, call: Call) -> Result<Answer, HttpError> {
        let filter = call.filter(&shape::NODE)?;
        let nodes = NodeMetaFilter::of(&call.params);
        let near = self.near_asked(&call);
        self.catalog_read(
            &call,
            vec![Topic::Nodes],
            |state| state.consul().catalog().nodes_index(),
            |state| {
                let wanted = state.consul().catalog().nodes().filter(|node| nodes.admits(node));
                let mut wanted: Vec<_> = wanted.collect();
                sort_by_distance(state, near.as_deref(), &mut wanted, |node| &node.name);
                let answers = wanted
                    .into_iter()
                    .map(|node| NodeAnswer::new(node, self.datacenter()))
                    .filter(|answer| filter.admits(answer));
                json::encode_rows(answers, call.pretty())
            },
        )
        .await
    }

    pub(super) async fn catalog_services(&self, call: Call) -> Result<Answer, HttpError> {
        let filter = call.filter(&shape::SERVICE_NODE)?;
        let nodes = NodeMetaFilter::of(&call.params);
        let mut topics = vec![Topic::Services];
        if !nodes.is_empty() {
            topics.push(Topic::Nodes);
        }
        let index = |state: &StateMachine| {
            let catalog = state.consul().catalog();
            let services = catalog.services_index();
            if nodes.is_empty() { services } else { services.max(catalog.nodes_index()) }
        };
        let body = |state: &StateMachine| {
            let catalog = state.consul().catalog();
            let mut tags: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
            for instance in catalog.all_instances() {
                let row = || ServiceNodeAnswer::new(instance, self.datacenter());
                if nodes.admits(instance.node()) && (filter.is_empty() || filter.admits(&row())) {
                    let service = instance.service();
                    let union = tags.entry(&service.name).or_default();
                    union.extend(service.tags.iter().map(|tag| &**tag));
                }
            }
            // The servers themselves are always there, though perhaps not registered yet.
            if nodes.is_empty() && filter.is_empty() {
                tags.entry("consul").or_default();
            }
            json::encode(&tags, call.pretty())
        };
        self.catalog_read(&call, topics, index, body).await
    }

    pub(super) async fn catalog_service(&self, call: Call) -> Result<Answer, HttpError> {
        let name = call.required_name("Missing service name")?;
        let filter = call.filter(&shape::SERVICE_NODE)?;
        let nodes = NodeMetaFilter::of(&call.params);
        let tags = TagFilter::of(&call.params);
        let near = self.near_asked(&call);
        self.catalog_read(
            &call,
            vec![Topic::Service(lower(&name))],
            |state| state.consul().catalog().service_index(&name),
            |state| {
                let catalog = state.consul().catalog();
                let row = |instance| ServiceNodeAnswer::new(instance, self.datacenter());
                let mut wanted: Vec<_> = catalog
                    .instances(&name)
                    .filter(|instance| tags.admits(instance.service()))
                    .filter(|instance| nodes.admits(instance.node()))
                    .filter(|instance| filter.is_empty() || filter.admits(&row(*instance)))
                    .collect();
                sort_by_distance(state, near.as_deref(), &mut wanted, |row| &row.node().name);
                json::encode_rows(wanted.into_iter().map(row), call.pretty())
            },
        )
        .await
    }

    /// Mesh proxies and gateways of a service: there is no mesh, so none.
    pub(super) async fn catalog_connect(&self, call: Call) -> Result<Answer, HttpError> {
        call.required_name("Missing service name")?;
        call.filter(&shape::SERVICE_NODE)?;
        self.no_instances(&call).await
    }

    /// The same with health.
    pub(super) async fn health_connect(&self, call: Call) -> Result<Answer, HttpError> {
        call.required_name("Missing service name")?;
        call.filter(&shape::INSTANCE)?;
        only_passing(&call.params)?;
        self.no_instances(&call).await
    }

    async fn no_instances(&self, call: &Call) -> Result<Answer, HttpError> {
        self.catalog_read(
            call,
            vec![Topic::Services],
            |state| state.consul().catalog().services_index(),
            |_| json::encode::<[(); 0]>(&[], call.pretty()),
        )
        .await
    }

    pub(super) async fn catalog_node(&self, call: Call) -> Result<Answer, HttpError> {
        let name = call.required_name("Missing node name")?;
        let filter = call.filter(&shape::SERVICE)?;
        self.catalog_read(&call, node_topics(&name), node_and_services_index, |state| {
            let catalog = state.consul().catalog();
            let answer = catalog.node(&name).map(|node| NodeWithServices {
                node: NodeAnswer::new(node, self.datacenter()),
                services: catalog
                    .services_on(&node.name)
                    .map(|service| (&*service.id, NodeServiceAnswer::from(service)))
                    .filter(|(_, answer)| filter.admits(answer))
                    .collect(),
            });
            json::encode(&answer, call.pretty())
        })
        .await
    }

    pub(super) async fn catalog_node_services(&self, call: Call) -> Result<Answer, HttpError> {
        let name = call.required_name("Missing node name")?;
        let filter = call.filter(&shape::SERVICE)?;
        self.catalog_read(&call, node_topics(&name), node_and_services_index, |state| {
            let catalog = state.consul().catalog();
            let answer = match catalog.node(&name) {
                None => NodeServiceList::default(),
                Some(node) => NodeServiceList {
                    node: Some(NodeAnswer::new(node, self.datacenter())),
                    services: Some(
                        catalog
                            .services_on(&node.name)
                            .map(NodeServiceAnswer::from)
                            .filter(|answer| filter.admits(answer))
                            .collect(),
                    ),
                },
            };
            json::encode(&answer, call.pretty())
        })
        .await
    }

    /// A blocking read that tells its consistency, as catalog and health do.
    pub(super) async fn catalog_read(
        &self,
        call: &Call,
        topics: Vec<Topic>,
        index: impl Fn(&StateMachine) -> u64,
        body: impl Fn(&StateMachine) -> Vec<u8>,
    ) -> Result<Answer, HttpError> {
        let options = self.read_options(call)?;
        let (mut meta, body) = self.blocking(&options, topics, index, body).await?;
        meta.consistency = Some(options.consistency());
        Ok(Answer::json_bytes(body).with_meta(meta))
    }

    pub(super) fn datacenter(&self) -> &str {
        &self.node.settings().datacenter
    }
}

/// What can change the answer about one node. By UUID it may be any node.
pub(super) fn node_topics(name: &str) -> Vec<Topic> {
    if uuid::parse(name).is_ok() {
        return vec![Topic::Nodes, Topic::Services, Topic::Checks];
    }
    vec![Topic::Node(lower(name))]
}

fn node_and_services_index(state: &StateMachine) -> u64 {
    let catalog = state.consul().catalog();
    catalog.nodes_index().max(catalog.services_index())
}

/// As topics name services and nodes.
pub(super) fn lower(name: &str) -> Arc<str> {
    name.to_lowercase().into()
}

/// `node-meta=key:value`, all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NodeMetaFilter(Vec<(String, String)>);

impl NodeMetaFilter {
    pub(super) fn of(params: &Params) -> Self {
        let pairs = params.all("node-meta").map(|pair| {
            let (key, value) = pair.split_once(':').unwrap_or((pair, ""));
            (key.to_owned(), value.to_owned())
        });
        Self(pairs.collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn admits(&self, node: &CatalogNode) -> bool {
        self.0.iter().all(|(key, value)| {
            let meta = node.meta.as_ref().and_then(|meta| meta.get(key.as_str()));
            meta.is_some_and(|found| **found == **value)
        })
    }
}

/// `tag=`, all of them, whatever the case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TagFilter(Vec<String>);

impl TagFilter {
    pub(super) fn of(params: &Params) -> Self {
        Self(params.all("tag").filter(|tag| !tag.is_empty()).map(str::to_lowercase).collect())
    }

    pub(super) fn admits(&self, service: &CatalogService) -> bool {
        self.0.iter().all(|wanted| service.tags.iter().any(|tag| tag.to_lowercase() == *wanted))
    }
}

fn validate(request: &RegistrationRequest) -> Result<(), HttpError> {
    let registration = &request.registration;
    let node = &registration.node;
    if node.name.is_empty() {
        return Err(HttpError::internal(MISSING_NODE));
    }
    if node.address.is_empty() && !registration.skip_node_update {
        return Err(HttpError::internal("Must provide address if SkipNodeUpdate is not set"));
    }
    if !node.id.is_empty() && uuid::parse(&node.id).is_err() {
        let problem = if node.id.len() == 36 {
            "uuid is improperly formatted".to_owned()
        } else {
            format!("uuid string is wrong length: {}", node.id.len())
        };
        return Err(HttpError::internal(format!("Bad node ID: {problem}")));
    }
    if registration.services.iter().any(|service| service.name.is_empty()) {
        return Err(HttpError::internal("Must provide service name with ID"));
    }
    for other in &request.check_nodes {
        if !other.is_empty() && !other.eq_ignore_ascii_case(&node.name) {
            return Err(HttpError::internal(format!(
                "check node {other:?} does not match node {:?}",
                node.name
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(json: &str) -> String {
        let request = wire::registration(json.as_bytes()).unwrap();
        validate(&request).unwrap_err().text().to_owned()
    }

    #[test]
    fn an_incomplete_registration_is_refused_with_consuls_texts() {
        assert_eq!(refused("{}"), "Must provide node");
        assert_eq!(refused(r#"{"Node":"n"}"#), "Must provide address if SkipNodeUpdate is not set");
        assert_eq!(
            refused(r#"{"Node":"n","Address":"a","ID":"abc"}"#),
            "Bad node ID: uuid string is wrong length: 3"
        );
        assert_eq!(
            refused(r#"{"Node":"n","Address":"a","Service":{"ID":"x"}}"#),
            "Must provide service name with ID"
        );
        assert_eq!(
            refused(r#"{"Node":"ext","Address":"a","Check":{"Name":"c","Node":"other"}}"#),
            "check node \"other\" does not match node \"ext\""
        );
    }

    #[test]
    fn without_a_node_update_no_address_is_needed() {
        let request = wire::registration(br#"{"Node":"n","SkipNodeUpdate":true}"#).unwrap();
        assert!(validate(&request).is_ok());
    }

    #[test]
    fn a_node_meta_without_colon_wants_an_empty_value() {
        let filter = NodeMetaFilter::of(&Params::parse("node-meta=a:b&node-meta=c").unwrap());
        assert_eq!(filter.0, [("a".into(), "b".into()), ("c".into(), String::new())]);
    }
}
