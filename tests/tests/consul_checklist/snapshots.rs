//! Saving the whole state and restoring it.

use std::time::{Duration, Instant};

use coord_core::client::zookeeper::blocking::Client as ZkClient;
use coord_core::client::zookeeper::{
    Ace, CreateMode, CreateOptions, Identity, Settings as ZkSettings, State,
};
use coord_core::embedded::{Cluster, Server};
use coord_core::settings::Settings;
use coord_state::{Digest, Revision};

use crate::http_client::{Api, LONG, Member, member, settings};
use crate::score::Point;

fn save(api: &Api) -> Vec<u8> {
    let reply = api.get("/v1/snapshot").ok();
    assert_eq!(reply.header("Content-Type"), Some("application/x-gzip"));
    assert!(reply.index() > 1);
    assert_eq!(reply.body[..2], [0x1f, 0x8b]);
    reply.body
}

fn register(api: &Api, service: &str) {
    let body = format!(
        r#"{{"Node":"ext","Address":"1.2.3.4","Service":{{"Service":"{service}"}},
            "Check":{{"Name":"c","Status":"passing"}}}}"#
    );
    api.put("/v1/catalog/register", body).says(200, "true");
}

#[test]
fn an_archive_brings_back_what_was_saved() {
    let _point = Point::of("O-04");
    let member = member();
    member.put("/v1/kv/kept?flags=7", "old").ok();
    register(&member, "web");
    let session = member.session(r#"{"Node":"ext","TTL":"60s","Checks":[]}"#);
    member.put(&format!("/v1/kv/lock?acquire={session}"), "mine").says(200, "true");
    let saved = member.json("/v1/kv/kept");
    let archive = save(&member);

    member.put("/v1/kv/kept", "new").ok();
    member.put("/v1/kv/later", "1").ok();
    member.put("/v1/catalog/deregister", r#"{"Node":"ext"}"#).ok();
    member.put("/v1/agent/service/register", r#"{"Name":"local"}"#).ok();
    let before = member.get("/v1/kv/kept").index();
    member.put("/v1/snapshot", &archive).says(200, "");

    assert_eq!(member.json("/v1/kv/kept"), saved);
    assert_eq!(member.get("/v1/kv/later").status, 404);
    assert_eq!(member.json("/v1/health/service/web?passing")[0]["Node"]["Node"], "ext");
    assert_eq!(member.json("/v1/kv/lock")[0]["Session"], *session);
    // Whoever waits with an index of before the restore misses nothing.
    assert!(member.get("/v1/kv/kept").index() > before);
    member.put("/v1/kv/kept", "newest").ok();
    let newest = member.get("/v1/kv/kept");
    assert_eq!(newest.json()[0]["ModifyIndex"], newest.index());
    // What the agent has registered since is in the catalog again.
    wait_until(|| !member.json("/v1/catalog/service/local").as_array().unwrap().is_empty());
}

#[test]
fn a_restore_answers_everybody_who_waits() {
    let _point = Point::of("B-13");
    let member = member();
    member.put("/v1/kv/x", "1").ok();
    register(&member, "web");
    let archive = save(&member);
    let paths = [
        "/v1/kv/x",
        "/v1/kv/?keys",
        "/v1/kv/none",
        "/v1/catalog/nodes",
        "/v1/health/service/web",
        "/v1/health/service/none",
        "/v1/session/list",
        "/v1/query",
    ];
    let waiting: Vec<_> =
        paths.map(|path| member.wait(path, member.get(path).index(), "60s")).into_iter().collect();
    // One that waits for an index far ahead is answered too.
    let ahead = member.wait("/v1/kv/x", 1 << 40, "60s");
    let blocked = || {
        let metrics = member.json("/v1/agent/metrics");
        let gauges = metrics["Gauges"].as_array().unwrap().clone();
        let blocked = gauges.iter().find(|gauge| gauge["Name"] == "consul.rpc.queries_blocking");
        blocked.unwrap()["Value"].as_u64().unwrap()
    };
    wait_until(|| blocked() > paths.len() as u64);
    member.put("/v1/snapshot", &archive).says(200, "");
    for (path, waiting) in paths.iter().zip(waiting) {
        assert!(waiting.end().took < Duration::from_secs(30), "{path}");
    }
    assert!(ahead.end().took < Duration::from_secs(30));
}

#[test]
fn a_damaged_archive_is_refused_and_changes_nothing() {
    let member = member();
    member.put("/v1/kv/x", "1").ok();
    let archive = save(&member);
    member.put("/v1/kv/x", "2").ok();
    let cut = member.put("/v1/snapshot", &archive[..archive.len() / 2]);
    assert_eq!(cut.status, 500);
    assert!(cut.text().starts_with("failed to decompress snapshot: "), "{}", cut.text());
    let rubbish = member.put("/v1/snapshot", "rubbish that is no archive at all");
    assert!(rubbish.text().starts_with("failed to decompress snapshot: "), "{}", rubbish.text());
    assert_eq!(member.put("/v1/snapshot", "").status, 500);
    assert_eq!(member.json("/v1/kv/x")[0]["Value"], "Mg==");
}

#[test]
fn an_archive_that_is_too_large_is_refused() {
    let mut settings = settings();
    settings.limits.archive_bytes_max = 2000;
    let member = crate::http_client::member_with(settings);
    let archive = save(&member);
    assert_eq!(member.put("/v1/snapshot", &archive).status, 413);
}

#[test]
fn a_restore_over_one_member_reaches_all_in_one_revision() {
    let settings = Settings { zk_addr: "127.0.0.1:0".parse().unwrap(), ..settings() };
    let mut cluster = Cluster::start(3, &settings, LONG).unwrap();
    let apis: Vec<_> = cluster.servers().iter().map(api_of).collect();
    // More than the log takes in one piece.
    let value = vec![b'x'; 400 << 10];
    for key in 0..8 {
        apis[0].put(&format!("/v1/kv/large/{key}"), &value).says(200, "true");
    }
    let archive = save(&apis[1]);
    apis[0].delete("/v1/kv/large?recurse").ok();
    let zk = cluster.servers()[1].addresses().zk.unwrap().to_string();
    let client = ZkClient::connect(ZkSettings::with_hosts(zk), LONG).unwrap();
    let ephemeral = CreateOptions::mode(CreateMode::Ephemeral { sequential: false });
    client.create("/mine", None, &ephemeral).unwrap();
    let session = client.session().id;

    apis[2].put("/v1/snapshot", &archive).says(200, "");
    wait_until(|| {
        let states: Vec<_> = cluster.servers().iter().map(state_of).collect();
        states.iter().all(|state| *state == states[0])
    });
    for api in &apis {
        assert_eq!(api.json("/v1/kv/large/?keys").as_array().unwrap().len(), 8);
        assert_eq!(
            api.json("/v1/kv/large/7?stale")[0]["CreateIndex"],
            apis[0].json("/v1/kv/large/7")[0]["CreateIndex"]
        );
    }
    // The client learns that its session is over, and its ephemeral with it.
    wait_until(|| client.state() == State::Lost || client.session().id != session);
    let node = cluster.servers()[0].node().unwrap();
    assert!(node.read(|state| state.znodes().znode("/mine").is_none()));
    // The cluster goes on, also without the member that restored.
    cluster.stop_member(2).unwrap();
    apis[1].put("/v1/kv/after", "1").says(200, "true");
}

/// A member that listens beyond loopback, with an HTTP API reached over loopback.
fn open_member(settings: Settings) -> (Server, Api) {
    let zk_addr = "127.0.0.1:0".parse().unwrap();
    let http_addr = "0.0.0.0:0".parse().unwrap();
    let server = Server::start_embedded(Settings { zk_addr, http_addr, ..settings }).unwrap();
    server.wait_ready(LONG).unwrap();
    let port = server.addresses().http.unwrap().port();
    (server, Api { address: ([127, 0, 0, 1], port).into() })
}

fn create_guarded(server: &Server, acl: Vec<Ace>) {
    let zk = server.addresses().zk.unwrap().to_string();
    let client = ZkClient::connect(ZkSettings::with_hosts(zk), LONG).unwrap();
    let options = CreateOptions { acl: Some(acl), ..CreateOptions::default() };
    client.create("/guarded", Some("a secret".into()), &options).unwrap();
}

fn ace(perms: u32, scheme: &str, id: &str) -> Ace {
    Ace { perms, identity: Identity { scheme: scheme.into(), id: id.into() } }
}

#[test]
fn nobody_beyond_loopback_restores_an_archive_unless_that_is_allowed() {
    let (_server, api) = open_member(settings());
    api.put("/v1/kv/x", "1").ok();
    // Nothing in it is kept from anybody.
    let archive = save(&api);
    api.put("/v1/kv/x", "2").ok();
    let refused = api.put("/v1/snapshot", &archive);
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("archive.open_to_everybody"), "{}", refused.text());
    assert_eq!(api.json("/v1/kv/x")[0]["Value"], "Mg==");

    let mut allowing = settings();
    allowing.archive.open_to_everybody = true;
    let (_server, api) = open_member(allowing);
    api.put("/v1/snapshot", &archive).says(200, "");
    assert_eq!(api.json("/v1/kv/x")[0]["Value"], "MQ==");
}

#[test]
fn znodes_with_access_lists_leave_in_no_archive_unless_that_is_allowed() {
    // Whoever may not read it, whoever may not write it: its list names somebody.
    for acl in
        [vec![ace(31, "digest", "a:b")], vec![ace(1, "world", "anyone"), ace(31, "digest", "a:b")]]
    {
        let (server, api) = open_member(settings());
        save(&api);
        create_guarded(&server, acl.clone());
        let refused = api.get("/v1/snapshot");
        assert_eq!(refused.status, 403);
        assert!(refused.text().contains("archive.open_to_everybody"), "{}", refused.text());

        let mut allowing = settings();
        allowing.archive.open_to_everybody = true;
        let (server, api) = open_member(allowing);
        create_guarded(&server, acl.clone());
        save(&api);

        // On loopback alone only this machine asks.
        let mut on_loopback = settings();
        on_loopback.zk_addr = "127.0.0.1:0".parse().unwrap();
        let server = Server::start_embedded(on_loopback).unwrap();
        server.wait_ready(LONG).unwrap();
        create_guarded(&server, acl);
        save(&api_of(&server));
    }
}

#[test]
fn a_restored_state_survives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings { data_dir: directory.path().into(), ..settings() };
    let start = || {
        let server = Server::start(settings.clone().validate().unwrap()).unwrap();
        server.wait_ready(LONG).unwrap();
        let api = api_of(&server);
        (server, api)
    };
    let (mut server, api) = start();
    api.put("/v1/kv/x", "1").ok();
    let archive = save(&api);
    api.put("/v1/kv/x", "2").ok();
    api.put("/v1/snapshot", &archive).says(200, "");
    let index = api.get("/v1/kv/x").index();
    server.stop();
    let (_server, api) = start();
    let restored = api.get("/v1/kv/x");
    assert_eq!(restored.json()[0]["Value"], "MQ==");
    assert_eq!(restored.index(), index);
    api.put("/v1/kv/x", "3").says(200, "true");
}

#[test]
fn an_archive_founds_a_cluster_anew() {
    let old = member();
    for _ in 0..50 {
        old.put("/v1/kv/x", "1").ok();
        old.put("/v1/kv/x", "2").ok();
    }
    let (archive, index) = (save(&old), old.get("/v1/kv/x").index());
    let new: Member = member();
    new.put("/v1/snapshot", &archive).says(200, "");
    assert_eq!(new.json("/v1/kv/x"), old.json("/v1/kv/x"));
    // Revisions go on behind those of the archive.
    new.put("/v1/kv/y", "1").ok();
    assert!(new.get("/v1/kv/y").index() > index);
}

fn api_of(server: &Server) -> Api {
    Api { address: server.addresses().http.unwrap() }
}

fn state_of(server: &Server) -> (Revision, Digest) {
    server.node().unwrap().read(|state| (state.revision(), state.digest()))
}

fn wait_until(holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < LONG, "it never became so");
        std::thread::yield_now();
    }
}
