//! ZooKeeper watches of the connections of this member.

use std::sync::Arc;

use coord_state::{Event, Revision};

use super::ConnectionSink;

/// One connection of this member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// What a watch is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WatchKind {
    /// Once: the next creation, change or deletion of the znode itself.
    Data,
    /// Once: the next change of its children, or its deletion.
    Child,
    /// Until removed: both of the above.
    Persistent,
    /// Until removed: the znode itself and everything below it, without child lists.
    PersistentRecursive,
}

/// All watches of one member.
#[derive(Debug, Default)]
pub struct ZnodeWatches {}

impl ZnodeWatches {
    /// Adds a watch; adding one that is there changes nothing. To lose no
    /// event, add inside the [`super::Node::read`] that made the answer.
    pub fn add(
        &self,
        _connection: ConnectionId,
        _sink: &Arc<dyn ConnectionSink>,
        _path: &str,
        _kind: WatchKind,
    ) {
    }

    /// Drops everything a connection watches.
    pub fn remove_connection(&self, _connection: ConnectionId) {}

    /// Delivers one znode event to those who watch for it.
    pub fn dispatch(&self, _revision: Revision, _event: &Event) {}
}
