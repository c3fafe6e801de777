//! Another member leads because somebody wants it so.
//!
//! The leader does it, for whichever member was asked: it lets the transfer target have
//! the rest of the log and has it stand for election at once, so that nobody
//! waits for a timeout. If the transfer target does not come to lead, nothing happened.

use std::sync::Arc;
use std::time::Duration;

use coord_state::{MemberId, Revision};

use super::handle::{Node, NodeCore};
use super::membership::{ChangeRefusal, Stopped};
use super::peer_message::PeerCall;
use crate::clock;
use crate::error::Error;

/// Who was not heard for so long is not handed anything.
const HEARD_WITHIN: Duration = Duration::from_secs(1);
/// A transfer target that does not lead by then will not.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

impl Node {
    /// Has `to` lead, or the voter with most of the log. Done once this returns.
    ///
    /// # Errors
    /// `Invalid` for who has no vote or leads already; `Unavailable` without a
    /// leader, if nobody is there to be handed to, or if the transfer target did not come
    /// to lead.
    pub async fn transfer_leadership(&self, to: Option<MemberId>) -> Result<(), Error> {
        match self.inner.ask_leader(&PeerCall::TransferLeadership(to)).await? {
            Ok(_) => Ok(()),
            Err(ChangeRefusal::BadArguments) => {
                Err(Error::invalid("it has no vote, or leads already"))
            }
            Err(ChangeRefusal::InProgress) => {
                Err(Error::unavailable("a change of the members is under way"))
            }
            Err(_) => Err(Error::unavailable("no other member with a vote is there")),
        }
    }
}

impl NodeCore {
    /// As the leader: hands over. The revision says nothing.
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
        // Unless one was named, any other will do.
        let done =
            |leader: MemberId| leader == transfer_target || (to.is_none() && leader != self.member);
        self.hand_to(transfer_target, done).await?;
        Ok(self.replica.state().revision())
    }

    /// As the leader: has the transfer target take over, and waits until somebody leads who
    /// will do.
    pub(super) async fn hand_to(
        &self,
        transfer_target: MemberId,
        done: impl Fn(MemberId) -> bool,
    ) -> Result<(), Error> {
        tracing::info!(
            member = self.member.0,
            transfer_target = transfer_target.0,
            "handing leadership over, as asked"
        );
        self.consensus.transfer_leader(transfer_target).await?;
        let leads = async {
            while !self.known_leader().is_some_and(&done) {
                clock::sleep(LOOK_AGAIN).await;
            }
        };
        clock::timeout(PATIENCE, leads).await.ok_or_else(|| {
            Error::unavailable(format!("member {transfer_target} did not come to lead"))
        })
    }
}
