//! Gauges with Consul's names.

use tokio::runtime::Handle;

use crate::server::consul::ConsulApi;

impl ConsulApi {
    /// What there is now, sorted by name.
    pub(super) fn gauges(&self) -> Vec<(&'static str, u64)> {
        let status = self.node.status();
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let leads = status.leader == Some(self.node.member());
        let waiting = self.node.topic_waiters().len();
        let silent = self.node.members_heard().unwrap_or_default();
        let silent = silent.iter().filter_map(|(_, silence)| *silence).max();
        let (mismatches, reinstalls) = self.node.divergences();
        let serves = u64::from(self.node.serves());
        // Only the leader knows, and so tells, how the others are.
        let autopilot = leads.then(|| self.autopilot_verdict()).map(|(healthy, tolerance)| {
            let tolerance = ("consul.autopilot.failure_tolerance", number(tolerance));
            [tolerance, ("consul.autopilot.healthy", u64::from(healthy))]
        });
        let others = self.node.read(|state| {
            let consul = state.consul();
            let catalog = consul.catalog();
            let mut names: Vec<_> = catalog.services().map(|service| &*service.name).collect();
            let instances = names.len();
            names.sort_unstable();
            names.dedup();
            let expiring = consul.sessions().iter().filter(|session| session.ttl_ms > 0);
            vec![
                ("consul.coord.digest_mismatches", mismatches),
                ("consul.coord.http_bytes_kept", number(self.bytes.used())),
                ("consul.coord.http_evictions", self.bytes.evictions()),
                ("consul.coord.serving", serves),
                ("consul.coord.state_reinstalls", reinstalls),
                // There are no agents beside the servers'.
                ("consul.members.clients", 0),
                ("consul.members.servers", number(status.voters.len().max(1))),
                ("consul.raft.applied_index", status.log.applied),
                ("consul.raft.term", status.term),
                ("consul.rpc.queries_blocking", number(waiting)),
                ("consul.server.isLeader", u64::from(leads)),
                ("consul.session_ttl.active", number(expiring.count())),
                ("consul.state.kv_entries", number(consul.kv().len())),
                ("consul.state.nodes", number(catalog.nodes().count())),
                ("consul.state.prepared_queries", number(consul.queries().iter().count())),
                ("consul.state.service_instances", number(instances)),
                ("consul.state.services", number(names.len())),
                ("consul.state.sessions", number(consul.sessions().len())),
            ]
        });
        let contact = silent.map(|silence| {
            let ms = u64::try_from(silence.as_millis()).unwrap_or(u64::MAX);
            ("consul.raft.leader.lastContact", ms)
        });
        let memory = resident_bytes().map(|bytes| ("consul.runtime.alloc_bytes", bytes));
        let tasks = Handle::current().metrics().num_alive_tasks();
        let tasks = ("consul.runtime.num_goroutines", number(tasks));
        let autopilot = autopilot.into_iter().flatten();
        let mut all: Vec<_> = autopilot.chain(others).chain(contact).chain(memory).collect();
        all.push(tasks);
        all.sort_unstable();
        all
    }
}

/// What the process holds in memory; none where the system does not tell.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(resident.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}
