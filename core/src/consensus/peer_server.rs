//! Serves the connections of other members.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use coord_state::MemberId;
use coord_state::codec::{Decode, Encode, Input};
use futures_util::stream::{self, StreamExt};
use openraft::async_runtime::watch::WatchReceiver as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};

use super::acquaintance::Acquaintance;
use super::dead_leader::Granted;
use super::first_members::{BootstrapState, FirstMembers};
use super::leader_contact::LeaderContact;
use super::lifetime::pause;
use super::log_rules::LogRules;
use super::member::Consensus;
use super::peer_admission::{Admission, Place};
use super::peer_claims::{check_candidate, check_vote};
use super::peer_frame::{Connection, FrameReader, FrameWriter, PeerError, Purpose, framed};
use super::peer_link::{
    ANSWERED, CALL_CONFIRM, CALL_LEADS, CALL_MEET, CALL_PRE_VOTE, CALL_SERVICE, CALL_STANDING,
    CALL_TRANSFER, CALL_VOTE, CALL_VOTED, Peers,
};
use super::peer_message::{
    decode_append, decode_snapshot_offer, decode_transfer, decode_vote_request,
    encode_append_result, encode_vote, encode_vote_response,
};
use super::peer_service::PeerService;
use super::peer_transport::PeerTransport;
use super::snapshot_transfer::receive_snapshot;
use super::state_machine::Raft;
use super::types::{LogId, RaftSnapshot, Vote, decode_snapshot_meta};
use crate::clock::Throttle;
use crate::storage::SnapshotStore;

/// Connections of peers at once, beside those that have not said yet whose they
/// are; further ones are closed.
const CONNECTIONS_MAX: usize = 1024;
/// Calls of one connection in progress; further ones wait in its socket.
const CALLS_MAX: usize = 256;
const REFUSED: u8 = 1;

/// Serves the connections of peers.
#[derive(Clone)]
pub(super) struct PeerServer {
    pub(super) me: MemberId,
    pub(super) raft: Raft,
    pub(super) service: Arc<dyn PeerService>,
    pub(super) snapshots: SnapshotStore,
    pub(super) contact: Arc<LeaderContact>,
    pub(super) granted: Arc<Granted>,
    pub(super) peers: Arc<Peers>,
    /// Told of peers that led, perhaps, and whose connections ended.
    pub(super) ended: mpsc::Sender<MemberId>,
    pub(super) first: Arc<FirstMembers>,
    pub(super) transport: PeerTransport,
    /// Held while a snapshot is taken, and while none may be.
    pub(super) snapshotting: Arc<tokio::sync::Mutex<()>>,
    pub(super) acquaintance: Arc<Acquaintance>,
    pub(super) rules: LogRules,
}

impl PeerServer {
    /// Accepts connections until the member stops.
    pub(super) async fn run(self, listener: TcpListener, admission: Arc<Admission>) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let complaints = Throttle::new(Duration::from_secs(10));
        loop {
            let (stream, address) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, say: there may be some soon.
                    if complaints.admits() {
                        tracing::warn!(%error, "cannot accept a connection on peer_addr");
                    }
                    pause(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let waiting = admission.enter(address.ip());
            let (server, places) = (self.clone(), places.clone());
            self.transport.lifetime.spawn(async move {
                if let Err(error) = server.serve(stream, waiting, places).await {
                    tracing::debug!(member = server.me.0, %error, "a peer connection ended");
                }
            });
        }
    }

    async fn serve(
        &self,
        stream: TcpStream,
        mut waiting: Place,
        places: Arc<Semaphore>,
    ) -> Result<(), PeerError> {
        let accepting = Connection::accept(&self.transport, stream, self.me);
        let (connection, from, purpose) = tokio::select! {
            accepted = accepting => accepted?,
            () = waiting.lost() => {
                let others = "closed to make room for other connections before it completed the \
                    handshake";
                return Err(PeerError::Broken(others.to_owned()));
            }
        };
        drop(waiting);
        // From here on it is a member's, and takes a place of those.
        let Ok(_place) = places.try_acquire_owned() else {
            self.transport.complaints.tell(
                from,
                "a member has too many connections to this one: further ones are refused",
            );
            return Err(PeerError::Broken("too many connections".to_owned()));
        };
        match purpose {
            Purpose::Append | Purpose::Heartbeat => {
                let served = self.serve_append(connection, from).await;
                // If too many ended already, one more says nothing new.
                let _ = self.ended.try_send(from);
                served
            }
            Purpose::Control => self.serve_control(connection, from).await,
            Purpose::Messages => self.serve_messages(connection.reader, from).await,
            Purpose::Snapshot => self.serve_snapshots(connection, from).await,
            Purpose::Fetch => self.serve_fetch(connection).await,
        }
    }

    async fn serve_append(&self, connection: Connection, from: MemberId) -> Result<(), PeerError> {
        let Connection { reader, mut writer, living, .. } = connection;
        if !self.acquaintance.knows(from).await {
            return Err(PeerError::Unreachable(format!(
                "cannot exchange identities with member {from}"
            )));
        }
        // openraft reads the requests in a task of its own, which has to end too.
        let state = (reader, self.clone(), living, None);
        let requests =
            stream::unfold(state, move |(mut reader, server, living, leads)| async move {
                let frame = match server.transport.lifetime.until_end(reader.next()).await? {
                    Ok(frame) => frame?,
                    Err(error) => {
                        if error.kind() == io::ErrorKind::InvalidData {
                            server.transport.note_too_large(&format!("member {from}: {error}"));
                        }
                        return None;
                    }
                };
                let (request, piggyback) = match decode_append(frame) {
                    Ok(decoded) => decoded,
                    Err(error) => {
                        tracing::warn!(%error, "a peer sent an invalid append request");
                        return None;
                    }
                };
                // Looked at once for each term.
                if leads != Some(request.vote)
                    && let Err(why) = server.check_vote(from, &request.vote)
                {
                    server.transport.complaints.tell(from, &why);
                    return None;
                }
                if !server.acquaintance.takes_from(&request.vote) {
                    return None;
                }
                let term = request.vote.leader_id.term;
                if let Some(since) = server.contact.note_leader(from, term, Instant::now()) {
                    server.peers.path(from).restored(since);
                }
                if !piggyback.is_empty() {
                    server.service.on_piggyback(from, piggyback);
                }
                let leads = Some(request.vote);
                Some((request, (reader, server, living, leads)))
            });
        let mut answers = Box::pin(self.raft.stream_append(requests));
        while let Some(answer) = answers.next().await {
            let answer = answer.map_err(|fatal| PeerError::Broken(fatal.to_string()))?;
            writer.send(&framed(|out| encode_append_result(&answer, out))).await?;
            if answer.is_err() {
                break;
            }
        }
        Ok(())
    }

    async fn serve_messages(
        &self,
        mut reader: FrameReader,
        from: MemberId,
    ) -> Result<(), PeerError> {
        while let Some(message) = reader.next().await? {
            self.service.on_message(from, message);
        }
        Ok(())
    }

    async fn serve_control(&self, connection: Connection, from: MemberId) -> Result<(), PeerError> {
        let Connection { mut reader, mut writer, living, .. } = connection;
        let (answers, mut answered) = mpsc::channel::<Vec<u8>>(CALLS_MAX);
        self.transport.lifetime.spawn(async move {
            while let Some(answer) = answered.recv().await {
                if writer.send(&answer).await.is_err() {
                    break;
                }
            }
            drop(living);
        });
        let places = Arc::new(Semaphore::new(CALLS_MAX));
        while let Some(frame) = reader.next().await? {
            let mut input = Input::new(frame);
            let id = u64::decode(&mut input)?;
            let kind = u8::decode(&mut input)?;
            let request = input.take(input.remaining(), "request")?;
            // Only closing would fail it, and nobody does.
            let Ok(place) = places.clone().acquire_owned().await else { return Ok(()) };
            let (server, answers) = (self.clone(), answers.clone());
            self.transport.lifetime.spawn(async move {
                let outcome = server.answer(from, kind, request).await;
                let frame = framed(|out| {
                    id.encode(out);
                    match outcome {
                        Ok(answer) => {
                            out.push(ANSWERED);
                            out.extend_from_slice(&answer);
                        }
                        Err(why) => {
                            out.push(REFUSED);
                            out.extend_from_slice(why.as_bytes());
                        }
                    }
                });
                // The peer may be gone by now.
                let _ = answers.send(frame).await;
                drop(place);
            });
        }
        Ok(())
    }

    async fn answer(&self, from: MemberId, kind: u8, request: Bytes) -> Result<Bytes, String> {
        let mut out = Vec::new();
        match kind {
            CALL_VOTE | CALL_PRE_VOTE => {
                let request = decode_vote_request(request).map_err(|error| error.to_string())?;
                self.check_vote(from, &request.vote)?;
                self.check_candidate(from, request.last_log_id).await?;
                if !self.acquaintance.may_vote_for(from).await {
                    return Err(format!("member {} may not vote now", self.me));
                }
                let answer = match kind {
                    CALL_VOTE => self.raft.vote(request).await,
                    _ => self.raft.pre_vote(request).await,
                };
                let answer = answer.map_err(|error| error.to_string())?;
                if answer.vote_granted {
                    if kind == CALL_VOTE {
                        let term = answer.vote.leader_id.term;
                        self.rules.before_send(term).map_err(|error| error.to_string())?;
                    }
                    self.granted.note();
                }
                encode_vote_response(&answer, &mut out);
            }
            CALL_TRANSFER => {
                let request = decode_transfer(request).map_err(|error| error.to_string())?;
                self.check_vote(from, request.from_leader())?;
                if !self.acquaintance.may_stand() {
                    return Err(format!("member {} may not lead now", self.me));
                }
                let answer = self.raft.handle_transfer_leader(request).await;
                answer
                    .map_err(|fatal| fatal.to_string())?
                    .map_err(|refused| refused.to_string())?;
            }
            CALL_LEADS => {
                let term = u64::decode(&mut Input::new(request)).map_err(|e| e.to_string())?;
                Consensus::leads_term(&self.raft, term).encode(&mut out);
            }
            CALL_STANDING => {
                let formed = self.raft.is_initialized().await.map_err(|fatal| fatal.to_string())?;
                // One that recovers lost what it belonged to.
                let state = match formed || self.acquaintance.is_recovering() {
                    true => BootstrapState::Formed,
                    false => BootstrapState::Fresh((*self.first).clone()),
                };
                state.encode(&mut out);
            }
            CALL_MEET => return self.acquaintance.welcome(from, request).await,
            CALL_CONFIRM => return self.acquaintance.confirm_for(from).await,
            CALL_VOTED => return Ok(self.acquaintance.voted()),
            CALL_SERVICE => {
                let answer = self.service.on_call(from, request).await;
                return answer.map_err(|error| error.chain());
            }
            other => return Err(format!("unknown call {other}")),
        }
        Ok(out.into())
    }

    fn check_vote(&self, from: MemberId, vote: &Vote) -> Result<(), String> {
        let own_term = self.raft.metrics().borrow_watched().current_term;
        check_vote(from, vote, own_term)
    }

    async fn check_candidate(&self, from: MemberId, last_log: Option<LogId>) -> Result<(), String> {
        let checked = self.raft.with_raft_state(move |state| {
            let voters = state.membership_state.effective().voter_ids().collect::<Vec<_>>();
            check_candidate(from, last_log, state.log_ids.last().copied(), voters.into_iter())
        });
        checked.await.map_err(|fatal| fatal.to_string())?
    }

    async fn serve_snapshots(
        &self,
        connection: Connection,
        from: MemberId,
    ) -> Result<(), PeerError> {
        let Connection { mut reader, mut writer, living: _living, .. } = connection;
        while let Some(offer) = reader.next().await? {
            let (vote, size) = decode_snapshot_offer(offer)?;
            self.check_vote(from, &vote).map_err(PeerError::Broken)?;
            if !self.acquaintance.knows(from).await || !self.acquaintance.takes_from(&vote) {
                let why = "this member is recovering from another leader";
                return Err(PeerError::Unreachable(why.to_owned()));
            }
            let living = Arc::new(self.transport.lifetime.enter());
            let receiving = receive_snapshot(&mut reader, self.snapshots.clone(), living, size);
            let snapshot = receiving.await?;
            let meta = decode_snapshot_meta(snapshot.meta().clone())?;
            let snapshot = RaftSnapshot { meta, snapshot };
            let answer = self.raft.install_full_snapshot(vote, snapshot).await;
            let answer = answer.map_err(|fatal| PeerError::Broken(fatal.to_string()))?;
            self.contact.note();
            send_vote(&mut writer, &answer.vote).await?;
        }
        Ok(())
    }
}

async fn send_vote(writer: &mut FrameWriter, vote: &Vote) -> io::Result<()> {
    writer.send(&framed(|out| encode_vote(vote, out))).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_that_is_heard_again_after_a_silence_was_cut_off_since() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let contact = LeaderContact::new(start, Duration::from_millis(400));
        let (one, two) = (MemberId(1), MemberId(2));
        assert_eq!(contact.note_leader(one, 3, at(0)), None);
        assert_eq!(contact.note_leader(one, 3, at(300)), None);
        assert_eq!(contact.note_leader(one, 3, at(900)), Some(at(300)));
        // Another leader, or another term of the same, is no silence.
        assert_eq!(contact.note_leader(two, 4, at(5000)), None);
        assert_eq!(contact.note_leader(two, 6, at(9000)), None);
        assert_eq!(contact.note_leader(two, 6, at(9100)), None);
    }
}
