//! The leader's heartbeats to one peer, on a separate connection.
//!
//! openraft abandons a heartbeat when the next is due. The connection stays
//! open nevertheless: if each one needed a new connection and handshake, none
//! would reach a peer with a longer round trip or a slower disk.
//!
//! It is also the first to notice that the peer is reachable again after a
//! partition.

use std::sync::Arc;
use std::time::{Duration, Instant};

use coord_state::MemberId;
use tokio::sync::{mpsc, oneshot};

use super::lifetime::timeout;
use super::peer_frame::{Connection, PeerError, Purpose};
use super::peer_link::Peers;
use super::peer_message::{AppendResult, decode_append_result};

/// Heartbeats that wait behind one without an answer; only the newest is sent.
const WAITING_MAX: usize = 64;
/// Time for a peer to take a heartbeat, and again to answer it. Its answer waits
/// for its disk.
const STALL: Duration = Duration::from_secs(2);

/// Sends heartbeats to one peer; clones share the connection.
#[derive(Debug, Clone)]
pub(super) struct Heartbeats(mpsc::Sender<Heartbeat>);

#[derive(Debug)]
struct Heartbeat {
    frame: Vec<u8>,
    answer: oneshot::Sender<Result<AppendResult, PeerError>>,
}

impl Heartbeats {
    /// Starts what sends them; it ends with the last clone.
    pub(super) fn start(peers: &Arc<Peers>, peer: MemberId) -> Self {
        let (sender, heartbeats) = mpsc::channel(WAITING_MAX);
        let sending = send_all(peers.clone(), peer, heartbeats);
        peers.transport.lifetime.spawn(sending);
        Self(sender)
    }

    /// Sends one, framed, and waits for the answer to it.
    pub(super) async fn send(&self, frame: Vec<u8>) -> Result<AppendResult, PeerError> {
        let behind = || PeerError::Broken("heartbeats wait for an answer".to_owned());
        let (answer, answered) = oneshot::channel();
        self.0.try_send(Heartbeat { frame, answer }).map_err(|_| behind())?;
        answered.await.unwrap_or_else(|_| Err(behind()))
    }
}

async fn send_all(peers: Arc<Peers>, peer: MemberId, mut heartbeats: mpsc::Receiver<Heartbeat>) {
    let mut connection = None;
    let mut interrupted = None;
    while let Some(mut heartbeat) = heartbeats.recv().await {
        while let Ok(newer) = heartbeats.try_recv() {
            heartbeat = newer;
        }
        let began = Instant::now();
        let outcome = exchange(&peers, peer, &mut connection, &heartbeat.frame).await;
        match &outcome {
            Ok(_) => {
                if let Some(since) = interrupted.take() {
                    peers.path(peer).restored(since);
                }
            }
            Err(_) => _ = interrupted.get_or_insert(began),
        }
        // It may have been given up.
        let _ = heartbeat.answer.send(outcome);
    }
}

async fn exchange(
    peers: &Peers,
    peer: MemberId,
    connection: &mut Option<Connection>,
    frame: &[u8],
) -> Result<AppendResult, PeerError> {
    let stalled = || PeerError::Broken("the peer does not answer heartbeats".to_owned());
    let mut open = match connection.take() {
        Some(open) => open,
        None => peers.connect(peer, Purpose::Heartbeat).await?,
    };
    timeout(STALL, open.writer.send(frame)).await.ok_or_else(stalled)??;
    let answer = timeout(STALL, open.reader.next()).await.ok_or_else(stalled)??;
    let answer =
        answer.ok_or_else(|| PeerError::Broken("the peer closed the connection".to_owned()))?;
    let answer = decode_append_result(answer)?;
    // The peer closes after a refusal.
    if answer.is_ok() {
        *connection = Some(open);
    }
    Ok(answer)
}
