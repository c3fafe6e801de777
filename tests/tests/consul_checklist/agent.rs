//! The agent's checks, and what becomes of its registrations.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use coord_core::embedded::{Cluster, Server};
use coord_core::settings::Settings;
use serde_json::{Value, json};

use crate::http_client::{Api, LONG, member, settings};
use crate::score::Point;

fn register(api: &Api, service: &Value) {
    api.put("/v1/agent/service/register", service.to_string()).says(200, "");
}

/// Waits until the first check of a service looks as wanted.
#[track_caller]
fn check(api: &Api, service: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    check_within(api, service, LONG, wanted)
}

#[track_caller]
fn check_within(
    api: &Api,
    service: &str,
    limit: Duration,
    wanted: impl Fn(&Value) -> bool,
) -> Value {
    let path = format!("/v1/health/checks/{service}");
    let began = Instant::now();
    let mut reply = api.get(&path).ok();
    loop {
        let found = reply.json()[0].clone();
        if wanted(&found) {
            return found;
        }
        assert!(began.elapsed() < limit, "{found}");
        reply = api.wait(&path, reply.index(), "10s").end().ok();
    }
}

fn has(status: &str) -> impl Fn(&Value) -> bool {
    move |check| check["Status"] == status
}

/// An HTTP server that answers with a status that can be changed.
fn web_server() -> (String, Arc<AtomicU16>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/health", listener.local_addr().unwrap());
    let status = Arc::new(AtomicU16::new(200));
    let answered = Arc::clone(&status);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            if stream.read(&mut [0; 4096]).unwrap_or(0) > 0 {
                let status = answered.load(Ordering::SeqCst);
                let text = format!("HTTP/1.1 {status} Said\r\nContent-Length: 2\r\n\r\nhi");
                // Whoever asked may be gone.
                let _ = stream.write_all(text.as_bytes());
            }
        }
    });
    (url, status)
}

#[test]
fn a_ttl_check_says_what_it_is_told_until_it_expires() {
    let _point = Point::of("A-04");
    let member = member();
    register(&member, &json!({"Name": "web", "Check": {"TTL": "1h"}}));
    for (verb, status) in [("pass", "passing"), ("warn", "warning"), ("fail", "critical")] {
        member.put(&format!("/v1/agent/check/{verb}/service:web?note=told"), "").says(200, "");
        let said = check(&member, "web", has(status));
        assert_eq!((&said["Output"], &said["Type"]), (&json!("told"), &json!("ttl")));
    }
    let update = r#"{"Status":"passing","Output":"updated"}"#;
    member.put("/v1/agent/check/update/service:web", update).says(200, "");
    assert_eq!(check(&member, "web", has("passing"))["Output"], "updated");
    member
        .put("/v1/agent/check/update/service:web", r#"{"Status":"bogus"}"#)
        .says(400, "Invalid check status: 'bogus'");

    register(&member, &json!({"Name": "short", "Check": {"TTL": "200ms"}}));
    member.put("/v1/agent/check/pass/service:short?note=well", "").says(200, "");
    let expired = check(&member, "short", |check| {
        check["Output"].as_str().unwrap_or_default().starts_with("TTL expired")
    });
    assert_eq!(expired["Status"], "critical");
    assert_eq!(expired["Output"], "TTL expired (last output before timeout follows): well");
}

#[test]
fn an_http_check_follows_the_status_it_gets() {
    let _point = Point::of("A-05");
    let member = member();
    let (url, status) = web_server();
    register(&member, &json!({"Name": "web", "Check": {"HTTP": url, "Interval": "1s"}}));
    for (code, verdict) in [(200, "passing"), (429, "warning"), (500, "critical"), (204, "passing")]
    {
        status.store(code, Ordering::SeqCst);
        let said = check(&member, "web", has(verdict));
        let output = said["Output"].as_str().unwrap();
        assert!(output.starts_with(&format!("HTTP GET {url}: ")), "{output}");
    }
}

#[test]
fn a_verdict_changes_only_after_so_many_results_in_a_row() {
    let _point = Point::of("A-06");
    let member = member();
    let (url, status) = web_server();
    let check_definition = json!({"HTTP": url, "Interval": "1s",
        "SuccessBeforePassing": 2, "FailuresBeforeCritical": 2});
    let began = Instant::now();
    register(&member, &json!({"Name": "web", "Check": check_definition}));
    check(&member, "web", has("passing"));
    // Two successes are an interval apart.
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    let failing = Instant::now();
    status.store(500, Ordering::SeqCst);
    check(&member, "web", has("critical"));
    assert!(failing.elapsed() >= Duration::from_secs(1), "{:?}", failing.elapsed());
}

/// Takes a minute and a half: nothing goes sooner.
#[test]
fn a_service_goes_when_it_was_critical_for_its_time() {
    let _point = Point::of("A-07");
    let member = member();
    let began = Instant::now();
    register(
        &member,
        &json!({"Name": "web",
            "Check": {"TTL": "1h", "DeregisterCriticalServiceAfter": "1s"}}),
    );
    let path = "/v1/catalog/service/web";
    let mut reply = member.get(path).ok();
    while reply.text() != "[]" {
        assert!(began.elapsed() < Duration::from_secs(150), "{}", reply.text());
        reply = member.wait(path, reply.index(), "30s").end().ok();
    }
    let after = began.elapsed();
    assert!((60..150).contains(&after.as_secs()), "{after:?}");
}

/// Takes up to a minute: the agent compares no more often.
#[test]
fn what_others_put_on_the_agents_node_goes_and_tags_stay_where_it_lets_them() {
    let _point = Point::of("A-19");
    let member = member();
    register(&member, &json!({"Name": "own", "Tags": ["a"], "EnableTagOverride": true}));
    register(&member, &json!({"Name": "strict", "Tags": ["a"]}));
    let put = |service: Value| {
        let body = json!({"Node": "home", "Address": "127.0.0.1", "SkipNodeUpdate": true,
            "Service": service});
        member.put("/v1/catalog/register", body.to_string()).says(200, "true");
    };
    put(json!({"Service": "own", "Tags": ["b"], "EnableTagOverride": true}));
    put(json!({"Service": "strict", "Tags": ["b"]}));
    put(json!({"Service": "foreign"}));
    let path = "/v1/catalog/service/foreign";
    let began = Instant::now();
    let mut reply = member.get(path).ok();
    while reply.text() != "[]" {
        assert!(began.elapsed() < Duration::from_secs(100), "{}", reply.text());
        reply = member.wait(path, reply.index(), "30s").end().ok();
    }
    let tags = |service: &str| {
        member.json(&format!("/v1/catalog/service/{service}"))[0]["ServiceTags"].clone()
    };
    let began = Instant::now();
    while tags("strict") != json!(["a"]) {
        assert!(began.elapsed() < LONG);
        std::thread::yield_now();
    }
    assert_eq!(tags("own"), json!(["b"]));
    assert_eq!(member.json("/v1/agent/service/own")["Tags"], json!(["b"]));
}

#[test]
fn a_dead_node_is_critical_and_its_services_stay_listed() {
    let _point = Point::of("A-20");
    let mut cluster = Cluster::start(3, &settings(), LONG).unwrap();
    let apis: Vec<_> = cluster
        .servers()
        .iter()
        .map(|server| Api { address: server.addresses().http.unwrap() })
        .collect();
    register(&apis[2], &json!({"Name": "web"}));
    let instances = |query: &str| {
        let found = apis[0].json(&format!("/v1/health/service/web{query}"));
        found.as_array().unwrap().len()
    };
    assert_eq!(instances("?passing"), 1);
    let died = Instant::now();
    cluster.stop_member(2).unwrap();
    let path = "/v1/health/node/home-3";
    let mut reply = apis[0].get(path).ok();
    let serf = loop {
        let checks = reply.json();
        let serf = checks.as_array().unwrap().iter().find(|c| c["CheckID"] == "serfHealth");
        if serf.unwrap()["Status"] == "critical" {
            break serf.unwrap().clone();
        }
        assert!(died.elapsed() < LONG);
        reply = apis[0].wait(path, reply.index(), "10s").end().ok();
    };
    assert_eq!(serf["Output"], "Agent not live or unreachable");
    assert_eq!((instances(""), instances("?passing")), (1, 0));
}

#[test]
fn a_restart_brings_services_and_checks_back() {
    let _point = Point::of("A-23");
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings { data_dir: directory.path().into(), ..settings() };
    let start = || {
        let server = Server::start(settings.clone().validate().unwrap()).unwrap();
        server.wait_ready(LONG).unwrap();
        let api = Api { address: server.addresses().http.unwrap() };
        (server, api)
    };
    let (mut server, api) = start();
    register(&api, &json!({"Name": "web", "Tags": ["a"], "Port": 80, "Check": {"TTL": "1h"}}));
    api.put("/v1/agent/check/pass/service:web?note=well", "").says(200, "");
    api.put("/v1/agent/check/register", r#"{"Name":"disk","TTL":"1h"}"#).says(200, "");
    let service = api.json("/v1/agent/service/web");
    server.stop();

    let (_server, api) = start();
    assert_eq!(api.json("/v1/agent/service/web"), service);
    let checks = api.json("/v1/agent/checks");
    assert_eq!(checks["service:web"]["Status"], "passing");
    assert_eq!(checks["service:web"]["Output"], "well");
    assert_eq!(checks["disk"]["Status"], "critical");
    assert_eq!(api.json("/v1/catalog/service/web")[0]["ServicePort"], 80);
}
