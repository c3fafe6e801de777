//! A connection's socket, TLS or plain, and what was received through it.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWrite as _, AsyncWriteExt as _};

use super::connection::Peer;
use super::outbox::Outbox;
use crate::tls::Stream;

/// Room made for what is received next, at first and at most.
/// Idle connections keep the least, and most connections are idle.
const RECEIVE_BYTES: std::ops::RangeInclusive<usize> = 512..=256 << 10;

/// Every wait here may be given up and begun again: nothing is lost.
pub(super) struct Socket {
    stream: Stream,
    /// Received and not taken yet.
    pub(super) received: BytesMut,
    receive_bytes: usize,
    /// Whether something written may not have left.
    unflushed: bool,
    /// Whose counters what is received goes to.
    peer: Arc<Peer>,
}

impl Socket {
    pub(super) fn new(stream: Stream, peer: Arc<Peer>) -> Self {
        let receive_bytes = *RECEIVE_BYTES.start();
        Self { stream, received: BytesMut::new(), receive_bytes, unflushed: false, peer }
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
        self.received.reserve(self.receive_bytes);
        let reading = pin!(self.stream.read_buf(&mut self.received));
        let bytes = ready!(reading.poll(context))?;
        if bytes > 0 {
            self.peer.shared.counters.bytes_received.fetch_add(bytes as u64, Relaxed);
            // A full buffer says that there is more: take more at a time.
            let next = if bytes >= self.receive_bytes { bytes * 2 } else { bytes };
            self.receive_bytes = next.clamp(*RECEIVE_BYTES.start(), *RECEIVE_BYTES.end());
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
