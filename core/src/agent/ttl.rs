//! TTL checks: healthy as long as the service keeps reporting so.

use std::sync::Arc;
use std::time::Duration;

use coord_state::consul::CheckStatus;

use super::Agent;
use super::errors::AgentError;
use super::output::{bytes_max, clip};
use super::registrations::{Registrations, nanoseconds};
use super::store::{CheckState, Kind};

const NO_DEADLINE: Duration = Duration::from_secs(3600);
/// How often overdue checks are looked for.
pub const REAP_EVERY: Duration = Duration::from_secs(30);
/// A service is never removed sooner after its check became critical.
pub const REAP_AFTER_MIN: Duration = Duration::from_secs(60);

impl Agent {
    /// Takes what the owner of a TTL check says, and restarts its time.
    ///
    /// # Errors
    /// `NotFound` for an unknown check, `Impossible` for one without a TTL.
    pub async fn update_ttl(
        &self,
        check_id: &str,
        status: CheckStatus,
        output: &str,
    ) -> Result<(), AgentError> {
        let clock = self.node.clock();
        let now = clock.monotonic();
        let (output, ttl) = {
            let mut local = self.local();
            let Some(check) = local.check_mut(check_id) else {
                return Err(AgentError::NotFound(format!(
                    "Unknown check ID {check_id:?}. Ensure that the check ID is passed, not the check name."
                )));
            };
            let Some(ttl) = nanoseconds(check.definition.ttl_ns) else {
                return Err(AgentError::Impossible(format!(
                    "CheckID {check_id:?} does not have associated TTL"
                )));
            };
            check.deadline = Some(now + ttl);
            (clip(output, bytes_max(&check.definition)), ttl)
        };
        self.deadline_moved.notify_one();
        let state = CheckState {
            status: status.as_str().to_owned(),
            output: output.clone(),
            expires_ms: clock
                .wall_ms()
                .saturating_add(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)),
        };
        let id = check_id.to_owned();
        if let Err(error) = self.keep(move |store| store.put(Kind::State, &id, &state)).await {
            tracing::warn!(error = error.chain(), "cannot store the state of a TTL check");
        }
        let ordered = self.judge_check(check_id, status, output);
        self.settle(ordered.into_iter().collect()).await;
        Ok(())
    }

    pub(super) async fn expire_ttls(self: Arc<Self>) {
        loop {
            let now = self.node.clock().monotonic();
            let next = self.look(Registrations::next_deadline);
            let wait = next.map_or(NO_DEADLINE, |at| at.saturating_sub(now));
            tokio::select! {
                () = self.stopped() => return,
                () = self.deadline_moved.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
            let now = self.node.clock().monotonic();
            // Taken out first: judging locks the registrations again.
            let expired = self.local().expire(now);
            for (id, output) in expired {
                tracing::warn!(check = id, "a TTL check expired");
                let ordered = self.judge_check(&id, CheckStatus::Critical, output);
                // Not awaited: without a leader it would hold up the others.
                if let Some(ordered) = ordered {
                    let agent = Arc::clone(&self);
                    tokio::spawn(async move { agent.settle(vec![ordered]).await });
                }
            }
        }
    }

    /// Removes services whose check has been critical for too long.
    pub(super) async fn reap_critical_services(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = self.stopped() => return,
                () = tokio::time::sleep(REAP_EVERY) => {}
            }
            let now = self.node.clock().monotonic();
            for service in self.look(|local| local.critical_too_long(now)) {
                tracing::info!(
                    service,
                    "deregistered a service: its check was critical for too long"
                );
                if let Err(error) = self.deregister_service(&service).await {
                    tracing::warn!(
                        service, %error,
                        "cannot deregister a service whose check was critical for too long"
                    );
                }
            }
        }
    }
}

impl Registrations {
    fn next_deadline(&self) -> Option<Duration> {
        self.checks().filter_map(|check| check.deadline).min()
    }

    /// Ends the time of the checks that ran out of it; with what to say of each.
    fn expire(&mut self, now: Duration) -> Vec<(String, String)> {
        let mut expired = Vec::new();
        for check in self.checks_mut() {
            if check.deadline.is_some_and(|deadline| deadline <= now) {
                check.deadline = None;
                expired.push((check.definition.id.clone(), expiry_output(&check.output)));
            }
        }
        expired
    }

    fn critical_too_long(&self, now: Duration) -> Vec<String> {
        let mut services: Vec<String> = self
            .checks()
            .filter(|check| {
                let after = nanoseconds(check.definition.deregister_critical_service_after_ns);
                let since = check.critical_since;
                after.zip(since).is_some_and(|(after, since)| {
                    now.saturating_sub(since) >= after.max(REAP_AFTER_MIN)
                })
            })
            .map(|check| check.definition.service_id.clone())
            .filter(|service| !service.is_empty())
            .collect();
        services.sort();
        services.dedup();
        services
    }
}

fn expiry_output(last: &str) -> String {
    if last.is_empty() || last.starts_with("TTL expired") {
        return "TTL expired".to_owned();
    }
    format!("TTL expired (last output before timeout follows): {last}")
}

#[cfg(test)]
mod tests {
    use coord_wire::consul::check::CheckDefinition;

    use super::*;
    use crate::agent::LocalCheck;

    const SECOND: Duration = Duration::from_secs(1);

    fn local(definition: CheckDefinition) -> Registrations {
        let mut local = Registrations::default();
        local.put_check(LocalCheck::new(definition, SECOND), SECOND);
        local
    }

    #[test]
    fn a_ttl_check_expires_once_at_its_deadline() {
        let mut local = local(CheckDefinition {
            id: "c".into(),
            ttl_ns: 10_000_000_000,
            ..CheckDefinition::default()
        });
        assert_eq!(local.next_deadline(), Some(SECOND * 11));
        assert!(local.expire(SECOND * 10).is_empty());
        assert_eq!(local.expire(SECOND * 11), [("c".to_owned(), "TTL expired".to_owned())]);
        assert!(local.expire(SECOND * 12).is_empty());
        assert_eq!(local.next_deadline(), None);
    }

    #[test]
    fn expiry_repeats_what_was_said_last() {
        assert_eq!(
            expiry_output("all well"),
            "TTL expired (last output before timeout follows): all well"
        );
        assert_eq!(expiry_output(""), "TTL expired");
        assert_eq!(expiry_output("TTL expired"), "TTL expired");
    }

    #[test]
    fn a_service_goes_once_critical_for_its_time_but_never_before_a_minute() {
        let local = local(CheckDefinition {
            id: "c".into(),
            service_id: "web".into(),
            ttl_ns: 1,
            deregister_critical_service_after_ns: 1_000_000_000,
            ..CheckDefinition::default()
        });
        assert!(local.critical_too_long(SECOND * 60).is_empty());
        assert_eq!(local.critical_too_long(SECOND * 61), ["web"]);
    }
}
