//! Changing who takes part, while the cluster runs.
//!
//! The leader does it, for whichever member was asked, one change at a time:
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
//! Step 6 is a duty that any leader does whenever it is due, as is handing over
//! where nobody kept its vote, so a change that a crash cut off is tidied up: before
//! step 4 it did not happen, after it the text is written by the next leader.
//!
//! Invariants:
//! 1. A voter is a member that had the log, unless a majority votes without it.
//! 2. The text never names a voter that has no vote.
//! 3. Who is removed hears of it in the log, as far as it can be reached, and
//!    serves nobody from then on: see `config_membership`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use coord_state::znode::{Caller, Stat, ZnodeCommand, ZnodeOp, permission};
use coord_state::{Command, MemberId, Revision};

use super::config_text::ConfigText;
use super::config_znode::{self, CONFIG};
use super::handle::{Node, NodeCore};
use super::peer_message::{ChangeAnswer, PeerCall, read_answer};
use super::verdicts::out_of_term;
use crate::clock;
use crate::error::{Error, ErrorKind};

/// A member that is heard less often is not counted as there.
const HEARD_WITHIN: Duration = Duration::from_secs(1);
/// How long one that is not heard at all is waited for.
const REACH_WITHIN: Duration = Duration::from_millis(1500);
/// How long one that is heard may take to catch up.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(120);
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// How long a leader is waited for, and this member's own copy afterwards.
const PATIENCE: Duration = Duration::from_secs(5);
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// An answer of a leader that was replaced arrives within this time, or not at all.
const LATE_ANSWER_MAX: Duration = Duration::from_secs(2);

/// What is asked for: ZooKeeper's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MembershipChange {
    /// Who asks.
    pub caller: Caller,
    /// Members to add or replace, `server.N=…` with commas between.
    pub joining: Option<String>,
    /// Members to remove, numbers with commas between.
    pub leaving: Option<String>,
    /// All members, instead of the two above.
    pub members: Option<String>,
    /// The version the text must have; -1 for any.
    pub based_on: i64,
}

/// Why a change was refused; nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeRefusal {
    /// The settings of the leader do not allow it.
    Disabled,
    /// The session is gone.
    SessionExpired,
    /// The session is another connection's.
    SessionMoved,
    /// Nobody can reach this member, so nobody can join it.
    Standalone,
    /// Another change is under way.
    InProgress,
    /// The text has another version.
    BadVersion,
    /// The change makes no sense, or leaves too few voters.
    BadArguments,
    /// No majority of the new voters is there and has the log.
    NoQuorum,
    /// The caller may not write the text.
    NoAuth,
}

/// The text after a change, and its stat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedConfig {
    /// With the line of the version.
    pub text: Bytes,
    /// Of `/zookeeper/config`.
    pub stat: Stat,
}

pub(super) type ChangeOutcome = Result<Revision, ChangeRefusal>;

impl Node {
    /// Changes who takes part. Done and visible here once this returns.
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

    /// Removes a member, dead or alive, without asking for anybody's rights.
    ///
    /// # Errors
    /// As [`Self::change_membership`]; `Invalid` for one that is no member, or
    /// if nobody would be left to vote.
    pub async fn remove_member(&self, member: MemberId) -> Result<(), Error> {
        match self.inner.ask_leader(&PeerCall::RemoveMember(member)).await? {
            Ok(revision) => {
                self.inner.config_since(revision).await;
                Ok(())
            }
            Err(ChangeRefusal::InProgress) => {
                Err(Error::unavailable("another change of the members is under way"))
            }
            Err(ChangeRefusal::NoQuorum) => {
                Err(Error::unavailable("too few of the remaining members are there"))
            }
            Err(_) => Err(Error::invalid(format!(
                "member {member} cannot be removed: it is no member, or the last with a vote"
            ))),
        }
    }
}

impl Node {
    /// Leaves the cluster, in which the others go on without this member; one
    /// that is alone just goes. Whoever runs it stops it then, see
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
            // The others find a leader by themselves, if a little later.
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
    /// Asks whoever leads, for as long as nobody has begun with it.
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
                            let what = "the leader was lost while it worked on this";
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

    /// Waits until another member, or none, has been the leader for as long as an
    /// answer of `leader` may still be on its way.
    async fn leader_is_gone(&self, leader: MemberId) {
        let mut status = self.consensus.watch_status();
        // It ends with the member, and so does whoever waits here.
        let _ = status.wait_for(|status| status.leader != Some(leader)).await;
        clock::sleep(LATE_ANSWER_MAX).await;
    }

    /// The text as it is here once it has this revision, or as it is.
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

    /// As the leader: makes the change. None on any other member.
    pub(super) async fn change_here(
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
            // ZooKeeper looks at the quorum before the rights. Nobody is let in
            // for that: who is not a member yet does not count.
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

    /// Keeps all others out, and tidies up after them.
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
        // What the leader does by itself is no change that somebody asked for.
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
        tracing::info!(member = self.member.0, next = ?next.peers(), "changing who takes part");
        let known: BTreeSet<MemberId> = {
            let status = self.consensus.status();
            status.voters.into_iter().chain(status.learners).map(|(member, _)| member).collect()
        };
        // Whoever moves is heard at its old place, which says nothing of the new.
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
                "who takes part was not changed: no majority of the new voters is there"
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

    /// As a leader that is to lose its vote: has one of the others lead, who is asked
    /// for the change then, as `NotLeader` says. A leader without a vote ends as one
    /// as soon as the others have heard of it, and could not tell what became of the
    /// change. If nobody keeps its vote, or who does so cannot lead, nothing happens.
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
                tracing::warn!(member = self.member.0, %error, "leading on without a vote");
                Ok(())
            }
        }
    }

    /// Who of `wanted` is there and has the log as it is now. Waits for those
    /// that are heard, and for a moment for the others.
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

    /// Gives the text these lines; the revision of that.
    pub(super) async fn write_config(
        self: &Arc<Self>,
        config: &ConfigText,
    ) -> Result<Revision, Error> {
        let caller = Caller { session: None, identities: Box::default() };
        let op = ZnodeOp::SetConfig { lines: config.lines().into() };
        let command = Command::Znode(ZnodeCommand { caller, op });
        // A text that another leader was to write would be that of an older membership.
        let term = self.deciding_term().ok_or_else(out_of_term)?;
        let applied = self.decide(term, vec![command]).await?.pop();
        let applied = applied.ok_or_else(|| Error::internal("a decision without an outcome"))?;
        match applied.result {
            Ok(_) => Ok(applied.revision),
            Err(rejection) => Err(Error::internal(format!("the config: {rejection}"))),
        }
    }

    /// The members that are there, this one among them.
    pub(super) fn heard(&self) -> BTreeSet<MemberId> {
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

/// Why a change did not come to its end.
pub(super) enum Stopped {
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

/// Members that go elsewhere, and where.
fn moved(present: &ConfigText, next: &ConfigText) -> Vec<(MemberId, String)> {
    let before = present.peers();
    let places = next.peers().into_iter();
    places.filter(|(id, at)| before.get(id).is_some_and(|was| was != at)).collect()
}

fn is_majority(there: &BTreeSet<MemberId>, voters: &BTreeSet<MemberId>) -> bool {
    there.intersection(voters).count() > voters.len() / 2
}
