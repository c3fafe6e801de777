//! The handle of a running member.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use coord_state::consul::ConsulSessionId;
use coord_state::{
    Applied, Attachment, Command, Digest, MemberId, Revision, SessionId, StateMachine,
};
use tokio::sync::oneshot;

use super::impairment::Impairment;
use super::node_core::{Node, guard, random};
use super::status::{ElectionCounters, ElectionTally, InTouch, NodeStatus, Role};
use super::{ConnectionId, ConnectionSink, ReplySink, TopicWaiters, ZnodeWatches};
use crate::clock::Clock;
use crate::consensus::ConsensusRole;
use crate::error::Error;
use crate::settings::{ServerLine, ValidSettings};
use crate::sync::Mutex;

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
        // Invariants C4 and C10: whatever `look` registers belongs to the state it saw, and
        // writers wait while it looks.
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

    /// Has the log take a payload as it is.
    pub(crate) fn propose_raw(&self, payload: bytes::Bytes) {
        self.inner.consensus.propose(payload, |_refusal| {});
    }

    /// Sends a batch as it is to a member, as one that leads.
    pub(crate) fn forward_raw(&self, to: MemberId, batch: Vec<u8>) {
        let forward = super::peer_message::PeerMessage::Forward(batch.into());
        self.inner.consensus.send(to, forward.to_bytes());
    }

    /// Has the next batch one command more than there are waiters for it.
    pub(crate) fn lose_a_waiter(&self, command: &Command) {
        self.inner.replica.proposals.lose_a_waiter(command);
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
