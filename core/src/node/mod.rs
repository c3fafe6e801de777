//! One running member, as one handle: submit, read, watch, stop.
//!
//! ```text
//!  server::*  --submit(command)-->  proposals --batch--> consensus --> log
//!      ^                                                      |
//!      |  complete(reply), watch events                       v
//!      +----------------------- apply (one task) <------ committed entries
//!                                   |
//!                    read(|state| …) from any thread
//! ```

mod handle;
mod sink;
mod topic_waiters;
mod znode_watches;

pub use handle::{Freshness, Node, NodeStatus, ReadLevel, Role};
pub use sink::{ConnectionSink, ReplySink};
pub use topic_waiters::{TopicWaiter, TopicWaiters};
pub use znode_watches::{ConnectionId, WatchKind, ZnodeWatches};
