//! Counters and timings of requests, with Consul's names.
//!
//! Every request counts here, so nothing is locked: rows are fixed, and each is a few atomics.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use coord_state::Command;
use coord_state::consul::ConsulCommand;
use hyper::Method;

use crate::server::consul::route_table::ROUTES;
use crate::server::series::{Series, SeriesSummary};

/// As many rows as there are names and routes: no client can add to them.
#[derive(Debug)]
pub(crate) struct RequestMetrics {
    /// Of each row of [`ROUTES`] and each of its methods.
    requests: Vec<Vec<Series>>,
    reads: AtomicU64,
    changes: Changes,
}

/// How long commands took until they were applied: all, and some by what they change.
#[derive(Debug, Default)]
struct Changes {
    all: Series,
    kv: Series,
    txn: Series,
    register: Series,
    deregister: Series,
    session: Series,
    query: Series,
}

/// Times of one kind, told apart by labels.
pub(super) type Sampled = (&'static str, BTreeMap<&'static str, String>, SeriesSummary);

impl Default for RequestMetrics {
    fn default() -> Self {
        let of_methods = |methods: &[&str]| methods.iter().map(|_| Series::default()).collect();
        Self {
            requests: ROUTES.iter().map(|route| of_methods(route.methods)).collect(),
            reads: AtomicU64::new(0),
            changes: Changes::default(),
        }
    }
}

impl RequestMetrics {
    /// Counts one request that was routed to this row.
    pub(crate) fn request(&self, row: usize, method: &Method, taken: Duration) {
        let (Some(route), Some(of_methods)) = (ROUTES.get(row), self.requests.get(row)) else {
            return;
        };
        let mut counted = route.methods.iter().zip(of_methods);
        if let Some((_, series)) = counted.find(|(known, _)| **known == method.as_str()) {
            series.record(taken);
        }
    }

    /// Counts a read of the replicated state.
    pub(crate) fn read(&self) {
        self.reads.fetch_add(1, Relaxed);
    }

    /// Counts a command that was ordered and applied.
    pub(crate) fn changed(&self, command: &Command, taken: Duration) {
        self.changes.all.record(taken);
        if let Command::Consul(command) = command
            && let Some(series) = self.changes.of(command)
        {
            series.record(taken);
        }
    }

    /// What was counted at least once.
    pub(super) fn counters(&self) -> BTreeMap<&'static str, u64> {
        let (reads, changes) = (self.reads.load(Relaxed), self.changes.all.count());
        let counters = [
            ("consul.rpc.query", reads),
            ("consul.rpc.request", reads + changes),
            ("consul.raft.apply", changes),
        ];
        counters.into_iter().filter(|(_, count)| *count > 0).collect()
    }

    /// What was timed at least once: requests by method and path, then commands by name.
    pub(super) fn samples(&self) -> Vec<Sampled> {
        let mut requests: Vec<_> = ROUTES
            .iter()
            .zip(&self.requests)
            .flat_map(|(route, of_methods)| {
                let methods = route.methods.iter().zip(of_methods);
                methods.map(|(method, series)| (*method, route.path, series))
            })
            .filter(|(_, _, series)| series.count() > 0)
            .collect();
        requests.sort_by_key(|(method, path, _)| (*method, *path));
        let label = |path: &str| path.trim_start_matches('/').replace('/', "_");
        let requests = requests.into_iter().map(|(method, path, series)| {
            let labels = BTreeMap::from([("method", method.to_owned()), ("path", label(path))]);
            ("consul.api.http", labels, series.summary())
        });
        let changes = self.changes.by_name();
        let changes = changes.into_iter().filter(|(_, series)| series.count() > 0);
        let changes = changes.map(|(name, series)| (name, BTreeMap::new(), series.summary()));
        requests.chain(changes).collect()
    }
}

impl Changes {
    fn of(&self, command: &ConsulCommand) -> Option<&Series> {
        match command {
            ConsulCommand::Kv(_) => Some(&self.kv),
            ConsulCommand::Txn(_) => Some(&self.txn),
            ConsulCommand::Register(_) => Some(&self.register),
            ConsulCommand::Deregister { .. } => Some(&self.deregister),
            ConsulCommand::CreateSession(_) | ConsulCommand::DestroySession { .. } => {
                Some(&self.session)
            }
            ConsulCommand::SetQuery { .. } | ConsulCommand::DeleteQuery { .. } => Some(&self.query),
            ConsulCommand::UpdateCoordinates(_)
            | ConsulCommand::SetAutopilot { .. }
            | ConsulCommand::SetConfigEntry { .. }
            | ConsulCommand::DeleteConfigEntry { .. }
            | ConsulCommand::SetIntention { .. }
            | ConsulCommand::DeleteIntention { .. } => None,
        }
    }

    /// As Consul calls them, sorted.
    fn by_name(&self) -> [(&'static str, &Series); 7] {
        [
            ("consul.catalog.deregister", &self.deregister),
            ("consul.catalog.register", &self.register),
            ("consul.kvs.apply", &self.kv),
            ("consul.prepared-query.apply", &self.query),
            ("consul.raft.commitTime", &self.all),
            ("consul.session.apply", &self.session),
            ("consul.txn.apply", &self.txn),
        ]
    }
}

#[cfg(test)]
mod tests {
    use coord_state::consul::QueryId;

    use super::*;
    use crate::server::consul::route_table::find;

    fn row(path: &str) -> usize {
        find(path.as_bytes()).unwrap().row
    }

    #[test]
    fn requests_are_told_by_method_and_path_and_only_those_there_were() {
        let metrics = RequestMetrics::default();
        assert!(metrics.samples().is_empty());
        let ms = Duration::from_millis;
        metrics.request(row("/v1/kv/a"), &Method::PUT, ms(3));
        metrics.request(row("/v1/kv/b"), &Method::PUT, ms(5));
        metrics.request(row("/v1/status/leader"), &Method::GET, ms(1));
        metrics.request(row("/v1/kv/a"), &Method::GET, ms(1));
        let samples = metrics.samples();
        let told: Vec<_> = samples
            .iter()
            .map(|(name, labels, series)| {
                (*name, &*labels["method"], &*labels["path"], series.count, series.sum)
            })
            .collect();
        assert_eq!(
            told,
            [
                ("consul.api.http", "GET", "v1_kv_", 1, 1.0),
                ("consul.api.http", "GET", "v1_status_leader", 1, 1.0),
                ("consul.api.http", "PUT", "v1_kv_", 2, 8.0),
            ]
        );
    }

    #[test]
    fn a_command_counts_as_a_request_and_is_timed_under_its_name() {
        let metrics = RequestMetrics::default();
        assert!(metrics.counters().is_empty());
        metrics.read();
        let delete = ConsulCommand::DeleteQuery { query: QueryId(1) };
        let nothing = ConsulCommand::UpdateCoordinates(Vec::new());
        metrics.changed(&Command::Consul(delete), Duration::from_millis(2));
        metrics.changed(&Command::Consul(nothing), Duration::from_millis(4));
        let counters = metrics.counters();
        assert_eq!(counters["consul.rpc.query"], 1);
        assert_eq!(counters["consul.rpc.request"], 3);
        assert_eq!(counters["consul.raft.apply"], 2);
        let samples = metrics.samples();
        let told: Vec<_> = samples.iter().map(|(name, _, series)| (*name, series.sum)).collect();
        assert_eq!(told, [("consul.prepared-query.apply", 2.0), ("consul.raft.commitTime", 6.0)]);
    }
}
