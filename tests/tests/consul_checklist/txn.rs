//! Transactions.

use serde_json::{Value, json};

use crate::http_client::{Member, Reply, member};
use crate::score::Point;

fn txn(member: &Member, operations: &Value) -> Reply {
    member.put("/v1/txn", operations.to_string())
}

#[test]
fn a_transaction_is_all_or_nothing_and_tells_every_failure() {
    let _point = Point::of("K-14");
    let member = member();
    let set = json!({"KV": {"Verb": "set", "Key": "a", "Value": "MQ=="}});
    let done = txn(&member, &json!([set])).ok().json();
    assert_eq!(done["Errors"], Value::Null);
    assert_eq!(done["Results"][0]["KV"]["Key"], "a");
    let missing = |key| json!({"KV": {"Verb": "get", "Key": key}});
    let second = json!({"KV": {"Verb": "set", "Key": "b", "Value": "MQ=="}});
    let reply = txn(&member, &json!([second, missing("x"), missing("y")]));
    reply.says(
        409,
        r#"{"Results":null,"Errors":[{"OpIndex":1,"What":"key \"x\" doesn't exist"},{"OpIndex":2,"What":"key \"y\" doesn't exist"}]}"#,
    );
    assert_eq!(member.get("/v1/kv/b").status, 404);
}

#[test]
fn k_15_128_operations_are_accepted_and_one_more_is_not() {
    let _point = Point::of("K-15");
    let member = member();
    let many = |count: usize| {
        let one = json!({"KV": {"Verb": "get-or-empty", "Key": "probe"}});
        Value::Array(vec![one; count])
    };
    txn(&member, &many(128)).ok();
    txn(&member, &many(129)).says(413, "Transaction contains too many operations (129 > 128)");
}

#[test]
fn get_or_empty_gives_an_empty_entry() {
    let _point = Point::of("K-16");
    let member = member();
    let get = json!([{"KV": {"Verb": "get-or-empty", "Key": "k"}}]);
    let entry = &txn(&member, &get).ok().json()["Results"][0]["KV"];
    assert_eq!(
        *entry,
        json!({"LockIndex": 0, "Key": "k", "Flags": 0, "Value": null, "CreateIndex": 0, "ModifyIndex": 0})
    );
    member.put("/v1/kv/k", "v").ok();
    assert_eq!(txn(&member, &get).ok().json()["Results"][0]["KV"]["Value"], "dg==");
}

#[test]
fn a_get_sees_what_was_set_before_it() {
    let _point = Point::of("K-17");
    let member = member();
    let operations = json!([
        {"KV": {"Verb": "set", "Key": "a", "Value": "MQ=="}},
        {"KV": {"Verb": "get", "Key": "a"}},
    ]);
    let results = &txn(&member, &operations).ok().json()["Results"];
    assert_eq!(results[0]["KV"]["Value"], Value::Null);
    assert_eq!(results[1]["KV"]["Value"], "MQ==");
}

#[test]
fn nodes_services_and_checks_take_part() {
    let _point = Point::of("K-18");
    let member = member();
    let set = json!([
        {"Node": {"Verb": "set", "Node": {"Node": "n", "Address": "1.2.3.4"}}},
        {"Service": {"Verb": "set", "Node": "n", "Service": {"ID": "s", "Service": "web", "Port": 80}}},
        {"Check": {"Verb": "set", "Check": {"Node": "n", "CheckID": "c", "Name": "c", "Status": "passing", "ServiceID": "s"}}},
    ]);
    let results = txn(&member, &set).ok().json()["Results"].clone();
    assert_eq!(results[1]["Service"]["Service"], "web");
    let node = |verb: &str, index: &Value| json!([{"Node": {"Verb": verb, "Node": {"Node": "n", "Address": "5.6.7.8", "ModifyIndex": index}}}]);
    let stale = txn(&member, &node("cas", &json!(1)));
    assert_eq!(stale.status, 409);
    assert_eq!(stale.json()["Errors"][0]["What"], "failed to set node \"n\", index is stale");
    let index = &member.json("/v1/catalog/node/n")["Node"]["ModifyIndex"];
    txn(&member, &node("cas", index)).ok();
    assert_eq!(member.json("/v1/catalog/node/n")["Node"]["Address"], "5.6.7.8");
    let unknown = json!([{"Service": {"Verb": "get", "Node": "n", "Service": {"ID": "x"}}}]);
    assert_eq!(
        txn(&member, &unknown).json()["Errors"][0]["What"],
        "service \"x\" on node \"n\" doesn't exist"
    );
}

#[test]
fn a_transaction_that_only_reads_says_how_fresh_it_is() {
    let _point = Point::of("K-19");
    let member = member();
    let reply = txn(&member, &json!([{"KV": {"Verb": "get-tree", "Key": "none"}}]));
    reply.says(
        200,
        r#"{"Results":[],"Errors":null,"Index":0,"LastContact":0,"KnownLeader":true,"ConsistencyLevel":""}"#,
    );
    assert_eq!(reply.header("X-Consul-Knownleader"), Some("true"));
    assert_eq!(reply.header("X-Consul-Lastcontact"), Some("0"));
}

#[test]
fn failures_of_every_kind_are_told_together() {
    let member = member();
    let operations = json!([
        {"KV": {"Verb": "get", "Key": "missing"}},
        {"KV": {"Verb": "bogus", "Key": "k"}},
        {"KV": {"Verb": "set", "Key": "k", "Value": "MQ=="}},
        {"KV": {"Verb": "set", "Key": ""}},
        {"KV": {"Verb": "lock", "Key": "k", "Session": "0123456789abcdef0123456789abcdef0123"}},
        {"Node": {"Verb": "get", "Node": {"Node": "nobody"}}},
    ]);
    let reply = txn(&member, &operations);
    assert_eq!(reply.status, 409);
    let errors = reply.json()["Errors"].clone();
    let told: Vec<_> = errors.as_array().unwrap().iter().map(|one| &one["OpIndex"]).collect();
    assert_eq!(told, [0, 1, 3, 4, 5], "{errors}");
    assert_eq!(errors[1]["What"], "unknown KV verb \"bogus\"");
    assert_eq!(member.get("/v1/kv/k").status, 404);
    // Those that only read tell all of them, too.
    let reads = json!([operations[0], operations[1], operations[5]]);
    let errors = txn(&member, &reads).json()["Errors"].clone();
    assert_eq!(errors.as_array().unwrap().len(), 3, "{errors}");
}

#[test]
fn a_check_of_no_session_asks_whether_nobody_holds_the_key() {
    let member = member();
    member.put("/v1/kv/lock", "x").ok();
    let check = json!({"KV": {"Verb": "check-session", "Key": "lock", "Session": ""}});
    let set = json!({"KV": {"Verb": "set", "Key": "lock", "Value": "eQ=="}});
    assert_eq!(txn(&member, &json!([check, set])).status, 200);
    let session = member.session("{}");
    member.put(&format!("/v1/kv/lock?acquire={session}"), "z").says(200, "true");
    let reply = txn(&member, &json!([check]));
    assert_eq!(reply.status, 409);
    let what =
        format!("failed session check for key \"lock\", current session \"{session}\" != \"\"");
    assert_eq!(reply.json()["Errors"][0]["What"], what);
}
