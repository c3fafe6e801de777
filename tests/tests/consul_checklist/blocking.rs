//! When a blocking query is answered, and when not.

use std::time::Duration;

use crate::http_client::{Member, member, until_waiting, waiting};
use crate::score::Point;

/// Longer than any wake takes, shorter than the waits that must be woken.
const SOON: Duration = Duration::from_secs(15);

fn register(member: &Member, service: &str, id: &str) {
    let body = format!(
        r#"{{"Node":"ext","Address":"1.2.3.4","Service":{{"ID":"{id}","Service":"{service}"}}}}"#
    );
    member.put("/v1/catalog/register", body).says(200, "true");
}

fn check(member: &Member, check: &str) {
    let body =
        format!(r#"{{"Node":"ext","Address":"1.2.3.4","SkipNodeUpdate":true,"Check":{check}}}"#);
    member.put("/v1/catalog/register", body).says(200, "true");
}

fn deregister(member: &Member, what: &str) {
    member.put("/v1/catalog/deregister", what).says(200, "true");
}

/// `change` wakes whoever waits on `path`, with a larger index.
#[track_caller]
fn assert_wakes(member: &Member, path: &str, change: impl FnOnce()) {
    let index = member.get(path).index();
    let waiting = member.wait(path, index, "60s");
    change();
    let reply = waiting.end();
    assert!(reply.took < SOON, "{path} took {:?}", reply.took);
    assert!(reply.index() > index, "{path}: {} after {index}", reply.index());
}

/// `change` wakes nobody who waits on `path`, and moves no index.
#[track_caller]
fn assert_sleeps(member: &Member, path: &str, change: impl FnOnce()) {
    let index = member.get(path).index();
    let waiting = member.wait(path, index, "1s");
    change();
    let reply = waiting.end();
    assert!(reply.took >= Duration::from_secs(1), "{path} took {:?}", reply.took);
    assert_eq!(reply.index(), index, "{path}");
}

#[test]
fn a_wait_ends_in_time_with_the_same_answer() {
    let _point = Point::of("B-01");
    let member = member();
    member.put("/v1/kv/x", "1").ok();
    let before = member.get("/v1/kv/x").ok();
    let after = member.wait("/v1/kv/x", before.index(), "1s").end().ok();
    assert!((Duration::from_secs(1)..SOON).contains(&after.took), "{:?}", after.took);
    assert_eq!((after.index(), after.body), (before.index(), before.body));
}

#[test]
fn another_key_wakes_nobody() {
    let _point = Point::of("B-02");
    let member = member();
    member.put("/v1/kv/x", "1").ok();
    assert_sleeps(&member, "/v1/kv/x", || drop(member.put("/v1/kv/y", "1").ok()));
}

#[test]
fn a_write_wakes_with_the_entrys_index() {
    let _point = Point::of("B-03");
    let member = member();
    member.put("/v1/kv/x", "1").ok();
    let index = member.get("/v1/kv/x").index();
    let waiting = member.wait("/v1/kv/x", index, "60s");
    member.put("/v1/kv/x", "2").ok();
    let reply = waiting.end().ok();
    assert!(reply.took < SOON);
    assert_eq!(reply.json()[0]["ModifyIndex"], reply.index());
    assert_eq!(reply.json()[0]["Value"], "Mg==");
}

#[test]
fn a_delete_wakes_with_a_404() {
    let _point = Point::of("B-04");
    let member = member();
    member.put("/v1/kv/x", "1").ok();
    let index = member.get("/v1/kv/x").index();
    let waiting = member.wait("/v1/kv/x", index, "60s");
    member.delete("/v1/kv/x").ok();
    let reply = waiting.end();
    assert_eq!(reply.status, 404);
    assert!(reply.index() > index && reply.took < SOON);
}

#[test]
fn a_prefix_wakes_for_every_change_below() {
    let _point = Point::of("B-05");
    let member = member();
    member.put("/v1/kv/p/a", "1").ok();
    for path in ["/v1/kv/p/?recurse", "/v1/kv/p/?keys"] {
        assert_wakes(&member, path, || drop(member.put("/v1/kv/p/b", "1").ok()));
        assert_wakes(&member, path, || drop(member.put("/v1/kv/p/b", "2").ok()));
        assert_wakes(&member, path, || drop(member.delete("/v1/kv/p/b").ok()));
        member.put("/v1/kv/p/sub/c", "1").ok();
        assert_wakes(&member, path, || drop(member.delete("/v1/kv/p/sub?recurse").ok()));
        assert_sleeps(&member, path, || drop(member.put("/v1/kv/other", path).ok()));
    }
}

#[test]
fn a_missing_key_wakes_when_it_appears() {
    let _point = Point::of("B-06");
    let member = member();
    member.put("/v1/kv/other", "1").ok();
    // A wait that begins only after the write is answered at once, rightly.
    let others = waiting(&member);
    let index = member.get("/v1/kv/x").index();
    let waits = member.wait("/v1/kv/x", index, "5s");
    until_waiting(&member, others + 1);
    member.put("/v1/kv/other", "2").ok();
    let reply = waits.end();
    assert!(reply.status == 404 && reply.took >= Duration::from_secs(5), "{:?}", reply.took);
    assert_wakes(&member, "/v1/kv/x", || drop(member.put("/v1/kv/x", "1").ok()));
}

#[test]
fn health_of_a_service_wakes_for_its_own_changes_only() {
    let _point = Point::of("B-07");
    let member = member();
    register(&member, "web", "w1");
    register(&member, "db", "d1");
    let path = "/v1/health/service/web";
    assert_wakes(&member, path, || register(&member, "web", "w2"));
    assert_wakes(&member, path, || deregister(&member, r#"{"Node":"ext","ServiceID":"w2"}"#));
    let own = r#"{"CheckID":"c","Name":"c","ServiceID":"w1","Status":"passing"}"#;
    assert_wakes(&member, path, || check(&member, own));
    let own = own.replace("passing", "critical");
    assert_wakes(&member, path, || check(&member, &own));
    let of_node = r#"{"CheckID":"n","Name":"n","Status":"passing"}"#;
    assert_wakes(&member, path, || check(&member, of_node));
    let foreign = r#"{"CheckID":"d","Name":"d","ServiceID":"d1","Status":"passing"}"#;
    assert_sleeps(&member, path, || check(&member, foreign));
    assert_sleeps(&member, path, || register(&member, "db", "d2"));
    assert_wakes(&member, path, || deregister(&member, r#"{"Node":"ext"}"#));
}

#[test]
fn an_absent_service_wakes_on_its_first_instance() {
    let _point = Point::of("B-08");
    let member = member();
    for (name, path) in [("web", "/v1/health/service/web"), ("db", "/v1/catalog/service/db")] {
        assert_wakes(&member, path, || register(&member, name, name));
    }
}

#[test]
fn what_changes_nothing_moves_no_index() {
    let _point = Point::of("B-09");
    let member = member();
    member.put("/v1/kv/x?flags=3", "1").ok();
    assert_sleeps(&member, "/v1/kv/x", || drop(member.put("/v1/kv/x?flags=3", "1").ok()));
    register(&member, "web", "w1");
    assert_sleeps(&member, "/v1/health/service/web", || register(&member, "web", "w1"));
    let service = r#"{"Name":"api","Check":{"TTL":"60s"}}"#;
    let pass = || member.put("/v1/agent/check/pass/service:api?note=fine", "").says(200, "");
    member.put("/v1/agent/service/register", service).says(200, "");
    pass();
    let path = "/v1/health/service/api?passing";
    assert_eq!(member.json(path).as_array().unwrap().len(), 1);
    assert_sleeps(&member, path, pass);
    let again = || member.put("/v1/agent/service/register", service).says(200, "");
    assert_sleeps(&member, path, again);
}

#[test]
fn an_index_from_the_future_waits() {
    let _point = Point::of("B-10");
    let member = member();
    member.put("/v1/kv/x", "1").ok();
    let index = member.get("/v1/kv/x").index();
    let reply = member.wait("/v1/kv/x", index + 1_000_000, "1s").end().ok();
    assert!(reply.took >= Duration::from_secs(1));
    assert_eq!(reply.index(), index);
}

#[test]
fn every_read_that_can_wait_has_an_index() {
    let _point = Point::of("B-14");
    let member = member();
    for path in [
        "/v1/kv/x",
        "/v1/kv/x?recurse",
        "/v1/kv/x?keys",
        "/v1/catalog/nodes",
        "/v1/catalog/services",
        "/v1/catalog/service/x",
        "/v1/catalog/connect/x",
        "/v1/catalog/node/x",
        "/v1/catalog/node-services/x",
        "/v1/health/node/x",
        "/v1/health/checks/x",
        "/v1/health/service/x",
        "/v1/health/state/any",
        "/v1/session/list",
        "/v1/session/node/x",
        "/v1/session/info/00000000-0000-0000-0000-000000000000",
        "/v1/event/list",
        "/v1/query",
        "/v1/coordinate/nodes",
    ] {
        assert!(member.get(path).index() >= 1, "{path}");
    }
}

/// `change` moves an index, but not what is answered on `path`, so that nobody is woken.
#[track_caller]
fn assert_sleeps_on(member: &Member, path: &str, change: impl FnOnce()) {
    let before = member.get(path);
    let waiting = member.wait(path, before.index(), "2s");
    until_waiting(member, 1);
    change();
    let after = waiting.end();
    assert!(after.took >= Duration::from_secs(2), "{path} took {:?}", after.took);
    assert_eq!(after.body, before.body, "{path}");
    assert!(after.index() >= before.index(), "{path}");
}

#[test]
fn a_service_in_the_catalog_is_not_woken_by_its_checks() {
    let member = member();
    register(&member, "web", "web1");
    let passing = r#"{"CheckID":"c","ServiceID":"web1","Status":"passing"}"#;
    let critical = r#"{"CheckID":"c","ServiceID":"web1","Status":"critical"}"#;
    check(&member, passing);
    assert_sleeps_on(&member, "/v1/catalog/service/web", || check(&member, critical));
    assert_wakes(&member, "/v1/catalog/service/web", || register(&member, "web", "web2"));
    assert_wakes(&member, "/v1/health/service/web", || check(&member, passing));
}

#[test]
fn critical_checks_are_not_woken_by_others() {
    let member = member();
    register(&member, "web", "web1");
    let own = |status: &str| format!(r#"{{"CheckID":"c","ServiceID":"web1","Status":"{status}"}}"#);
    check(&member, &own("passing"));
    let path = "/v1/health/state/critical";
    assert_sleeps_on(&member, path, || check(&member, &own("warning")));
    assert_wakes(&member, path, || check(&member, &own("critical")));
    assert_wakes(&member, path, || check(&member, &own("passing")));
}

#[test]
fn an_event_of_another_name_wakes_nobody_and_moves_no_index() {
    let member = member();
    let fire = |name: &str| drop(member.put(&format!("/v1/event/fire/{name}"), "x").ok());
    fire("deploy");
    assert_sleeps(&member, "/v1/event/list?name=deploy", || fire("other"));
    let path = "/v1/event/list?name=deploy";
    let waiting = member.wait(path, member.get(path).index(), "60s");
    fire("deploy");
    assert!(waiting.end().took < SOON);
}

#[test]
fn the_first_index_of_a_fresh_member_is_above_one() {
    let member = member();
    for path in ["/v1/catalog/nodes", "/v1/catalog/services", "/v1/health/service/consul"] {
        assert!(member.get(path).index() >= 2, "{path}");
    }
}
