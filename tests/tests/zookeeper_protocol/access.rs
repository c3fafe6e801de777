//! Superusers, members that check no access list, and members that answer
//! nobody who has not proven who it is.

use bytes::Bytes;
use coord_wire::zookeeper::header::xid;
use coord_wire::zookeeper::{ErrorCode, Reply, Request};

use crate::client::{
    Client, Told, ace, auth, create, create_with, delete, exists, get_data, set_data,
};
use crate::connection::Member;
use crate::ensemble::Ensemble;

/// Of the password `pw`.
const SUPER: (&str, &str) = ("auth.super_digest", "super:0bX78nEegDzJM3ju0iLBEJdWzjg=");

fn nobodys() -> Request {
    create_with("/closed", vec![ace(31, "digest", "nobody:hash")])
}

fn identities(client: &mut Client) -> Vec<(String, String)> {
    match client.call(&Request::WhoAmI) {
        Ok(Reply::Identities(known)) => known
            .into_iter()
            .map(|one| (one.scheme.as_str().to_owned(), one.user.as_str().to_owned()))
            .collect(),
        other => panic!("{other:?}"),
    }
}

fn known(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(scheme, user)| ((*scheme).to_owned(), (*user).to_owned())).collect()
}

#[test]
fn the_superuser_may_do_everything_and_is_both_super_and_its_digest() {
    let member = Member::start_with(&[SUPER]);
    let mut client = Client::open(member.address);
    client.call(&nobodys()).unwrap();
    assert_eq!(client.call(&get_data("/closed", false)), Err(ErrorCode::NoAuth));
    client.send_as(xid::AUTH, &auth("digest", "super:wrong"));
    client.told();
    assert_eq!(client.call(&get_data("/closed", false)), Err(ErrorCode::NoAuth));
    client.send_as(xid::AUTH, &auth("digest", "super:pw"));
    client.told();
    let expected =
        known(&[("ip", "127.0.0.1"), ("digest", "super"), ("super", ""), ("digest", "super")]);
    assert_eq!(identities(&mut client), expected);
    assert_eq!(client.call(&set_data("/closed", None)).map(|_| ()), Ok(()));
    let own = create_with("/own", vec![ace(31, "auth", "")]);
    client.call(&own).unwrap();
    match client.call(&Request::GetAcl { path: "/own".into() }) {
        Ok(Reply::Acl { acl, .. }) => {
            let schemes: Vec<_> = acl.iter().map(|ace| &*ace.identity.scheme).collect();
            assert_eq!(schemes, ["digest", "digest"], "super stands in no list");
        }
        other => panic!("{other:?}"),
    }
    let mut other = Client::open(member.address);
    assert_eq!(other.call(&set_data("/closed", None)), Err(ErrorCode::NoAuth));
}

/// A proof of a user whose name is as long as this.
fn user(number: usize, bytes: usize) -> Request {
    let proof = format!("{number}{}:pw", "x".repeat(bytes));
    Request::Auth { scheme: "digest".into(), auth: Some(Bytes::from(proof)) }
}

#[test]
fn what_a_client_has_proven_counts_for_its_writes_however_long_it_is() {
    for local in ["false", "true"] {
        let member = Member::start_with(&[("zk.local_sessions", local)]);
        let mut client = Client::open(member.address);
        for number in 0..50 {
            client.send_as(xid::AUTH, &user(number, 200));
        }
        // Behind the proofs, without waiting for them; one is held by a read.
        client.send(&create_with("/theirs", vec![ace(31, "auth", "")]));
        client.send(&get_data("/theirs", false));
        client.send(&set_data("/theirs", Some(b"x")));
        for _ in 0..53 {
            let told = client.told();
            assert!(matches!(told, Some(Told::Reply(.., Ok(_)))), "{told:?}");
        }
        let mut stranger = Client::open(member.address);
        assert_eq!(stranger.call(&set_data("/theirs", None)), Err(ErrorCode::NoAuth));
        // Another connection of the same session has to prove it anew.
        let mut again = Client::attach(member.address, &client.session);
        assert_eq!(again.call(&set_data("/theirs", None)), Err(ErrorCode::NoAuth));
        again.send_as(xid::AUTH, &user(49, 200));
        again.told();
        again.call(&set_data("/theirs", None)).unwrap();
    }
}

#[test]
fn a_client_that_proves_too_much_is_refused_and_the_cluster_goes_on() {
    let ensemble = Ensemble::start(&[]);
    let leader = ensemble.leader(None);
    let refused = Some(Told::Reply(xid::AUTH, 0, Err(ErrorCode::AuthFailed)));
    let mut long = ensemble.client(leader);
    for number in 0..5 {
        long.send_as(xid::AUTH, &user(number, 900_000));
    }
    long.send(&create("/long"));
    assert_eq!(long.told(), refused);
    assert_eq!(long.told(), None);
    let mut many = ensemble.client(leader);
    for number in 0..64 {
        many.send_as(xid::AUTH, &user(number, 10));
    }
    many.send(&create("/many"));
    for _ in 0..63 {
        assert!(matches!(many.told(), Some(Told::Reply(xid::AUTH, 0, Ok(_)))));
    }
    assert_eq!(many.told(), refused);
    assert_eq!(many.told(), None);
    for place in 0..3 {
        let mut client = ensemble.client(place);
        client.made(&format!("/{place}"));
        assert_eq!(client.call(&exists("/long", false)), Err(ErrorCode::NoNode));
        assert_eq!(client.call(&exists("/many", false)), Err(ErrorCode::NoNode));
    }
}

#[test]
fn a_member_that_skips_access_lists_keeps_them_for_the_others() {
    let member = Member::start_with(&[("zk.skip_acl", "true")]);
    let mut client = Client::open(member.address);
    client.call(&nobodys()).unwrap();
    assert_eq!(client.call(&set_data("/closed", None)).map(|_| ()), Ok(()));
    assert_eq!(client.call(&get_data("/closed", true)).map(|_| ()), Ok(()));
    match client.call(&Request::GetAcl { path: "/closed".into() }) {
        Ok(Reply::Acl { acl, .. }) => assert_eq!(acl, [ace(31, "digest", "nobody:hash")]),
        other => panic!("{other:?}"),
    }
    assert_eq!(identities(&mut client), known(&[("ip", "127.0.0.1")]));
    let mut other = Client::open(member.address);
    other.call(&set_data("/closed", None)).unwrap();
    assert_eq!(client.events(), [(3, "/closed".to_owned())], "events are not kept back either");
    let invalid = create_with("/x", vec![]);
    assert_eq!(client.call(&invalid), Err(ErrorCode::InvalidAcl));
    assert_eq!(client.call(&delete("/closed")), Ok(Reply::Empty));
}

#[test]
fn who_has_to_prove_who_it_is_is_told_so_and_closed() {
    let settings = [("auth.required_schemes", "sasl, digest")];
    let member = Member::start_with(&settings);
    for request in [Request::Ping, exists("/", false), create("/x"), Request::CloseSession] {
        let mut client = Client::open(member.address);
        client.send_as(9, &request);
        let refused = Err(ErrorCode::SessionClosedRequireSaslAuth);
        assert_eq!(client.told(), Some(Told::Reply(9, 0, refused)), "{request:?}");
        assert_eq!(client.told(), None);
    }
    let mut client = Client::open(member.address);
    client.send_as(xid::AUTH, &auth("digest", "bob:pw"));
    client.send(&create("/x"));
    assert!(matches!(client.told(), Some(Told::Reply(xid::AUTH, 0, Ok(_)))));
    assert!(matches!(client.told(), Some(Told::Reply(1, _, Ok(_)))));
}
