//! The handle of a running member.

use std::fmt;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use coord_state::consul::ConsulSessionId;
use coord_state::{
    Applied, Attachment, Command, Digest, MemberId, Revision, SessionId, StateMachine, StoredBatch,
};
use futures_util::future::FutureExt;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;

use super::fresh_ids::FreshIds;
use super::impairment::Impairment;
use super::lease::MajorityContact;
use super::peer_message::PeerMessage;
use super::replica::Replica;
use super::session_clock::SessionClock;
use super::work::Work;
use super::{ConnectionId, ConnectionSink, ReplySink, TopicWaiters, ZnodeWatches};
use crate::clock::Clock;
use crate::consensus::{Consensus, ConsensusRole, LogProgress};
use crate::error::Error;
use crate::settings::{ServerLine, ValidSettings};
use crate::storage::{FreeSpace, StorageTimes};
use crate::sync::Mutex;

/// A running member. Cheap to clone; all clones refer to the same member.
#[derive(Clone)]
pub struct Node {
    pub(super) inner: Arc<NodeCore>,
}

pub(super) struct NodeCore {
    pub(super) member: MemberId,
    pub(super) settings: ValidSettings,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) peer_addr: Option<SocketAddr>,
    /// In the data directory.
    pub(super) room: FreeSpace,
    pub(super) replica: Arc<Replica>,
    pub(super) consensus: Consensus,
    pub(super) session_clock: SessionClock,
    pub(super) majority: MajorityContact,
    pub(super) fresh: FreshIds,
    /// The ZooKeeper address of this member, once it listens.
    pub(super) zk_addr: OnceLock<SocketAddr>,
    /// The leader's number, 0 for none: where batches go.
    pub(super) leader: AtomicU64,
    /// The last term in which this member, as the leader, initialized the
    /// cluster before appending something else.
    pub(super) init_ordered_in: AtomicU64,
    /// Batches in flight have to be sent again.
    pub(super) reroute: Notify,
    /// Held during a membership change.
    pub(super) changing: tokio::sync::Mutex<()>,
    /// Held during a membership change and membership upkeep.
    pub(super) tidying: tokio::sync::Mutex<()>,
    /// Whether this member left the cluster on request.
    pub(super) left: AtomicBool,
    /// Membership upkeep is due now.
    pub(super) membership_due: Notify,
    pub(super) elections: ElectionTally,
    pub(super) work: Work,
    pub(super) storage_times: Arc<StorageTimes>,
    /// Which task panicked, and its message.
    pub(super) panicked: watch::Sender<Option<String>>,
    pub(super) tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// The atomics behind [`ElectionCounters`].
#[derive(Debug, Default)]
pub(super) struct ElectionTally {
    pub(super) led: AtomicU64,
    pub(super) stood: AtomicU64,
    /// The last term in which this member was a candidate.
    pub(super) stood_for: AtomicU64,
    pub(super) ended_by_ttl: AtomicU64,
}

/// Counters of elections since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ElectionCounters {
    /// This member became the leader.
    pub led: u64,
    /// It became a candidate. Very short elections may be missed.
    pub stood: u64,
    /// As the leader it expired a Consul session by its TTL.
    pub ended_by_ttl: u64,
}

/// The consistency level of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadLevel {
    /// What this member has applied, even without a leader.
    Stale,
    /// What the leader has committed, confirmed by its lease. Consul's default.
    Leader,
    /// Confirmed by a majority: linearizable.
    Linearizable,
}

/// The freshness of a confirmed read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// Whether a leader is known.
    pub known_leader: bool,
    /// Milliseconds since this member heard from the leader; 0 on the leader.
    pub last_contact_ms: u64,
}

/// The role of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The only member of the cluster.
    Standalone,
    /// The leader.
    Leader,
    /// Follows a leader.
    Follower,
    /// Looking for a leader.
    Looking,
    /// Follows without a vote.
    Learner,
}

/// The status of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeStatus {
    /// Its role.
    pub role: Role,
    /// The leader it knows.
    pub leader: Option<MemberId>,
    /// The Raft term.
    pub term: u64,
    /// The progress of its log.
    pub log: LogProgress,
    /// Milliseconds since it last heard from a leader, or, as the leader, from a
    /// majority.
    pub contact_ms: Option<u64>,
    /// Voting members and their peer addresses, in order.
    pub voters: Vec<(MemberId, String)>,
    /// Members without a vote and their peer addresses, in order.
    pub observers: Vec<(MemberId, String)>,
    /// Whether it serves no clients because it is not in the cluster's
    /// configuration: it was removed, or is not added yet.
    pub outside: bool,
    /// Why the member failed permanently, if it did.
    pub failed: Option<String>,
    /// Why the member refuses clients, if it does: its state differs or may
    /// differ from the cluster's, it cannot write its log, or it failed.
    pub withdrawn: Option<String>,
    /// Why only writes of clients are refused, if they are.
    pub refuses_writes: Option<String>,
}

/// Members that follow the leader and were heard from recently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InTouch {
    /// Voters.
    pub followers: usize,
    /// Observers in the configuration.
    pub observers: usize,
    /// Members that are being added or removed.
    pub others: usize,
}

impl Node {
    /// This member's number.
    pub fn member(&self) -> MemberId {
        self.inner.member
    }

    /// The settings it runs with.
    pub fn settings(&self) -> &ValidSettings {
        &self.inner.settings
    }

    /// Its clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    /// The address for other members, if there is one.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.inner.peer_addr
    }

    /// Submits a command; `sink` receives its outcome exactly once. Commands
    /// take effect in the order of submission. Never blocks: if too many are
    /// waiting, the outcome is `Unavailable`.
    pub fn submit(&self, command: &Command, sink: Arc<dyn ReplySink>, token: u64) {
        let inner = &self.inner;
        inner.replica.proposals.submit(command, (sink, token), |batch| inner.route(batch));
    }

    /// Submits a command and waits for its outcome. Durable on a majority and
    /// applied on this member once this returns. Dropping the future does not
    /// withdraw the command.
    ///
    /// # Errors
    /// `Unavailable`, `Indeterminate`, `Closed`. A rejection by the state
    /// machine is in [`Applied::result`].
    pub async fn propose(&self, command: &Command) -> Result<Applied, Error> {
        let (sender, receiver) = oneshot::channel();
        self.submit(command, Arc::new(OneReply(Mutex::new(Some(sender)))), 0);
        receiver.await.unwrap_or_else(|_| Err(Error::closed("this member was stopped")))
    }

    /// Reads the state applied by this member, at one revision. `look` runs
    /// under the state's read lock: be brief, do not call back into the node
    /// except to register watches and waiters.
    pub fn read<T>(&self, look: impl FnOnce(&StateMachine) -> T) -> T {
        look(&self.inner.replica.state())
    }

    /// The current status of the member.
    pub fn status(&self) -> NodeStatus {
        let status = self.inner.consensus.status();
        let impairment = self.inner.replica.impairment();
        let withdrawn = self.inner.replica.withdrawn();
        let role = match status.role {
            _ if withdrawn.is_some() => Role::Looking,
            ConsensusRole::Leader if status.voters.len() + status.learners.len() == 1 => {
                Role::Standalone
            }
            ConsensusRole::Leader => Role::Leader,
            ConsensusRole::Learner => Role::Learner,
            ConsensusRole::Follower if status.leader.is_some() => Role::Follower,
            ConsensusRole::Follower | ConsensusRole::Candidate => Role::Looking,
        };
        NodeStatus {
            role,
            leader: self.inner.leader_told(&status).filter(|_| withdrawn.is_none()),
            term: status.term,
            log: status.log,
            contact_ms: status.contact_ms,
            voters: status.voters,
            observers: status.learners,
            outside: self.inner.replica.config_membership.is_outside(),
            failed: match &impairment {
                Some(Impairment::Failed(why)) => Some(why.clone()),
                _ => status.failed,
            },
            withdrawn,
            refuses_writes: match impairment {
                Some(Impairment::NoRoom(why)) => Some(why),
                _ => None,
            },
        }
    }

    /// Whether reads are answered. A single member that cannot write its log
    /// still has the latest state.
    pub fn serves(&self) -> bool {
        self.inner.check_serves().is_ok()
    }

    /// The number of divergences from other members' states found since the
    /// start, and how often this member's state was replaced because of that.
    pub fn divergences(&self) -> (u64, u64) {
        let integrity = &self.inner.replica.integrity;
        (integrity.mismatches(), integrity.reinstalls())
    }

    /// Frames that were too large to send to or receive from another member,
    /// since the start. If there are any, members fall behind permanently.
    pub fn frames_too_large(&self) -> u64 {
        self.inner.consensus.frames_too_large()
    }

    /// Counters of elections of this member.
    pub fn elections(&self) -> ElectionCounters {
        let ElectionTally { led, stood, ended_by_ttl, .. } = &self.inner.elections;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        ElectionCounters { led: read(led), stood: read(stood), ended_by_ttl: read(ended_by_ttl) }
    }

    /// On the leader: how long ago each other member last responded, `None` for
    /// no response since this member leads. `None` on any other member.
    pub fn members_heard(&self) -> Option<Vec<(MemberId, Option<Duration>)>> {
        self.inner.consensus.members_heard()
    }

    /// On the leader: how many others responded within an election timeout.
    pub fn in_touch(&self) -> Option<InTouch> {
        let heard = self.members_heard()?;
        let within = Duration::from_millis(self.inner.settings.raft.election_max_ms.into());
        let status = self.status();
        let config = self.inner.config_text().0;
        let mut in_touch = InTouch::default();
        for (member, silence) in heard {
            if silence.is_none_or(|silence| silence > within) {
                continue;
            }
            let place = if status.voters.iter().any(|(voter, _)| *voter == member) {
                &mut in_touch.followers
            } else if config.servers.contains_key(&member) {
                &mut in_touch.observers
            } else {
                &mut in_touch.others
            };
            *place += 1;
        }
        Some(in_touch)
    }

    /// The members in `/zookeeper/config`: empty for a single member.
    pub fn config(&self) -> Vec<(MemberId, ServerLine)> {
        self.inner.config_text().0.servers.into_iter().collect()
    }

    /// Sets the ZooKeeper address of this member, for `/zookeeper/config`. Only
    /// the first call counts.
    pub fn announce_zk_addr(&self, address: SocketAddr) {
        self.inner.zk_addr.get_or_init(|| address);
    }

    /// The digest at some of the revisions applied since the start, oldest
    /// first: the same revisions on every member.
    pub fn digest_history(&self) -> Vec<(Revision, Digest)> {
        self.inner.replica.digests.noted()
    }

    /// The revision of this member's last snapshot, if it took or received one.
    pub fn snapshot_revision(&self) -> Option<Revision> {
        self.inner.replica.snapshot_revision()
    }

    /// The time until each ZooKeeper session expires without a heartbeat. Only
    /// known to the leader.
    pub fn session_time_left(&self) -> Option<Vec<(SessionId, Duration)>> {
        let now = self.inner.clock.monotonic();
        self.inner.is_leader().then(|| self.inner.session_clock.time_left(now))
    }

    /// ZooKeeper watches.
    pub fn znode_watches(&self) -> &ZnodeWatches {
        &self.inner.replica.znode_watches
    }

    /// Waiters for changes.
    pub fn topic_waiters(&self) -> &Arc<TopicWaiters> {
        &self.inner.replica.topic_waiters
    }

    /// Sets the connection to notify when its session closes or moves to
    /// another connection; replaces an earlier one of the same session.
    pub fn own_session(
        &self,
        session: SessionId,
        attachment: Attachment,
        sink: Arc<dyn ConnectionSink>,
    ) {
        self.inner.replica.own_session(session, attachment, sink);
    }

    /// Undoes [`Self::own_session`], if that attachment still owns it.
    pub fn disown_session(&self, session: SessionId, attachment: Attachment) {
        self.inner.replica.disown_session(session, attachment);
    }

    /// Heartbeat of a ZooKeeper session on this member. Cheap; call it for
    /// every request.
    pub fn touch_session(&self, session: SessionId) {
        self.inner.session_clock.touch(session);
    }

    /// Restarts the TTL of a Consul session. False if it does not exist.
    ///
    /// # Errors
    /// `Unavailable` with no leader.
    pub async fn renew_consul_session(&self, session: ConsulSessionId) -> Result<bool, Error> {
        self.inner.renew_consul_session(session).await
    }

    /// A new, unique session id, with this member's number in its high byte.
    pub fn fresh_session_id(&self) -> SessionId {
        self.inner.fresh.session()
    }

    /// A new, unique attachment.
    pub fn fresh_attachment(&self) -> Attachment {
        self.inner.fresh.attachment()
    }

    /// A new connection number of this member.
    pub fn fresh_connection_id(&self) -> ConnectionId {
        self.inner.fresh.connection()
    }

    /// Wraps a task that must run as long as the member: if it panics, the member fails.
    pub fn guard(
        &self,
        what: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        guard(self.inner.panicked.clone(), what, task)
    }

    /// Random bytes from the operating system.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        random()
    }
}

/// Test hooks.
#[cfg(test)]
impl Node {
    /// Applies `fault` to every batch from now on, before it is applied here.
    pub(crate) fn inject_fault(&self, fault: super::replica::Fault) {
        let mut place = self.inner.replica.fault.lock().unwrap_or_else(PoisonError::into_inner);
        *place = Some(fault);
    }

    /// Keeps the member from replacing its state until the guard is dropped.
    pub(crate) fn hold_reinstall(&self) -> tokio::sync::OwnedMutexGuard<()> {
        self.inner.consensus.hold_snapshots()
    }

    /// Takes a snapshot nevertheless.
    pub(crate) async fn snapshot_for_test(&self) -> Result<(), Error> {
        self.inner.consensus.snapshot().await
    }
}

/// Random bytes from the operating system.
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

impl NodeCore {
    /// Appends a sealed batch here, or sends it to the leader. With no leader
    /// it stays in flight until there is one.
    pub(super) fn route(self: &Arc<Self>, batch: &Bytes) {
        let leader = MemberId(self.leader.load(Ordering::Acquire));
        if self.replica.is_down() {
            // Sent once the log can be written, or another one leads.
        } else if leader == self.member {
            let weak = Arc::downgrade(self);
            self.append(batch, move || {
                if let Some(inner) = weak.upgrade() {
                    inner.reroute();
                }
            });
        } else if leader != MemberId(0) {
            let forward = PeerMessage::Forward(batch.clone());
            self.consensus.send(leader, forward.to_bytes());
        }
    }

    /// Stamps a batch with the state's time and appends it to the log, after
    /// the initialization of the cluster.
    pub(super) fn append(
        self: &Arc<Self>,
        batch: &[u8],
        on_refused: impl FnOnce() + Send + 'static,
    ) {
        self.init_cluster_first();
        let mut stored = batch.to_vec();
        StoredBatch::stamp(&mut stored, self.replica.state_time.lead());
        self.work.proposed(stored.len());
        self.consensus.propose(stored.into(), move |_refusal| on_refused());
    }

    /// Seals the batch that accumulated while the window was full.
    pub(super) fn pump(self: &Arc<Self>) {
        self.replica.proposals.pump(|batch| self.route(batch));
    }

    /// Schedules resending of all batches in flight.
    pub(super) fn reroute(&self) {
        self.reroute.notify_one();
    }

    pub(super) fn is_leader(&self) -> bool {
        self.leader.load(Ordering::Acquire) == self.member.0
    }

    /// The leader, if one is known.
    pub(super) fn known_leader(&self) -> Option<MemberId> {
        let leader = MemberId(self.leader.load(Ordering::Acquire));
        (leader != MemberId(0)).then_some(leader)
    }

    /// Runs one of the member's own tasks.
    pub(super) fn spawn(
        &self,
        what: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let handle = tokio::spawn(guard(self.panicked.clone(), what, task));
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).push(handle);
    }
}

/// An essential task: if it panics, the member fails.
async fn guard(
    panicked: watch::Sender<Option<String>>,
    what: &'static str,
    task: impl Future<Output = ()> + Send + 'static,
) {
    if AssertUnwindSafe(task).catch_unwind().await.is_err() {
        panicked.send_replace(Some(format!("a task of this member panicked: {what}")));
    }
}

/// Passes one outcome to a future.
struct OneReply(Mutex<Option<oneshot::Sender<Result<Applied, Error>>>>);

impl ReplySink for OneReply {
    fn complete(&self, _token: u64, outcome: Result<Applied, Error>) {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sender) = sender {
            // The caller no longer waits; the command took effect nevertheless.
            let _ = sender.send(outcome);
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Node").field("member", &self.inner.member).finish_non_exhaustive()
    }
}
