//! Transfers leadership on request.
//!
//! Any member forwards the request to the leader, which sends the target the
//! rest of the log and has it start an election immediately, without waiting
//! for a timeout. If the target does not win, nothing changes.

use std::sync::Arc;
use std::time::Duration;

use coord_state::{MemberId, Revision};

use super::change::Stopped;
use super::request::ChangeRefusal;
use crate::clock;
use crate::error::Error;
use crate::node::node_core::{Node, NodeCore};
use crate::node::peer_message::PeerCall;

/// Leadership is only transferred to members heard from within this time.
const HEARD_WITHIN: Duration = Duration::from_secs(1);
/// The timeout of a transfer.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

impl Node {
    /// Transfers leadership to `to`, or to the voter with most of the log. Done once this returns.
    ///
    /// # Errors
    /// `Invalid` if `to` has no vote or is already the leader; `Unavailable` without a leader, if
    /// no voter is reachable, or if the target did not become the leader.
    pub async fn transfer_leadership(&self, to: Option<MemberId>) -> Result<(), Error> {
        match self.inner.ask_leader(&PeerCall::TransferLeadership(to)).await? {
            Ok(_) => Ok(()),
            Err(ChangeRefusal::BadArguments) => {
                Err(Error::invalid("it has no vote, or is already the leader"))
            }
            Err(ChangeRefusal::InProgress) => {
                Err(Error::unavailable("a membership change is in progress"))
            }
            Err(_) => Err(Error::unavailable("no other voter is reachable")),
        }
    }
}

impl NodeCore {
    /// As the leader: transfers leadership. The revision has no meaning.
    pub(super) async fn transfer_asked(
        self: &Arc<Self>,
        to: Option<MemberId>,
    ) -> Result<Revision, Stopped> {
        let _no_change_meanwhile =
            self.changing.try_lock().map_err(|_| ChangeRefusal::InProgress)?;
        let voters = self.consensus.status().voters;
        let is_voter = |member: MemberId| voters.iter().any(|(voter, _)| *voter == member);
        let transfer_target = match to {
            Some(member) if member == self.member || !is_voter(member) => {
                return Err(ChangeRefusal::BadArguments.into());
            }
            Some(member) => self.heard().contains(&member).then_some(member),
            None => self.consensus.transfer_target(HEARD_WITHIN),
        };
        let Some(transfer_target) = transfer_target else {
            return Err(ChangeRefusal::NoQuorum.into());
        };
        // Unless a target was named, any other leader is fine.
        let done =
            |leader: MemberId| leader == transfer_target || (to.is_none() && leader != self.member);
        self.hand_to(transfer_target, done).await?;
        Ok(self.replica.state().revision())
    }

    /// As the leader: transfers leadership, and waits until an acceptable member leads.
    pub(super) async fn hand_to(
        &self,
        transfer_target: MemberId,
        done: impl Fn(MemberId) -> bool,
    ) -> Result<(), Error> {
        tracing::info!(
            member = self.member.0,
            transfer_target = transfer_target.0,
            "transferring leadership, as requested"
        );
        self.consensus.transfer_leader(transfer_target).await?;
        let leads = async {
            while !self.known_leader().is_some_and(&done) {
                clock::sleep(LOOK_AGAIN).await;
            }
        };
        clock::timeout(PATIENCE, leads).await.ok_or_else(|| {
            Error::unavailable(format!(
                "member {transfer_target} did not become the leader in time"
            ))
        })
    }
}
