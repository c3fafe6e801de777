//! Membership changes of a running cluster.
//!
//! Any member forwards the request to the leader, which makes one change at a
//! time:
//!
//! ```text
//! 1 check      ZooKeeper's checks in ZooKeeper's order
//! 2 learn      new members come in without a vote and catch up
//! 3 hand over  a leader that is to lose its vote leaves the rest to one that keeps it
//! 4 vote       joint consensus makes the new voters vote
//! 5 tell       /zookeeper/config gets its new text: the change is done
//! 6 forget     who is in no line of the text leaves
//! ```
//!
//! Step 6 is a duty of any leader whenever it is due, as is the transfer if no voter stays, so a
//! change that was interrupted by a crash is cleaned up: before step 4 it did not happen, after it
//! the next leader writes the text.
//!
//! Invariants:
//! 1. A new voter already has the log, unless there is a majority without it.
//! 2. The text never lists a voter that has no vote.
//! 3. A removed member learns of it from the log if it is reachable, and serves
//!    no clients from then on: see `config_membership`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use coord_state::znode::{Caller, ZnodeCommand, ZnodeOp, permission};
use coord_state::{Command, MemberId, Revision};

use super::config_text::ConfigText;
use super::config_znode::{self, CONFIG};
use super::request::{ChangeOutcome, ChangeRefusal, ChangedConfig, MembershipChange};
use crate::clock;
use crate::error::{Error, ErrorKind};
use crate::node::node_core::{Node, NodeCore};
use crate::node::peer_message::{ChangeAnswer, PeerCall, read_answer};
use crate::node::verdicts::out_of_term;

/// A member heard from less often does not count as reachable.
const HEARD_WITHIN: Duration = Duration::from_secs(1);
/// How long to wait for an unreachable member.
const REACH_WITHIN: Duration = Duration::from_millis(1500);
/// How long a reachable member may take to catch up.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(120);
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// How long to wait for a leader, and afterwards for this member's own copy.
const PATIENCE: Duration = Duration::from_secs(5);
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// A response of a replaced leader arrives within this time, or not at all.
const LATE_ANSWER_MAX: Duration = Duration::from_secs(2);

impl Node {
    /// Changes the membership. Done and visible on this member once this
    /// returns.
    ///
    /// # Errors
    /// `Unavailable` without a leader; `Indeterminate` if the leader was lost
    /// meanwhile.
    pub async fn change_membership(
        &self,
        change: MembershipChange,
    ) -> Result<Result<ChangedConfig, ChangeRefusal>, Error> {
        let outcome = self.inner.ask_leader(&PeerCall::ChangeMembership(Box::new(change))).await?;
        match outcome {
            Ok(revision) => Ok(Ok(self.inner.config_since(revision).await)),
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    /// Removes a member, dead or alive, without checking permissions.
    ///
    /// # Errors
    /// As [`Self::change_membership`]; `Invalid` if it is not a member, or the
    /// last voter.
    pub async fn remove_member(&self, member: MemberId) -> Result<(), Error> {
        match self.inner.ask_leader(&PeerCall::RemoveMember(member)).await? {
            Ok(revision) => {
                self.inner.config_since(revision).await;
                Ok(())
            }
            Err(ChangeRefusal::InProgress) => {
                Err(Error::unavailable("another membership change is in progress"))
            }
            Err(ChangeRefusal::NoQuorum) => {
                Err(Error::unavailable("too few of the remaining members are reachable"))
            }
            Err(_) => Err(Error::invalid(format!(
                "cannot remove member {member}: it is not a member, or it is the last voter"
            ))),
        }
    }
}

impl Node {
    /// Leaves the cluster, which continues without this member; a single member
    /// just stops. The program that runs it then stops it, see
    /// [`Self::has_left`].
    ///
    /// # Errors
    /// As [`Self::remove_member`].
    pub async fn leave(&self) -> Result<(), Error> {
        let status = self.status();
        if status.voters.len() + status.observers.len() > 1 && !status.outside {
            self.remove_member(self.member()).await?;
            let handed_over = async {
                while self.inner.is_leader() {
                    clock::sleep(LOOK_AGAIN).await;
                }
            };
            // Otherwise the others elect a leader by themselves, slightly
            // later.
            let _ = clock::timeout(PATIENCE, handed_over).await;
        }
        self.inner.left.store(true, Ordering::Release);
        Ok(())
    }

    /// Whether this member left and is to be stopped.
    pub fn has_left(&self) -> bool {
        self.inner.left.load(Ordering::Acquire)
    }
}

impl NodeCore {
    /// Sends the request to the current leader, until one has started on it.
    pub(super) async fn ask_leader(
        self: &Arc<Self>,
        call: &PeerCall,
    ) -> Result<ChangeOutcome, Error> {
        let mut waited = Duration::ZERO;
        loop {
            let answer = match self.known_leader() {
                None => None,
                Some(leader) if leader == self.member => self.change_here(call).await?,
                Some(leader) => {
                    let answer = tokio::select! {
                        answer = self.consensus.call(leader, call.to_bytes()) => answer?,
                        () = self.leader_is_gone(leader) => {
                            let what = "the leader was lost during the membership change";
                            return Err(Error::indeterminate(what));
                        }
                    };
                    let ChangeAnswer(outcome) = read_answer(answer)
                        .map_err(|error| Error::internal("a leader's answer").caused_by(error))?;
                    outcome
                }
            };
            match answer {
                Some(outcome) => return Ok(outcome),
                None if waited >= PATIENCE => return Err(Error::unavailable("there is no leader")),
                None => {}
            }
            clock::sleep(ASK_AGAIN).await;
            waited += ASK_AGAIN;
        }
    }

    /// Waits until another member, or none, has been the leader for as long as
    /// a response of `leader` may still be in transit.
    async fn leader_is_gone(&self, leader: MemberId) {
        let mut status = self.consensus.watch_status();
        // The channel closes when the member ends, and so does this wait.
        let _ = status.wait_for(|status| status.leader != Some(leader)).await;
        clock::sleep(LATE_ANSWER_MAX).await;
    }

    /// The configuration on this member once it has this revision, or after a
    /// timeout as it is.
    async fn config_since(&self, revision: Revision) -> ChangedConfig {
        let seen = async {
            while self.replica.state().revision() < revision {
                clock::sleep(LOOK_AGAIN).await;
            }
        };
        // A member that was removed may never see it.
        let _ = clock::timeout(PATIENCE, seen).await;
        let state = self.replica.state();
        let znode = state.znodes().znode(CONFIG);
        ChangedConfig {
            text: znode.and_then(|config| config.data().cloned()).unwrap_or_default(),
            stat: znode.map(|config| config.stat()).unwrap_or_default(),
        }
    }

    /// As the leader: makes the change. `None` on any other member.
    pub(crate) async fn change_here(
        self: &Arc<Self>,
        call: &PeerCall,
    ) -> Result<Option<ChangeOutcome>, Error> {
        if !self.is_leader() {
            return Ok(None);
        }
        let outcome = match call {
            PeerCall::ChangeMembership(change) => self.change_asked(change).await,
            PeerCall::RemoveMember(member) => self.remove_asked(*member).await,
            PeerCall::TransferLeadership(to) => self.transfer_asked(*to).await,
            _ => return Err(Error::internal("a change of the members was expected")),
        };
        match outcome {
            Ok(revision) => Ok(Some(Ok(revision))),
            Err(Stopped::Refused(refusal)) => Ok(Some(Err(refusal))),
            Err(Stopped::Failed(error)) if matches!(error.kind(), ErrorKind::NotLeader { .. }) => {
                Ok(None)
            }
            Err(Stopped::Failed(error)) => Err(error),
        }
    }

    async fn change_asked(
        self: &Arc<Self>,
        change: &MembershipChange,
    ) -> Result<Revision, Stopped> {
        if !self.settings.zk.reconfig {
            return Err(ChangeRefusal::Disabled.into());
        }
        self.check_session(&change.caller)?;
        let _one_at_a_time = self.begin_change().await?;
        let (present, version) = self.config_text();
        if change.based_on != -1 && change.based_on.cast_unsigned() != version.0 {
            return Err(ChangeRefusal::BadVersion.into());
        }
        let next = match &change.members {
            Some(members) => ConfigText::parse(members),
            None => present.changed(change.joining.as_deref(), change.leaving.as_deref()),
        };
        let next = next.map_err(|_| ChangeRefusal::BadArguments)?;
        let voters_min = if self.settings.zk.lone_voter { 1 } else { 2 };
        if next.voters().len() < voters_min {
            return Err(ChangeRefusal::BadArguments.into());
        }
        if !self.may_write_config(&change.caller) {
            // ZooKeeper checks the quorum before permissions. No member is
            // added for that check: new ones do not count.
            let enough = is_majority(&self.heard(), &next.voters());
            let refusal = if enough { ChangeRefusal::NoAuth } else { ChangeRefusal::NoQuorum };
            return Err(refusal.into());
        }
        self.carry_out(&present, &next).await
    }

    async fn remove_asked(self: &Arc<Self>, member: MemberId) -> Result<Revision, Stopped> {
        let _one_at_a_time = self.begin_change().await?;
        let (present, _) = self.config_text();
        let mut next = present.clone();
        if next.servers.remove(&member).is_none() || next.voters().is_empty() {
            return Err(ChangeRefusal::BadArguments.into());
        }
        self.carry_out(&present, &next).await
    }

    /// Excludes other changes, and cleans up after interrupted ones.
    async fn begin_change(
        self: &Arc<Self>,
    ) -> Result<[tokio::sync::MutexGuard<'_, ()>; 2], Stopped> {
        let status = self.consensus.status();
        if let [(_, address)] = &*status.voters
            && config_znode::is_unreachable(address)
        {
            return Err(ChangeRefusal::Standalone.into());
        }
        let changing = self.changing.try_lock().map_err(|_| ChangeRefusal::InProgress)?;
        // The leader's own upkeep does not count as a change in progress.
        let tidying = self.tidying.lock().await;
        self.consensus.finish_change().await?;
        self.keep_config().await?;
        Ok([changing, tidying])
    }

    /// Steps 2 to 5.
    async fn carry_out(
        self: &Arc<Self>,
        present: &ConfigText,
        next: &ConfigText,
    ) -> Result<Revision, Stopped> {
        tracing::info!(
            member = self.member.0, next = ?next.peers(),
            "changing the cluster membership"
        );
        let known: BTreeSet<MemberId> = {
            let status = self.consensus.status();
            status.voters.into_iter().chain(status.learners).map(|(member, _)| member).collect()
        };
        // A member with a new address is heard at its old one, which says nothing about the new
        // one.
        let mut wanted: BTreeSet<MemberId> = next.servers.keys().copied().collect();
        for (member, place) in moved(present, next) {
            if member != self.member && !self.consensus.reaches(member, &place).await {
                wanted.remove(&member);
            }
        }
        let new = next.peers().into_iter().filter(|(member, _)| !known.contains(member));
        self.consensus.learn_members(new.collect()).await?;
        let there = self.wait_in_step(&wanted).await;
        if !is_majority(&there, &next.voters()) {
            tracing::warn!(
                member = self.member.0,
                ?there,
                "the membership was not changed: no majority of the new voters is reachable"
            );
            let new = next.servers.keys().filter(|member| !known.contains(member));
            self.consensus.forget_learners(new.copied().collect()).await?;
            return Err(ChangeRefusal::NoQuorum.into());
        }
        if !next.voters().contains(&self.member) {
            self.leave_to_one_that_stays(&next.voters()).await?;
        }
        self.consensus.learn_members(next.peers()).await?;
        self.consensus.set_voters(next.voters()).await?;
        let revision = self.write_config(next).await?;
        self.membership_due.notify_one();
        Ok(revision)
    }

    /// As a leader that will lose its vote: transfers leadership, and `NotLeader` redirects the
    /// change to the new leader. A leader without a vote steps down as soon as the change is
    /// committed, and could not report its outcome. If no voter stays, or none of them can lead,
    /// nothing happens.
    async fn leave_to_one_that_stays(&self, staying: &BTreeSet<MemberId>) -> Result<(), Error> {
        let transfer_targets = self.consensus.transfer_targets(HEARD_WITHIN);
        let Some(transfer_target) =
            transfer_targets.into_iter().find(|transfer_target| staying.contains(transfer_target))
        else {
            return Ok(());
        };
        match self.hand_to(transfer_target, |leader| leader != self.member).await {
            Ok(()) => Err(out_of_term()),
            Err(error) => {
                tracing::warn!(
                    member = self.member.0, %error,
                    "this member left but still leads: cannot transfer leadership yet"
                );
                Ok(())
            }
        }
    }

    /// Those of `wanted` that are reachable and have the current log. Waits for reachable ones to
    /// catch up, and briefly for the others.
    async fn wait_in_step(&self, wanted: &BTreeSet<MemberId>) -> BTreeSet<MemberId> {
        let index = self.consensus.last_index();
        let mut waited = Duration::ZERO;
        loop {
            let there = self.consensus.in_step(index, HEARD_WITHIN);
            let there: BTreeSet<MemberId> = there.intersection(wanted).copied().collect();
            let heard = self.heard();
            let catching_up = wanted.iter().any(|m| heard.contains(m) && !there.contains(m));
            let enough = if catching_up { CATCH_UP_WITHIN } else { REACH_WITHIN };
            if there == *wanted || waited >= enough || !self.is_leader() {
                return there;
            }
            clock::sleep(LOOK_AGAIN).await;
            waited += LOOK_AGAIN;
        }
    }

    /// Writes the configuration; returns its revision.
    pub(super) async fn write_config(
        self: &Arc<Self>,
        config: &ConfigText,
    ) -> Result<Revision, Error> {
        let caller = Caller { session: None, identities: Box::default() };
        let op = ZnodeOp::SetConfig { lines: config.lines().into() };
        let command = Command::Znode(ZnodeCommand { caller, op });
        // In a later term the text would be that of an older membership.
        let term = self.deciding_term().ok_or_else(out_of_term)?;
        let applied = self.decide(term, vec![command]).await?.pop();
        let applied = applied.ok_or_else(|| Error::internal("a decision without an outcome"))?;
        match applied.result {
            Ok(_) => Ok(applied.revision),
            Err(rejection) => Err(Error::internal(format!("the config: {rejection}"))),
        }
    }

    /// The reachable members, including this one.
    pub(crate) fn heard(&self) -> BTreeSet<MemberId> {
        let others = self.consensus.members_heard().unwrap_or_default().into_iter();
        let heard = others.filter(|(_, at)| at.is_some_and(|silence| silence <= HEARD_WITHIN));
        heard.map(|(member, _)| member).chain([self.member]).collect()
    }

    fn check_session(&self, caller: &Caller) -> Result<(), ChangeRefusal> {
        let Some((session, attachment)) = caller.session else { return Ok(()) };
        match self.replica.state().sessions().session(session) {
            None => Err(ChangeRefusal::SessionExpired),
            Some(session) if session.attachment != attachment => Err(ChangeRefusal::SessionMoved),
            Some(_) => Ok(()),
        }
    }

    fn may_write_config(&self, caller: &Caller) -> bool {
        let state = self.replica.state();
        let config = state.znodes().znode(CONFIG);
        config.is_some_and(|config| config.acl().allows(permission::WRITE, &caller.identities))
    }
}

/// Why a change was not completed.
pub(crate) enum Stopped {
    Refused(ChangeRefusal),
    Failed(Error),
}

impl From<ChangeRefusal> for Stopped {
    fn from(refusal: ChangeRefusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Members with a new address.
fn moved(present: &ConfigText, next: &ConfigText) -> Vec<(MemberId, String)> {
    let before = present.peers();
    let places = next.peers().into_iter();
    places.filter(|(id, at)| before.get(id).is_some_and(|was| was != at)).collect()
}

fn is_majority(there: &BTreeSet<MemberId>, voters: &BTreeSet<MemberId>) -> bool {
    there.intersection(voters).count() > voters.len() / 2
}
