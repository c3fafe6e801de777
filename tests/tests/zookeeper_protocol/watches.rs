//! What connections are told, and when.

use coord_wire::zookeeper::header::xid;
use coord_wire::zookeeper::request::SetWatches;
use coord_wire::zookeeper::{ErrorCode, Reply, Request};

use crate::client::{Client, Told, create, delete, exists, get_children, get_data, set_data};
use crate::connection::Member;

const CREATED: i32 = 1;
const DELETED: i32 = 2;
const CHANGED: i32 = 3;
const CHILDREN: i32 = 4;

fn events(expected: &[(i32, &str)]) -> Vec<(i32, String)> {
    expected.iter().map(|(kind, path)| (*kind, (*path).to_owned())).collect()
}

#[test]
fn a_clients_own_write_fires_its_watch_before_the_reply() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    client.made("/a");
    client.call(&get_data("/a", true)).unwrap();
    let (told, answer) = client.watch(&set_data("/a", Some(b"1")));
    assert_eq!(told, events(&[(CHANGED, "/a")]));
    answer.unwrap();
    client.call(&set_data("/a", Some(b"2"))).unwrap();
}

#[test]
fn what_a_write_causes_is_told_behind_the_replies_to_what_was_sent_before_it() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    client.call(&Request::AddWatch { path: "/".into(), mode: 1 }).unwrap();
    for round in 0..50 {
        let path = format!("/r{round}");
        let between = [
            create(&path),
            set_data(&path, None),
            Request::Sync { path: None },
            set_data(&path, None),
            create("no slash"),
            set_data(&path, None),
            // Refused without being ordered.
            Request::MultiRead(vec![delete(&path)]),
            set_data(&path, None),
            Request::Ping,
            delete(&path),
        ];
        let mut expected = Vec::new();
        for request in &between {
            let answered = match request {
                Request::Ping => {
                    client.send(request);
                    xid::PING
                }
                _ => client.send(request),
            };
            let event = match request {
                Request::Create(create) if create.path.starts_with('/') => Some(CREATED),
                Request::SetData { .. } => Some(CHANGED),
                Request::Delete { .. } => Some(DELETED),
                _ => None,
            };
            expected.extend(event.map(|kind| (Some(kind), 0)));
            expected.push((None, answered));
        }
        let told: Vec<_> = (0..expected.len())
            .map(|_| match client.told().unwrap() {
                Told::Event(kind, ..) => (Some(kind), 0),
                Told::Reply(xid, ..) => (None, xid),
            })
            .collect();
        assert_eq!(told, expected, "round {round}");
    }
}

#[test]
fn a_deletion_is_told_once_to_three_watches_and_then_to_the_parents() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    client.made("/p");
    client.made("/p/c");
    client.call(&get_data("/p/c", true)).unwrap();
    client.call(&get_children("/p/c", true)).unwrap();
    client.call(&get_children("/p", true)).unwrap();
    let (told, _) = client.watch(&delete("/p/c"));
    assert_eq!(told, events(&[(DELETED, "/p/c"), (CHILDREN, "/p")]));
}

#[test]
fn only_exists_leaves_a_watch_on_what_is_not_there() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    assert_eq!(client.call(&get_data("/later", true)), Err(ErrorCode::NoNode));
    client.made("/later");
    client.call(&delete("/later")).unwrap();
    assert_eq!(client.call(&exists("/later", true)), Err(ErrorCode::NoNode));
    assert_eq!(client.watch(&create("/later")).0, events(&[(CREATED, "/later")]));
}

#[test]
fn persistent_and_recursive_watches_see_what_they_should() {
    let member = Member::start();
    let mut writer = Client::open(member.address);
    let mut persistent = Client::open(member.address);
    let mut recursive = Client::open(member.address);
    persistent.call(&Request::AddWatch { path: "/w".into(), mode: 0 }).unwrap();
    recursive.call(&Request::AddWatch { path: "/w".into(), mode: 1 }).unwrap();
    for request in [
        create("/w"),
        set_data("/w", None),
        create("/w/c"),
        set_data("/w/c", None),
        create("/w/c/g"),
        delete("/w/c/g"),
        delete("/w/c"),
        delete("/w"),
        create("/w"),
    ] {
        writer.call(&request).unwrap();
    }
    assert_eq!(
        persistent.events(),
        events(&[
            (CREATED, "/w"),
            (CHANGED, "/w"),
            (CHILDREN, "/w"),
            (CHILDREN, "/w"),
            (DELETED, "/w"),
            (CREATED, "/w"),
        ])
    );
    assert_eq!(
        recursive.events(),
        events(&[
            (CREATED, "/w"),
            (CHANGED, "/w"),
            (CREATED, "/w/c"),
            (CHANGED, "/w/c"),
            (CREATED, "/w/c/g"),
            (DELETED, "/w/c/g"),
            (DELETED, "/w/c"),
            (DELETED, "/w"),
            (CREATED, "/w"),
        ])
    );
}

#[test]
fn set_watches_tells_what_was_missed_in_the_order_of_its_lists() {
    let member = Member::start();
    let mut writer = Client::open(member.address);
    for path in ["/same", "/set", "/set/old", "/made"] {
        writer.made(path);
    }
    let relative_zxid = writer.zxid;
    writer.call(&set_data("/set", None)).unwrap();
    writer.made("/set/new");
    let mut client = Client::open(member.address);
    let watches = SetWatches {
        relative_zxid,
        data: vec!["/same".into(), "/set".into(), "/gone".into()],
        exist: vec!["/made".into(), "/never".into()],
        child: vec!["/set".into(), "/same".into(), "/gone".into()],
    };
    client.send_as(xid::SET_WATCHES, &Request::SetWatches(watches));
    let told: Vec<_> = (0..6).map(|_| client.told().unwrap()).collect();
    let event = |kind, path: &str| Told::Event(kind, path.to_owned(), -1);
    assert_eq!(
        told[..5],
        [
            event(CHANGED, "/set"),
            event(DELETED, "/gone"),
            event(CREATED, "/made"),
            event(CHILDREN, "/set"),
            event(DELETED, "/gone"),
        ]
    );
    assert!(matches!(&told[5], Told::Reply(xid::SET_WATCHES, zxid, Ok(Reply::Empty)) if *zxid > 0));
    // What had nothing to tell watches on; what was told does not.
    for request in [create("/never"), set_data("/same", None), create("/same/c"), create("/gone")] {
        writer.call(&request).unwrap();
    }
    let later = [(CREATED, "/never"), (CHANGED, "/same"), (CHILDREN, "/same")];
    assert_eq!(client.events(), events(&later));
}

#[test]
fn removing_a_watch_twice_finds_none_the_second_time() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    client.made("/a");
    client.call(&get_data("/a", true)).unwrap();
    let remove = |kind| Request::RemoveWatches { path: "/a".into(), kind };
    let check = Request::CheckWatches { path: "/a".into(), kind: 3 };
    assert_eq!(client.call(&remove(1)), Err(ErrorCode::NoWatcher), "of another kind");
    assert_eq!(client.call(&check), Ok(Reply::Empty));
    assert_eq!(client.call(&remove(2)), Ok(Reply::Empty));
    assert_eq!(client.call(&remove(2)), Err(ErrorCode::NoWatcher));
    assert_eq!(client.call(&check), Err(ErrorCode::NoWatcher));
    assert_eq!(client.call(&remove(9)), Err(ErrorCode::MarshallingError));
    client.call(&set_data("/a", None)).unwrap();
}
