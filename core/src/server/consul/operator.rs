//! `/v1/operator`: autopilot, usage, the keyring.
//!
//! Autopilot is what Raft and the catalog say of the members. Its configuration
//! is Consul's default and cannot be changed: dead members stay members until
//! somebody removes them.

use std::collections::BTreeSet;
use std::time::Duration;

use coord_state::consul::CheckStatus;
use coord_wire::consul::duration;
use coord_wire::consul::session::SERF_HEALTH;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use super::Front;
use super::answer::Answer;
use super::call::Call;
use super::error_map::HttpError;
use crate::agent::CONSUL_VERSION;
use crate::node::NodeStatus;

/// One member as autopilot judges it.
struct Judged {
    id: String,
    name: String,
    address: String,
    healthy: bool,
    leader: bool,
    last_contact: Duration,
}

impl Judged {
    fn last_contact(&self) -> String {
        duration::format(i64::try_from(self.last_contact.as_nanos()).unwrap_or(i64::MAX))
    }
}

impl Front {
    pub(super) async fn autopilot_configuration(
        &self,
        mut call: Call,
    ) -> Result<Answer, HttpError> {
        if call.method == Method::GET {
            return Ok(Answer::json(&default_configuration(), call.pretty()));
        }
        let body = self.body(&mut call).await?;
        let asked: Value = serde_json::from_slice(&body).map_err(|error| {
            HttpError::bad_request(format!("Error parsing autopilot config: {error}"))
        })?;
        let default = default_configuration();
        let differs = asked.as_object().into_iter().flatten().find(|(name, value)| {
            let known = default.get(name.as_str());
            !name.ends_with("Index") && known.is_some_and(|known| known != *value)
        });
        match differs {
            None => Ok(Answer::json(&true, call.pretty())),
            Some((name, _)) => Err(HttpError::internal(format!(
                "autopilot has a fixed configuration in this server: {name} cannot be changed"
            ))),
        }
    }

    /// 429 while a member is not healthy, as monitoring expects.
    pub(super) fn autopilot_health(&self, call: &Call) -> Answer {
        let status = self.node.status();
        let judged = self.judged(&status);
        let (healthy, tolerance) = verdict(&judged);
        let revision = self.node.read(|state| state.revision().0);
        let since = super::metrics::rfc3339(self.began_wall_ms);
        let servers: Vec<Value> = judged
            .iter()
            .map(|server| {
                json!({
                    "ID": server.id, "Name": server.name, "Address": server.address,
                    "SerfStatus": if server.healthy { "alive" } else { "failed" },
                    "Version": CONSUL_VERSION, "Leader": server.leader,
                    "LastContact": server.last_contact(),
                    "LastTerm": status.term, "LastIndex": revision,
                    "Healthy": server.healthy, "Voter": true, "StableSince": since,
                })
            })
            .collect();
        let body = json!({"Healthy": healthy, "FailureTolerance": tolerance, "Servers": servers});
        let answer = Answer::json(&body, call.pretty());
        if healthy { answer } else { answer.with_status(StatusCode::TOO_MANY_REQUESTS) }
    }

    pub(super) fn autopilot_state(&self, call: &Call) -> Answer {
        let status = self.node.status();
        let judged = self.judged(&status);
        let (healthy, tolerance) = verdict(&judged);
        let revision = self.node.read(|state| state.revision().0);
        let since = super::metrics::rfc3339(self.began_wall_ms);
        let servers: serde_json::Map<String, Value> = judged
            .iter()
            .map(|server| {
                let state = json!({
                    "ID": server.id, "Name": server.name, "Address": server.address,
                    "NodeStatus": if server.healthy { "alive" } else { "failed" },
                    "Version": CONSUL_VERSION,
                    "LastContact": server.last_contact(),
                    "LastTerm": status.term, "LastIndex": revision,
                    "Healthy": server.healthy, "StableSince": since, "ReadReplica": false,
                    "Status": if server.leader { "leader" } else { "voter" },
                    "Meta": {"consul-network-segment": ""}, "NodeType": "voter",
                });
                (server.id.clone(), state)
            })
            .collect();
        let leader = judged.iter().find(|server| server.leader).map(|server| &server.id);
        let voters: Vec<_> = judged.iter().map(|server| &server.id).collect();
        let body = json!({
            "Healthy": healthy, "FailureTolerance": tolerance,
            "OptimisticFailureTolerance": tolerance, "Servers": servers,
            "Leader": leader.map_or("", String::as_str), "Voters": voters,
        });
        Answer::json(&body, call.pretty())
    }

    fn judged(&self, status: &NodeStatus) -> Vec<Judged> {
        let own = self.node.member();
        let heard = self.node.members_heard().unwrap_or_default();
        let mut members: Vec<_> = status.voters.iter().map(|(member, _)| *member).collect();
        if members.is_empty() {
            members.push(own);
        }
        members
            .into_iter()
            .map(|member| {
                let name = self.name_of_member(member);
                let alive = self.node.read(|state| {
                    let serf_health = state.consul().catalog().check(&name, SERF_HEALTH);
                    serf_health.is_some_and(|check| check.status == CheckStatus::Passing)
                });
                let silence = heard.iter().find(|(other, _)| *other == member);
                Judged {
                    id: self.id_of_member(member, &name),
                    address: self.address_of(status, member),
                    healthy: status.leader.is_some() && (member == own || alive),
                    leader: status.leader == Some(member),
                    last_contact: silence.and_then(|(_, silence)| *silence).unwrap_or_default(),
                    name,
                }
            })
            .collect()
    }

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

/// Whether all is well, and how many more may fail.
fn verdict(judged: &[Judged]) -> (bool, usize) {
    let healthy = judged.iter().filter(|server| server.healthy).count();
    let majority = judged.len() / 2 + 1;
    (healthy == judged.len(), healthy.saturating_sub(majority))
}

fn default_configuration() -> Value {
    json!({
        "CleanupDeadServers": false, "LastContactThreshold": "5s", "MaxTrailingLogs": 250,
        "MinQuorum": 0, "ServerStabilizationTime": "10s", "RedundancyZoneTag": "",
        "DisableUpgradeMigration": false, "UpgradeVersionTag": "",
        "CreateIndex": 1, "ModifyIndex": 1,
    })
}
