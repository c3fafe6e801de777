//! Checks over HTTP, as a client sees them: told, run, and aliased.
#![allow(clippy::unwrap_used, reason = "whatever fails here fails the test")]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use coord_core::client::consul::blocking::Client;
use coord_core::client::consul::{
    Check, ReadOptions, ServiceDefinition, Settings as ClientSettings,
};
use coord_core::embedded::{Cluster, Server};
use coord_core::settings::{ListenAddress, Settings};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(30);

fn settings() -> Settings {
    Settings { zk_addr: ListenAddress::Off, dns_addr: ListenAddress::Off, ..Settings::embedded() }
}

fn start(settings: Settings) -> (Server, Client) {
    let server = Server::start_embedded(settings).unwrap();
    server.wait_ready(LIMIT).unwrap();
    let client = client_of(&server);
    (server, client)
}

fn client_of(server: &Server) -> Client {
    let address = server.addresses().http.unwrap().to_string();
    Client::new(ClientSettings { address, ..ClientSettings::default() }).unwrap()
}

/// Follows the checks of a service until one looks as wanted.
fn wait_for_check(client: &Client, service: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut options = ReadOptions::default();
    loop {
        let answer = client.health_checks(service, &options).unwrap();
        if let Some(check) = answer.body.as_array().unwrap().iter().find(|check| wanted(check)) {
            return check.clone();
        }
        let news = options.index != answer.index;
        assert!(news, "nothing new for {LIMIT:?}: {}", answer.body);
        options = ReadOptions::waiting(answer.index.unwrap(), LIMIT);
    }
}

fn has(status: &str) -> impl Fn(&Value) -> bool {
    move |check| check["Status"] == status
}

fn register(client: &Client, name: &str, check: Check) {
    let service = ServiceDefinition { checks: vec![check], ..ServiceDefinition::named(name) };
    client.agent_service_register(&service, None).unwrap();
}

/// An HTTP server whose status can be changed.
fn web_server() -> (String, Arc<AtomicU16>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let status = Arc::new(AtomicU16::new(200));
    let answered = Arc::clone(&status);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            if stream.read(&mut request).unwrap_or(0) == 0 {
                continue;
            }
            let status = answered.load(Ordering::SeqCst);
            let text = format!("HTTP/1.1 {status} Said\r\nContent-Length: 2\r\n\r\nhi");
            // Whoever asked may be gone.
            let _ = stream.write_all(text.as_bytes());
        }
    });
    (format!("http://{address}/health"), status)
}

#[test]
fn a_member_goes_on_answering_after_a_ttl_check_expired() {
    // A member that hangs could not be stopped either: it is left behind then.
    let (done, finished) = sync_channel(1);
    let story = thread::spawn(move || {
        expire_a_ttl_check();
        done.send(()).unwrap();
    });
    if finished.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
        panic!("the member hangs");
    }
    story.join().unwrap();
}

fn expire_a_ttl_check() {
    let (mut server, client) = start(settings());
    register(&client, "web", Check::ttl("100ms"));
    client.agent_check_pass("service:web", Some("well")).unwrap();
    let check = wait_for_check(&client, "web", |check| {
        check["Output"].as_str().unwrap().starts_with("TTL expired")
    });
    assert_eq!(check["Status"], "critical");
    assert_eq!(check["Output"], "TTL expired (last output before timeout follows): well");
    // The agent's own state is behind the lock that the expiry takes.
    assert!(client.agent_checks(None).unwrap()["service:web"].is_object());
    client.agent_check_pass("service:web", None).unwrap();
    wait_for_check(&client, "web", has("passing"));
    assert!(client.agent_service_deregister("web", None).unwrap());
    server.stop();
}

#[test]
fn an_http_check_follows_the_answers_of_its_server() {
    let (_server, client) = start(settings());
    let (url, status) = web_server();
    register(&client, "web", Check::http(&url, "1s"));
    let passing = wait_for_check(&client, "web", has("passing"));
    assert_eq!(passing["Output"], format!("HTTP GET {url}: 200 Said Output: hi"));
    assert_eq!(passing["Type"], "http");
    status.store(429, Ordering::SeqCst);
    let warning = wait_for_check(&client, "web", has("warning"));
    assert_eq!(warning["Output"], format!("HTTP GET {url}: 429 Said Output: hi"));
    status.store(500, Ordering::SeqCst);
    wait_for_check(&client, "web", has("critical"));
}

#[test]
fn a_replaced_check_is_probed_as_it_says_now() {
    let (_server, client) = start(settings());
    let (good, _) = web_server();
    let (bad, status) = web_server();
    status.store(500, Ordering::SeqCst);
    register(&client, "web", Check::http(&good, "1s"));
    wait_for_check(&client, "web", has("passing"));
    register(&client, "web", Check::http(&bad, "1s"));
    let critical =
        wait_for_check(&client, "web", |check| check["Output"].as_str().unwrap().contains(&bad));
    assert_eq!(critical["Status"], "critical");
}

#[test]
fn an_alias_is_as_healthy_as_its_service() {
    let (_server, client) = start(settings());
    register(&client, "db", Check::ttl("1h"));
    client.agent_check_pass("service:db", None).unwrap();
    register(&client, "web", Check::default().with("AliasService", json!("db")));
    wait_for_check(&client, "web", has("passing"));
    client.agent_check_fail("service:db", Some("full")).unwrap();
    let critical = wait_for_check(&client, "web", has("critical"));
    assert_eq!(critical["Output"], "Aliased check \"Service 'db' check\" failing: full");
    client.agent_check_pass("service:db", None).unwrap();
    wait_for_check(&client, "web", has("passing"));
    client.agent_service_deregister("db", None).unwrap();
    let alone = wait_for_check(&client, "web", has("critical"));
    let output = alone["Output"].as_str().unwrap();
    assert!(output.starts_with("Service db could not be found on node"), "{output}");
}

#[test]
fn scripts_are_run_only_where_they_are_enabled() {
    let (_server, client) = start(settings());
    let script = || Check::script(&["/bin/sh", "-c", "echo ran; exit 1"], "1s");
    let refused = client.agent_check_register("script", &script(), None).unwrap_err();
    assert!(
        refused.chain().contains(
            "Scripts are disabled on this agent; to enable, configure 'enable_script_checks' \
             or 'enable_local_script_checks' to true"
        ),
        "{}",
        refused.chain()
    );

    let mut enabled = settings();
    enabled.set("agent.enable_script_checks", "true").unwrap();
    let (_server, client) = start(enabled);
    register(&client, "job", script());
    let warning = wait_for_check(&client, "job", has("warning"));
    assert_eq!(warning["Output"], "ran\n");
}

#[test]
fn a_deregistered_script_is_ended() {
    let mut enabled = settings();
    enabled.set("agent.enable_script_checks", "true").unwrap();
    let (_server, client) = start(enabled);
    // The script keeps its connection open until it is killed.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port}; sleep 600");
    register(&client, "job", Check::script(&["/bin/bash", "-c", &script], "1s"));
    let (mut connection, _) = listener.accept().unwrap();
    assert!(client.agent_service_deregister("job", None).unwrap());
    connection.set_read_timeout(Some(LIMIT)).unwrap();
    assert_eq!(connection.read(&mut [0]).unwrap(), 0, "the connection ends with the script");
}

#[test]
fn what_cannot_be_probed_says_so_when_it_is_run() {
    let (_server, client) = start(settings());
    register(&client, "ftp", Check::http("ftp://127.0.0.1/", "1s"));
    let check = wait_for_check(&client, "ftp", |check| check["Output"] != "");
    assert_eq!(check["Status"], "critical");
    let output = check["Output"].as_str().unwrap();
    assert!(output.contains("unsupported protocol scheme \"ftp\""), "{output}");
}

#[test]
fn the_node_of_a_member_that_died_is_critical_and_its_services_stay_listed() {
    let mut cluster = Cluster::start(3, &settings(), LIMIT).unwrap();
    let third = client_of(&cluster.servers()[2]);
    third.agent_service_register(&ServiceDefinition::named("web"), None).unwrap();
    let first = client_of(&cluster.servers()[0]);
    assert_eq!(instances(&first, "web", true), 1);
    cluster.stop_member(2).unwrap();

    let mut options = ReadOptions::default();
    let serf = loop {
        let answer = first.health_node("member-3", &options).unwrap();
        let checks = answer.body.as_array().unwrap();
        let serf = checks.iter().find(|check| check["CheckID"] == "serfHealth").unwrap();
        if serf["Status"] == "critical" {
            break serf.clone();
        }
        assert_ne!(options.index, answer.index, "nothing new for {LIMIT:?}");
        options = ReadOptions::waiting(answer.index.unwrap(), LIMIT);
    };
    assert_eq!(serf["Output"], "Agent not live or unreachable");
    assert_eq!(instances(&first, "web", false), 1);
    assert_eq!(instances(&first, "web", true), 0);
    // The others live on in the catalog as they do in fact.
    for member in ["member-1", "member-2"] {
        let checks = first.health_node(member, &ReadOptions::default()).unwrap().body;
        assert_eq!(checks[0]["Status"], "passing");
    }
}

fn instances(client: &Client, service: &str, passing: bool) -> usize {
    let options = ReadOptions { passing, ..ReadOptions::default() };
    client.health_service(service, &options).unwrap().body.as_array().unwrap().len()
}
