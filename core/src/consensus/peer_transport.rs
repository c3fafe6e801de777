//! Transport between members: plaintext, or TLS with a certificate of the
//! peers' CA on both sides.
//!
//! The holder of such a certificate is accepted as a peer, and names its own
//! member number. So that CA must issue certificates only to members, and must
//! not be the one for clients. A shared secret is proven inside either
//! transport, see [`super::peer_handshake`].
//!
//! A running cluster is migrated one member at a time: first all members accept
//! both, then all connect over TLS, then none accepts plaintext any more.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use coord_state::MemberId;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, lookup_host};

use super::lifetime::{Lifetime, timeout};
#[cfg(test)]
use super::links::Links;
use super::peer_complaints::Complaints;
use super::peer_frame::PeerError;
use super::peer_secret::PeerAuth;
use crate::error::Error;
use crate::settings::{ClientAuth, Limits, TlsSettings};
use crate::tls::{
    Acceptor, AcceptorOptions, Connector, ConnectorOptions, KeyPair, Stream, Trust, Verify,
};

/// How long each attempt to connect may take. The kernel repeats a lost SYN after
/// a second at the earliest; a link that comes and goes may be up only between.
const CONNECT_ATTEMPTS: [Duration; 3] =
    [Duration::from_millis(250), Duration::from_millis(250), Duration::from_millis(500)];
/// The same for a connection that was accepted: who opened it knows its purpose,
/// sets a shorter time, and ends it.
const ACCEPTED_UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(10);
/// A connection on which nothing is said is tried after this, and as often.
const KEEPALIVE: Duration = Duration::from_secs(1);

/// The certificates of a member towards its peers.
#[derive(Debug, Clone)]
pub struct PeerTls {
    connector: Connector,
    acceptor: Acceptor,
    connects: bool,
    takes_plain: bool,
}

impl PeerTls {
    /// Reads the files that the settings name; none if they name none.
    ///
    /// # Errors
    /// `Invalid`, naming the file and what is wrong with it.
    pub fn load(tls: &TlsSettings, limits: &Limits) -> Result<Option<Self>, Error> {
        let Some(cert_file) = tls.peer_cert_file.clone() else { return Ok(None) };
        let Some(ca_file) = tls.peer_ca_file.clone() else {
            return Err(Error::invalid("tls.peer_cert_file is set, but tls.peer_ca_file is not"));
        };
        let key_pair = KeyPair { cert_file, key_file: tls.peer_key_file.clone() };
        let connector = Connector::load(ConnectorOptions {
            trust: Trust::File(ca_file.clone()),
            // Members are known by their authority; addresses may change.
            verify: Verify::AnyName,
            key_pair: Some(key_pair.clone()),
            version_min: tls.version_min,
            protocols: Vec::new(),
        })?;
        let acceptor = Acceptor::load(AcceptorOptions {
            key_pair,
            client_auth: ClientAuth::Need,
            ca_file: Some(ca_file),
            version_min: tls.version_min,
            handshake_timeout: Duration::from_millis(tls.handshake_timeout_ms.into()),
            handshakes_max: limits.tls_handshakes_max,
            protocols: Vec::new(),
        })?;
        let (connects, takes_plain) = (tls.peers, tls.peers_one_port || !tls.peers);
        Ok(Some(Self { connector, acceptor, connects, takes_plain }))
    }
}

/// What all connections between members have in common.
#[derive(Debug, Clone)]
pub(super) struct PeerTransport {
    pub(super) lifetime: Lifetime,
    pub(super) frame_bytes_max: usize,
    /// Frames that were too large to be sent or taken, since the start.
    pub(super) too_large: Arc<AtomicU64>,
    pub(super) tls: Option<Arc<PeerTls>>,
    /// What members prove to each other beyond that.
    pub(super) auth: PeerAuth,
    pub(super) complaints: Arc<Complaints>,
    /// Cuts links in tests.
    #[cfg(test)]
    pub(super) links: Links,
}

impl PeerTransport {
    /// Refuses what the peer would not take. What cannot be sent is never sent,
    /// however often it is tried, so whoever runs the member has to hear of it.
    pub(super) fn check_frame(&self, to: MemberId, bytes: usize) -> Result<(), PeerError> {
        if bytes <= self.frame_bytes_max {
            return Ok(());
        }
        let what = format!("{bytes} bytes for member {to}");
        self.note_too_large(&what);
        Err(PeerError::Unreachable(format!("{what}: larger than the frame limit")))
    }

    /// Says that a frame is too large: the first time, the second, the fourth …
    pub(super) fn note_too_large(&self, what: &dyn Display) {
        let times = self.too_large.fetch_add(1, Ordering::Relaxed) + 1;
        if times.is_power_of_two() {
            tracing::error!(
                limit = self.frame_bytes_max,
                times,
                "too large to send between members, so members fall behind: {what}; raise \
                 limits.peer_frame_bytes_max to the same value on all members, and restart them"
            );
        }
    }

    /// Connects to `HOST:PORT`. The error is `ConnectionRefused` only if nobody
    /// listens at any address of that name. What was sent and is not acknowledged
    /// by the other machine within `unacknowledged` ends the connection.
    pub(super) async fn open(&self, address: &str, unacknowledged: Duration) -> io::Result<Stream> {
        let stream = connect(address).await?;
        if !self.auth.may_be_at(stream.peer_addr()?.ip()) {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "it is on another machine, and this member could not authenticate it: set \
                 peers.secret_file or tls.peers",
            ));
        }
        prepare(&stream, unacknowledged)?;
        match self.tls.as_deref() {
            Some(tls) if tls.connects => {
                let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
                let host = host.trim_start_matches('[').trim_end_matches(']');
                tls.connector.connect(host, stream).await
            }
            _ => Ok(Stream::Plain(stream)),
        }
    }

    /// Takes a connection that was accepted.
    pub(super) async fn admit(&self, stream: TcpStream) -> io::Result<Stream> {
        prepare(&stream, ACCEPTED_UNACKNOWLEDGED_MAX)?;
        match self.tls.as_deref() {
            None => Ok(Stream::Plain(stream)),
            Some(tls) if tls.takes_plain => tls.acceptor.accept_either(stream).await,
            Some(tls) => tls.acceptor.accept(stream).await,
        }
    }
}

async fn connect(name: &str) -> io::Result<TcpStream> {
    let addresses: Vec<SocketAddr> = lookup_host(name).await?.collect();
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
    for within in CONNECT_ATTEMPTS {
        let mut refused_by_all = !addresses.is_empty();
        for address in &addresses {
            let error = match timeout(within, TcpStream::connect(address)).await {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(error)) => error,
                None => io::ErrorKind::TimedOut.into(),
            };
            let refused = error.kind() == io::ErrorKind::ConnectionRefused;
            // One that refuses says nothing about another that does not answer.
            if !refused || refused_by_all {
                failure = error;
            }
            refused_by_all &= refused;
        }
        // Only what gave no answer may have one for another attempt.
        if failure.kind() != io::ErrorKind::TimedOut {
            break;
        }
    }
    Err(failure)
}

/// A peer that is gone without a word is noticed, and nothing waits for more.
///
/// The kernel repeats what is not acknowledged at intervals that double. Without the
/// limit, a connection would stay mute about as long again after a cut as it lasted.
fn prepare(stream: &TcpStream, unacknowledged: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let within = u32::try_from(unacknowledged.as_millis()).unwrap_or(u32::MAX);
        rustix::net::sockopt::set_tcp_user_timeout(stream, within)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn run<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(work)
    }

    #[test]
    fn only_an_address_where_nobody_listens_counts_as_refused() {
        run(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap().to_string();
            assert!(connect(&address).await.is_ok());
            drop(listener);
            let refused = connect(&address).await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
            let unknown = connect("no such name:1").await.unwrap_err();
            assert_ne!(unknown.kind(), io::ErrorKind::ConnectionRefused);
        });
    }
}
