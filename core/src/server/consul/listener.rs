//! Accepting connections, and ending them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::{Front, dispatch};
use crate::error::Error;
use crate::settings::{ListenAddress, Settings};
use crate::tls::{Acceptor, AcceptorOptions, Stream};

/// Bounds a slow head, and an idle connection with it.
const HEADER_READ_MAX: Duration = Duration::from_secs(120);
const HEADER_BYTES_MAX: usize = 1 << 20;
const HEADERS_MAX: usize = 256;
/// How long connections may take to end when the server stops.
const GRACE: Duration = Duration::from_secs(1);
/// After an accept failed, for instance for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Takes the port, if it is on.
pub(super) async fn bind(address: &ListenAddress) -> Result<Option<TcpListener>, Error> {
    let ListenAddress::At { host, port } = address else { return Ok(None) };
    let listener = TcpListener::bind((host.as_str(), *port)).await.map_err(|error| {
        let hint = match error.kind() {
            std::io::ErrorKind::AddrInUse => "another program listens there",
            std::io::ErrorKind::AddrNotAvailable => "it is not an address of this machine",
            std::io::ErrorKind::PermissionDenied => "the system does not permit it",
            _ => "the system refuses",
        };
        Error::unavailable(format!("cannot listen for HTTP on {address}: {hint}")).caused_by(error)
    })?;
    Ok(Some(listener))
}

/// What HTTPS needs.
pub(super) fn acceptor(settings: &Settings) -> Result<Acceptor, Error> {
    let options = AcceptorOptions::from_settings(&settings.tls, &settings.limits)
        .ok_or_else(|| Error::invalid("https_addr is on, but tls.cert_file is missing"))?;
    Acceptor::load(AcceptorOptions {
        client_auth: settings.tls.https_client_auth,
        protocols: vec![b"http/1.1".to_vec()],
        ..options
    })
}

/// Serves until the front stops, then lets connections finish for a moment.
/// With an acceptor over TLS.
pub(super) async fn serve(front: Arc<Front>, listener: TcpListener, acceptor: Option<Acceptor>) {
    let mut connections = JoinSet::new();
    let connections_max = front.node.settings().limits.http_connections_max;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            () = front.stopped() => break,
        };
        match accepted {
            // One too many is closed at once.
            Ok((stream, _)) if connections.len() < connections_max => {
                connections.spawn(enter(Arc::clone(&front), stream, acceptor.clone()));
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "an HTTP connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let finished = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, finished).await.is_err() {
        connections.shutdown().await;
    }
}

/// Shakes hands, then serves.
async fn enter(front: Arc<Front>, stream: TcpStream, acceptor: Option<Acceptor>) {
    let peer = stream.peer_addr().ok();
    // Answers are whole: waiting to fill a segment only costs time.
    let _ = stream.set_nodelay(true);
    let Some(acceptor) = acceptor else {
        return connection(front, Stream::Plain(stream), peer).await;
    };
    let entered = tokio::select! {
        entered = acceptor.accept(stream) => entered,
        () = front.stopped() => return,
    };
    match entered {
        Ok(stream) => connection(front, stream, peer).await,
        Err(error) => tracing::info!(?peer, %error, "a TLS handshake failed"),
    }
}

async fn connection(front: Arc<Front>, stream: Stream, peer: Option<SocketAddr>) {
    let service = service_fn(|request| {
        let front = Arc::clone(&front);
        async move { Ok::<_, std::convert::Infallible>(dispatch::answer(&front, peer, request).await) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_MAX)
        .max_buf_size(HEADER_BYTES_MAX)
        .max_header_size(HEADER_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .title_case_headers(true)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = front.stopped() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(?peer, %error, "an HTTP connection ended badly");
    }
}
