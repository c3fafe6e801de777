//! How requests and answers look, whatever they are about.

use std::time::Duration;

use coord_core::embedded::Cluster;

use crate::http_client::{Api, LONG, member, settings};
use crate::score::Point;

#[test]
fn a_missing_key_is_a_404_without_body_but_with_an_index() {
    let _point = Point::of("H-01");
    let reply = member().get("/v1/kv/missing");
    assert_eq!((reply.status, reply.body.len()), (404, 0));
    assert!(reply.index() >= 1);
}

#[test]
fn headers_are_spelled_as_go_spells_them() {
    let _point = Point::of("H-02");
    let reply = member().get("/v1/kv/missing");
    assert_eq!(reply.header("X-Consul-Knownleader"), Some("true"));
    assert_eq!(reply.header("X-Consul-Lastcontact"), Some("0"));
}

#[test]
fn json_is_compact_or_indented_by_four() {
    let _point = Point::of("H-03");
    let member = member();
    member.put("/v1/kv/a", "1").ok();
    let compact = member.get("/v1/kv/?keys").ok();
    assert_eq!(compact.text(), "[\"a\"]");
    assert_eq!(compact.header("Content-Type"), Some("application/json"));
    assert_eq!(member.get("/v1/kv/?keys&pretty").ok().text(), "[\n    \"a\"\n]\n");
}

#[test]
fn a_wrong_method_is_told_which_are_allowed() {
    let _point = Point::of("H-04");
    let reply = member().send("POST", "/v1/kv/x", &[], b"");
    reply.says(405, "method POST not allowed");
    assert_eq!(reply.header("Allow"), Some("OPTIONS,GET,PUT,DELETE"));
}

#[test]
fn options_are_answered_and_head_is_not_allowed() {
    let _point = Point::of("H-05");
    let member = member();
    let options = member.send("OPTIONS", "/v1/kv/x", &[], b"");
    options.says(200, "");
    assert_eq!(options.header("Allow"), Some("OPTIONS,GET,PUT,DELETE"));
    assert_eq!(member.send("HEAD", "/v1/kv/x", &[], b"").status, 405);
}

#[test]
fn nonsense_in_index_and_wait_is_refused() {
    let _point = Point::of("H-06");
    let member = member();
    for path in ["/v1/kv/x", "/v1/catalog/nodes", "/v1/health/service/x", "/v1/session/list"] {
        member.get(&format!("{path}?index=abc")).says(400, "Invalid index");
        member.get(&format!("{path}?wait=abc")).says(400, "Invalid wait time");
    }
}

#[test]
fn stale_and_consistent_exclude_each_other() {
    let _point = Point::of("H-07");
    member()
        .get("/v1/kv/x?stale&consistent")
        .says(400, "Cannot specify ?stale with ?consistent, conflicting semantics.");
}

#[test]
fn gzip_is_used_when_offered() {
    let _point = Point::of("H-08");
    let member = member();
    let path = "/v1/catalog/nodes";
    let packed = member.send("GET", path, &[("Accept-Encoding", "gzip")], b"").ok();
    assert_eq!(packed.header("Content-Encoding"), Some("gzip"));
    assert_eq!(packed.body[..2], [0x1f, 0x8b]);
    let plain = member.get(path).ok();
    assert_eq!(plain.header("Content-Encoding"), None);
    plain.json();
}

#[test]
fn names_match_in_lower_case_and_snake_case() {
    let _point = Point::of("H-09");
    let member = member();
    let body = r#"{"name":"web","id":"w1","port":80,"enable_tag_override":true,
        "tags":["a"],"check":{"ttl":"10s","deregister_critical_service_after":"90s"}}"#;
    member.put("/v1/agent/service/register", body).says(200, "");
    let service = member.json("/v1/agent/service/w1");
    assert_eq!(service["EnableTagOverride"], true);
    assert_eq!(service["Port"], 80);
}

#[test]
fn an_unknown_field_is_refused() {
    let _point = Point::of("H-10");
    member()
        .put("/v1/agent/service/register", r#"{"Name":"web","bogus":1}"#)
        .says(400, "Request decode failed: json: unknown field \"bogus\"");
}

#[test]
fn a_token_is_taken_from_wherever_clients_put_it() {
    let _point = Point::of("H-11");
    let member = member();
    member.get("/v1/catalog/nodes?token=t").ok();
    member.send("GET", "/v1/catalog/nodes", &[("X-Consul-Token", "t")], b"").ok();
    member.send("GET", "/v1/catalog/nodes", &[("Authorization", "bearer t")], b"").ok();
}

#[test]
fn html_characters_are_escaped() {
    let _point = Point::of("H-12");
    let member = member();
    member.put("/v1/kv/a&b%3C%3E", "1").ok();
    let reply = member.get("/v1/kv/?keys").ok();
    assert_eq!(reply.text(), r#"["a\u0026b\u003c\u003e"]"#);
}

#[test]
fn another_datacenter_has_no_path() {
    let _point = Point::of("H-13");
    let member = member();
    member.get("/v1/kv/x?dc=elsewhere").says(500, "No path to datacenter");
    member.get("/v1/catalog/nodes?dc=dc1").ok();
}

#[test]
fn without_a_leader_only_stale_reads_are_answered() {
    let _point = Point::of("H-14");
    let mut cluster = Cluster::start(3, &settings(), LONG).unwrap();
    cluster.stop_member(0).unwrap();
    cluster.stop_member(1).unwrap();
    let api = Api { address: cluster.servers()[2].addresses().http.unwrap() };
    // One that led goes on for as long as its lease.
    while api.get("/v1/catalog/nodes").status == 200 {}
    api.get("/v1/catalog/nodes").says(500, "No cluster leader");
    let stale = api.get("/v1/catalog/nodes?stale").ok();
    assert_eq!(stale.header("X-Consul-Knownleader"), Some("false"));
    api.get("/v1/status/leader").says(200, "\"\"");
}

#[test]
fn many_blocking_queries_of_one_client_are_served() {
    let _point = Point::of("H-15");
    let member = member();
    member.put("/v1/kv/x", "1").ok();
    let index = member.get("/v1/kv/x").index();
    let waiting: Vec<_> = (0..250).map(|_| member.wait("/v1/kv/x", index, "30s")).collect();
    member.put("/v1/kv/x", "2").ok();
    for waiting in waiting {
        let reply = waiting.end().ok();
        assert!(reply.index() > index);
        assert!(reply.took < Duration::from_secs(25));
    }
}

#[test]
fn the_member_counts_its_requests_and_records() {
    let _point = Point::of("O-07");
    let member = member();
    for value in ["1", "2"] {
        member.put("/v1/kv/x", value).ok();
    }
    let metrics = member.json("/v1/agent/metrics");
    let samples = metrics["Samples"].as_array().unwrap();
    let writes = samples.iter().find(|sample| {
        sample["Name"] == "consul.api.http"
            && sample["Labels"]["method"] == "PUT"
            && sample["Labels"]["path"] == "v1_kv_"
    });
    assert_eq!(writes.unwrap()["Count"], 2);
    let sample = |name: &str| samples.iter().find(|sample| sample["Name"] == name).unwrap();
    for timed in ["consul.kvs.apply", "consul.raft.commitTime"] {
        assert_eq!(sample(timed)["Count"], 2, "{timed}");
        assert!(sample(timed)["Mean"].as_f64().unwrap() > 0.0, "{timed}");
    }
    let counters = metrics["Counters"].as_array().unwrap();
    let counter = |name: &str| counters.iter().find(|counter| counter["Name"] == name).unwrap();
    assert_eq!(counter("consul.raft.apply")["Count"], 2);
    assert_eq!(counter("consul.raft.state.leader")["Sum"], 1);
    let queries = || {
        member.get("/v1/kv/x").ok();
        let metrics = member.json("/v1/agent/metrics");
        let counters = metrics["Counters"].as_array().unwrap().iter();
        let mut queries = counters.filter(|counter| counter["Name"] == "consul.rpc.query");
        queries.next().unwrap()["Count"].as_u64().unwrap()
    };
    assert_eq!(queries() + 1, queries());
    let gauges = metrics["Gauges"].as_array().unwrap();
    let gauge = |name: &str| gauges.iter().find(|gauge| gauge["Name"] == name).unwrap();
    assert_eq!(gauge("consul.state.kv_entries")["Value"], 1);
    assert_eq!(gauge("consul.server.isLeader")["Value"], 1);
    assert_eq!(gauge("consul.autopilot.healthy")["Value"], 1);
    assert_eq!(gauge("consul.autopilot.failure_tolerance")["Value"], 0);
    assert!(metrics["Timestamp"].as_str().unwrap().ends_with(" +0000 UTC"));

    let scraped = member.get("/v1/agent/metrics?format=prometheus").ok();
    assert!(scraped.header("Content-Type").unwrap().starts_with("text/plain"));
    let lines: Vec<_> = scraped.text().lines().collect();
    assert!(lines.contains(&"consul_state_kv_entries 1"));
    assert!(lines.contains(&"consul_kvs_apply_count 2"));
    assert!(lines.contains(&"# TYPE consul_raft_apply counter"));
    assert!(lines.contains(&"consul_api_http_count{method=\"PUT\",path=\"v1_kv_\"} 2"));
}

#[test]
fn a_body_is_read_up_to_its_first_value_whatever_its_bytes_are() {
    let member = member();
    let check = r#"{"Name":"c","TTL":"60s"}"#;
    member.put("/v1/agent/check/register", check).says(200, "");
    for (body, output) in [
        (&b"{\"Status\":\"passing\",\"Output\":\"caf\xe9\"}"[..], "caf\u{fffd}"),
        (br#"{"Status":"warning","Output":"x\ud83d"}"#, "x\u{fffd}"),
        (br#"{"Status":"passing","Output":"x"}{"Status":"critical"}"#, "x"),
        (br#"{"Status":"warning","Output":"y"} and more"#, "y"),
    ] {
        member.put("/v1/agent/check/update/c", body).says(200, "");
        let check = &member.json("/v1/agent/checks")["c"];
        assert_eq!(check["Output"], output);
    }
    for (path, body) in [
        ("/v1/agent/service/register", &b"{\"Name\":\"u\",\"Meta\":{\"owner\":\"Ren\xe9\"}} x"[..]),
        ("/v1/catalog/register", b"{\"Node\":\"u\",\"Address\":\"1.2.3.4\"}\xff"),
        ("/v1/catalog/deregister", b"{\"Node\":\"\xe9\"}"),
        ("/v1/session/create", b"{\"Name\":\"Ren\xe9\"} x"),
        ("/v1/txn", b"[{\"KV\":{\"Verb\":\"get-tree\",\"Key\":\"Ren\xe9\"}}] x"),
    ] {
        member.put(path, body).ok();
    }
    let query = b"{\"Name\":\"Ren\xe9\",\"Service\":{\"Service\":\"u\"}} x";
    member.send("POST", "/v1/query", &[], query).ok();
}

#[test]
fn another_namespace_is_refused_wherever_it_is_named() {
    let member = member();
    let scoped = |header, value| member.send("PUT", "/v1/kv/k", &[(header, value)], b"x");
    scoped("X-Consul-Namespace", "team-a").says(
        400,
        "Invalid header: \"X-Consul-Namespace\" - Namespaces are a Consul Enterprise feature",
    );
    assert_eq!(scoped("X-Consul-Partition", "p").status, 400);
    assert_eq!(member.put("/v1/kv/k?ns=team-a", "x").status, 400);
    assert_eq!(member.get("/v1/kv/k").status, 404, "nothing was written");
    scoped("X-Consul-Namespace", "default").says(200, "true");
    scoped("X-Consul-Namespace", "").says(200, "true");

    for (path, body) in [
        ("/v1/agent/service/register", r#"{"Name":"s","Namespace":"team-a"}"#),
        ("/v1/agent/check/register", r#"{"Name":"c","TTL":"9s","Namespace":"team-a"}"#),
        ("/v1/catalog/register", r#"{"Node":"n","Address":"a","Partition":"p"}"#),
        ("/v1/session/create", r#"{"Namespace":"team-a"}"#),
        ("/v1/txn", r#"[{"KV":{"Verb":"set","Key":"k","Value":"","Namespace":"team-a"}}]"#),
    ] {
        let reply = member.put(path, body);
        assert_eq!(reply.status, 400, "{path}: {}", reply.text());
        assert!(reply.text().contains("Consul Enterprise feature"), "{path}: {}", reply.text());
    }
    let body = r#"{"Name":"s","Namespace":"default"}"#;
    member.put("/v1/agent/service/register", body).says(200, "");
}

#[test]
fn of_a_peer_there_is_nothing_to_tell() {
    let member = member();
    member.put("/v1/agent/service/register", r#"{"Name":"web"}"#).says(200, "");
    for (path, nothing) in [
        ("/v1/health/service/web?peer=other", "[]"),
        ("/v1/health/state/any?peer=other", "[]"),
        ("/v1/catalog/service/web?peer=other", "[]"),
        ("/v1/catalog/nodes?peer=other", "[]"),
        ("/v1/catalog/services?peer=other", "{}"),
        ("/v1/catalog/node/home?peer=other", "null"),
    ] {
        let reply = member.get(path);
        reply.says(200, nothing);
        assert!(reply.index() >= 1, "{path}");
    }
    assert_eq!(member.json("/v1/health/service/web?peer=").as_array().unwrap().len(), 1);
}
