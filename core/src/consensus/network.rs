//! openraft's network: the sending side, of leaders and candidates.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coord_state::MemberId;
use futures_util::stream::{self, Stream, StreamExt};
use openraft::OptionalSend;
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::impls::BasicNode;
use openraft::network::{Backoff, RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};

use super::heartbeat::Heartbeats;
use super::lifetime::timeout;
use super::log_rules::LogRules;
use super::peer_frame::{Connection, PeerError, Purpose, framed};
use super::peer_link::{CALL_PRE_VOTE, CALL_TRANSFER, CALL_VOTE, InFlight, Peers};
use super::peer_message::{
    AppendRequest, AppendResult, decode_append_result, decode_only_vote, decode_vote_response,
    encode_append, encode_snapshot_offer, encode_transfer, encode_vote_request,
};
use super::peer_path::PathWatch;
use super::peer_service::PeerService;
use super::snapshot_transfer::{SNAPSHOT_STALL, send_snapshot};
use super::types::{RaftSnapshot, TypeConfig, Vote};
use crate::storage::Snapshot;

/// Append requests one peer may leave unanswered. More would turn a burst into
/// many small requests; fewer would leave the connection idle for a round trip.
const WINDOW: usize = 4;
/// A peer that leaves an append request unanswered for so long is cut off. Its
/// answer waits for its disk; a link that is cut is noticed sooner.
const STALL: Duration = Duration::from_secs(10);

type RpcError = RPCError<TypeConfig>;
type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
type BoxedStream<'a, T> = Pin<Box<dyn Stream<Item = T> + Send + 'a>>;

/// Makes the clients openraft asks for.
#[derive(Clone)]
pub(super) struct Network {
    pub(super) peers: Arc<Peers>,
    pub(super) service: Arc<dyn PeerService>,
    pub(super) rules: LogRules,
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = PeerClient;

    async fn new_client(&mut self, target: u64, node: &BasicNode) -> PeerClient {
        let peer = MemberId(target);
        self.peers.learn(peer, &node.addr);
        PeerClient {
            path: self.peers.path(peer).watch(),
            peers: self.peers.clone(),
            service: self.service.clone(),
            rules: self.rules.clone(),
            peer,
            append: None,
            heartbeats: None,
        }
    }

    async fn new_heartbeat_client(&mut self, target: u64, node: &BasicNode) -> PeerClient {
        let client = self.new_client(target, node).await;
        let heartbeats = Some(Heartbeats::start(&self.peers, client.peer));
        PeerClient { heartbeats, ..client }
    }
}

/// Sends to one peer, over connections of its own where order or size matter.
pub(super) struct PeerClient {
    peers: Arc<Peers>,
    service: Arc<dyn PeerService>,
    rules: LogRules,
    peer: MemberId,
    path: PathWatch,
    /// Kept from one stream to the next if all its requests were answered.
    append: Option<Connection>,
    /// Of a client for heartbeats only.
    heartbeats: Option<Heartbeats>,
}

fn rpc_error(error: PeerError) -> RpcError {
    match error {
        PeerError::NobodyListens(what) | PeerError::Unreachable(what) => {
            RPCError::Unreachable(Unreachable::from_string(what))
        }
        PeerError::Broken(what) => RPCError::Network(NetworkError::from_string(what)),
    }
}

fn streaming_error(error: PeerError) -> StreamingError<TypeConfig> {
    rpc_error(error).into()
}

/// A stream of append requests on its way.
struct Appending<'a, S> {
    client: &'a mut PeerClient,
    connection: Option<Connection>,
    requests: S,
    exhausted: bool,
    unanswered: VecDeque<InFlight>,
}

impl<S> Appending<'_, S>
where
    S: Stream<Item = AppendRequest> + Send + Unpin,
{
    /// The next answer; None once all requests are answered.
    async fn next(&mut self) -> Option<Result<AppendResult, RpcError>> {
        let outcome = self.advance().await;
        match &outcome {
            // The peer closes after a conflict: what follows would be stale.
            Some(Ok(Err(_)) | Err(_)) => {
                self.connection = None;
                self.exhausted = true;
                self.unanswered.clear();
            }
            Some(Ok(Ok(_))) => {}
            None => self.client.append = self.connection.take(),
        }
        outcome
    }

    async fn advance(&mut self) -> Option<Result<AppendResult, RpcError>> {
        loop {
            if self.exhausted && self.unanswered.is_empty() {
                return None;
            }
            // Gone only after an error, which ended the stream.
            let connection = self.connection.as_mut()?;
            let may_send = !self.exhausted && self.unanswered.len() < WINDOW;
            let answers = !self.unanswered.is_empty();
            let since = connection.since;
            tokio::select! {
                () = self.client.path.interrupted(since), if answers => {
                    return Some(Err(broken("the connection to the peer was interrupted")));
                }
                answer = timeout(STALL, connection.reader.next()), if answers => {
                    self.unanswered.pop_front();
                    return Some(match answer {
                        Some(Ok(Some(frame))) => {
                            decode_append_result(frame).map_err(|error| rpc_error(error.into()))
                        }
                        Some(Ok(None)) => Err(broken("the peer closed the connection")),
                        Some(Err(error)) => Err(rpc_error(error.into())),
                        None => Err(broken("the peer stopped responding")),
                    });
                }
                request = self.requests.next(), if may_send => match request {
                    None => self.exhausted = true,
                    Some(request) => {
                        if self.client.peers.is_silent() {
                            return Some(Err(steps_back()));
                        }
                        if let Err(error) = self.client.check_term(&request.vote) {
                            return Some(Err(error));
                        }
                        let frame = self.client.append_frame(request);
                        let transport = &self.client.peers.transport;
                        let sendable = transport.check_frame(self.client.peer, frame.len() - 4);
                        if let Err(error) = sendable {
                            return Some(Err(rpc_error(error)));
                        }
                        self.unanswered.push_back(self.client.peers.in_flight(frame.len()));
                        let sent = timeout(STALL, connection.writer.send(&frame)).await;
                        match sent {
                            Some(Ok(())) => {}
                            Some(Err(error)) => return Some(Err(rpc_error(error.into()))),
                            None => return Some(Err(broken("the peer stopped reading"))),
                        }
                    }
                },
            }
        }
    }
}

fn broken(what: &str) -> RpcError {
    rpc_error(PeerError::Broken(what.to_owned()))
}

fn steps_back() -> RpcError {
    rpc_error(PeerError::Unreachable("this leader is stepping down".to_owned()))
}

impl PeerClient {
    /// No term leaves this member before its vote is durable. One that is only asked
    /// about, before an election, is none.
    fn check_term(&self, vote: &Vote) -> Result<(), RpcError> {
        self.rules.before_send(vote.leader_id.term).map_err(|error| broken(&error.to_string()))
    }

    fn append_frame(&self, request: AppendRequest) -> Vec<u8> {
        let piggyback = self.service.piggyback();
        framed(|out| encode_append(request, &piggyback, out))
    }

    async fn send_heartbeat(&self, request: AppendRequest) -> Result<AppendResult, RpcError> {
        if self.peers.is_silent() {
            return Err(steps_back());
        }
        self.check_term(&request.vote)?;
        match &self.heartbeats {
            Some(heartbeats) => {
                heartbeats.send(self.append_frame(request)).await.map_err(rpc_error)
            }
            None => Err(broken("this connection is not for heartbeats")),
        }
    }

    async fn call(
        &self,
        kind: u8,
        request: Vec<u8>,
        option: &RPCOption,
    ) -> Result<Bytes, RpcError> {
        let answer = timeout(option.hard_ttl(), self.peers.call(self.peer, kind, request.into()));
        match answer.await {
            Some(answer) => answer.map_err(rpc_error),
            None => Err(broken("the peer did not respond in time")),
        }
    }

    async fn ask_for_vote(
        &self,
        kind: u8,
        request: &VoteRequest<TypeConfig>,
        option: &RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RpcError> {
        let mut bytes = Vec::new();
        encode_vote_request(request, &mut bytes);
        let answer = self.call(kind, bytes, option).await?;
        decode_vote_response(answer).map_err(|error| rpc_error(error.into()))
    }

    async fn send_snapshot(&self, vote: Vote, snapshot: Snapshot) -> Result<Vote, PeerError> {
        let mut connection = self.peers.connect(self.peer, Purpose::Snapshot).await?;
        let offer = framed(|out| encode_snapshot_offer(&vote, snapshot.size(), out));
        connection.writer.send(&offer).await?;
        send_snapshot(&mut connection.writer, snapshot).await?;
        let stalled =
            || PeerError::Broken("the peer did not install the snapshot in time".to_owned());
        let answer = timeout(SNAPSHOT_STALL, connection.reader.next()).await;
        match answer.ok_or_else(stalled)?? {
            Some(frame) => Ok(decode_only_vote(frame)?),
            None => Err(PeerError::Broken(
                "the peer closed the connection before it installed the snapshot".to_owned(),
            )),
        }
    }
}

impl RaftNetworkV2<TypeConfig> for PeerClient {
    type SnapshotData = Snapshot;

    /// openraft sends through [`Self::stream_append`] only; this keeps one
    /// request a stream of one.
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RpcError> {
        let requests = Box::pin(stream::iter([rpc]));
        let mut answers = self.stream_append(requests, option).await?;
        match answers.next().await {
            Some(answer) => Ok(answer?.into()),
            None => Err(broken("the peer closed the connection without a response")),
        }
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        _option: RPCOption,
    ) -> Boxed<
        's,
        Result<BoxedStream<'s, Result<StreamAppendResult<TypeConfig>, RpcError>>, RpcError>,
    >
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + OptionalSend + Unpin + 'static,
    {
        Box::pin(async move {
            if self.heartbeats.is_some() {
                let client = &*self;
                let answers = input.then(move |request| client.send_heartbeat(request));
                let answers: BoxedStream<'s, _> = Box::pin(answers);
                return Ok(answers);
            }
            let kept = self.append.take();
            let connection = match kept.filter(|kept| !self.path.outlived_by(kept.since)) {
                Some(connection) => connection,
                None => {
                    let connecting = self.peers.connect(self.peer, Purpose::Append);
                    connecting.await.map_err(rpc_error)?
                }
            };
            let appending = Appending {
                client: self,
                connection: Some(connection),
                requests: input,
                exhausted: false,
                unanswered: VecDeque::new(),
            };
            let answers = stream::unfold(appending, |mut appending| async {
                appending.next().await.map(|answer| (answer, appending))
            });
            let answers: BoxedStream<'s, _> = Box::pin(answers);
            Ok(answers)
        })
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RpcError> {
        self.check_term(&rpc.vote)?;
        self.ask_for_vote(CALL_VOTE, &rpc, &option).await
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RpcError> {
        self.ask_for_vote(CALL_PRE_VOTE, &rpc, &option).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: RaftSnapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        self.check_term(&vote).map_err(StreamingError::from)?;
        tokio::select! {
            closed = cancel => Err(closed.into()),
            sent = self.send_snapshot(vote, snapshot.snapshot) => {
                sent.map(SnapshotResponse::new).map_err(streaming_error)
            }
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RpcError> {
        self.check_term(request.from_leader())?;
        let mut bytes = Vec::new();
        encode_transfer(&request, &mut bytes);
        self.call(CALL_TRANSFER, bytes, &option).await?;
        Ok(Ok(()))
    }

    /// Short at first: a peer that restarts is back within milliseconds.
    fn backoff(&self) -> Option<Backoff> {
        let steps = [5, 10, 20, 50, 100].into_iter().chain(std::iter::repeat(200));
        Some(Backoff::new(steps.map(Duration::from_millis)))
    }
}
