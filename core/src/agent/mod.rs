//! The agent of this member: local services and their health.
//!
//! ```text
//!  register, pass, maintain --> Registrations --> disk (before the answer)
//!                                    |
//!                                    +--> Register / Deregister commands
//!                                    |        (awaited: the answer is visible)
//!                    once a minute, and after a failure:
//!                    compare with the catalog, repair the difference
//! ```
//!
//! The agent's own state wins: entries that the catalog lacks are registered,
//! and entries of this node that the agent does not know are removed. Exempt
//! are the `consul` service and the `serfHealth` check, which the agent
//! maintains itself, the tags of services with `EnableTagOverride`, and
//! services that the catalog rejects because of their dependencies: see
//! `refusal`.
//!
//! Not here: the HTTP API.

mod checks;
mod cleanup;
mod errors;
mod identity;
mod maintenance;
mod members;
mod ordering;
mod output;
mod refusal;
mod registrations;
mod services;
mod sidecar;
mod store;
mod sync;
mod ttl;
mod validate;

pub use checks::OUTPUT_DELAY;
pub use errors::AgentError;
pub use identity::{CONSUL_VERSION, Identity};
pub use output::OUTPUT_BYTES_MAX;
pub use registrations::{LocalCheck, Registrations};
pub use sidecar::SIDECAR_PORTS;
pub use ttl::{REAP_AFTER_MIN, REAP_EVERY};

use std::sync::{Arc, PoisonError};

use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinHandle;

use self::store::Store;
use crate::error::Error;
use crate::node::Node;
use crate::sync::{Mutex, MutexGuard};

/// The agent of one member. Stop it with [`Agent::stop`].
#[derive(Debug)]
pub struct Agent {
    node: Node,
    identity: Identity,
    local: Mutex<Registrations>,
    store: Arc<Store>,
    /// Held while a change is stored, made and ordered, so that disk, memory
    /// and catalog see changes in one order.
    writer: tokio::sync::Mutex<()>,
    /// Held while a port for a proxy beside a service is chosen and taken.
    sidecar_ports: tokio::sync::Mutex<()>,
    /// The catalog may differ from what is here.
    unsynced: Notify,
    /// The checks to be run may be others.
    checks_changed: Notify,
    /// Permits for probes under way.
    probes: Semaphore,
    /// For probes over TLS.
    connectors: Arc<checks::Connectors>,
    /// A deadline of a TTL check is nearer than the one waited for.
    deadline_moved: Notify,
    registered: watch::Sender<bool>,
    /// What keeps this agent's node out of the catalog and does not go by itself.
    obstacle: Mutex<Option<String>>,
    stopping: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Agent {
    /// Restores what was registered and begins to keep the catalog in step.
    ///
    /// # Errors
    /// `Unavailable` if the data directory cannot be used, `Corrupt` if a file
    /// in it makes no sense.
    pub async fn start(node: Node) -> Result<Arc<Self>, Error> {
        let reader = node.clone();
        let restored = tokio::task::spawn_blocking(move || restore(&reader)).await;
        let (identity, store, local) = restored.map_err(|error| {
            Error::internal("cannot restore the agent's registrations").caused_by(error)
        })??;
        let connectors = checks::Connectors::trusting(node.settings().agent.check_ca_file.clone());
        let agent = Arc::new(Self {
            node,
            identity,
            local: Mutex::new(local),
            store,
            writer: tokio::sync::Mutex::new(()),
            sidecar_ports: tokio::sync::Mutex::new(()),
            unsynced: Notify::new(),
            checks_changed: Notify::new(),
            probes: Semaphore::new(checks::PROBES_MAX),
            connectors,
            deadline_moved: Notify::new(),
            registered: watch::Sender::new(false),
            obstacle: Mutex::default(),
            stopping: watch::Sender::new(false),
            tasks: Mutex::new(Vec::new()),
        });
        let tasks = vec![
            agent.spawn("anti-entropy sync of the agent", Arc::clone(&agent).keep_in_step()),
            agent.spawn("running checks", Arc::clone(&agent).run_checks()),
            agent.spawn("expiring TTLs", Arc::clone(&agent).expire_ttls()),
            agent.spawn("reaping services", Arc::clone(&agent).reap_critical_services()),
            agent.spawn("watching members", Arc::clone(&agent).watch_members()),
            agent.spawn("removing dead members", Arc::clone(&agent).remove_dead_members()),
        ];
        *agent.tasks.lock().unwrap_or_else(PoisonError::into_inner) = tasks;
        Ok(agent)
    }

    /// Runs a task that has to last as long as the member, which fails if it panics.
    fn spawn(
        &self,
        what: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> JoinHandle<()> {
        tokio::spawn(self.node.guard(what, task))
    }

    /// Stops its tasks. What is registered stays so, here and in the catalog.
    pub async fn stop(&self) {
        self.stopping.send_replace(true);
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            if let Err(error) = task.await {
                tracing::warn!(%error, "an agent task panicked or was cancelled");
            }
        }
    }

    /// Who this agent is in the catalog.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Looks at what is registered here. Be brief.
    pub fn look<T>(&self, look: impl FnOnce(&Registrations) -> T) -> T {
        look(&self.local())
    }

    /// Waits until this agent's node is in the catalog.
    ///
    /// # Errors
    /// `Closed` if the agent is stopped before.
    pub async fn wait_registered(&self) -> Result<(), Error> {
        let mut registered = self.registered.subscribe();
        tokio::select! {
            // The sender lives in `self`, so this waiting cannot fail.
            _ = registered.wait_for(|registered| *registered) => Ok(()),
            () = self.stopped() => Err(Error::closed("the agent stopped")),
        }
    }

    /// What keeps this agent's node out of the catalog, if more than time is needed.
    pub fn obstacle(&self) -> Option<String> {
        self.obstacle.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn local(&self) -> MutexGuard<'_, Registrations> {
        self.local.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn stopped(&self) {
        let _ = self.stopping.subscribe().wait_for(|stopping| *stopping).await;
    }
}

/// Everything that is read from the data directory.
fn restore(node: &Node) -> Result<(Identity, Arc<Store>, Registrations), Error> {
    let identity = Identity::of(node)?;
    let store = Store::open(&node.settings().data_dir.join("agent"))?;
    let clock = node.clock();
    let local = store.restore(clock.monotonic(), clock.wall_ms())?;
    Ok((identity, Arc::new(store), local))
}
