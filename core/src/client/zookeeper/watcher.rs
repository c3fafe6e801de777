//! Watches: registration, and delivery of events.

use std::collections::HashMap;
use std::time::Duration;

use super::queue::{Next, Receiver, Sender, queue};
use crate::Error;
use crate::client::time::within;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// The znode was created.
    Created,
    /// The znode was deleted.
    Deleted,
    /// Its data was set.
    DataChanged,
    /// A child was created or deleted.
    ChildrenChanged,
    /// The watch was removed; this is its last event.
    WatchRemoved,
    /// Changes may have been missed because the connection was lost or the
    /// queue was full: read again. A one-time watch may have fired.
    Missed,
    /// The session has ended, and the watch with it.
    SessionLost,
}

/// An event, for one watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchEvent {
    /// What happened.
    pub kind: EventKind,
    /// The path of the znode, relative to the chroot; empty for
    /// [`EventKind::Missed`].
    pub path: String,
    /// The zxid of the change, if the server sends it (ZooKeeper 3.9 and
    /// later).
    pub zxid: Option<i64>,
    /// The number passed to [`Watcher::with_token`], 0 otherwise.
    pub token: u64,
}

/// The receiver of a watch's events. Several watches may share one,
/// distinguished by their tokens.
#[derive(Debug, Clone)]
pub struct Watcher {
    queue: Sender<WatchEvent>,
    token: u64,
}

/// The receiving end. Dropping it ends its watches in this client; the server
/// drops them with the connection.
#[derive(Debug)]
pub struct Subscription {
    events: Receiver<WatchEvent>,
}

/// The modes of added watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WatchMode {
    /// Until removed, on one znode and its list of children.
    Persistent,
    /// Until removed, on a znode and all its descendants, but not on lists of children.
    PersistentRecursive,
}

/// Which watches of a znode to remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WatcherKind {
    /// One-time child watches.
    Children,
    /// One-time data and exists watches.
    Data,
    /// All.
    Any,
    /// Persistent (ZooKeeper 3.9 and later).
    Persistent,
    /// Persistent recursive (ZooKeeper 3.9 and later).
    PersistentRecursive,
}

/// Which table a watch is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Table {
    Data,
    Exist,
    Child,
    Persistent,
    Recursive,
}

/// All watches of a client, by absolute path.
#[derive(Debug, Default)]
pub(super) struct Watches {
    tables: [HashMap<String, Vec<Watcher>>; 5],
    count: usize,
    chroot: String,
}

impl EventKind {
    /// ZooKeeper's number for it; `WatchRemoved` is that of persistent watches.
    pub fn code(self) -> i32 {
        match self {
            Self::Created => 1,
            Self::Deleted => 2,
            Self::DataChanged => 3,
            Self::ChildrenChanged => 4,
            Self::WatchRemoved => 7,
            Self::Missed | Self::SessionLost => -1,
        }
    }

    /// The kind with this number, if a server sends it.
    pub(super) fn from_code(code: i32) -> Option<Self> {
        match code {
            1 => Some(Self::Created),
            2 => Some(Self::Deleted),
            3 => Some(Self::DataChanged),
            4 => Some(Self::ChildrenChanged),
            _ => None,
        }
    }
}

impl WatchMode {
    pub(super) fn code(self) -> i32 {
        match self {
            Self::Persistent => 0,
            Self::PersistentRecursive => 1,
        }
    }

    pub(super) fn table(self) -> Table {
        match self {
            Self::Persistent => Table::Persistent,
            Self::PersistentRecursive => Table::Recursive,
        }
    }
}

impl WatcherKind {
    /// ZooKeeper's number for it.
    pub fn code(self) -> i32 {
        match self {
            Self::Children => 1,
            Self::Data => 2,
            Self::Any => 3,
            Self::Persistent => 4,
            Self::PersistentRecursive => 5,
        }
    }

    fn tables(self) -> &'static [Table] {
        match self {
            Self::Children => &[Table::Child],
            Self::Data => &[Table::Data, Table::Exist],
            Self::Any => &Table::ALL,
            Self::Persistent => &[Table::Persistent],
            Self::PersistentRecursive => &[Table::Recursive],
        }
    }
}

impl Watcher {
    /// A queue for up to `capacity` events. When it is full, its content is
    /// replaced by one [`EventKind::Missed`].
    pub fn new(capacity: usize) -> (Self, Subscription) {
        let (queue, events) = queue(capacity);
        (Self { queue, token: 0 }, Subscription { events })
    }

    /// The same queue, its events marked with `token`.
    #[must_use]
    pub fn with_token(&self, token: u64) -> Self {
        Self { queue: self.queue.clone(), token }
    }

    fn tell(&self, kind: EventKind, path: &str, zxid: Option<i64>) {
        let event = WatchEvent { kind, path: path.to_owned(), zxid, token: self.token };
        self.queue.push(event, || WatchEvent {
            kind: EventKind::Missed,
            path: String::new(),
            zxid: None,
            token: 0,
        });
    }

    fn is_same(&self, other: &Self) -> bool {
        self.token == other.token && self.queue.same_queue(&other.queue)
    }
}

impl Subscription {
    /// The next event, `None` if there is none within `limit`.
    ///
    /// # Errors
    /// `Closed` once no more events are possible: every watch has fired or was
    /// removed, and the [`Watcher`] is dropped, or the client is closed.
    pub async fn next(&self, limit: Option<Duration>) -> Result<Option<WatchEvent>, Error> {
        let next = match limit {
            None => Some(self.events.next().await),
            Some(limit) => within(limit, self.events.next()).await,
        };
        next.map(event).transpose()
    }

    /// The next event, without waiting.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub fn poll(&self) -> Result<Option<WatchEvent>, Error> {
        self.events.take().map(event).transpose()
    }

    /// As [`Self::next`], blocking the thread.
    ///
    /// # Errors
    /// As there.
    pub fn wait(&self, limit: Option<Duration>) -> Result<Option<WatchEvent>, Error> {
        self.events.wait(limit).map(event).transpose()
    }
}

fn event(next: Next<WatchEvent>) -> Result<WatchEvent, Error> {
    match next {
        Next::Item(event) => Ok(event),
        Next::Ended => Err(Error::closed("the watch has ended")),
    }
}

impl Table {
    pub(super) const ALL: [Self; 5] =
        [Self::Data, Self::Exist, Self::Child, Self::Persistent, Self::Recursive];

    fn index(self) -> usize {
        match self {
            Self::Data => 0,
            Self::Exist => 1,
            Self::Child => 2,
            Self::Persistent => 3,
            Self::Recursive => 4,
        }
    }
}

impl Watches {
    pub(super) fn new(chroot: &str) -> Self {
        Self { chroot: chroot.to_owned(), ..Self::default() }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Adds a watch that the server has registered. The same watcher twice on
    /// one path is one watch.
    pub(super) fn add(&mut self, table: Table, path: String, watcher: Watcher) {
        let watchers = self.tables[table.index()].entry(path).or_default();
        let before = watchers.len();
        watchers.retain(|other| !other.queue.is_abandoned() && !other.is_same(&watcher));
        watchers.push(watcher);
        self.count = self.count + watchers.len() - before;
    }

    /// Delivers an event.
    pub(super) fn deliver(&mut self, kind: EventKind, path: &str, zxid: Option<i64>) {
        let once: &[Table] = match kind {
            EventKind::Created | EventKind::DataChanged => &[Table::Data, Table::Exist],
            EventKind::ChildrenChanged => &[Table::Child],
            _ => &[Table::Data, Table::Exist, Table::Child],
        };
        let shown = shown_path(&self.chroot, path);
        // A watcher in several tables is notified once per change.
        let mut told: Vec<Watcher> = Vec::new();
        for &table in once {
            for watcher in self.remove(table, path) {
                if !told.iter().any(|other| other.is_same(&watcher)) {
                    watcher.tell(kind, &shown, zxid);
                    told.push(watcher);
                }
            }
        }
        self.tell_lasting(Table::Persistent, path, kind, &shown, zxid);
        if kind != EventKind::ChildrenChanged {
            let mut above = Some(path);
            while let Some(ancestor) = above {
                self.tell_lasting(Table::Recursive, ancestor, kind, &shown, zxid);
                above = parent(ancestor);
            }
        }
    }

    fn tell_lasting(
        &mut self,
        table: Table,
        path: &str,
        kind: EventKind,
        shown: &str,
        zxid: Option<i64>,
    ) {
        let Some(watchers) = self.tables[table.index()].get_mut(path) else { return };
        let before = watchers.len();
        watchers.retain(|watcher| !watcher.queue.is_abandoned());
        self.count -= before - watchers.len();
        for watcher in &*watchers {
            watcher.tell(kind, shown, zxid);
        }
        if watchers.is_empty() {
            self.tables[table.index()].remove(path);
        }
    }

    /// Removes and notifies the watches that the server has removed.
    pub(super) fn forget(&mut self, kind: WatcherKind, path: &str) {
        let shown = shown_path(&self.chroot, path);
        for &table in kind.tables() {
            for watcher in self.remove(table, path) {
                watcher.tell(EventKind::WatchRemoved, &shown, None);
            }
        }
    }

    /// Notifies persistent watches that the connection was interrupted.
    pub(super) fn tell_gap(&self) {
        for table in [Table::Persistent, Table::Recursive] {
            for (path, watchers) in &self.tables[table.index()] {
                let shown = shown_path(&self.chroot, path);
                for watcher in watchers {
                    watcher.tell(EventKind::Missed, &shown, None);
                }
            }
        }
    }

    /// Ends all watches with the session.
    pub(super) fn lose(&mut self) {
        for table in &mut self.tables {
            for (path, watchers) in table.drain() {
                let shown = shown_path(&self.chroot, &path);
                for watcher in watchers {
                    watcher.tell(EventKind::SessionLost, &shown, None);
                }
            }
        }
        self.count = 0;
    }

    /// The paths of a table that still have watchers.
    pub(super) fn live_paths(&mut self, table: Table) -> Vec<String> {
        let mut gone = 0;
        self.tables[table.index()].retain(|_, watchers| {
            let before = watchers.len();
            watchers.retain(|watcher| !watcher.queue.is_abandoned());
            gone += before - watchers.len();
            !watchers.is_empty()
        });
        self.count -= gone;
        self.tables[table.index()].keys().cloned().collect()
    }

    fn remove(&mut self, table: Table, path: &str) -> Vec<Watcher> {
        let removed = self.tables[table.index()].remove(path).unwrap_or_default();
        self.count -= removed.len();
        removed
    }
}

/// An absolute path as the client sees it.
pub(super) fn shown_path(chroot: &str, path: &str) -> String {
    match path.strip_prefix(chroot) {
        Some("") => "/".to_owned(),
        Some(rest) if rest.starts_with('/') => rest.to_owned(),
        _ => path.to_owned(),
    }
}

fn parent(path: &str) -> Option<&str> {
    match path.rfind('/') {
        _ if path == "/" => None,
        Some(0) => Some("/"),
        Some(slash) => Some(&path[..slash]),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(subscription: &Subscription) -> Vec<(EventKind, String)> {
        std::iter::from_fn(|| subscription.poll().ok().flatten())
            .map(|event| (event.kind, event.path))
            .collect()
    }

    #[test]
    fn a_one_shot_watch_fires_once_and_ends() {
        let mut watches = Watches::new("");
        let (watcher, events) = Watcher::new(4);
        watches.add(Table::Data, "/a".to_owned(), watcher);
        watches.deliver(EventKind::ChildrenChanged, "/a", None);
        watches.deliver(EventKind::DataChanged, "/a", Some(9));
        watches.deliver(EventKind::DataChanged, "/a", Some(10));
        let event = events.poll().unwrap().unwrap();
        assert_eq!((event.kind, event.zxid), (EventKind::DataChanged, Some(9)));
        events.poll().expect_err("nothing can follow");
        assert_eq!(watches.len(), 0);
    }

    #[test]
    fn a_deletion_reaches_a_watcher_of_data_and_children_once() {
        let mut watches = Watches::new("");
        let (watcher, events) = Watcher::new(4);
        watches.add(Table::Data, "/a".to_owned(), watcher.clone());
        watches.add(Table::Child, "/a".to_owned(), watcher.clone());
        watches.add(Table::Child, "/a".to_owned(), watcher);
        assert_eq!(watches.len(), 2);
        watches.deliver(EventKind::Deleted, "/a", None);
        assert_eq!(seen(&events), [(EventKind::Deleted, "/a".to_owned())]);
    }

    #[test]
    fn recursive_watches_see_descendants_but_no_lists_of_children() {
        let mut watches = Watches::new("");
        let (watcher, events) = Watcher::new(8);
        watches.add(Table::Recursive, "/a".to_owned(), watcher);
        watches.deliver(EventKind::Created, "/a/b/c", None);
        watches.deliver(EventKind::ChildrenChanged, "/a/b", None);
        watches.deliver(EventKind::Deleted, "/ab", None);
        watches.deliver(EventKind::DataChanged, "/a", None);
        let expected = [(EventKind::Created, "/a/b/c"), (EventKind::DataChanged, "/a")];
        assert_eq!(seen(&events), expected.map(|(kind, path)| (kind, path.to_owned())));
    }

    #[test]
    fn paths_are_shown_without_the_chroot() {
        let mut watches = Watches::new("/app");
        let (watcher, events) = Watcher::new(8);
        watches.add(Table::Persistent, "/app".to_owned(), watcher.with_token(3));
        watches.add(Table::Persistent, "/app/x".to_owned(), watcher);
        watches.deliver(EventKind::ChildrenChanged, "/app", None);
        watches.deliver(EventKind::Created, "/app/x", None);
        let expected = [(EventKind::ChildrenChanged, "/"), (EventKind::Created, "/x")];
        assert_eq!(seen(&events), expected.map(|(kind, path)| (kind, path.to_owned())));
    }

    #[test]
    fn a_watch_nobody_waits_for_is_not_restored() {
        let mut watches = Watches::new("");
        let (watcher, events) = Watcher::new(8);
        watches.add(Table::Persistent, "/a".to_owned(), watcher.clone());
        watches.add(Table::Data, "/b".to_owned(), watcher);
        drop(events);
        watches.deliver(EventKind::Created, "/a", None);
        assert!(watches.live_paths(Table::Data).is_empty());
        assert_eq!(watches.len(), 0);
    }

    #[test]
    fn the_end_of_the_session_reaches_every_watch() {
        let mut watches = Watches::new("");
        let (watcher, events) = Watcher::new(8);
        watches.add(Table::Persistent, "/a".to_owned(), watcher);
        watches.lose();
        assert_eq!(seen(&events), [(EventKind::SessionLost, "/a".to_owned())]);
        events.poll().expect_err("nothing can follow");
    }
}
