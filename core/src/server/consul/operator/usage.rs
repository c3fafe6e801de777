//! `/v1/operator`: usage, the keyring.

use std::collections::{BTreeMap, BTreeSet};

use coord_state::consul::Instance;
use coord_wire::consul::proxy::is_native;
use serde_json::json;

use crate::server::consul::ConsulApi;
use crate::server::consul::http::answer::Answer;
use crate::server::consul::http::call::Call;
use crate::server::consul::http::error_map::HttpError;

const NATIVE: &str = "connect-native";
/// What instances in a mesh are counted as.
const KINDS: [&str; 6] = [
    "api-gateway",
    NATIVE,
    "connect-proxy",
    "ingress-gateway",
    "mesh-gateway",
    "terminating-gateway",
];

impl ConsulApi {
    pub(crate) fn operator_usage(&self, call: &Call) -> Answer {
        let usage = self.node.read(|state| {
            let catalog = state.consul().catalog();
            let names: BTreeSet<_> = catalog.services().map(|service| &*service.name).collect();
            let billable = catalog
                .services()
                .filter(|service| &*service.name != "consul" && service.kind.is_empty());
            let mut of_mesh: BTreeMap<&str, usize> =
                KINDS.into_iter().map(|kind| (kind, 0)).collect();
            for service in catalog.instances_in_mesh().map(Instance::service) {
                let kind = if is_native(&service.connect) { NATIVE } else { &*service.kind };
                if let Some(count) = of_mesh.get_mut(kind) {
                    *count += 1;
                }
            }
            json!({
                "Nodes": catalog.nodes().count(),
                "Services": names.len(),
                "ServiceInstances": catalog.services().count(),
                "ConnectServiceInstances": of_mesh,
                "BillableServiceInstances": billable.count(),
            })
        });
        let body = json!({
            "Usage": {self.datacenter(): usage},
            "Index": self.node.read(|state| state.revision().0),
            "LastContact": 0, "KnownLeader": self.node.status().leader.is_some(),
            "ConsistencyLevel": "leader", "NotModified": false, "Backend": 0,
            "ResultsFilteredByACLs": false,
        });
        Answer::json(&body, call.pretty())
    }
}

/// Members speak without Consul's gossip, so there are no keys for it.
pub(crate) fn keyring() -> Result<Answer, HttpError> {
    Err(HttpError::internal(
        "2 errors occurred:\n\t* keyring is empty: encryption is not enabled (LAN)\n\t* keyring is empty: encryption is not enabled (WAN)\n\n",
    ))
}
