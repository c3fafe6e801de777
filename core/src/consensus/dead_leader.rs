//! Replaces a leader whose process has ended, without waiting for its lease.
//!
//! When its connection from the leader closes, a follower asks the leader
//! whether it still leads that term:
//!
//! | answer | this member |
//! |---|---|
//! | connection refused: nothing listens at its address | starts an election immediately |
//! | it does not lead that term (any more) | the same: it never will again |
//! | it does | continues to follow |
//! | none: a reset, a timeout, an unreachable network | waits for the lease to end, as usual |
//!
//! Only the first two are proof, and each voter needs its own: a voter without proof honours the
//! lease and refuses its vote. The election is an ordinary one with a pre-vote, so this can never
//! produce two leaders in one term. Only reads under the lease depend on it: a firewall that resets
//! the leader's connections and also refuses new ones on its behalf can make such a read stale for
//! the duration of a lease, as Consul's default allows.
//!
//! Voters become candidates one after the other, in the order of their numbers, so that votes are
//! rarely split.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use coord_state::MemberId;
use coord_state::codec::{Decode, Encode, Input};
use openraft::ServerState;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::raft::TransferLeaderRequest;
use tokio::sync::mpsc;

use super::lifetime::{pause, timeout};
use super::member::Consensus;
use super::peer_frame::PeerError;
use super::peer_link::CALL_LEADS;
use super::types::Vote;

/// Members whose connections ended and that are still to be asked.
pub(super) const ENDED_MAX: usize = 64;
/// A process that is being killed may accept a connection yet, and one that was
/// restarted reads its log before it answers: both are asked again, after a pause
/// that doubles.
const ASK_AGAIN: Duration = Duration::from_millis(10);
const ASK_AGAIN_MAX: Duration = Duration::from_millis(160);
const ASK_FOR: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_millis(250);
/// How long the voter before this one has the field for itself.
const TURN: Duration = Duration::from_millis(50);
/// Another voter may need a moment to see for itself that the leader is gone.
const STAND_AGAIN: Duration = Duration::from_millis(20);
const STAND_FOR: Duration = Duration::from_secs(1);
/// Whom this member would vote for gets that long to ask.
const GRANTED_FOR: Duration = Duration::from_millis(150);

/// When this member last told another that it would vote for it.
#[derive(Debug)]
pub(super) struct Granted {
    origin: Instant,
    at_ms: AtomicU64,
}

impl Granted {
    pub(super) fn new(origin: Instant) -> Self {
        Self { origin, at_ms: AtomicU64::new(0) }
    }

    fn now_ms(&self) -> u64 {
        // Never the 0 that stands for never.
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1
    }

    pub(super) fn note(&self) {
        self.at_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    fn within(&self, duration: Duration) -> bool {
        let at = self.at_ms.load(Ordering::Relaxed);
        at != 0 && u128::from(self.now_ms() - at.min(self.now_ms())) < duration.as_millis()
    }
}

impl Consensus {
    /// Hears whose connections to this member ended, and replaces a leader among
    /// them if its process is gone.
    pub(super) async fn replace_dead_leaders(self, mut ended: mpsc::Receiver<MemberId>) {
        while let Some(member) = ended.recv().await {
            if let Some(vote) = self.vote_for(member)
                && self.is_gone(member, &vote).await
            {
                tracing::info!(
                    member = self.inner.peers.me.0,
                    leader = member.0,
                    term = vote.leader_id.term,
                    "the leader's process has ended"
                );
                self.stand_instead_of(member, vote).await;
            }
        }
    }

    /// The vote by which `leader` leads, if it does and this member has a vote.
    fn vote_for(&self, leader: MemberId) -> Option<Vote> {
        let metrics = self.inner.raft.metrics();
        let metrics = metrics.borrow_watched();
        let follows = metrics.current_leader == Some(leader.0) && metrics.id != leader.0;
        let votes = metrics.membership_config.membership().voter_ids().any(|id| id == metrics.id);
        let leads = metrics.vote.committed && metrics.vote.leader_id.voted_for == leader.0;
        (follows && votes && leads).then_some(metrics.vote)
    }

    /// Whether there is proof that a leader does not lead its term any more.
    async fn is_gone(&self, leader: MemberId, vote: &Vote) -> bool {
        let mut request = Vec::new();
        vote.leader_id.term.encode(&mut request);
        let request = Bytes::from(request);
        let began = Instant::now();
        let mut again = ASK_AGAIN;
        while began.elapsed() < ASK_FOR {
            let asking = self.inner.peers.call(leader, CALL_LEADS, request.clone());
            match timeout(ANSWER_TIMEOUT, asking).await {
                Some(Ok(answer)) => return bool::decode(&mut Input::new(answer)) == Ok(false),
                Some(Err(PeerError::NobodyListens(_))) => return true,
                Some(Err(PeerError::Broken(_) | PeerError::Unreachable(_))) | None => {}
            }
            pause(again).await;
            again = (again * 2).min(ASK_AGAIN_MAX);
            if self.vote_for(leader).as_ref() != Some(vote) {
                return false;
            }
        }
        false
    }

    /// Answers the question of [`Self::is_gone`].
    pub(super) fn leads_term(raft: &super::state_machine::Raft, term: u64) -> bool {
        let metrics = raft.metrics();
        let metrics = metrics.borrow_watched();
        metrics.state == ServerState::Leader && metrics.current_term == term
    }

    async fn stand_instead_of(&self, leader: MemberId, vote: Vote) {
        let raft = &self.inner.raft;
        // To openraft it is as if the leader handed over to nobody: the lease ends,
        // and those who ask for a vote get it. A failure is the member's own.
        let nobody = leader.0;
        let released = TransferLeaderRequest::new(vote, nobody, None);
        if raft.handle_transfer_leader(released).await.is_err() {
            return;
        }
        pause(TURN * self.turn(leader)).await;
        let began = Instant::now();
        while began.elapsed() < STAND_FOR && self.vote_for(leader) == Some(vote) {
            let may_stand = self.inner.acquaintance.may_stand()
                && raft.metrics().borrow_watched().state == ServerState::Follower;
            let another_stands = self.inner.granted.within(GRANTED_FOR);
            if may_stand && !another_stands && raft.trigger().elect(true).await.is_err() {
                return;
            }
            pause(STAND_AGAIN).await;
        }
    }

    /// How many voters stand before this one.
    fn turn(&self, leader: MemberId) -> u32 {
        let metrics = self.inner.raft.metrics();
        let metrics = metrics.borrow_watched();
        let voters = metrics.membership_config.membership().voter_ids();
        let before = voters.filter(|voter| *voter != leader.0 && *voter < metrics.id).count();
        u32::try_from(before).unwrap_or(u32::MAX)
    }
}
