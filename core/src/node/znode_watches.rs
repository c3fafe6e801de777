//! ZooKeeper watches of the connections of this member.
//!
//! A watch belongs to a connection, and so to one member; it is never
//! replicated. Each event triggers watches from these tables:
//!
//! | event | triggers |
//! |---|---|
//! | created, data changed | data watches on the path |
//! | deleted | data watches on the path, then child watches on it of connections not yet notified |
//! | children changed | child watches on the path |
//!
//! A persistent watch is in both tables. A recursive one is in the data table
//! of its path and of everything below. A connection is notified once per
//! table, however many of its watches match. A one-time watch is used up even
//! if the ACL prevents the notification.
//!
//! Locks: the state's lock, then this one, then a connection's own; never the
//! other way round.
//!
//! Semantics: ZooKeeper 3.9.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, PoisonError};

use coord_state::event::ZnodeEventKind;
use coord_state::znode::Acl;
use coord_state::{Event, Revision};
use foldhash::fast::RandomState;

use super::ConnectionSink;
use crate::sync::{Mutex, MutexGuard};

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

/// How many watches there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WatchCounts {
    /// Entries of the data table.
    pub data: usize,
    /// Entries of the child table.
    pub child: usize,
}

/// What the data table holds; ZooKeeper's `wchs` tells this and no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DataWatchSummary {
    /// Connections with a watch.
    pub connections: usize,
    /// Paths with a watch.
    pub paths: usize,
    /// Watches.
    pub watches: usize,
}

/// Paths, and the connections that watch them in the data table.
pub type DataWatches = Vec<(Arc<str>, Vec<ConnectionId>)>;

/// What one connection watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Watched {
    /// On how many paths it has watches.
    pub paths: usize,
    /// About the memory they take: the paths and their places in the tables.
    pub bytes: usize,
}

/// What a watched path takes beside its text: its places in the tables.
const PATH_BYTES: usize = 200;

/// Places that are looked at or cleared while others wait.
const AT_ONCE: usize = 1000;

/// All watches of one member.
#[derive(Debug, Default)]
pub struct ZnodeWatches {
    tables: Mutex<Tables>,
}

impl ZnodeWatches {
    /// Adds a watch; adding one that is there changes nothing. To lose no
    /// event, add inside the [`super::Node::read`] that made the answer.
    /// Tells what the connection watches now.
    pub fn add(
        &self,
        connection: ConnectionId,
        sink: &Arc<dyn ConnectionSink>,
        path: &str,
        kind: WatchKind,
    ) -> Watched {
        self.lock().add(connection, sink, path, Modes::of(kind))
    }

    /// What a connection watches.
    pub fn watched_by(&self, connection: ConnectionId) -> Watched {
        self.lock().by_connection.get(&connection).map(Watcher::watched).unwrap_or_default()
    }

    /// Removes a watch. False if it is not there.
    pub fn remove(&self, connection: ConnectionId, path: &str, kind: WatchKind) -> bool {
        self.lock().remove(connection, path, Modes::of(kind))
    }

    /// Whether the connection has this watch.
    pub fn contains(&self, connection: ConnectionId, path: &str, kind: WatchKind) -> bool {
        self.lock().modes(connection, path).intersects(Modes::of(kind))
    }

    /// Drops everything a connection watches. It is told nothing more from the
    /// beginning; the places of many watches are cleared a few at a time, so that
    /// nobody has to wait for all of them.
    pub fn remove_connection(&self, connection: ConnectionId) {
        let Some(watcher) = self.lock().take_connection(connection) else { return };
        let paths: Vec<Arc<str>> = watcher.paths.into_iter().collect();
        for some in paths.chunks(AT_ONCE) {
            self.lock().forget(connection, some);
        }
    }

    /// Delivers one event to those who watch for it. Events that are not about
    /// znodes pass by, except that a replaced state ends every connection that
    /// has a watch: what it waited for may have happened unseen.
    pub fn dispatch(&self, revision: Revision, event: &Event) {
        match event {
            Event::Znode { kind, path, acl } => self.lock().trigger(revision, *kind, path, acl),
            Event::Restored => self.lock().restored(revision),
            Event::SessionClosed { .. } | Event::SessionAttached { .. } | Event::Changed(_) => {}
        }
    }

    /// How many watches there are.
    pub fn counts(&self) -> WatchCounts {
        self.lock().counts
    }

    /// Summarizes the data table.
    pub fn data_summary(&self) -> DataWatchSummary {
        self.lock().data_summary()
    }

    /// Some of the data table, from `place` on, which is 0 at first: paths and
    /// their connections, in no particular order, and where to go on, if there
    /// are more. What is added or removed between two of these calls may or may
    /// not be among them; everything else is there once.
    pub fn data_watches(&self, place: usize) -> (DataWatches, Option<usize>) {
        self.lock().data_watches(place)
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        // Nothing in here can panic half-way, so a poisoned table is whole.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A set of [`WatchKind`]s on one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Modes(u8);

impl Modes {
    const DATA: Self = Self(1);
    const CHILD: Self = Self(2);
    const PERSISTENT: Self = Self(4);
    const RECURSIVE: Self = Self(8);

    const DATA_TABLE: Self = Self(1 | 4 | 8);
    const CHILD_TABLE: Self = Self(2 | 4);

    fn of(kind: WatchKind) -> Self {
        match kind {
            WatchKind::Data => Self::DATA,
            WatchKind::Child => Self::CHILD,
            WatchKind::Persistent => Self::PERSISTENT,
            WatchKind::PersistentRecursive => Self::RECURSIVE,
        }
    }

    fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn count_in(self, table: Self) -> usize {
        (self.0 & table.0).count_ones() as usize
    }
}

#[derive(Default)]
struct Tables {
    by_path: HashMap<Arc<str>, Path, RandomState>,
    by_connection: HashMap<ConnectionId, Watcher, RandomState>,
    /// Every watched path, so that all can be looked at piece by piece.
    places: Vec<Option<Arc<str>>>,
    vacant: Vec<usize>,
    counts: WatchCounts,
    /// Paths, and connections, with a watch in the data table.
    data_paths: usize,
    data_connections: usize,
    /// With none of them, no event has to look at the ancestors of its path.
    recursive: usize,
}

struct Path {
    place: usize,
    watchers: BTreeMap<ConnectionId, Modes>,
    /// How many of them watch in the data table.
    data: usize,
}

struct Watcher {
    sink: Arc<dyn ConnectionSink>,
    paths: HashSet<Arc<str>, RandomState>,
    /// Of the texts of the paths.
    path_bytes: usize,
    /// On how many of them it watches in the data table.
    data: usize,
}

impl Watcher {
    fn watched(&self) -> Watched {
        let paths = self.paths.len();
        Watched { paths, bytes: self.path_bytes + paths * PATH_BYTES }
    }
}

impl Tables {
    fn modes(&self, connection: ConnectionId, path: &str) -> Modes {
        let watched = self.by_path.get(path);
        watched.and_then(|path| path.watchers.get(&connection)).copied().unwrap_or_default()
    }

    fn add(
        &mut self,
        connection: ConnectionId,
        sink: &Arc<dyn ConnectionSink>,
        path: &str,
        mode: Modes,
    ) -> Watched {
        let watcher = self.by_connection.entry(connection).or_insert_with(|| Watcher {
            sink: Arc::clone(sink),
            paths: HashSet::default(),
            path_bytes: 0,
            data: 0,
        });
        let shared = match self.by_path.get_key_value(path) {
            Some((shared, _)) => Arc::clone(shared),
            None => Arc::from(path),
        };
        if watcher.paths.insert(Arc::clone(&shared)) {
            watcher.path_bytes += path.len();
        }
        let watched = watcher.watched();
        if !self.by_path.contains_key(path) {
            let place = self.vacant.pop().unwrap_or_else(|| {
                self.places.push(None);
                self.places.len() - 1
            });
            self.places[place] = Some(Arc::clone(&shared));
            let path = Path { place, watchers: BTreeMap::new(), data: 0 };
            self.by_path.insert(Arc::clone(&shared), path);
        }
        let before = self.modes(connection, path);
        self.set(connection, path, before, before.with(mode));
        watched
    }

    fn remove(&mut self, connection: ConnectionId, path: &str, mode: Modes) -> bool {
        if !self.modes(connection, path).intersects(mode) {
            return false;
        }
        self.clear(connection, path, mode);
        true
    }

    /// Takes `mode` off one connection's watches on `path`.
    fn clear(&mut self, connection: ConnectionId, path: &str, mode: Modes) {
        let before = self.modes(connection, path);
        if before.is_empty() {
            return;
        }
        let after = before.without(mode);
        self.set(connection, path, before, after);
        if after.is_empty()
            && let Some(watcher) = self.by_connection.get_mut(&connection)
        {
            if watcher.paths.remove(path) {
                watcher.path_bytes -= path.len();
            }
            if watcher.paths.is_empty() {
                self.by_connection.remove(&connection);
            }
        }
    }

    /// Where all changes of watches come together: what is on `path` for the
    /// connection, and everything that is counted.
    fn set(&mut self, connection: ConnectionId, path: &str, before: Modes, after: Modes) {
        let Some(watched) = self.by_path.get_mut(path) else { return };
        if after.is_empty() {
            watched.watchers.remove(&connection);
        } else {
            watched.watchers.insert(connection, after);
        }
        let adjust = |count: &mut usize, table: Modes| {
            *count = *count + after.count_in(table) - before.count_in(table);
        };
        adjust(&mut self.counts.data, Modes::DATA_TABLE);
        adjust(&mut self.counts.child, Modes::CHILD_TABLE);
        adjust(&mut self.recursive, Modes::RECURSIVE);
        let (was, is) = (before.intersects(Modes::DATA_TABLE), after.intersects(Modes::DATA_TABLE));
        if was != is {
            count_one(&mut watched.data, is, &mut self.data_paths);
            if let Some(watcher) = self.by_connection.get_mut(&connection) {
                count_one(&mut watcher.data, is, &mut self.data_connections);
            }
        }
        if watched.watchers.is_empty() {
            self.places[watched.place] = None;
            self.vacant.push(watched.place);
            self.by_path.remove(path);
        }
        if self.by_path.is_empty() {
            self.places = Vec::new();
            self.vacant = Vec::new();
        }
    }

    /// Takes a connection out; its watches are still in their places, and tell
    /// nobody any more.
    fn take_connection(&mut self, connection: ConnectionId) -> Option<Watcher> {
        let watcher = self.by_connection.remove(&connection)?;
        self.data_connections -= usize::from(watcher.data > 0);
        Some(watcher)
    }

    /// Clears the places of a connection that was taken out.
    fn forget(&mut self, connection: ConnectionId, paths: &[Arc<str>]) {
        for path in paths {
            let before = self.modes(connection, path);
            self.set(connection, path, before, Modes::default());
        }
    }

    fn trigger(&mut self, revision: Revision, kind: ZnodeEventKind, path: &Arc<str>, acl: &Acl) {
        let mut told = Vec::new();
        if kind != ZnodeEventKind::ChildrenChanged {
            self.watchers_of(path, Modes::DATA_TABLE, &mut told);
            self.recursive_watchers_above(path, &mut told);
            told.sort_unstable();
            told.dedup();
        }
        if matches!(kind, ZnodeEventKind::Deleted | ZnodeEventKind::ChildrenChanged) {
            self.watchers_of(path, Modes::CHILD_TABLE, &mut told);
            told.sort_unstable();
            told.dedup();
        }
        for connection in &told {
            if let Some(watcher) = self.by_connection.get(connection)
                && watcher.sink.may_read(acl)
            {
                watcher.sink.watch_event(revision, kind, path);
            }
        }
        let used_up = match kind {
            ZnodeEventKind::Created | ZnodeEventKind::DataChanged => Modes::DATA,
            ZnodeEventKind::Deleted => Modes::DATA.with(Modes::CHILD),
            ZnodeEventKind::ChildrenChanged => Modes::CHILD,
        };
        for connection in told {
            self.clear(connection, path, used_up);
        }
    }

    fn watchers_of(&self, path: &str, table: Modes, found: &mut Vec<ConnectionId>) {
        let Some(path) = self.by_path.get(path) else { return };
        found.extend(
            path.watchers
                .iter()
                .filter(|(_, modes)| modes.intersects(table))
                .map(|(connection, _)| *connection),
        );
    }

    fn recursive_watchers_above(&self, path: &str, found: &mut Vec<ConnectionId>) {
        if self.recursive == 0 {
            return;
        }
        let mut below = path;
        while let Some((above, _)) = below.rsplit_once('/').filter(|_| below != "/") {
            let above = if above.is_empty() { "/" } else { above };
            self.watchers_of(above, Modes::RECURSIVE, found);
            below = above;
        }
    }

    fn restored(&mut self, revision: Revision) {
        for watcher in self.by_connection.values() {
            watcher.sink.state_replaced(revision);
        }
    }

    fn data_watches(&self, from: usize) -> (DataWatches, Option<usize>) {
        let end = self.places.len().min(from.saturating_add(AT_ONCE));
        let mut found = Vec::new();
        for path in self.places.get(from..end).into_iter().flatten().flatten() {
            let mut watchers = Vec::new();
            self.watchers_of(path, Modes::DATA_TABLE, &mut watchers);
            if !watchers.is_empty() {
                found.push((Arc::clone(path), watchers));
            }
        }
        (found, (end < self.places.len()).then_some(end))
    }

    fn data_summary(&self) -> DataWatchSummary {
        DataWatchSummary {
            connections: self.data_connections,
            paths: self.data_paths,
            watches: self.counts.data,
        }
    }
}

/// Counts one more, or one less, of `own`, and in `all` whether there is any.
fn count_one(own: &mut usize, more: bool, all: &mut usize) {
    if more {
        *own += 1;
        *all += usize::from(*own == 1);
    } else {
        *own -= 1;
        *all -= usize::from(*own == 0);
    }
}

impl std::fmt::Debug for Tables {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Tables")
            .field("paths", &self.by_path.len())
            .field("connections", &self.by_connection.len())
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
