//! Prepared queries.

use serde_json::{Value, json};

use crate::http_client::{Member, member};
use crate::score::Point;

fn create(member: &Member, definition: &Value) -> String {
    let reply = member.send("POST", "/v1/query", &[], definition.to_string().as_bytes()).ok();
    reply.json()["ID"].as_str().unwrap().to_owned()
}

fn found(member: &Member, query: &str) -> Vec<String> {
    let answer = member.json(&format!("/v1/query/{query}/execute"));
    let nodes = answer["Nodes"].as_array().unwrap();
    let mut ids: Vec<_> =
        nodes.iter().map(|node| node["Service"]["ID"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

#[test]
fn a_query_is_made_run_changed_and_removed() {
    let _point = Point::of("O-03");
    let member = member();
    for (id, status, tags) in [
        ("w1", "passing", json!(["a"])),
        ("w2", "warning", json!(["a", "b"])),
        ("w3", "critical", json!(["a"])),
    ] {
        let body = json!({"Name": "web", "ID": id, "Tags": tags,
            "Check": {"CheckID": id, "TTL": "60s", "Status": status}});
        member.put("/v1/agent/service/register", body.to_string()).says(200, "");
    }
    let id = create(
        &member,
        &json!({"Name": "q", "Service": {"Service": "web"}, "DNS": {"TTL": "10s"}}),
    );
    assert_eq!(found(&member, "q"), ["w1", "w2"]);
    assert_eq!(found(&member, &id), ["w1", "w2"]);
    let answer = member.json("/v1/query/q/execute?limit=1");
    assert_eq!(answer["Nodes"].as_array().unwrap().len(), 1);
    assert_eq!((&answer["Service"], &answer["DNS"]["TTL"]), (&json!("web"), &json!("10s")));
    assert_eq!((&answer["Datacenter"], &answer["Failovers"]), (&json!("dc1"), &json!(0)));

    let put = |definition: Value| member.put(&format!("/v1/query/{id}"), definition.to_string());
    put(json!({"Name": "q", "Service": {"Service": "web", "OnlyPassing": true}})).says(200, "");
    assert_eq!(found(&member, "Q"), ["w1"]);
    put(json!({"Name": "q", "Service": {"Service": "web", "Tags": ["a", "!b"],
        "IgnoreCheckIDs": ["w3"]}}))
    .says(200, "");
    assert_eq!(found(&member, "q"), ["w1", "w3"]);

    let get = member.get(&format!("/v1/query/{id}")).ok();
    assert_eq!(get.json()[0]["ID"], *id);
    assert_eq!(get.json()[0]["Service"]["Tags"], json!(["a", "!b"]));
    assert!(get.index() > 1);
    assert_eq!(member.json("/v1/query").as_array().unwrap().len(), 1);
    member.delete(&format!("/v1/query/{id}")).says(200, "");
    for path in [format!("/v1/query/{id}"), "/v1/query/q/execute".to_owned()] {
        let missing = member.get(&path);
        missing.says(404, "Query not found");
        assert_eq!(missing.index(), 1);
    }
}

#[test]
fn a_query_that_is_none_is_refused_with_consuls_texts() {
    let member = member();
    create(&member, &json!({"Name": "q1", "Service": {"Service": "web"}}));
    let post = |body: Value| member.send("POST", "/v1/query", &[], body.to_string().as_bytes());
    post(json!({"Name": "q1", "Service": {"Service": "web"}}))
        .says(500, "name 'q1' aliases an existing query name");
    post(json!({"Name": "q2"}))
        .says(500, "Invalid prepared query: Must provide a Service name to query");
    assert_eq!(member.send("POST", "/v1/query", &[], b"").status, 400);
}

#[test]
fn a_template_is_explained_as_it_is_rendered() {
    let member = member();
    let template = json!({"Name": "geo-", "Template": {"Type": "name_prefix_match"},
        "Service": {"Service": "${name.suffix}"}});
    create(&member, &template);
    let explained = member.json("/v1/query/geo-db/explain");
    assert_eq!(explained["Query"]["Service"]["Service"], "db");
    assert_eq!(explained["KnownLeader"], true);
    member.put("/v1/agent/service/register", r#"{"Name":"db"}"#).says(200, "");
    assert_eq!(found(&member, "geo-db"), ["db"]);
}

#[test]
fn a_query_goes_with_its_session() {
    let member = member();
    let session = member.session("");
    let id = create(&member, &json!({"Session": session, "Service": {"Service": "web"}}));
    let index = member.get("/v1/query").index();
    let waiting = member.wait("/v1/query", index, "60s");
    member.put(&format!("/v1/session/destroy/{session}"), "").says(200, "true");
    assert_eq!(waiting.end().ok().text(), "[]");
    assert_eq!(member.get(&format!("/v1/query/{id}")).status, 404);
}
