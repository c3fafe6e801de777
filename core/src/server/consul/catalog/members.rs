//! The members of the cluster as the catalog has them.

use std::collections::BTreeMap;

use coord_state::consul::CheckStatus;
use coord_wire::consul::agent::MemberAnswer;
use coord_wire::consul::session::SERF_HEALTH;

use crate::agent::CONSUL_VERSION;
use crate::server::consul::ConsulApi;

pub(crate) const GOSSIP_PORT: u16 = 8301;
pub(crate) const GOSSIP_PORT_WAN: u16 = 8302;

impl ConsulApi {
    /// The nodes in the catalog that an agent keeps there.
    pub(crate) fn members(&self) -> Vec<MemberAnswer> {
        let datacenter = self.datacenter();
        self.node.read(|state| {
            let catalog = state.consul().catalog();
            let mut members = Vec::new();
            for node in catalog.nodes() {
                let Some(serf_health) = catalog.check(&node.name, SERF_HEALTH) else { continue };
                let consul = catalog.service(&node.name, "consul");
                let port = consul.map_or(0, |service| service.port);
                let role = if consul.is_some() { "consul" } else { "node" };
                let tags = BTreeMap::from([
                    ("acls", "0".to_owned()),
                    ("build", format!("{CONSUL_VERSION}:")),
                    ("dc", datacenter.to_owned()),
                    ("ft_fs", "1".to_owned()),
                    ("id", node.id.to_string()),
                    ("port", port.to_string()),
                    ("raft_vsn", "3".to_owned()),
                    ("role", role.to_owned()),
                    ("segment", String::new()),
                    ("vsn", "2".to_owned()),
                    ("vsn_max", "3".to_owned()),
                    ("vsn_min", "2".to_owned()),
                    ("wan_join_port", GOSSIP_PORT_WAN.to_string()),
                ]);
                let alive = serf_health.status == CheckStatus::Passing;
                let (name, address) = (node.name.to_string(), node.address.to_string());
                members.push(MemberAnswer::new(name, address, GOSSIP_PORT, tags, alive));
            }
            members
        })
    }
}
