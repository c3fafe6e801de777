//! Handles requests of other members.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock, Weak};

use bytes::Bytes;
use coord_state::MemberId;

use super::node_core::NodeCore;
use super::peer_message::{ChangeAnswer, PeerCall, PeerMessage, answer};
use crate::consensus::PeerService;
use crate::error::{Error, ErrorKind};

/// The member's desk for its peers; open once the node runs.
#[derive(Default)]
pub(super) struct PeerRequestHandler {
    node: OnceLock<Weak<NodeCore>>,
}

impl PeerRequestHandler {
    pub(super) fn open(&self, node: Weak<NodeCore>) {
        self.node.get_or_init(|| node);
    }

    fn node(&self) -> Option<Arc<NodeCore>> {
        self.node.get().and_then(Weak::upgrade)
    }
}

impl PeerService for PeerRequestHandler {
    fn on_message(&self, from: MemberId, message: Bytes) {
        let Some(node) = self.node() else { return };
        match PeerMessage::from_bytes(message) {
            Ok(PeerMessage::Forward(batch)) => node.take_forward(from, &batch),
            Ok(PeerMessage::Refused { .. }) => node.reroute(),
            Err(error) => {
                tracing::warn!(
                    peer = from.0, %error,
                    "a member sent a message that this release cannot read"
                );
            }
        }
    }

    fn piggyback(&self) -> Bytes {
        self.node().map_or_else(Bytes::new, |node| node.leader_report())
    }

    fn on_piggyback(&self, from: MemberId, piggyback: Bytes) {
        if let Some(node) = self.node() {
            node.take_leader_report(from, piggyback);
        }
    }

    fn on_messages_lost(&self, peer: MemberId) {
        if let Some(node) = self.node()
            && node.known_leader() == Some(peer)
        {
            node.reroute();
        }
    }

    fn on_call(
        &self,
        from: MemberId,
        request: Bytes,
    ) -> Pin<Box<dyn Future<Output = Result<Bytes, Error>> + Send>> {
        let node = self.node();
        Box::pin(async move {
            let node = node.ok_or_else(|| Error::unavailable("this member is starting"))?;
            let call = PeerCall::from_bytes(request).map_err(|error| {
                Error::invalid(format!("a call of member {from}")).caused_by(error)
            })?;
            node.answer_call(from, call).await
        })
    }
}

impl NodeCore {
    fn take_forward(self: &Arc<Self>, from: MemberId, batch: &Bytes) {
        let Some(sequence) = coord_state::Batch::sequence_of(batch) else {
            tracing::warn!(
                peer = from.0,
                "a member forwarded a batch that this release cannot read"
            );
            return;
        };
        // Nobody numbers another's batches: invariant A5.
        let origin = coord_state::Batch::origin_of(batch);
        if origin != Some(from) {
            tracing::error!(
                peer = from.0,
                ?origin,
                "a member forwarded a batch that is not its own"
            );
            return;
        }
        // It would go into the log and then to no other member, nor would
        // anything behind it.
        let is_within_bounds = coord_state::Batch::is_within_bounds(batch);
        if batch.len() > self.settings.limits.entry_bytes_max() || !is_within_bounds {
            tracing::error!(
                peer = from.0,
                bytes = batch.len(),
                "a member forwarded a batch larger than a log entry may be here: set \
                 limits.peer_frame_bytes_max and limits.batch_bytes_max to the same values on all \
                 members"
            );
            return;
        }
        let refused = PeerMessage::Refused { sequence }.to_bytes();
        if !self.is_leader() {
            self.consensus.send(from, refused);
            return;
        }
        if self.replica.is_down() {
            // It comes again, here or to whoever leads by then.
            return;
        }
        let weak = Arc::downgrade(self);
        self.append(batch, move || {
            if let Some(node) = weak.upgrade() {
                node.consensus.send(from, refused);
            }
        });
    }

    /// Whether the time of these sessions begins anew: only the leader decides that.
    fn take_touch(&self, sessions: &[coord_state::SessionId]) -> bool {
        let leads = self.is_leader();
        if leads {
            let now = self.clock.monotonic();
            self.session_clock.renew(sessions, &self.replica.state(), now);
        }
        leads
    }

    async fn answer_call(self: &Arc<Self>, from: MemberId, call: PeerCall) -> Result<Bytes, Error> {
        let leads = matches!(call, PeerCall::ReadIndex { .. } | PeerCall::RenewConsulSession(_));
        if leads && !self.is_leader() {
            let hint = self.known_leader().map(|leader| leader.0);
            return Err(Error::new(ErrorKind::NotLeader { hint }, "this member is not the leader"));
        }
        match call {
            PeerCall::ReadIndex { lease } => {
                self.consensus.read_index(lease).await.map(|index| answer(&index))
            }
            PeerCall::ClientAddress => Ok(answer(&self.client_address())),
            PeerCall::ChangeMembership(_) | PeerCall::RemoveMember(_) if self.is_leader() => {
                let outcome = match self.apply_what_callers_saw().await {
                    Err(error) if matches!(error.kind(), ErrorKind::NotLeader { .. }) => None,
                    seen => {
                        seen?;
                        self.change_here(&call).await?
                    }
                };
                Ok(answer(&ChangeAnswer(outcome)))
            }
            PeerCall::ChangeMembership(_)
            | PeerCall::RemoveMember(_)
            | PeerCall::TransferLeadership(_) => {
                Ok(answer(&ChangeAnswer(self.change_here(&call).await?)))
            }
            PeerCall::RoomLeft => Ok(self.room_answer()),
            PeerCall::Config => Ok(answer(&self.config_answer())),
            PeerCall::StateFingerprint(theirs) => {
                self.answer_mark(from, theirs).await.map(|fingerprint| answer(&fingerprint))
            }
            PeerCall::Touch(sessions) => Ok(answer(&self.take_touch(&sessions))),
            PeerCall::RenewConsulSession(session) => {
                self.apply_what_callers_saw().await?;
                self.renew_consul_here(session).map(|live| answer(&live))
            }
        }
    }
}
