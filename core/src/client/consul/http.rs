//! HTTP connections to the agent, opened on demand and kept alive.
//!
//! Each connection is owned by a task, which does all reading and writing;
//! dropping the sender ends it. If a kept connection turns out to be closed,
//! the request is retried on a new one if it was never sent or only reads.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::sync::Semaphore;

use super::error::ConsulFailure;
use super::request::Response;
use super::settings::Target;
use crate::client::time::within;
use crate::sync::Mutex;
use crate::tls::Connector;

type Sender = SendRequest<Full<Bytes>>;
pub(super) type HttpRequest = hyper::Request<Full<Bytes>>;

/// Connections kept for the next request; more are closed after use.
const IDLE_MAX: usize = 32;

/// The connections of one client.
#[derive(Debug)]
pub(super) struct Pool {
    target: Target,
    security: Option<Security>,
    connect_timeout: Duration,
    response_bytes_max: usize,
    idle: Mutex<Vec<Sender>>,
    permits: Arc<Semaphore>,
}

/// TLS, and the host name expected in the server's certificate.
#[derive(Debug, Clone)]
pub(super) struct Security {
    pub(super) connector: Connector,
    pub(super) name: String,
}

/// Why there is no response, and whether the server may have received the
/// request.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) failure: ConsulFailure,
    pub(super) sent: bool,
}

impl Pool {
    pub(super) fn new(
        target: Target,
        security: Option<Security>,
        connect_timeout: Duration,
        connections_max: usize,
        response_bytes_max: usize,
    ) -> Self {
        let permits = connections_max.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            target,
            security,
            connect_timeout,
            response_bytes_max,
            idle: Mutex::new(Vec::new()),
            permits: Arc::new(Semaphore::new(permits)),
        }
    }

    pub(super) fn is_secured(&self) -> bool {
        self.security.is_some()
    }

    /// Sends `request` and reads the whole response. Dropping the future closes
    /// the connection it uses.
    pub(super) async fn send(
        &self,
        request: HttpRequest,
        repeatable: bool,
    ) -> Result<Response, Broken> {
        let _permit = self.permits.acquire().await.map_err(|_| Broken::unsent("closed"))?;
        let mut request = request;
        while let Some(mut sender) = self.kept() {
            let copy = repeatable.then(|| request.clone());
            match sender.try_send_request(request).await {
                Ok(response) => return self.collect(sender, response).await,
                Err(mut error) => match error.take_message().or(copy) {
                    Some(again) => request = again,
                    None => return Err(Broken::sent(&error.into_error())),
                },
            }
        }
        let mut sender = self.connect().await?;
        match sender.try_send_request(request).await {
            Ok(response) => self.collect(sender, response).await,
            Err(mut error) => {
                let sent = error.take_message().is_none();
                let cause = error.into_error();
                Err(if sent { Broken::sent(&cause) } else { Broken::unsent(&cause.to_string()) })
            }
        }
    }

    /// Closes idle connections; those in use close when their call ends.
    pub(super) fn close(&self) {
        self.permits.close();
        self.lock().clear();
    }

    async fn collect(
        &self,
        sender: Sender,
        response: hyper::Response<hyper::body::Incoming>,
    ) -> Result<Response, Broken> {
        let (parts, body) = response.into_parts();
        let limited = Limited::new(body, self.response_bytes_max);
        let body = limited.collect().await.map_err(|cause| {
            let text = if cause.is::<LengthLimitError>() {
                format!("the response is longer than {} bytes", self.response_bytes_max)
            } else {
                cause.to_string()
            };
            Broken { failure: ConsulFailure::Transport(text), sent: true }
        })?;
        self.keep(sender);
        let headers = parts.headers.iter().filter_map(|(name, value)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        });
        Ok(Response {
            status: parts.status.as_u16(),
            headers: headers.collect(),
            body: body.to_bytes(),
        })
    }

    fn kept(&self) -> Option<Sender> {
        let mut idle = self.lock();
        while let Some(sender) = idle.pop() {
            if !sender.is_closed() {
                return Some(sender);
            }
        }
        None
    }

    fn keep(&self, sender: Sender) {
        let mut idle = self.lock();
        if idle.len() < IDLE_MAX && !sender.is_closed() && !self.permits.is_closed() {
            idle.push(sender);
        }
    }

    fn lock(&self) -> crate::sync::MutexGuard<'_, Vec<Sender>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a connection in a task, so that name lookups and sockets are on
    /// the runtime's threads, not the caller's.
    async fn connect(&self) -> Result<Sender, Broken> {
        let (target, limit) = (self.target.clone(), self.connect_timeout);
        let security = self.security.clone();
        let opened = tokio::spawn(async move { within(limit, open(target, security)).await }).await;
        match opened {
            Ok(Some(Ok(sender))) => Ok(sender),
            Ok(Some(Err(cause))) => {
                Err(Broken::unsent(&format!("cannot reach {}: {cause}", self.target.authority())))
            }
            Ok(None) => Err(Broken { failure: ConsulFailure::TimedOut(limit), sent: false }),
            Err(_) => Err(Broken::unsent("the runtime is shutting down")),
        }
    }
}

impl Broken {
    fn unsent(text: &str) -> Self {
        Self { failure: ConsulFailure::Transport(text.to_owned()), sent: false }
    }

    fn sent(cause: &hyper::Error) -> Self {
        let text = format!("the connection broke before the response arrived: {cause}");
        Self { failure: ConsulFailure::Transport(text), sent: true }
    }
}

async fn open(target: Target, security: Option<Security>) -> Result<Sender, io::Error> {
    match target {
        Target::Tcp { host, port, .. } => {
            let stream = open_tcp(&host, port).await?;
            stream.set_nodelay(true)?;
            match security {
                None => handshake(stream).await,
                Some(Security { connector, name }) => {
                    handshake(connector.connect(&name, stream).await?).await
                }
            }
        }
        Target::Unix(path) => handshake(UnixStream::connect(path).await?).await,
    }
}

/// Tries every address of the name in turn.
async fn open_tcp(host: &str, port: u16) -> Result<TcpStream, io::Error> {
    let mut failed: Vec<(SocketAddr, io::Error)> = Vec::new();
    for address in lookup_host((host, port)).await? {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failed.push((address, error)),
        }
    }
    Err(match failed.pop() {
        None => io::Error::new(io::ErrorKind::NotFound, "the host name has no address"),
        Some((_, only)) if failed.is_empty() => only,
        Some(last) => {
            failed.push(last);
            let said = failed.iter().map(|(address, error)| format!("{address}: {error}"));
            io::Error::other(said.collect::<Vec<_>>().join("; "))
        }
    })
}

async fn handshake<S>(stream: S) -> Result<Sender, io::Error>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    tokio::spawn(async move {
        // The caller learns of its end through the sender.
        let _ = connection.await;
    });
    Ok(sender)
}
