//! What operators look at: status, events, filters, coordinates, the log.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use coord_core::embedded::{Cluster, Server};
use coord_core::server::{LogFeed, LogLine};
use serde_json::{Value, json};

use crate::http_client::{Api, LONG, Member, member, settings};
use crate::score::Point;

#[test]
fn the_leader_and_the_peers_are_told() {
    let _point = Point::of("O-01");
    let member = member();
    let leader = member.get("/v1/status/leader").ok();
    assert_eq!(leader.text(), "\"127.0.0.1:8300\"");
    assert_eq!(member.json("/v1/status/peers"), json!(["127.0.0.1:8300"]));
    let cluster = Cluster::start(3, &settings(), LONG).unwrap();
    for server in cluster.servers() {
        let api = Api { address: server.addresses().http.unwrap() };
        let peers = api.json("/v1/status/peers");
        assert_eq!(peers.as_array().unwrap().len(), 3);
        assert!(peers.as_array().unwrap().contains(&api.json("/v1/status/leader")));
    }
}

#[test]
fn events_are_listed_and_waited_for_by_their_fold() {
    let _point = Point::of("O-02");
    let member = member();
    let empty = member.get("/v1/event/list").ok();
    assert_eq!((empty.text(), empty.index()), ("[]", 1));
    let waiting = member.wait("/v1/event/list", 1, "60s");
    let fired = member.put("/v1/event/fire/deploy?node=ho.e", "now").ok().json();
    assert_eq!(
        (&fired["Name"], &fired["Payload"], &fired["LTime"], &fired["Version"]),
        (&json!("deploy"), &json!("bm93"), &json!(0), &json!(1))
    );
    let told = waiting.end().ok();
    assert_eq!(told.json()[0]["ID"], fired["ID"]);
    let id = fired["ID"].as_str().unwrap().replace('-', "");
    let half = |range: std::ops::Range<usize>| u64::from_str_radix(&id[range], 16).unwrap();
    assert_eq!(told.index(), half(0..16) ^ half(16..32));
    // Not a counter: any other index is answered at once.
    assert!(member.wait("/v1/event/list", told.index() + 1, "60s").end().took < LONG / 2);

    member.put("/v1/event/fire/elsewhere?node=other", "").ok();
    member.put("/v1/event/fire/nothing?service=web", "").ok();
    assert_eq!(member.json("/v1/event/list").as_array().unwrap().len(), 1);
    member.put("/v1/agent/service/register", r#"{"Name":"web","Tags":["a"]}"#).says(200, "");
    member.put("/v1/event/fire/some?service=we.&tag=%5Ea", "").ok();
    assert_eq!(member.json("/v1/event/list?name=some").as_array().unwrap().len(), 1);
    member
        .put("/v1/event/fire/x?tag=a", "")
        .says(400, "Cannot provide tag filter without service filter");
    let bad = member.put("/v1/event/fire/x?node=%5B", "");
    assert_eq!(bad.status, 400);
    assert!(
        bad.text().starts_with("Invalid node filter: error parsing regexp: "),
        "{}",
        bad.text()
    );
}

fn ids(member: &Member, filter: &str) -> Vec<String> {
    let filter: String = filter.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let found = member.json(&format!("/v1/catalog/service/web?filter={filter}"));
    let rows = found.as_array().unwrap();
    rows.iter().map(|row| row["ServiceID"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn filters_have_consuls_grammar() {
    let _point = Point::of("O-06");
    let member = member();
    for (id, port, tags, meta) in [
        ("w1", 80, json!(["a", "b"]), json!({"env": "prod"})),
        ("w2", 81, json!(["b"]), json!({"env": "dev", "x": ""})),
        ("w3", 82, json!([]), Value::Null),
    ] {
        let body = json!({"Node": "ext", "Address": "1.2.3.4",
            "Service": {"Service": "web", "ID": id, "Port": port, "Tags": tags, "Meta": meta}});
        member.put("/v1/catalog/register", body.to_string()).says(200, "true");
    }
    let cases: &[(&str, &[&str])] = &[
        ("", &["w1", "w2", "w3"]),
        ("ServiceID == w1", &["w1"]),
        ("ServiceID==\"w1\"", &["w1"]),
        ("ServiceID != `w1`", &["w2", "w3"]),
        ("ServicePort == 81", &["w2"]),
        ("a in ServiceTags", &["w1"]),
        ("b not in ServiceTags", &["w3"]),
        ("ServiceTags contains b", &["w1", "w2"]),
        ("ServiceTags is empty", &["w3"]),
        ("ServiceTags is not empty", &["w1", "w2"]),
        ("ServiceMeta.env == prod", &["w1"]),
        ("ServiceMeta[\"env\"] != prod", &["w2", "w3"]),
        ("x in ServiceMeta", &["w2"]),
        ("ServiceMeta.nope is empty", &["w1", "w2", "w3"]),
        ("ServiceID matches \"w[12]\"", &["w1", "w2"]),
        ("ServiceID not matches w1", &["w2", "w3"]),
        ("ServiceID == w1 or ServiceID == w2 and ServicePort == 81", &["w1", "w2"]),
        ("(ServiceID == w1 or ServiceID == w2) and ServicePort == 81", &["w2"]),
        ("not ServiceID == w1 and not (b in ServiceTags)", &["w3"]),
    ];
    for (filter, expected) in cases {
        assert_eq!(ids(&member, filter), *expected, "{filter}");
    }
    for (filter, text) in [
        ("Bad%20==%20x", "Selector \"Bad\" is not valid"),
        ("ServicePort%20==%20x", "Failed to coerce value \"x\" for selector \"ServicePort\""),
        ("ServiceTags%20==%20x", "Invalid match operator \"Equal\" for selector \"ServiceTags\""),
        ("ServiceID%20matches%20%22%5B%22", "Failed to compile regular expression \"[\""),
        ("ServiceID", "no match found, expected: "),
    ] {
        let refused = member.get(&format!("/v1/catalog/service/web?filter={filter}"));
        assert_eq!(refused.status, 500, "{filter}");
        let said = refused.text();
        assert!(said.starts_with("Failed to create boolean expression evaluator: "), "{said}");
        assert!(said.contains(text), "{said}");
    }
}

fn place(member: &Member, node: &str, x: f64) {
    let body = json!({"Node": node, "Segment": "", "Coord": {
        "Vec": [x, 0, 0, 0, 0, 0, 0, 0], "Error": 0.5, "Adjustment": 0, "Height": 0.001}});
    member.put("/v1/coordinate/update", body.to_string()).says(200, "");
}

#[test]
fn coordinates_are_kept_and_sort_what_is_near() {
    let member = member();
    assert_eq!(member.json("/v1/coordinate/nodes"), json!([]));
    let missing = member.get("/v1/coordinate/node/ext");
    assert_eq!((missing.status, missing.body.len()), (404, 0));
    assert!(missing.index() >= 1);
    for (node, address) in [("far", "10.0.0.1"), ("mid", "10.0.0.2"), ("near", "127.0.0.1")] {
        let body = json!({"Node": node, "Address": address,
            "Service": {"Service": "web", "ID": node},
            "Check": {"Name": node, "ServiceID": node, "Status": "passing"}});
        member.put("/v1/catalog/register", body.to_string()).says(200, "true");
    }
    let index = member.get("/v1/coordinate/nodes").index();
    let waiting = member.wait("/v1/coordinate/nodes", index, "60s");
    for (node, x) in [("far", 9.0), ("mid", 5.0), ("near", 1.0), ("home", 0.0)] {
        place(&member, node, x);
    }
    assert!(waiting.end().index() > index);
    assert_eq!(member.json("/v1/coordinate/node/MID")[0]["Coord"]["Vec"][0], 5.0);
    assert_eq!(member.json("/v1/coordinate/nodes").as_array().unwrap().len(), 4);
    let bad = r#"{"Node":"far","Coord":{"Vec":[1]}}"#;
    member.put("/v1/coordinate/update", bad).says(500, "incompatible coordinate");

    let nodes = |path: &str, at: &str| -> Vec<String> {
        let rows = member.json(path);
        let rows = rows.as_array().unwrap().iter();
        rows.map(|row| row.pointer(at).unwrap().as_str().unwrap().to_owned()).collect()
    };
    let nearest_first = ["near", "mid", "far"];
    assert_eq!(nodes("/v1/catalog/service/web?near=_agent", "/Node"), nearest_first);
    assert_eq!(nodes("/v1/health/service/web?near=_agent", "/Node/Node"), nearest_first);
    assert_eq!(nodes("/v1/health/checks/web?near=home", "/Node"), nearest_first);
    assert_eq!(nodes("/v1/catalog/service/web?near=far", "/Node"), ["far", "mid", "near"]);
    assert_eq!(nodes("/v1/catalog/nodes?near=_agent", "/Node")[..2], ["home", "near"]);
    // A node without coordinates leaves the order as it is.
    assert_eq!(nodes("/v1/catalog/service/web?near=nobody", "/Node"), ["far", "mid", "near"]);
    let query = json!({"Name": "q", "Service": {"Service": "web", "Near": "_agent"}});
    member.send("POST", "/v1/query", &[], query.to_string().as_bytes()).ok();
    let found = |query: &str| {
        let nodes = member.json(&format!("/v1/query/q/execute{query}"))["Nodes"].clone();
        let names = nodes.as_array().unwrap().iter();
        names.map(|node| node["Node"]["Node"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(found(""), nearest_first);
    assert_eq!(found("?near=far&limit=1"), ["far"]);
    assert_eq!(found("?near=_ip")[0], "near");
    member.put("/v1/catalog/deregister", r#"{"Node":"far"}"#).ok();
    assert_eq!(member.get("/v1/coordinate/node/far").status, 404);
}

#[test]
fn the_log_is_followed_only_where_the_program_hands_it_over() {
    let server = Server::start_embedded(settings()).unwrap();
    server.wait_ready(LONG).unwrap();
    let api = Api { address: server.addresses().http.unwrap() };
    let refused = api.get("/v1/agent/monitor");
    assert_eq!(refused.status, 500);
    assert!(refused.text().contains("does not provide its log"), "{}", refused.text());
    api.get("/v1/agent/monitor?loglevel=loud").says(400, "Unknown log level: loud");

    let feed = Arc::new(LogFeed::default());
    server.feed_log(Arc::clone(&feed)).unwrap();
    let mut stream = TcpStream::connect(api.address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.write_all(b"GET /v1/agent/monitor?loglevel=WARN HTTP/1.1\r\nHost: m\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    assert_eq!(lines.next().unwrap(), "HTTP/1.1 200 OK");
    for (level, message) in [(tracing::Level::INFO, "unheard"), (tracing::Level::WARN, "heard")] {
        let timestamp = "2026-01-31T12:00:00.000Z";
        feed.publish(&LogLine { timestamp, level, module: "test", message, fields: &[] });
    }
    let line = lines.find(|line| line.contains("heard")).unwrap();
    assert_eq!(line, "2026-01-31T12:00:00.000Z [WARN]  test: heard");
}

#[test]
fn the_metrics_of_each_interval_are_streamed() {
    let member = member();
    let mut stream = TcpStream::connect(member.address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.write_all(b"GET /v1/agent/metrics/stream HTTP/1.1\r\nHost: m\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    let line = lines.find(|line| line.starts_with('{')).unwrap();
    let metrics: Value = serde_json::from_str(&line).unwrap();
    assert!(metrics["Gauges"].is_array());
}

#[test]
fn the_host_is_told_as_far_as_it_is_known() {
    let host = member().json("/v1/agent/host");
    assert_eq!(host["Errors"], Value::Null, "{host}");
    assert!(host["Memory"]["total"].as_u64().unwrap() > 1 << 20);
    assert!(!host["CPU"].as_array().unwrap().is_empty());
    assert!(host["Host"]["uptime"].as_u64().unwrap() > 0);
    assert!(host["Disk"]["total"].as_u64().unwrap() > 0);
    assert!(host["CollectionTime"].as_u64().unwrap() > 1_600_000_000_000_000_000);
}

#[test]
fn a_path_that_is_not_clean_is_redirected_and_a_key_never_is() {
    let member = member();
    let reply = member.get("/v1//catalog/./nodes?near=_agent&pretty");
    assert_eq!(reply.status, 301);
    assert_eq!(reply.header("Location"), Some("/v1/catalog/nodes?near=_agent&pretty"));
    assert_eq!(
        reply.text(),
        "<a href=\"/v1/catalog/nodes?near=_agent&amp;pretty\">Moved Permanently</a>.\n\n"
    );
    assert_eq!(member.get("/v1/kv").header("Location"), Some("/v1/kv/"));
    member.put("/v1/kv/a//b/../c", "1").says(200, "true");
    assert_eq!(member.json("/v1/kv/?keys"), json!(["a//b/../c"]));
}

#[test]
fn who_would_take_a_cached_answer_is_told_that_it_is_none() {
    let member = member();
    let cached = member.get("/v1/health/service/consul?cached").ok();
    assert_eq!((cached.header("X-Cache"), cached.header("Age")), (Some("MISS"), None));
    assert_eq!(member.get("/v1/health/service/consul").header("X-Cache"), None);
    assert_eq!(member.get("/v1/kv/x?cached").header("X-Cache"), None);
    let nonsense = [("Cache-Control", "max-age=soon")];
    member
        .send("GET", "/v1/catalog/nodes?cached", &nonsense, b"")
        .says(400, "Invalid Cache-Control header.");
    member.send("GET", "/v1/catalog/nodes", &[("Cache-Control", "max-age=0")], b"").ok();
}

#[test]
fn usage_is_counted_and_there_is_no_gossip_to_encrypt() {
    let member = member();
    let usage = member.json("/v1/operator/usage");
    assert_eq!(usage["Usage"]["dc1"]["Nodes"], 1);
    assert_eq!(usage["Usage"]["dc1"]["BillableServiceInstances"], 0);
    assert_eq!(member.get("/v1/operator/keyring").status, 500);
}

#[test]
fn without_a_mesh_nothing_is_connected_and_everything_allowed() {
    let member = member();
    for path in ["/v1/connect/ca/roots", "/v1/discovery-chain/web", "/v1/agent/connect/ca/roots"] {
        let reply = member.get(path);
        reply.says(500, "Connect must be enabled in order to use this endpoint");
        assert_eq!((reply.index(), reply.header("X-Consul-Knownleader")), (1, Some("false")));
    }
    for path in [
        "/v1/connect/intentions",
        "/v1/catalog/connect/web",
        "/v1/health/connect/web",
        "/v1/health/ingress/web?passing",
        "/v1/config/service-defaults",
        "/v1/peerings",
        "/v1/exported-services",
        "/v1/imported-services",
        "/v1/internal/federation-states",
    ] {
        assert_eq!(member.json(path), json!([]), "{path}");
    }
    member.get("/v1/health/connect/web?passing=maybe").says(400, "Invalid value for ?passing");
    assert_eq!(
        member.json("/v1/connect/intentions/check?source=a&destination=b"),
        json!({"Allowed": true})
    );
    assert_eq!(member.json("/v1/connect/intentions/match?by=source&name=web"), json!({"web": []}));
    member
        .get("/v1/config/service-defaults/nope")
        .says(404, "Config entry not found for \"service-defaults\" / \"nope\"");
    member.get("/v1/config/bogus").says(500, "invalid config entry kind: bogus");
    for path in ["/v1/acl/tokens", "/v1/acl/policies", "/v1/acl/replication", "/v1/acl/token/self"]
    {
        member.get(path).says(401, "ACL support disabled");
    }
    member.put("/v1/acl/bootstrap", "").says(401, "ACL support disabled");
    member.put("/v1/agent/token/default", "{}").says(401, "ACL support disabled");
    member.put("/v1/agent/reload", "").says(200, "");
    assert!(member.json("/v1/agent/version")["HumanVersion"].is_string());
}

#[test]
fn waits_take_as_long_as_the_settings_say() {
    // Defaults are Consul's.
    let waits = settings().queries;
    assert_eq!((waits.default_wait_ms, waits.max_wait_ms), (300_000, 600_000));
    let _default = Point::of("B-12");
    let _longest = Point::of("B-11");
    let mut short = settings();
    (short.queries.default_wait_ms, short.queries.max_wait_ms) = (500, 1000);
    let member = crate::http_client::member_with(short);
    member.put("/v1/kv/x", "1").ok();
    let index = member.get("/v1/kv/x").index();
    let clipped = member.wait("/v1/kv/x", index, "20m").end().ok();
    let took = clipped.took;
    assert!((1000..5000).contains(&took.as_millis()), "{took:?}");
    let took = member.get(&format!("/v1/kv/x?index={index}")).ok().took;
    assert!((500..5000).contains(&took.as_millis()), "{took:?}");
}

#[test]
fn what_belongs_to_consul_enterprise_is_not_there() {
    let member = member();
    for path in ["license", "utilization", "area", "segment", "audit-hash"] {
        member
            .get(&format!("/v1/operator/{path}"))
            .says(404, "Invalid URL path: not a recognized HTTP API endpoint");
    }
}

#[test]
fn who_waits_for_what_never_changes_waits_the_whole_time() {
    let member = member();
    for path in ["/v1/connect/intentions", "/v1/config/service-defaults", "/v1/peerings"] {
        let empty = member.get(path).ok();
        assert_eq!((empty.text(), empty.index()), ("[]", 1), "{path}");
        assert_eq!(empty.header("X-Consul-Knownleader"), Some("true"));
        let waited = member.wait(path, 1, "300ms").end().ok();
        assert!(waited.took.as_millis() >= 300, "{path}: {:?}", waited.took);
    }
}

#[test]
fn only_the_catalog_health_and_queries_tell_how_consistent_they_are() {
    let member = member();
    for (path, told) in [
        ("/v1/catalog/nodes?stale", Some("stale")),
        ("/v1/health/state/any?consistent", Some("consistent")),
        ("/v1/query", Some("leader")),
        ("/v1/coordinate/nodes", None),
        ("/v1/session/list", None),
        ("/v1/kv/?keys", None),
    ] {
        let reply = member.get(path).ok();
        assert_eq!(reply.header("X-Consul-Effective-Consistency"), told, "{path}");
    }
}

#[test]
fn a_member_tells_of_itself_what_programs_look_for() {
    let member = member();
    let own = member.json("/v1/agent/self");
    for part in ["Config", "DebugConfig", "Coord", "Member", "Stats", "Meta", "xDS"] {
        assert!(own[part].is_object(), "{part}");
    }
    for (part, names) in [
        ("agent", &["check_monitors", "check_ttls", "checks", "services"][..]),
        ("build", &["prerelease", "revision", "version"]),
        ("consul", &["bootstrap", "known_datacenters", "leader", "leader_addr", "server"]),
        ("raft", &["applied_index", "commit_index", "last_contact", "last_log_term", "state"]),
        ("runtime", &["arch", "cpu_count", "goroutines", "max_procs", "os", "version"]),
        ("serf_lan", &["failed", "left", "members", "health_score"]),
        ("serf_wan", &["failed", "left", "members"]),
    ] {
        for name in names {
            assert!(own["Stats"][part][name].is_string(), "{part}.{name} is a text");
        }
    }
    let raft = |name: &str| own["Stats"]["raft"][name].as_str().unwrap().parse::<u64>().unwrap();
    for name in ["applied_index", "commit_index", "last_log_term"] {
        assert!(raft(name) > 0, "{name} is 0");
    }
    assert!(raft("last_log_index") >= raft("applied_index"));
    let raft_settings = member.json("/v1/operator/raft/configuration");
    assert_eq!(
        raft_settings["Index"].to_string(),
        own["Stats"]["raft"]["latest_configuration_index"].as_str().unwrap()
    );
    assert_eq!(own["DebugConfig"]["CheckOutputMaxSize"], 4096);
    assert_eq!(own["DebugConfig"]["CheckDeregisterIntervalMin"], "1m0s");
    for name in ["DNSPorts", "DNSAddrs", "HTTPAddrs", "TaggedAddresses", "TxnMaxReqLen"] {
        assert!(!own["DebugConfig"][name].is_null(), "{name}");
    }
    for tag in ["build", "dc", "ft_fs", "id", "port", "raft_vsn", "role", "wan_join_port"] {
        assert!(own["Member"]["Tags"][tag].is_string(), "{tag}");
    }
}

#[test]
fn the_wide_area_has_all_segments_and_the_servers_as_they_are_called() {
    let member = member();
    let wide = member.json("/v1/agent/members?segment=_all&wan=1");
    assert_eq!((&wide[0]["Name"], &wide[0]["Port"]), (&json!("home.dc1"), &json!(8302)));
    let refused = member.get("/v1/agent/members?segment=alpha&wan=1");
    refused.says(400, "Cannot provide a segment with wan=true");
    let datacenters = member.json("/v1/coordinate/datacenters");
    assert_eq!(datacenters[0]["Coordinates"][0]["Node"], "home");
}
