//! Executes prepared queries, for HTTP and DNS.

use std::collections::{BTreeMap, BTreeSet};

use coord_state::consul::{CheckStatus, Consul, Instance, PreparedQuery, QueryId};
use coord_wire::consul::query::Wanted;
use coord_wire::consul::uuid;

use super::proxies::stands_for;
use super::tags::Tags;

/// The query with that id, or that answers that name.
pub(super) fn query_for<'a>(consul: &'a Consul, name: &str) -> Option<&'a PreparedQuery> {
    match uuid::parse(name) {
        Ok(id) => consul.queries().query(QueryId(id)),
        Err(_) => consul.queries().named(name),
    }
}

/// The instances a query asks for, in the order of the catalog.
pub(super) fn instances<'a>(consul: &'a Consul, wanted: &Wanted) -> Vec<Instance<'a>> {
    let ignored = wanted.ignore_check_ids.iter().flatten();
    let ignored: BTreeSet<&str> = ignored.map(String::as_str).collect();
    let healthy = |instance: &Instance<'_>| {
        instance.checks().all(|check| match check.status {
            _ if ignored.contains(&*check.id) => true,
            CheckStatus::Passing => true,
            CheckStatus::Warning => !wanted.only_passing,
            CheckStatus::Critical => false,
        })
    };
    let asked = wanted.tags.as_deref().unwrap_or_default();
    let (unwanted, tags): (Vec<_>, Vec<_>) = asked.iter().partition(|tag| tag.starts_with('!'));
    let tags = Tags::new(tags.into_iter().map(String::as_str));
    let unwanted = Tags::new(unwanted.into_iter().map(|tag| &tag[1..]));
    let catalog = consul.catalog();
    let found: Box<dyn Iterator<Item = Instance<'a>> + '_> = if wanted.connect {
        let all = catalog.instances_in_mesh();
        Box::new(all.filter(|found| stands_for(found.service(), &wanted.service)))
    } else {
        Box::new(catalog.instances(&wanted.service))
    };
    found
        .filter(|found| tags.all_of(found.service()) && !unwanted.any_of(found.service()))
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
