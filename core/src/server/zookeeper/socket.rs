//! The socket of a connection, TLS or plaintext, with its receive buffer.

use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWrite as _, AsyncWriteExt as _, ReadBuf};

use super::client_connection::ClientConnection;
use super::outbox::Outbox;
use crate::tls::Stream;

/// Room made for what is received next, at most.
const RECEIVE_BYTES_MAX: usize = 256 << 10;
/// What is expected to be no more than this is received without room of its own:
/// most connections are idle, and keep none.
const SMALL: usize = 1 << 10;

/// Every wait here may be given up and begun again: nothing is lost.
pub(super) struct Socket {
    stream: Stream,
    /// Received and not taken yet.
    pub(super) received: BytesMut,
    receive_bytes: usize,
    /// Whether anything came since this was set to false.
    pub(super) heard: bool,
    /// Whether something written may not have left.
    unflushed: bool,
    /// Whose counters what is received goes to.
    client: Arc<ClientConnection>,
}

impl Socket {
    pub(super) fn new(stream: Stream, client: Arc<ClientConnection>) -> Self {
        Self {
            stream,
            received: BytesMut::new(),
            receive_bytes: SMALL,
            heard: false,
            unflushed: false,
            client,
        }
    }

    /// Waits for more. False if the client is done sending.
    pub(super) async fn receive(&mut self) -> io::Result<bool> {
        std::future::poll_fn(|context| self.poll_receive(context)).await
    }

    /// Sends as much as the socket takes now, without waiting.
    pub(super) async fn send(&mut self, outbox: &mut Outbox) -> io::Result<()> {
        std::future::poll_fn(|context| match self.poll_send(context, outbox) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(())),
        })
        .await
    }

    /// Sends everything.
    pub(super) async fn send_all(&mut self, outbox: &mut Outbox) -> io::Result<()> {
        std::future::poll_fn(|context| self.poll_send(context, outbox)).await
    }

    /// Waits until some of what is to be sent was, or, if that is wanted,
    /// something came. False if the client is done sending.
    pub(super) async fn exchange(
        &mut self,
        outbox: &mut Outbox,
        wants_to_read: bool,
    ) -> io::Result<bool> {
        std::future::poll_fn(|context| {
            let unsent = outbox.len();
            if unsent > 0 || self.unflushed {
                match self.poll_send(context, outbox) {
                    Poll::Ready(sent) => return Poll::Ready(sent.map(|()| true)),
                    Poll::Pending if outbox.len() < unsent => return Poll::Ready(Ok(true)),
                    Poll::Pending => {}
                }
            }
            if wants_to_read { self.poll_receive(context) } else { Poll::Pending }
        })
        .await
    }

    /// Says that nothing more will be sent.
    pub(super) async fn shutdown(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let bytes = if self.receive_bytes > SMALL {
            self.received.reserve(self.receive_bytes);
            let reading = pin!(self.stream.read_buf(&mut self.received));
            ready!(reading.poll(context))?
        } else {
            if self.received.is_empty() {
                self.received = BytesMut::new();
            }
            let mut limit = [MaybeUninit::uninit(); SMALL];
            let mut buffer = ReadBuf::uninit(&mut limit);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
            self.received.extend_from_slice(buffer.filled());
            buffer.filled().len()
        };
        if bytes > 0 {
            self.heard = true;
            self.client.shared.counters.bytes_received.fetch_add(bytes as u64, Relaxed);
            // A full buffer says that there is more: take more at a time.
            let next = if bytes >= self.receive_bytes { bytes * 2 } else { bytes };
            self.receive_bytes = next.clamp(SMALL, RECEIVE_BYTES_MAX);
        }
        Poll::Ready(Ok(bytes > 0))
    }

    fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        outbox: &mut Outbox,
    ) -> Poll<io::Result<()>> {
        while !outbox.is_empty() {
            let bytes = ready!(Pin::new(&mut self.stream).poll_write(context, outbox.unsent()))?;
            if bytes == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            outbox.advance(bytes);
            self.unflushed = true;
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(context))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }
}
