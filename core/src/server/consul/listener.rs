//! Accepts and closes HTTP connections.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, UNIX_EPOCH};

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::http::body::AnswerBody;
use super::http::kept::Kept;
use super::http::parking::{Parking, Socket, Waiting};
use super::{ConsulApi, dispatch};
use crate::clock::Throttle;
use crate::error::Error;
use crate::server::descriptors;
use crate::settings::{Limits, Settings};
use crate::tls::{Acceptor, AcceptorOptions, Stream};

/// Bounds a slow head, and an idle connection with it.
const HEADER_READ_MAX: Duration = Duration::from_secs(120);
const HEADER_BYTES_MAX: usize = 1 << 20;
const HEADERS_MAX: usize = 256;
/// How long connections may take to end when the server stops.
const GRACE: Duration = Duration::from_secs(1);
/// What Consul says to a client with too many connections.
const ONE_TOO_MANY: &str = "HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain\r\n\
     Connection: close\r\n\r\n\
     Your IP is issuing too many concurrent connections, please rate limit your calls\n";
/// How many are told so at once; more are closed without a word.
const REFUSALS_MAX: usize = 64;
/// After an accept failed, for instance for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often that is logged.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

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

/// Serves until the server stops, then lets connections finish for a moment.
/// With an acceptor over TLS.
pub(super) async fn serve(api: Arc<ConsulApi>, listener: TcpListener, acceptor: Option<Acceptor>) {
    let mut connections = JoinSet::new();
    let Limits { http_connections_max, http_connections_per_ip_max, .. } =
        api.node.settings().limits;
    let mut of_address: HashMap<IpAddr, usize> = HashMap::new();
    let mut refusals = JoinSet::new();
    let complaints = Throttle::new(COMPLAIN_EVERY);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(ended) = connections.join_next() => {
                if let Ok(address) = ended
                    && let Some(own) = of_address.get_mut(&address)
                {
                    *own -= 1;
                    if *own == 0 {
                        of_address.remove(&address);
                    }
                }
                continue;
            }
            () = api.stopped() => break,
        };
        match accepted {
            Ok((stream, peer)) if descriptors::are_scarce_with(&stream) => {
                if complaints.admits() {
                    tracing::warn!(
                        %peer,
                        "refusing an HTTP client: the process is close to its limit of open \
                         files (ulimit -n)"
                    );
                }
            }
            // One too many is closed at once.
            Ok(_) if connections.len() >= http_connections_max => {}
            Ok((stream, client)) => {
                let address = client.ip().to_canonical();
                let own = of_address.get(&address).copied().unwrap_or(0);
                if own >= http_connections_per_ip_max {
                    while refusals.try_join_next().is_some() {}
                    if acceptor.is_none() && refusals.len() < REFUSALS_MAX {
                        refusals.spawn(tokio::time::timeout(GRACE, refuse(stream)));
                    }
                    continue;
                }
                of_address.insert(address, own + 1);
                let entering = enter(Arc::clone(&api), stream, acceptor.clone());
                connections.spawn(async move {
                    entering.await;
                    address
                });
            }
            Err(error) => {
                if complaints.admits() {
                    tracing::warn!(%error, "cannot accept an HTTP connection");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    refusals.shutdown().await;
    let finished = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, finished).await.is_err() {
        connections.shutdown().await;
    }
}

/// Tells a client that it has too many connections. What it sent is read away:
/// to close before would take the answer from it.
async fn refuse(mut stream: TcpStream) {
    if stream.write_all(ONE_TOO_MANY.as_bytes()).await.is_err() || stream.shutdown().await.is_err()
    {
        return;
    }
    let mut away = [0; 1024];
    while matches!(stream.read(&mut away).await, Ok(1..)) {}
}

/// Shakes hands, then serves.
async fn enter(api: Arc<ConsulApi>, stream: TcpStream, acceptor: Option<Acceptor>) {
    let peer = stream.peer_addr().ok();
    // Answers are whole: waiting to fill a segment only costs time.
    let _ = stream.set_nodelay(true);
    let Some(acceptor) = acceptor else {
        return connection(api, Stream::Plain(stream), peer).await;
    };
    let entered = tokio::select! {
        // Boxed: a handshake is large, and over soon.
        entered = Box::pin(acceptor.accept(stream)) => entered,
        () = api.stopped() => return,
    };
    match entered {
        Ok(stream) => connection(api, stream, peer).await,
        Err(error) => tracing::info!(?peer, %error, "a TLS handshake failed"),
    }
}

async fn connection(api: Arc<ConsulApi>, stream: Stream, peer: Option<SocketAddr>) {
    let parking = Arc::new(Parking::default());
    let address = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
    let kept = Kept::new(api.bytes.share(address));
    let mut socket = Socket::new(stream, Arc::clone(&parking), Arc::clone(&kept));
    loop {
        let service = service_fn(|request| answer(&api, peer, request, &parking, &kept));
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
            () = api.stopped() => {
                Pin::new(&mut *serving).graceful_shutdown();
                (&mut *serving).await.map(|()| None)
            }
            () = kept.evicted() => {
                tracing::debug!(?peer, "closing the HTTP connection that uses the most memory");
                // What is kept is free at once. Only that a request was too much, which
                // takes next to nothing, still gets to its client, if it takes it.
                if kept.refused() {
                    Pin::new(&mut *serving).graceful_shutdown();
                    let _ = tokio::time::timeout(GRACE, &mut *serving).await;
                }
                return;
            }
        };
        let waiting = match waiting {
            Ok(Some(waiting)) => waiting,
            Ok(None) => return,
            Err(error) => return tracing::debug!(?peer, %error, "an HTTP connection failed"),
        };
        let parts = serving.into_parts();
        socket = parts.io.into_inner();
        socket.put_back(&parts.read_buf);
        drop((parts.read_buf, parts.service));
        let date = || UNIX_EPOCH + Duration::from_millis(api.node.clock().wall_ms());
        let parked = tokio::select! {
            parked = waiting.park(&mut socket, date, || *api.stopping.borrow()) => parked,
            () = kept.evicted() => return,
        };
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
            () = api.stopped() => return,
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
    api: &Arc<ConsulApi>,
    peer: Option<SocketAddr>,
    request: Request<Incoming>,
    parking: &Parking,
    kept: &Arc<Kept>,
) -> Result<Response<AnswerBody>, Infallible> {
    let (can_park, ends) = (Waiting::can_park(&request), Waiting::ends(&request));
    let begun = dispatch::begin(api, peer, request, kept);
    if !(can_park && begun.may_wait()) {
        return Ok(begun.answer(api).await);
    }
    let api = Arc::clone(api);
    let answering = async move { begun.answer(&api).await };
    Ok(parking.wait(Waiting::new(Box::pin(answering), ends)).await)
}
