//! Status of this member and its cluster: `/v1/status`, `/v1/agent/version`,
//! `/v1/operator/raft/configuration`.

use coord_state::MemberId;
use coord_wire::consul::uuid;
use serde::Serialize;
use serde_json::json;

use crate::agent::CONSUL_VERSION;
use crate::node::NodeStatus;
use crate::server::consul::ConsulApi;
use crate::server::consul::http::answer::Answer;
use crate::server::consul::http::call::Call;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct RaftConfiguration {
    servers: Vec<RaftServer>,
    index: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct RaftServer {
    #[serde(rename = "ID")]
    id: String,
    node: String,
    address: String,
    leader: bool,
    protocol_version: &'static str,
    last_index: u64,
    voter: bool,
}

impl ConsulApi {
    pub(crate) fn status_leader(&self, call: &Call) -> Answer {
        Answer::json(&self.leader_address(), call.pretty())
    }

    pub(crate) fn status_peers(&self, call: &Call) -> Answer {
        let status = self.node.status();
        let members = status.voters.iter().chain(&status.observers);
        let mut peers: Vec<String> =
            members.map(|(member, _)| self.address_of(&status, *member)).collect();
        if peers.is_empty() {
            peers.push(self.address_of(&status, self.node.member()));
        }
        Answer::json(&peers, call.pretty())
    }

    /// As `host:port`, or empty.
    pub(crate) fn leader_address(&self) -> String {
        let status = self.node.status();
        status.leader.map(|leader| self.address_of(&status, leader)).unwrap_or_default()
    }

    /// Where other members reach a member; a lone one says where they would.
    pub(crate) fn address_of(&self, status: &NodeStatus, member: MemberId) -> String {
        let mut members = status.voters.iter().chain(&status.observers);
        let known = members.find(|(known, _)| *known == member);
        match known {
            Some((_, address)) if is_address(address) => address.clone(),
            _ => {
                let identity = self.agent.identity();
                format!("{}:{}", identity.address, identity.port)
            }
        }
    }

    pub(crate) fn raft_configuration(&self, call: &Call) -> Answer {
        let status = self.node.status();
        let own = self.node.member();
        let voters = status.voters.iter().map(|(member, _)| (*member, true));
        let observers = status.observers.iter().map(|(member, _)| (*member, false));
        let mut members: Vec<(MemberId, bool)> = voters.chain(observers).collect();
        if members.is_empty() {
            members.push((own, true));
        }
        let last_index = status.log.last_index;
        let servers = members
            .into_iter()
            .map(|(member, voter)| {
                let node = self.name_of_member(member);
                RaftServer {
                    id: self.id_of_member(member, &node),
                    node,
                    address: self.address_of(&status, member),
                    leader: status.leader == Some(member),
                    protocol_version: "3",
                    last_index,
                    voter,
                }
            })
            .collect();
        Answer::json(&RaftConfiguration { servers, index: status.log.membership }, call.pretty())
    }

    /// The catalog node of a member.
    pub(crate) fn name_of_member(&self, member: MemberId) -> String {
        if member == self.node.member() {
            return self.agent.identity().name.clone();
        }
        self.node_name_of(member).unwrap_or_else(|| format!("member-{member}"))
    }

    /// The UUID of that catalog node; before it is registered, the member's number as one.
    pub(crate) fn id_of_member(&self, member: MemberId, name: &str) -> String {
        if member == self.node.member() {
            return self.agent.identity().id();
        }
        let registered = self.node.read(|state| {
            let node = state.consul().catalog().node(name);
            node.map(|node| node.id.to_string()).filter(|id| !id.is_empty())
        });
        registered.unwrap_or_else(|| uuid::format(u128::from(member.0)))
    }

    /// The catalog node of another member, as its agent registered it.
    fn node_name_of(&self, member: MemberId) -> Option<String> {
        let number = member.to_string();
        self.node.read(|state| {
            let mut instances = state.consul().catalog().service_instances("consul");
            let found = instances.find(|service| {
                let meta = service.meta.as_ref();
                meta.and_then(|meta| meta.get("member_id")).is_some_and(|id| **id == *number)
            });
            found.map(|service| service.node.to_string())
        })
    }

    pub(crate) fn agent_version(&self, call: &Call) -> Answer {
        let version = json!({
            "SHA": "", "BuildDate": "1970-01-01T00:00:00Z",
            "HumanVersion": CONSUL_VERSION, "FIPS": "",
        });
        Answer::json(&version, call.pretty())
    }
}

/// Whether it is `host:port`: a lone member has none, or says `off`.
fn is_address(text: &str) -> bool {
    text.rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_without_a_peer_address_is_told_by_its_own() {
        assert!(is_address("10.0.0.1:8300"));
        assert!(is_address("[::1]:8300"));
        assert!(!is_address("off"));
        assert!(!is_address(""));
    }
}
