//! What watches are told, and when they are used up.

use std::sync::atomic::{AtomicBool, Ordering};

use coord_state::Attachment;
use coord_state::event::ZnodeEventKind::{ChildrenChanged, Created, DataChanged, Deleted};

use super::WatchKind::{Child, Data, Persistent, PersistentRecursive};
use super::*;

#[derive(Default)]
struct Told {
    events: Mutex<Vec<(ZnodeEventKind, String)>>,
    blind: AtomicBool,
    replaced: AtomicBool,
}

impl ConnectionSink for Told {
    fn watch_event(&self, _: Revision, kind: ZnodeEventKind, path: &Arc<str>) {
        self.events.lock().unwrap().push((kind, path.to_string()));
    }

    fn may_read(&self, _: &Acl) -> bool {
        !self.blind.load(Ordering::Relaxed)
    }

    fn session_closed(&self, _: Revision) {}

    fn session_moved(&self, _: Attachment) {}

    fn state_replaced(&self, _: Revision) {
        self.replaced.store(true, Ordering::Relaxed);
    }
}

struct Watching {
    watches: ZnodeWatches,
    told: Vec<Arc<Told>>,
}

impl Watching {
    fn new() -> Self {
        Self { watches: ZnodeWatches::default(), told: Vec::new() }
    }

    fn connection(&mut self, on: &[(&str, WatchKind)]) -> ConnectionId {
        let told = Arc::new(Told::default());
        let id = ConnectionId(self.told.len() as u64);
        self.told.push(Arc::clone(&told));
        let sink: Arc<dyn ConnectionSink> = told;
        for (path, kind) in on {
            self.watches.add(id, &sink, path, *kind);
        }
        id
    }

    fn happens(&self, kind: ZnodeEventKind, path: &str) {
        let event = Event::Znode { kind, path: Arc::from(path), acl: Acl(Arc::new([])) };
        self.watches.dispatch(Revision(1), &event);
    }

    fn creates(&self, parent: &str, path: &str) {
        self.happens(Created, path);
        self.happens(ChildrenChanged, parent);
    }

    fn deletes(&self, parent: &str, path: &str) {
        self.happens(Deleted, path);
        self.happens(ChildrenChanged, parent);
    }

    fn told(&self, connection: ConnectionId) -> Vec<(ZnodeEventKind, String)> {
        let told = &self.told[usize::try_from(connection.0).unwrap()];
        std::mem::take(&mut *told.events.lock().unwrap())
    }
}

fn events(expected: &[(ZnodeEventKind, &str)]) -> Vec<(ZnodeEventKind, String)> {
    expected.iter().map(|(kind, path)| (*kind, (*path).to_owned())).collect()
}

#[test]
fn a_data_watch_fires_once() {
    let mut watching = Watching::new();
    let connection = watching.connection(&[("/a", Data)]);
    watching.happens(DataChanged, "/a");
    watching.happens(DataChanged, "/a");
    assert_eq!(watching.told(connection), events(&[(DataChanged, "/a")]));
    assert_eq!(watching.watches.counts(), WatchCounts::default());
}

#[test]
fn a_data_watch_does_not_see_children() {
    let mut watching = Watching::new();
    let connection = watching.connection(&[("/a", Data)]);
    watching.creates("/a", "/a/b");
    assert_eq!(watching.told(connection), []);
}

#[test]
fn creation_tells_the_exist_watch_then_the_child_watch_of_the_parent() {
    let mut watching = Watching::new();
    let connection = watching.connection(&[("/a", Child), ("/a/b", Data)]);
    watching.creates("/a", "/a/b");
    assert_eq!(watching.told(connection), events(&[(Created, "/a/b"), (ChildrenChanged, "/a")]));
}

#[test]
fn deletion_tells_data_and_child_watches_on_the_znode_once() {
    let mut watching = Watching::new();
    let connection = watching.connection(&[("/a/b", Data), ("/a/b", Child), ("/a", Child)]);
    let child_only = watching.connection(&[("/a/b", Child)]);
    watching.deletes("/a", "/a/b");
    assert_eq!(watching.told(connection), events(&[(Deleted, "/a/b"), (ChildrenChanged, "/a")]));
    assert_eq!(watching.told(child_only), events(&[(Deleted, "/a/b")]));
    assert_eq!(watching.watches.counts(), WatchCounts::default());
}

#[test]
fn a_persistent_watch_sees_the_znode_and_its_child_list_again_and_again() {
    let mut watching = Watching::new();
    let connection = watching.connection(&[("/a", Persistent)]);
    watching.creates("/", "/a");
    watching.happens(DataChanged, "/a");
    watching.creates("/a", "/a/b");
    watching.happens(DataChanged, "/a/b");
    watching.creates("/a/b", "/a/b/c");
    watching.deletes("/a", "/a/b");
    watching.deletes("/", "/a");
    watching.creates("/", "/a");
    assert_eq!(
        watching.told(connection),
        events(&[
            (Created, "/a"),
            (DataChanged, "/a"),
            (ChildrenChanged, "/a"),
            (ChildrenChanged, "/a"),
            (Deleted, "/a"),
            (Created, "/a"),
        ])
    );
}

#[test]
fn a_recursive_watch_sees_everything_below_but_no_child_lists() {
    let mut watching = Watching::new();
    let connection = watching.connection(&[("/a", PersistentRecursive)]);
    let root = watching.connection(&[("/", PersistentRecursive)]);
    watching.creates("/", "/a");
    watching.creates("/a", "/a/b");
    watching.creates("/a/b", "/a/b/c");
    watching.happens(DataChanged, "/a/b/c");
    watching.deletes("/a/b", "/a/b/c");
    watching.creates("/", "/ab");
    let seen_by_a = [
        (Created, "/a"),
        (Created, "/a/b"),
        (Created, "/a/b/c"),
        (DataChanged, "/a/b/c"),
        (Deleted, "/a/b/c"),
    ];
    assert_eq!(watching.told(connection), events(&seen_by_a));
    assert_eq!(watching.told(root), events(&[&seen_by_a[..], &[(Created, "/ab")]].concat()));
}

#[test]
fn several_matching_watches_of_one_connection_give_one_event() {
    let mut watching = Watching::new();
    let connection = watching.connection(&[
        ("/a", Data),
        ("/a", Persistent),
        ("/a", PersistentRecursive),
        ("/", PersistentRecursive),
    ]);
    watching.happens(DataChanged, "/a");
    assert_eq!(watching.told(connection), events(&[(DataChanged, "/a")]));
    assert_eq!(watching.watches.counts(), WatchCounts { data: 3, child: 1 });
}

#[test]
fn modes_on_one_path_are_removed_one_by_one() {
    let mut watching = Watching::new();
    let id = watching.connection(&[("/a", Data), ("/a", Persistent)]);
    let watches = &watching.watches;
    assert!(watches.contains(id, "/a", Data) && watches.contains(id, "/a", Persistent));
    assert!(!watches.contains(id, "/a", Child));
    assert!(watches.remove(id, "/a", Data));
    assert!(!watches.remove(id, "/a", Data));
    assert!(!watches.contains(id, "/a", Data) && watches.contains(id, "/a", Persistent));
    assert!(watches.remove(id, "/a", Persistent));
    assert_eq!(watches.data_summary(), DataWatchSummary::default());
}

#[test]
fn who_may_not_read_is_not_told_but_loses_the_watch() {
    let mut watching = Watching::new();
    let connection = watching.connection(&[("/a", Data)]);
    watching.told[0].blind.store(true, Ordering::Relaxed);
    watching.happens(DataChanged, "/a");
    watching.told[0].blind.store(false, Ordering::Relaxed);
    watching.happens(DataChanged, "/a");
    assert_eq!(watching.told(connection), []);
}

#[test]
fn a_closed_connection_leaves_nothing_behind() {
    let mut watching = Watching::new();
    let gone = watching.connection(&[("/a", Data), ("/a", Child), ("/b", PersistentRecursive)]);
    let stays = watching.connection(&[("/a", Data)]);
    watching.watches.remove_connection(gone);
    watching.happens(DataChanged, "/a");
    watching.happens(DataChanged, "/b/c");
    assert_eq!(watching.told(gone), []);
    assert_eq!(watching.told(stays), events(&[(DataChanged, "/a")]));
    assert_eq!(watching.watches.counts(), WatchCounts::default());
    assert_eq!(Arc::strong_count(&watching.told[0]), 1);
}

#[test]
fn the_summary_counts_the_data_table_only() {
    let mut watching = Watching::new();
    watching.connection(&[("/a", Data), ("/b", Child), ("/c", Persistent)]);
    watching.connection(&[("/a", Data)]);
    watching.connection(&[("/b", Child)]);
    assert_eq!(
        watching.watches.data_summary(),
        DataWatchSummary { connections: 2, paths: 2, watches: 3 }
    );
}

#[test]
fn a_replaced_state_ends_connections_with_watches() {
    let mut watching = Watching::new();
    watching.connection(&[("/a", Data)]);
    watching.connection(&[]);
    watching.watches.dispatch(Revision(9), &Event::Restored);
    let ended: Vec<_> =
        watching.told.iter().map(|told| told.replaced.load(Ordering::Relaxed)).collect();
    assert_eq!(ended, [true, false]);
}

#[test]
fn what_a_connection_watches_is_counted_in_paths_and_bytes() {
    let mut watching = Watching::new();
    let long = format!("/{}", "x".repeat(100_000));
    let connection = watching.connection(&[("/a", Data), (&long, Child), (&long, Data)]);
    let other = watching.connection(&[("/a", Data)]);
    let watched = watching.watches.watched_by(connection);
    assert_eq!(watched.paths, 2);
    assert!((100_000..101_000).contains(&watched.bytes), "{watched:?}");
    watching.happens(Deleted, &long);
    assert_eq!(watching.watches.watched_by(connection), watching.watches.watched_by(other));
    watching.watches.remove_connection(connection);
    assert_eq!(watching.watches.watched_by(connection), Watched::default());
}

fn all_data_watches(watches: &ZnodeWatches) -> Vec<(String, Vec<u64>)> {
    let mut all = Vec::new();
    let mut place = Some(0);
    while let Some(from) = place {
        let (found, next) = watches.data_watches(from);
        all.extend(found.into_iter().map(|(path, connections)| {
            (path.to_string(), connections.into_iter().map(|id| id.0).collect())
        }));
        place = next;
    }
    all.sort_unstable();
    all
}

#[test]
fn all_watches_are_told_piece_by_piece_and_each_once() {
    let mut watching = Watching::new();
    let names: Vec<String> = (0..2500).map(|number| format!("/{number:04}")).collect();
    let on: Vec<(&str, WatchKind)> = names.iter().map(|name| (name.as_str(), Data)).collect();
    let connection = watching.connection(&on);
    let other = watching.connection(&[("/0007", Persistent), ("/0008", Child), ("/x", Child)]);
    for name in &names[..1000] {
        watching.happens(DataChanged, name);
    }
    let mut expected: Vec<(String, Vec<u64>)> =
        names[1000..].iter().map(|name| (name.clone(), vec![connection.0])).collect();
    expected.insert(0, ("/0007".to_owned(), vec![other.0]));
    assert_eq!(all_data_watches(&watching.watches), expected);
    assert_eq!(
        watching.watches.data_summary(),
        DataWatchSummary { connections: 2, paths: 1501, watches: 1501 }
    );
    watching.watches.remove_connection(connection);
    assert_eq!(all_data_watches(&watching.watches), expected[..1]);
    watching.watches.remove_connection(other);
    assert_eq!(watching.watches.data_watches(0), (Vec::new(), None));
    assert_eq!(watching.watches.counts(), WatchCounts::default());
}

#[test]
fn what_is_counted_is_what_is_there() {
    let mut watching = Watching::new();
    let kinds = [Data, Child, Persistent, PersistentRecursive];
    let connections: Vec<_> = (0..3).map(|_| watching.connection(&[])).collect();
    let sinks: Vec<Arc<dyn ConnectionSink>> =
        watching.told.iter().map(|told| Arc::clone(told) as _).collect();
    let mut random = 1_u32;
    let mut draw = |below: usize| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 16) as usize % below
    };
    for _ in 0..5000 {
        let (who, path) = (draw(3), format!("/{}", draw(5)));
        match draw(8) {
            0 => watching.happens(DataChanged, &path),
            1 => watching.deletes("/", &path),
            2 if draw(10) == 0 => watching.watches.remove_connection(connections[who]),
            2 | 3 => {
                watching.watches.remove(connections[who], &path, kinds[draw(4)]);
            }
            _ => {
                watching.watches.add(connections[who], &sinks[who], &path, kinds[draw(4)]);
            }
        }
        let all = all_data_watches(&watching.watches);
        let summary = watching.watches.data_summary();
        let mut watchers: Vec<u64> = all.iter().flat_map(|(_, ids)| ids.clone()).collect();
        watchers.sort_unstable();
        watchers.dedup();
        assert_eq!((summary.paths, summary.connections), (all.len(), watchers.len()));
    }
}
