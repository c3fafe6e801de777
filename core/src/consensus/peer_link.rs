//! Shared connections from this member to its peers: calls and messages.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use coord_state::MemberId;
use coord_state::codec::{Decode, Encode, Input};
use tokio::sync::{mpsc, oneshot};

use super::lifetime::{pause, timeout};
use super::peer_frame::{Connection, PeerError, Purpose, framed};
use super::peer_path::Path;
use super::peer_service::PeerService;
use super::peer_transport::PeerTransport;
use crate::settings::is_any;
use crate::sync::{Mutex, MutexGuard};

const REQUESTS_MAX: usize = 1024;
/// Calls a peer may leave unanswered before its connection is given up.
const UNANSWERED_MAX: usize = 4096;
const MESSAGES_MAX: usize = 8192;
const MESSAGE_BYTES_MAX: usize = 16 << 20;
const MESSAGE_WRITE_BYTES: usize = 64 << 10;
/// A peer that takes nothing for so long is cut off.
const STALL: Duration = Duration::from_secs(5);
/// How long a peer that cannot be reached is left alone.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

pub(super) const CALL_VOTE: u8 = 1;
pub(super) const CALL_PRE_VOTE: u8 = 2;
pub(super) const CALL_TRANSFER: u8 = 3;
pub(super) const CALL_SERVICE: u8 = 4;
pub(super) const CALL_STANDING: u8 = 5;
pub(super) const CALL_MEET: u8 = 6;
pub(super) const CALL_CONFIRM: u8 = 7;
pub(super) const CALL_VOTED: u8 = 8;
pub(super) const CALL_LEADS: u8 = 9;
pub(super) const ANSWERED: u8 = 0;

/// All peers of a member.
pub(super) struct Peers {
    pub(super) me: MemberId,
    pub(super) transport: PeerTransport,
    service: Arc<dyn PeerService>,
    known: Mutex<BTreeMap<MemberId, Known>>,
    dropped: Arc<AtomicU64>,
    /// Bytes of append requests without an answer.
    in_flight: Arc<AtomicUsize>,
    /// Whether this member, as the leader, is to say nothing.
    silent: AtomicBool,
}

/// Bytes on their way, until this is dropped.
#[derive(Debug)]
pub(super) struct InFlight(Arc<AtomicUsize>, usize);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::Relaxed);
    }
}

#[derive(Debug, Default)]
struct Known {
    address: String,
    path: Path,
    calls: Option<mpsc::Sender<Call>>,
    messages: Option<MessageQueue>,
}

#[derive(Debug, Clone)]
struct MessageQueue {
    sender: mpsc::Sender<Bytes>,
    bytes: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Call {
    kind: u8,
    request: Bytes,
    answer: oneshot::Sender<Result<Bytes, PeerError>>,
}

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Result<Bytes, PeerError>>>>>;

impl Peers {
    pub(super) fn new(
        me: MemberId,
        transport: PeerTransport,
        service: Arc<dyn PeerService>,
    ) -> Self {
        Self {
            me,
            transport,
            service,
            known: Mutex::default(),
            dropped: Arc::default(),
            in_flight: Arc::default(),
            silent: AtomicBool::new(false),
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<MemberId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Learns where a peer is. What goes to where it was ends. An address that stands for all
    /// of the peer's own is no place: from here it would be this machine.
    pub(super) fn learn(&self, peer: MemberId, address: &str) {
        if is_any(address) && peer != self.me {
            return;
        }
        let mut known = self.known();
        let known = known.entry(peer).or_default();
        if known.address != address {
            *known = Known { address: address.to_owned(), ..Known::default() };
        }
    }

    /// Learns where a peer is unless that is known. True if it was not.
    pub(super) fn learn_if_unknown(&self, peer: MemberId, address: &str) -> bool {
        let unknown = self.known().get(&peer).is_none_or(|known| known.address.is_empty());
        if unknown {
            self.learn(peer, address);
        }
        unknown
    }

    /// All peers whose address is known.
    pub(super) fn members(&self) -> Vec<MemberId> {
        let known = self.known();
        let others = known.iter().filter(|(id, at)| **id != self.me && !at.address.is_empty());
        others.map(|(member, _)| *member).collect()
    }

    /// What is known of the way to a peer.
    pub(super) fn path(&self, peer: MemberId) -> Path {
        self.known().entry(peer).or_default().path.clone()
    }

    /// Counts bytes of an append request until it is answered.
    pub(super) fn in_flight(&self, bytes: usize) -> InFlight {
        self.in_flight.fetch_add(bytes, Ordering::Relaxed);
        InFlight(self.in_flight.clone(), bytes)
    }

    /// Bytes of append requests without an answer.
    pub(super) fn in_flight_bytes(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Whether this member sends nothing as a leader for now.
    pub(super) fn is_silent(&self) -> bool {
        self.silent.load(Ordering::Relaxed)
    }

    pub(super) fn set_silent(&self, silent: bool) {
        self.silent.store(silent, Ordering::Relaxed);
    }

    /// Messages that were dropped because a peer was away or slow.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// A new connection of one's own.
    pub(super) async fn connect(
        &self,
        peer: MemberId,
        purpose: Purpose,
    ) -> Result<Connection, PeerError> {
        let address = self.known().get(&peer).map(|known| known.address.clone());
        let address = address
            .ok_or_else(|| PeerError::Unreachable(format!("member {peer} has no address")))?;
        let between = (self.me, peer);
        Connection::connect(&self.transport, &address, between, purpose).await
    }

    /// Asks a peer and waits for its answer, however long that takes.
    pub(super) async fn call(
        self: &Arc<Self>,
        peer: MemberId,
        kind: u8,
        request: Bytes,
    ) -> Result<Bytes, PeerError> {
        let (answer, answered) = oneshot::channel();
        let calls = self.calls(peer);
        calls.try_send(Call { kind, request, answer }).map_err(|_| {
            PeerError::Broken(format!("too many calls to member {peer} are waiting"))
        })?;
        let gone = || PeerError::Broken(format!("the connection to member {peer} broke"));
        answered.await.unwrap_or_else(|_| Err(gone()))
    }

    fn calls(self: &Arc<Self>, peer: MemberId) -> mpsc::Sender<Call> {
        let mut known = self.known();
        let known = known.entry(peer).or_default();
        known
            .calls
            .get_or_insert_with(|| {
                let (sender, receiver) = mpsc::channel(REQUESTS_MAX);
                let peers = self.clone();
                self.transport
                    .lifetime
                    .spawn(async move { peers.serve_calls(peer, receiver).await });
                sender
            })
            .clone()
    }

    async fn serve_calls(self: Arc<Self>, peer: MemberId, mut calls: mpsc::Receiver<Call>) {
        let mut next_id = 0u64;
        while let Some(first) = calls.recv().await {
            let mut connection = match self.connect(peer, Purpose::Control).await {
                Ok(connection) => connection,
                Err(error) => {
                    let _ = first.answer.send(Err(error.clone()));
                    // Those behind it would only wait for the same.
                    while let Ok(call) = calls.try_recv() {
                        let _ = call.answer.send(Err(error.clone()));
                    }
                    continue;
                }
            };
            let path = self.path(peer).watch();
            let since = connection.since;
            let waiting = Waiting::default();
            let (broken, mut breaks) = oneshot::channel::<()>();
            let (mut reader, for_reader) = (connection.reader, waiting.clone());
            let living = connection.living;
            let (in_use, mut given_up) = oneshot::channel::<()>();
            self.transport.lifetime.spawn(async move {
                loop {
                    let frame = tokio::select! {
                        frame = reader.next() => frame,
                        _ = &mut given_up => break,
                    };
                    let Ok(Some(frame)) = frame else { break };
                    if hand_over(frame, &for_reader).is_none() {
                        break;
                    }
                }
                drop((broken, living));
            });
            let mut current = Some(first);
            while let Some(call) = current {
                next_id += 1;
                let frame = framed(|out| {
                    next_id.encode(out);
                    out.push(call.kind);
                    out.extend_from_slice(&call.request);
                });
                {
                    let mut waiting = lock(&waiting);
                    waiting.insert(next_id, call.answer);
                    // Calls given up by their callers count until they are answered.
                    if waiting.len() > UNANSWERED_MAX {
                        break;
                    }
                }
                let sent = tokio::select! {
                    sent = timeout(STALL, connection.writer.send(&frame)) => sent,
                    () = path.interrupted(since) => None,
                };
                if !matches!(sent, Some(Ok(()))) {
                    break;
                }
                current = tokio::select! {
                    next = calls.recv() => next,
                    _ = &mut breaks => None,
                    () = path.interrupted(since) => None,
                };
            }
            // Whoever still waits learns of the break as its sender is dropped, and the
            // reader ends with the connection.
            lock(&waiting).clear();
            drop(in_use);
        }
    }

    /// Sends a message, or drops it if the peer is away or slow. Messages that
    /// arrive do so in order.
    pub(super) fn send(self: &Arc<Self>, peer: MemberId, message: Bytes) {
        let queue = {
            let mut known = self.known();
            let known = known.entry(peer).or_default();
            known.messages.get_or_insert_with(|| self.start_messages(peer)).clone()
        };
        let len = message.len();
        let waiting = queue.bytes.fetch_add(len, Ordering::Relaxed);
        let full = waiting + len > MESSAGE_BYTES_MAX && waiting > 0;
        if full || queue.sender.try_send(message).is_err() {
            queue.bytes.fetch_sub(len, Ordering::Relaxed);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn start_messages(self: &Arc<Self>, peer: MemberId) -> MessageQueue {
        let (sender, receiver) = mpsc::channel(MESSAGES_MAX);
        let bytes = Arc::new(AtomicUsize::new(0));
        let (peers, for_task) = (self.clone(), bytes.clone());
        self.transport
            .lifetime
            .spawn(async move { peers.serve_messages(peer, receiver, &for_task).await });
        MessageQueue { sender, bytes }
    }

    async fn serve_messages(
        &self,
        peer: MemberId,
        mut messages: mpsc::Receiver<Bytes>,
        waiting: &AtomicUsize,
    ) {
        let path = self.path(peer).watch();
        let mut connection: Option<Connection> = None;
        loop {
            let next = match &mut connection {
                None => messages.recv().await,
                Some(open) => tokio::select! {
                    biased;
                    // Nothing is answered here: the peer hung up.
                    _ = open.reader.next() => {
                        connection = None;
                        self.service.on_messages_lost(peer);
                        continue;
                    }
                    () = path.interrupted(open.since) => {
                        connection = None;
                        self.service.on_messages_lost(peer);
                        continue;
                    }
                    next = messages.recv() => next,
                },
            };
            let Some(first) = next else { return };
            let mut count = 1;
            let mut bytes = first.len();
            let mut frames = framed(|out| out.extend_from_slice(&first));
            while frames.len() < MESSAGE_WRITE_BYTES
                && let Ok(more) = messages.try_recv()
            {
                count += 1;
                bytes += more.len();
                frames.extend(framed(|out| out.extend_from_slice(&more)));
            }
            waiting.fetch_sub(bytes, Ordering::Relaxed);
            if connection.is_none() {
                connection = self.connect(peer, Purpose::Messages).await.ok();
            }
            let sent = match &mut connection {
                Some(open) => tokio::select! {
                    sent = timeout(STALL, open.writer.send(&frames)) => matches!(sent, Some(Ok(()))),
                    () = path.interrupted(open.since) => false,
                },
                None => false,
            };
            if !sent {
                self.dropped.fetch_add(count, Ordering::Relaxed);
                connection = None;
                pause(RETRY_PAUSE).await;
                self.service.on_messages_lost(peer);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives an answer to who waits for it; None if it makes no sense.
fn hand_over(frame: Bytes, waiting: &Waiting) -> Option<()> {
    let mut input = Input::new(frame);
    let id = u64::decode(&mut input).ok()?;
    let status = u8::decode(&mut input).ok()?;
    let content = input.take(input.remaining(), "answer").ok()?;
    let answer = lock(waiting).remove(&id)?;
    let outcome = match status {
        ANSWERED => Ok(content),
        _ => Err(PeerError::Broken(String::from_utf8_lossy(&content).into_owned())),
    };
    // Who asked may have given up.
    let _ = answer.send(outcome);
    Some(())
}
