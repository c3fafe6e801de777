//! The listening socket and all its connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::admin::pages::Admin;
use super::admin::whitelist::Whitelist;
use super::client_connection::ClientConnection;
use super::confirmations::Confirmations;
use super::connection::serve;
use super::counters::{ConnectionCounters, CounterSnapshot, Counters};
use super::inbox::Inbox;
use super::listeners::{ListenerKind, Listeners};
use super::server_context::{ServerContext, stopped};
use super::session::authority::Authority;
use super::session::identity;
use super::session::local_sessions::LocalSessions;
use super::session::service_mode::ServiceMode;
use super::session::upkeep;
use crate::clock::Throttle;
use crate::error::Error;
use crate::node::Node;
use crate::server::byte_budget::ByteBudget;
use crate::server::{ExtraRoutes, descriptors};
use crate::settings::ListenAddress;
use crate::sync::Mutex;

/// How long to wait when the system has no file descriptor for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often that is logged.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

/// A server of ZooKeeper's protocol for one member.
#[derive(Debug)]
pub struct ZookeeperServer {
    shared: Arc<ServerContext>,
    stop: watch::Sender<bool>,
    accepting: tokio::sync::Mutex<Option<JoinHandle<()>>>,
}

impl ZookeeperServer {
    /// Listens at `address`, and for TLS where the settings say, and serves
    /// from then on, on the current runtime.
    ///
    /// # Errors
    /// `Invalid` if both addresses are off, one cannot be resolved or is taken,
    /// or a certificate or the SASL users cannot be read.
    pub async fn bind(address: &ListenAddress, node: Node) -> Result<Self, Error> {
        let authority = Authority::new(&node.settings().auth)?;
        let (listeners, addresses) = Listeners::open(address, node.settings()).await?;
        let local_addr = addresses
            .plain
            .or(addresses.tls)
            .ok_or_else(|| Error::internal("a server listens nowhere"))?;
        node.announce_zk_addr(local_addr);
        let limits = node.settings().limits.clone();
        let shared = Arc::new(ServerContext {
            bytes: ByteBudget::new(limits.zk_bytes_max, limits.zk_bytes_per_ip_max),
            frame_bytes_max: usize::try_from(limits.zk_frame_bytes_max).unwrap_or(usize::MAX),
            limits,
            authority,
            addresses,
            words: Whitelist::new(node.settings().zk_four_letter_words.as_deref(), local_addr.ip()),
            local_addr,
            started: node.clock().monotonic(),
            counters: Counters::default(),
            watch_listing: tokio::sync::Mutex::default(),
            confirmations: Confirmations::default(),
            local_sessions: LocalSessions::default(),
            service_mode: watch::Sender::new(ServiceMode::ReadWrite),
            backed: watch::Sender::new(true),
            connections: Mutex::default(),
            node,
        });
        let (stop, on_stop) = watch::channel(false);
        let accept = accept(Arc::clone(&shared), listeners, on_stop);
        let accepting = tokio::spawn(shared.node.guard("accepting ZooKeeper clients", accept));
        tracing::info!(%local_addr, "serving ZooKeeper clients");
        Ok(Self { shared, stop, accepting: tokio::sync::Mutex::new(Some(accepting)) })
    }

    /// Where it listens; for TLS alone if only for that.
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.local_addr
    }

    /// Where it listens for plaintext, and perhaps for TLS, too.
    pub fn plain_addr(&self) -> Option<SocketAddr> {
        self.shared.addresses.plain
    }

    /// Where it listens for TLS alone.
    pub fn tls_addr(&self) -> Option<SocketAddr> {
        self.shared.addresses.tls
    }

    /// ZooKeeper's admin pages and metrics, to be shown on the HTTP port.
    pub fn admin_pages(&self) -> Arc<dyn ExtraRoutes> {
        Arc::new(Admin(Arc::clone(&self.shared)))
    }

    /// What it counted.
    pub fn counters(&self) -> CounterSnapshot {
        let counters = &self.shared.counters;
        CounterSnapshot {
            received: counters.received.load(Relaxed),
            sent: counters.sent.load(Relaxed),
            connections: self.shared.connections().len(),
            outstanding: counters.outstanding.load(Relaxed),
            connections_refused: counters.connections_refused.load(Relaxed),
            auth_failed: counters.auth_failed.load(Relaxed),
            latency_min_ms: counters.latency.min(),
            latency_max_ms: counters.latency.max(),
        }
    }

    /// Stops listening, closes all connections and returns once every task of
    /// this server has ended. Sessions go on. Calling it again does nothing.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        if let Some(accepting) = self.accepting.lock().await.take() {
            // It ends by itself; if it panicked there is nothing left to stop.
            let _ = accepting.await;
        }
    }
}

impl Drop for ZookeeperServer {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

async fn accept(shared: Arc<ServerContext>, listeners: Listeners, mut stop: watch::Receiver<bool>) {
    let mut serving = JoinSet::new();
    let complaints = Throttle::new(COMPLAIN_EVERY);
    let for_connections = stop.clone();
    serving.spawn(upkeep::run_upkeep(Arc::clone(&shared), stop.clone()));
    loop {
        tokio::select! {
            () = stopped(&mut stop) => break,
            Some(_) = serving.join_next() => {}
            accepted = listeners.accept() => match accepted {
                Ok((stream, address, _)) if descriptors::are_scarce_with(&stream) => {
                    shared.counters.connections_refused.fetch_add(1, Relaxed);
                    if complaints.admits() {
                        tracing::warn!(
                            client = %address,
                            "refusing a client: the process is close to its limit of open files \
                             (ulimit -n)"
                        );
                    }
                }
                Ok((stream, address, kind)) => {
                    if let Some(client) = admit(&shared, &stream, address) {
                        serving.spawn(serve_listed(client, stream, kind, for_connections.clone()));
                    }
                }
                Err(error) => {
                    if complaints.admits() {
                        tracing::warn!(%error, "cannot accept a ZooKeeper connection");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listeners);
    while serving.join_next().await.is_some() {}
}

/// Lists the connection, unless there are too many.
fn admit(
    shared: &Arc<ServerContext>,
    stream: &TcpStream,
    address: SocketAddr,
) -> Option<Arc<ClientConnection>> {
    let mut connections = shared.lock();
    if !connections.admits(address, &shared.limits) {
        shared.counters.connections_refused.fetch_add(1, Relaxed);
        return None;
    }
    // A client that is gone already fails at its first read.
    let _ = stream.set_nodelay(true);
    let id = shared.node.fresh_connection_id();
    let client = Arc::new(ClientConnection {
        shared: Arc::clone(shared),
        id,
        address,
        inbox: Arc::new(Inbox::new(identity::of_peer(address), shared.limits.zk_outbox_bytes_max)),
        bytes: shared.bytes.share(address.ip()),
        is_tls: AtomicBool::new(false),
        stats: ConnectionCounters::default(),
        established_ms: shared.node.clock().wall_ms(),
    });
    if shared.node.settings().zk.skip_acl {
        client.inbox.add_identity(identity::unchecked());
    }
    connections.insert(&client);
    Some(client)
}

async fn serve_listed(
    client: Arc<ClientConnection>,
    stream: TcpStream,
    kind: ListenerKind,
    mut stop: watch::Receiver<bool>,
) {
    let _listed = Listed(Arc::clone(&client));
    let handshake = Handshake::of(&client.shared, &kind);
    let entered = tokio::select! {
        // Boxed: a handshake is large, and over soon.
        entered = Box::pin(kind.enter(stream)) => entered,
        () = stopped(&mut stop) => return,
    };
    drop(handshake);
    match entered {
        Ok(stream) => {
            for identity in client.shared.authority.of_stream(&stream) {
                client.inbox.add_identity(identity);
            }
            client.is_tls.store(stream.is_tls(), Relaxed);
            serve(client, stream, stop).await;
        }
        Err(error) => {
            client.shared.counters.handshakes_failed.fetch_add(1, Relaxed);
            tracing::info!(client = %client.address, %error, "a TLS handshake failed");
        }
    }
}

/// A TLS handshake under way, or the wait for the first byte that may begin one.
struct Handshake(Arc<ServerContext>);

impl Handshake {
    fn of(shared: &Arc<ServerContext>, kind: &ListenerKind) -> Option<Self> {
        if matches!(kind, ListenerKind::Plain) {
            return None;
        }
        shared.counters.handshakes.fetch_add(1, Relaxed);
        Some(Self(Arc::clone(shared)))
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.0.counters.handshakes.fetch_sub(1, Relaxed);
    }
}

/// A connection's place in the list, taken off however its task ends.
struct Listed(Arc<ClientConnection>);

impl Drop for Listed {
    fn drop(&mut self) {
        self.0.shared.counters.connections_ended.fetch_add(1, Relaxed);
        self.0.shared.lock().remove(self.0.id);
    }
}
