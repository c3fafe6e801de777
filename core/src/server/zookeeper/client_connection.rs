//! A client connection, as seen by everything except its own task.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::counters::ConnectionCounters;
use super::inbox::Inbox;
use super::server_context::ServerContext;
use crate::node::ConnectionId;
use crate::server::byte_budget::Share;

/// What the parts of a connection share.
pub(super) struct ClientConnection {
    pub(super) shared: Arc<ServerContext>,
    pub(super) id: ConnectionId,
    pub(super) address: SocketAddr,
    pub(super) inbox: Arc<Inbox>,
    /// What is kept for it.
    pub(super) bytes: Share,
    /// Once it is known.
    pub(super) is_tls: AtomicBool,
    pub(super) stats: ConnectionCounters,
    /// When it was accepted, in milliseconds since the epoch.
    pub(super) established_ms: u64,
}
