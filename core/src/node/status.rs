//! Status of a member, and levels of read freshness.

use std::sync::atomic::AtomicU64;

use coord_state::MemberId;

use crate::consensus::LogProgress;

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
