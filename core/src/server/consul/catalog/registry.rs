//! `/v1/catalog`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use coord_state::StateMachine;
use coord_state::consul::{CatalogNode, CatalogService, ConsulCommand, Instance};
use coord_state::event::Topic;
use coord_wire::consul::catalog::{
    self as wire, NodeAnswer, NodeServiceAnswer, NodeServiceList, NodeWithServices,
    RegistrationRequest, ServiceNodeAnswer,
};
use coord_wire::consul::filter::{Work, shape};
use coord_wire::consul::{json, proxy, uuid};

use super::coordinate::sort_by_distance;
use crate::server::consul::ConsulApi;
use crate::server::consul::http::answer::{Answer, Meta};
use crate::server::consul::http::blocking::told;
use crate::server::consul::http::call::Call;
use crate::server::consul::http::error_map::HttpError;
use crate::server::consul::http::fingerprint;
use crate::server::consul::http::fingerprint::Fingerprint;
use crate::server::consul::http::params::Params;
use crate::server::consul::http::printing::{Row, print_rows};
use crate::server::consul::http::read_options::ReadOptions;
use crate::server::tags::Tags;

const MISSING_NODE: &str = "Must provide node";

impl ConsulApi {
    pub(crate) async fn catalog_register(&self, mut call: Call) -> Result<Answer, HttpError> {
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

    pub(crate) async fn catalog_deregister(&self, mut call: Call) -> Result<Answer, HttpError> {
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

    pub(crate) fn catalog_datacenters(&self, call: &Call) -> Answer {
        Answer::json(&[&self.node.settings().datacenter], call.pretty())
    }

    pub(crate) async fn catalog_nodes(&self, call: Call) -> Result<Answer, HttpError> {
        let filter = call.filter(&shape::NODE)?;
        let nodes = NodeMetaFilter::of(&call.params);
        let near = self.near_asked(&call);
        self.catalog_read(
            &call,
            vec![Topic::Nodes],
            |state| state.consul().catalog().nodes_index(),
            |state| {
                let wanted = state.consul().catalog().nodes().filter(|node| nodes.admits(node));
                let mut wanted: Vec<_> = wanted.cloned().collect();
                sort_by_distance(state, near.as_deref(), &mut wanted, |node| &node.name);
                wanted
            },
            print_rows(&call, self.datacenter(), filter),
        )
        .await
    }

    pub(crate) async fn catalog_services(&self, call: Call) -> Result<Answer, HttpError> {
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
        let take = |state: &StateMachine| {
            let instances = state.consul().catalog().all_instances();
            let wanted = instances.filter(|instance| nodes.admits(instance.node()));
            wanted.map(taken).collect::<Vec<_>>()
        };
        // The servers themselves are always there, though perhaps not registered yet.
        let with_servers = nodes.is_empty() && filter.is_empty();
        let (pretty, datacenter) = (call.pretty(), self.datacenter().to_owned());
        let print = move |instances: &Vec<(Arc<CatalogNode>, Arc<CatalogService>)>, work: &Work| {
            let mut tags: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
            for (node, service) in instances.iter().take_while(|_| work.row()) {
                let row = || ServiceNodeAnswer::new(node, service, &datacenter);
                if filter.is_empty() || filter.admits(&row(), work) {
                    let union = tags.entry(&service.name).or_default();
                    union.extend(service.tags.iter().map(|tag| &**tag));
                }
            }
            if with_servers {
                tags.entry("consul").or_default();
            }
            json::encode(&tags, pretty)
        };
        self.catalog_read(&call, topics, index, take, print).await
    }

    pub(crate) async fn catalog_service(&self, call: Call) -> Result<Answer, HttpError> {
        let name = call.required_name("Missing service name")?;
        let filter = call.filter(&shape::SERVICE_NODE)?;
        let nodes = NodeMetaFilter::of(&call.params);
        let tags = tags_asked(&call.params);
        let near = self.near_asked(&call);
        self.catalog_read(
            &call,
            vec![Topic::Service(lower(&name))],
            |state| state.consul().catalog().service_index(&name),
            |state| {
                let catalog = state.consul().catalog();
                let mut wanted: Vec<_> = catalog
                    .instances(&name)
                    .filter(|instance| tags.all_of(instance.service()))
                    .filter(|instance| nodes.admits(instance.node()))
                    .map(taken)
                    .collect();
                sort_by_distance(state, near.as_deref(), &mut wanted, |(node, _)| &node.name);
                wanted
            },
            print_rows(&call, self.datacenter(), filter),
        )
        .await
    }

    pub(crate) async fn catalog_node(&self, call: Call) -> Result<Answer, HttpError> {
        let name = call.required_name("Missing node name")?;
        let filter = call.filter(&shape::SERVICE)?;
        let (pretty, datacenter) = (call.pretty(), self.datacenter().to_owned());
        let print = move |taken: &Option<NodeTaken>, work: &Work| {
            let answer = taken.as_ref().map(|(node, services)| NodeWithServices {
                node: NodeAnswer::new(node, &datacenter),
                services: services
                    .iter()
                    .take_while(|_| work.row())
                    .map(|service| (&*service.id, NodeServiceAnswer::from(&**service)))
                    .filter(|(_, answer)| filter.admits(answer, work))
                    .collect(),
            });
            json::encode(&answer, pretty)
        };
        let take = |state: &StateMachine| node_taken(state, &name);
        self.catalog_read(&call, node_topics(&name), node_and_services_index, take, print).await
    }

    pub(crate) async fn catalog_node_services(&self, call: Call) -> Result<Answer, HttpError> {
        let name = call.required_name("Missing node name")?;
        let filter = call.filter(&shape::SERVICE)?;
        let (pretty, datacenter) = (call.pretty(), self.datacenter().to_owned());
        let print = move |taken: &Option<NodeTaken>, work: &Work| {
            let answer = match taken {
                None => NodeServiceList::default(),
                Some((node, services)) => NodeServiceList {
                    node: Some(NodeAnswer::new(node, &datacenter)),
                    services: Some(
                        services
                            .iter()
                            .take_while(|_| work.row())
                            .map(|service| NodeServiceAnswer::from(&**service))
                            .filter(|answer| filter.admits(answer, work))
                            .collect(),
                    ),
                },
            };
            json::encode(&answer, pretty)
        };
        let take = |state: &StateMachine| node_taken(state, &name);
        self.catalog_read(&call, node_topics(&name), node_and_services_index, take, print).await
    }

    /// A blocking read that tells its consistency, as catalog and health do.
    /// What `take` takes is printed when the state is not looked at any more.
    /// Who waits is not woken as long as that stays what it is.
    pub(super) async fn catalog_read<T: Fingerprint + Send + 'static>(
        &self,
        call: &Call,
        topics: Vec<Topic>,
        index: impl Fn(&StateMachine) -> u64,
        take: impl Fn(&StateMachine) -> T,
        print: impl Fn(&T, &Work) -> Vec<u8> + Send + 'static,
    ) -> Result<Answer, HttpError> {
        let options = self.read_options(call)?;
        let (mut meta, body) = self.read_rows(call, &options, topics, index, take, print).await?;
        meta.consistency = Some(options.consistency());
        Ok(Answer::json_bytes(body).with_meta(meta))
    }

    /// The same without that, and with the options read already.
    pub(super) async fn read_rows<T: Fingerprint + Send + 'static>(
        &self,
        call: &Call,
        options: &ReadOptions,
        topics: Vec<Topic>,
        index: impl Fn(&StateMachine) -> u64,
        take: impl Fn(&StateMachine) -> T,
        print: impl Fn(&T, &Work) -> Vec<u8> + Send + 'static,
    ) -> Result<(Meta, Vec<u8>), HttpError> {
        let print_of = Some(|rows: &T| fingerprint::of(rows));
        let (mut meta, rows) =
            self.blocking_while_same(options, topics, &index, &take, print_of).await?;
        let again = || self.node.read(|state| (told(state, &index), take(state)));
        // Boxed: who waits for news keeps no room for what comes after.
        let (later, body) = Box::pin(self.printed(call, rows, again, print)).await?;
        meta.index = later.or(meta.index);
        Ok((meta, body))
    }
}

/// An instance without its checks.
fn taken(instance: Instance<'_>) -> (Arc<CatalogNode>, Arc<CatalogService>) {
    (Arc::clone(instance.node()), Arc::clone(instance.service()))
}

impl Row for Arc<CatalogNode> {
    type Printed<'a> = NodeAnswer<'a>;

    fn printed<'a>(&'a self, datacenter: &'a str) -> NodeAnswer<'a> {
        NodeAnswer::new(self, datacenter)
    }
}

impl Row for (Arc<CatalogNode>, Arc<CatalogService>) {
    type Printed<'a> = ServiceNodeAnswer<'a>;

    fn printed<'a>(&'a self, datacenter: &'a str) -> ServiceNodeAnswer<'a> {
        ServiceNodeAnswer::new(&self.0, &self.1, datacenter)
    }
}

/// A node and its services.
type NodeTaken = (Arc<CatalogNode>, Vec<Arc<CatalogService>>);

fn node_taken(state: &StateMachine, name: &str) -> Option<NodeTaken> {
    let catalog = state.consul().catalog();
    let node = catalog.node(name)?;
    Some((Arc::clone(node), catalog.services_on(&node.name).cloned().collect()))
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
pub(super) struct NodeMetaFilter(BTreeSet<(String, String)>);

impl NodeMetaFilter {
    pub(crate) fn of(params: &Params) -> Self {
        let pairs = params.all("node-meta").map(|pair| {
            let (key, value) = pair.split_once(':').unwrap_or((pair, ""));
            (key.to_owned(), value.to_owned())
        });
        Self(pairs.collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn admits(&self, node: &CatalogNode) -> bool {
        self.0.iter().all(|(key, value)| {
            let meta = node.meta.as_ref().and_then(|meta| meta.get(key.as_str()));
            meta.is_some_and(|found| **found == **value)
        })
    }
}

/// `tag=`, all of them. An empty one is a tag that hardly any instance has.
pub(super) fn tags_asked(params: &Params) -> Tags {
    Tags::new(params.all("tag"))
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
    for service in &registration.services {
        let has_port = service.port != 0 || !service.socket_path.is_empty();
        let problem =
            proxy::proxy_problem(&service.kind, &service.proxy, &service.connect, has_port);
        if let Some(problem) = problem {
            return Err(HttpError::internal(problem));
        }
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
        let wanted = [("a".to_owned(), "b".to_owned()), ("c".to_owned(), String::new())];
        assert_eq!(filter.0, wanted.into());
    }
}
