//! Parks waiting connections outside hyper, to save memory.
//!
//! A hyper connection holds two buffers of 8 KiB, whatever its request does,
//! and most connections just wait: agents, templates and load balancers keep a
//! blocking query open all day. So while such a request waits, its connection
//! is taken apart:
//!
//! ```text
//! hyper reads a request -> its answer is not ready -> the answer's future, the
//!       ^                                             socket and what came behind
//!       |                                             the request are kept
//!       +--- the client sends what comes next         the rest of hyper goes
//!                          ^                               |
//!                          +--- the answer is written <----+ ready
//! ```
//!
//! So a thousand clients that wake at once need no buffers either. Responses
//! written here, in `response_head`, are identical to hyper's; only hyper reads
//! requests. Only HTTP/1.1 `GET` requests without a body are parked.
//!
//! No output is lost: a connection is taken apart only after everything before
//! was sent.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use bytes::{Buf as _, Bytes};
use hyper::body::Body;
use hyper::header::CONNECTION;
use hyper::{Method, Request, Response, Version};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::time::Sleep;

use super::body::AnswerBody;
use super::kept::Kept;
use super::response_head::{Length, chunk, head};
use crate::sync::{Mutex, MutexGuard};
use crate::tls::Stream;

/// What a parked client may send ahead; it waits in the socket beyond that.
const AHEAD_BYTES_MAX: usize = 256;

/// A client that takes nothing of an answer for so long has gone.
const STALL_MAX: Duration = Duration::from_secs(60);

/// An answer in the making.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Response<AnswerBody>> + Send>>;

/// A request that waits.
pub(crate) struct Waiting {
    answering: Answering,
    /// The client wants the connection to end with the answer.
    ends: bool,
}

/// Where the service leaves what waits.
#[derive(Default)]
pub(crate) struct Parking {
    waiting: Mutex<Option<Waiting>>,
    /// The socket took less than it was given.
    unsent: AtomicBool,
}

impl Parking {
    /// Waits for an answer here, unless [`Self::take_waiting`] takes it away:
    /// then never again.
    pub(crate) async fn wait(&self, waiting: Waiting) -> Response<AnswerBody> {
        *self.waiting() = Some(waiting);
        std::future::poll_fn(|context| {
            let mut place = self.waiting();
            let Some(waiting) = &mut *place else { return Poll::Pending };
            let answer = ready!(waiting.answering.as_mut().poll(context));
            *place = None;
            Poll::Ready(answer)
        })
        .await
    }

    /// What waits, to be waited for elsewhere; not while something is unsent.
    pub(crate) fn take_waiting(&self) -> Option<Waiting> {
        if self.unsent.load(Relaxed) { None } else { self.waiting().take() }
    }

    fn waiting(&self) -> MutexGuard<'_, Option<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Whether a request may be parked, if it has to wait.
    pub(crate) fn can_park<B: Body>(request: &Request<B>) -> bool {
        request.method() == Method::GET
            && request.version() == Version::HTTP_11
            && request.body().is_end_stream()
    }

    /// Whether the client wants the connection to end with this request.
    pub(crate) fn ends<B>(request: &Request<B>) -> bool {
        let values = request.headers().get_all(CONNECTION).iter();
        let mut tokens =
            values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
        tokens.any(|token| token.trim().eq_ignore_ascii_case("close"))
    }

    pub(crate) fn new(answering: Answering, ends: bool) -> Self {
        Self { answering, ends }
    }

    /// Waits for the answer and sends it. False if that was the connection's end:
    /// the client left, or wanted it, or `stops` says so once there is an answer.
    pub(crate) async fn park(
        mut self,
        socket: &mut Socket,
        date: impl FnOnce() -> SystemTime,
        stops: impl FnOnce() -> bool,
    ) -> io::Result<bool> {
        let answer = std::future::poll_fn(|context| {
            if let Poll::Ready(answer) = self.answering.as_mut().poll(context) {
                return Poll::Ready(Ok(answer));
            }
            match socket.poll_ahead(context) {
                Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            }
        })
        .await?;
        let ends = self.ends || stops();
        socket.send(answer, date(), ends).await?;
        if ends {
            socket.stream.shutdown().await?;
        }
        Ok(!ends)
    }
}

/// The socket of a connection, and what is read before it.
pub(crate) struct Socket {
    before: Bytes,
    stream: Stream,
    parking: Arc<Parking>,
    kept: Arc<Kept>,
    /// Runs while the client takes nothing of what is sent.
    stalls: Option<Pin<Box<Sleep>>>,
}

impl Socket {
    pub(crate) fn new(stream: Stream, parking: Arc<Parking>, kept: Arc<Kept>) -> Self {
        Self { before: Bytes::new(), stream, parking, kept, stalls: None }
    }

    /// Reads this again: it was read and not used.
    pub(crate) fn put_back(&mut self, unused: &[u8]) {
        self.before = Bytes::from([unused, &self.before[..]].concat());
    }

    /// Waits until the client sends something.
    ///
    /// # Errors
    /// `UnexpectedEof` if it leaves instead.
    pub(crate) async fn filled(&mut self) -> io::Result<()> {
        std::future::poll_fn(|context| self.poll_ahead(context)).await
    }

    async fn send(
        &mut self,
        answer: Response<AnswerBody>,
        date: SystemTime,
        ends: bool,
    ) -> io::Result<()> {
        let (parts, body) = answer.into_parts();
        match body {
            AnswerBody::Whole(body) => {
                let head = head(&parts, Length::Known(body.len()), ends, date);
                self.write_all_buf(&mut Bytes::from(head).chain(body)).await?;
            }
            AnswerBody::Parts(mut body) => {
                let head = head(&parts, Length::Chunked, ends, date);
                self.write_all(&head).await?;
                while let Some(part) = body.recv().await.transpose()? {
                    self.write_all_buf(&mut chunk(part)).await?;
                    self.flush().await?;
                }
                self.write_all_buf(&mut chunk(Bytes::new())).await?;
            }
        }
        self.flush().await
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

    /// Notes whether the client takes what is sent. One that takes nothing for
    /// long is given up: whoever sends keeps the rest for it.
    fn note<T>(
        &mut self,
        context: &mut Context<'_>,
        sent: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        self.parking.unsent.store(sent.is_pending(), Relaxed);
        if sent.is_ready() {
            self.stalls = None;
            return sent;
        }
        let stalls = self.stalls.get_or_insert_with(|| Box::pin(tokio::time::sleep(STALL_MAX)));
        ready!(stalls.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
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
            let filled = buffer.filled().len();
            ready!(Pin::new(&mut socket.stream).poll_read(context, buffer))?;
            // Where that is too much, whoever waits for it hears of it elsewhere.
            let _ = socket.kept.read(buffer.filled().len() - filled);
            return Poll::Ready(Ok(()));
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
        socket.note(context, sent)
    }

    // Heads and bodies go out together, not copied into one another first.
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let socket = self.get_mut();
        let sent = Pin::new(&mut socket.stream).poll_write_vectored(context, parts);
        socket.note(context, sent)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = self.get_mut();
        let sent = Pin::new(&mut socket.stream).poll_flush(context);
        socket.note(context, sent)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
