//! What this member did for its clients, counted and timed under Consul's names.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

use coord_state::consul::ConsulCommand;

use crate::server::series::Series;
use crate::sync::{Mutex, MutexGuard};

/// As many rows as there are names and routes: no client can add to them.
#[derive(Debug, Default)]
pub(super) struct RequestMetrics {
    requests: Mutex<BTreeMap<(String, &'static str), Series>>,
    samples: Mutex<BTreeMap<&'static str, Series>>,
    counters: Mutex<BTreeMap<&'static str, u64>>,
}

/// Times of one kind, told apart by labels.
pub(super) type Sampled = (&'static str, BTreeMap<&'static str, String>, Series);

impl RequestMetrics {
    /// Counts one request that was routed to `path`.
    pub(super) fn request(&self, method: &str, path: &'static str, taken: Duration) {
        let mut requests = lock(&self.requests);
        requests.entry((method.to_owned(), path)).or_default().record(milliseconds(taken));
    }

    /// Counts a read of the replicated state.
    pub(super) fn read(&self) {
        self.count(["consul.rpc.query", "consul.rpc.request"]);
    }

    /// Counts a command that was ordered and applied.
    pub(super) fn changed(&self, command: &ConsulCommand, taken: Duration) {
        self.count(["consul.rpc.request", "consul.raft.apply"]);
        let names = ["consul.raft.commitTime"].into_iter().chain(name_of(command));
        let mut samples = lock(&self.samples);
        for name in names {
            samples.entry(name).or_default().record(milliseconds(taken));
        }
    }

    pub(super) fn counters(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.counters).clone()
    }

    pub(super) fn samples(&self) -> Vec<Sampled> {
        let label = |path: &str| path.trim_start_matches('/').replace('/', "_");
        let requests = lock(&self.requests);
        let requests = requests.iter().map(|((method, path), series)| {
            let labels = BTreeMap::from([("method", method.clone()), ("path", label(path))]);
            ("consul.api.http", labels, *series)
        });
        let samples = lock(&self.samples);
        let samples = samples.iter().map(|(name, series)| (*name, BTreeMap::new(), *series));
        requests.chain(samples).collect()
    }

    fn count(&self, names: [&'static str; 2]) {
        let mut counters = lock(&self.counters);
        for name in names {
            *counters.entry(name).or_default() += 1;
        }
    }
}

/// What Consul calls the time that such a command takes.
fn name_of(command: &ConsulCommand) -> Option<&'static str> {
    match command {
        ConsulCommand::Kv(_) => Some("consul.kvs.apply"),
        ConsulCommand::Txn(_) => Some("consul.txn.apply"),
        ConsulCommand::Register(_) => Some("consul.catalog.register"),
        ConsulCommand::Deregister { .. } => Some("consul.catalog.deregister"),
        ConsulCommand::CreateSession(_) | ConsulCommand::DestroySession { .. } => {
            Some("consul.session.apply")
        }
        ConsulCommand::SetQuery { .. } | ConsulCommand::DeleteQuery { .. } => {
            Some("consul.prepared-query.apply")
        }
        ConsulCommand::UpdateCoordinates(_)
        | ConsulCommand::SetAutopilot { .. }
        | ConsulCommand::SetConfigEntry { .. }
        | ConsulCommand::DeleteConfigEntry { .. }
        | ConsulCommand::SetIntention { .. }
        | ConsulCommand::DeleteIntention { .. } => None,
    }
}

fn milliseconds(taken: Duration) -> f64 {
    taken.as_secs_f64() * 1e3
}

fn lock<T>(counted: &Mutex<T>) -> MutexGuard<'_, T> {
    counted.lock().unwrap_or_else(PoisonError::into_inner)
}
