//! Registering and deregistering services and checks.

use std::sync::Arc;

use coord_state::Rejection;
use coord_state::consul::{ConsulCommand, ConsulRejection, NewCheck, NewService, Registration};
use coord_wire::consul::agent::ServiceDefinition;
use coord_wire::consul::check::CheckDefinition;
use coord_wire::consul::dependency::add_upstreams;

use super::errors::AgentError;
use super::ordering::{Ordered, order};
use super::refusal::Former;
use super::registrations::LocalCheck;
use super::store::{Kind, Store};
use super::{Agent, refusal, sidecar, validate};
use crate::error::{Error, ErrorKind};

const SCRIPTS_DISABLED: &str = "Scripts are disabled on this agent; to enable, configure \
     'enable_script_checks' or 'enable_local_script_checks' to true";

impl Agent {
    /// Registers a service with its checks, durably, and in the catalog once
    /// this returns, unless the catalog cannot be reached: then soon.
    ///
    /// Checks that the service had and the definition does not list stay,
    /// unless `replace_checks`.
    ///
    /// # Errors
    /// `Invalid` with Consul's text, or why the catalog refuses what it depends
    /// on: then all is as it was. `Failed` if it cannot be kept.
    pub async fn register_service(
        &self,
        mut definition: ServiceDefinition,
        replace_checks: bool,
    ) -> Result<(), AgentError> {
        let Some(proxy) = definition.sidecar.take() else {
            return self.register_one(definition, replace_checks).await;
        };
        // One at a time, or two would find the same port free.
        let _one_at_a_time = self.sidecar_ports.lock().await;
        // Both are looked at before either is kept.
        validate::service(definition.clone())?;
        let proxy = sidecar::beside(&definition, *proxy, &self.local())?;
        let validated = validate::service(proxy.clone())?;
        validated.checks.iter().try_for_each(|check| self.refuse_script(check))?;
        // The service itself needs what its proxy reaches for it.
        add_upstreams(&mut definition.depends_on, &proxy.proxy);
        self.register_one(definition, replace_checks).await?;
        self.register_one(proxy, replace_checks).await
    }

    async fn register_one(
        &self,
        definition: ServiceDefinition,
        replace_checks: bool,
    ) -> Result<(), AgentError> {
        let mut service = validate::service(definition)?;
        let checks = std::mem::take(&mut service.checks);
        checks.iter().try_for_each(|check| self.refuse_script(check))?;
        let writer = self.writer.lock().await;
        let dropped: Vec<String> = if replace_checks {
            let kept = |id: &String| checks.iter().any(|check| check.id == *id);
            self.local().own_checks(&service.id).filter(|id| !kept(id)).collect()
        } else {
            Vec::new()
        };
        let former = Former::of(&self.local(), &service, &checks, &dropped);
        let stored = (service.clone(), checks.clone(), dropped.clone());
        self.keep(move |store| {
            let (service, checks, dropped) = stored;
            store.put(Kind::Service, &service.id, &service)?;
            for check in &checks {
                store.put(Kind::Check, &check.id, check)?;
            }
            dropped.iter().try_for_each(|id| forget_check(store, id))
        })
        .await?;
        let registration = {
            let mut local = self.local();
            let now = self.node.clock().monotonic();
            let mut catalog_checks = Vec::new();
            for definition in checks {
                let id = definition.id.clone();
                local.put_check(LocalCheck::new(definition, now), now);
                catalog_checks.extend(local.check(&id).map(LocalCheck::to_catalog));
            }
            let catalog_service = service.to_catalog();
            local.put_service(service);
            for id in &dropped {
                local.remove_check(id);
            }
            self.order_registration(vec![catalog_service], catalog_checks)
        };
        drop(writer);
        self.local_checks_changed();
        if let Err(error) = registration.outcome().await {
            if let Some(why) = refusal::reason(&error) {
                self.take_back(former).await?;
                self.local_checks_changed();
                return Err(AgentError::Invalid(why));
            }
            self.left_to_comparison(&error);
        }
        let removals = dropped.iter().map(|id| self.order_check_removal(id)).collect();
        self.settle(removals).await;
        Ok(())
    }

    /// Removes a service and its checks, here and in the catalog, and the proxy that
    /// was registered beside it.
    ///
    /// # Errors
    /// `NotFound` if it is not registered here.
    pub async fn deregister_service(&self, id: &str) -> Result<(), AgentError> {
        self.deregister_one(id).await?;
        let beside: Vec<String> = self.look(|local| {
            let beside = local.services().filter(|other| other.sidecar_of == id);
            beside.map(|proxy| proxy.id.clone()).collect()
        });
        for proxy in beside {
            match self.deregister_one(&proxy).await {
                // Somebody else was faster.
                Ok(()) | Err(AgentError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn deregister_one(&self, id: &str) -> Result<(), AgentError> {
        let writer = self.writer.lock().await;
        let checks: Vec<String> = {
            let local = self.local();
            if local.service(id).is_none() {
                return Err(AgentError::unknown_service(id));
            }
            local.own_checks(id).collect()
        };
        let service_id = id.to_owned();
        self.keep(move |store| {
            checks.iter().try_for_each(|check| forget_check(store, check))?;
            store.remove(Kind::Service, &service_id)
        })
        .await?;
        let ordered = {
            let mut local = self.local();
            local.remove_service(id);
            order(
                &self.node,
                ConsulCommand::Deregister {
                    node: self.identity.name.as_str().into(),
                    service_id: Some(id.into()),
                    check_id: None,
                },
            )
        };
        drop(writer);
        self.local_checks_changed();
        self.settle(vec![ordered]).await;
        Ok(())
    }

    /// Registers a check, of a service if it names one, otherwise of the node.
    ///
    /// # Errors
    /// `Invalid` with Consul's text, `NotFound` for an unknown service.
    pub async fn register_check(&self, definition: CheckDefinition) -> Result<(), AgentError> {
        let definition = validate::standalone_check(definition)?;
        self.refuse_script(&definition)?;
        self.add_check(definition).await
    }

    pub(super) async fn add_check(&self, definition: CheckDefinition) -> Result<(), AgentError> {
        let writer = self.writer.lock().await;
        let service_id = &definition.service_id;
        if !service_id.is_empty() && self.local().service(service_id).is_none() {
            return Err(AgentError::NotFound(format!("ServiceID {service_id:?} does not exist")));
        }
        let stored = definition.clone();
        self.keep(move |store| store.put(Kind::Check, &stored.id, &stored)).await?;
        let ordered = {
            let mut local = self.local();
            let now = self.node.clock().monotonic();
            let id = definition.id.clone();
            local.put_check(LocalCheck::new(definition, now), now);
            let checks = local.check(&id).map(LocalCheck::to_catalog).into_iter().collect();
            self.order_registration(Vec::new(), checks)
        };
        drop(writer);
        self.local_checks_changed();
        self.settle(vec![ordered]).await;
        Ok(())
    }

    /// Removes a check, here and in the catalog.
    ///
    /// # Errors
    /// `NotFound` if it is not registered here.
    pub async fn deregister_check(&self, id: &str) -> Result<(), AgentError> {
        let writer = self.writer.lock().await;
        if self.local().check(id).is_none() {
            return Err(AgentError::NotFound(format!(
                "Unknown check ID {id:?}. Ensure that the check ID is passed, not the check name."
            )));
        }
        let check_id = id.to_owned();
        self.keep(move |store| forget_check(store, &check_id)).await?;
        let ordered = {
            self.local().remove_check(id);
            self.order_check_removal(id)
        };
        drop(writer);
        self.local_checks_changed();
        self.settle(vec![ordered]).await;
        Ok(())
    }

    /// Whoever reaches the API could run anything here: so only if wanted.
    fn refuse_script(&self, check: &CheckDefinition) -> Result<(), AgentError> {
        if check.args.is_empty() || self.node.settings().agent.enable_script_checks {
            return Ok(());
        }
        Err(AgentError::Impossible(SCRIPTS_DISABLED.to_owned()))
    }

    fn local_checks_changed(&self) {
        self.checks_changed.notify_one();
        self.deadline_moved.notify_one();
    }

    /// Orders services and checks into the catalog, with this agent's node.
    pub(super) fn order_registration(
        &self,
        services: Vec<NewService>,
        checks: Vec<NewCheck>,
    ) -> Ordered {
        let node = self.identity.catalog_node();
        let registration = Registration { node, skip_node_update: false, services, checks };
        order(&self.node, ConsulCommand::Register(Box::new(registration)))
    }

    pub(super) fn order_check_removal(&self, id: &str) -> Ordered {
        order(
            &self.node,
            ConsulCommand::Deregister {
                node: self.identity.name.as_str().into(),
                service_id: None,
                check_id: Some(id.into()),
            },
        )
    }

    /// Waits for commands. What failed is left to the next comparison with
    /// the catalog: the agent's own state is the truth.
    pub(super) async fn settle(&self, ordered: Vec<Ordered>) {
        for command in ordered {
            if let Err(error) = command.outcome().await {
                self.left_to_comparison(&error);
            }
        }
    }

    fn left_to_comparison(&self, error: &Error) {
        if self.local().has_refused() && is_missing_service(error) {
            // A check of a service that is not in the catalog, and that is known.
            tracing::debug!(
                error = error.chain(),
                "the catalog rejected a change of the agent, or did not confirm it"
            );
            return;
        }
        tracing::warn!(
            error = error.chain(),
            "the catalog rejected a change of the agent, or did not confirm it"
        );
        self.unsynced.notify_one();
    }

    /// Changes the files, off the threads that serve.
    pub(super) async fn keep(
        &self,
        change: impl FnOnce(&Store) -> Result<(), Error> + Send + 'static,
    ) -> Result<(), Error> {
        let store = Arc::clone(&self.store);
        tokio::task::spawn_blocking(move || change(&store))
            .await
            .map_err(|error| Error::internal("cannot store a registration").caused_by(error))?
    }
}

fn is_missing_service(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Rejected(Rejection::Consul(ConsulRejection::MissingService(_)))
    )
}

fn forget_check(store: &Store, id: &str) -> Result<(), Error> {
    store.remove(Kind::State, id)?;
    store.remove(Kind::Check, id)
}
