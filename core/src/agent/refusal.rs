//! Services that the catalog rejects because of their dependencies.
//!
//! | when | then |
//! |---|---|
//! | during registration | nothing changes, and the caller gets the error |
//! | later: the cluster was unreachable, the catalog was restored | the agent keeps it, marks it, logs it, and retries when the service graph changes |

use coord_state::Rejection;
use coord_wire::consul::agent::ServiceDefinition;
use coord_wire::consul::check::CheckDefinition;

use super::registrations::{LocalCheck, Registrations};
use super::store::{Kind, Store};
use super::{Agent, AgentError};
use crate::error::{Error, ErrorKind};

/// Why a service is refused for what it depends on, if that is what failed.
pub(super) fn reason(error: &Error) -> Option<String> {
    match error.kind() {
        ErrorKind::Rejected(Rejection::Consul(refused)) if refused.is_about_dependencies() => {
            Some(refused.to_string())
        }
        _ => None,
    }
}

/// What was here before a service was registered.
#[derive(Debug, Clone)]
pub(super) struct Former {
    /// As it was registered now.
    new: ServiceDefinition,
    service: Option<ServiceDefinition>,
    checks: Vec<(String, Option<LocalCheck>)>,
}

impl Former {
    /// What `new`, its checks, and the removal of others are about to replace.
    pub(super) fn of(
        local: &Registrations,
        new: &ServiceDefinition,
        checks: &[CheckDefinition],
        dropped: &[String],
    ) -> Self {
        let ids = checks.iter().map(|check| &check.id).chain(dropped);
        Self {
            new: new.clone(),
            service: local.service(&new.id).cloned(),
            checks: ids.map(|id| (id.clone(), local.check(id).cloned())).collect(),
        }
    }

    fn store(&self, store: &Store) -> Result<(), Error> {
        for (id, check) in &self.checks {
            match check {
                Some(check) => store.put(Kind::Check, id, &check.definition)?,
                None => store.remove(Kind::Check, id)?,
            }
        }
        match &self.service {
            Some(service) => store.put(Kind::Service, &service.id, service),
            None => store.remove(Kind::Service, &self.new.id),
        }
    }

    fn put_back(self, local: &mut Registrations) {
        for (id, check) in self.checks {
            match check {
                Some(check) => local.set_check(check),
                None => drop(local.remove_check(&id)),
            }
        }
        match self.service {
            Some(service) => local.put_service(service),
            None => drop(local.remove_service(&self.new.id)),
        }
    }
}

impl Agent {
    /// Makes everything as it was before a service was registered, unless it was
    /// registered otherwise meanwhile.
    pub(super) async fn take_back(&self, former: Former) -> Result<(), AgentError> {
        let writer = self.writer.lock().await;
        if self.local().service(&former.new.id) != Some(&former.new) {
            return Ok(());
        }
        let stored = former.clone();
        self.keep(move |store| stored.store(store)).await?;
        former.put_back(&mut self.local());
        drop(writer);
        Ok(())
    }

    /// Marks a service that the catalog does not take.
    pub(super) fn note_refusal(&self, id: &str, why: String) {
        if self.local().note_refusal(id, why.clone()) {
            tracing::error!(
                service = id,
                "the catalog rejected a service of this agent: {why}. The agent keeps the \
                 service and retries when dependencies change; to resolve this, register it with \
                 other dependencies, or deregister it"
            );
        }
    }
}
