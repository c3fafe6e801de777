//! Background duties of a member: send its batches to the current leader,
//! report live sessions to it, and, as the leader, expire sessions and sweep
//! znodes.
//!
//! A leader decides about others only while it has a majority, and its
//! decisions are valid in its own term only: see `verdicts`.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use coord_state::machine::ClusterIdentity;
use coord_state::znode::{Caller, ZnodeCommand, ZnodeOp};
use coord_state::{Command, MemberId};

use super::divergence::integrity;
use super::divergence::recovery;
use super::impairment;
use super::membership::config_membership;
use super::node_core::{NodeCore, random};
use super::peer_message::{PeerCall, read_answer};
use super::proposals::PATIENCE;
use super::session_clock::Reach;
use crate::clock;
use crate::consensus::{ConsensusRole, ConsensusStatus};

/// How often batches in flight are looked after.
const ROUTER_TICK: Duration = Duration::from_millis(100);

/// A batch that a leader elsewhere has not brought back for so long is sent
/// again; doubled each time, up to [`RESEND_AFTER_MAX`].
const RESEND_AFTER: Duration = Duration::from_millis(500);
const RESEND_AFTER_MAX: Duration = Duration::from_secs(2);

/// A report of the sessions heard from that was not answered by then is made again.
const REPORT_TIMEOUT: Duration = Duration::from_millis(500);

/// A refused batch waits this long for the leader question to settle.
const REROUTE_DELAY: Duration = Duration::from_millis(10);

/// How many znodes one sweep removes at most; what is left over waits for the next.
const SWEEP_MAX: usize = 10_000;

pub(super) fn start(inner: &Arc<NodeCore>) {
    let status = inner.consensus.watch_status();
    inner.follow_leader(&status.borrow().clone());
    inner.spawn("sending batches", route_batches(Arc::downgrade(inner), status));
    inner.spawn("keeping sessions", keep_sessions(Arc::downgrade(inner)));
    inner.spawn("sweeping znodes", sweep_znodes(Arc::downgrade(inner)));
    inner.spawn("looking after the members", config_membership::run_upkeep(Arc::downgrade(inner)));
    inner.spawn("settling disputes", integrity::run_upkeep(Arc::downgrade(inner)));
    inner.spawn("watching storage", impairment::run_upkeep(Arc::downgrade(inner)));
    inner.spawn("recovering", recovery::run_upkeep(Arc::downgrade(inner)));
}

/// Sends batches in flight again when the leader changes, refuses or is silent.
async fn route_batches(
    weak: Weak<NodeCore>,
    mut status: tokio::sync::watch::Receiver<ConsensusStatus>,
) {
    let mut ticks = clock::interval(ROUTER_TICK);
    let mut patience = Patience::default();
    loop {
        let Some(inner) = weak.upgrade() else { return };
        tokio::select! {
            changed = status.changed() => {
                if changed.is_err() {
                    return;
                }
                let now = status.borrow_and_update().clone();
                inner.follow_leader(&now);
            }
            () = inner.reroute.notified() => {
                clock::sleep(REROUTE_DELAY).await;
                inner.resend();
            }
            _ = ticks.tick() => patience.tick(&inner),
        }
    }
}

impl NodeCore {
    /// Takes note of who leads, and sends everything in flight there if that changed.
    fn follow_leader(self: &Arc<Self>, status: &ConsensusStatus) {
        let elections = &self.elections;
        if status.role == ConsensusRole::Candidate
            && elections.stood_for.swap(status.term, Ordering::Relaxed) != status.term
        {
            elections.stood.fetch_add(1, Ordering::Relaxed);
        }
        let leader = status.leader.map_or(0, |leader| leader.0);
        let before = self.leader.swap(leader, Ordering::AcqRel);
        self.work.knows_leader(leader != 0, self.clock.monotonic());
        if leader == before || leader == 0 {
            return;
        }
        tracing::info!(member = self.member.0, leader, term = status.term, "following the leader");
        self.replica.proposals.reopen();
        self.resend();
        if self.is_leader() {
            elections.led.fetch_add(1, Ordering::Relaxed);
            self.lead_sessions();
        }
    }

    pub(super) fn resend(self: &Arc<Self>) {
        self.replica.proposals.resend(|batch| self.route(batch));
        self.pump();
    }
}

/// How long things have stood still.
#[derive(Default)]
struct Patience {
    oldest: Option<u64>,
    unmoved: Duration,
    resend_after: Duration,
    leaderless: Duration,
}

impl Patience {
    fn tick(&mut self, inner: &Arc<NodeCore>) {
        // A leader without a majority is none, and is not replaced in its own eyes.
        if inner.leader_told(&inner.consensus.status()).is_none() {
            let before = self.leaderless;
            self.leaderless += ROUTER_TICK;
            // Whom a member without a leader still serves is each server's to say.
            if before < PATIENCE && self.leaderless >= PATIENCE {
                tracing::warn!(
                    member = inner.member.0,
                    "no leader: this member refuses writes until it hears from one"
                );
                inner.replica.proposals.give_up_on_leader();
            }
            return;
        }
        if self.leaderless >= PATIENCE {
            inner.replica.proposals.reopen();
            inner.resend();
        }
        self.leaderless = Duration::ZERO;
        let oldest = inner.replica.proposals.oldest_in_flight();
        if oldest != self.oldest || oldest.is_none() {
            *self = Self { oldest, resend_after: RESEND_AFTER, ..Self::default() };
            return;
        }
        self.unmoved += ROUTER_TICK;
        // The leader's own batches cannot be lost on the way.
        if self.unmoved >= self.resend_after && !inner.is_leader() {
            self.unmoved = Duration::ZERO;
            self.resend_after = (self.resend_after * 2).min(RESEND_AFTER_MAX);
            inner.resend();
        }
    }
}

/// Carries touches to the leader; on the leader, founds the cluster and ends
/// what has run out.
async fn keep_sessions(weak: Weak<NodeCore>) {
    let period = {
        let Some(inner) = weak.upgrade() else { return };
        Duration::from_millis(u64::from(inner.settings.session.tick_ms / 8).clamp(20, 250))
    };
    let mut ticks = clock::interval(period);
    loop {
        ticks.tick().await;
        let Some(inner) = weak.upgrade() else { return };
        match inner.known_leader() {
            Some(leader) if leader == inner.member => inner.lead_sessions(),
            Some(leader) => inner.report_touches(leader).await,
            // Touches are kept until somebody can use them.
            None => {}
        }
    }
}

impl NodeCore {
    /// Tells the leader who was heard from, and tells it again until it answers: the
    /// clients were answered already. A link that comes and goes loses some reports.
    async fn report_touches(&self, leader: MemberId) {
        let report = async |touched| {
            let call = self.consensus.call(leader, PeerCall::Touch(touched).to_bytes());
            let answer = clock::timeout(REPORT_TIMEOUT, call).await;
            answer.is_some_and(|answer| answer.is_ok_and(|taken| read_answer(taken) == Ok(true)))
        };
        self.session_clock.report(report).await;
    }

    /// Orders the founding before anything else, if there was none: whatever comes
    /// first takes the first revision, and clients of Consul take an index of 1 for
    /// that of a server that is not ready.
    ///
    /// It runs under the lock of the queue of proposals, which applying takes under
    /// that of the state: it must not wait for the state.
    pub(super) fn init_cluster_first(self: &Arc<Self>) {
        let Some(found) = self.init_command() else { return };
        let status = self.consensus.status();
        let is_ordered = self.init_ordered_in.load(Ordering::Acquire) == status.term;
        if status.role == ConsensusRole::Leader && !is_ordered {
            drop(self.decide(status.term, vec![found]));
            // The log keeps the order, so once in a term is enough. If that is not
            // taken, `lead_sessions` tries again.
            self.init_ordered_in.store(status.term, Ordering::Release);
        }
    }

    /// The command that founds the cluster, unless it was founded.
    fn init_command(&self) -> Option<Command> {
        (!self.replica.has_cluster_identity()).then(|| {
            Command::InitCluster(ClusterIdentity {
                cluster: u128::from_le_bytes(random()),
                digest_key: u64::from_le_bytes(random()),
            })
        })
    }

    fn lead_sessions(self: &Arc<Self>) {
        let status = self.consensus.status();
        let deciding = self.deciding_term();
        let reach = Reach {
            heard: self.consensus.members_heard().unwrap_or_default(),
            lease: self.settings.raft.lease(),
        };
        let now = self.clock.monotonic();
        let touched = self.session_clock.take_touched();
        let overdue = {
            let state = self.replica.state();
            self.session_clock.renew(&touched, &state, now);
            let multiplier = self.settings.session.consul_ttl_multiplier_percent;
            self.session_clock.overdue(deciding, &state, &reach, now, multiplier)
        };
        // Founding judges nobody: it need not wait until a majority was heard.
        if status.role == ConsensusRole::Leader
            && let Some(found) = self.init_command()
        {
            drop(self.decide(status.term, vec![found]));
        }
        let Some(term) = deciding.filter(|_| !overdue.is_empty()) else { return };
        let by_ttl = overdue.iter().filter(|command| matches!(command, Command::Consul(_))).count();
        self.elections.ended_by_ttl.fetch_add(by_ttl as u64, Ordering::Relaxed);
        drop(self.decide(term, overdue));
    }
}

/// On the leader: removes empty containers and outlived TTL znodes.
async fn sweep_znodes(weak: Weak<NodeCore>) {
    let period = {
        let Some(inner) = weak.upgrade() else { return };
        Duration::from_millis(inner.settings.session.sweep_interval_ms.into())
    };
    let mut ticks = clock::interval(period);
    loop {
        ticks.tick().await;
        let Some(inner) = weak.upgrade() else { return };
        let Some(term) = inner.deciding_term() else { continue };
        let session = &inner.settings.session;
        let pause = Duration::from_secs(60) / session.sweep_per_minute_max;
        for op in overdue_znodes(&inner) {
            if inner.deciding_term() != Some(term) {
                break;
            }
            let caller = Caller { session: None, identities: Box::new([]) };
            drop(inner.decide(term, vec![Command::Znode(ZnodeCommand { caller, op })]));
            clock::sleep(pause).await;
        }
    }
}

fn overdue_znodes(inner: &NodeCore) -> Vec<ZnodeOp> {
    let now_ms = inner.replica.state_time.lead();
    let unused_ms = inner.settings.session.container_never_used_ms;
    let state = inner.replica.state();
    let outlived = state.znodes().reap_candidates(now_ms, SWEEP_MAX);
    let mut ops: Vec<_> = outlived.map(|path| ZnodeOp::Reap { path: Box::from(&**path) }).collect();
    if unused_ms > 0 {
        let unused = state.znodes().unused_containers(now_ms, unused_ms, SWEEP_MAX - ops.len());
        ops.extend(unused.map(|path| ZnodeOp::ReapUnused { path: Box::from(&**path), unused_ms }));
    }
    ops
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use coord_state::consul::{ConsulCommand, KvOp};
    use tempfile::TempDir;

    use super::*;
    use crate::node::Node;
    use crate::settings::Settings;

    #[tokio::test(flavor = "multi_thread")]
    async fn nothing_is_ordered_before_the_founding() {
        let directory = TempDir::new().unwrap();
        let settings = Settings { data_dir: directory.path().to_owned(), ..Settings::default() };
        let node = Node::builder(settings.validate().unwrap()).start().await.unwrap();
        // It waits for a leader, and is sent to it as soon as there is one.
        let (key, value) = (Bytes::from_static(b"k"), Bytes::new());
        let set = ConsulCommand::Kv(KvOp::Set { key, value, flags: 0 });
        let applied = node.propose(&Command::Consul(set)).await.unwrap();
        assert!(applied.revision.0 > 1, "{applied:?}");
        assert!(node.read(|state| state.cluster_identity().is_some()));
        node.stop().await;
    }

    /// Applying holds the state and asks for the queue of proposals; routing holds the
    /// queue. A leader whose first batch waited for the state stood still for good.
    #[tokio::test(flavor = "multi_thread")]
    async fn ordering_the_founding_does_not_wait_for_the_state() {
        let directory = TempDir::new().unwrap();
        let settings = Settings { data_dir: directory.path().to_owned(), ..Settings::default() };
        let node = Node::builder(settings.validate().unwrap()).start().await.unwrap();
        let (key, value) = (Bytes::from_static(b"k"), Bytes::new());
        let set = ConsulCommand::Kv(KvOp::Set { key, value, flags: 0 });
        node.propose(&Command::Consul(set)).await.unwrap();
        for founded in [true, false] {
            let inner = Arc::clone(&node.inner);
            inner.init_ordered_in.store(0, Ordering::Release);
            let (told, ordered) = std::sync::mpsc::sync_channel(1);
            let locked = inner.replica.locked_with(founded);
            let other = Arc::clone(&inner);
            std::thread::spawn(move || {
                other.init_cluster_first();
                told.send(())
            });
            ordered.recv_timeout(Duration::from_secs(60)).expect("it waits for the state");
            drop(locked);
        }
        node.stop().await;
    }
}
