//! DNS over TCP: each message has a length prefix.

use std::time::Duration;

use coord_wire::dns::Transport;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::places::{Place, Places};
use super::respond::{Respond, Response};
use super::stopped;
use crate::clock;
use crate::server::descriptors;

/// Connections at a time. For one more, one that is idle is closed.
pub(super) const CONNECTIONS_MAX: usize = 256;

/// Connections of one address at a time; the same holds among them.
pub(super) const CONNECTIONS_PER_ADDRESS_MAX: usize = 128;

/// A longer question closes the connection.
pub(super) const QUERY_BYTES_MAX: usize = 4096;

/// How long a client may take for one question, and for taking one answer.
const IDLE_MAX: Duration = Duration::from_secs(10);

/// Out of files or memory: accepting again at once would fail again.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(20);

/// Accepts connections until stopped, then closes them all.
pub(super) async fn serve(
    listener: TcpListener,
    respond: Respond,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    let places = Places::new(CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS_MAX);
    loop {
        let accepted = tokio::select! {
            () = stopped(&mut stop) => break,
            Some(_ended) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, client)) if descriptors::are_scarce_with(&stream) => {
                tracing::debug!(
                    %client,
                    "refusing a DNS connection: the process is close to its limit of open files"
                );
            }
            Ok((stream, client)) => match places.enter(client.ip()) {
                Some(place) => {
                    connections.spawn(converse(stream, place, Respond::clone(&respond)));
                }
                None => tracing::debug!(%client, "refusing a DNS connection: too many are open"),
            },
            Err(error) => {
                tracing::debug!(%error, "cannot accept a DNS connection");
                clock::sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }
    connections.shutdown().await;
}

/// Answers one connection's questions in order, until it ends, idles, sends
/// what cannot be answered, or has to make room while it idles.
async fn converse(mut stream: TcpStream, place: Place, respond: Respond) {
    loop {
        let received = tokio::select! {
            received = clock::timeout(IDLE_MAX, receive(&mut stream)) => received,
            () = place.dismissed() => return,
        };
        let Some(Some(packet)) = received else { return };
        place.set_idle(false);
        let reply = match respond(&packet, Transport::Tcp) {
            Response::Now(Some(reply)) => reply,
            Response::Now(None) => return,
            Response::Later(reply) => reply.await,
        };
        let sent = clock::timeout(IDLE_MAX, send(&mut stream, &reply)).await;
        if !matches!(sent, Some(Ok(()))) {
            return;
        }
        place.set_idle(true);
    }
}

async fn receive(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let len = usize::from(stream.read_u16().await.ok()?);
    if len > QUERY_BYTES_MAX {
        return None;
    }
    let mut packet = vec![0; len];
    stream.read_exact(&mut packet).await.ok()?;
    Some(packet)
}

pub(super) async fn send(stream: &mut TcpStream, reply: &[u8]) -> std::io::Result<()> {
    let len = u16::try_from(reply.len()).map_err(std::io::Error::other)?;
    let mut framed = Vec::with_capacity(reply.len() + 2);
    framed.extend_from_slice(&len.to_be_bytes());
    framed.extend_from_slice(reply);
    stream.write_all(&framed).await
}
