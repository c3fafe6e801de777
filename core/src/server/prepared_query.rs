//! What a prepared query finds. HTTP and DNS both execute them.

use std::collections::BTreeMap;

use coord_state::consul::{CatalogService, CheckStatus, Consul, Instance, PreparedQuery, QueryId};
use coord_wire::consul::query::Wanted;
use coord_wire::consul::uuid;

/// The query with that id, or that answers that name.
pub(super) fn query_for<'a>(consul: &'a Consul, name: &str) -> Option<&'a PreparedQuery> {
    match uuid::parse(name) {
        Ok(id) => consul.queries().query(QueryId(id)),
        Err(_) => consul.queries().named(name),
    }
}

/// The instances a query asks for, in the order of the catalog.
pub(super) fn instances<'a>(consul: &'a Consul, wanted: &Wanted) -> Vec<Instance<'a>> {
    // There is no mesh, so no service has a proxy.
    if wanted.connect {
        return Vec::new();
    }
    let ignored = wanted.ignore_check_ids.as_deref().unwrap_or_default();
    let healthy = |instance: &Instance<'_>| {
        instance.checks().all(|check| match check.status {
            _ if ignored.iter().any(|id| **id == *check.id) => true,
            CheckStatus::Passing => true,
            CheckStatus::Warning => !wanted.only_passing,
            CheckStatus::Critical => false,
        })
    };
    let tags = wanted.tags.as_deref().unwrap_or_default();
    consul
        .catalog()
        .instances(&wanted.service)
        .filter(|found| has_tags(found.service(), tags))
        .filter(|found| has_meta(found.service().meta.as_ref(), wanted.service_meta.as_ref()))
        .filter(healthy)
        .filter(|found| has_meta(found.node().meta.as_ref(), wanted.node_meta.as_ref()))
        .collect()
}

fn has_meta(
    meta: Option<&BTreeMap<Box<str>, Box<str>>>,
    asked: Option<&BTreeMap<String, String>>,
) -> bool {
    asked.into_iter().flatten().all(|(key, value)| {
        meta.and_then(|meta| meta.get(key.as_str())).is_some_and(|found| **found == **value)
    })
}

/// All tags asked for, and none of those behind a `!`.
fn has_tags(service: &CatalogService, asked: &[String]) -> bool {
    let has = |tag: &str| service.tags.iter().any(|own| own.to_lowercase() == tag.to_lowercase());
    asked.iter().all(|tag| match tag.strip_prefix('!') {
        Some(unwanted) => !has(unwanted),
        None => has(tag),
    })
}
