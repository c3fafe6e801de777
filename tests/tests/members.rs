//! Several members in one process, with real sockets and real logs.

use std::time::Duration;

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
        let applied = on(server, &role, node.propose(set("after")));
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
