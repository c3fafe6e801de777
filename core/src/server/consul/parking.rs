//! Waiting without hyper.
//!
//! A connection of hyper holds two buffers of 8 KiB, whatever its request does,
//! and most connections are there to wait: agents, templates and load balancers
//! have a blocking query open all day. So while a request that may wait for
//! long does, its connection is taken apart:
//!
//! ```text
//! hyper reads a request -> its answer is not ready -> the answer's future, the
//!       ^                                             socket and what came behind
//!       |                                             the request are kept
//!       +--- another hyper connection reads a         the rest of hyper goes
//!            stand-in for the request, and answers         |
//!            it with what was waited for    <--------------+ ready
//! ```
//!
//! The stand-in says of the request what the form of an answer depends on:
//! method, version, and whether the client wants the connection to end. What
//! waits is therefore HTTP/1.1, `GET`, and without a body.
//!
//! Nothing written is lost: a connection is taken apart only when all it had
//! to send left.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use hyper::body::Body;
use hyper::header::CONNECTION;
use hyper::{Method, Request, Response, Version};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::body::AnswerBody;
use crate::tls::Stream;

/// What a parked client may send ahead; it waits in the socket beyond that.
const AHEAD_BYTES_MAX: usize = 256;

/// An answer in the making.
pub(super) type Answering = Pin<Box<dyn Future<Output = Response<AnswerBody>> + Send>>;

/// A request that waits.
pub(super) struct Waiting {
    answering: Answering,
    /// The client wants the connection to end with the answer.
    ends: bool,
}

/// Where the service leaves what waits, and finds what was waited for.
#[derive(Default)]
pub(super) struct Parking {
    places: Mutex<Places>,
    /// The socket took less than it was given.
    unsent: AtomicBool,
}

#[derive(Default)]
struct Places {
    waiting: Option<Waiting>,
    answer: Option<Response<AnswerBody>>,
}

impl Parking {
    /// Waits for an answer here, unless [`Self::take_waiting`] takes it away:
    /// then never again.
    pub(super) async fn wait(&self, waiting: Waiting) -> Response<AnswerBody> {
        self.places().waiting = Some(waiting);
        std::future::poll_fn(|context| {
            let mut places = self.places();
            let Some(waiting) = &mut places.waiting else { return Poll::Pending };
            let answer = ready!(waiting.answering.as_mut().poll(context));
            places.waiting = None;
            Poll::Ready(answer)
        })
        .await
    }

    /// What waits, to be waited for elsewhere; not while something is unsent.
    pub(super) fn take_waiting(&self) -> Option<Waiting> {
        if self.unsent.load(Relaxed) { None } else { self.places().waiting.take() }
    }

    pub(super) fn take_answer(&self) -> Option<Response<AnswerBody>> {
        self.places().answer.take()
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Whether a request may have to wait, and may be parked for it.
    pub(super) fn is_for<B: Body>(request: &Request<B>) -> bool {
        let query = request.uri().query().unwrap_or_default();
        let waits = |part: &str| part.starts_with("index=") || part.starts_with("hash=");
        request.method() == Method::GET
            && request.version() == Version::HTTP_11
            && request.body().is_end_stream()
            && query.split('&').any(waits)
    }

    /// Whether the client wants the connection to end with this request.
    pub(super) fn ends<B>(request: &Request<B>) -> bool {
        let values = request.headers().get_all(CONNECTION).iter();
        let mut tokens =
            values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
        tokens.any(|token| token.trim().eq_ignore_ascii_case("close"))
    }

    pub(super) fn new(answering: Answering, ends: bool) -> Self {
        Self { answering, ends }
    }

    /// Waits for the answer; false if the client leaves first. With true, what
    /// `socket` reads next is a request that the service of `parking` answers
    /// with it. It is the connection's last if `stops` says so then.
    pub(super) async fn park(
        mut self,
        socket: &mut Socket,
        parking: &Parking,
        stops: impl FnOnce() -> bool,
    ) -> bool {
        let answer = std::future::poll_fn(|context| {
            if let Poll::Ready(answer) = self.answering.as_mut().poll(context) {
                return Poll::Ready(Some(answer));
            }
            match socket.poll_ahead(context) {
                Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
                Poll::Ready(Err(_)) => Poll::Ready(None),
            }
        })
        .await;
        let Some(answer) = answer else { return false };
        parking.places().answer = Some(answer);
        socket.put_stand_in(self.ends || stops());
        true
    }
}

/// The socket of a connection, and what is read before it.
pub(super) struct Socket {
    before: Bytes,
    stream: Stream,
    parking: Arc<Parking>,
}

impl Socket {
    pub(super) fn new(stream: Stream, parking: Arc<Parking>) -> Self {
        Self { before: Bytes::new(), stream, parking }
    }

    /// Reads this again: it was read and not used.
    pub(super) fn put_back(&mut self, unused: &[u8]) {
        self.before = Bytes::from([unused, &self.before[..]].concat());
    }

    fn put_stand_in(&mut self, ends: bool) {
        const GOES_ON: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
        const ENDS: &[u8] = b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n";
        let stand_in = if ends { ENDS } else { GOES_ON };
        if self.before.is_empty() {
            self.before = Bytes::from_static(stand_in);
        } else {
            self.put_back(stand_in);
        }
    }

    /// Takes what a client sends ahead of its answer, which also tells when it
    /// leaves: as an error. Ready once there is something ahead.
    fn poll_ahead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.before.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let mut room = [0; AHEAD_BYTES_MAX];
        let mut buffer = ReadBuf::new(&mut room);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
        if buffer.filled().is_empty() {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        self.before = Bytes::copy_from_slice(buffer.filled());
        Poll::Ready(Ok(()))
    }

    fn note<T>(&self, sent: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.parking.unsent.store(sent.is_pending(), Relaxed);
        sent
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let socket = self.get_mut();
        if socket.before.is_empty() {
            return Pin::new(&mut socket.stream).poll_read(context, buffer);
        }
        let bytes = socket.before.len().min(buffer.remaining());
        buffer.put_slice(&socket.before[..bytes]);
        socket.before.advance(bytes);
        if socket.before.is_empty() {
            socket.before = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let socket = self.get_mut();
        let sent = Pin::new(&mut socket.stream).poll_write(context, bytes);
        socket.note(sent)
    }

    // Heads and bodies go out together, not copied into one another first.
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let socket = self.get_mut();
        let sent = Pin::new(&mut socket.stream).poll_write_vectored(context, parts);
        socket.note(sent)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = self.get_mut();
        let sent = Pin::new(&mut socket.stream).poll_flush(context);
        socket.note(sent)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
