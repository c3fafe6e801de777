//! Selects the instances that represent a service in a mesh, for lists and prepared queries.

use coord_state::consul::CatalogService;
use coord_wire::consul::proxy::{destination, is_native};

const PROXY: &str = "connect-proxy";

/// Whether a connection to this instance is one to the service of that name: a proxy
/// stands for it, or it speaks the mesh's protocol itself.
pub(super) fn stands_for(instance: &CatalogService, service: &str) -> bool {
    if &*instance.kind == PROXY {
        return !service.is_empty() && same(&destination(&instance.proxy), service);
    }
    !instance.connect.is_empty() && same(&instance.name, service) && is_native(&instance.connect)
}

/// Names of services are the same whatever their case.
fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other) || one.to_lowercase() == other.to_lowercase()
}
