//! The consensus status of a member, for the layers above.

use coord_state::MemberId;
use openraft::errors::Fatal;
use openraft::metrics::RaftMetrics;
use openraft::{Instant as _, ServerState};

use super::types::{LogId, TypeConfig};

/// The role of a member in consensus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConsensusRole {
    /// The leader.
    Leader,
    /// Follows a leader, or waits for one.
    Follower,
    /// A candidate in an election.
    Candidate,
    /// Follows without a vote.
    #[default]
    Learner,
}

/// The status of a member.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConsensusStatus {
    /// Its role.
    pub role: ConsensusRole,
    /// Its term.
    pub term: u64,
    /// The leader it knows.
    pub leader: Option<MemberId>,
    /// The last entry it applied.
    pub applied: Option<u64>,
    /// The last entry it knows to be committed.
    pub committed: Option<u64>,
    /// Voting members and their peer addresses, in order.
    pub voters: Vec<(MemberId, String)>,
    /// Members without a vote and their peer addresses, in order.
    pub learners: Vec<(MemberId, String)>,
    /// The progress of its log.
    pub log: LogProgress,
    /// Milliseconds since it last heard from a leader, or, as the leader, from
    /// a majority.
    pub contact_ms: Option<u64>,
    /// Messages dropped because a peer was unreachable or slow.
    pub messages_dropped: u64,
    /// Why the member cannot take part at the moment: its log cannot be
    /// written. It resumes by itself once it can.
    pub stalled: Option<String>,
    /// Why the member failed permanently.
    pub failed: Option<String>,
}

/// The progress of a member's log, as log indexes, which begin at 0; absent values are also 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogProgress {
    /// The last entry.
    pub last_index: u64,
    /// The term of the last entry that is known to be in it.
    pub last_term: u64,
    /// The last entry known to be committed.
    pub committed: u64,
    /// The last entry applied.
    pub applied: u64,
    /// The last entry in the newest snapshot.
    pub snapshot_index: u64,
    /// That entry's term.
    pub snapshot_term: u64,
    /// The entry with the current membership.
    pub membership: u64,
}

impl LogProgress {
    fn of(metrics: &RaftMetrics<TypeConfig>) -> Self {
        let position = |log_id: &Option<LogId>| {
            log_id.as_ref().map_or((0, 0), |log_id| (log_id.index, log_id.leader_id.term))
        };
        let (applied, applied_term) = position(&metrics.last_applied);
        let (snapshot_index, snapshot_term) = position(&metrics.snapshot);
        let leads = metrics.state == ServerState::Leader;
        Self {
            last_index: metrics.last_log_index.unwrap_or(0),
            // A leader begins its term with an entry of that term.
            last_term: if leads { metrics.current_term } else { applied_term },
            committed: position(&metrics.local_committed).0,
            applied,
            snapshot_index,
            snapshot_term,
            membership: position(metrics.membership_config.log_id()).0,
        }
    }
}

pub(super) fn status_of(
    metrics: &RaftMetrics<TypeConfig>,
    leader_heard_ms: Option<u64>,
    messages_dropped: u64,
) -> ConsensusStatus {
    let role = match metrics.state {
        ServerState::Leader => ConsensusRole::Leader,
        ServerState::Follower => ConsensusRole::Follower,
        ServerState::Candidate => ConsensusRole::Candidate,
        ServerState::Learner | ServerState::Shutdown => ConsensusRole::Learner,
    };
    let membership = metrics.membership_config.membership();
    let mut voters = Vec::new();
    let mut learners = Vec::new();
    let voting: Vec<u64> = membership.voter_ids().collect();
    for (member, node) in membership.nodes() {
        let list = if voting.contains(member) { &mut voters } else { &mut learners };
        list.push((MemberId(*member), node.addr.clone()));
    }
    let contact_ms = match role {
        ConsensusRole::Leader => metrics
            .last_quorum_acked
            .map(|acked| u64::try_from(acked.elapsed().as_millis()).unwrap_or(u64::MAX)),
        _ => leader_heard_ms,
    };
    ConsensusStatus {
        role,
        term: metrics.current_term,
        leader: metrics.current_leader.map(MemberId),
        applied: metrics.last_applied.map(|log_id| log_id.index),
        committed: metrics.local_committed.map(|log_id| log_id.index),
        voters,
        learners,
        log: LogProgress::of(metrics),
        contact_ms,
        messages_dropped,
        stalled: None,
        failed: failure_of(metrics),
    }
}

/// Why openraft stopped, unless it was requested.
pub(super) fn failure_of(metrics: &RaftMetrics<TypeConfig>) -> Option<String> {
    match &metrics.running_state {
        Ok(()) | Err(Fatal::Stopped) => None,
        Err(fatal @ (Fatal::Panicked | Fatal::StorageError(_))) => Some(fatal.to_string()),
    }
}
