//! What ZooKeeper's protocol is served like.

use serde::{Deserialize, Serialize};

/// What ZooKeeper's protocol is served like.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ZookeeperSettings {
    /// Whether this member confirms every read of a ZooKeeper client through
    /// the leader before it answers, so that no read is stale, whatever became
    /// of the leader meanwhile. Costs a round between members per read;
    /// pipelined reads share one. Default no: reads are answered from this
    /// member's own copy, as ZooKeeper does.
    pub linearizable_reads: bool,
}
