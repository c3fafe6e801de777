//! The replicated state machine of libcoord.
//!
//! It turns `(Stamp, Command)` into `(Reply or Rejection, Events)` and answers
//! reads. Nothing here can do anything else: the crate is `no_std`, so clocks,
//! files, threads, sockets, chance and randomly ordered iteration do not exist
//! in it. Time and fresh ids arrive inside the command.
//!
//! ```text
//!   Batch (one log entry) --> StateMachine::apply_batch --> Applied per command
//!                                      |                        reply | rejection
//!                                      |                        events
//!                        znodes, keys, catalog, sessions
//!                                      |
//!                          read methods, digest, snapshot
//! ```
//!
//! Invariants (checked by [`StateMachine::check_invariants`] after every
//! command in tests):
//!
//! 1. The revision grows by exactly one per command. It is at once the
//!    ZooKeeper zxid and the Consul index.
//! 2. An ephemeral's owner is a live session, and the session lists it.
//! 3. A znode's child count equals the children it holds.
//! 4. The digest equals the one computed from scratch.
//! 5. What is in [`StateMachine`] is exactly what is in the snapshot.
//!
//! Deliberately absent: watches (they belong to a connection, so to one
//! member; see `coord-core`'s watch hub), touch times of sessions (the leader's
//! clock; they become `Expire` commands), and anything about Raft.

// Invariant A1: without std there is no clock, no randomness and no unordered map to read.
#![no_std]
#![forbid(unsafe_code)]
#![deny(clippy::float_arithmetic)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may stop at the first surprise"))]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod archive;
pub mod batch;
pub mod codec;
pub mod command;
pub mod consul;
pub mod digest;
pub mod event;
pub mod id;
pub mod invariants;
pub mod leader_batch;
pub mod machine;
pub mod rejection;
pub mod reply;
pub mod session;
pub mod snapshot;
mod stamp;
pub mod znode;

pub use crate::stamp::Stamp;
pub use batch::Batch;
pub use codec::CodecError;
pub use command::Command;
pub use digest::{ContentHash, Digest};
pub use event::Event;
pub use id::{Attachment, MemberId, Revision, SessionId};
pub use invariants::Violation;
pub use leader_batch::{LeaderBatch, StoredBatch};
pub use machine::{Applied, StateMachine};
pub use rejection::Rejection;
pub use reply::Reply;
