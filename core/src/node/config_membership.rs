//! Whether this member belongs to the cluster, as `/zookeeper/config` says.
//!
//! | the text here | this member |
//! |---|---|
//! | is empty, or names it | serves |
//! | names others only | serves nobody: it was removed, or is not added yet |
//!
//! Whoever has a vote serves whatever the text says. Who was removed while it was away never hears of it in the log. If it finds
//! no leader for a while it asks the others for their text, and believes a newer
//! one.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use coord_state::codec::{Decode, Encode};
use coord_state::{MemberId, StateMachine};
use tokio::time::Instant;

use super::config_text::ConfigText;
use super::config_znode::text_of;
use super::handle::NodeCore;
use super::peer_message::{PeerCall, read_answer};
use crate::clock;

const PERIOD: Duration = Duration::from_millis(500);
/// How long clients of a removed member are still answered, so that the one that
/// removed it hears that it did.
const GRACE: Duration = Duration::from_secs(1);
/// How long a member that is in no line of the text stays in the log's
/// membership: it is to hear of that.
const FORGET_AFTER: Duration = Duration::from_secs(1);
/// After so long without a leader the others are asked.
const ASK_AFTER: Duration = Duration::from_secs(3);
const ANSWER_TIMEOUT: Duration = Duration::from_millis(500);
/// A transfer target was heard within this time, and so is a leader.
const SILENCE_MAX: Duration = Duration::from_secs(1);

/// What this member knows of its part.
#[derive(Debug, Default)]
pub(super) struct ConfigMembership {
    /// The text names others only.
    excluded: AtomicBool,
    /// So another member says; here the text is older.
    told: AtomicBool,
    /// This member serves nobody.
    outside: AtomicBool,
    /// It served since the start, as a member that the text names.
    was_named: AtomicBool,
    /// The version of the text that was looked at last, here or elsewhere.
    version: AtomicU64,
}

impl ConfigMembership {
    /// Whether this member is to serve nobody.
    pub(super) fn is_outside(&self) -> bool {
        self.outside.load(Ordering::Acquire)
    }

    /// Looks at a state in which the text may be another one.
    pub(super) fn read_text(&self, member: MemberId, state: &StateMachine) {
        let (text, version) = text_of(state);
        self.judge(member, &text, version.0, false);
    }

    /// Takes note of a text; an older one than was seen says nothing.
    fn judge(&self, member: MemberId, text: &str, version: u64, told: bool) {
        if self.version.fetch_max(version, Ordering::AcqRel) > version {
            return;
        }
        let servers = ConfigText::read(text).servers;
        let excluded = !servers.is_empty() && !servers.contains_key(&member);
        self.excluded.store(excluded, Ordering::Release);
        self.told.store(told && excluded, Ordering::Release);
        if servers.contains_key(&member) {
            self.was_named.store(true, Ordering::Release);
        }
    }

    /// Decides, knowing whether this member has a vote. True if that changed
    /// something.
    fn settle(&self, member: MemberId, votes: bool) -> bool {
        // Whoever votes takes part, whatever the text says: one of another cluster
        // may have been restored, and the leader is about to write it anew. Only
        // who was away may have a vote by its own log and be removed all the same.
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
                "this member was removed from the cluster: it serves nobody any more, and can be \
                 stopped"
            ),
            true => tracing::warn!(
                member = member.0,
                version,
                "this member is not in the configuration of the cluster: it serves nobody until \
                 a reconfig adds it"
            ),
            false => {
                tracing::info!(member = member.0, version, "this member belongs to the cluster");
            }
        }
        true
    }
}

/// What is due now and then. The leader keeps the text true, hands over if it
/// has no vote, and forgets who left; others look whether they were removed.
pub(super) async fn run_upkeep(weak: Weak<NodeCore>) {
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

/// Since when something holds.
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
        // Whoever makes a change keeps the text true meanwhile.
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
            // Seen again at the next tick.
            tracing::debug!(error = error.chain(), "the members could not be looked after");
        }
    }

    /// As a leader without a vote: has the voter lead that has most of the log.
    async fn hand_over(&self) -> Result<bool, crate::Error> {
        let voters = self.consensus.status().voters;
        if voters.iter().any(|(member, _)| *member == self.member) {
            return Ok(false);
        }
        if let Some(transfer_target) = self.consensus.transfer_target(SILENCE_MAX) {
            tracing::info!(
                member = self.member.0,
                transfer_target = transfer_target.0,
                "handing leadership over"
            );
            self.consensus.transfer_leader(transfer_target).await?;
        }
        Ok(true)
    }

    /// Removes those without a vote that no line of the text names, once they
    /// had the time to hear of it.
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
        tracing::info!(member = self.member.0, ?gone, "members that left are forgotten");
        self.consensus.forget_learners(gone).await
    }

    /// Whether no leader is known, or the one that is says nothing: one that was
    /// removed while it was away goes on knowing the leader of then.
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

    /// The text here, for one that asks.
    pub(super) fn config_answer(&self) -> ConfigAnswer {
        let (text, version) = text_of(&self.replica.state());
        ConfigAnswer { version: version.0, text }
    }

    /// Serves, or serves nobody, from now on.
    pub(super) fn follow_config_membership(&self) {
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
pub(super) struct ConfigAnswer {
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
