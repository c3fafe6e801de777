//! The handle of a running member.

use std::sync::Arc;

use coord_state::consul::ConsulSessionId;
use coord_state::{Applied, Attachment, Command, MemberId, SessionId, StateMachine};

use super::{ConnectionId, ConnectionSink, ReplySink, TopicWaiters, ZnodeWatches};
use crate::clock::Clock;
use crate::error::Error;
use crate::settings::ValidSettings;

/// A running member. Cheap to clone; all clones are the same member.
#[derive(Debug, Clone)]
pub struct Node {}

/// How fresh a read must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadLevel {
    /// Whatever this member has applied, even with no leader.
    Stale,
    /// What the leader has committed, as far as it knows itself leader under
    /// its lease. Consul's default.
    Leader,
    /// Confirmed with a majority: no read can be fresher.
    Linearizable,
}

/// How fresh a confirmed read is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// Whether a leader is known.
    pub known_leader: bool,
    /// Milliseconds since this member heard from it; 0 on the leader.
    pub last_contact_ms: u64,
}

/// A member's part in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The only member.
    Standalone,
    /// Orders commands.
    Leader,
    /// Follows a leader.
    Follower,
    /// Knows no leader.
    Looking,
    /// Follows without a vote.
    Learner,
}

/// How a member stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeStatus {
    /// Its part.
    pub role: Role,
    /// The leader it knows.
    pub leader: Option<MemberId>,
    /// The Raft term.
    pub term: u64,
    /// Voting members and their peer addresses, in order.
    pub voters: Vec<(MemberId, String)>,
}

impl Node {
    /// This member's number.
    pub fn member(&self) -> MemberId {
        unimplemented_skeleton()
    }

    /// The settings it runs with.
    pub fn settings(&self) -> &ValidSettings {
        unimplemented_skeleton()
    }

    /// Its clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        unimplemented_skeleton()
    }

    /// Orders a command; `sink` gets its outcome exactly once. Commands
    /// submitted one after the other take effect in that order. Never blocks:
    /// when too much is waiting, the outcome is `Unavailable`.
    pub fn submit(&self, _command: Command, _sink: Arc<dyn ReplySink>, _token: u64) {
        unimplemented_skeleton()
    }

    /// Orders a command and waits for its outcome. Durable on a majority and
    /// applied here once this returns. Dropping the future does not withdraw
    /// the command.
    ///
    /// # Errors
    /// `Unavailable`, `Indeterminate`, `Closed`. A refusal by the state
    /// machine is in [`Applied::result`].
    pub async fn propose(&self, _command: Command) -> Result<Applied, Error> {
        unimplemented_skeleton()
    }

    /// Looks at the state as applied here, at one revision. `look` runs under
    /// the state's read lock: be brief, do not call back into the node except
    /// to register watches and waiters.
    pub fn read<T>(&self, _look: impl FnOnce(&StateMachine) -> T) -> T {
        unimplemented_skeleton()
    }

    /// Waits until a following [`Self::read`] is as fresh as `level` asks.
    ///
    /// # Errors
    /// `Unavailable` if no leader confirms in time (never for `Stale`).
    pub async fn confirm(&self, _level: ReadLevel) -> Result<Freshness, Error> {
        unimplemented_skeleton()
    }

    /// How the member stands now.
    pub fn status(&self) -> NodeStatus {
        unimplemented_skeleton()
    }

    /// ZooKeeper watches.
    pub fn znode_watches(&self) -> &ZnodeWatches {
        unimplemented_skeleton()
    }

    /// Waiters for changes.
    pub fn topic_waiters(&self) -> &Arc<TopicWaiters> {
        unimplemented_skeleton()
    }

    /// Names the connection to be told when its session closes or moves away;
    /// replaces an earlier one of the same session.
    pub fn own_session(
        &self,
        _session: SessionId,
        _attachment: Attachment,
        _sink: Arc<dyn ConnectionSink>,
    ) {
        unimplemented_skeleton()
    }

    /// Undoes [`Self::own_session`], if that attachment still owns it.
    pub fn disown_session(&self, _session: SessionId, _attachment: Attachment) {
        unimplemented_skeleton()
    }

    /// A sign of life of a ZooKeeper session on this member. Cheap; call it
    /// for every request.
    pub fn touch_session(&self, _session: SessionId) {
        unimplemented_skeleton()
    }

    /// Restarts the TTL of a Consul session. False if it is not live.
    ///
    /// # Errors
    /// `Unavailable` with no leader.
    pub async fn renew_consul_session(&self, _session: ConsulSessionId) -> Result<bool, Error> {
        unimplemented_skeleton()
    }

    /// A session id nobody had before, with this member's number in its high byte.
    pub fn fresh_session_id(&self) -> SessionId {
        unimplemented_skeleton()
    }

    /// An attachment nobody had before.
    pub fn fresh_attachment(&self) -> Attachment {
        unimplemented_skeleton()
    }

    /// A connection number of this member.
    pub fn fresh_connection_id(&self) -> ConnectionId {
        unimplemented_skeleton()
    }

    /// Random bytes.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        unimplemented_skeleton()
    }
}

fn unimplemented_skeleton<T>() -> T {
    panic!("skeleton")
}
