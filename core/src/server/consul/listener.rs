//! Accepting connections, and ending them.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, UNIX_EPOCH};

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};
use tokio::task::JoinSet;

use super::body::AnswerBody;
use super::parking::{Parking, Socket, Waiting};
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
/// Connections the system holds for us until we accept them; it may hold fewer.
/// With one too many its client waits seconds, until it tries again.
const BACKLOG: u32 = 4096;
/// After an accept failed, for instance for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Takes the port, if it is on.
pub(super) async fn bind(address: &ListenAddress) -> Result<Option<TcpListener>, Error> {
    let ListenAddress::At { host, port } = address else { return Ok(None) };
    let listener = listen(host, *port).await.map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::AddrInUse => "another program listens there",
            io::ErrorKind::AddrNotAvailable => "it is not an address of this machine",
            io::ErrorKind::PermissionDenied => "the system does not permit it",
            _ => "the system refuses",
        };
        Error::unavailable(format!("cannot listen for HTTP on {address}: {hint}")).caused_by(error)
    })?;
    Ok(Some(listener))
}

async fn listen(host: &str, port: u16) -> io::Result<TcpListener> {
    let at = |address: SocketAddr| {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    let mut refused = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in lookup_host((host, port)).await? {
        match at(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => refused = error,
        }
    }
    Err(refused)
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
        // Boxed: a handshake is large, and over soon.
        entered = Box::pin(acceptor.accept(stream)) => entered,
        () = front.stopped() => return,
    };
    match entered {
        Ok(stream) => connection(front, stream, peer).await,
        Err(error) => tracing::info!(?peer, %error, "a TLS handshake failed"),
    }
}

async fn connection(front: Arc<Front>, stream: Stream, peer: Option<SocketAddr>) {
    let parking = Arc::new(Parking::default());
    let mut socket = Socket::new(stream, Arc::clone(&parking));
    loop {
        let service = service_fn(|request| answer(&front, peer, request, &parking));
        // Apart, because it is large, and gone while its request waits.
        let mut serving = Box::new(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_READ_MAX)
                .max_buf_size(HEADER_BYTES_MAX)
                .max_header_size(HEADER_BYTES_MAX)
                .max_headers(HEADERS_MAX)
                .title_case_headers(true)
                .serve_connection(TokioIo::new(socket), service),
        );
        let waiting = tokio::select! {
            // An answer that was waited for goes out even when all ends.
            biased;
            served = served(&mut serving, &parking) => served,
            () = front.stopped() => {
                Pin::new(&mut *serving).graceful_shutdown();
                (&mut *serving).await.map(|()| None)
            }
        };
        let waiting = match waiting {
            Ok(Some(waiting)) => waiting,
            Ok(None) => return,
            Err(error) => return tracing::debug!(?peer, %error, "an HTTP connection ended badly"),
        };
        let parts = serving.into_parts();
        socket = parts.io.into_inner();
        socket.put_back(&parts.read_buf);
        drop((parts.read_buf, parts.service));
        let date = || UNIX_EPOCH + Duration::from_millis(front.node.clock().wall_ms());
        let parked = waiting.park(&mut socket, date, || *front.stopping.borrow()).await;
        if !matches!(parked, Ok(true)) {
            return;
        }
        // Nor does a connection whose client has nothing to ask need any buffers.
        tokio::select! {
            filled = tokio::time::timeout(HEADER_READ_MAX, socket.filled()) => {
                if !matches!(filled, Ok(Ok(()))) {
                    return;
                }
            }
            () = front.stopped() => return,
        }
    }
}

/// Serves until the connection ends, or has a request that waits.
async fn served<S: HttpService<Incoming, ResBody = AnswerBody>>(
    serving: &mut http1::Connection<TokioIo<Socket>, S>,
    parking: &Parking,
) -> hyper::Result<Option<Waiting>>
where
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    std::future::poll_fn(|context| match Pin::new(&mut *serving).poll(context) {
        Poll::Ready(ended) => Poll::Ready(ended.map(|()| None)),
        Poll::Pending => match parking.take_waiting() {
            Some(waiting) => Poll::Ready(Ok(Some(waiting))),
            None => Poll::Pending,
        },
    })
    .await
}

async fn answer(
    front: &Arc<Front>,
    peer: Option<SocketAddr>,
    request: Request<Incoming>,
    parking: &Parking,
) -> Result<Response<AnswerBody>, Infallible> {
    let (waits, ends) = (Waiting::is_for(&request), Waiting::ends(&request));
    let begun = dispatch::begin(front, peer, request);
    if !waits {
        return Ok(begun.answer(front).await);
    }
    let front = Arc::clone(front);
    let answering = async move { begun.answer(&front).await };
    Ok(parking.wait(Waiting::new(Box::pin(answering), ends)).await)
}
