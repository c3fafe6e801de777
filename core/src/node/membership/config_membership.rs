//! Whether this member is in the cluster's configuration, according to
//! `/zookeeper/config`.
//!
//! | the text here | this member |
//! |---|---|
//! | is empty, or lists it | serves clients |
//! | lists only others | serves no clients: it was removed, or is not added yet |
//!
//! A voter serves clients whatever the text says. A member that was removed while it was down never
//! learns of it from the log. So a member without a leader for a while asks the others for their
//! text, and adopts a newer one.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use coord_state::codec::{Decode, Encode};
use coord_state::{MemberId, StateMachine};
use tokio::time::Instant;

use super::config_text::ConfigText;
use super::config_znode::text_of;
use crate::clock;
use crate::node::node_core::NodeCore;
use crate::node::peer_message::{PeerCall, read_answer};

const PERIOD: Duration = Duration::from_millis(500);
/// How long clients of a removed member are still served, so that the client
/// that removed it gets its response.
const GRACE: Duration = Duration::from_secs(1);
/// How long a member that is not in the text stays in Raft's membership, so
/// that it learns of its removal.
const FORGET_AFTER: Duration = Duration::from_secs(1);
/// After this time without a leader the other members are asked.
const ASK_AFTER: Duration = Duration::from_secs(3);
const ANSWER_TIMEOUT: Duration = Duration::from_millis(500);
/// A transfer target, and a leader, must have been heard from within this time.
const SILENCE_MAX: Duration = Duration::from_secs(1);

/// Whether this member is in the cluster's configuration.
#[derive(Debug, Default)]
pub(crate) struct ConfigMembership {
    /// The text lists only other members.
    excluded: AtomicBool,
    /// According to another member, whose text is newer.
    told: AtomicBool,
    /// This member serves no clients.
    outside: AtomicBool,
    /// It has been listed in the text since the start.
    was_named: AtomicBool,
    /// The version of the last text that was seen, here or at another member.
    version: AtomicU64,
}

impl ConfigMembership {
    /// Whether this member must not serve clients.
    pub(crate) fn is_outside(&self) -> bool {
        self.outside.load(Ordering::Acquire)
    }

    /// Reads the text from a state in which it may have changed.
    pub(crate) fn read_text(&self, member: MemberId, state: &StateMachine) {
        let (text, version) = text_of(state);
        self.judge(member, &text, version.0, false);
    }

    /// Evaluates a text, unless it is older than one already seen.
    fn judge(&self, member: MemberId, text: &str, version: u64, told: bool) {
        if self.version.fetch_max(version, Ordering::AcqRel) > version {
            return;
        }
        // Invariant C7: whom the text does not name is outside, unless it votes.
        let servers = ConfigText::read(text).servers;
        let excluded = !servers.is_empty() && !servers.contains_key(&member);
        self.excluded.store(excluded, Ordering::Release);
        self.told.store(told && excluded, Ordering::Release);
        if servers.contains_key(&member) {
            self.was_named.store(true, Ordering::Release);
        }
    }

    /// Recomputes the result, given whether this member has a vote. True if it
    /// changed.
    fn settle(&self, member: MemberId, votes: bool) -> bool {
        // A voter is a member, whatever the text says: that of another cluster
        // may have been restored, and the leader will replace it. Only a member
        // that was down may be a voter according to its own log although it was
        // removed.
        let may_vote = votes && !self.told.load(Ordering::Acquire);
        let outside = self.excluded.load(Ordering::Acquire) && !may_vote;
        if self.outside.swap(outside, Ordering::AcqRel) == outside {
            return false;
        }
        let version = format!("{:x}", self.version.load(Ordering::Acquire));
        match outside {
            true if self.was_named.load(Ordering::Acquire) => tracing::warn!(
                member = member.0,
                version,
                "this member was removed from the cluster: it no longer serves clients and can \
                 be stopped"
            ),
            true => tracing::warn!(
                member = member.0,
                version,
                "this member is not in the cluster's configuration: it serves no clients until \
                 it is added with reconfig"
            ),
            false => {
                tracing::info!(
                    member = member.0,
                    version,
                    "this member is in the cluster's configuration"
                );
            }
        }
        true
    }
}

/// Periodic upkeep. The leader keeps the text up to date, transfers leadership
/// if it has no vote, and drops members that left; others check whether they
/// were removed.
pub(crate) async fn run_upkeep(weak: Weak<NodeCore>) {
    let mut ticks = clock::interval(PERIOD);
    let mut leftover = Since::default();
    let mut outside = Since::default();
    let mut leaderless = Since::default();
    loop {
        let Some(inner) = weak.upgrade() else { return };
        tokio::select! {
            _ = ticks.tick() => {}
            () = inner.membership_due.notified() => {}
        }
        inner.follow_config_membership();
        if inner.is_leader() {
            inner.lead_membership(&mut leftover).await;
        }
        if outside.longer_than(GRACE, inner.replica.config_membership.is_outside()) {
            inner.replica.end_connections();
        }
        let lost = inner.hears_no_leader() && !inner.replica.config_membership.is_outside();
        if leaderless.longer_than(ASK_AFTER, lost) {
            inner.ask_for_text().await;
        }
    }
}

/// Since when a condition holds.
#[derive(Default)]
struct Since(Option<Instant>);

impl Since {
    fn longer_than(&mut self, duration: Duration, holds: bool) -> bool {
        if !holds {
            self.0 = None;
            return false;
        }
        self.0.get_or_insert_with(Instant::now).elapsed() >= duration
    }
}

impl NodeCore {
    async fn lead_membership(self: &Arc<Self>, leftover: &mut Since) {
        // A membership change in progress keeps the text up to date itself.
        let Ok(_one_at_a_time) = self.tidying.try_lock() else { return };
        let kept = async {
            self.consensus.finish_change().await?;
            if self.hand_over().await? {
                return Ok(());
            }
            self.keep_config().await?;
            self.forget_leftover(leftover).await
        };
        if let Err(error) = kept.await {
            // Retried at the next tick.
            tracing::debug!(error = error.chain(), "membership upkeep failed and will be retried");
        }
    }

    /// As a leader without a vote: transfers leadership to the voter with most
    /// of the log.
    async fn hand_over(&self) -> Result<bool, crate::Error> {
        let voters = self.consensus.status().voters;
        if voters.iter().any(|(member, _)| *member == self.member) {
            return Ok(false);
        }
        if let Some(transfer_target) = self.consensus.transfer_target(SILENCE_MAX) {
            tracing::info!(
                member = self.member.0,
                transfer_target = transfer_target.0,
                "transferring leadership: this member has no vote"
            );
            self.consensus.transfer_leader(transfer_target).await?;
        }
        Ok(true)
    }

    /// Removes learners that are not in the text, once they had the time to
    /// learn of it.
    async fn forget_leftover(&self, leftover: &mut Since) -> Result<(), crate::Error> {
        let (text, _) = self.config_text();
        let learners = self.consensus.status().learners.into_iter().map(|(member, _)| member);
        let left: Vec<MemberId> = match text.servers.is_empty() {
            true => Vec::new(),
            false => learners.filter(|member| !text.servers.contains_key(member)).collect(),
        };
        let heard = self.heard();
        let away = left.iter().copied().filter(|member| !heard.contains(member));
        let gone = match leftover.longer_than(FORGET_AFTER, !left.is_empty()) {
            true => left.iter().copied().collect(),
            false => away.collect::<std::collections::BTreeSet<_>>(),
        };
        if gone.is_empty() {
            return Ok(());
        }
        tracing::info!(member = self.member.0, ?gone, "removing learners that left the cluster");
        self.consensus.forget_learners(gone).await
    }

    /// Whether no leader is known, or it is silent: a member that was removed
    /// while it was down still knows the old leader.
    fn hears_no_leader(&self) -> bool {
        let heard_ms = self.consensus.status().contact_ms;
        let silent = heard_ms.is_none_or(|ms| u128::from(ms) > SILENCE_MAX.as_millis());
        self.known_leader().is_none() || (silent && !self.is_leader())
    }

    async fn ask_for_text(&self) {
        let status = self.consensus.status();
        for (other, _) in status.voters.into_iter().chain(status.learners) {
            if other == self.member {
                continue;
            }
            let call = self.consensus.call(other, PeerCall::Config.to_bytes());
            let Some(Ok(answer)) = clock::timeout(ANSWER_TIMEOUT, call).await else { continue };
            if let Ok(ConfigAnswer { version, text }) = read_answer(answer) {
                self.replica.config_membership.judge(self.member, &text, version, true);
            }
        }
        self.follow_config_membership();
    }

    /// This member's text, for another member.
    pub(crate) fn config_answer(&self) -> ConfigAnswer {
        let (text, version) = text_of(&self.replica.state());
        ConfigAnswer { version: version.0, text }
    }

    /// Starts or stops serving clients.
    pub(crate) fn follow_config_membership(&self) {
        let votes = self.consensus.status().voters.iter().any(|(id, _)| *id == self.member);
        if self.replica.config_membership.settle(self.member, votes) {
            let outside = self.replica.config_membership.is_outside();
            self.replica.proposals.set_outside(outside);
            self.settle_electable();
            self.membership_due.notify_one();
        }
    }
}

/// A text and its version.
pub(crate) struct ConfigAnswer {
    version: u64,
    text: String,
}

impl Encode for ConfigAnswer {
    fn encode(&self, out: &mut Vec<u8>) {
        self.version.encode(out);
        self.text.encode(out);
    }
}

impl Decode for ConfigAnswer {
    fn decode(input: &mut coord_state::codec::Input) -> Result<Self, coord_state::CodecError> {
        Ok(Self { version: Decode::decode(input)?, text: Decode::decode(input)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: MemberId = MemberId(1);

    /// Whether member 1 is outside after these texts with their versions.
    fn outside(texts: &[(&str, u64)], votes: bool, told: bool) -> bool {
        let config_membership = ConfigMembership::default();
        for (text, version) in texts {
            config_membership.judge(ONE, text, *version, told);
        }
        config_membership.settle(ONE, votes);
        config_membership.is_outside()
    }

    const NAMED: &str = "server.1=a:1:1:observer\n";
    const OTHERS: &str = "server.2=a:1:1:participant\n";

    #[test]
    fn only_a_text_that_names_others_puts_a_member_outside() {
        assert!(!outside(&[], false, false));
        assert!(!outside(&[("", 0)], false, false));
        assert!(!outside(&[(NAMED, 1)], false, false));
        assert!(outside(&[(NAMED, 1), (OTHERS, 2)], false, false));
        assert!(!outside(&[(OTHERS, 1), (NAMED, 2)], false, false));
        // An older text than was seen says nothing.
        assert!(outside(&[(OTHERS, 9), (NAMED, 8)], false, false));
    }

    #[test]
    fn who_votes_is_inside_unless_others_know_better() {
        assert!(!outside(&[(OTHERS, 1)], true, false));
        assert!(outside(&[(OTHERS, 1)], true, true));
    }
}
