//! Anti-entropy: keeps the catalog in sync with the agent.
//!
//! | here | in the catalog | then |
//! |---|---|---|
//! | yes | no | registered |
//! | yes | different | overwritten |
//! | no | yes | deregistered, except `consul` and `serfHealth` |
//! | `EnableTagOverride` | other tags | the agent adopts the catalog's tags |
//!
//! A service with dependencies may be rejected, so it is registered in a command of its own, which
//! does not delay or fail anything else.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use coord_state::StateMachine;
use coord_state::consul::{
    Catalog, CatalogNode, CatalogService, ConsulCommand, DEPENDENCIES_META, HealthCheck, NewCheck,
    NewNode, NewService, Registration,
};
use coord_state::event::Topic;
use coord_wire::consul::agent::ServiceDefinition;
use coord_wire::consul::session::SERF_HEALTH;

use super::identity::{CONSUL_SERVICE, serf_health};
use super::ordering::order;
use super::registrations::Registrations;
use super::{Agent, Identity, refusal};
use crate::error::{Error, ErrorKind};
use crate::node::{ReadLevel, TopicWaiter};

const EVERY: Duration = Duration::from_secs(60);
/// Before the first success a leader is usually about to be elected.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const RETRY: Duration = Duration::from_secs(5);

impl Agent {
    pub(super) async fn keep_in_step(self: Arc<Self>) {
        loop {
            let mut restored = self.node.topic_waiters().register(vec![Topic::Restoration]);
            // Before it looks, so that no change is missed; only where it matters, since
            // the graph may change often.
            let register = || self.node.topic_waiters().register(vec![Topic::Graph]);
            let mut graph = self.local().has_refused().then(register);
            let wait = match self.synchronise().await {
                Ok(()) => {
                    *self.obstacle.lock().unwrap_or_else(PoisonError::into_inner) = None;
                    self.registered.send_replace(true);
                    EVERY
                }
                Err(error) if *self.registered.borrow() => {
                    tracing::warn!(
                        error = error.chain(),
                        "anti-entropy sync failed and will be retried: the catalog may differ \
                         from this agent"
                    );
                    RETRY
                }
                Err(error) => {
                    self.note_obstacle(&error);
                    FIRST_RETRY
                }
            };
            if graph.is_none() && self.local().has_refused() {
                // Refused just now: once more, with somebody who waits for a change.
                continue;
            }
            tokio::select! {
                () = self.stopped() => return,
                () = self.unsynced.notified() => {
                    // A change failed just now: the next try may fare no better at once.
                    tokio::time::sleep(FIRST_RETRY).await;
                }
                // A restored catalog knows what was registered when it was saved.
                () = restored.changed() => {}
                // What was refused for what it depends on may be taken now.
                () = changed(&mut graph) => {
                    tokio::time::sleep(FIRST_RETRY).await;
                }
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Remembers what keeps this member out of the catalog, unless time will cure it.
    fn note_obstacle(&self, error: &Error) {
        // A leader that is being replaced leaves open what became of a request.
        let passing = error.is_retryable() || error.may_have_applied();
        let lasting = !passing && *error.kind() != ErrorKind::Closed;
        let obstacle = lasting.then(|| self.identity.refused(error));
        let mut noted = self.obstacle.lock().unwrap_or_else(PoisonError::into_inner);
        match &obstacle {
            Some(new) if noted.as_ref() != Some(new) => tracing::error!("{new}"),
            _ => tracing::debug!(
                error = error.chain(),
                "this agent's node is not registered in the catalog yet"
            ),
        }
        *noted = obstacle;
    }

    /// Compares everything with the catalog and repairs the difference.
    async fn synchronise(&self) -> Result<(), Error> {
        tokio::select! {
            () = self.stopped() => return Err(Error::closed("the agent is stopping")),
            confirmed = self.node.confirm(ReadLevel::Leader) => confirmed?,
        };
        let ordered: Vec<_> = {
            let _writer = self.writer.lock().await;
            let lost = self.node.read(|state| self.identity.lost_id(state.consul().catalog()));
            if let Some(id) = lost? {
                self.identity.take_back(&id)?;
            }
            let now = self.node.clock().monotonic();
            let mut local = self.local();
            let commands = self.node.read(|state: &StateMachine| {
                let catalog = state.consul().catalog();
                take_over_tags(&mut local, catalog, &self.identity.name);
                differences(&local, catalog, &self.identity, now)
            });
            local.keep_refusals(|id| commands.iter().any(|(of, _)| of.as_deref() == Some(id)));
            let due = |check: &super::LocalCheck| !check.output_may_lag(now);
            for check in local.checks_mut().filter(|check| due(check)) {
                check.output_due = None;
            }
            commands.into_iter().map(|(of, command)| (of, order(&self.node, command))).collect()
        };
        let mut failed = None;
        for (service, command) in ordered {
            let outcome = tokio::select! {
                () = self.stopped() => return Err(Error::closed("the agent is stopping")),
                outcome = command.outcome() => outcome,
            };
            match (outcome, service) {
                (Ok(()), Some(id)) => self.local().note_acceptance(&id),
                (Ok(()), None) => {}
                (Err(error), service) => match (refusal::reason(&error), service) {
                    (Some(why), Some(id)) => self.note_refusal(&id, why),
                    _ => failed = Some(error),
                },
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

/// Waits for a change, if anybody does.
async fn changed(waiter: &mut Option<TopicWaiter>) {
    match waiter {
        Some(waiter) => waiter.changed().await,
        None => std::future::pending().await,
    }
}

/// Copies the catalog's tags into services that let it override them.
fn take_over_tags(local: &mut Registrations, catalog: &Catalog, node: &str) {
    let overridden: Vec<String> = local
        .services()
        .filter(|service| service.enable_tag_override)
        .map(|service| service.id.clone())
        .collect();
    for id in overridden {
        if let (Some(theirs), Some(ours)) = (catalog.service(node, &id), local.service_mut(&id)) {
            ours.tags = theirs.tags.iter().map(|tag| tag.to_string()).collect();
        }
    }
}

/// The commands that make the catalog show what is here, each with the service
/// for which it may be refused.
fn differences(
    local: &Registrations,
    catalog: &Catalog,
    identity: &Identity,
    now: Duration,
) -> Vec<(Option<String>, ConsulCommand)> {
    let node = &*identity.name;
    let own_node = identity.catalog_node();
    let services: Vec<NewService> = std::iter::once(identity.consul_service())
        .chain(local.services().map(ServiceDefinition::to_catalog))
        .filter(|ours| catalog.service(node, &ours.id).is_none_or(|t| !same_service(ours, t)))
        .collect();
    let own_checks = local.checks().map(|check| (check.to_catalog(), check.output_may_lag(now)));
    let checks: Vec<NewCheck> = std::iter::once((serf_health(true), false))
        .chain(own_checks)
        .filter(|(ours, output_may_lag)| {
            catalog.check(node, &ours.id).is_none_or(|t| !same_check(ours, t, *output_may_lag))
        })
        .map(|(check, _)| check)
        .collect();
    let register = |services, checks| {
        let node = own_node.clone();
        let registration = Registration { node, skip_node_update: false, services, checks };
        ConsulCommand::Register(Box::new(registration))
    };
    let (depending, services): (Vec<_>, Vec<_>) = services.into_iter().partition(depends);
    // A check of a service that may not come to be goes with it.
    let is_bound = |check: &NewCheck, service: &NewService| check.service_id == service.id;
    let (bound, checks): (Vec<_>, Vec<_>) = checks.into_iter().partition(|check| {
        catalog.service(node, &check.service_id).is_none()
            && depending.iter().any(|service| is_bound(check, service))
    });
    let node_differs = catalog.node(node).is_none_or(|theirs| !same_node(&own_node, theirs));

    let mut commands = Vec::new();
    if node_differs || !services.is_empty() || !checks.is_empty() {
        commands.push((None, register(services, checks)));
    }
    for service in depending {
        let own = bound.iter().filter(|check| is_bound(check, &service)).cloned().collect();
        commands.push((Some(service.id.to_string()), register(vec![service], own)));
    }
    for theirs in catalog.services_on(node) {
        if &*theirs.id != CONSUL_SERVICE && local.service(&theirs.id).is_none() {
            commands.push((None, removal(node, Some(&theirs.id), None)));
        }
    }
    for theirs in catalog.checks_on(node) {
        if &*theirs.id != SERF_HEALTH && local.check(&theirs.id).is_none() {
            commands.push((None, removal(node, None, Some(&theirs.id))));
        }
    }
    commands
}

/// Whether it may be refused for what it depends on.
fn depends(service: &NewService) -> bool {
    let meta = service.meta.as_ref();
    !service.depends_on.is_empty() || meta.is_some_and(|meta| meta.contains_key(DEPENDENCIES_META))
}

fn removal(node: &str, service_id: Option<&str>, check_id: Option<&str>) -> ConsulCommand {
    ConsulCommand::Deregister {
        node: node.into(),
        service_id: service_id.map(Into::into),
        check_id: check_id.map(Into::into),
    }
}

fn same_node(ours: &NewNode, theirs: &CatalogNode) -> bool {
    ours.id == theirs.id
        && ours.address == theirs.address
        && ours.tagged_addresses == theirs.tagged_addresses
        && ours.meta == theirs.meta
}

fn same_service(ours: &NewService, theirs: &CatalogService) -> bool {
    ours.name == theirs.name
        && ours.tags == theirs.tags
        && ours.address == theirs.address
        && ours.tagged_addresses == theirs.tagged_addresses
        && ours.meta == theirs.meta
        && ours.port == theirs.port
        && ours.weights == theirs.weights
        && ours.enable_tag_override == theirs.enable_tag_override
        && ours.kind == theirs.kind
        && ours.socket_path == theirs.socket_path
        && ours.proxy == theirs.proxy
        && ours.connect == theirs.connect
        && ours.depends_on == theirs.depends_on
}

fn same_check(ours: &NewCheck, theirs: &HealthCheck, output_may_lag: bool) -> bool {
    ours.name == theirs.name
        && ours.status == theirs.status
        && ours.notes == theirs.notes
        && (output_may_lag || ours.output == theirs.output)
        && ours.service_id == theirs.service_id
        && ours.kind == theirs.kind
        && ours.interval == theirs.interval
        && ours.timeout == theirs.timeout
        && ours.definition == theirs.definition
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn an_empty_catalog_gets_node_consul_service_and_serf_health_in_one_command() {
        let commands = differences(
            &Registrations::default(),
            StateMachine::new().consul().catalog(),
            &Identity::member_one(Path::new("."), ""),
            Duration::ZERO,
        );
        let [(None, ConsulCommand::Register(registration))] = &commands[..] else {
            panic!("{commands:?}")
        };
        assert_eq!(&*registration.node.name, "here");
        assert_eq!(&*registration.services[0].id, CONSUL_SERVICE);
        assert_eq!(&*registration.checks[0].id, SERF_HEALTH);
    }
}
