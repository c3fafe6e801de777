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

/// A running member. Cheap to clone; all clones are the same member.
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
    /// Where ZooKeeper clients reach this member, once it listens.
    pub(super) zk_addr: OnceLock<SocketAddr>,
    /// The leader's number, 0 for none: where batches go.
    pub(super) leader: AtomicU64,
    /// The last term in which this member, leading, founded the cluster because
    /// something else was about to be ordered.
    pub(super) init_ordered_in: AtomicU64,
    /// Something in flight has to be sent again.
    pub(super) reroute: Notify,
    /// Held by whoever changes the members.
    pub(super) changing: tokio::sync::Mutex<()>,
    /// Held while the members are changed or looked after.
    pub(super) tidying: tokio::sync::Mutex<()>,
    /// Whether this member left the cluster by itself.
    pub(super) left: AtomicBool,
    /// The members are to be looked after now.
    pub(super) membership_due: Notify,
    pub(super) elections: ElectionTally,
    pub(super) work: Work,
    pub(super) storage_times: Arc<StorageTimes>,
    /// Which of its tasks did, and what it said.
    pub(super) panicked: watch::Sender<Option<String>>,
    pub(super) tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// What [`ElectionCounters`] are counted in.
#[derive(Debug, Default)]
pub(super) struct ElectionTally {
    pub(super) led: AtomicU64,
    pub(super) stood: AtomicU64,
    /// The last term stood for.
    pub(super) stood_for: AtomicU64,
    pub(super) ended_by_ttl: AtomicU64,
}

/// How often, since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ElectionCounters {
    /// This member came to lead.
    pub led: u64,
    /// It stood for election. One that is over at once may be missed.
    pub stood: u64,
    /// As the leader it ended a session of Consul's whose TTL ran out.
    pub ended_by_ttl: u64,
}

/// How fresh a read must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadLevel {
    /// Whatever this member has applied, even with no leader.
    Stale,
    /// What the leader has committed, as far as it knows itself leader under
    /// its lease. Consul's default.
    Leader,
    /// Confirmed with a majority: no read can be fresher.
    Linearizable,
}

/// How fresh a confirmed read is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// Whether a leader is known.
    pub known_leader: bool,
    /// Milliseconds since this member heard from it; 0 on the leader.
    pub last_contact_ms: u64,
}

/// A member's part in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The only member.
    Standalone,
    /// Orders commands.
    Leader,
    /// Follows a leader.
    Follower,
    /// Knows no leader.
    Looking,
    /// Follows without a vote.
    Learner,
}

/// How a member stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeStatus {
    /// Its part.
    pub role: Role,
    /// The leader it knows.
    pub leader: Option<MemberId>,
    /// The Raft term.
    pub term: u64,
    /// How far its log goes.
    pub log: LogProgress,
    /// Milliseconds since it last heard from a leader, or, as the leader, from a
    /// majority.
    pub contact_ms: Option<u64>,
    /// Voting members and their peer addresses, in order.
    pub voters: Vec<(MemberId, String)>,
    /// Members without a vote and their peer addresses, in order.
    pub observers: Vec<(MemberId, String)>,
    /// Whether it serves nobody because the cluster's configuration names others
    /// only: it was removed, or is not added yet.
    pub outside: bool,
    /// Why the member can no longer take part, if it cannot.
    pub failed: Option<String>,
    /// Why the member turns its clients away, if it does: its state is not, or
    /// may not be, the cluster's, its log cannot be written, or it failed.
    pub withdrawn: Option<String>,
    /// Why clients' writes are refused, if they are, and nothing else.
    pub refuses_writes: Option<String>,
}

/// Members that follow the leader and were heard lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InTouch {
    /// With a vote.
    pub followers: usize,
    /// Without one, as the configuration wants it.
    pub observers: usize,
    /// On their way in or out.
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

    /// Where other members connect to, if they can.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.inner.peer_addr
    }

    /// Orders a command; `sink` gets its outcome exactly once. Commands
    /// submitted one after the other take effect in that order. Never blocks:
    /// when too much is waiting, the outcome is `Unavailable`.
    pub fn submit(&self, command: &Command, sink: Arc<dyn ReplySink>, token: u64) {
        let inner = &self.inner;
        inner.replica.proposals.submit(command, (sink, token), |batch| inner.route(batch));
    }

    /// Orders a command and waits for its outcome. Durable on a majority and
    /// applied here once this returns. Dropping the future does not withdraw
    /// the command.
    ///
    /// # Errors
    /// `Unavailable`, `Indeterminate`, `Closed`. A refusal by the state
    /// machine is in [`Applied::result`].
    pub async fn propose(&self, command: &Command) -> Result<Applied, Error> {
        let (sender, receiver) = oneshot::channel();
        self.submit(command, Arc::new(OneReply(Mutex::new(Some(sender)))), 0);
        receiver.await.unwrap_or_else(|_| Err(Error::closed("this member was stopped")))
    }

    /// Looks at the state as applied here, at one revision. `look` runs under
    /// the state's read lock: be brief, do not call back into the node except
    /// to register watches and waiters.
    pub fn read<T>(&self, look: impl FnOnce(&StateMachine) -> T) -> T {
        look(&self.inner.replica.state())
    }

    /// How the member stands now.
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

    /// Whether reads are answered. A member alone whose log cannot be written
    /// still has the newest state there is.
    pub fn serves(&self) -> bool {
        self.inner.check_serves().is_ok()
    }

    /// How often, since the start, another member's state was found to differ
    /// from this one's, and how often this one's was replaced for it.
    pub fn divergences(&self) -> (u64, u64) {
        let integrity = &self.inner.replica.integrity;
        (integrity.mismatches(), integrity.reinstalls())
    }

    /// Frames that were too large to go from or to another member, since the
    /// start. Unless there are none, members fall behind for good.
    pub fn frames_too_large(&self) -> u64 {
        self.inner.consensus.frames_too_large()
    }

    /// How often this member had which part.
    pub fn elections(&self) -> ElectionCounters {
        let ElectionTally { led, stood, ended_by_ttl, .. } = &self.inner.elections;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        ElectionCounters { led: read(led), stood: read(stood), ended_by_ttl: read(ended_by_ttl) }
    }

    /// On the leader: how long ago each other member answered last, `None` if
    /// not since this one leads. `None` on any other member.
    pub fn members_heard(&self) -> Option<Vec<(MemberId, Option<Duration>)>> {
        self.inner.consensus.members_heard()
    }

    /// On the leader: how many others were heard within an election's time.
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

    /// Who takes part, as `/zookeeper/config` says: nobody for a member alone.
    pub fn config(&self) -> Vec<(MemberId, ServerLine)> {
        self.inner.config_text().0.servers.into_iter().collect()
    }

    /// Tells where ZooKeeper clients reach this member, for `/zookeeper/config`.
    /// The first address counts.
    pub fn announce_zk_addr(&self, address: SocketAddr) {
        self.inner.zk_addr.get_or_init(|| address);
    }

    /// What the digest was at some of the revisions applied since the start,
    /// oldest first: the same revisions on every member.
    pub fn digest_history(&self) -> Vec<(Revision, Digest)> {
        self.inner.replica.digests.noted()
    }

    /// What this member's last snapshot contains, if it made or took over one.
    pub fn snapshot_revision(&self) -> Option<Revision> {
        self.inner.replica.snapshot_revision()
    }

    /// How long each ZooKeeper session still has if nothing is heard of it.
    /// Only the leader knows.
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

    /// Names the connection to be told when its session closes or moves away;
    /// replaces an earlier one of the same session.
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

    /// A sign of life of a ZooKeeper session on this member. Cheap; call it
    /// for every request.
    pub fn touch_session(&self, session: SessionId) {
        self.inner.session_clock.touch(session);
    }

    /// Restarts the TTL of a Consul session. False if it is not live.
    ///
    /// # Errors
    /// `Unavailable` with no leader.
    pub async fn renew_consul_session(&self, session: ConsulSessionId) -> Result<bool, Error> {
        self.inner.renew_consul_session(session).await
    }

    /// A session id nobody had before, with this member's number in its high byte.
    pub fn fresh_session_id(&self) -> SessionId {
        self.inner.fresh.session()
    }

    /// An attachment nobody had before.
    pub fn fresh_attachment(&self) -> Attachment {
        self.inner.fresh.attachment()
    }

    /// A connection number of this member.
    pub fn fresh_connection_id(&self) -> ConnectionId {
        self.inner.fresh.connection()
    }

    /// Wraps a task that has to last as long as the member: it fails if that panics.
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

/// What only a test may do to a member.
#[cfg(test)]
impl Node {
    /// Has `fault` at every batch from now on, before it is applied here.
    pub(crate) fn inject_fault(&self, fault: super::replica::Fault) {
        let mut place = self.inner.replica.fault.lock().unwrap_or_else(PoisonError::into_inner);
        *place = Some(fault);
    }

    /// Keeps the member from replacing its state until the guard is dropped.
    pub(crate) fn hold_reinstall(&self) -> tokio::sync::OwnedMutexGuard<()> {
        self.inner.consensus.hold_snapshots()
    }

    /// Takes a snapshot even then.
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

    /// Stamps a batch with the state's time and appends it to the log, behind the
    /// founding of the cluster.
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

    /// Seals what gathered while the window was full.
    pub(super) fn pump(self: &Arc<Self>) {
        self.replica.proposals.pump(|batch| self.route(batch));
    }

    /// Has everything in flight sent again soon.
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

/// A task without which the member is none: it fails if that panics.
async fn guard(
    panicked: watch::Sender<Option<String>>,
    what: &'static str,
    task: impl Future<Output = ()> + Send + 'static,
) {
    if AssertUnwindSafe(task).catch_unwind().await.is_err() {
        panicked.send_replace(Some(format!("a task of this member panicked: {what}")));
    }
}

/// Hands one outcome to a future.
struct OneReply(Mutex<Option<oneshot::Sender<Result<Applied, Error>>>>);

impl ReplySink for OneReply {
    fn complete(&self, _token: u64, outcome: Result<Applied, Error>) {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sender) = sender {
            // Nobody waits any longer: the command took effect all the same.
            let _ = sender.send(outcome);
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Node").field("member", &self.inner.member).finish_non_exhaustive()
    }
}
