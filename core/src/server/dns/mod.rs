//! Consul's DNS interface: the catalog as a zone.
//!
//! ```text
//!   udp.rs, tcp.rs --packet--> respond.rs --question--> lookup.rs, services.rs
//!        ^                         |                          |  (the catalog,
//!        +------- packet ----------+-------- answer ----------+   under one read)
//! ```
//!
//! Reads are stale: they use what this member has applied, with or without a
//! leader. Equal answers are in random order; the random numbers are drawn
//! here, never in the state.
//!
//! A query for a name outside the zone is forwarded to the recursors, or
//! refused if there are none (`forward.rs`).
//!
//! Deliberately absent: mesh names, caching.

mod forward;
mod lookup;
mod places;
mod record;
mod respond;
mod rng;
mod services;
mod tcp;
mod udp;
mod zone;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests;

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};

use tokio::net::{TcpListener, UdpSocket, lookup_host};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::forward::Forwarder;
use self::respond::Respond;
use self::zone::Zones;
use crate::error::Error;
use crate::listening::refusal;
use crate::node::Node;
use crate::server::DnsTimes;
use crate::settings::ListenAddress;
use crate::sync::Mutex;

/// DNS over UDP and TCP, on one port.
#[derive(Debug)]
pub struct DnsServer {
    address: SocketAddr,
    times: Arc<DnsTimes>,
    stopping: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl DnsServer {
    /// Listens on `address` and answers from `node`'s catalog. Port 0 takes
    /// one that is free for both transports.
    ///
    /// # Errors
    /// `Invalid` if the address is off, unknown or taken, or the datacenter or
    /// the zone cannot be part of a DNS name.
    pub async fn bind(address: &ListenAddress, node: Node) -> Result<Self, Error> {
        let settings = node.settings();
        let zones = Zones::new(&settings.datacenter, &settings.dns)?;
        let sockets = bind_both(address).await?;
        let local = sockets.1.local_addr().map_err(|error| taken(address, error))?;
        let forwarder = Forwarder::new(&settings.dns, local);
        let times = Arc::<DnsTimes>::default();
        let respond = respond::from_node(node, zones, forwarder, Arc::clone(&times));
        Ok(Self { times, ..Self::serve(sockets, local, respond) })
    }

    fn serve((udp, tcp): (UdpSocket, TcpListener), local: SocketAddr, respond: Respond) -> Self {
        let (stopping, stop) = watch::channel(false);
        let tasks = vec![
            tokio::spawn(udp::serve(udp, Arc::clone(&respond), stop.clone())),
            tokio::spawn(tcp::serve(tcp, respond, stop)),
        ];
        tracing::info!(address = %local, "serving DNS");
        Self { address: local, times: Arc::default(), stopping, tasks: Mutex::new(tasks) }
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// How long it takes to find answers.
    pub fn times(&self) -> Arc<DnsTimes> {
        Arc::clone(&self.times)
    }

    /// Stops listening and closes every connection. Idempotent. Once it
    /// returns, no task or socket of the server is left.
    pub async fn stop(&self) {
        self.stopping.send_replace(true);
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            // A task that panicked has nothing left to stop.
            let _ = task.await;
        }
    }
}

/// How often a free port is looked for: the one TCP got may be taken for UDP.
const FREE_PORT_TRIES: usize = 16;

async fn bind_both(address: &ListenAddress) -> Result<(UdpSocket, TcpListener), Error> {
    let ListenAddress::At { host, port } = address else {
        return Err(Error::invalid("dns_addr resolves to no address"));
    };
    let places: Vec<SocketAddr> =
        lookup_host((host.as_str(), *port)).await.map_err(|error| taken(address, error))?.collect();
    let tries = if *port == 0 { FREE_PORT_TRIES } else { 1 };
    let mut problem = None;
    for place in std::iter::repeat_n(places, tries).flatten() {
        match bind_at(place).await {
            Ok(sockets) => return Ok(sockets),
            Err(error) => problem = Some(error),
        }
    }
    let problem = problem.unwrap_or_else(|| std::io::ErrorKind::AddrNotAvailable.into());
    Err(taken(address, problem))
}

async fn bind_at(place: SocketAddr) -> std::io::Result<(UdpSocket, TcpListener)> {
    let tcp = TcpListener::bind(place).await?;
    let udp = UdpSocket::bind(tcp.local_addr()?).await?;
    Ok((udp, tcp))
}

fn taken(address: &ListenAddress, error: std::io::Error) -> Error {
    refusal("DNS", address, error)
}

/// Resolves once the server is being stopped, or is gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the server itself was dropped.
    let _ = stop.wait_for(|stopping| *stopping).await;
}
