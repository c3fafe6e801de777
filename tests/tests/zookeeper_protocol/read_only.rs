//! What a member without its majority still does, and for whom.

use coord_wire::zookeeper::connect::{ConnectRequest, ConnectResponse};
use coord_wire::zookeeper::request::CreateForm;
use coord_wire::zookeeper::{ErrorCode, Reply, Request};

use crate::client::{
    Client, ace, create, create_as, delete, exists, get_children, get_data, new_session, set_data,
    shake_hands,
};
use crate::connection::Wire;
use crate::ensemble::{Ensemble, eventually};

const SOON: (&str, &str) = ("zk.cut_off_ms", "200");
const READ_ONLY: (&str, &str) = ("zk.read_only_mode", "true");

/// Three members, and the place of a follower that is about to be cut off.
fn ensemble(settings: &[(&str, &str)]) -> (Ensemble, usize) {
    let ensemble = Ensemble::start(settings);
    let follower = (ensemble.leader(None) + 1) % 3;
    (ensemble, follower)
}

fn reader() -> ConnectRequest {
    ConnectRequest { read_only: Some(true), ..new_session(20_000) }
}

fn back(session: &ConnectResponse) -> ConnectRequest {
    ConnectRequest {
        session: session.session,
        password: session.password.clone(),
        ..new_session(20_000)
    }
}

fn becomes(ensemble: &Ensemble, place: usize, mode: &str) {
    eventually("the member says what it is", || {
        (Wire::word(ensemble.address(place), b"isro") == mode).then_some(())
    });
}

#[test]
fn a_member_that_is_cut_off_serves_those_who_only_read() {
    let (ensemble, place) = ensemble(&[SOON, READ_ONLY]);
    let mut before = ensemble.client(place);
    before.made("/n");
    ensemble.cut_off(place);
    becomes(&ensemble, place, "ro");
    assert_eq!(before.told(), None, "who may write is sent away");
    let mut wire = Wire::open(ensemble.address(place));
    assert_eq!(shake_hands(&mut wire, &new_session(10_000)), None, "and not let in again");

    let mut client = Client::connect(ensemble.address(place), &reader());
    assert_eq!(client.session.read_only, Some(true));
    assert_eq!(client.stat("/n").version, 0);
    assert_eq!(client.call(&get_children("/", true)).map(|_| ()), Ok(()));
    assert_eq!(client.call(&Request::Ping), Ok(Reply::Empty));
    let acl = Some(vec![ace(31, "world", "anyone")]);
    for request in [
        create("/x"),
        create_as("/x", CreateForm::WithStat, 1),
        delete("/n"),
        set_data("/n", None),
        Request::SetAcl { path: "/n".into(), acl, version: -1 },
        Request::Multi(vec![]),
        Request::Sync { path: Some("/".into()) },
    ] {
        assert_eq!(client.call(&request), Err(ErrorCode::NotReadOnly), "{request:?}");
    }
    let summary = Wire::word(ensemble.address(place), b"srvr");
    assert!(summary.contains("\nREAD-ONLY mode; serving only read-only clients\n"), "{summary}");
    assert!(summary.contains("\nMode: read-only\n"), "{summary}");

    ensemble.heal();
    assert_eq!(client.told(), None, "with a majority, readers look for it anew");
    becomes(&ensemble, place, "rw");
    let mut wire = Wire::open(ensemble.address(place));
    let answer = shake_hands(&mut wire, &back(&client.session)).unwrap();
    assert_eq!(answer.session, 0, "a session that was made without the others is gone");
    ensemble.client(place).made("/x");
}

#[test]
fn an_ordinary_session_reads_there_meanwhile_and_goes_on_afterwards() {
    let (ensemble, place) = ensemble(&[SOON, READ_ONLY]);
    let mut client = ensemble.client(place);
    client.call(&create_as("/mine", CreateForm::Plain, 1)).unwrap();
    // Its own member has to have it, too.
    client.call(&exists("/mine", false)).unwrap();
    ensemble.cut_off(place);
    becomes(&ensemble, place, "ro");
    let visit = ConnectRequest { read_only: Some(true), ..back(&client.session) };
    let wrong = ConnectRequest { password: Some(vec![9; 16].into()), ..visit.clone() };
    let answer = shake_hands(&mut Wire::open(ensemble.address(place)), &wrong).unwrap();
    assert_eq!(answer.session, 0);
    let mut visiting = Client::connect(ensemble.address(place), &visit);
    assert_eq!(visiting.session.session, client.session.session);
    assert_eq!(visiting.stat("/mine").ephemeral_owner.0, client.session.session);
    assert_eq!(visiting.call(&Request::CloseSession), Err(ErrorCode::NotReadOnly));
    assert_eq!(visiting.told(), None);
    ensemble.heal();
    becomes(&ensemble, place, "rw");
    let again = eventually("the session is back", || {
        shake_hands(&mut Wire::open(ensemble.address(place)), &back(&client.session))
    });
    assert_eq!(again.session, client.session.session);
}

#[test]
fn without_that_mode_nobody_is_served_by_a_member_that_is_cut_off() {
    let (ensemble, place) = ensemble(&[SOON]);
    let mut client = ensemble.client(place);
    client.made("/n");
    ensemble.cut_off(place);
    assert_eq!(client.told(), None, "its session may end without it noticing");
    assert_eq!(Wire::word(ensemble.address(place), b"isro"), "null");
    let mut wire = Wire::open(ensemble.address(place));
    assert_eq!(shake_hands(&mut wire, &reader()), None);
    // The others never noticed.
    let mut other = ensemble.client((place + 1) % 3);
    assert_eq!(other.call(&get_data("/n", false)).map(|_| ()), Ok(()));
}
