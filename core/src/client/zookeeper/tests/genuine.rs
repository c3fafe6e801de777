//! The client against a server at `COORD_TEST_ZOOKEEPER` (`host:port`), ours
//! or a genuine ZooKeeper 3.8 or later with TTL znodes switched on. Without
//! it these tests say that they were skipped.
//!
//! Connections go through a relay, so that they can be cut.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use coord_state::Rejection;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::client::zookeeper::{
    Ace, Client, ContentHash, CreateMode, CreateOptions, EventKind, Identity, Op, OpResult,
    Settings, Subscription, WatchMode, WatcherKind, blocking, open_acl, permission,
};
use crate::{Error, ErrorKind};

fn server() -> Option<String> {
    let server = std::env::var("COORD_TEST_ZOOKEEPER").ok().filter(|server| !server.is_empty());
    if server.is_none() {
        eprintln!("skipped: COORD_TEST_ZOOKEEPER is not set");
    }
    server
}

/// A path nobody else uses.
fn fresh_path() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("/coord-test-{}-{count}", std::process::id())
}

async fn connected(hosts: String) -> Client {
    Client::connect(Settings::with_hosts(hosts), Duration::from_secs(10)).await.unwrap()
}

/// A client whose root is a fresh znode.
async fn in_fresh_root(server: &str) -> Client {
    let path = fresh_path();
    let client = connected(server.to_owned()).await;
    client.ensure_path(&path, None).await.unwrap();
    client.close().await.unwrap();
    connected(format!("{server}{path}")).await
}

fn bytes(text: &'static str) -> Option<Bytes> {
    Some(Bytes::from_static(text.as_bytes()))
}

fn rejection(error: &Error) -> &Rejection {
    match error.kind() {
        ErrorKind::Rejected(rejection) => rejection,
        other => panic!("{other:?}: {error}"),
    }
}

async fn next(subscription: &Subscription) -> (EventKind, String) {
    let event = subscription.next(Some(Duration::from_secs(10))).await.unwrap().unwrap();
    (event.kind, event.path)
}

fn ephemeral() -> CreateOptions {
    CreateOptions::mode(CreateMode::Ephemeral { sequential: false })
}

#[tokio::test]
async fn znodes_are_created_read_set_and_deleted() {
    let Some(server) = server() else { return };
    let client = in_fresh_root(&server).await;
    let made = client.create("/a", bytes("one"), &CreateOptions::default()).await.unwrap();
    assert_eq!((made.path.as_str(), made.stat.version), ("/a", 0));
    let again = client.create("/a", None, &CreateOptions::default()).await.unwrap_err();
    assert_eq!(rejection(&again), &Rejection::NodeExists);

    let znode = client.get("/a").await.unwrap();
    assert_eq!(znode.data, bytes("one"));
    assert_eq!(client.set("/a", bytes("two"), 0).await.unwrap().version, 1);
    let stale = client.set("/a", bytes("three"), 0).await.unwrap_err();
    assert_eq!(rejection(&stale), &Rejection::BadVersion);
    client.set("/a", None, -1).await.unwrap();
    assert_eq!(client.get("/a").await.unwrap().data, None);

    let numbered = CreateOptions::mode(CreateMode::Persistent { sequential: true });
    let made = client.create("/a/n-", None, &numbered).await.unwrap();
    assert_eq!(made.path, "/a/n-0000000000");
    let (children, stat) = client.children("/a").await.unwrap();
    assert_eq!((children, stat.num_children), (vec!["n-0000000000".to_owned()], 1));
    assert_eq!(client.count_descendants("/a").await.unwrap(), 1);
    let full = client.delete("/a", -1).await.unwrap_err();
    assert_eq!(rejection(&full), &Rejection::NotEmpty);
    client.delete_recursive("/a").await.unwrap();
    assert_eq!(client.exists("/a").await.unwrap(), None);
    assert_eq!(rejection(&client.get("/a").await.unwrap_err()), &Rejection::NoNode);
    client.sync("/").await.unwrap();
    client.close().await.unwrap();
}

#[tokio::test]
async fn parents_containers_and_times_to_live_are_made() {
    let Some(server) = server() else { return };
    let client = in_fresh_root(&server).await;
    let deep = client.create("/x/y/z", None, &CreateOptions::default()).await.unwrap_err();
    assert_eq!(rejection(&deep), &Rejection::NoNode);
    let options = CreateOptions { make_parents: true, ..CreateOptions::default() };
    client.create("/x/y/z", None, &options).await.unwrap();
    client.ensure_path("/x/y/z/1/2", None).await.unwrap();
    client.ensure_path("/x/y/z/1/2", None).await.unwrap();
    let container = CreateOptions::mode(CreateMode::Container);
    assert_eq!(client.create("/c", None, &container).await.unwrap().path, "/c");
    let ttl = CreateOptions::mode(CreateMode::Ttl { sequential: true, ttl_ms: 60_000 });
    assert_eq!(client.create("/t-", None, &ttl).await.unwrap().path, "/t-0000000002");
    client.close().await.unwrap();
}

#[tokio::test]
async fn ephemerals_go_with_the_session() {
    let Some(server) = server() else { return };
    let root = fresh_path();
    let other = connected(server.clone()).await;
    other.ensure_path(&root, None).await.unwrap();
    let path = format!("{root}/e");

    let client = connected(server).await;
    let made = client.create(&path, None, &ephemeral()).await.unwrap();
    assert_eq!(made.stat.ephemeral_owner.0, client.session().id);
    assert_eq!(client.ephemerals("/").await.unwrap(), std::slice::from_ref(&path));
    let below = client.create(&format!("{path}/x"), None, &ephemeral()).await.unwrap_err();
    assert_eq!(rejection(&below), &Rejection::NoChildrenForEphemerals);
    let (_, gone) = other.exists_watched(&path).await.unwrap();
    client.close().await.unwrap();
    assert_eq!(next(&gone).await, (EventKind::Deleted, path.clone()));
    assert_eq!(other.exists(&path).await.unwrap(), None);
    other.close().await.unwrap();
}

#[tokio::test]
async fn a_multi_happens_as_a_whole_or_tells_what_failed() {
    let Some(server) = server() else { return };
    let client = in_fresh_root(&server).await;
    let create = |path: &str| Op::Create {
        path: path.to_owned(),
        data: None,
        acl: None,
        mode: CreateMode::Persistent { sequential: false },
    };
    let set = |version| Op::Set { path: "/a".to_owned(), data: bytes("s"), version };
    let results = client
        .multi(&[
            create("/a"),
            set(0),
            Op::CheckVersion { path: "/a".to_owned(), version: 1 },
            create("/b"),
            Op::Delete { path: "/b".to_owned(), version: -1 },
        ])
        .await
        .unwrap();
    assert!(matches!(&results[0], OpResult::Created(made) if made.path == "/a"));
    assert!(matches!(&results[1], OpResult::Set(stat) if stat.version == 1));
    assert_eq!(results[2], OpResult::Checked);
    assert_eq!(results[4], OpResult::Deleted);

    let failed = client.multi(&[create("/c"), set(7), create("/d")]).await.unwrap_err();
    let cause = Box::new(Rejection::BadVersion);
    assert_eq!(rejection(&failed), &Rejection::MultiFailed { index: 1, cause });
    assert_eq!(client.exists("/c").await.unwrap(), None);
    assert_eq!(client.multi(&[]).await.unwrap(), []);
    client.close().await.unwrap();
}

#[tokio::test]
async fn hashes_are_told_or_said_to_be_unknown() {
    let Some(server) = server() else { return };
    let client = in_fresh_root(&server).await;
    client.create("/a", bytes("1"), &CreateOptions::default()).await.unwrap();
    match client.subtree_hash("/a").await {
        Ok(hashed) => {
            client.multi(&[Op::check_subtree_hash("/a", hashed.hash)]).await.unwrap();
            client.set_data_if_hash("/a", bytes("2"), hashed.hash).await.unwrap();
            let refused = client.delete_if_hash("/a", hashed.hash).await.unwrap_err();
            assert_eq!(rejection(&refused), &Rejection::BadVersion);
        }
        Err(error) => {
            assert_eq!(rejection(&error), &Rejection::Unimplemented);
            let hash = ContentHash([0; 16]);
            let error = client.set_data_if_hash("/a", bytes("2"), hash).await.unwrap_err();
            assert_eq!(rejection(&error), &Rejection::Unimplemented);
            let error = client.multi(&[Op::check_hash("/a", hash)]).await.unwrap_err();
            assert_eq!(rejection(&error), &Rejection::Unimplemented);
            assert_eq!(client.get("/a").await.unwrap().data, bytes("1"), "nothing was done");
        }
    }
    client.close().await.unwrap();
}

#[tokio::test]
async fn access_lists_bind_others_and_proofs_open_them() {
    let Some(server) = server() else { return };
    let root = fresh_path();
    let client = connected(server.clone()).await;
    client.create(&root, None, &CreateOptions::default()).await.unwrap();
    assert_eq!(client.get_acl(&root).await.unwrap().0, open_acl());
    client.add_auth("digest", Bytes::from_static(b"bob:pw")).await.unwrap();
    let mine =
        Ace { perms: permission::ALL, identity: Identity { scheme: "auth".into(), id: "".into() } };
    assert_eq!(client.set_acl(&root, vec![mine], 0).await.unwrap().aversion, 1);
    let (acl, _) = client.get_acl(&root).await.unwrap();
    assert_eq!(&*acl[0].identity.id, "bob:ikIaKsbtGweaHnb/jKn7OHqbunM=");
    assert!(client.who_am_i().await.unwrap().contains(&("digest".to_owned(), "bob".to_owned())));

    let other = connected(server).await;
    assert_eq!(rejection(&other.get(&root).await.unwrap_err()), &Rejection::NoAuth);
    other.add_auth("digest", Bytes::from_static(b"bob:pw")).await.unwrap();
    other.get(&root).await.unwrap();
    let empty = other.set_acl(&root, vec![], -1).await.unwrap_err();
    assert_eq!(rejection(&empty), &Rejection::InvalidAcl);
    let refused = other.add_auth("nobody", Bytes::new()).await.unwrap_err();
    assert_eq!(rejection(&refused), &Rejection::NoAuth);
    other.get(&root).await.expect("back, with the identity that was accepted");
    other.close().await.unwrap();
    client.close().await.unwrap();
}

// A ZooKeeper before 3.9 keeps one kind of watch per path and connection, so
// every kind has a path of its own here.
#[tokio::test]
async fn watches_tell_what_happens() {
    let Some(server) = server() else { return };
    let client = in_fresh_root(&server).await;
    let create = async |path: &str| {
        client.create(path, None, &CreateOptions::default()).await.unwrap();
    };
    create("/list").await;
    create("/tree").await;
    let (_, exist) = client.exists_watched("/once").await.unwrap();
    let (_, _, children) = client.children_watched("/list").await.unwrap();
    let lasting = client.watch("/lasting", WatchMode::Persistent, 16).await.unwrap();
    let tree = client.watch("/tree", WatchMode::PersistentRecursive, 16).await.unwrap();
    create("/once").await;
    let (_, data) = client.get_watched("/once").await.unwrap();
    client.set("/once", None, -1).await.unwrap();
    create("/list/x").await;
    create("/lasting").await;
    create("/lasting/x").await;
    client.set("/lasting", None, -1).await.unwrap();
    create("/tree/a").await;
    create("/tree/a/b").await;
    client.delete("/tree/a/b", -1).await.unwrap();

    let at = |kind, path: &str| (kind, path.to_owned());
    assert_eq!(next(&exist).await, at(EventKind::Created, "/once"));
    assert_eq!(next(&data).await, at(EventKind::DataChanged, "/once"));
    assert_eq!(next(&children).await, at(EventKind::ChildrenChanged, "/list"));
    assert_eq!(next(&lasting).await, at(EventKind::Created, "/lasting"));
    assert_eq!(next(&lasting).await, at(EventKind::ChildrenChanged, "/lasting"));
    assert_eq!(next(&lasting).await, at(EventKind::DataChanged, "/lasting"));
    assert_eq!(next(&tree).await, at(EventKind::Created, "/tree/a"));
    assert_eq!(next(&tree).await, at(EventKind::Created, "/tree/a/b"));
    assert_eq!(next(&tree).await, at(EventKind::Deleted, "/tree/a/b"));

    client.remove_watches("/lasting", WatcherKind::Any).await.unwrap();
    assert_eq!(next(&lasting).await, at(EventKind::WatchRemoved, "/lasting"));
    let none = client.remove_watches("/lasting", WatcherKind::Any).await.unwrap_err();
    assert_eq!(none.kind(), &ErrorKind::Invalid);
    client.close().await.unwrap();
    tree.next(None).await.expect_err("ends with the client");
}

#[tokio::test]
async fn many_calls_are_under_way_at_once_and_keep_their_order() {
    let Some(server) = server() else { return };
    let client = in_fresh_root(&server).await;
    client.create("/q", None, &CreateOptions::default()).await.unwrap();
    let options = CreateOptions::mode(CreateMode::Persistent { sequential: true });
    let calls = (0..3000).map(|_| client.create("/q/n-", None, &options));
    let made = futures_util::future::join_all(calls).await;
    for (number, made) in made.into_iter().enumerate() {
        assert_eq!(made.unwrap().path, format!("/q/n-{number:010}"));
    }
    client.delete_recursive("/q").await.unwrap();
    client.close().await.unwrap();
}

#[tokio::test]
async fn a_cut_connection_costs_neither_session_nor_watches() {
    let Some(server) = server() else { return };
    let relay = Relay::start(server.clone()).await;
    let root = fresh_path();
    let client = connected(relay.hosts.clone()).await;
    client.create(&root, None, &CreateOptions::default()).await.unwrap();
    let path = format!("{root}/e");
    client.create(&path, None, &ephemeral()).await.unwrap();
    let session = client.session().id;
    let (_, data) = client.get_watched(&root).await.unwrap();
    let (_, _, children) = client.children_watched(&root).await.unwrap();
    let tree = client.watch(&path, WatchMode::PersistentRecursive, 16).await.unwrap();

    let states = client.states();
    relay.cut();
    states.next(None).await.unwrap();
    let other = connected(server).await;
    other.set(&root, bytes("meanwhile"), -1).await.unwrap();
    client.wait_connected(Duration::from_secs(10)).await.unwrap();
    assert_eq!(client.session().id, session);
    assert_eq!(next(&data).await, (EventKind::DataChanged, root.clone()));
    assert_eq!(next(&tree).await, (EventKind::Missed, path.clone()));
    client.set(&path, None, -1).await.unwrap();
    assert_eq!(next(&tree).await, (EventKind::DataChanged, path.clone()));
    client.sync("/").await.unwrap();
    assert!(client.exists(&path).await.unwrap().is_some());
    other.create(&format!("{root}/n"), None, &ephemeral()).await.unwrap();
    assert_eq!(next(&children).await, (EventKind::ChildrenChanged, root.clone()));
    other.close().await.unwrap();
    client.close().await.unwrap();
}

#[tokio::test]
async fn a_session_is_handed_over_and_its_end_is_noticed() {
    let Some(server) = server() else { return };
    let relay = Relay::start(server.clone()).await;
    let first = connected(relay.hosts.clone()).await;
    let info = first.session();
    let settings = Settings {
        session: Some((info.id, info.password.clone())),
        ..Settings::with_hosts(server.clone())
    };
    // The first must not come back and take the session over again.
    relay.stop();
    let second = Client::connect(settings.clone(), Duration::from_secs(10)).await.unwrap();
    assert_eq!(second.session().id, info.id);
    second.close().await.unwrap();
    let gone = Client::connect(settings, Duration::from_secs(10)).await.unwrap_err();
    assert_eq!(rejection(&gone), &Rejection::SessionExpired);
    first.close().await.unwrap();
}

#[test]
fn the_blocking_client_does_the_same() {
    let Some(server) = server() else { return };
    let limit = Duration::from_secs(10);
    let client = blocking::Client::connect(Settings::with_hosts(server), limit).unwrap();
    let path = fresh_path();
    let (_, watch) = client.exists_watched(&path).unwrap();
    client.create(&path, bytes("v"), &ephemeral()).unwrap();
    assert_eq!(watch.wait(Some(limit)).unwrap().unwrap().kind, EventKind::Created);
    assert_eq!(client.get(&path).unwrap().data, bytes("v"));
    assert!(client.session().timeout > Duration::ZERO);
    client.close().unwrap();
}

/// Passes connections on to a server until told otherwise.
struct Relay {
    hosts: String,
    cuts: watch::Sender<u32>,
    task: tokio::task::JoinHandle<()>,
}

impl Relay {
    async fn start(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let hosts = listener.local_addr().unwrap().to_string();
        let (cuts, cut) = watch::channel(0);
        let task = tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let Ok(mut far) = TcpStream::connect(&server).await else { continue };
                let mut cut = cut.clone();
                cut.mark_unchanged();
                tokio::spawn(async move {
                    tokio::select! {
                        _ = cut.changed() => {}
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                    }
                });
            }
        });
        Self { hosts, cuts, task }
    }

    /// Breaks the connections there are.
    fn cut(&self) {
        self.cuts.send_modify(|count| *count += 1);
    }

    /// Breaks them and takes no more.
    fn stop(&self) {
        self.task.abort();
        self.cut();
    }
}
