//! Autopilot, and leadership that goes over because an operator wants it.

use coord_core::embedded::Cluster;
use serde_json::{Value, json};

use crate::http_client::{Api, LONG, Reply, member, settings};

const CONFIGURATION: &str = "/v1/operator/autopilot/configuration";

#[test]
fn autopilot_says_who_is_well_and_how_many_may_fail() {
    let mut cluster = Cluster::start(3, &settings(), LONG).unwrap();
    let api = Api { address: cluster.servers()[0].addresses().http.unwrap() };
    let mut nodes = api.get("/v1/catalog/nodes").ok();
    while nodes.json().as_array().unwrap().len() < 3 {
        nodes = api.wait("/v1/catalog/nodes", nodes.index(), "10s").end().ok();
    }
    let health = api.json("/v1/operator/autopilot/health");
    assert_eq!((&health["Healthy"], &health["FailureTolerance"]), (&json!(true), &json!(1)));
    let servers = health["Servers"].as_array().unwrap();
    assert_eq!(servers.iter().filter(|server| server["Leader"] == true).count(), 1);
    let state = api.json("/v1/operator/autopilot/state");
    assert_eq!(state["Voters"].as_array().unwrap().len(), 3);
    let ids: Vec<_> = servers.iter().map(|server| &server["ID"]).collect();
    let raft = api.json("/v1/operator/raft/configuration");
    for server in raft["Servers"].as_array().unwrap() {
        assert!(ids.contains(&&server["ID"]), "{server}");
    }
    cluster.stop_member(2).unwrap();
    let mut reply = api.get("/v1/health/node/home-3").ok();
    while !reply.text().contains("critical") {
        reply = api.wait("/v1/health/node/home-3", reply.index(), "10s").end().ok();
    }
    let health = api.get("/v1/operator/autopilot/health");
    assert_eq!(health.status, 429);
    assert_eq!(health.json()["FailureTolerance"], 0);
}

#[test]
fn autopilots_configuration_is_changed_and_told_by_every_member() {
    let cluster = Cluster::start(3, &settings(), LONG).unwrap();
    let apis: Vec<_> = cluster.servers().iter().map(Api::of).collect();
    let before = apis[0].json(CONFIGURATION);
    assert_eq!((&before["MaxTrailingLogs"], &before["ModifyIndex"]), (&json!(250), &json!(1)));
    // What is not named stays.
    let body = r#"{"cleanupdeadservers":true,"LastContactThreshold":"1m30s","MinQuorum":3}"#;
    apis[1].put(CONFIGURATION, body).says(200, "true");
    for api in &apis {
        let after = api.json(&format!("{CONFIGURATION}?consistent"));
        assert_eq!(after["CleanupDeadServers"], true);
        assert_eq!(after["LastContactThreshold"], "1m30s");
        assert_eq!((&after["MinQuorum"], &after["MaxTrailingLogs"]), (&json!(3), &json!(250)));
    }
    let index = apis[0].json(CONFIGURATION)["ModifyIndex"].as_u64().unwrap();
    let with_cas = |index: u64| format!("{CONFIGURATION}?cas={index}");
    apis[2].put(&with_cas(index - 1), r#"{"MinQuorum":1}"#).says(200, "false");
    apis[2].put(&with_cas(index), r#"{"MinQuorum":1}"#).says(200, "true");
    assert!(apis[2].json(CONFIGURATION)["ModifyIndex"].as_u64().unwrap() > index);
}

#[test]
fn autopilots_configuration_is_refused_with_consuls_texts() {
    let member = member();
    member.put(CONFIGURATION, "").says(400, "Error parsing autopilot config: EOF");
    member
        .put(&format!("{CONFIGURATION}?cas=x"), "{}")
        .says(400, "Error parsing cas value: strconv.ParseUint: parsing \"x\": invalid syntax");
    assert_eq!(member.put(CONFIGURATION, r#"{"LastContactThreshold":"soon"}"#).status, 400);
    assert_eq!(member.json(CONFIGURATION)["ModifyIndex"], 1);
}

#[test]
fn autopilot_removes_a_dead_member_where_it_may() {
    let mut cluster = Cluster::start(3, &settings(), LONG).unwrap();
    let api = Api::of(&cluster.servers()[0]);
    wait_for(&api, "/v1/catalog/nodes", |nodes| nodes.as_array().unwrap().len() == 3);
    api.put(CONFIGURATION, r#"{"CleanupDeadServers":true}"#).says(200, "true");
    cluster.stop_member(2).unwrap();
    wait_for(&api, "/v1/catalog/nodes", |nodes| nodes.as_array().unwrap().len() == 2);
    let raft = api.json("/v1/operator/raft/configuration");
    assert_eq!(raft["Servers"].as_array().unwrap().len(), 2);
}

#[test]
fn leadership_goes_to_whom_it_is_handed() {
    let cluster = Cluster::start(3, &settings(), LONG).unwrap();
    let api = Api::of(&cluster.servers()[0]);
    wait_for(&api, "/v1/catalog/nodes", |nodes| nodes.as_array().unwrap().len() == 3);
    let transfer = |query: &str| -> Reply {
        api.send("POST", &format!("/v1/operator/raft/transfer-leader{query}"), &[], b"")
    };
    let leader = || api.json("/v1/status/leader");
    let first = leader();
    transfer("").says(200, r#"{"Success":true}"#);
    let second = leader();
    assert_ne!(second, first);
    let raft = api.json("/v1/operator/raft/configuration");
    let servers = raft["Servers"].as_array().unwrap();
    let third = servers.iter().find(|server| ![&first, &second].contains(&&server["Address"]));
    let third = third.unwrap();
    let id = third["ID"].as_str().unwrap();
    transfer(&format!("?id={id}")).says(200, r#"{"Success":true}"#);
    assert_eq!(leader(), third["Address"]);
    // It leads already, and nobody is called so.
    assert_eq!(transfer(&format!("?id={id}")).status, 500);
    transfer("?id=nobody").says(500, "id \"nobody\" was not found in the Raft configuration");
    api.put("/v1/kv/x", "1").says(200, "true");
}

#[test]
fn a_lone_member_has_nobody_to_hand_over_to() {
    let refused = member().put("/v1/operator/raft/transfer-leader", "");
    assert_eq!(refused.status, 500, "{}", refused.text());
    assert!(refused.text().contains("no other voter"), "{}", refused.text());
}

/// Reads until it is as expected.
fn wait_for(api: &Api, path: &str, holds: impl Fn(&Value) -> bool) {
    let mut reply = api.get(path).ok();
    while !holds(&reply.json()) {
        reply = api.wait(path, reply.index(), "10s").end().ok();
    }
}
