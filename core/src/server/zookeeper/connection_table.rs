//! The client connections of one server, and their limits.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::client_connection::ClientConnection;
use crate::node::ConnectionId;
use crate::settings::Limits;

/// All open connections.
#[derive(Default)]
pub(super) struct ConnectionTable {
    by_id: BTreeMap<ConnectionId, Arc<ClientConnection>>,
    by_address: HashMap<IpAddr, usize>,
}

impl ConnectionTable {
    /// Whether one more from there may come.
    pub(super) fn admits(&self, from: SocketAddr, limits: &Limits) -> bool {
        let from_there = self.by_address.get(&from.ip()).copied().unwrap_or(0);
        let per_address = limits.zk_connections_per_ip_max;
        self.by_id.len() < limits.zk_connections_max
            && (per_address == 0 || from_there < per_address)
    }

    pub(super) fn insert(&mut self, client: &Arc<ClientConnection>) {
        *self.by_address.entry(client.address.ip()).or_default() += 1;
        self.by_id.insert(client.id, Arc::clone(client));
    }

    pub(super) fn remove(&mut self, id: ConnectionId) {
        let Some(client) = self.by_id.remove(&id) else { return };
        let from = client.address.ip();
        if let Some(count) = self.by_address.get_mut(&from) {
            *count -= 1;
            if *count == 0 {
                self.by_address.remove(&from);
            }
        }
    }

    pub(super) fn all(&self) -> Vec<Arc<ClientConnection>> {
        self.by_id.values().cloned().collect()
    }
}
