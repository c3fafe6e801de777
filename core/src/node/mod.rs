//! A running member as one handle: submit, read, watch, stop.
//!
//! ```text
//!  server::*  --submit(command)-->  proposals --batch--> consensus --> log
//!      ^                                                      |
//!      |  complete(reply), watch events                       v
//!      +----------------------- apply (one task) <------ committed entries
//!                                   |
//!                    read(|state| …) from any thread
//! ```

mod divergence;
mod duties;
mod fresh_ids;
mod handle;
mod impairment;
mod leader_report;
mod lease;
mod lifecycle;
mod membership;
mod node_core;
mod peer_message;
mod peer_request_handler;
mod proposals;
mod read;
mod replica;
mod session_clock;
mod sink;
mod state_time;
mod status;
mod topic_waiters;
mod verdicts;
mod work;
mod znode_watches;

pub use impairment::Impairment;
pub use lifecycle::NodeBuilder;
pub use membership::request::{ChangeRefusal, ChangedConfig, MembershipChange};
pub use node_core::Node;
pub use proposals::TooLarge;
pub use sink::{ConnectionSink, ReplySink};
pub use status::{ElectionCounters, Freshness, InTouch, NodeStatus, ReadLevel, Role};
pub use topic_waiters::{TopicWaiter, TopicWaiters};
pub use work::NodeWork;
pub use znode_watches::{
    ConnectionId, DataWatchSummary, DataWatches, WatchCounts, WatchKind, Watched, ZnodeWatches,
};
