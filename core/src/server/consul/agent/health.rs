//! `/v1/agent/health/service`: the aggregated status of a service, for load
//! balancers.

use coord_state::consul::CheckStatus;
use coord_wire::consul::agent::{AgentServiceAnswer, ServiceDefinition};
use coord_wire::consul::health::CheckAnswer;
use coord_wire::consul::json;
use hyper::StatusCode;
use hyper::header::{ACCEPT, HeaderName, HeaderValue};
use serde::Serialize;

use super::registrations::Printed;
use crate::agent::Registrations;
use crate::server::consul::ConsulApi;
use crate::server::consul::http::answer::Answer;
use crate::server::consul::http::call::Call;

const REASON: HeaderName = HeaderName::from_static("x-consul-reason");

/// Ordered from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Passing,
    Warning,
    Critical,
    Maintenance,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Passing => "passing",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Maintenance => "maintenance",
        }
    }

    fn code(self) -> StatusCode {
        match self {
            Self::Passing => StatusCode::OK,
            Self::Warning => StatusCode::TOO_MANY_REQUESTS,
            Self::Critical | Self::Maintenance => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The worst of a service's checks, the node's included.
    fn of(local: &Registrations, service_id: &str) -> Self {
        let each = local.checks_of_service(service_id).map(|check| match check.status {
            _ if check.kind() == "maintenance" => Self::Maintenance,
            CheckStatus::Passing => Self::Passing,
            CheckStatus::Warning => Self::Warning,
            CheckStatus::Critical => Self::Critical,
        });
        each.max().unwrap_or(Self::Passing)
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct HealthAnswer<'a> {
    aggregated_status: &'static str,
    service: Option<AgentServiceAnswer<'a>>,
    checks: Option<Vec<CheckAnswer<'a>>>,
}

impl ConsulApi {
    pub(crate) fn agent_health_by_id(&self, call: &Call) -> Answer {
        let id = call.name();
        let found = self.agent.look(|local| {
            let service = local.service(&id)?;
            let verdict = Verdict::of(local, &id);
            Some((verdict, self.summaries(local, &[service], call.pretty(), false)))
        });
        match found {
            Some((verdict, body)) => summary(call, verdict, body),
            None => {
                let nothing =
                    HealthAnswer { aggregated_status: "critical", service: None, checks: None };
                let body = json::encode(&nothing, call.pretty());
                unknown(call, &format!("ServiceId {id} not found"), body)
            }
        }
    }

    pub(crate) fn agent_health_by_name(&self, call: &Call) -> Answer {
        let name = call.name();
        let found = self.agent.look(|local| {
            let services: Vec<_> =
                local.services().filter(|service| service.name == name).collect();
            let worst = services.iter().map(|service| Verdict::of(local, &service.id)).max()?;
            Some((worst, self.summaries(local, &services, call.pretty(), true)))
        });
        match found {
            Some((verdict, body)) => summary(call, verdict, body),
            None => unknown(
                call,
                &format!("ServiceName {name} Not Found"),
                json::encode::<[(); 0]>(&[], call.pretty()),
            ),
        }
    }

    fn summaries(
        &self,
        local: &Registrations,
        services: &[&ServiceDefinition],
        pretty: bool,
        as_list: bool,
    ) -> Vec<u8> {
        let node = &self.agent.identity().name;
        let printed: Vec<(&ServiceDefinition, Vec<Printed>)> = services
            .iter()
            .map(|service| {
                let checks = local.checks_of_service(&service.id);
                (*service, checks.map(|check| Printed::new(local, check)).collect())
            })
            .collect();
        let answers: Vec<_> = printed
            .iter()
            .map(|(service, checks)| HealthAnswer {
                aggregated_status: Verdict::of(local, &service.id).as_str(),
                service: Some(AgentServiceAnswer::new(service, self.datacenter())),
                checks: Some(checks.iter().map(|check| check.answer(node)).collect()),
            })
            .collect();
        match answers.first() {
            Some(only) if !as_list => json::encode(only, pretty),
            _ => json::encode(&answers, pretty),
        }
    }
}

fn summary(call: &Call, verdict: Verdict, body: Vec<u8>) -> Answer {
    let answer =
        if wants_text(call) { Answer::text(verdict.as_str()) } else { Answer::json_bytes(body) };
    answer
        .with_status(verdict.code())
        .with_header(REASON, HeaderValue::from_static(verdict.as_str()))
}

fn unknown(call: &Call, reason: &str, body: Vec<u8>) -> Answer {
    let answer = if wants_text(call) { Answer::text(reason) } else { Answer::json_bytes(body) };
    let answer = answer.with_status(StatusCode::NOT_FOUND);
    match HeaderValue::from_str(reason) {
        Ok(reason) => answer.with_header(REASON, reason),
        // A name that no header can carry is only in the body then.
        Err(_) => answer,
    }
}

fn wants_text(call: &Call) -> bool {
    let accept = call.headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    call.params.get("format") == Some("text")
        || accept.is_some_and(|accept| accept.starts_with("text/plain"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verdict_has_its_code_and_maintenance_is_the_worst() {
        let codes = [Verdict::Passing, Verdict::Warning, Verdict::Critical, Verdict::Maintenance]
            .map(|verdict| verdict.code().as_u16());
        assert_eq!(codes, [200, 429, 503, 503]);
        assert!(Verdict::Maintenance > Verdict::Critical);
    }
}
