//! One datagram in, at most one out.

use std::time::Duration;

use coord_wire::dns::Transport;
use tokio::net::UdpSocket;
use tokio::sync::watch;

use super::respond::Respond;
use super::stopped;
use crate::clock;

/// No question is longer; what is gets cut here and is then malformed.
const QUERY_BYTES_MAX: usize = 4096;

/// A socket that fails at once must not be asked in a loop.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(20);

/// Answers datagrams one after the other until stopped. What comes faster
/// waits in the socket's own buffer and is lost when that is full.
pub(super) async fn serve(socket: UdpSocket, respond: Respond, mut stop: watch::Receiver<bool>) {
    let mut buffer = vec![0; QUERY_BYTES_MAX];
    loop {
        let received = tokio::select! {
            () = stopped(&mut stop) => return,
            received = socket.recv_from(&mut buffer) => received,
        };
        match received {
            Ok((len, client)) => {
                let packet = buffer.get(..len).unwrap_or_default();
                if let Some(reply) = respond(packet, Transport::Udp)
                    && let Err(error) = socket.send_to(&reply, client).await
                {
                    tracing::debug!(%client, %error, "a DNS answer was not sent");
                }
            }
            Err(error) => {
                tracing::debug!(%error, "no DNS question could be received");
                clock::sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }
}
