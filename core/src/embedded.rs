//! A complete member inside this process: its own runtime, node, agent and
//! servers, behind one blocking handle. The `coord` command, the C library and
//! the Python module all use it.
//!
//! Nothing is process-wide: any number of members can run in one process, and
//! once [`Server::stop`] returns no thread or socket of the member remains.

mod cluster;
mod descriptors;
mod log;
mod server_state;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests;

use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use cluster::Cluster;
pub use descriptors::raise_open_files_limit;
pub use log::{LOG_RECORDS_MAX, LogLevel, LogRecord, MemberLog};
pub use server_state::{FailureWatch, ServerState, ServerStatus};
use tempfile::TempDir;
use tokio::runtime::{Builder, Handle, Runtime};

use self::log::LogTap;
use crate::agent::Agent;
use crate::clock;
use crate::error::Error;
use crate::node::Node;
use crate::server::LogFeed;
use crate::server::consul::ConsulServer;
use crate::server::dns::DnsServer;
use crate::server::zookeeper::ZookeeperServer;
use crate::settings::{ListenAddress, Settings, ValidSettings};

/// A running member with its servers. Dropping it stops it.
#[derive(Debug)]
pub struct Server {
    running: Option<Running>,
    addresses: Addresses,
    failure: FailureWatch,
    /// Removed with the server, after everything that writes to it.
    _temporary: Option<TempDir>,
}

/// The listen addresses of a member; `None` is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// ZooKeeper clients.
    pub zk: Option<SocketAddr>,
    /// ZooKeeper clients over TLS, on a port of its own.
    pub zk_tls: Option<SocketAddr>,
    /// Consul's HTTP API.
    pub http: Option<SocketAddr>,
    /// Consul's HTTP API over TLS.
    pub https: Option<SocketAddr>,
    /// DNS, UDP and TCP.
    pub dns: Option<SocketAddr>,
    /// Other members.
    pub peer: Option<SocketAddr>,
}

#[derive(Debug)]
struct Running {
    runtime: Runtime,
    node: Node,
    agent: Arc<Agent>,
    zookeeper: Option<ZookeeperServer>,
    consul: Option<ConsulServer>,
    dns: Option<DnsServer>,
    log: LogTap,
}

/// How long threads may take to end after everything on them was stopped.
const RUNTIME_SHUTDOWN: Duration = Duration::from_secs(10);

/// How often `go_on` is called while waiting for a member.
const ASK_EVERY: Duration = Duration::from_millis(50);

static SERVERS_STARTED: AtomicU64 = AtomicU64::new(0);

impl Server {
    /// Starts a member and binds its ports; does not wait for a leader, see
    /// [`Self::wait_ready`]. Blocks; not to be called from an async task.
    ///
    /// # Errors
    /// `Invalid` (a port is taken, the directory is in use), `Corrupt`
    /// (damaged directory), `Internal`.
    pub fn start(settings: ValidSettings) -> Result<Self, Error> {
        Self::start_inner(settings, Parts::default(), None)
    }

    /// Starts a member for a host program, like [`Self::start`], except that
    /// with an empty `data_dir` its data is in a temporary directory, removed
    /// when the member is dropped.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_embedded(settings: Settings) -> Result<Self, Error> {
        Self::start_logged(settings, None)
    }

    /// Like [`Self::start_embedded`], with its log redirected to `log` only.
    ///
    /// # Errors
    /// As there.
    pub fn start_logged(settings: Settings, log: Option<&MemberLog>) -> Result<Self, Error> {
        let parts = Parts { log: LogTap::of(log), ..Parts::default() };
        if !settings.data_dir.as_os_str().is_empty() {
            return Self::start_inner(settings.validate()?, parts, None);
        }
        let (settings, directory) = in_temporary_directory(settings)?;
        Self::start_inner(settings.validate()?, parts, Some(directory))
    }

    fn start_inner(
        settings: ValidSettings,
        parts: Parts,
        temporary: Option<TempDir>,
    ) -> Result<Self, Error> {
        if Handle::try_current().is_ok() {
            return Err(Error::invalid(
                "a member cannot be started from inside an async task: use a thread of its own",
            ));
        }
        let log = parts.log.clone();
        let runtime = runtime(&settings, &log)?;
        let started = log.around(|| runtime.block_on(start_parts(settings, parts)));
        match started {
            Ok((node, agent, zookeeper, consul, dns)) => {
                let addresses = Addresses {
                    zk: zookeeper.as_ref().and_then(ZookeeperServer::plain_addr),
                    zk_tls: zookeeper.as_ref().and_then(ZookeeperServer::tls_addr),
                    http: consul.as_ref().and_then(ConsulServer::local_addr),
                    https: consul.as_ref().and_then(ConsulServer::tls_addr),
                    dns: dns.as_ref().map(DnsServer::local_addr),
                    peer: node.peer_addr(),
                };
                let failure = FailureWatch::default();
                runtime.spawn(failure.clone().follow(node.watch_impairment()));
                let running = Running { runtime, node, agent, zookeeper, consul, dns, log };
                Ok(Self { running: Some(running), addresses, failure, _temporary: temporary })
            }
            Err(error) => {
                log.around(|| runtime.shutdown_timeout(RUNTIME_SHUTDOWN));
                Err(error)
            }
        }
    }

    /// The listen addresses, with actual ports.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Waits until the member is ready: a leader is known, it has caught up and
    /// its agent is in the catalog.
    ///
    /// # Errors
    /// `Unavailable` after `limit`; `Closed` once stopped.
    pub fn wait_ready(&self, limit: Duration) -> Result<(), Error> {
        self.wait_ready_while(limit, &mut || true).map(|_| ())
    }

    /// Like [`Self::wait_ready`], but calls `go_on` several times a second and
    /// returns `false` once that does. For host programs that can be
    /// interrupted.
    ///
    /// # Errors
    /// As there.
    pub fn wait_ready_while(
        &self,
        limit: Duration,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<bool, Error> {
        let running = self.running()?;
        let waiting = async {
            let ready = async {
                running.node.wait_ready().await?;
                running.agent.wait_registered().await.map(|()| true)
            };
            let given_up = async {
                while go_on() {
                    clock::sleep(ASK_EVERY).await;
                }
                Ok(false)
            };
            let either = async {
                tokio::select! {
                    ready = ready => ready,
                    given_up = given_up => given_up,
                }
            };
            clock::timeout(limit, either).await.unwrap_or_else(|| {
                let why = running.obstacle();
                Err(Error::unavailable(format!(
                    "the member is not ready after {} s: {why}",
                    limit.as_secs()
                )))
            })
        };
        running.log.around(|| running.runtime.block_on(waiting))
    }

    /// Why the member is not ready yet, for an operator.
    ///
    /// # Errors
    /// `Closed` once stopped.
    pub fn obstacle(&self) -> Result<String, Error> {
        self.running().map(Running::obstacle)
    }

    /// The current status of the member.
    pub fn status(&self) -> ServerStatus {
        match &self.running {
            Some(running) => ServerStatus::of(&running.node),
            None => ServerStatus::stopped(),
        }
    }

    /// Blocks until the member fails permanently, and returns why; `None` after
    /// `limit`. Conditions that it recovers from by itself are not failures:
    /// see [`Self::status`].
    ///
    /// # Errors
    /// `Closed` if the member is or gets stopped.
    pub fn wait_failed(&self, limit: Duration) -> Result<Option<String>, Error> {
        self.failure.wait(limit)
    }

    /// The same, for a thread that does not own the server.
    pub fn failure_watch(&self) -> FailureWatch {
        self.failure.clone()
    }

    /// The node, for calls without a socket.
    ///
    /// # Errors
    /// `Closed` once stopped.
    pub fn node(&self) -> Result<&Node, Error> {
        self.running().map(|running| &running.node)
    }

    /// The runtime of the member.
    ///
    /// # Errors
    /// `Closed` once stopped.
    pub fn runtime(&self) -> Result<&Handle, Error> {
        self.running().map(|running| running.runtime.handle())
    }

    /// Sets the log that the HTTP API streams. Without it, streaming the log
    /// over HTTP is refused.
    ///
    /// # Errors
    /// `Closed` once stopped.
    pub fn feed_log(&self, feed: Arc<LogFeed>) -> Result<(), Error> {
        if let Some(consul) = &self.running()?.consul {
            consul.feed_log(feed);
        }
        Ok(())
    }

    /// Stops the member: closes its ports and connections, transfers
    /// leadership, flushes the log, joins its threads. Idempotent.
    pub fn stop(&mut self) {
        let Some(running) = self.running.take() else { return };
        self.failure.stopped();
        let Running { runtime, node, agent, zookeeper, consul, dns, log } = running;
        let stopping = async {
            // While clients are still served, so that they do not notice.
            node.hand_over().await;
            if let Some(server) = &dns {
                server.stop().await;
            }
            if let Some(server) = &consul {
                server.stop().await;
            }
            if let Some(server) = &zookeeper {
                server.stop().await;
            }
            agent.stop().await;
            node.stop().await;
            drop((node, agent, zookeeper, consul, dns));
        };
        log.around(|| {
            runtime.block_on(stopping);
            runtime.shutdown_timeout(RUNTIME_SHUTDOWN);
        });
    }

    fn running(&self) -> Result<&Running, Error> {
        self.running.as_ref().ok_or_else(|| Error::closed("this member was stopped"))
    }
}

impl Running {
    fn obstacle(&self) -> String {
        let status = self.node.status();
        if let Some(why) = status.failed.or(status.withdrawn) {
            return why;
        }
        if status.outside {
            return "a reconfig has to add this member".to_owned();
        }
        // The agent has only been refused if there is a leader.
        self.agent
            .obstacle()
            .unwrap_or_else(|| "a majority of the members must run and reach each other".to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Components to use instead of the defaults.
#[derive(Default)]
struct Parts {
    peer_listener: Option<std::net::TcpListener>,
    log: LogTap,
    /// For tests: a file system that fails.
    #[cfg(test)]
    disk: Option<Arc<dyn crate::storage::disk::Disk>>,
}

impl Parts {
    fn listening(peer_listener: std::net::TcpListener) -> Self {
        Self { peer_listener: Some(peer_listener), ..Self::default() }
    }
}

type Started = (Node, Arc<Agent>, Option<ZookeeperServer>, Option<ConsulServer>, Option<DnsServer>);

async fn start_parts(settings: ValidSettings, parts: Parts) -> Result<Started, Error> {
    let mut builder = Node::builder(settings.clone());
    #[cfg(test)]
    if let Some(disk) = parts.disk {
        builder = builder.disk(disk);
    }
    if let Some(listener) = parts.peer_listener {
        let listener = tokio::net::TcpListener::from_std(listener)
            .map_err(|error| Error::internal("the peer listener").caused_by(error))?;
        builder = builder.peer_listener(listener);
    }
    let node = builder.start().await?;
    match start_servers(&settings, &node).await {
        Ok((agent, zookeeper, consul, dns)) => Ok((node, agent, zookeeper, consul, dns)),
        Err(error) => {
            node.stop().await;
            Err(error)
        }
    }
}

type Servers = (Arc<Agent>, Option<ZookeeperServer>, Option<ConsulServer>, Option<DnsServer>);

async fn start_servers(settings: &ValidSettings, node: &Node) -> Result<Servers, Error> {
    let zookeeper = match &settings.zk_addr {
        ListenAddress::Off if settings.zk_tls_addr == ListenAddress::Off => None,
        address => Some(ZookeeperServer::bind(address, node.clone()).await?),
    };
    let agent = Agent::start(node.clone()).await?;
    let consul = match &settings.http_addr {
        ListenAddress::Off if settings.https_addr == ListenAddress::Off => None,
        address => {
            let extra = zookeeper.as_ref().map(ZookeeperServer::admin_pages);
            Some(ConsulServer::bind(address, node.clone(), Arc::clone(&agent), extra).await?)
        }
    };
    let dns = match &settings.dns_addr {
        ListenAddress::Off => None,
        address => Some(DnsServer::bind(address, node.clone()).await?),
    };
    if let (Some(consul), Some(dns)) = (&consul, &dns) {
        consul.tell_dns_times(dns.times());
    }
    Ok((agent, zookeeper, consul, dns))
}

fn runtime(settings: &ValidSettings, log: &LogTap) -> Result<Runtime, Error> {
    let log = log.clone();
    let number = SERVERS_STARTED.fetch_add(1, Ordering::Relaxed);
    Builder::new_multi_thread()
        .worker_threads(settings.runtime.workers)
        .thread_name(format!("coord-{}-w{number}", settings.member_id))
        .on_thread_start(move || log.enter_thread())
        .on_thread_stop(LogTap::leave_thread)
        .enable_all()
        .build()
        .map_err(|error| Error::internal("cannot start the member's threads").caused_by(error))
}

fn in_temporary_directory(mut settings: Settings) -> Result<(Settings, TempDir), Error> {
    let directory = tempfile::Builder::new()
        .prefix("coord-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir()
        .map_err(|error| Error::internal("cannot create a temporary directory").caused_by(error))?;
    settings.data_dir = Path::to_path_buf(directory.path());
    Ok((settings, directory))
}
