//! Forwards queries for names outside the zone to the recursors.
//!
//! They are tried one after the other, over the client's transport, until one
//! gives a definite answer. Nothing is cached.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use coord_wire::dns::{Answer, DomainName, Forwarded, Manner, Query, Record, Rtype, Transport};
use coord_wire::dns::{Unfit, addresses};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

use super::lookup::ALIAS_RECORDS_MAX;
use crate::clock;
use crate::settings::DnsSettings;

/// The servers for everything else. Consul: `recursors`.
#[derive(Debug)]
pub(super) struct Forwarder {
    servers: Vec<SocketAddr>,
    timeout: Duration,
}

impl Forwarder {
    /// `None` if no servers are set. `own`, where this server listens, is not
    /// asked: it would only ask itself again.
    pub(super) fn new(settings: &DnsSettings, own: SocketAddr) -> Option<Self> {
        let mut servers = settings.recursor_addresses();
        servers.retain(|server| *server != own);
        let timeout = Duration::from_millis(settings.recursor_timeout_ms.into());
        (!servers.is_empty()).then_some(Self { servers, timeout })
    }

    /// The packet for the client, whatever comes of it.
    pub(super) async fn forward(
        &self,
        packet: &[u8],
        query: &Query,
        transport: Transport,
        manner: Manner,
        id: u16,
    ) -> Vec<u8> {
        let reply = match Forwarded::hand_on(packet, id) {
            Some(question) => self.ask(&question, transport).await,
            None => None,
        };
        reply.unwrap_or_else(|| Answer::failed().encode(query, transport, manner))
    }

    /// Where an alias that leads out of the zone ends.
    pub(super) async fn resolve(&self, name: &DomainName, rtype: Rtype, id: u16) -> Vec<Record> {
        // Who takes any address of ours takes any address of theirs.
        let rtype = if rtype == Rtype::AAAA { rtype } else { Rtype::A };
        let question = Forwarded::question(name, rtype, id);
        let reply = self.ask(&question, Transport::Udp).await;
        reply.map(|reply| addresses(&reply, ALIAS_RECORDS_MAX)).unwrap_or_default()
    }

    async fn ask(&self, question: &Forwarded, transport: Transport) -> Option<Vec<u8>> {
        for server in &self.servers {
            let exchange = async {
                match transport {
                    Transport::Udp => over_udp(*server, question).await,
                    Transport::Tcp => over_tcp(*server, question).await,
                }
            };
            match clock::timeout(self.timeout, exchange).await {
                Some(Ok(reply)) => return Some(reply),
                Some(Err(error)) => tracing::debug!(%server, %error, "a recursor failed to answer"),
                None => tracing::debug!(%server, "a recursor did not respond in time"),
            }
        }
        None
    }
}

fn failure() -> io::Error {
    io::Error::other("it cannot answer")
}

async fn over_udp(server: SocketAddr, question: &Forwarded) -> io::Result<Vec<u8>> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    socket.send(question.packet()).await?;
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        let len = socket.recv(&mut buffer).await?;
        let reply = buffer.get(..len).unwrap_or_default().to_vec();
        match question.accept(reply) {
            Ok(reply) => return Ok(reply),
            Err(Unfit::Failure) => return Err(failure()),
            // Somebody guesses, or it is late: the answer may still come.
            Err(Unfit::Stranger) => {}
        }
    }
}

async fn over_tcp(server: SocketAddr, question: &Forwarded) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    super::tcp::send(&mut stream, question.packet()).await?;
    let mut reply = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut reply).await?;
    stream.shutdown().await?;
    question.accept(reply).map_err(|_| failure())
}
