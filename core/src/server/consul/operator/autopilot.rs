//! `/v1/operator/autopilot`: health of the members, and autopilot's
//! configuration.
//!
//! Health comes from Raft and the catalog. The configuration is part of the
//! state; where it is defined and in docs/COMPATIBILITY.md it says which fields
//! have an effect.

use std::time::Duration;

use coord_state::Reply;
use coord_state::consul::{Autopilot, AutopilotSettings, CheckStatus, ConsulCommand, ConsulReply};
use coord_wire::consul::decode::{DecodeError, Fields};
use coord_wire::consul::duration;
use coord_wire::consul::session::SERF_HEALTH;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::agent::CONSUL_VERSION;
use crate::node::NodeStatus;
use crate::server::consul::ConsulApi;
use crate::server::consul::http::answer::Answer;
use crate::server::consul::http::call::Call;
use crate::server::consul::http::error_map::HttpError;
use crate::server::consul::http::times::rfc3339;

/// One member as autopilot judges it.
struct Judged {
    id: String,
    name: String,
    address: String,
    alive: bool,
    healthy: bool,
    leader: bool,
    last_contact: Duration,
}

impl Judged {
    fn last_contact(&self) -> String {
        duration::format(i64::try_from(self.last_contact.as_nanos()).unwrap_or(i64::MAX))
    }
}

impl ConsulApi {
    pub(crate) async fn autopilot_configuration(
        &self,
        mut call: Call,
    ) -> Result<Answer, HttpError> {
        if call.method == Method::GET {
            self.confirm(&self.read_options(&call)?).await?;
            let answer = self.node.read(|state| printed(state.consul().autopilot()));
            return Ok(Answer::json(&answer, call.pretty()));
        }
        let cas = call.params.number("cas").map_err(|error| {
            HttpError::bad_request(format!("Error parsing cas value: {}", error.text()))
        })?;
        let body = self.body(&mut call).await?;
        let present = self.node.read(|state| state.consul().autopilot().settings.clone());
        let settings = changed(present, &body).map_err(|error| {
            HttpError::bad_request(format!("Error parsing autopilot config: {error}"))
        })?;
        let command = ConsulCommand::SetAutopilot { settings: Box::new(settings), cas };
        let done = matches!(self.change(command).await?, Reply::Consul(ConsulReply::Bool(true)));
        Ok(Answer::json(&done, call.pretty()))
    }

    /// 429 while a member is not healthy, as monitoring expects.
    pub(crate) fn autopilot_health(&self, call: &Call) -> Answer {
        let status = self.node.status();
        let judged = self.judged(&status);
        let (healthy, tolerance) = verdict(&judged);
        let since = rfc3339(self.began_wall_ms);
        let servers: Vec<Value> = judged
            .iter()
            .map(|server| {
                json!({
                    "ID": server.id, "Name": server.name, "Address": server.address,
                    "SerfStatus": if server.alive { "alive" } else { "failed" },
                    "Version": CONSUL_VERSION, "Leader": server.leader,
                    "LastContact": server.last_contact(),
                    "LastTerm": status.log.last_term, "LastIndex": status.log.last_index,
                    "Healthy": server.healthy, "Voter": true, "StableSince": since,
                })
            })
            .collect();
        let body = json!({"Healthy": healthy, "FailureTolerance": tolerance, "Servers": servers});
        let answer = Answer::json(&body, call.pretty());
        if healthy { answer } else { answer.with_status(StatusCode::TOO_MANY_REQUESTS) }
    }

    pub(crate) fn autopilot_state(&self, call: &Call) -> Answer {
        let status = self.node.status();
        let judged = self.judged(&status);
        let (healthy, tolerance) = verdict(&judged);
        let since = rfc3339(self.began_wall_ms);
        let servers: serde_json::Map<String, Value> = judged
            .iter()
            .map(|server| {
                let state = json!({
                    "ID": server.id, "Name": server.name, "Address": server.address,
                    "NodeStatus": if server.alive { "alive" } else { "failed" },
                    "Version": CONSUL_VERSION,
                    "LastContact": server.last_contact(),
                    "LastTerm": status.log.last_term, "LastIndex": status.log.last_index,
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

    /// Whether all is well, and how many more may fail.
    pub(crate) fn autopilot_verdict(&self) -> (bool, usize) {
        verdict(&self.judged(&self.node.status()))
    }

    fn judged(&self, status: &NodeStatus) -> Vec<Judged> {
        let own = self.node.member();
        let heard = self.node.members_heard().unwrap_or_default();
        let threshold = self.node.read(|state| {
            let settings = &state.consul().autopilot().settings;
            Duration::from_nanos(settings.last_contact_threshold_ns.try_into().unwrap_or(0))
        });
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
                let silence = silence.and_then(|(_, silence)| *silence).unwrap_or_default();
                let alive = member == own || alive;
                Judged {
                    id: self.id_of_member(member, &name),
                    address: self.address_of(status, member),
                    alive,
                    healthy: status.leader.is_some() && alive && silence <= threshold,
                    leader: status.leader == Some(member),
                    last_contact: silence,
                    name,
                }
            })
            .collect()
    }
}

/// Whether all is well, and how many more may fail.
fn verdict(judged: &[Judged]) -> (bool, usize) {
    let healthy = judged.iter().filter(|server| server.healthy).count();
    let majority = judged.len() / 2 + 1;
    (healthy == judged.len(), healthy.saturating_sub(majority))
}

fn printed(autopilot: &Autopilot) -> Value {
    let settings = &autopilot.settings;
    json!({
        "CleanupDeadServers": settings.cleanup_dead_servers,
        "LastContactThreshold": duration::format(settings.last_contact_threshold_ns),
        "MaxTrailingLogs": settings.max_trailing_logs,
        "MinQuorum": settings.min_quorum,
        "ServerStabilizationTime": duration::format(settings.server_stabilization_ns),
        "RedundancyZoneTag": settings.redundancy_zone_tag,
        "DisableUpgradeMigration": settings.disable_upgrade_migration,
        "UpgradeVersionTag": settings.upgrade_version_tag,
        "CreateIndex": 1, "ModifyIndex": autopilot.modify_index,
    })
}

/// What a body leaves out stays as it was; what is unknown is ignored, as in
/// Consul.
fn changed(present: AutopilotSettings, body: &[u8]) -> Result<AutopilotSettings, DecodeError> {
    let mut settings = present;
    let mut fields = Fields::parse(body, "api.AutopilotConfiguration")?;
    if fields.has("CleanupDeadServers") {
        settings.cleanup_dead_servers = fields.bool("CleanupDeadServers")?;
    }
    if fields.has("LastContactThreshold") {
        settings.last_contact_threshold_ns = fields.duration("LastContactThreshold")?;
    }
    if fields.has("MaxTrailingLogs") {
        settings.max_trailing_logs = fields.unsigned("MaxTrailingLogs")?;
    }
    if fields.has("MinQuorum") {
        settings.min_quorum = fields.unsigned("MinQuorum")?;
    }
    if fields.has("ServerStabilizationTime") {
        settings.server_stabilization_ns = fields.duration("ServerStabilizationTime")?;
    }
    if let Some(tag) = fields.text("RedundancyZoneTag")? {
        settings.redundancy_zone_tag = tag.into();
    }
    if fields.has("DisableUpgradeMigration") {
        settings.disable_upgrade_migration = fields.bool("DisableUpgradeMigration")?;
    }
    if let Some(tag) = fields.text("UpgradeVersionTag")? {
        settings.upgrade_version_tag = tag.into();
    }
    Ok(settings)
}
