//! `/v1/agent`, except the health summaries.

use std::collections::BTreeMap;
use std::time::Duration;

use coord_state::consul::CheckStatus;
use coord_wire::address::HostPort;
use coord_wire::consul::agent::{AgentServiceAnswer, CheckUpdate, MemberAnswer, ServiceDefinition};
use coord_wire::consul::check::CheckDefinition;
use coord_wire::consul::filter::{Work, shape};
use coord_wire::consul::health::{CheckAnswer, DefinitionAnswer};
use coord_wire::consul::{decode, json};
use hyper::header::{HeaderName, HeaderValue};

use crate::agent::{LocalCheck, Registrations};
use crate::server::consul::ConsulApi;
use crate::server::consul::catalog::members::{GOSSIP_PORT, GOSSIP_PORT_WAN};
use crate::server::consul::http::answer::Answer;
use crate::server::consul::http::call::Call;
use crate::server::consul::http::error_map::HttpError;
use crate::server::consul::http::params::{Params, parse_bool};

const ALL_SEGMENTS: &str = "_all";
const CONTENT_HASH: HeaderName = HeaderName::from_static("x-consul-contenthash");
const MISSING_SERVICE: &str = "Missing service ID";
const MISSING_CHECK: &str = "Missing check ID";
/// How often a reader that waits for another definition looks again.
const HASH_POLL: Duration = Duration::from_millis(100);

impl ConsulApi {
    pub(crate) async fn agent_services(&self, call: Call) -> Result<Answer, HttpError> {
        let filter = call.filter(&shape::SERVICE)?;
        let take = || {
            self.agent.look(|local| {
                let refusal = |id: &str| local.refusal(id).map(str::to_owned);
                let services = local.services();
                services.map(|found| (found.clone(), refusal(&found.id))).collect::<Vec<_>>()
            })
        };
        let (pretty, datacenter) = (call.pretty(), self.datacenter().to_owned());
        let print = move |services: &Vec<(ServiceDefinition, Option<String>)>, work: &Work| {
            let services: BTreeMap<_, _> = services
                .iter()
                .take_while(|_| work.row())
                .map(|(service, refusal)| {
                    let answer = AgentServiceAnswer::new(service, &datacenter);
                    (&service.id, answer.with_refusal(refusal.as_deref()))
                })
                .filter(|(_, answer)| filter.admits(answer, work))
                .collect();
            json::encode(&services, pretty)
        };
        let (_, bytes) = self.printed(&call, take(), || (0, take()), print).await?;
        Ok(Answer::json_bytes(bytes))
    }

    /// One service; with `hash` it waits until the definition is another one.
    pub(crate) async fn agent_service(&self, call: Call) -> Result<Answer, HttpError> {
        let id = call.required_name(MISSING_SERVICE)?;
        let options = self.read_options(&call)?;
        let known = call.params.nonempty("hash").map(str::to_owned);
        let deadline = tokio::time::sleep(options.wait);
        tokio::pin!(deadline);
        loop {
            let found = self.agent.look(|local| {
                let service = local.service(&id)?;
                let answer = AgentServiceAnswer::new(service, self.datacenter());
                let answer = answer.with_refusal(local.refusal(&id)).with_hash();
                let hash = answer.hash().unwrap_or_default().to_owned();
                Some((json::encode(&answer, call.pretty()), hash))
            });
            let Some((bytes, hash)) = found else {
                return Err(HttpError::not_found(format!("unknown service ID: {id}")));
            };
            let answer = Answer::json_bytes(bytes);
            let answer = match HeaderValue::from_str(&hash) {
                Ok(value) => answer.with_header(CONTENT_HASH, value),
                Err(_) => answer,
            };
            if known.as_ref() != Some(&hash) {
                return Ok(answer);
            }
            tokio::select! {
                () = tokio::time::sleep(HASH_POLL) => {}
                () = &mut deadline => return Ok(answer),
                () = self.stopped() => return Ok(answer),
            }
        }
    }

    pub(crate) async fn agent_service_register(&self, mut call: Call) -> Result<Answer, HttpError> {
        let replace = match call.params.get("replace-existing-checks") {
            None => false,
            Some("") => true,
            Some(text) => parse_bool(text).ok_or_else(|| {
                HttpError::bad_request("Invalid value for \"replace-existing-checks\"")
            })?,
        };
        let body = self.body(&mut call).await?;
        let definition =
            ServiceDefinition::parse(&body).map_err(|error| HttpError::undecodable(&error))?;
        self.agent.register_service(definition, replace).await?;
        Ok(Answer::empty())
    }

    pub(crate) async fn agent_service_deregister(&self, call: Call) -> Result<Answer, HttpError> {
        let id = call.required_name(MISSING_SERVICE)?;
        self.agent.deregister_service(&id).await?;
        Ok(Answer::empty())
    }

    pub(crate) async fn agent_service_maintenance(&self, call: Call) -> Result<Answer, HttpError> {
        let id = call.required_name(MISSING_SERVICE)?;
        let enable = enable(&call.params)?;
        let reason = call.params.get("reason").unwrap_or_default();
        self.agent.maintain_service(&id, enable, reason).await?;
        Ok(Answer::empty())
    }

    pub(crate) async fn agent_maintenance(&self, call: Call) -> Result<Answer, HttpError> {
        let enable = enable(&call.params)?;
        let reason = call.params.get("reason").unwrap_or_default();
        self.agent.maintain_node(enable, reason).await?;
        Ok(Answer::empty())
    }

    pub(crate) async fn agent_checks(&self, call: Call) -> Result<Answer, HttpError> {
        let filter = call.filter(&shape::CHECK)?;
        let take = || {
            self.agent.look(|local| {
                local.checks().map(|check| Printed::new(local, check)).collect::<Vec<_>>()
            })
        };
        let (pretty, node) = (call.pretty(), self.agent.identity().name.clone());
        let print = move |checks: &Vec<Printed>, work: &Work| {
            let checks: BTreeMap<_, _> = checks
                .iter()
                .take_while(|_| work.row())
                .map(|check| (check.id(), check.answer(&node)))
                .filter(|(_, answer)| filter.admits(answer, work))
                .collect();
            json::encode(&checks, pretty)
        };
        let (_, bytes) = self.printed(&call, take(), || (0, take()), print).await?;
        Ok(Answer::json_bytes(bytes))
    }

    pub(crate) async fn agent_check_register(&self, mut call: Call) -> Result<Answer, HttpError> {
        let body = self.body(&mut call).await?;
        let definition = decode::parse(&body)
            .and_then(CheckDefinition::take)
            .map_err(|error| HttpError::undecodable(&error))?;
        self.agent.register_check(definition).await?;
        Ok(Answer::empty())
    }

    pub(crate) async fn agent_check_deregister(&self, call: Call) -> Result<Answer, HttpError> {
        let id = call.required_name(MISSING_CHECK)?;
        self.agent.deregister_check(&id).await?;
        Ok(Answer::empty())
    }

    pub(crate) async fn agent_check_pass(&self, call: Call) -> Result<Answer, HttpError> {
        self.agent_check_note(&call, CheckStatus::Passing).await
    }

    pub(crate) async fn agent_check_warn(&self, call: Call) -> Result<Answer, HttpError> {
        self.agent_check_note(&call, CheckStatus::Warning).await
    }

    pub(crate) async fn agent_check_fail(&self, call: Call) -> Result<Answer, HttpError> {
        self.agent_check_note(&call, CheckStatus::Critical).await
    }

    async fn agent_check_note(
        &self,
        call: &Call,
        status: CheckStatus,
    ) -> Result<Answer, HttpError> {
        let id = call.required_name(MISSING_CHECK)?;
        let note = call.params.get("note").unwrap_or_default();
        self.agent.update_ttl(&id, status, note).await?;
        Ok(Answer::empty())
    }

    pub(crate) async fn agent_check_update(&self, mut call: Call) -> Result<Answer, HttpError> {
        let id = call.required_name(MISSING_CHECK)?;
        let body = self.body(&mut call).await?;
        let update = CheckUpdate::parse(&body).map_err(|error| HttpError::undecodable(&error))?;
        let status = CheckStatus::from_name(&update.status).ok_or_else(|| {
            HttpError::bad_request(format!("Invalid check status: '{}'", update.status))
        })?;
        self.agent.update_ttl(&id, status, &update.output).await?;
        Ok(Answer::empty())
    }

    pub(crate) fn agent_members(&self, call: &Call) -> Result<Answer, HttpError> {
        let wan = call.params.has("wan");
        // All segments there are is what a wide area has anyway.
        let one_segment = call.params.nonempty("segment").filter(|name| *name != ALL_SEGMENTS);
        if wan && one_segment.is_some() {
            return Err(HttpError::bad_request("Cannot provide a segment with wan=true"));
        }
        let mut members = self.members();
        if wan {
            for member in &mut members {
                member.name = format!("{}.{}", member.name, self.datacenter());
                member.port = GOSSIP_PORT_WAN;
            }
        }
        Ok(Answer::json(&members, call.pretty()))
    }

    pub(crate) fn agent_join(&self, call: &Call) -> Result<Answer, HttpError> {
        let address = call.name();
        let wan = call.params.has("wan");
        // Who is in the cluster is decided by its settings, not by gossip.
        if place(&address, wan).is_some_and(|(host, port)| self.is_member_at(&host, port)) {
            return Ok(Answer::empty());
        }
        Err(HttpError::internal(format!(
            "1 error occurred:\n\t* Failed to join {address}: members are named in the settings\n\n"
        )))
    }

    /// Whether a member is told to gossip there, or is reached by its peers there.
    fn is_member_at(&self, host: &str, port: u16) -> bool {
        let gossips = |member: &MemberAnswer| {
            member.addr == host && matches!(port, GOSSIP_PORT | GOSSIP_PORT_WAN)
        };
        let status = self.node.status();
        let mut peers = status.voters.iter().chain(&status.observers);
        self.members().iter().any(gossips)
            || peers.any(|(member, _)| {
                let address = self.address_of(&status, *member);
                place(&address, false).is_some_and(|at| at == (host.to_owned(), port))
            })
    }
}

/// Host and port of what somebody wants to join, as Go reads them.
fn place(address: &str, wan: bool) -> Option<(String, u16)> {
    let usual = if wan { GOSSIP_PORT_WAN } else { GOSSIP_PORT };
    let HostPort { host, port } = HostPort::with_default_port(address, usual).ok()?;
    Some((host, port))
}

/// A local check with what it is printed with.
pub(crate) struct Printed {
    check: LocalCheck,
    interval: String,
    timeout: String,
    service_name: String,
    service_tags: Vec<Box<str>>,
}

impl Printed {
    pub(crate) fn new(local: &Registrations, check: &LocalCheck) -> Self {
        let service = local.service(&check.definition.service_id);
        Self {
            interval: check.interval(),
            timeout: check.timeout(),
            check: check.clone(),
            service_name: service.map(|service| service.name.clone()).unwrap_or_default(),
            service_tags: service
                .map(|service| service.tags.iter().map(|tag| tag.as_str().into()).collect())
                .unwrap_or_default(),
        }
    }

    fn id(&self) -> &str {
        &self.check.definition.id
    }

    pub(crate) fn answer<'a>(&'a self, node: &'a str) -> CheckAnswer<'a> {
        let definition = &self.check.definition;
        CheckAnswer {
            node,
            id: &definition.id,
            name: &definition.name,
            status: self.check.status.as_str(),
            notes: &definition.notes,
            output: &self.check.output,
            service_id: &definition.service_id,
            service_name: &self.service_name,
            service_tags: Some(&self.service_tags),
            kind: self.check.kind(),
            interval: &self.interval,
            timeout: &self.timeout,
            exposed_port: 0,
            definition: DefinitionAnswer::default(),
            create_index: 0,
            modify_index: 0,
        }
    }
}

fn enable(params: &Params) -> Result<bool, HttpError> {
    let Some(text) = params.nonempty("enable") else {
        return Err(HttpError::bad_request("Missing value for enable"));
    };
    parse_bool(text)
        .ok_or_else(|| HttpError::bad_request(format!("Invalid value for enable: {text:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_to_join_has_a_port_though_none_is_written() {
        let at = |address| place(address, false);
        assert_eq!(at("10.0.0.1"), Some(("10.0.0.1".to_owned(), 8301)));
        assert_eq!(at("10.0.0.1:9"), Some(("10.0.0.1".to_owned(), 9)));
        assert_eq!(at("[::1]:9"), Some(("::1".to_owned(), 9)));
        assert_eq!(at("::1"), Some(("::1".to_owned(), 8301)));
        assert_eq!(at("10.0.0.1:nine"), None);
        assert_eq!(place("[::1]", true), Some(("::1".to_owned(), 8302)));
    }

    #[test]
    fn maintenance_must_say_whether() {
        let enable = |query: &str| {
            enable(&Params::parse(query).unwrap()).map_err(|error| error.text().to_owned())
        };
        assert_eq!(enable("enable=true"), Ok(true));
        assert_eq!(enable("enable=False"), Ok(false));
        assert_eq!(enable(""), Err("Missing value for enable".to_owned()));
        assert_eq!(enable("enable=x"), Err("Invalid value for enable: \"x\"".to_owned()));
    }
}
