//! Consul's HTTP API over the node handle.
//!
//! ```text
//! listener -> hyper -> dispatch: route, parameters -> handler -> Answer
//!                                      |
//!             reads: blocking() -> node.confirm, node.read, topic waiters
//!            writes: change()   -> node.propose
//!             agent: Agent      -> its own commands
//! ```
//!
//! Clients depend on more than the bodies: most failures are 500 with plain
//! text; a missing key is a 404 with an empty body and all index headers;
//! header names have Go's spelling. Paths are used verbatim, so a key may
//! contain `//` (Consul would redirect and lose the write).
//!
//! Not here: the JSON shapes (`coord_wire::consul`), access control (tokens are
//! accepted and ignored). The web UI (`ui`) is a client like others; only its
//! files are served here.

mod agent;
mod catalog;
mod dispatch;
mod http;
mod kv;
mod listener;
mod metrics;
mod operator;
mod route;
mod route_table;
mod ui;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use self::agent::events::EventLog;
use self::metrics::request_metrics::RequestMetrics;
use crate::agent::Agent;
use crate::error::Error;
use crate::listening::listen;
use crate::node::Node;
use crate::server::byte_budget::ByteBudget;
use crate::server::{DnsTimes, ExtraRoutes, LogFeed};
use crate::settings::ListenAddress;
use crate::sync::Mutex;

/// What every request handler can reach.
#[derive(Debug)]
struct ConsulApi {
    node: Node,
    agent: Arc<Agent>,
    events: EventLog,
    request_metrics: RequestMetrics,
    /// On the node's clock.
    began: Duration,
    extra: Option<Arc<dyn ExtraRoutes>>,
    began_wall_ms: u64,
    /// The log of the program around, if it is handed over.
    log_feed: OnceLock<Arc<LogFeed>>,
    /// How long DNS took, if it is served beside.
    dns_times: OnceLock<Arc<DnsTimes>>,
    /// What is kept for connections.
    bytes: Arc<ByteBudget>,
    /// Whether only this machine reaches it.
    on_loopback_alone: bool,
    /// Archives being made.
    saves: Arc<Semaphore>,
    /// Long lists being printed, and costly filters being evaluated.
    turns: http::printing::Turns,
    /// The page in the browser, where it is on.
    page: Option<ui::Page>,
    stopping: watch::Sender<bool>,
}

impl ConsulApi {
    /// The name of the datacenter, as the settings have it.
    fn datacenter(&self) -> &str {
        &self.node.settings().datacenter
    }

    async fn stopped(&self) {
        let _ = self.stopping.subscribe().wait_for(|stopping| *stopping).await;
    }
}

/// A listening Consul front end. Stop it with [`ConsulServer::stop`].
#[derive(Debug)]
pub struct ConsulServer {
    api: Arc<ConsulApi>,
    address: Option<SocketAddr>,
    tls_address: Option<SocketAddr>,
    serving: Mutex<Vec<JoinHandle<()>>>,
}

impl ConsulServer {
    /// Listens on `address`, and for HTTPS where the settings say, and serves from now on, `extra` where it has no
    /// page of its own.
    ///
    /// # Errors
    /// `Unavailable`, with a one-line reason, if the address cannot be taken.
    pub async fn bind(
        address: &ListenAddress,
        node: Node,
        agent: Arc<Agent>,
        extra: Option<Arc<dyn ExtraRoutes>>,
    ) -> Result<Self, Error> {
        let settings = node.settings().clone();
        let plain = listen("HTTP", address).await?;
        let secure = listen("HTTPS", &settings.https_addr).await?;
        let acceptor = secure.as_ref().map(|_| listener::acceptor(&settings)).transpose()?;
        let address_of = |listener: &TcpListener| {
            listener.local_addr().map_err(|error| {
                Error::internal("cannot get the address of the HTTP listener").caused_by(error)
            })
        };
        let addresses = [
            plain.as_ref().map(address_of).transpose()?,
            secure.as_ref().map(address_of).transpose()?,
        ];
        let on_loopback_alone =
            addresses.iter().flatten().all(|address| address.ip().to_canonical().is_loopback());
        let stopping = watch::Sender::new(false);
        let api = Arc::new(ConsulApi {
            began: node.clock().monotonic(),
            began_wall_ms: node.clock().wall_ms(),
            log_feed: OnceLock::new(),
            node,
            agent,
            events: EventLog::default(),
            request_metrics: RequestMetrics::default(),
            dns_times: OnceLock::new(),
            extra,
            page: settings.ui.enabled.then(ui::Page::new),
            bytes: ByteBudget::new(
                settings.limits.http_bytes_max,
                settings.limits.http_bytes_per_ip_max,
            ),
            on_loopback_alone,
            saves: Arc::new(Semaphore::new(operator::snapshot::SAVES_MAX)),
            turns: http::printing::Turns::new(
                std::thread::available_parallelism().map_or(1, usize::from),
            ),
            stopping,
        });
        let doors = [(plain, None), (secure, acceptor)].into_iter();
        let serving = doors
            .filter_map(|(listener, acceptor)| Some((listener?, acceptor)))
            .map(|(listener, acceptor)| {
                let serve = listener::serve(Arc::clone(&api), listener, acceptor);
                tokio::spawn(api.node.guard("accepting HTTP clients", serve))
            })
            .collect();
        let [address, tls_address] = addresses;
        tracing::info!(?address, ?tls_address, "serving HTTP");
        Ok(Self { api, address, tls_address, serving: Mutex::new(serving) })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Where it listens for HTTPS.
    pub fn tls_addr(&self) -> Option<SocketAddr> {
        self.tls_address
    }

    /// Shows this log over HTTP. The first one counts.
    pub fn feed_log(&self, feed: Arc<LogFeed>) {
        self.api.log_feed.get_or_init(|| feed);
    }

    /// Tells this of DNS among the metrics. The first one counts.
    pub fn tell_dns_times(&self, times: Arc<DnsTimes>) {
        self.api.dns_times.get_or_init(|| times);
    }

    /// Closes the port, answers blocked queries with what there is, and ends
    /// all connections.
    pub async fn stop(&self) {
        self.api.stopping.send_replace(true);
        let serving =
            std::mem::take(&mut *self.serving.lock().unwrap_or_else(PoisonError::into_inner));
        for serving in serving {
            if let Err(error) = serving.await {
                tracing::warn!(%error, "the HTTP server did not stop cleanly");
            }
        }
    }
}
