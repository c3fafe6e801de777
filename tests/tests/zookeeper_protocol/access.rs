//! Superusers, members that check no access list, and members that answer
//! nobody who has not proven who it is.

use coord_wire::zookeeper::header::xid;
use coord_wire::zookeeper::{ErrorCode, Reply, Request};

use crate::client::{
    Client, Told, ace, auth, create, create_with, delete, exists, get_data, set_data,
};
use crate::connection::Member;

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
