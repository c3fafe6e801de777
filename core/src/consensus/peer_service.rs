//! The interface through which the layer above serves other members: messages and calls.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use coord_state::MemberId;

use crate::error::Error;

/// The answer to a call, in time.
pub type CallAnswer = Pin<Box<dyn Future<Output = Result<Bytes, Error>> + Send>>;

/// What this member does for its peers, beside the log.
pub trait PeerService: Send + Sync + 'static {
    /// Takes a message. Those of one peer come in the order sent. Must not block.
    fn on_message(&self, from: MemberId, message: Bytes);

    /// A few bytes to ride along with what replication says to a peer; empty for
    /// none. Asked for every append request: must be cheap and not block.
    fn piggyback(&self) -> Bytes;

    /// Takes what rode along with an append request of the leader. Must not block.
    fn on_piggyback(&self, from: MemberId, piggyback: Bytes);

    /// Messages to a peer may have been lost with their connection. Must not block.
    fn on_messages_lost(&self, peer: MemberId);

    /// Answers a call.
    fn on_call(&self, from: MemberId, request: Bytes) -> CallAnswer;
}
