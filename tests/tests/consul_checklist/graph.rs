//! The graph of services: not Consul's, but for its clients.

use std::time::{Duration, Instant};

use coord_core::embedded::{Cluster, Server};
use coord_core::settings::Settings;
use serde_json::{Value, json};

use crate::http_client::{Api, LONG, member, settings};

/// Longer than any wake takes, shorter than the waits that must be woken.
const SOON: Duration = Duration::from_secs(15);
const CYCLE: &str = "dependency cycle: web -> api -> db -> web";

fn agent(api: &Api, service: &Value) {
    api.put("/v1/agent/service/register", service.to_string()).says(200, "");
}

/// A service on a node of nobody's.
fn external(name: &str, depends_on: &Value) -> String {
    let service = json!({"Service": name, "DependsOn": depends_on});
    json!({"Node": "ext", "Address": "10.0.0.9", "Service": service}).to_string()
}

fn catalog(api: &Api, name: &str, depends_on: &Value) {
    api.put("/v1/catalog/register", external(name, depends_on)).says(200, "true");
}

fn critical(api: &Api, service: &str, status: &str) {
    let check = json!({"CheckID": format!("c-{service}"), "Name": "c", "Status": status,
                       "ServiceID": service});
    let body = json!({"Node": "ext", "SkipNodeUpdate": true, "Check": check});
    api.put("/v1/catalog/register", body.to_string()).says(200, "true");
}

/// Until the answer is as wanted.
#[track_caller]
fn until(api: &Api, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let reply = api.get(path);
        let found = serde_json::from_slice(&reply.body).unwrap_or(Value::Null);
        if wanted(&found) {
            return found;
        }
        assert!(began.elapsed() < LONG, "{found}");
        std::thread::yield_now();
    }
}

#[test]
fn services_say_what_they_depend_on_and_the_graph_tells_it() {
    let member = member();
    assert_eq!(member.json("/v1/coord/graph"), json!({"Services": [], "Waves": [], "Missing": []}));
    agent(&member, &json!({"Name": "db"}));
    // As clients say it that know no other way.
    agent(&member, &json!({"Name": "api", "Meta": {"depends-on": "db, cache?"}}));
    let needs = json!(["api", {"Name": "db", "Optional": true, "Tag": "primary"}]);
    agent(&member, &json!({"Name": "web", "DependsOn": needs}));
    let graph = member.json("/v1/coord/graph");
    assert_eq!(graph["Waves"], json!([["db"], ["api"], ["web"]]));
    assert_eq!(graph["Missing"], json!(["cache"]));
    let cause = json!(["cache"]);
    assert_eq!(
        graph["Services"][0],
        json!({"Name": "api", "Status": "passing", "EffectiveStatus": "warning", "Because": cause,
               "DependsOn": [{"Name": "cache", "Optional": true, "Tag": ""},
                             {"Name": "db", "Optional": false, "Tag": ""}]})
    );
    let web = member.json("/v1/coord/graph/WEB");
    assert_eq!((&web["Name"], &web["Ready"]), (&json!("web"), &json!(true)));
    let reached = web["Needs"].as_array().unwrap().iter();
    let reached: Vec<_> = reached.map(|one| (&one["Name"], &one["Distance"])).collect();
    let expected = [("api", 1), ("db", 1), ("cache", 2)].map(|(n, d)| (json!(n), json!(d)));
    assert_eq!(reached, expected.iter().map(|(n, d)| (n, d)).collect::<Vec<_>>());
    assert_eq!(member.json("/v1/coord/graph/db")["NeededBy"].as_array().unwrap().len(), 2);
    // Consul's own answers stay Consul's.
    let own = member.get("/v1/agent/service/web").ok().text().to_owned()
        + member.get("/v1/catalog/service/web").ok().text();
    assert!(!own.contains("DependsOn") && !own.contains("Refused"), "{own}");

    member.get("/v1/coord/graph/nobody").says(404, "unknown service: nobody");
    member.get("/v1/coord/graph/").says(400, "Missing service name");
    let dot = member.get("/v1/coord/graph?format=dot").ok();
    assert_eq!(dot.header("Content-Type"), Some("text/vnd.graphviz; charset=utf-8"));
    assert!(dot.text().contains("\"api\" -> \"cache\" [style=dashed];"), "{}", dot.text());
    let mermaid = member.get("/v1/coord/graph/db?format=mermaid").ok();
    assert!(mermaid.text().starts_with("flowchart LR\n"), "{}", mermaid.text());
    assert_eq!(member.get("/v1/coord/graph?format=png").status, 400);
    let filtered = member.json("/v1/coord/graph?filter=EffectiveStatus+==+passing&stale");
    assert_eq!(filtered["Waves"], json!([["db"]]));
    assert_eq!(member.get("/v1/coord/graph?filter=Nope+==+1").status, 500);
    assert_eq!(member.get("/v1/coord/graph?consistent&stale").status, 400);
}

#[test]
fn upstreams_of_proxies_are_dependencies_of_them_and_of_the_service_beside() {
    let member = member();
    let upstreams = json!({"Upstreams": [{"DestinationName": "db", "LocalBindPort": 9}]});
    let sidecar = json!({"SidecarService": {"Proxy": upstreams}});
    agent(&member, &json!({"Name": "web", "Port": 80, "Connect": sidecar}));
    let service = json!({"Service": "gate", "Kind": "connect-proxy", "Port": 5,
                         "Proxy": {"DestinationServiceName": "api",
                                   "Upstreams": [{"DestinationName": "cache"}]}});
    let body = json!({"Node": "ext", "Address": "10.0.0.9", "Service": service});
    member.put("/v1/catalog/register", body.to_string()).says(200, "true");
    let needs = |name: &str| {
        let around = member.json(&format!("/v1/coord/graph/{name}"));
        let needs = around["Needs"].as_array().unwrap().iter();
        needs.map(|one| one["Name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(needs("web"), ["db"]);
    assert_eq!(needs("web-sidecar-proxy"), ["db"]);
    assert_eq!(needs("gate"), ["cache"]);
    let closing = json!({"Name": "db", "DependsOn": ["web"]}).to_string();
    let refused = member.put("/v1/agent/service/register", closing);
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("dependency cycle: "), "{}", refused.text());
}

#[test]
fn a_cycle_is_refused_over_every_way_to_register() {
    let member = member();
    catalog(&member, "web", &json!(["api"]));
    catalog(&member, "api", &json!(["db"]));
    agent(&member, &json!({"Name": "db", "Port": 1, "Check": {"TTL": "1h", "Status": "passing"}}));
    let before = (member.json("/v1/agent/services"), member.json("/v1/agent/checks"));
    let check = json!({"TTL": "5s", "CheckID": "other"});
    let cyclic = json!({"Name": "db", "Port": 2, "DependsOn": ["web"], "Check": check});
    for path in ["", "?replace-existing-checks"] {
        let path = format!("/v1/agent/service/register{path}");
        member.put(&path, cyclic.to_string()).says(400, CYCLE);
        let after = (member.json("/v1/agent/services"), member.json("/v1/agent/checks"));
        assert_eq!(after, before);
        assert_eq!(member.json("/v1/health/checks/db").as_array().unwrap().len(), 1);
    }
    member.put("/v1/catalog/register", external("db", &json!(["web"]))).says(400, CYCLE);
    let service = json!({"Service": "db", "Meta": {"depends-on": "web?"}});
    let operation = json!({"Verb": "set", "Node": "ext", "Service": service});
    let reply = member.put("/v1/txn", json!([{"Service": operation}]).to_string());
    assert_eq!((reply.status, &reply.json()["Errors"][0]["What"]), (409, &json!(CYCLE)));
    let long: Vec<String> = (0..257).map(|at| format!("s{at}")).collect();
    assert_eq!(member.put("/v1/catalog/register", external("many", &json!(long))).status, 400);
    let itself = json!({"Name": "lone", "DependsOn": ["Lone"]}).to_string();
    let reply = member.put("/v1/agent/service/register", itself);
    reply.says(400, "dependency cycle: lone -> lone");
    assert!(member.json("/v1/agent/services").get("lone").is_none());
}

#[test]
fn who_waits_on_the_graph_is_woken_by_what_it_tells_and_nothing_else() {
    let member = member();
    catalog(&member, "db", &json!([]));
    critical(&member, "db", "passing");
    catalog(&member, "web", &json!(["db"]));
    for path in ["/v1/coord/graph", "/v1/coord/graph/web"] {
        let index = member.get(path).index();
        let waiting = member.wait(path, index, "1s");
        member.put("/v1/kv/x", "1").ok();
        let node = json!({"Node": "ext", "Address": "10.0.0.9", "NodeMeta": {"a": path}});
        member.put("/v1/catalog/register", node.to_string()).ok();
        let reply = waiting.end();
        assert!(reply.took >= Duration::from_secs(1), "{path} took {:?}", reply.took);
        assert_eq!(reply.index(), index, "{path}");

        let waiting = member.wait(path, index, "60s");
        critical(&member, "db", "critical");
        let reply = waiting.end();
        assert!(reply.took < SOON && reply.index() > index, "{path}");
        assert!(reply.text().contains(r#""EffectiveStatus":"critical","Because":["db"]"#));
        critical(&member, "db", "passing");
    }
}

#[test]
fn a_wait_for_a_service_to_be_ready_ends_once_all_it_requires_is_passing() {
    let member = member();
    let path = "/v1/coord/graph/web?ready";
    let reply = member.get(&format!("{path}&wait=10ms"));
    reply.says(404, "unknown service: web");
    catalog(&member, "web", &json!(["api", {"Name": "cache", "Optional": true}]));
    assert_eq!(member.json(&format!("{path}&wait=10ms"))["Ready"], false);
    let waiting = member.wait(path, 0, "60s");
    catalog(&member, "api", &json!(["db"]));
    catalog(&member, "db", &json!([]));
    let reply = waiting.end().ok();
    assert!(reply.took < SOON);
    assert_eq!(reply.json()["Ready"], true);
    critical(&member, "db", "warning");
    assert_eq!(member.json(&format!("{path}&wait=10ms"))["Ready"], false);
}

#[test]
fn a_service_refused_later_is_kept_marked_and_registered_once_it_may_be() {
    let member = member();
    let db = json!({"Name": "db", "DependsOn": ["web"], "Check": {"TTL": "1h"}});
    agent(&member, &db);
    let gone = json!({"Node": "home", "ServiceID": "db"}).to_string();
    member.put("/v1/catalog/deregister", gone).says(200, "true");
    catalog(&member, "web", &json!(["db"]));
    // Whose catalog was replaced compares its own services with it.
    let archive = member.get("/v1/snapshot").ok().body;
    member.put("/v1/snapshot", archive).says(200, "");
    let path = "/v1/agent/service/db";
    let marked = until(&member, path, |found| found.get("Refused").is_some());
    assert_eq!(marked["Refused"], "dependency cycle: web -> db -> web");
    let listed = member.json("/v1/agent/services");
    assert_eq!(listed["db"]["Refused"], "dependency cycle: web -> db -> web");
    member.put("/v1/agent/check/pass/service:db", "").ok();
    // Everything else of the agent is in the catalog all the same.
    agent(&member, &json!({"Name": "other"}));
    assert_eq!(member.json("/v1/catalog/service/other").as_array().unwrap().len(), 1);
    assert_eq!(member.json("/v1/catalog/service/db"), json!([]));

    let gone = json!({"Node": "ext", "ServiceID": "web"}).to_string();
    member.put("/v1/catalog/deregister", gone).says(200, "true");
    let back = |found: &Value| found.as_array().is_some_and(|all| all.len() == 1);
    until(&member, "/v1/health/checks/db", back);
    until(&member, path, |found| found["ID"] == "db" && found.get("Refused").is_none());
}

#[test]
fn the_graph_survives_a_restart_and_goes_on_refusing() {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings { data_dir: directory.path().into(), ..settings() };
    let start = || {
        let server = Server::start(settings.clone().validate().unwrap()).unwrap();
        server.wait_ready(LONG).unwrap();
        (Api::of(&server), server)
    };
    let (api, mut server) = start();
    catalog(&api, "web", &json!(["api"]));
    agent(&api, &json!({"Name": "api", "DependsOn": [{"Name": "db", "Tag": "primary"}]}));
    let before = api.get("/v1/coord/graph").ok();
    server.stop();
    let (api, _server) = start();
    let after = api.get("/v1/coord/graph").ok();
    assert_eq!((after.json(), after.index()), (before.json(), before.index()));
    api.put("/v1/catalog/register", external("db", &json!(["web"]))).says(400, CYCLE);
}

/// Of two registrations that close a cycle together, given to two members at
/// once, one is refused. What is there in the end, the members agree about.
fn race_for_both_ends(rounds: usize) {
    let mut cluster = Cluster::start(3, &settings(), LONG).unwrap();
    let apis: Vec<Api> = cluster.servers().iter().map(Api::of).collect();
    for round in 0..rounds {
        let (one, other) = (format!("a{round}"), format!("b{round}"));
        let register = |at: usize, name: &str, needed: &str| {
            let body = external(name, &json!([needed]));
            apis[(round + at) % 3].put("/v1/catalog/register", body)
        };
        let (first, second) = std::thread::scope(|scope| {
            let first = scope.spawn(|| register(0, &one, &other));
            let second = register(1, &other, &one);
            (first.join().unwrap(), second)
        });
        let mut statuses = [first.status, second.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 400], "{} {}", first.text(), second.text());
    }
    let graph = apis[0].json("/v1/coord/graph?consistent");
    assert_eq!(graph["Services"].as_array().unwrap().len(), rounds);
    assert_eq!(graph["Missing"].as_array().unwrap().len(), rounds);
    let state =
        |server: &Server| server.node().unwrap().read(|state| (state.revision(), state.digest()));
    let began = Instant::now();
    loop {
        let states: Vec<_> = cluster.servers().iter().map(state).collect();
        if states.iter().all(|state| *state == states[0]) {
            break;
        }
        assert!(began.elapsed() < LONG, "{states:?}");
        std::thread::yield_now();
    }
    let leader = cluster.servers()[0].node().unwrap().status().leader.unwrap().0;
    let leader = usize::try_from(leader).unwrap() - 1;
    cluster.stop_member(leader).unwrap();
    let left = &apis[(leader + 1) % 3];
    until(left, "/v1/coord/graph", |found| *found == graph);
}

#[test]
fn two_members_cannot_close_a_cycle_from_both_ends() {
    race_for_both_ends(12);
}

#[test]
#[ignore = "takes a minute"]
fn two_members_cannot_close_a_cycle_from_both_ends_a_thousand_times() {
    race_for_both_ends(1000);
}
