//! The stat of a znode, in ZooKeeper's fields and meanings.

use crate::id::{Revision, SessionId};

/// What ZooKeeper tells about a znode. Field order is ZooKeeper's wire order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stat {
    /// Revision of creation.
    pub czxid: Revision,
    /// Revision of the last change of data.
    pub mzxid: Revision,
    /// Creation time, ms since the epoch.
    pub ctime: i64,
    /// Time of the last change of data, ms since the epoch.
    pub mtime: i64,
    /// Changes of data, from 0.
    pub version: i32,
    /// Changes of the set of children: `2 × creations − children`, as ZooKeeper counts.
    pub cversion: i32,
    /// Changes of the access list, from 0.
    pub aversion: i32,
    /// The owning session of an ephemeral; zero for everything else.
    pub ephemeral_owner: SessionId,
    /// Bytes of data; none counts as 0.
    pub data_length: i32,
    /// Direct children.
    pub num_children: i32,
    /// Revision of the last creation or deletion of a child.
    pub pzxid: Revision,
}
