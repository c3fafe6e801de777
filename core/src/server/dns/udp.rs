//! DNS over UDP: at most one response per datagram.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use coord_wire::dns::Transport;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::respond::{Respond, Response};
use super::stopped;
use crate::clock;

/// No question is longer; what is gets cut here and is then malformed.
const QUERY_BYTES_MAX: usize = 4096;

/// A socket that fails at once must not be asked in a loop.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(20);

/// Questions at a time for which other servers are asked. Further ones are
/// dropped; clients ask again.
const FORWARDS_MAX: usize = 512;

/// The same for one address, so that others have theirs.
const FORWARDS_PER_ADDRESS_MAX: usize = 64;

/// Datagrams taken before others of this member get their turn.
const TURN_MAX: usize = 32;

/// Answers datagrams one after the other until stopped. What comes faster
/// waits in the socket's own buffer and is lost when that is full.
pub(super) async fn serve(socket: UdpSocket, respond: Respond, mut stop: watch::Receiver<bool>) {
    let socket = Arc::new(socket);
    let mut forwards = JoinSet::new();
    let mut forwards_of: HashMap<IpAddr, usize> = HashMap::new();
    let mut buffer = vec![0; QUERY_BYTES_MAX];
    'wakes: loop {
        tokio::select! {
            () = stopped(&mut stop) => break,
            Some(ended) = forwards.join_next() => {
                if let Ok(client) = ended {
                    ended_one(&mut forwards_of, client);
                }
                continue;
            }
            // What is wrong with the socket, receiving will tell.
            _ = socket.readable() => {}
        }
        // Waking up costs more than an answer: whoever is awake answers all there is.
        for _ in 0..TURN_MAX {
            let (len, client) = match socket.try_recv_from(&mut buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue 'wakes,
                Err(error) => {
                    tracing::debug!(%error, "cannot receive a DNS query");
                    clock::sleep(PAUSE_AFTER_ERROR).await;
                    continue 'wakes;
                }
            };
            let packet = buffer.get(..len).unwrap_or_default();
            match respond(packet, Transport::Udp) {
                Response::Now(None) => {}
                Response::Now(Some(reply)) => send(&socket, &reply, client).await,
                Response::Later(reply) => {
                    while let Some(Ok(client)) = forwards.try_join_next() {
                        ended_one(&mut forwards_of, client);
                    }
                    let own = forwards_of.get(&client.ip()).copied().unwrap_or(0);
                    if forwards.len() >= FORWARDS_MAX || own >= FORWARDS_PER_ADDRESS_MAX {
                        tracing::debug!(
                            %client,
                            "dropping a DNS query: too many are being forwarded"
                        );
                        continue;
                    }
                    forwards_of.insert(client.ip(), own + 1);
                    let socket = Arc::clone(&socket);
                    forwards.spawn(async move {
                        send(&socket, &reply.await, client).await;
                        client.ip()
                    });
                }
            }
        }
        // There is more, but not for it alone.
        tokio::task::yield_now().await;
    }
    forwards.shutdown().await;
}

/// Counts one question less that is being forwarded for a client.
fn ended_one(forwards_of: &mut HashMap<IpAddr, usize>, client: IpAddr) {
    if let Some(own) = forwards_of.get_mut(&client) {
        *own -= 1;
        if *own == 0 {
            forwards_of.remove(&client);
        }
    }
}

async fn send(socket: &UdpSocket, reply: &[u8], client: SocketAddr) {
    let sent = match socket.try_send_to(reply, client) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => socket.send_to(reply, client).await,
        sent => sent,
    };
    if let Err(error) = sent {
        tracing::debug!(%client, %error, "cannot send a DNS response");
    }
}
