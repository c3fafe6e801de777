//! Listeners: a plaintext port, a TLS port, or one port for both.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::Poll;

use tokio::net::{TcpListener, TcpStream};

use crate::error::Error;
use crate::listening::listen;
use crate::settings::{ListenAddress, Settings};
use crate::tls::{Acceptor, AcceptorOptions, Stream};

/// The ports of one server.
#[derive(Debug)]
pub(super) struct Listeners {
    listeners: Vec<(TcpListener, ListenerKind)>,
    /// At which door to look first: none may keep the others waiting.
    turn: AtomicUsize,
}

/// How a connection begins.
#[derive(Debug, Clone)]
pub(super) enum ListenerKind {
    Plain,
    Tls(Acceptor),
    /// As its first byte says.
    Either(Acceptor),
}

/// Where the listeners are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Addresses {
    pub(super) plain: Option<SocketAddr>,
    pub(super) tls: Option<SocketAddr>,
}

impl Listeners {
    /// Opens those that are on: `plain` and the settings' `zk_tls_addr`.
    ///
    /// # Errors
    /// `Invalid` if none is on, an address is taken, or a certificate is bad.
    pub(super) async fn open(
        plain: &ListenAddress,
        settings: &Settings,
    ) -> Result<(Self, Addresses), Error> {
        let acceptor = AcceptorOptions::from_settings(&settings.tls, &settings.limits)
            .map(Acceptor::load)
            .transpose()?;
        let mut listeners = Vec::new();
        let mut addresses = Addresses { plain: None, tls: None };
        if let Some(listener) = listen("ZooKeeper clients", plain).await? {
            addresses.plain = Some(address_of(&listener)?);
            let kind = match &acceptor {
                Some(acceptor) if settings.tls.one_port => ListenerKind::Either(acceptor.clone()),
                _ => ListenerKind::Plain,
            };
            listeners.push((listener, kind));
        }
        if let Some(listener) = listen("ZooKeeper clients over TLS", &settings.zk_tls_addr).await? {
            addresses.tls = Some(address_of(&listener)?);
            let acceptor = acceptor.ok_or_else(|| {
                Error::invalid("zk_tls_addr is set, but there is no certificate: set tls.cert_file")
            })?;
            listeners.push((listener, ListenerKind::Tls(acceptor)));
        }
        if listeners.is_empty() {
            return Err(Error::invalid("zk_addr is off"));
        }
        Ok((Self { listeners, turn: AtomicUsize::new(0) }, addresses))
    }

    /// The next connection at any of them. Cancel safe.
    pub(super) async fn accept(&self) -> io::Result<(TcpStream, SocketAddr, ListenerKind)> {
        let turn = self.turn.fetch_add(1, Relaxed);
        std::future::poll_fn(|context| {
            for number in 0..self.listeners.len() {
                let (listener, kind) =
                    &self.listeners[(turn.wrapping_add(number)) % self.listeners.len()];
                if let Poll::Ready(accepted) = listener.poll_accept(context) {
                    return Poll::Ready(
                        accepted.map(|(stream, from)| (stream, from, kind.clone())),
                    );
                }
            }
            Poll::Pending
        })
        .await
    }
}

impl ListenerKind {
    /// Takes the connection in; a handshake that fails ends it.
    pub(super) async fn enter(self, stream: TcpStream) -> io::Result<Stream> {
        match self {
            Self::Plain => Ok(Stream::Plain(stream)),
            Self::Tls(acceptor) => acceptor.accept(stream).await,
            Self::Either(acceptor) => acceptor.accept_either(stream).await,
        }
    }
}

fn address_of(listener: &TcpListener) -> Result<SocketAddr, Error> {
    listener.local_addr().map_err(|error| {
        Error::internal("cannot get the address of the ZooKeeper listener").caused_by(error)
    })
}
