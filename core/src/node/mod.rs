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

mod config_membership;
mod config_text;
mod config_znode;
mod digest_history;
mod duties;
mod fingerprints;
mod fresh_ids;
mod handle;
mod impairment;
mod integrity;
mod leader_report;
mod leadership;
mod lease;
mod lifecycle;
mod membership;
mod peer_message;
mod peer_request_handler;
mod proposals;
mod read;
mod recovery;
mod replica;
mod session_clock;
mod sink;
mod state_time;
mod topic_waiters;
mod verdicts;
mod work;
mod znode_watches;

pub use handle::{ElectionCounters, Freshness, InTouch, Node, NodeStatus, ReadLevel, Role};
pub use impairment::Impairment;
pub use lifecycle::NodeBuilder;
pub use membership::{ChangeRefusal, ChangedConfig, MembershipChange};
pub use proposals::TooLarge;
pub use sink::{ConnectionSink, ReplySink};
pub use topic_waiters::{TopicWaiter, TopicWaiters};
pub use work::NodeWork;
pub use znode_watches::{
    ConnectionId, DataWatchSummary, DataWatches, WatchCounts, WatchKind, Watched, ZnodeWatches,
};
