//! Sessions, how they end, and what their end does to locks.

use std::time::{Duration, Instant};

use coord_core::embedded::Cluster;
use serde_json::{Value, json};

use crate::http_client::{Api, LONG, Member, member, member_with, settings};
use crate::score::Point;

const UNKNOWN: &str = "00000000-1111-2222-3333-444444444444";

/// A member whose sessions may be short.
fn hasty() -> Member {
    let mut settings = settings();
    settings.session.consul_ttl_min_ms = 500;
    settings.session.tick_ms = 100;
    member_with(settings)
}

fn is_live(api: &Api, session: &str) -> bool {
    !api.json(&format!("/v1/session/info/{session}")).as_array().unwrap().is_empty()
}

/// Waits, by blocking queries, until the session is gone.
fn wait_gone(api: &Api, session: &str) -> Instant {
    let path = format!("/v1/session/info/{session}");
    let deadline = Instant::now() + LONG;
    let mut index = 0;
    loop {
        let reply = api.wait(&path, index, "1s").end().ok();
        if reply.text() == "[]" {
            return Instant::now();
        }
        assert!(Instant::now() < deadline, "{session} does not end");
        index = reply.index();
    }
}

fn acquire(api: &Api, key: &str, session: &str) -> bool {
    api.put(&format!("/v1/kv/{key}?acquire={session}"), "v").ok().text() == "true"
}

#[test]
fn a_session_needs_no_body_and_has_defaults() {
    let _point = Point::of("S-01");
    let member = member();
    let session = member.session("");
    let reply = member.get(&format!("/v1/session/info/{session}")).ok();
    let index = reply.json()[0]["CreateIndex"].clone();
    reply.says(
        200,
        &format!(
            r#"[{{"ID":"{session}","Name":"","Node":"home","LockDelay":15000000000,"Behavior":"release","TTL":"","NodeChecks":["serfHealth"],"ServiceChecks":null,"CreateIndex":{index},"ModifyIndex":{index}}}]"#
        ),
    );
}

#[test]
fn a_session_outlives_its_ttl_but_not_for_long() {
    let _point = Point::of("S-02");
    let member = hasty();
    let began = Instant::now();
    let session = member.session(r#"{"TTL":"1s"}"#);
    let created = Instant::now();
    let gone = wait_gone(&member, &session);
    assert!(gone - began >= Duration::from_secs(1), "{:?}", gone - began);
    assert!(gone - created < Duration::from_secs(6), "{:?}", gone - created);
}

#[test]
fn a_renewal_extends_and_an_unknown_session_is_not_found() {
    let _point = Point::of("S-03");
    let member = hasty();
    let session = member.session(r#"{"TTL":"3s"}"#);
    let idle = member.get("/v1/session/list").index();
    // Far past the six seconds that it lives without renewal.
    for _ in 0..8 {
        member.wait("/v1/session/list", idle, "1s").end().ok();
        let renewed = member.put(&format!("/v1/session/renew/{session}"), "").ok();
        assert_eq!(renewed.json()[0]["ID"], *session);
    }
    assert!(is_live(&member, &session));
    member
        .put(&format!("/v1/session/renew/{UNKNOWN}"), "")
        .says(404, &format!("Session id '{UNKNOWN}' not found"));
}

#[test]
fn destroying_what_is_not_there_succeeds() {
    let _point = Point::of("S-04");
    let member = member();
    member.put(&format!("/v1/session/destroy/{UNKNOWN}"), "").says(200, "true");
    let session = member.session("");
    member.put(&format!("/v1/session/destroy/{session}"), "").says(200, "true");
    assert!(!is_live(&member, &session));
}

#[test]
fn a_lock_is_delayed_after_its_session_ended_but_not_after_a_release() {
    let _point = Point::of("S-05");
    let member = hasty();
    let next = member.session(r#"{"LockDelay":"0.001s"}"#);
    let released = member.session("");
    assert!(acquire(&member, "released", &released));
    member.put(&format!("/v1/kv/released?release={released}"), "v").says(200, "true");
    assert!(acquire(&member, "released", &next));

    let destroyed = member.session("");
    assert!(acquire(&member, "destroyed", &destroyed));
    member.put(&format!("/v1/session/destroy/{destroyed}"), "").says(200, "true");
    assert!(!acquire(&member, "destroyed", &next));
    let lock = json!([{"KV": {"Verb": "lock", "Key": "destroyed", "Session": next}}]);
    let reply = member.put("/v1/txn", lock.to_string());
    assert_eq!(reply.status, 409);
    let what = reply.json()["Errors"][0]["What"].as_str().unwrap().to_owned();
    assert_eq!(what, "failed to lock key \"destroyed\" due to lock delay");

    let expiring = member.session(r#"{"TTL":"500ms"}"#);
    assert!(acquire(&member, "expired", &expiring));
    wait_gone(&member, &expiring);
    assert!(!acquire(&member, "expired", &next));

    let brief = member.session(r#"{"LockDelay":"0.001s"}"#);
    assert!(acquire(&member, "brief", &brief));
    let index = member.get("/v1/kv/brief").index();
    member.put(&format!("/v1/session/destroy/{brief}"), "").says(200, "true");
    let index = member.wait("/v1/kv/brief", index, "1s").end().index();
    member.wait("/v1/kv/brief", index, "100ms").end();
    assert!(acquire(&member, "brief", &next));
}

#[test]
fn a_session_releases_or_deletes_its_keys() {
    let _point = Point::of("S-06");
    let member = member();
    let keeper = member.session("");
    let remover = member.session(r#"{"Behavior":"delete"}"#);
    assert!(acquire(&member, "kept", &keeper) && acquire(&member, "removed", &remover));
    let index = member.get("/v1/kv/kept").index();
    for session in [&keeper, &remover] {
        member.put(&format!("/v1/session/destroy/{session}"), "").says(200, "true");
    }
    assert_eq!(member.get("/v1/kv/removed").status, 404);
    let kept = member.get("/v1/kv/kept").ok();
    assert_eq!(kept.json()[0].get("Session"), None);
    assert!(kept.index() > index);
    member
        .put("/v1/session/create", r#"{"Behavior":"x"}"#)
        .says(500, "Invalid Behavior setting 'x'");
}

#[test]
fn a_critical_check_ends_a_session_and_a_warning_does_not() {
    let _point = Point::of("S-07");
    let member = member();
    member
        .put("/v1/agent/check/register", r#"{"Name":"c","TTL":"60s","Status":"passing"}"#)
        .says(200, "");
    let session = member.session(r#"{"NodeChecks":["serfHealth","c"]}"#);
    member.put("/v1/agent/check/warn/c", "").says(200, "");
    assert!(is_live(&member, &session));
    member.put("/v1/agent/check/fail/c", "").says(200, "");
    wait_gone(&member, &session);
    member
        .put("/v1/session/create", r#"{"NodeChecks":["c"]}"#)
        .says(500, "Check 'c' is in critical state");
    member
        .put("/v1/session/create", r#"{"NodeChecks":["nope"]}"#)
        .says(500, "Missing check 'nope' registration");
}

#[test]
fn a_ttl_out_of_bounds_begins_with_the_reason() {
    let _point = Point::of("S-08");
    let member = member();
    let refused = |ttl: &str| member.put("/v1/session/create", format!(r#"{{"TTL":"{ttl}"}}"#));
    refused("5s").says(500, "Invalid Session TTL '5000000000', must be between [10s=24h0m0s]");
    assert!(refused("25h").text().starts_with("Invalid Session TTL"));
    refused("zzz").says(500, "Session TTL 'zzz' invalid: time: invalid duration \"zzz\"");
    refused("15.0s").ok();
}

#[test]
fn an_unknown_session_is_an_empty_list_with_an_index() {
    let _point = Point::of("S-09");
    let member = member();
    let reply = member.get(&format!("/v1/session/info/{UNKNOWN}")).ok();
    assert_eq!(reply.text(), "[]");
    assert!(reply.index() >= 1);
    member
        .get("/v1/session/info/zz")
        .says(500, "failed session lookup: index error: UUID must be 36 characters");
}

#[test]
fn a_small_number_is_a_lock_delay_in_seconds() {
    let _point = Point::of("S-10");
    let member = member();
    for delay in ["5", "5000000000", "\"5s\""] {
        let session = member.session(&format!(r#"{{"LockDelay":{delay}}}"#));
        let info = member.json(&format!("/v1/session/info/{session}"));
        assert_eq!(info[0]["LockDelay"], 5_000_000_000_u64, "{delay}");
    }
}

#[test]
fn another_leader_ends_no_live_session() {
    let _point = Point::of("S-11");
    let mut settings = settings();
    settings.session.consul_ttl_min_ms = 500;
    let mut cluster = Cluster::start(3, &settings, LONG).unwrap();
    let apis: Vec<Api> = cluster
        .servers()
        .iter()
        .map(|server| Api { address: server.addresses().http.unwrap() })
        .collect();
    let session = apis[0].session(r#"{"TTL":"10s","NodeChecks":[]}"#);
    let servers = apis[0].json("/v1/operator/raft/configuration")["Servers"].clone();
    let leads = |server: &Value| server["Leader"] == true;
    let leader = servers.as_array().unwrap().iter().position(leads).unwrap();
    cluster.stop_member(leader).unwrap();
    let other = &apis[(leader + 1) % 3];
    let renewed = other.put(&format!("/v1/session/renew/{session}"), "").ok();
    assert_eq!(renewed.json()[0]["ID"], *session);
    assert!(is_live(other, &session));
}

#[test]
fn an_id_of_36_characters_without_hyphens_is_that_of_no_session() {
    let member = member();
    let digits = "0123456789abcdef0123456789abcdef0123";
    member.get(&format!("/v1/session/info/{digits}")).says(200, "[]");
    member.put(&format!("/v1/session/destroy/{digits}"), "").says(200, "true");
    let text = format!("Session id '{digits}' not found");
    member.put(&format!("/v1/session/renew/{digits}"), "").says(404, &text);
    let text = format!("invalid session \"{digits}\"");
    member.put(&format!("/v1/kv/k?acquire={digits}"), "x").says(500, &text);
    member.put(&format!("/v1/kv/k?release={digits}"), "x").says(200, "false");
    // Hyphens in other places are no other id.
    let session = member.session("{}");
    let moved = format!("{}----", session.replace('-', ""));
    let found = member.json(&format!("/v1/session/info/{moved}"));
    assert_eq!(found[0]["ID"], session);
}
