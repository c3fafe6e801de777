//! Membership changes. The leader makes them, one at a time, and every step is
//! a log entry:
//!
//! ```text
//! learn_members   new ones come in without a vote, and catch up
//! set_voters      a joint membership, then the new one: both majorities agree
//! forget_learners those without a vote leave
//! ```
//!
//! An interrupted change leaves a joint membership; the next leader completes
//! it with [`Consensus::finish_change`]. A voter that is removed stays as a
//! learner, so that it learns of that; the layer above decides when to drop it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use coord_state::MemberId;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ClientWriteError, RaftError};
use openraft::impls::BasicNode;
use openraft::{ChangeMembers, Instant as _};

use super::lifetime::timeout;
use super::member::{Consensus, fatal_error};
use super::peer_frame::{Connection, Purpose};
use super::status::{ConsensusRole, ConsensusStatus};
use super::types::TypeConfig;
use crate::error::Error;

/// Leadership is only transferred to members heard from within this time.
const HEARD_WITHIN: Duration = Duration::from_secs(1);
/// Time for a member to accept a connection.
const REACH_TIMEOUT: Duration = Duration::from_secs(1);

impl Consensus {
    /// Adds members without a vote, and updates the addresses of existing ones.
    /// Writes nothing if there is no change.
    ///
    /// # Errors
    /// `NotLeader`, `Unavailable` while another change is in progress, `Indeterminate`.
    pub async fn learn_members(&self, members: BTreeMap<MemberId, String>) -> Result<(), Error> {
        let status = self.status();
        let known: BTreeMap<_, _> = status.voters.into_iter().chain(status.learners).collect();
        let changed = members.into_iter().filter(|(id, address)| known.get(id) != Some(address));
        let nodes: BTreeMap<u64, BasicNode> =
            changed.map(|(member, addr)| (member.0, BasicNode { addr })).collect();
        if nodes.is_empty() {
            return Ok(());
        }
        for (member, node) in &nodes {
            self.inner.peers.learn(MemberId(*member), &node.addr);
        }
        self.change(ChangeMembers::SetNodes(nodes)).await
    }

    /// Makes exactly these members voters; each must be a member already.
    /// Former voters stay as learners.
    ///
    /// # Errors
    /// As [`Self::learn_members`]; `Invalid` for one that is not a member.
    pub async fn set_voters(&self, voters: BTreeSet<MemberId>) -> Result<(), Error> {
        let present: BTreeSet<_> = self.status().voters.into_iter().map(|(id, _)| id).collect();
        if present == voters && !self.is_changing() {
            return Ok(());
        }
        let voters = voters.into_iter().map(|member| member.0).collect();
        self.change(ChangeMembers::ReplaceAllVoters(voters)).await
    }

    /// Removes members that do not vote.
    ///
    /// # Errors
    /// As [`Self::learn_members`]; `Invalid` for a voter.
    pub async fn forget_learners(&self, members: BTreeSet<MemberId>) -> Result<(), Error> {
        let members = members.into_iter().map(|member| member.0).collect();
        self.change(ChangeMembers::RemoveNodes(members)).await
    }

    /// Completes a change that an earlier leader left unfinished.
    ///
    /// # Errors
    /// As [`Self::learn_members`].
    pub async fn finish_change(&self) -> Result<(), Error> {
        match self.is_changing() {
            true => self.change(ChangeMembers::AddVoterIds(BTreeSet::new())).await,
            false => Ok(()),
        }
    }

    /// Whether a change is unfinished.
    fn is_changing(&self) -> bool {
        let metrics = self.inner.raft.metrics();
        let metrics = metrics.borrow_watched();
        metrics.membership_config.membership().get_joint_config().len() > 1
    }

    async fn change(&self, change: ChangeMembers<u64, BasicNode>) -> Result<(), Error> {
        let changed = self.inner.raft.change_membership(change, true).await;
        changed.map(drop).map_err(|error| self.write_error(error))
    }

    /// The end of the log here.
    pub fn last_index(&self) -> u64 {
        let metrics = self.inner.raft.metrics();
        metrics.borrow_watched().last_log_index.unwrap_or(0)
    }

    /// As the leader: the members that have the log up to `index` and were
    /// heard from within this time, including itself. Empty on any other
    /// member.
    pub fn in_step(&self, index: u64, within: Duration) -> BTreeSet<MemberId> {
        let metrics = self.inner.raft.metrics();
        let metrics = metrics.borrow_watched();
        let (Some(matched), Some(heard)) = (&metrics.replication, &metrics.heartbeat) else {
            return BTreeSet::new();
        };
        let in_step = |member: &u64| {
            let has = matched.get(member).copied().flatten().is_some_and(|at| at.index >= index);
            let at = heard.get(member).and_then(Option::as_ref);
            *member == metrics.id || (has && at.is_some_and(|at| at.elapsed() <= within))
        };
        matched.keys().chain([&metrics.id]).copied().filter(in_step).map(MemberId).collect()
    }

    /// As the leader: among the other voters heard from within this time, the
    /// one with most of the log. During writes, none may have all of it.
    pub fn transfer_target(&self, within: Duration) -> Option<MemberId> {
        self.transfer_targets(within).into_iter().next()
    }

    /// As the leader: the other voters heard from within this time, the one
    /// with most of the log first.
    pub fn transfer_targets(&self, within: Duration) -> Vec<MemberId> {
        let metrics = self.inner.raft.metrics();
        let metrics = metrics.borrow_watched();
        let (Some(matched), Some(heard)) = (&metrics.replication, &metrics.heartbeat) else {
            return Vec::new();
        };
        let is_heard = |voter: &u64| {
            let at = heard.get(voter).and_then(Option::as_ref);
            *voter != metrics.id && at.is_some_and(|at| at.elapsed() <= within)
        };
        let voters = metrics.membership_config.membership().voter_ids();
        let mut transfer_targets: Vec<u64> = voters.filter(is_heard).collect();
        transfer_targets
            .sort_by_key(|voter| std::cmp::Reverse(matched.get(voter).copied().flatten()));
        transfer_targets.into_iter().map(MemberId).collect()
    }

    /// Whether a member answers at an address.
    pub async fn reaches(&self, member: MemberId, address: &str) -> bool {
        let peers = &self.inner.peers;
        let between = (peers.me, member);
        let connecting = Connection::connect(&peers.transport, address, between, Purpose::Control);
        timeout(REACH_TIMEOUT, connecting).await.is_some_and(|connected| connected.is_ok())
    }

    /// Whether this member may become a candidate: not if it was removed or its state is not
    /// trustworthy.
    pub fn allow_election(&self, allowed: bool) {
        self.inner.acquaintance.allow_leading(allowed);
    }

    /// Asks a voter to take over leadership. Whether it did shows in the status.
    ///
    /// # Errors
    /// `Closed` or `Internal` if the member stopped or failed.
    pub async fn transfer_leader(&self, to: MemberId) -> Result<(), Error> {
        self.inner.raft.trigger().transfer_leader(to.0).await.map_err(fatal_error)
    }

    /// As the leader: transfers leadership to another voter, if one was heard
    /// from recently, and waits until one leads, at most `within`.
    pub async fn hand_over(&self, within: Duration) {
        if self.status().role != ConsensusRole::Leader {
            return;
        }
        let Some(transfer_target) = self.transfer_target(HEARD_WITHIN) else { return };
        let mut status = self.watch_status();
        if self.transfer_leader(transfer_target).await.is_ok() {
            let others = |status: &ConsensusStatus| {
                status.role != ConsensusRole::Leader && status.leader.is_some()
            };
            // The member stops either way.
            let _ = timeout(within, status.wait_for(others)).await;
        }
    }

    fn write_error(&self, error: RaftError<TypeConfig, ClientWriteError<TypeConfig>>) -> Error {
        match error {
            RaftError::APIError(ClientWriteError::ForwardToLeader(forward)) => {
                self.not_leader(&forward)
            }
            RaftError::APIError(error @ ClientWriteError::LogEntryDiscarded(_)) => {
                Error::indeterminate("leadership was lost meanwhile").caused_by(error)
            }
            RaftError::APIError(ClientWriteError::ChangeMembershipError(error)) => {
                use openraft::errors::ChangeMembershipError::{InProgress, UncommittedLeaderLog};
                match error {
                    InProgress(_) | UncommittedLeaderLog(_) => {
                        Error::unavailable(error.to_string())
                    }
                    other => Error::invalid(other.to_string()),
                }
            }
            RaftError::APIError(error @ ClientWriteError::PreconditionFailed(_)) => {
                Error::invalid(error.to_string())
            }
            RaftError::Fatal(fatal) => fatal_error(fatal),
        }
    }
}
