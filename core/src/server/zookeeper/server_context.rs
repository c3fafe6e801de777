//! State shared by all connections of one server.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::admin::whitelist::Whitelist;
use super::client_connection::ClientConnection;
use super::confirmations::Confirmations;
use super::connection_table::ConnectionTable;
use super::counters::Counters;
use super::listeners::Addresses;
use super::session::authority::Authority;
use super::session::local_sessions::LocalSessions;
use super::session::service_mode::ServiceMode;
use crate::node::Node;
use crate::server::byte_budget::ByteBudget;
use crate::settings::Limits;
use crate::sync::{Mutex, MutexGuard};

/// What all connections of one server share.
pub(super) struct ServerContext {
    pub(super) node: Node,
    pub(super) limits: Limits,
    pub(super) frame_bytes_max: usize,
    pub(super) words: Whitelist,
    pub(super) authority: Authority,
    pub(super) local_addr: SocketAddr,
    pub(super) addresses: Addresses,
    pub(super) started: Duration,
    pub(super) counters: Counters,
    /// What is kept for connections.
    pub(super) bytes: Arc<ByteBudget>,
    /// Held by whoever collects all watches.
    pub(super) watch_listing: tokio::sync::Mutex<()>,
    pub(super) confirmations: Confirmations,
    pub(super) local_sessions: LocalSessions,
    pub(super) service_mode: watch::Sender<ServiceMode>,
    /// False from when a majority was missed until one was heard again.
    pub(super) backed: watch::Sender<bool>,
    pub(super) connections: Mutex<ConnectionTable>,
}

impl ServerContext {
    /// Where clients reach it, and how.
    pub(super) fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// All open connections.
    pub(super) fn connections(&self) -> Vec<Arc<ClientConnection>> {
        self.lock().all()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, ConnectionTable> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for ServerContext {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ServerContext")
            .field("local_addr", &self.local_addr)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

/// Returns once the server is to stop. Cancel safe.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A server that was dropped has stopped, too.
    let _ = stop.wait_for(|stop| *stop).await;
}
