//! Watches of one connection.

use std::cell::Cell;
use std::sync::Arc;

use coord_state::StateMachine;
use coord_state::event::ZnodeEventKind;
use coord_state::znode::Stat;
use coord_wire::zookeeper::request::SetWatches;
use coord_wire::zookeeper::{ErrorCode, Text};

use super::outbox::Outbox;
use crate::node::{ConnectionId, ConnectionSink, WatchKind, ZnodeWatches};

/// Registers watches for one connection, up to a limit.
pub(super) struct Registrar<'a> {
    watches: &'a ZnodeWatches,
    connection: ConnectionId,
    sink: &'a Arc<dyn ConnectionSink>,
    limit: usize,
    /// How many more the member takes, all connections together.
    left: Cell<usize>,
    exceeded: Cell<bool>,
    /// What is kept for the connection's watches, as far as known.
    bytes: Cell<usize>,
}

impl<'a> Registrar<'a> {
    pub(super) fn new(
        watches: &'a ZnodeWatches,
        connection: ConnectionId,
        sink: &'a Arc<dyn ConnectionSink>,
        limit: usize,
        total_max: usize,
        bytes: usize,
    ) -> Self {
        let counts = watches.counts();
        let left = Cell::new(total_max.saturating_sub(counts.data + counts.child));
        let (exceeded, bytes) = (Cell::new(false), Cell::new(bytes));
        Self { watches, connection, sink, limit, left, exceeded, bytes }
    }

    /// What is kept for the connection's watches.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.get()
    }

    /// Whether the connection watches more than it may.
    pub(super) fn exceeded(&self) -> bool {
        self.exceeded.get()
    }

    pub(super) fn add(&self, path: &str, kind: WatchKind) {
        let Some(left) = self.left.get().checked_sub(1) else {
            return self.exceeded.set(true);
        };
        self.left.set(left);
        let watched = self.watches.add(self.connection, self.sink, path, kind);
        self.bytes.set(watched.bytes);
        if watched.paths > self.limit {
            self.exceeded.set(true);
        }
    }

    pub(super) fn add_all(&self, paths: &[Text], kind: WatchKind) {
        for path in paths {
            if self.exceeded() {
                return;
            }
            self.add(path, kind);
        }
    }

    /// Whether there is such a watch.
    pub(super) fn check(&self, path: &str, kind: i32) -> Result<(), ErrorCode> {
        let mut kinds = kinds(kind)?.iter();
        let found = kinds.any(|kind| self.watches.contains(self.connection, path, *kind));
        if found { Ok(()) } else { Err(ErrorCode::NoWatcher) }
    }

    /// Removes such watches.
    pub(super) fn remove(&self, path: &str, kind: i32) -> Result<(), ErrorCode> {
        let kinds = kinds(kind)?.iter();
        let removed =
            kinds.filter(|kind| self.watches.remove(self.connection, path, **kind)).count();
        self.bytes.set(self.watches.watched_by(self.connection).bytes);
        if removed > 0 { Ok(()) } else { Err(ErrorCode::NoWatcher) }
    }

    /// Takes over watches of an earlier connection: what changed since the
    /// client last looked it is told at once, the rest is watched again.
    pub(super) fn catch_up(&self, state: &StateMachine, watches: &SetWatches, outbox: &mut Outbox) {
        let since = watches.relative_zxid;
        let lists = [
            (&watches.data, missed_data as Missed, WatchKind::Data),
            (&watches.exist, missed_creation, WatchKind::Data),
            (&watches.child, missed_children, WatchKind::Child),
        ];
        for (paths, missed, kind) in lists {
            for path in paths {
                if self.exceeded() {
                    return;
                }
                let stat = state.znodes().znode(path).map(|znode| znode.stat());
                match missed(stat, since) {
                    Some(event) => outbox.event(None, event, path),
                    None => self.add(path, kind),
                }
            }
        }
    }
}

type Missed = fn(Option<Stat>, i64) -> Option<ZnodeEventKind>;

fn missed_data(stat: Option<Stat>, since: i64) -> Option<ZnodeEventKind> {
    match stat {
        None => Some(ZnodeEventKind::Deleted),
        Some(stat) => (stat.mzxid.zxid() > since).then_some(ZnodeEventKind::DataChanged),
    }
}

fn missed_creation(stat: Option<Stat>, _since: i64) -> Option<ZnodeEventKind> {
    stat.map(|_| ZnodeEventKind::Created)
}

fn missed_children(stat: Option<Stat>, since: i64) -> Option<ZnodeEventKind> {
    match stat {
        None => Some(ZnodeEventKind::Deleted),
        Some(stat) => (stat.pzxid.zxid() > since).then_some(ZnodeEventKind::ChildrenChanged),
    }
}

/// The kinds a watcher type of the wire matches.
fn kinds(kind: i32) -> Result<&'static [WatchKind], ErrorCode> {
    use WatchKind::{Child, Data, Persistent, PersistentRecursive};
    Ok(match kind {
        1 => &[Child],
        2 => &[Data],
        3 => &[Child, Data, Persistent, PersistentRecursive],
        4 => &[Persistent],
        5 => &[PersistentRecursive],
        _ => return Err(ErrorCode::MarshallingError),
    })
}

#[cfg(test)]
mod tests {
    use coord_state::Revision;

    use super::*;

    #[test]
    fn a_client_is_told_what_it_missed_and_nothing_else() {
        use ZnodeEventKind::{ChildrenChanged, Created, DataChanged, Deleted};
        let stat = |mzxid, pzxid| {
            Some(Stat { mzxid: Revision(mzxid), pzxid: Revision(pzxid), ..Stat::default() })
        };
        assert_eq!(missed_data(None, 5), Some(Deleted));
        assert_eq!(missed_data(stat(6, 0), 5), Some(DataChanged));
        assert_eq!(missed_data(stat(5, 9), 5), None);
        assert_eq!(missed_creation(None, 5), None);
        assert_eq!(missed_creation(stat(1, 1), 5), Some(Created));
        assert_eq!(missed_children(None, 5), Some(Deleted));
        assert_eq!(missed_children(stat(0, 6), 5), Some(ChildrenChanged));
        assert_eq!(missed_children(stat(9, 5), 5), None);
    }

    #[test]
    fn watcher_types_are_one_to_five() {
        for kind in [0, 6, -1] {
            assert_eq!(kinds(kind), Err(ErrorCode::MarshallingError));
        }
        assert_eq!(kinds(3).unwrap().len(), 4);
    }
}
