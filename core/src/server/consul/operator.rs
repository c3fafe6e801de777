//! `/v1/operator`: usage, the keyring.

use std::collections::BTreeSet;

use serde_json::json;

use super::Front;
use super::answer::Answer;
use super::call::Call;
use super::error_map::HttpError;

impl Front {
    pub(super) fn operator_usage(&self, call: &Call) -> Answer {
        let usage = self.node.read(|state| {
            let catalog = state.consul().catalog();
            let names: BTreeSet<_> = catalog.services().map(|service| &*service.name).collect();
            let billable = catalog.services().filter(|service| &*service.name != "consul");
            json!({
                "Nodes": catalog.nodes().count(),
                "Services": names.len(),
                "ServiceInstances": catalog.services().count(),
                "ConnectServiceInstances": {
                    "api-gateway": 0, "connect-native": 0, "connect-proxy": 0,
                    "ingress-gateway": 0, "mesh-gateway": 0, "terminating-gateway": 0,
                },
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
pub(super) fn keyring() -> Result<Answer, HttpError> {
    Err(HttpError::internal(
        "2 errors occurred:\n\t* keyring is empty: encryption is not enabled (LAN)\n\t* keyring is empty: encryption is not enabled (WAN)\n\n",
    ))
}
