//! `/v1/internal/ui`: what Consul's own pages and some tools look at.

use std::collections::BTreeSet;

use std::sync::Arc;

use coord_state::consul::{
    Catalog, CatalogNode, CatalogService, CheckStatus, HealthCheck, TakenInstance,
};
use serde::Serialize;

use super::catalog::NodeServiceAnswer;
use super::health::CheckAnswer;

/// All instances of one service name, summed up.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ServiceSummary<'a> {
    name: &'a str,
    tags: BTreeSet<&'a str>,
    nodes: BTreeSet<&'a str>,
    instance_count: usize,
    checks_passing: usize,
    checks_warning: usize,
    checks_critical: usize,
    external_sources: Option<BTreeSet<&'a str>>,
    gateway_config: Empty,
}

/// Where a mesh would have something to say.
#[derive(Debug, Serialize)]
struct Empty {}

impl<'a> ServiceSummary<'a> {
    /// A service without instances yet.
    pub fn of(name: &'a str) -> Self {
        Self {
            name,
            tags: BTreeSet::new(),
            nodes: BTreeSet::new(),
            instance_count: 0,
            checks_passing: 0,
            checks_warning: 0,
            checks_critical: 0,
            external_sources: None,
            gateway_config: Empty {},
        }
    }

    /// Adds an instance and the checks that decide about it.
    pub fn add(&mut self, instance: &'a TakenInstance) {
        let service = &instance.service;
        self.instance_count += 1;
        self.nodes.insert(&service.node);
        self.tags.extend(service.tags.iter().map(|tag| &**tag));
        for check in &instance.checks {
            match check.status {
                CheckStatus::Passing => self.checks_passing += 1,
                CheckStatus::Warning => self.checks_warning += 1,
                CheckStatus::Critical => self.checks_critical += 1,
            }
        }
        let source = service.meta.as_ref().and_then(|meta| meta.get("external-source"));
        if let Some(source) = source {
            self.external_sources.get_or_insert_default().insert(source);
        }
    }
}

/// A node with everything on it, taken out of the catalog.
#[derive(Debug)]
pub struct TakenNode {
    /// The node.
    pub node: Arc<CatalogNode>,
    /// By service id.
    pub services: Vec<Arc<CatalogService>>,
    /// By check id.
    pub checks: Vec<Arc<HealthCheck>>,
}

impl TakenNode {
    /// `node` as it is in `catalog`.
    pub fn of(catalog: &Catalog, node: &Arc<CatalogNode>) -> Self {
        Self {
            services: catalog.services_on(&node.name).cloned().collect(),
            checks: catalog.checks_on(&node.name).cloned().collect(),
            node: Arc::clone(node),
        }
    }
}

/// A node with everything on it, as printed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NodeDump<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    node: &'a str,
    address: &'a str,
    tagged_addresses: Option<&'a super::catalog::Texts>,
    meta: Option<&'a super::catalog::Texts>,
    services: Vec<NodeServiceAnswer<'a>>,
    checks: Vec<CheckAnswer<'a>>,
}

impl<'a> From<&'a TakenNode> for NodeDump<'a> {
    fn from(TakenNode { node, services, checks }: &'a TakenNode) -> Self {
        Self {
            id: &node.id,
            node: &node.name,
            address: &node.address,
            tagged_addresses: node.tagged_addresses.as_ref(),
            meta: node.meta.as_ref(),
            services: services.iter().map(|service| NodeServiceAnswer::from(&**service)).collect(),
            checks: checks.iter().map(|check| CheckAnswer::from(&**check)).collect(),
        }
    }
}
