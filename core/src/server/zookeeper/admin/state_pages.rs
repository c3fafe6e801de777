//! Admin commands about the member itself: configuration, memory, state. And
//! those that reset counters.

use std::sync::atomic::Ordering::Relaxed;
use std::time::UNIX_EPOCH;

use coord_state::MemberId;
use serde_json::{Map, Value, json};

use super::four_letter;
use crate::node::Role;
use crate::server::zookeeper::server_context::ServerContext;

type Fields = Result<Value, &'static str>;

pub(super) fn stat_reset(shared: &ServerContext) -> Fields {
    shared.counters.reset();
    Ok(json!({}))
}

pub(super) fn connection_stat_reset(shared: &ServerContext) -> Fields {
    shared.connections().iter().for_each(|client| four_letter::reset(client));
    Ok(json!({}))
}

pub(super) fn dirs(shared: &ServerContext) -> Fields {
    let bytes = four_letter::directory_bytes(&shared.node.settings().data_dir);
    Ok(json!({ "datadir_size": bytes, "logdir_size": bytes }))
}

/// What the member runs with, as its own configuration file would say it.
pub(super) fn initial_configuration(shared: &ServerContext) -> Fields {
    Ok(json!({ "initial_configuration": shared.node.settings().shown() }))
}

/// Every setting by the name it has in a `zoo.cfg`, and the machine.
pub(super) fn system_properties(shared: &ServerContext) -> Fields {
    let mut page = Map::new();
    page.insert("os.name".to_owned(), std::env::consts::OS.into());
    page.insert("os.arch".to_owned(), std::env::consts::ARCH.into());
    for (name, value) in shared.node.settings().named() {
        page.insert(format!("coord.{name}"), value.into());
    }
    Ok(Value::Object(page))
}

/// As ZooKeeper: minus one for what there is none of.
pub(super) fn last_snapshot(shared: &ServerContext) -> Fields {
    let written = std::fs::read_dir(shared.node.settings().data_dir.join("snapshots"))
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let whole = entry.path().extension().is_some_and(|kind| kind == "snapshot");
            whole.then(|| entry.metadata().ok()?.modified().ok()).flatten()
        });
    let seconds = written
        .max()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .and_then(|since| i64::try_from(since.as_secs()).ok());
    let revision = seconds.and_then(|_| shared.node.snapshot_revision());
    let zxid = revision.map_or(-1, |revision| revision.zxid());
    Ok(json!({ "zxid": format!("0x{zxid:x}"), "timestamp": seconds.unwrap_or(-1) }))
}

/// Terms are what ZooKeeper calls epochs; the counter is never begun anew.
pub(super) fn zabstate(shared: &ServerContext) -> Fields {
    let status = shared.node.status();
    let member = shared.node.member();
    let address_of = |wanted: MemberId| {
        let voter = status.voters.iter().find(|(voter, _)| *voter == wanted);
        voter.map_or_else(String::new, |(_, address)| address.clone())
    };
    let revision = shared.node.read(|state| state.revision());
    Ok(json!({
        "myid": member.0,
        "is_leader": matches!(status.role, Role::Leader | Role::Standalone),
        "quorum_address": address_of(member),
        "election_address": address_of(member),
        "client_address": shared.local_addr.to_string(),
        "voting": status.voters.iter().any(|(voter, _)| *voter == member),
        "last_zxid": format!("0x{:x}", revision.0),
        "zab_epoch": status.term,
        "zab_counter": revision.0,
        "zabstate": if status.leader.is_some() { "broadcast" } else { "election" },
    }))
}

/// How many bytes and events went which way, by ZooKeeper's names.
pub(super) fn traffic(shared: &ServerContext) -> Vec<(&'static str, u64)> {
    let counters = &shared.counters;
    let watch = |kind: usize| counters.watch_events[kind].load(Relaxed);
    vec![
        ("connection_request_count", counters.connection_requests.load(Relaxed)),
        ("sessionless_connections_expired", counters.sessionless_expired.load(Relaxed)),
        ("large_requests_rejected", counters.requests_too_large.load(Relaxed)),
        ("bytes_received_count", counters.bytes_received.load(Relaxed)),
        ("response_bytes", counters.response_bytes.load(Relaxed)),
        ("watch_bytes", counters.watch_bytes.load(Relaxed)),
        ("node_created_watch_count", watch(0)),
        ("node_deleted_watch_count", watch(1)),
        ("node_changed_watch_count", watch(2)),
        ("node_children_watch_count", watch(3)),
    ]
}
