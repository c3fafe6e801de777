//! A request in progress, from its frame until it is answered.

use std::time::Duration;

use coord_state::znode::MultiOp;
use coord_state::{Applied, Command};
use coord_wire::zookeeper::{ErrorCode, Request, Text};

use super::translate::Shape;
use crate::node::{ChangeRefusal, ChangedConfig};

/// Why and how the connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Once everything to send is sent.
    AfterReplies,
    /// At once.
    Now,
}

/// One request.
pub(super) struct Entry {
    pub(super) xid: i32,
    pub(super) op: i32,
    pub(super) bytes: usize,
    /// About what it takes, taken apart.
    pub(super) kept: usize,
    pub(super) since: Duration,
    pub(super) step: Step,
}

/// How far a request has come.
pub(super) enum Step {
    /// Waits until everything before it that looks at the state was answered.
    Held(Box<Command>, Shape),
    /// Being ordered.
    Submitted(u64, Shape),
    /// Applied; its turn to be answered has not come.
    Applied(Box<Applied>, Shape),
    /// Not taken by this member now; its turn to be answered has not come.
    Denied,
    /// Waits for this member to catch up with the leader.
    Confirming(u64, StateAnswer),
    /// Waits for a change of the members.
    Reconfiguring(u64),
    /// Ready to be answered from the state as it is then.
    Ready(StateAnswer),
}

impl Step {
    /// What a request of many operations takes beside its bytes.
    pub(super) fn kept(&self) -> usize {
        match self {
            Self::Held(_, Shape::Multi(ops)) => ops.len() * size_of::<MultiOp>(),
            Self::Confirming(_, StateAnswer::Read(Request::MultiRead(reads)))
            | Self::Ready(StateAnswer::Read(Request::MultiRead(reads))) => {
                reads.len() * size_of::<Request>()
            }
            _ => 0,
        }
    }
}

/// What is answered from the state as it is at its turn.
pub(super) enum StateAnswer {
    Read(Request),
    Synced(Option<Text>),
    Reconfigured(Box<Result<ChangedConfig, ChangeRefusal>>),
    Refuse(ErrorCode),
    /// Of a session that only this member knows.
    CloseHere,
    /// Answered as unimplemented, with no revision, and the last of its connection.
    Unknown,
}
