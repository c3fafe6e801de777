//! Opening a session, keeping it, losing it.

use std::time::Duration;

use bytes::Bytes;
use coord_core::embedded::Cluster;
use coord_core::settings::Settings;
use coord_wire::zookeeper::connect::ConnectRequest;
use coord_wire::zookeeper::request::CreateForm;
use coord_wire::zookeeper::{ErrorCode, Reply, Request};

use crate::client::{Client, Told, create, create_as, exists, new_session, set_data, shake_hands};
use crate::connection::{Member, Wire};

#[test]
fn the_answer_has_a_read_only_byte_if_the_question_has() {
    let member = Member::start();
    for (read_only, bytes) in [(None, 36), (Some(false), 37), (Some(true), 37)] {
        let mut wire = Wire::open(member.address);
        let mut payload = Vec::new();
        ConnectRequest { read_only, ..new_session(5000) }.encode(&mut payload);
        wire.send(&payload);
        assert_eq!(wire.frame().unwrap().len(), bytes);
    }
}

#[test]
fn timeouts_are_brought_into_the_range() {
    let member = Member::start();
    for (asked, granted) in [(0, 1000), (-5, 1000), (99_999, 10_000), (5000, 5000)] {
        let client = Client::connect(member.address, &new_session(asked));
        assert_eq!(client.session.timeout_ms, granted);
    }
}

#[test]
fn who_has_seen_more_than_the_member_is_sent_away() {
    let member = Member::start();
    let mut wire = Wire::open(member.address);
    let ahead = ConnectRequest { last_zxid_seen: 1 << 40, ..new_session(5000) };
    assert_eq!(shake_hands(&mut wire, &ahead), None);
}

#[test]
fn a_wrong_password_and_an_unknown_session_find_no_session() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    let wrong = Some(Bytes::from_static(&[7; 16]));
    for session in [client.session.session, 0x1234] {
        let mut wire = Wire::open(member.address);
        let request = ConnectRequest { session, password: wrong.clone(), ..new_session(5000) };
        let answer = shake_hands(&mut wire, &request).unwrap();
        assert_eq!((answer.timeout_ms, answer.session), (0, 0));
        assert_eq!(answer.password.unwrap(), [0; 16][..]);
        assert!(wire.remainder().is_empty());
    }
    assert_eq!(client.events(), [], "the session's own connection goes on");
}

#[test]
fn attaching_negotiates_the_timeout_again() {
    let member = Member::start();
    let first = Client::open(member.address);
    let request = ConnectRequest {
        session: first.session.session,
        password: first.session.password.clone(),
        ..new_session(2000)
    };
    let second = Client::connect(member.address, &request);
    assert_eq!(second.session.session, first.session.session);
    assert_eq!(second.session.password, first.session.password);
    assert_eq!(second.session.timeout_ms, 2000);
}

#[test]
fn a_session_that_moved_takes_no_writes_from_its_old_connection() {
    let settings = Settings { http_addr: "off".parse().unwrap(), ..Settings::default() };
    let cluster = Cluster::start(3, &settings, Duration::from_secs(60)).unwrap();
    let at = |member: usize| cluster.servers()[member].addresses().zk.unwrap();
    let mut old = Client::open(at(0));
    old.call(&create_as("/e", CreateForm::Plain, 1)).unwrap();
    let mut new = Client::attach(at(1), &old.session);
    old.send(&set_data("/e", Some(b"late")));
    assert_eq!(old.told(), None, "closed without a reply");
    let stat = new.stat("/e");
    assert_eq!((stat.version, stat.ephemeral_owner.0), (0, new.session.session));
}

#[test]
fn a_new_connection_elsewhere_never_shows_an_older_state() {
    let settings = Settings { http_addr: "off".parse().unwrap(), ..Settings::default() };
    let cluster = Cluster::start(3, &settings, Duration::from_secs(60)).unwrap();
    let at = |member: usize| cluster.servers()[member].addresses().zk.unwrap();
    let mut client = Client::open(at(0));
    client.made("/counter");
    for turn in 0..30 {
        client.call(&set_data("/counter", Some(b"x"))).unwrap();
        let seen = ConnectRequest {
            session: client.session.session,
            password: client.session.password.clone(),
            last_zxid_seen: client.zxid,
            ..new_session(10_000)
        };
        // A member behind closes without a word: then, as clients do, again.
        client = loop {
            let mut wire = Wire::open(at(turn % 3));
            if shake_hands(&mut wire, &seen).is_some() {
                break Client::connect(at(turn % 3), &seen);
            }
        };
        assert_eq!(client.stat("/counter").version, i32::try_from(turn).unwrap() + 1);
    }
}

#[test]
fn ephemerals_of_an_expired_session_go_in_one_zxid() {
    let member = Member::start();
    let mut watching = Client::open(member.address);
    let mut silent = Client::connect(member.address, &new_session(1000));
    for path in ["/x", "/y", "/z"] {
        silent.call(&create_as(path, CreateForm::Plain, 1)).unwrap();
        watching.call(&exists(path, true)).unwrap();
    }
    assert_eq!(silent.told(), None, "closed when the session ends");
    let mut zxids = Vec::new();
    while zxids.len() < 3 {
        match watching.told().unwrap() {
            Told::Event(2, _, zxid) => zxids.push(zxid),
            other => panic!("{other:?}"),
        }
    }
    assert!(zxids[0] > 0 && zxids.iter().all(|zxid| *zxid == zxids[0]), "{zxids:?}");
    let request = ConnectRequest {
        session: silent.session.session,
        password: silent.session.password.clone(),
        ..new_session(1000)
    };
    let answer = shake_hands(&mut Wire::open(member.address), &request).unwrap();
    assert_eq!(answer.session, 0);
}

#[test]
fn closing_a_session_is_answered_and_closes_the_connection() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    client.call(&create_as("/mine", CreateForm::Plain, 1)).unwrap();
    client.send(&Request::CloseSession);
    client.send(&create("/late"));
    assert!(matches!(client.told(), Some(Told::Reply(2, _, Ok(Reply::Empty)))));
    assert_eq!(client.told(), None);
    let mut other = Client::open(member.address);
    for path in ["/mine", "/late"] {
        assert_eq!(other.call(&exists(path, false)), Err(ErrorCode::NoNode), "{path}");
    }
}
