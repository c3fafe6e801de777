//! Members that know each other by a secret they share.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::path::Path;
use std::time::Duration;

use coord_core::client::zookeeper::blocking::Client;
use coord_core::client::zookeeper::{CreateOptions, Settings as ClientSettings};
use coord_core::embedded::{Cluster, Server};
use coord_core::settings::Settings;

const PATIENCE: Duration = Duration::from_secs(30);
const SECRET: &str = "the secret of all members";

fn settings(changes: &[(&str, &str)]) -> Settings {
    let mut settings = Settings::embedded();
    for (key, value) in changes {
        settings.set(key, value).unwrap();
    }
    settings
}

fn client(server: &Server) -> Client {
    let hosts = server.addresses().zk.unwrap().to_string();
    Client::connect(ClientSettings { hosts, ..ClientSettings::default() }, PATIENCE).unwrap()
}

#[test]
fn a_member_off_loopback_starts_only_with_proof_or_the_word_that_it_needs_none() {
    for address in ["0.0.0.0:0", "[::]:0"] {
        let refused = Server::start_embedded(settings(&[("peer_addr", address)])).unwrap_err();
        let refused = refused.to_string();
        for remedy in ["peers.secret_file", "tls.peers", "peers.allow_unauthenticated"] {
            assert!(refused.contains(remedy), "{refused}");
        }
    }
    for remedy in [("peers.secret", SECRET), ("peers.allow_unauthenticated", "true")] {
        let server = Server::start_embedded(settings(&[("peer_addr", "0.0.0.0:0"), remedy]));
        server.unwrap().wait_ready(PATIENCE).unwrap();
    }
}

#[test]
fn a_zoo_cfg_of_several_machines_says_what_to_add() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("zoo.cfg");
    let directory = folder.path().display();
    std::fs::write(folder.path().join("myid"), "1").unwrap();
    let text = format!(
        "dataDir={directory}\nclientPort=2181\nserver.1=zk1:2888:3888\nserver.2=zk2:2888:3888\n\
         server.3=zk3:2888:3888\n"
    );
    std::fs::write(&path, &text).unwrap();
    let refused = Settings::read(&path).unwrap().settings.validate().unwrap_err().to_string();
    assert!(refused.contains("coord.peers.secret_file=FILE"), "{refused}");
    std::fs::write(&path, format!("{text}coord.peers.secret_file=/etc/coord.secret\n")).unwrap();
    Settings::read(&path).unwrap().settings.validate().unwrap();
}

/// Changes all members in rounds, one restart after the other, and writes at
/// each in between.
fn change_over(cluster: &mut Cluster, rounds: &[&[(&str, &str)]]) {
    let mut version = client(&cluster.servers()[0]).get("/n").unwrap().stat.version;
    for (round, changes) in rounds.iter().enumerate() {
        for place in 0..3 {
            cluster.stop_member(place).unwrap();
            for (name, value) in *changes {
                cluster.set(place, name, value).unwrap();
            }
            cluster.start_member(place, PATIENCE).unwrap();
            let data = format!("round {round}, member {place}");
            let stat = client(&cluster.servers()[place]).set("/n", Some(data.into()), -1).unwrap();
            version += 1;
            assert_eq!(stat.version, version);
        }
    }
}

#[test]
fn a_running_cluster_takes_a_secret_up_and_changes_it_one_member_at_a_time() {
    let mut cluster = Cluster::start(3, &Settings::embedded(), PATIENCE).unwrap();
    client(&cluster.servers()[0]).create("/n", None, &CreateOptions::default()).unwrap();
    change_over(
        &mut cluster,
        &[
            &[("peers.secret", SECRET), ("peers.allow_unauthenticated", "true")],
            &[("peers.allow_unauthenticated", "false")],
            &[("peers.secret", "another secret of all"), ("peers.secret_previous", SECRET)],
        ],
    );
    // One that still has the old secret alone is out from here on.
    cluster.stop_member(2).unwrap();
    cluster.set(2, "peers.secret", SECRET).unwrap();
    for place in 0..2 {
        cluster.stop_member(place).unwrap();
        cluster.set(place, "peers.secret_previous", "no secret of anybody").unwrap();
    }
    cluster.start_member(0, Duration::from_millis(1)).unwrap_err();
    cluster.start_member(1, PATIENCE).unwrap();
    cluster.servers()[0].wait_ready(PATIENCE).unwrap();
    cluster.set(2, "peers.secret_previous", SECRET).unwrap();
    cluster.start_member(2, Duration::from_secs(2)).unwrap_err();
    client(&cluster.servers()[0]).set("/n", None, -1).unwrap();
}

#[test]
fn a_secret_file_that_changes_counts_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    let write = |text: &str| {
        let new = folder.path().join("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(&new, &file).unwrap();
    };
    let path = Path::new(&file).to_str().unwrap();
    write(SECRET);
    let mut cluster =
        Cluster::start(3, &settings(&[("peers.secret_file", path)]), PATIENCE).unwrap();
    write(&format!("another secret of all\n{SECRET}\n"));
    // A member that knows the new one alone is heard by those that read it again.
    let alone = folder.path().join("alone");
    std::fs::write(&alone, "another secret of all").unwrap();
    cluster.stop_member(2).unwrap();
    cluster.set(2, "peers.secret_file", alone.to_str().unwrap()).unwrap();
    cluster.start_member(2, PATIENCE).unwrap();
    client(&cluster.servers()[2]).create("/n", None, &CreateOptions::default()).unwrap();
}
