//! A running member of the cluster.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use coord_state::MemberId;
use futures_util::future::FutureExt;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{
    ClientWriteError, Fatal, ForwardToLeader, LinearizableReadError, RaftError,
};
use openraft::metrics::RaftMetrics;
use openraft::raft::ClientWriteResult;
use openraft::{Instant as _, ReadPolicy, ServerState};
use tokio::sync::{mpsc, watch};

use super::acquaintance::Acquaintance;
use super::config::config;
use super::dead_leader::{ENDED_MAX, Granted};
use super::leader_contact::LeaderContact;
use super::lifetime::Lifetime;
use super::log_rules::LogRules;
use super::log_store::LogStore;
use super::network::Network;
use super::options::ConsensusOptions;
use super::peer_admission::Admission;
use super::peer_link::{CALL_SERVICE, Peers};
use super::peer_server::PeerServer;
use super::peer_transport::PeerTransport;
use super::start::{check_snapshot, settle_start};
use super::state_machine::Raft;
use super::state_machine::{Progress, StateMachineAdapter};
use super::status::{ConsensusStatus, failure_of, status_of};
use super::types::{Proposal, Respond, TypeConfig};
use crate::error::{Error, ErrorKind};
use crate::storage::{LogCondition, Storage};
use crate::sync::Mutex;

/// After this many missed heartbeats a leader counts as partitioned.
const HEARTBEATS_MISSED: u32 = 4;
/// The timeout of stopping.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// The fields whose change is published to watchers of the status. Log
/// positions are not included, because they change with every batch.
#[derive(PartialEq, Eq)]
struct PublishedStatus {
    role: ServerState,
    term: u64,
    leader: Option<u64>,
    membership: Option<u64>,
    stalled: bool,
    failed: bool,
}

impl PublishedStatus {
    fn of(metrics: &RaftMetrics<TypeConfig>, status: &ConsensusStatus) -> Self {
        Self {
            role: metrics.state,
            term: metrics.current_term,
            leader: metrics.current_leader,
            membership: metrics.membership_config.log_id().as_ref().map(|log_id| log_id.index),
            stalled: status.stalled.is_some(),
            failed: status.failed.is_some() || metrics.running_state.is_err(),
        }
    }
}

/// Why a proposal was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Another member leads, or none. The proposal was not accepted.
    NotLeader {
        /// The leader, if known.
        hint: Option<MemberId>,
    },
    /// Too many proposals are waiting. The proposal was not accepted.
    Busy,
    /// The member is stopping or failed. The proposal was not accepted.
    Stopped,
    /// Leadership was lost, or the member stopped, after it was accepted: it
    /// may or may not be applied.
    Unknown,
}

/// A running member. Cheap to clone; all clones refer to the same member.
#[derive(Clone)]
pub struct Consensus {
    pub(super) inner: Arc<MemberCore>,
}

pub(super) struct MemberCore {
    pub(super) raft: Raft,
    pub(super) progress: Arc<Progress>,
    pub(super) peers: Arc<Peers>,
    contact: Arc<LeaderContact>,
    pub(super) acquaintance: Arc<Acquaintance>,
    pub(super) granted: Arc<Granted>,
    pub(super) lifetime: Lifetime,
    /// Held while a snapshot is taken, or must not be taken.
    pub(super) snapshotting: Arc<tokio::sync::Mutex<()>>,
    status: watch::Sender<ConsensusStatus>,
    log_condition: watch::Receiver<LogCondition>,
    pub(super) storage: Mutex<Option<Storage>>,
    stopping: tokio::sync::Mutex<()>,
}

impl MemberCore {
    /// An essential task ended: the member failed, unless it is stopping.
    pub(super) fn ended_by_itself(&self, why: &str) {
        if !self.lifetime.is_ending() {
            self.lifetime.fail(why);
        }
    }
}

impl Consensus {
    /// Starts a member on the current runtime: reads its state, bootstraps the
    /// cluster if the data directory is empty, and joins it.
    ///
    /// # Errors
    /// `Invalid` for options openraft refuses; `Unavailable` or `Corrupt` if
    /// the stored state cannot be read.
    pub async fn start(options: ConsensusOptions) -> Result<Self, Error> {
        let lifetime = Lifetime::new();
        let config = config(&options)?;
        let snapshot_log_bytes = options.snapshot_log_bytes;
        let progress = Arc::new(Progress::new(snapshot_log_bytes));
        let transport = PeerTransport {
            lifetime: lifetime.clone(),
            frame_bytes_max: options.peer_frame_bytes_max,
            too_large: Arc::default(),
            tls: options.peer_tls.map(Arc::new),
            auth: options.peer_auth,
            complaints: Arc::default(),
            #[cfg(test)]
            links: super::links::Links::default(),
        };
        let service = options.service.clone();
        let peers = Arc::new(Peers::new(options.member, transport.clone(), service));
        for (member, address) in &options.first.addresses {
            peers.learn(*member, address);
        }
        let storage = options.storage;
        check_snapshot(&storage)?;
        let rules = LogRules::new(storage.log.clone(), storage.snapshots.clone());
        let state_machine = StateMachineAdapter::new(
            options.machine,
            storage.snapshots.clone(),
            progress.clone(),
            lifetime.enter(),
        )
        .under(rules.clone());
        let raft = Raft::new(
            options.member.0,
            config,
            Network {
                peers: peers.clone(),
                service: options.service.clone(),
                rules: rules.clone(),
            },
            LogStore::new(storage.log.clone(), rules.clone()),
            state_machine,
        )
        .await
        .map_err(|fatal| Error::unavailable("cannot start consensus").caused_by(fatal))?;
        // Identities must be exchanged first.
        raft.runtime_config().elect(false);
        let acquaintance = Arc::new(Acquaintance::new(peers.clone(), raft.clone(), &storage)?);
        if let Err(error) = settle_start(&acquaintance, &storage, &options.first).await {
            // Nothing has been started yet that could fail to stop.
            let _ = raft.shutdown().await;
            return Err(error);
        }
        let now = Instant::now();
        let silence_max = Duration::from_millis(options.heartbeat_ms) * HEARTBEATS_MISSED;
        let contact = Arc::new(LeaderContact::new(now, silence_max));
        let granted = Arc::new(Granted::new(now));
        let (ended, connections_ended) = mpsc::channel(ENDED_MAX);
        let snapshotting = Arc::<tokio::sync::Mutex<()>>::default();
        if let Some(listener) = options.peer_listener {
            let server = PeerServer {
                me: options.member,
                raft: raft.clone(),
                service: options.service,
                snapshots: storage.snapshots.clone(),
                contact: contact.clone(),
                granted: granted.clone(),
                peers: peers.clone(),
                ended,
                first: Arc::new(options.first.clone()),
                transport,
                snapshotting: snapshotting.clone(),
                acquaintance: acquaintance.clone(),
                rules,
            };
            let admission = Admission::new(options.peer_handshakes_max);
            lifetime.spawn(server.run(listener, admission));
        }
        let inner = Arc::new(MemberCore {
            raft,
            progress,
            peers,
            contact,
            acquaintance: acquaintance.clone(),
            granted,
            lifetime,
            snapshotting,
            status: watch::Sender::default(),
            log_condition: storage.log.watch_condition(),
            storage: Mutex::new(Some(storage)),
            stopping: tokio::sync::Mutex::default(),
        });
        let consensus = Self { inner };
        consensus.watch_over(snapshot_log_bytes);
        acquaintance.settle_election();
        let lifetime = &consensus.inner.lifetime;
        lifetime.spawn(acquaintance.clone().meet_all());
        lifetime.spawn(acquaintance.recover());
        lifetime.spawn(consensus.clone().watch_over_recovery());
        lifetime.spawn(consensus.clone().replace_dead_leaders(connections_ended));
        let election_max = Duration::from_millis(options.election_max_ms);
        lifetime.spawn(consensus.clone().step_back_when_stuck(election_max));
        consensus.form(options.first).await?;
        consensus.publish();
        Ok(consensus)
    }

    /// Proposes a payload, if this member leads. Payloads keep the order in
    /// which they are proposed. Success shows in `ReplicatedMachine::apply`
    /// only; `on_refused` is called otherwise, at most once, from any thread,
    /// and possibly before this returns. Never blocks.
    pub fn propose(&self, payload: Bytes, on_refused: impl FnOnce(Refusal) + Send + 'static) {
        let inner = &self.inner;
        // Otherwise openraft would log an error for each one.
        if inner.lifetime.is_ending() || inner.lifetime.has_failed() {
            return on_refused(Refusal::Stopped);
        }
        let pending = Pending(Arc::new(Mutex::new(Some(Box::new(on_refused)))));
        let outcome = Outcome { pending: pending.clone(), me: inner.peers.me };
        let respond =
            Respond(Box::new(move |result: ClientWriteResult<TypeConfig>| outcome.settle(result)));
        let mut write = Box::pin(inner.raft.client_write_ff(Proposal(payload), Some(respond)));
        // Sending only waits if the queue is full; an exhausted task budget
        // must not look like that.
        match tokio::task::unconstrained(&mut write).now_or_never() {
            Some(Ok(())) => {}
            // openraft has ended; dropping the outcome reported that.
            Some(Err(_)) => pending.refuse(Refusal::Stopped),
            None => pending.refuse(Refusal::Busy),
        }
    }

    /// Returns the log index that must be applied before a read is fresh, see
    /// [`Self::wait_applied`]. Confirms with a majority that this member leads;
    /// concurrent callers share a round. With `lease` it relies on the last
    /// such round and on clocks running at the same rate.
    ///
    /// # Errors
    /// `NotLeader`; `Unavailable` if no majority answers in time; `Closed` or
    /// `Internal` if the member stopped or failed.
    pub async fn read_index(&self, lease: bool) -> Result<u64, Error> {
        let policy = if lease { ReadPolicy::LeaseRead } else { ReadPolicy::ReadIndex };
        match self.inner.raft.get_read_linearizer(policy).await {
            Ok(linearizer) => Ok(linearizer.read_log_id().index()),
            Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(forward))) => {
                Err(self.not_leader(&forward))
            }
            Err(RaftError::APIError(error @ LinearizableReadError::QuorumNotEnough(_))) => {
                Err(Error::unavailable("no majority confirmed this leader").caused_by(error))
            }
            Err(RaftError::Fatal(fatal)) => Err(fatal_error(fatal)),
        }
    }

    /// Waits until the log is applied here up to and including `index`.
    ///
    /// # Errors
    /// `Closed` or `Internal` if the member stops or fails first.
    pub async fn wait_applied(&self, index: u64) -> Result<(), Error> {
        let mut applied = self.inner.progress.watch();
        if *applied.borrow() > index {
            return Ok(());
        }
        let mut status = self.watch_status();
        tokio::select! {
            _ = applied.wait_for(|next| *next > index) => Ok(()),
            () = self.inner.lifetime.ended() => Err(Error::closed("the member stopped")),
            failed = status.wait_for(|status| status.failed.is_some()) => {
                let why = failed.ok().and_then(|status| status.failed.clone());
                Err(Error::internal(why.unwrap_or_default()))
            }
        }
    }

    /// The current status of the member.
    pub fn status(&self) -> ConsensusStatus {
        let inner = &self.inner;
        let metrics = inner.raft.metrics();
        let metrics = metrics.borrow_watched();
        let mut status = status_of(&metrics, inner.contact.age_ms(), inner.peers.dropped());
        drop(metrics);
        if let LogCondition::Stalled(why) = &*inner.log_condition.borrow() {
            status.stalled = Some(format!("the log cannot be written: {why}"));
        }
        status.failed = inner.lifetime.failure().or(status.failed);
        status
    }

    /// Frames that were too large to go from or to another member, since the start.
    pub fn frames_too_large(&self) -> u64 {
        self.inner.peers.transport.too_large.load(Ordering::Relaxed)
    }

    /// As the leader: how long ago each other member last responded, `None` for
    /// no response since this member leads. `None` on any other member.
    pub fn members_heard(&self) -> Option<Vec<(MemberId, Option<Duration>)>> {
        let metrics = self.inner.raft.metrics();
        let metrics = metrics.borrow_watched();
        let others =
            metrics.heartbeat.as_ref()?.iter().filter(|(member, _)| **member != metrics.id);
        Some(
            others
                .map(|(member, at)| (MemberId(*member), at.as_ref().map(|at| at.elapsed())))
                .collect(),
        )
    }

    /// As the leader: how long ago a majority, including itself, was heard
    /// from. `None` if not since it leads, and on any other member. Cheap.
    pub fn majority_heard(&self) -> Option<Duration> {
        let metrics = self.inner.raft.metrics();
        let metrics = metrics.borrow_watched();
        if metrics.state != ServerState::Leader {
            return None;
        }
        let mut voters = metrics.membership_config.membership().voter_ids();
        if voters.next() == Some(metrics.id) && voters.next().is_none() {
            return Some(Duration::ZERO);
        }
        metrics.last_quorum_acked.map(|acked| acked.elapsed())
    }

    /// The status, whenever role, leader, term, membership or failure changes.
    /// Its other fields are as of that change.
    pub fn watch_status(&self) -> watch::Receiver<ConsensusStatus> {
        self.inner.status.subscribe()
    }

    /// Sends a message to a peer. It may be lost, and is dropped if the peer is
    /// unreachable or slow; messages that arrive keep their order. Never
    /// blocks.
    pub fn send(&self, peer: MemberId, message: Bytes) {
        self.inner.peers.send(peer, message);
    }

    /// Calls a peer's `PeerService`. Has no timeout: the caller sets one.
    ///
    /// # Errors
    /// `Unavailable` if the peer cannot be reached or refused, or
    /// `Indeterminate` if the connection broke before its answer.
    pub async fn call(&self, peer: MemberId, request: Bytes) -> Result<Bytes, Error> {
        use super::peer_frame::PeerError;
        match self.inner.peers.call(peer, CALL_SERVICE, request).await {
            Ok(answer) => Ok(answer),
            Err(PeerError::NobodyListens(why) | PeerError::Unreachable(why)) => {
                Err(Error::unavailable(why))
            }
            Err(PeerError::Broken(why)) => Err(Error::indeterminate(why)),
        }
    }

    /// Stops the member: writes pending data, closes its data directory and
    /// connections. Nothing of it runs once this returns. Idempotent.
    pub async fn stop(&self) {
        let inner = &self.inner;
        let _one_at_a_time = inner.stopping.lock().await;
        inner.lifetime.end();
        inner.acquaintance.save().await;
        // Consensus may be waiting for a log that cannot be written.
        if let Some(storage) = &*inner.storage.lock().unwrap_or_else(PoisonError::into_inner) {
            storage.log.abandon();
        }
        if inner.raft.shutdown().await.is_err() {
            tracing::warn!(member = inner.peers.me.0, "the consensus task panicked");
        }
        let storage = inner.storage.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(storage) = storage {
            // Joins the log's thread, which may be waiting for the disk.
            let closed = tokio::task::spawn_blocking(move || {
                storage.log.close();
                storage
            });
            if !inner.lifetime.gone(STOP_TIMEOUT).await {
                tracing::warn!(
                    member = inner.peers.me.0,
                    "some consensus tasks did not stop in time"
                );
            }
            // The directory can be opened again only once nothing uses it.
            drop(closed.await);
        }
        self.publish();
    }

    /// Publishes changes of the status and takes snapshots when due.
    fn watch_over(&self, snapshot_log_bytes: u64) {
        let lifetime = self.inner.lifetime.clone();
        let watcher = self.clone();
        lifetime.spawn_vital("following the status", async move { watcher.follow_status().await });
        let keeper = self.clone();
        lifetime.spawn_vital("taking snapshots", async move {
            keeper.keep_snapshots(snapshot_log_bytes).await;
        });
    }

    async fn follow_status(&self) {
        let inner = &self.inner;
        // The same channel that `status` reads: openraft's narrower ones are
        // sent to before it, so a wake-up from them can find it unchanged,
        // and a new leader would never be noticed.
        let mut changes = inner.raft.metrics();
        let mut log = inner.log_condition.clone();
        let mut failure = inner.lifetime.watch_failure();
        let mut published = None;
        loop {
            if let LogCondition::Failed(why) = &*log.borrow_and_update() {
                inner.lifetime.fail(why);
            }
            failure.borrow_and_update();
            // Before the borrow: it looks at the same channel, and two looks at once
            // wait for each other if the sender comes between them.
            let status = self.status();
            // Once the failure is visible, nothing may be accepted any more.
            if let Some(why) = &status.failed {
                inner.lifetime.fail(why);
            }
            let status_now = Some(PublishedStatus::of(&changes.borrow_watched(), &status));
            if status_now != published {
                self.publish();
                published = status_now;
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() {
                    break;
                },
                Ok(()) = log.changed() => {}
                Ok(()) = failure.changed() => {}
            }
        }
        // openraft ended by itself: report why.
        let why = failure_of(&inner.raft.metrics().borrow_watched());
        inner.ended_by_itself(why.as_deref().unwrap_or("consensus panicked"));
        self.publish();
    }

    fn publish(&self) {
        let status = self.status();
        for (member, address) in status.voters.iter().chain(&status.learners) {
            self.inner.peers.learn(*member, address);
        }
        self.inner.acquaintance.look_around();
        self.inner.status.send_replace(status);
    }

    pub(super) fn not_leader(&self, forward: &ForwardToLeader<TypeConfig>) -> Error {
        let hint = other_leader(forward, self.inner.peers.me).map(|member| member.0);
        Error::new(ErrorKind::NotLeader { hint }, "this member is not the leader")
    }
}

pub(super) fn fatal_error(fatal: Fatal<TypeConfig>) -> Error {
    match fatal {
        Fatal::Stopped => Error::closed("the member stopped"),
        Fatal::Panicked | Fatal::StorageError(_) => {
            Error::internal(format!("the member failed: {fatal}"))
        }
    }
}

type OnRefused = Box<dyn FnOnce(Refusal) + Send>;

/// A callback for a refusal, called at most once.
#[derive(Clone)]
struct Pending(Arc<Mutex<Option<OnRefused>>>);

impl Pending {
    fn take(&self) -> Option<OnRefused> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn refuse(&self, refusal: Refusal) {
        if let Some(on_refused) = self.take() {
            on_refused(refusal);
        }
    }
}

/// openraft's part of a proposal. If it is dropped without an outcome, the
/// outcome is unknown.
struct Outcome {
    pending: Pending,
    me: MemberId,
}

impl Outcome {
    fn settle(self, result: ClientWriteResult<TypeConfig>) {
        match result {
            Ok(_) => drop(self.pending.take()),
            Err(ClientWriteError::ForwardToLeader(forward)) => {
                let hint = other_leader(&forward, self.me);
                self.pending.refuse(Refusal::NotLeader { hint });
            }
            Err(ClientWriteError::LogEntryDiscarded(_)) => self.pending.refuse(Refusal::Unknown),
            // Payloads ask for neither.
            Err(
                ClientWriteError::ChangeMembershipError(_)
                | ClientWriteError::PreconditionFailed(_),
            ) => self.pending.refuse(Refusal::Stopped),
        }
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        self.pending.refuse(Refusal::Unknown);
    }
}

/// The leader to redirect to; a leader whose lease expired names itself.
fn other_leader(forward: &ForwardToLeader<TypeConfig>, me: MemberId) -> Option<MemberId> {
    forward.leader_id.map(MemberId).filter(|leader| *leader != me)
}

impl fmt::Debug for Consensus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Consensus")
            .field("member", &self.inner.peers.me)
            .finish_non_exhaustive()
    }
}
