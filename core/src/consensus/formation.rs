//! Bootstraps a cluster: once, by members that all have the same member list.
//!
//! A member with an empty data directory asks the others in its settings for their state:
//!
//! | another member | this member |
//! |---|---|
//! | belongs to a cluster | does not bootstrap: the leader connects to it, immediately if it is already a member there, otherwise once it is added |
//! | is also empty, with the same member list | counts it |
//! | is also empty, with a different member list | logs an error and keeps asking |
//!
//! [`are_same`] compares member lists: hosts may be written differently. A member that has
//! `0.0.0.0` for itself gets the address that the others have for it. If lists are not literally
//! equal, the member with the lowest number writes its own and the others adopt it, because one log
//! entry must not have two contents.
//!
//! When a majority of the voters, including itself, is in the same state, and all others have
//! answered or are unreachable, it writes the first membership to its log. Waiting for a majority
//! costs nothing, since without one there could be no leader. So a member whose list contains three
//! running members and itself never bootstraps a second cluster, without any setting for that.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use coord_state::MemberId;
use futures_util::stream::{FuturesUnordered, StreamExt};
use openraft::errors::{InitializeError, RaftError};
use openraft::impls::BasicNode;

use super::first_members::{BootstrapState, FirstMembers};
use super::lifetime::{pause, timeout};
use super::member::{Consensus, fatal_error};
use super::peer_link::CALL_STANDING;
use super::same_members::are_same;
use crate::error::Error;
use crate::settings::is_any;

/// How long another member may take to say how it stands.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// How long one that could not help yet is left alone.
const ASK_AGAIN: Duration = Duration::from_millis(50);

impl Consensus {
    /// Begins, goes on or waits; see the head of this file.
    pub(super) async fn form(&self, first: FirstMembers) -> Result<(), Error> {
        let raft = &self.inner.raft;
        let me = self.inner.peers.me;
        if raft.is_initialized().await.map_err(fatal_error)? {
            let consensus = self.clone();
            self.inner.lifetime.spawn(async move { consensus.tell_difference(&first).await });
            return self.elect_if_alone().await;
        } else if self.inner.acquaintance.is_recovering() {
            tracing::info!(
                member = me.0,
                "waiting for the leader of this member's former cluster to connect"
            );
        } else if first.voters().eq([me]) {
            self.initialize(&first).await?;
        } else if first.voters().any(|voter| voter == me) {
            let consensus = self.clone();
            self.inner.lifetime.spawn(async move { consensus.form_with_others(first).await });
        } else {
            tracing::info!(
                member = me.0,
                "waiting for the leader of an existing cluster to connect"
            );
        }
        self.elect_if_alone().await
    }

    async fn elect_if_alone(&self) -> Result<(), Error> {
        let (raft, me) = (&self.inner.raft, self.inner.peers.me);
        if raft.voter_ids().eq([me.0]) && self.inner.acquaintance.may_stand() {
            raft.trigger().elect(false).await.map_err(fatal_error)?;
        }
        Ok(())
    }

    /// Writes the first membership into the empty log.
    async fn initialize(&self, first: &FirstMembers) -> Result<(), Error> {
        let address = |member: MemberId| first.addresses.get(&member).cloned().unwrap_or_default();
        let voters: BTreeMap<u64, BasicNode> =
            first.voters().map(|member| (member.0, BasicNode { addr: address(member) })).collect();
        match self.inner.raft.initialize(voters).await {
            // A leader was faster: then it knows the same members.
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
            Err(RaftError::APIError(error @ InitializeError::NotInMembers(_))) => {
                Err(Error::invalid(error.to_string()))
            }
            Err(RaftError::Fatal(fatal)) => Err(fatal_error(fatal)),
        }
    }

    async fn form_with_others(&self, first: FirstMembers) {
        let me = self.inner.peers.me;
        match self.may_form(&first).await {
            Some(first) => {
                if let Err(error) = self.initialize(&first).await {
                    tracing::error!(
                        member = me.0,
                        error = error.chain(),
                        "cannot bootstrap the cluster"
                    );
                    return;
                }
                tracing::info!(member = me.0, "bootstrapped a new cluster");
                if first.voters().next() == Some(me) {
                    // Its failure is this member's, and told as that.
                    let _ = self.inner.raft.trigger().elect(false).await;
                }
            }
            None => tracing::info!(
                member = me.0,
                "another member in the settings already belongs to a cluster: waiting for its \
                 leader to connect; if this member is new, add it with reconfig"
            ),
        }
    }

    /// Waits until a majority stands like this member; the members then, each with a place where
    /// the others reach it. None if a cluster is there already.
    async fn may_form(&self, first: &FirstMembers) -> Option<FirstMembers> {
        let me = self.inner.peers.me;
        let majority = first.voters().count() / 2 + 1;
        let mut alike = BTreeSet::from([me]);
        let mut complained = BTreeSet::new();
        // What voters that stand like this one were told, as they said last.
        let mut lists: BTreeMap<MemberId, FirstMembers> = BTreeMap::new();
        // Whoever belongs to a cluster must have the time to say so, even if a
        // majority lost its directories at once and stands like this one.
        let mut unasked: BTreeSet<_> =
            first.addresses.keys().copied().filter(|other| *other != me).collect();
        let ask = |other, after| async move {
            pause(after).await;
            (other, self.bootstrap_state_of(other).await)
        };
        let others = first.addresses.keys().copied().filter(|other| *other != me);
        let mut asked: FuturesUnordered<_> =
            others.map(|other| ask(other, Duration::ZERO)).collect();
        let leaves_it_to_another = |lists: &BTreeMap<MemberId, FirstMembers>| {
            lists.range(..me).any(|(_, list)| list != first)
        };
        while alike.len() < majority || !unasked.is_empty() || leaves_it_to_another(&lists) {
            let Some((other, state)) = asked.next().await else { break };
            unasked.remove(&other);
            match state {
                Some(BootstrapState::Formed) => return None,
                Some(BootstrapState::Fresh(named)) => {
                    if are_same((me, first), (other, &named)).await {
                        if first.voters().any(|voter| voter == other) {
                            alike.insert(other);
                            lists.insert(other, named);
                        }
                    } else if complained.insert(other) {
                        let named = &named.addresses;
                        tracing::error!(
                            member = me.0, other = other.0, ?named, own = ?first.addresses,
                            "another member has a different member list: the cluster is not \
                             bootstrapped until the members settings agree"
                        );
                    }
                }
                None => drop(lists.remove(&other)),
            }
            // A leader may have come here meanwhile.
            if self.inner.raft.is_initialized().await.unwrap_or(true)
                || self.inner.acquaintance.is_recovering()
            {
                return None;
            }
            asked.push(ask(other, ASK_AGAIN));
        }
        let mut members = first.clone();
        if let Some(own) = members.addresses.get_mut(&me)
            && is_any(own)
            && let Some(place) = lists.values().find_map(|list| list.addresses.get(&me))
        {
            own.clone_from(place);
        }
        Some(members)
    }

    pub(super) async fn bootstrap_state_of(&self, other: MemberId) -> Option<BootstrapState> {
        let call = self.inner.peers.call(other, CALL_STANDING, Bytes::new());
        let answer = timeout(ANSWER_TIMEOUT, call).await?.ok()?;
        BootstrapState::decode(answer).ok()
    }

    /// What the log says counts; a user who changed the settings should know.
    async fn tell_difference(&self, first: &FirstMembers) {
        if first.addresses.len() < 2 {
            return;
        }
        let status = self.status();
        let observers: BTreeSet<MemberId> = status.learners.iter().map(|(id, _)| *id).collect();
        let addresses: BTreeMap<MemberId, String> =
            status.voters.into_iter().chain(status.learners).collect();
        let me = self.inner.peers.me;
        let in_the_log = FirstMembers { addresses, observers };
        if !are_same((me, first), (me, &in_the_log)).await {
            let FirstMembers { addresses, observers } = in_the_log;
            tracing::warn!(
                member = me.0, log = ?addresses, ?observers,
                settings = ?first.addresses,
                "the members in the settings differ from those in the log: the log wins, because \
                 the settings only apply to the first start; use reconfig to change the members"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_member_stands_survives_the_way() {
        let addresses = [(MemberId(1), "a:1".to_owned()), (MemberId(2), "b:2".to_owned())];
        let first = FirstMembers { addresses: addresses.into(), observers: [MemberId(2)].into() };
        for state in [BootstrapState::Formed, BootstrapState::Fresh(first)] {
            let mut bytes = Vec::new();
            state.encode(&mut bytes);
            assert_eq!(BootstrapState::decode(bytes.into()), Ok(state));
        }
        assert!(BootstrapState::decode(Bytes::from_static(b"\x07")).is_err());
        assert!(BootstrapState::decode(Bytes::from_static(b"\x01\x00")).is_err());
    }
}
