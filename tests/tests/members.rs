//! Several members in one process, with real sockets and real logs.

use std::net::TcpListener;
use std::time::Duration;

use coord_core::ErrorKind;
use coord_core::embedded::{Cluster, Server};
use coord_core::node::ReadLevel;
use coord_core::settings::Settings;
use coord_state::Command;
use coord_state::consul::{ConsulCommand, KvOp};

const LIMIT: Duration = Duration::from_secs(30);

fn three_members() -> Cluster {
    Cluster::start(3, &Settings::embedded(), LIMIT).expect("three members start")
}

fn leader_of(cluster: &Cluster) -> usize {
    let status = cluster.servers()[0].node().expect("it runs").status();
    let leader = status.leader.expect("a leader is known");
    usize::try_from(leader.0).expect("a small number") - 1
}

fn set(key: &'static str) -> Command {
    let value = bytes::Bytes::from_static(b"value");
    Command::Consul(ConsulCommand::Kv(KvOp::Set { key: key.into(), value, flags: 0 }))
}

/// Runs `work` on a member's own runtime, within the limit.
fn on<T>(server: &Server, what: &str, work: impl Future<Output = T>) -> T {
    let runtime = server.runtime().expect("it runs");
    runtime
        .block_on(async { tokio::time::timeout(LIMIT, work).await })
        .unwrap_or_else(|_| panic!("{what}: no answer within {} s", LIMIT.as_secs()))
}

// Found as: a follower that never noticed the new leader, because it was woken
// by a channel older than the one it then read.
#[test]
fn both_survivors_write_and_confirm_reads_after_the_leader_stopped() {
    let mut cluster = three_members();
    let leader = leader_of(&cluster);
    cluster.stop_member(leader).expect("the leader stops");
    for (position, server) in cluster.servers().iter().enumerate() {
        let Ok(node) = server.node() else { continue };
        let role = format!("member {} after leader {} stopped", position + 1, leader + 1);
        let applied = on(server, &role, node.propose(&set("after")));
        assert!(applied.is_ok(), "{role}: {applied:?}");
        let confirmed = on(server, &role, async {
            loop {
                if let Ok(freshness) = node.confirm(ReadLevel::Linearizable).await {
                    return freshness;
                }
                tokio::task::yield_now().await;
            }
        });
        assert!(confirmed.known_leader, "{role}");
        assert!(node.read(|state| state.consul().kv().get(b"after").is_some()), "{role}");
    }
}

/// Three members, each with a list of its own; `None` if a port was taken meanwhile.
fn members_told(spellings: [[&str; 3]; 3]) -> Option<Vec<Server>> {
    let free = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    let ports = free.map(|listener| listener.local_addr().expect("an address").port());
    let start = |(member_id, hosts): (u64, [&str; 3])| {
        let places = hosts.iter().zip(ports).map(|(host, port)| format!("{host}:{port}"));
        let mut settings = Settings { member_id, ..Settings::embedded() };
        settings.members = (1..).zip(places).collect();
        let own = ports[usize::try_from(member_id).expect("a small number") - 1];
        // All are on this machine, so nobody else has to be kept out.
        settings.set("peer_addr", &format!("127.0.0.1:{own}")).expect("an address");
        match Server::start_embedded(settings) {
            Ok(server) => Some(server),
            Err(error) if error.chain().contains("the port is in use") => None,
            Err(error) => panic!("{}", error.chain()),
        }
    };
    (1..).zip(spellings).map(start).collect()
}

#[test]
fn members_with_lists_of_their_own_form_one_cluster() {
    let spellings = [
        ["0.0.0.0", "localhost", "127.0.0.1"],
        ["localhost", "[::]", "LOCALHOST"],
        ["127.0.0.1", "127.0.0.1", "0.0.0.0"],
    ];
    let servers = (0..10).find_map(|_| members_told(spellings)).expect("three free ports");
    for (position, server) in servers.iter().enumerate() {
        server.wait_ready(LIMIT).expect("they form a cluster");
        let node = server.node().expect("it runs");
        let role = format!("member {}", position + 1);
        on(server, &role, node.propose(&set("written"))).expect("it is written");
        on(server, &role, async {
            while node.config().len() < 3 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        // Each is known by a place where others reach it.
        for (member, line) in node.config() {
            let at = line.peer();
            assert!(!at.contains("0.0.0.0") && !at.contains("[::]"), "member {member} at {at}");
        }
    }
}

#[test]
fn a_taken_port_is_refused_alike_whatever_it_is_for() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    for name in ["zk_addr", "http_addr", "dns_addr", "peer_addr"] {
        let mut settings = Settings::embedded();
        settings.set(name, &address).expect("an address");
        let refused = Server::start_embedded(settings).map(drop).expect_err(name);
        assert_eq!(*refused.kind(), ErrorKind::Invalid, "{name}");
        let why = refused.chain();
        assert!(why.contains(&address) && why.contains("the port is in use"), "{name}: {why}");
    }
}
