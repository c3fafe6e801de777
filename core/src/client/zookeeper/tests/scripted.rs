//! What a real server cannot be made to do at the right moment.

use std::time::Duration;

use bytes::Bytes;
use coord_state::Rejection;
use coord_state::znode::Stat;
use coord_wire::zookeeper::connect::ConnectResponse;
use coord_wire::zookeeper::header::xid;
use coord_wire::zookeeper::{ErrorCode, Reply, Request};
use tokio::net::{TcpListener, TcpSocket};

use super::peer::{PASSWORD, Peer, Talk};
use crate::ErrorKind;
use crate::client::zookeeper::{
    Client, ContentHash, CreateOptions, Credential, EventKind, OnExpiry, Op, Settings, State,
    WatchMode, blocking, zookeeper_code,
};

const TIMEOUT_MS: i32 = 30_000;

async fn started(settings: Settings) -> (Client, Peer, Talk) {
    let peer = Peer::listen().await;
    let client = Client::start(Settings { hosts: peer.hosts(), ..settings }).unwrap();
    let talk = peer.attach(TIMEOUT_MS).await;
    client.wait_connected(Duration::from_secs(5)).await.unwrap();
    (client, peer, talk)
}

fn data() -> Reply {
    Reply::Data { data: Some(Bytes::from_static(b"x")), stat: Stat::default() }
}

#[tokio::test]
async fn a_write_without_an_answer_is_indeterminate_and_not_sent_again() {
    let (client, peer, mut talk) = started(Settings::default()).await;
    let writing = tokio::spawn({
        let client = client.clone();
        async move { client.set("/a", None, -1).await }
    });
    talk.request().await.unwrap();
    drop(talk);
    let error = writing.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Indeterminate);
    assert_eq!(zookeeper_code(&error), Some(-4));

    let mut talk = peer.attach(TIMEOUT_MS).await;
    client.wait_connected(Duration::from_secs(5)).await.unwrap();
    client.start_closing();
    talk.bye().await;
}

#[tokio::test]
async fn reads_that_closing_ends_are_closed_and_changes_are_in_doubt() {
    let settings = Settings { close_timeout: Duration::from_millis(50), ..Settings::default() };
    let (client, _peer, mut talk) = started(settings).await;
    let reading = tokio::spawn({
        let client = client.clone();
        async move { client.get("/a").await }
    });
    talk.request().await.unwrap();
    let writing = tokio::spawn({
        let client = client.clone();
        async move { client.set("/a", None, -1).await }
    });
    talk.request().await.unwrap();
    // The server says nothing any more, also not to the closing.
    let unconfirmed = client.close().await.unwrap_err();
    assert_eq!(unconfirmed.kind(), &ErrorKind::Indeterminate);
    let read = reading.await.unwrap().unwrap_err();
    assert_eq!((read.kind(), zookeeper_code(&read)), (&ErrorKind::Closed, Some(-116)));
    let written = writing.await.unwrap().unwrap_err();
    assert_eq!((written.kind(), zookeeper_code(&written)), (&ErrorKind::Indeterminate, Some(-4)));
    let late = client.get("/a").await.unwrap_err();
    assert_eq!(late.kind(), &ErrorKind::Closed);
}

/// An address where nobody listens, nor will, until the socket does.
fn deserted() -> (TcpSocket, String) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    (socket, address)
}

#[tokio::test]
async fn who_gives_up_waiting_is_told_what_every_server_said() {
    let silent = Peer::listen().await;
    let closing = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (_socket, refused) = deserted();
    // Too long for a name, so that no resolver is asked.
    let unknown = format!("{}:2181", "x".repeat(70));
    let closes = closing.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = closing.accept().await {
            drop(stream);
        }
    });
    let settings = Settings {
        hosts: format!("{refused},{},{closes},{unknown}", silent.hosts()),
        connect_timeout: Duration::from_millis(500),
        request_timeout: Duration::from_secs(6),
        ..Settings::default()
    };
    let client = Client::start(settings).unwrap();
    let (read, written) = tokio::join!(client.get("/"), client.set("/", None, -1));
    let waited = client.wait_connected(Duration::from_millis(10)).await;
    for error in [read.unwrap_err(), written.unwrap_err(), waited.unwrap_err()] {
        assert_eq!((error.kind(), zookeeper_code(&error)), (&ErrorKind::Unavailable, Some(-4)));
        let told = error.to_string();
        for part in [
            format!("connection refused by {refused}"),
            format!("{} did not respond in time", silent.hosts()),
            format!("{closes} closed the connection"),
            format!("cannot resolve {unknown}"),
        ] {
            assert!(told.contains(&part), "{part:?} in {told}");
        }
    }
    client.close().await.unwrap();
}

#[tokio::test]
async fn calls_give_up_early_where_nobody_listens_and_wait_where_somebody_may_answer() {
    let (socket, hosts) = deserted();
    let client = Client::start(Settings::with_hosts(hosts.clone())).unwrap();
    // Half a minute without it.
    let limit = Duration::from_secs(25);
    let options = CreateOptions::default();
    let (read, written, waited) = tokio::time::timeout(limit, async {
        tokio::join!(
            client.get("/"),
            client.create("/a", None, &options),
            client.wait_connected_unless_refused(Duration::from_secs(300)),
        )
    })
    .await
    .expect("they give up");
    for error in [read.unwrap_err(), written.unwrap_err(), waited.unwrap_err()] {
        assert_eq!(error.kind(), &ErrorKind::Unavailable);
        assert!(error.to_string().contains(&format!("connection refused by {hosts}")), "{error}");
    }
    // It goes on trying, and a server that comes late is found.
    let peer = Peer::on(socket.listen(8).unwrap());
    let mut talk = peer.attach(TIMEOUT_MS).await;
    client.wait_connected(Duration::from_secs(5)).await.unwrap();
    client.start_closing();
    talk.bye().await;
}

#[tokio::test]
async fn a_read_without_an_answer_is_sent_again_on_the_next_connection() {
    let (client, peer, mut talk) = started(Settings::default()).await;
    let reading = tokio::spawn({
        let client = client.clone();
        async move { client.get("/a").await }
    });
    let (number, _) = talk.request().await.unwrap();
    // Something newer is seen first, so that coming back tells of it.
    talk.reply(number, 41, Ok(data())).await;
    reading.await.unwrap().unwrap();
    let reading = tokio::spawn({
        let client = client.clone();
        async move { client.get("/b").await }
    });
    talk.request().await.unwrap();
    drop(talk);

    let mut talk = peer.attach(TIMEOUT_MS).await;
    assert_eq!((talk.greeting.session, talk.greeting.last_zxid_seen), (7, 41));
    assert_eq!(talk.greeting.password.as_deref(), Some(PASSWORD));
    let (number, request) = talk.request().await.unwrap();
    assert!(matches!(request, Request::GetData(read) if read.path == "/b"));
    talk.reply(number, 42, Ok(data())).await;
    assert_eq!(reading.await.unwrap().unwrap().data.as_deref(), Some(&b"x"[..]));
    assert_eq!(client.last_zxid(), 42);
}

#[tokio::test]
async fn identities_are_proven_before_watches_are_restored() {
    let credential =
        Credential { scheme: "digest".to_owned(), proof: Bytes::from_static(b"bob:pw") };
    let settings = Settings { credentials: vec![credential], ..Settings::default() };
    let (client, peer, mut talk) = started(settings).await;
    let (number, request) = talk.request().await.unwrap();
    assert!(matches!(request, Request::Auth { .. }));
    talk.reply(number, 0, Ok(Reply::Empty)).await;

    let watching = tokio::spawn({
        let client = client.clone();
        async move {
            let (_, data) = client.get_watched("/a").await.unwrap();
            let (_, exist) = client.exists_watched("/b").await.unwrap();
            let tree = client.watch("/t", WatchMode::PersistentRecursive, 8).await.unwrap();
            (data, exist, tree)
        }
    });
    let (number, _) = talk.request().await.unwrap();
    talk.reply(number, 5, Ok(data())).await;
    let (number, _) = talk.request().await.unwrap();
    talk.reply(number, 5, Err(ErrorCode::NoNode)).await;
    let (number, _) = talk.request().await.unwrap();
    talk.reply(number, 5, Ok(Reply::WatchAdded)).await;
    let (data_watch, exist_watch, tree) = watching.await.unwrap();
    drop(talk);

    let mut talk = peer.attach(TIMEOUT_MS).await;
    let (number, request) = talk.request().await.unwrap();
    assert_eq!(number, xid::AUTH);
    assert!(matches!(request, Request::Auth { .. }));
    let (number, request) = talk.request().await.unwrap();
    assert_eq!(number, xid::SET_WATCHES);
    let Request::SetWatches2 { once, persistent, persistent_recursive } = request else {
        panic!("{request:?}");
    };
    assert_eq!(once.relative_zxid, 5);
    assert_eq!((once.data.len(), once.exist.len(), once.child.len()), (1, 1, 0));
    assert_eq!((once.data[0].as_str(), once.exist[0].as_str()), ("/a", "/b"));
    assert_eq!((persistent.len(), persistent_recursive[0].as_str()), (0, "/t"));

    talk.event(2, "/a").await;
    talk.event(1, "/b").await;
    let event = data_watch.next(None).await.unwrap().unwrap();
    assert_eq!((event.kind, event.path.as_str()), (EventKind::Deleted, "/a"));
    let event = exist_watch.next(None).await.unwrap().unwrap();
    assert_eq!((event.kind, event.path.as_str()), (EventKind::Created, "/b"));
    let event = tree.next(None).await.unwrap().unwrap();
    assert_eq!((event.kind, event.path.as_str()), (EventKind::Missed, "/t"));
}

#[tokio::test]
async fn an_expired_session_fails_every_call_and_ends_every_watch() {
    let (client, peer, mut talk) = started(Settings::default()).await;
    let states = client.states();
    let watching = tokio::spawn({
        let client = client.clone();
        async move { client.get_watched("/a").await.unwrap().1 }
    });
    let (number, _) = talk.request().await.unwrap();
    talk.reply(number, 5, Ok(data())).await;
    let watch = watching.await.unwrap();
    drop(talk);
    let mut talk = peer.accept().await;
    talk.answer_greeting(ConnectResponse::no_session(Some(false))).await;

    assert_eq!(states.next(None).await.unwrap(), Some(State::Suspended));
    assert_eq!(states.next(None).await.unwrap(), Some(State::Lost));
    assert_eq!(watch.next(None).await.unwrap().unwrap().kind, EventKind::SessionLost);
    let error = client.get("/a").await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Rejected(Rejection::SessionExpired));
    assert_eq!(zookeeper_code(&error), Some(-112));
    client.close().await.unwrap();
    client.close().await.unwrap();
    assert_eq!(states.next(None).await.unwrap(), Some(State::Closed));
    let error = client.get("/a").await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Closed);
}

#[tokio::test]
async fn a_client_may_go_on_with_a_new_session() {
    let settings = Settings { on_expiry: OnExpiry::NewSession, ..Settings::default() };
    let (client, peer, talk) = started(settings).await;
    drop(talk);
    let mut talk = peer.accept().await;
    talk.answer_greeting(ConnectResponse::no_session(Some(false))).await;
    let talk = peer.attach(TIMEOUT_MS).await;
    assert_eq!((talk.greeting.session, talk.greeting.last_zxid_seen), (0, 0));
    client.wait_connected(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test]
async fn a_reply_out_of_order_ends_the_connection() {
    let (client, peer, mut talk) = started(Settings::default()).await;
    let writing = tokio::spawn({
        let client = client.clone();
        async move { client.delete("/a", -1).await }
    });
    let (number, _) = talk.request().await.unwrap();
    talk.reply(number + 1, 5, Ok(Reply::Empty)).await;
    let error = writing.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Indeterminate);
    peer.attach(TIMEOUT_MS).await;
}

#[tokio::test]
async fn what_was_never_sent_had_no_effect() {
    let peer = Peer::listen().await;
    let client = Client::start(Settings {
        request_timeout: Duration::from_millis(20),
        ..Settings::with_hosts(peer.hosts())
    })
    .unwrap();
    let error = client.create("/a", None, &CreateOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Unavailable);
    assert_eq!(zookeeper_code(&error), Some(-4));
    let mut talk = peer.attach(TIMEOUT_MS).await;
    client.wait_connected(Duration::from_secs(5)).await.unwrap();
    client.start_closing();
    talk.bye().await;
}

#[tokio::test]
async fn a_refused_identity_is_not_tried_again() {
    let (client, peer, mut talk) = started(Settings::default()).await;
    let proving = tokio::spawn({
        let client = client.clone();
        async move { client.add_auth("nobody", Bytes::new()).await }
    });
    let (number, _) = talk.request().await.unwrap();
    talk.reply(number, 0, Err(ErrorCode::AuthFailed)).await;
    drop(talk);
    let error = proving.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Rejected(Rejection::NoAuth));
    assert_eq!(zookeeper_code(&error), Some(-115));
    let mut talk = peer.attach(TIMEOUT_MS).await;
    client.wait_connected(Duration::from_secs(5)).await.unwrap();
    client.start_closing();
    talk.bye().await;
}

#[tokio::test]
async fn a_silent_server_is_left_after_two_thirds_of_the_timeout() {
    let peer = Peer::listen().await;
    let client = Client::start(Settings::with_hosts(peer.hosts())).unwrap();
    let silent = peer.attach(60).await;
    client.wait_connected(Duration::from_secs(5)).await.unwrap();
    let talk = peer.attach(TIMEOUT_MS).await;
    assert_eq!(talk.greeting.session, 7);
    drop(silent);
}

#[tokio::test]
async fn closing_is_confirmed_behind_the_answers_to_what_was_asked_before() {
    let (client, _peer, mut talk) = started(Settings::default()).await;
    let reading = tokio::spawn({
        let client = client.clone();
        async move { client.get("/a").await }
    });
    let (read, _) = talk.request().await.unwrap();
    let closing = tokio::spawn({
        let client = client.clone();
        async move { client.close().await }
    });
    let (close, request) = talk.request().await.unwrap();
    assert_eq!(request, Request::CloseSession);
    talk.reply(read, 5, Ok(data())).await;
    talk.reply(close, 6, Ok(Reply::Empty)).await;
    reading.await.unwrap().unwrap();
    closing.await.unwrap().unwrap();
    client.close().await.unwrap();
}

#[tokio::test]
async fn closing_that_no_server_confirms_is_told_and_closes_the_client_all_the_same() {
    let settings = || Settings { close_timeout: Duration::from_millis(50), ..Settings::default() };
    // Silent, hung up, and gone before.
    for hangs_up in [None, Some(false), Some(true)] {
        let (client, peer, mut talk) = started(settings()).await;
        let states = client.states();
        if hangs_up == Some(true) {
            drop((peer, talk));
            assert_eq!(states.next(None).await.unwrap(), Some(State::Suspended));
            assert_unconfirmed(client.close().await);
        } else {
            let closing = tokio::spawn({
                let client = client.clone();
                async move { client.close().await }
            });
            talk.request().await.unwrap();
            let kept = hangs_up.is_none().then_some(talk);
            assert_unconfirmed(closing.await.unwrap());
            drop(kept);
        }
        assert_unconfirmed(client.close().await);
        assert_eq!(client.state(), State::Closed);
        assert_eq!(client.get("/a").await.unwrap_err().kind(), &ErrorKind::Closed);
    }
}

fn assert_unconfirmed(closed: Result<(), crate::Error>) {
    let error = closed.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Indeterminate);
    assert_eq!(zookeeper_code(&error), Some(-4));
    assert!(error.to_string().contains("timeout of 30s"), "{error}");
}

#[test]
fn the_blocking_client_joins_its_thread_and_then_says_closed() {
    let client = blocking::Client::start(Settings::with_hosts("127.0.0.1:1")).unwrap();
    let states = client.states();
    client.close().unwrap();
    client.close().unwrap();
    assert_eq!(states.wait(None).unwrap(), Some(State::Closed));
    states.wait(None).expect_err("nothing follows");
    assert_eq!(client.get("/a").unwrap_err().kind(), &ErrorKind::Closed);
}

#[tokio::test]
async fn the_blocking_client_refuses_to_block_a_runtime() {
    let error = blocking::Client::start(Settings::with_hosts("127.0.0.1:1")).unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Invalid);
}

#[tokio::test]
async fn a_server_without_hashes_is_told_from_one_that_refuses() {
    let (client, peer, mut talk) = started(Settings::default()).await;
    let reading = tokio::spawn({
        let client = client.clone();
        async move { client.subtree_hash("/a").await }
    });
    let (number, request) = talk.request().await.unwrap();
    assert_eq!(request.op().code(), 10001);
    talk.reply(number, -1, Err(ErrorCode::Unimplemented)).await;
    // As a genuine ZooKeeper does.
    drop(talk);
    let error = reading.await.unwrap().unwrap_err();
    assert_eq!(zookeeper_code(&error), Some(-6));
    assert!(error.to_string().contains("does not support content hashes"), "{error}");

    let mut talk = peer.attach(TIMEOUT_MS).await;
    let hash = ContentHash([1; 16]);
    let setting = tokio::spawn({
        let client = client.clone();
        async move { client.set_data_if_hash("/a", None, hash).await }
    });
    let (number, _) = talk.request().await.unwrap();
    talk.reply(number, 3, Err(ErrorCode::MarshallingError)).await;
    assert_eq!(zookeeper_code(&setting.await.unwrap().unwrap_err()), Some(-6));
    let acting = tokio::spawn({
        let client = client.clone();
        async move { client.multi(&[Op::check_subtree_hash("/a", hash)]).await }
    });
    let (number, _) = talk.request().await.unwrap();
    talk.reply(number, 4, Err(ErrorCode::MarshallingError)).await;
    let error = acting.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Rejected(Rejection::Unimplemented));
    client.start_closing();
    talk.bye().await;
}
