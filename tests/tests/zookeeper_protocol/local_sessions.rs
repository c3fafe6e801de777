//! Sessions that one member knows, and what becomes of them.

use coord_wire::zookeeper::connect::{ConnectRequest, ConnectResponse};
use coord_wire::zookeeper::request::CreateForm;
use coord_wire::zookeeper::{ErrorCode, Reply, Request};

use crate::client::{
    Client, create, create_as, exists, get_data, new_session, set_data, shake_hands,
};
use crate::connection::{Member, Wire};
use crate::ensemble::Ensemble;

const LOCAL: (&str, &str) = ("zk.local_sessions", "true");
const UPGRADE: (&str, &str) = ("zk.local_sessions_upgrade", "true");

fn back(session: &ConnectResponse) -> ConnectRequest {
    ConnectRequest {
        session: session.session,
        password: session.password.clone(),
        ..new_session(10_000)
    }
}

fn ephemeral(path: &str) -> Request {
    create_as(path, CreateForm::Plain, 1)
}

#[test]
fn opening_and_closing_a_local_session_writes_nothing() {
    let member = Member::start_with(&[LOCAL]);
    let mut client = Client::open(member.address);
    client.events();
    let zxid = client.zxid;
    for _ in 0..10 {
        let mut other = Client::open(member.address);
        assert_eq!(other.call(&Request::CloseSession), Ok(Reply::Empty));
        assert_eq!(other.told(), None);
    }
    client.events();
    assert_eq!(client.zxid, zxid);
    client.made("/written");
    assert_eq!(client.zxid, zxid + 1);
    assert!(Wire::word(member.address, b"mntr").contains("zk_local_sessions\t1\n"));
}

#[test]
fn a_local_session_owns_no_ephemerals() {
    let member = Member::start_with(&[LOCAL]);
    let mut client = Client::open(member.address);
    let multi = Request::Multi(vec![create("/a"), ephemeral("/b")]);
    for request in [ephemeral("/e"), create_as("/e", CreateForm::WithStat, 3), multi] {
        assert_eq!(client.call(&request), Err(ErrorCode::EphemeralOnLocalSession));
    }
    assert_eq!(client.call(&exists("/a", false)), Err(ErrorCode::NoNode));
    client.made("/a");
    assert_eq!(client.call(&set_data("/a", None)).map(|_| ()), Ok(()));
}

#[test]
fn a_local_session_comes_back_to_its_member_and_to_no_other() {
    let ensemble = Ensemble::start(&[LOCAL]);
    let mut client = ensemble.client(0);
    let mut elsewhere = Wire::open(ensemble.address(1));
    let answer = shake_hands(&mut elsewhere, &back(&client.session)).unwrap();
    assert_eq!((answer.session, answer.timeout_ms), (0, 0));
    let wrong = ConnectRequest { password: Some(vec![9; 16].into()), ..back(&client.session) };
    let answer = shake_hands(&mut Wire::open(ensemble.address(0)), &wrong).unwrap();
    assert_eq!(answer.session, 0);
    let mut again = Client::connect(ensemble.address(0), &back(&client.session));
    assert_eq!(again.session.session, client.session.session);
    assert_eq!(client.told(), None, "one connection at a time");
    again.made("/n");
}

#[test]
fn a_silent_local_session_ends() {
    let member = Member::start_with(&[LOCAL]);
    let mut client = Client::connect(member.address, &new_session(1000));
    assert_eq!(client.told(), None);
    let answer = shake_hands(&mut Wire::open(member.address), &back(&client.session)).unwrap();
    assert_eq!(answer.session, 0);
}

#[test]
fn the_first_ephemeral_makes_a_local_session_an_ordinary_one_under_its_id() {
    let ensemble = Ensemble::start(&[LOCAL, UPGRADE]);
    let mut client = ensemble.client(0);
    // What is sent around it keeps its order.
    for request in [create("/a"), ephemeral("/e"), get_data("/e", false), ephemeral("/f")] {
        client.send(&request);
    }
    for _ in 0..4 {
        let told = client.told().unwrap();
        assert!(matches!(told, crate::client::Told::Reply(_, _, Ok(_))), "{told:?}");
    }
    let counts = Wire::word(ensemble.address(0), b"mntr");
    assert!(counts.contains("zk_global_sessions\t1\n"), "one for both ephemerals: {counts}");
    assert!(counts.contains("zk_local_sessions\t0\n"), "{counts}");
    assert_eq!(client.stat("/e").ephemeral_owner.0, client.session.session);
    let moved = ConnectRequest { last_zxid_seen: client.zxid, ..back(&client.session) };
    let mut there = loop {
        let mut wire = Wire::open(ensemble.address(1));
        // A member that is behind closes; then again.
        if let Some(session) = shake_hands(&mut wire, &moved) {
            break Client::of(wire, session);
        }
    };
    assert_eq!(there.session.session, client.session.session);
    assert_eq!(there.call(&Request::CloseSession), Ok(Reply::Empty));
    let mut other = ensemble.client(1);
    assert_eq!(other.call(&exists("/e", false)), Err(ErrorCode::NoNode));
}
