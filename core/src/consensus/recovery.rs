//! Recovery of a member that lost data that it had acknowledged.
//!
//! ```text
//! recovering: noted on disk, a new identity; no vote, no candidacy,
//!     |       and log entries are taken from nobody
//!     |  a leader that enough others follow says its term and the end of its log
//!     v
//! catching up: entries and snapshots of that term and later ones are taken
//!     |  everything up to that end is committed and durable here
//!     v
//! recovered: noted on disk; votes again
//! ```
//!
//! Why this is sufficient: any earlier vote or acknowledgement counted only as
//! part of a majority. The leader is followed by so many other members that any
//! such majority contains at least one of them, and that one would not follow a
//! leader of an earlier term. So this leader's term is at least as late as any
//! lost promise, and its log has every entry that was committed with this
//! member's help. Members that are themselves recovering do not count.
//!
//! If too many members lost their directories at once there is no such leader,
//! and nothing happens: acknowledged data may be lost, and only an operator can
//! decide which data to keep. To keep a member's data, remove the file
//! `recovering` from its directory while it is stopped.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use coord_state::MemberId;
use coord_state::codec::{CodecError, Decode, Encode, Input};
use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use openraft::ServerState;
use openraft::async_runtime::watch::WatchReceiver;

use super::acquaintance::Acquaintance;
use super::lifetime::{pause, timeout};
use super::member::Consensus;
use super::peer_link::{CALL_CONFIRM, CALL_VOTED};
use super::types::{Vote, stored_vote};
use crate::storage::StoredVote;

/// How long a member may take to say whom it follows.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a leader that was found may take to bring this member up to date before
/// it is asked again.
const CATCH_UP: Duration = Duration::from_secs(10);
/// A transfer target was heard within this time.
const SILENCE_MAX: Duration = Duration::from_secs(1);
/// How often it is looked whether this member has caught up.
const LOOK: Duration = Duration::from_millis(10);

/// A leader's word to a member that recovers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Confirmed {
    term: u64,
    /// The end of its log.
    last: u64,
}

impl Acquaintance {
    /// From now on this member has no vote until it has caught up. Durable once
    /// this returns.
    pub(super) async fn begin_recovering(&self, why: &str) {
        let began = self.recovering.send_if_modified(|recovering| {
            let begins = recovering.is_none();
            if begins {
                *recovering = Some(why.to_owned());
            }
            begins
        });
        if !began {
            return;
        }
        self.term_min.store(u64::MAX, Ordering::Release);
        self.settle_election();
        tracing::error!(
            member = self.peers.me.0,
            "this member lost data that it had acknowledged: {why}. It serves no clients and \
             does not vote until a leader backed by enough of the other members has brought it up \
             to date. If too many members lost data at once, that cannot happen: stop them, \
             compare what is left, and remove the file named recovering from the data directories \
             to keep"
        );
        let (note, identity) = (self.note.clone(), self.identity.clone());
        let noted = self.peers.transport.lifetime.blocking(move || {
            note.note()?;
            identity.renew()
        });
        if let Err(error) = noted.await {
            tracing::error!(
                member = self.peers.me.0, %error,
                "cannot write the file recovering to the data directory: after a restart this \
                 member would not know that it has to recover"
            );
        }
        self.introduce_again();
    }

    /// It was noted in an earlier run.
    pub(super) fn go_on_recovering(&self) {
        self.term_min.store(u64::MAX, Ordering::Release);
        let why = "it had already lost data that it had acknowledged".to_owned();
        self.recovering.send_replace(Some(why));
        self.settle_election();
        tracing::warn!(
            member = self.peers.me.0,
            "this member lost data that it had acknowledged (its data directory has the file \
             recovering): it does not vote until a leader backed by enough of the other members \
             has brought it up to date"
        );
    }

    async fn end_recovering(&self) -> io::Result<()> {
        let (note, identity) = (self.note.clone(), self.identity.clone());
        let noted = self.peers.transport.lifetime.blocking(move || {
            identity.note_recovered()?;
            note.clear()
        });
        noted.await?;
        self.term_min.store(0, Ordering::Release);
        self.recovering.send_replace(None);
        self.settle_election();
        self.introduce_again();
        tracing::warn!(
            member = self.peers.me.0,
            "this member has recovered, and votes and serves clients again"
        );
        Ok(())
    }

    /// Brings this member back whenever it recovers.
    pub(super) async fn recover(self: Arc<Self>) {
        let mut recovering = self.recovering.subscribe();
        loop {
            if recovering.wait_for(Option::is_some).await.is_err() {
                return;
            }
            let Some(Confirmed { term, last }) = self.find_leader().await else {
                self.retry_pause().await;
                continue;
            };
            self.term_min.store(term, Ordering::Release);
            if timeout(CATCH_UP, self.caught_up(last)).await.is_none() {
                continue;
            }
            if let Err(error) = self.end_recovering().await {
                tracing::warn!(
                    member = self.peers.me.0, %error,
                    "cannot remove the file recovering from the data directory: this member \
                     would recover once more after a restart"
                );
                self.retry_pause().await;
            }
        }
    }

    async fn caught_up(&self, last: u64) {
        loop {
            let committed = {
                let metrics = self.raft.metrics();
                let metrics = metrics.borrow_watched();
                metrics.local_committed.as_ref().is_some_and(|at| at.index >= last)
            };
            if committed && self.log.is_durable_to(last) {
                return;
            }
            pause(LOOK).await;
        }
    }

    /// Asks all others for a leader that enough of them follow.
    async fn find_leader(&self) -> Option<Confirmed> {
        let others = self.peers.members();
        let mut asked: FuturesUnordered<_> = others
            .into_iter()
            .map(|other| self.peers.call(other, CALL_CONFIRM, Bytes::new()))
            .collect();
        let first = async {
            while let Some(answer) = asked.next().await {
                if let Some(confirmed) =
                    answer.ok().and_then(|bytes| Confirmed::decode_all(bytes).ok())
                {
                    return Some(confirmed);
                }
            }
            None
        };
        timeout(ANSWER_TIMEOUT * 2, first).await.flatten()
    }

    /// As the leader: has enough others confirm that they follow, for one that
    /// recovers. Its log begins anew after that.
    pub(super) async fn confirm_for(&self, recovering: MemberId) -> Result<Bytes, String> {
        if self.is_recovering() {
            return Err("this member is recovering itself".to_owned());
        }
        let (own, last, configs) = {
            let metrics = self.raft.metrics();
            let metrics = metrics.borrow_watched();
            if metrics.state != ServerState::Leader {
                return Err("this member is not the leader".to_owned());
            }
            let configs = metrics.membership_config.membership().get_joint_config().clone();
            (stored_vote(&metrics.vote), metrics.last_log_index.unwrap_or(0), configs)
        };
        let me = self.peers.me.0;
        let voters: BTreeSet<u64> = configs.iter().flatten().copied().collect();
        let others = voters.into_iter().filter(|voter| *voter != me && *voter != recovering.0);
        let asked = join_all(others.map(|voter| async move {
            let call = self.peers.call(MemberId(voter), CALL_VOTED, Bytes::new());
            let answer = timeout(ANSWER_TIMEOUT, call).await?.ok()?;
            let voted = decode_voted(answer).ok()?;
            (voted == Some(own)).then_some(voter)
        }));
        let mut following: BTreeSet<u64> = asked.await.into_iter().flatten().collect();
        following.insert(me);
        if !configs.iter().all(|voters| suffices(voters, &following, recovering.0)) {
            return Err(format!(
                "too few members follow member {me}, not counting the recovering one"
            ));
        }
        // It will be found to have less than it acknowledged.
        let allowed = self.raft.trigger().allow_next_revert(&recovering.0, true).await;
        if let Err(fatal) = allowed {
            return Err(fatal.to_string());
        }
        tracing::info!(
            member = me,
            recovering = recovering.0,
            "sending the whole log to a member that lost it"
        );
        let mut out = Vec::new();
        own.term.encode(&mut out);
        last.encode(&mut out);
        Ok(out.into())
    }

    /// Whom this member follows; nothing while it recovers.
    pub(super) fn voted(&self) -> Bytes {
        let metrics = self.raft.metrics();
        let voted = stored_vote(&metrics.borrow_watched().vote);
        let voted = (!self.is_recovering()).then_some(voted);
        let mut out = Vec::new();
        voted.encode(&mut out);
        out.into()
    }

    /// Whether log entries or a snapshot of a leader with this vote may be taken.
    pub(super) fn takes_from(&self, leader: &Vote) -> bool {
        // Invariant B5: while this member recovers, no earlier leader may count on it.
        stored_vote(leader).term >= self.term_min.load(Ordering::Acquire)
    }
}

/// Whether every majority that has `recovering` in it has one of `following`, too:
/// then none of them can have promised anything that nobody there knows of.
fn suffices(voters: &BTreeSet<u64>, following: &BTreeSet<u64>, recovering: u64) -> bool {
    let majority = voters.len() / 2 + 1;
    let needed = match voters.contains(&recovering) {
        true => voters.len() - majority + 1,
        false => majority,
    };
    voters.intersection(following).count() >= needed
}

impl Confirmed {
    fn decode_all(bytes: Bytes) -> Result<Self, CodecError> {
        let mut input = Input::new(bytes);
        let confirmed = Self { term: u64::decode(&mut input)?, last: u64::decode(&mut input)? };
        input.finish("a leader's word")?;
        Ok(confirmed)
    }
}

fn decode_voted(bytes: Bytes) -> Result<Option<StoredVote>, CodecError> {
    let mut input = Input::new(bytes);
    let voted = Option::<StoredVote>::decode(&mut input)?;
    input.finish("vote")?;
    Ok(voted)
}

impl Consensus {
    /// Why this member has no vote for the time being and should serve nobody.
    pub fn watch_recovery(&self) -> tokio::sync::watch::Receiver<Option<String>> {
        self.inner.acquaintance.recovering.subscribe()
    }

    /// Hands leadership over if this member leads and finds that it must not.
    pub(super) async fn watch_over_recovery(self) {
        let mut recovering = self.watch_recovery();
        while recovering.wait_for(Option::is_some).await.is_ok() {
            let leads = {
                let metrics = self.inner.raft.metrics();
                metrics.borrow_watched().state == ServerState::Leader
            };
            if leads && let Some(transfer_target) = self.transfer_target(SILENCE_MAX) {
                // It fails with the member only.
                let _ = self.transfer_leader(transfer_target).await;
            }
            self.inner.acquaintance.retry_pause().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_must_follow_that_no_majority_goes_without_them() {
        let set = |members: &[u64]| members.iter().copied().collect::<BTreeSet<u64>>();
        let enough = |size: u64, following: &[u64], recovering| {
            suffices(&(1..=size).collect(), &set(following), recovering)
        };
        assert!(enough(2, &[1], 2));
        assert!(enough(3, &[1, 2], 3) && !enough(3, &[1], 3));
        assert!(enough(4, &[1, 2], 4) && !enough(4, &[1], 4));
        assert!(enough(5, &[1, 2, 3], 5) && !enough(5, &[1, 2], 5));
        // Whoever has no vote changes no majority.
        assert!(enough(3, &[1, 2], 9) && !enough(2, &[1], 9));
        // Others than voters do not count.
        assert!(!enough(3, &[1, 8, 9], 3));
    }
}
