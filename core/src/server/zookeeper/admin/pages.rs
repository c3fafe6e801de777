//! ZooKeeper's AdminServer commands under `/commands`, and its metrics for
//! Prometheus under `/metrics`. Served on the HTTP port through
//! [`ExtraRoutes`], to anyone who can connect to that port.
//!
//! As in ZooKeeper, a failure is reported in the field `error` with status 200.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use coord_wire::zookeeper::OpCode;
use serde_json::{Map, Value, json};

use super::four_letter;
use super::lines::{TRACE_MASK, VERSION};
use super::state_pages;
use super::watch_words;
use crate::node::Role;
use crate::server::zookeeper::client_connection::ClientConnection;
use crate::server::zookeeper::server_context::ServerContext;
use crate::server::zookeeper::session::service_mode::ServiceMode;
use crate::server::{ExtraRoutes, Page};
use crate::settings::ServerAddress;

/// ZooKeeper's pages of one server.
#[derive(Debug)]
pub(crate) struct Admin(pub(crate) Arc<ServerContext>);

/// Commands: their names, the first of which is told, and their fields.
type Fields = fn(&ServerContext) -> Result<Value, &'static str>;

const COMMANDS: &[(&[&str], Fields)] = &[
    (&["configuration", "conf", "config"], configuration),
    (&["connection_stat_reset", "crst"], state_pages::connection_stat_reset),
    (&["connections", "cons"], connections),
    (&["dirs"], state_pages::dirs),
    (&["dump"], dump),
    (&["environment", "env", "envi"], environment),
    (&["get_trace_mask", "gtmk"], |_| Ok(json!({ "tracemask": TRACE_MASK }))),
    (&["hash"], digests),
    (&["is_read_only", "isro"], |shared| {
        Ok(json!({ "read_only": shared.service_mode() == ServiceMode::ReadOnly }))
    }),
    (&["initial_configuration", "icfg"], state_pages::initial_configuration),
    (&["last_snapshot", "lsnp"], state_pages::last_snapshot),
    (&["leader", "lead"], leader),
    (&["monitor", "mntr"], monitor),
    (&["observers", "obsr"], observers),
    (&["ruok"], |_| Ok(json!({}))),
    (&["server_stats", "srvr"], server_stats),
    (&["set_trace_mask", "stmk"], |_| Ok(json!({ "tracemask": TRACE_MASK }))),
    (&["stat_reset", "srst"], state_pages::stat_reset),
    (&["stats", "stat"], stats),
    (&["system_properties", "sysp"], state_pages::system_properties),
    (&["voting_view"], voting_view),
    (&["watch_summary", "wchs"], watch_summary),
    (&["watches", "wchc"], watches),
    (&["watches_by_path", "wchp"], watches_by_path),
    (&["zabstate"], state_pages::zabstate),
];

impl ExtraRoutes for Admin {
    fn admin_page(&self, path: &str) -> Option<Page> {
        match path {
            "/metrics" => Some(metrics(&self.0)),
            "/commands" | "/commands/" => Some(links()),
            _ => path.strip_prefix("/commands/").map(|name| command(name, &self.0)),
        }
    }
}

fn command(name: &str, shared: &ServerContext) -> Page {
    let known = COMMANDS.iter().find(|(names, _)| names.contains(&name));
    let status = shared.node.status();
    let well = name == "ruok" && !four_letter::is_ill(shared);
    let serving = well || shared.service_mode() == ServiceMode::ReadOnly || status.leader.is_some();
    let (name, answer) = match known {
        None => (name, Err(format!("Unknown command: {name}"))),
        Some((names, _)) if !serving => {
            (names[0], Err(four_letter::not_serving(&status).trim().to_owned()))
        }
        Some((names, fields)) => (names[0], fields(shared).map_err(str::to_owned)),
    };
    let (fields, error) = match answer {
        Ok(fields) => (fields, Value::Null),
        Err(error) => (json!({}), Value::from(error)),
    };
    let mut page = Map::new();
    page.insert("command".to_owned(), name.into());
    page.insert("error".to_owned(), error);
    if let Value::Object(fields) = fields {
        page.extend(fields);
    }
    Page { content_type: "application/json", body: format!("{:#}\n", Value::Object(page)) }
}

fn links() -> Page {
    let mut body = String::new();
    for (names, _) in COMMANDS {
        // Writing to text cannot fail.
        let _ = writeln!(body, "<a href=\"/commands/{0}\">{0}</a><br/>", names[0]);
    }
    Page { content_type: "text/html; charset=utf-8", body }
}

/// Every number of `mntr` under its ZooKeeper name.
fn metrics(shared: &ServerContext) -> Page {
    let mut body = String::new();
    for (name, value) in four_letter::measures(shared) {
        if value.parse::<f64>().is_ok() {
            // Writing to text cannot fail.
            let _ = write!(body, "# TYPE {name} gauge\n{name} {value}\n");
        }
    }
    Page { content_type: "text/plain; version=0.0.4; charset=utf-8", body }
}

fn monitor(shared: &ServerContext) -> Result<Value, &'static str> {
    let number = |text: String| text.parse::<i64>().map_or_else(|_| decimal(text), Value::from);
    let fields = four_letter::measures(shared).into_iter();
    Ok(fields.map(|(name, value)| (name.to_owned(), number(value))).collect())
}

fn decimal(text: String) -> Value {
    text.parse::<f64>().map_or_else(|_| Value::from(text), Value::from)
}

fn configuration(shared: &ServerContext) -> Result<Value, &'static str> {
    let settings = shared.node.settings();
    let directory = settings.data_dir.display().to_string();
    Ok(json!({
        "client_port": four_letter::ports(shared).0,
        "data_dir": directory,
        "data_log_dir": directory,
        "tick_time": settings.session.tick_ms,
        "max_client_cnxns": settings.limits.zk_connections_per_ip_max,
        "min_session_timeout": settings.session.negotiate(0),
        "max_session_timeout": settings.session.negotiate(i32::MAX),
        "server_id": settings.member_id,
        "client_port_listen_backlog": -1,
    }))
}

fn connections(shared: &ServerContext) -> Result<Value, &'static str> {
    let (secure, plain): (Vec<_>, Vec<_>) =
        shared.connections().into_iter().partition(|client| client.is_tls.load(Relaxed));
    let list = |connection_table: &[Arc<ClientConnection>]| {
        connection_table.iter().map(|client| connection(client)).collect::<Value>()
    };
    Ok(json!({ "connections": list(&plain), "secure_connections": list(&secure) }))
}

fn connection(client: &ClientConnection) -> Value {
    let stats = &client.stats;
    let op = OpCode::from_code(stats.last_op.load(Relaxed)).map_or("NA", OpCode::short_name);
    json!({
        "remote_socket_address": client.address.to_string(),
        "outstanding_requests": stats.outstanding.load(Relaxed),
        "packets_received": stats.received.load(Relaxed),
        "packets_sent": stats.sent.load(Relaxed),
        "session_id": stats.session.load(Relaxed),
        "last_operation": op,
        "established": client.established_ms,
        "session_timeout": stats.timeout_ms.load(Relaxed),
        "last_cxid": stats.last_xid.load(Relaxed),
        "last_zxid": stats.last_zxid.load(Relaxed),
        "last_response_time": stats.last_response_ms.load(Relaxed),
        "last_latency": stats.last_latency_ms.load(Relaxed),
        "min_latency": stats.latency.min(),
        "avg_latency": stats.latency.average_rounded(),
        "max_latency": stats.latency.max(),
    })
}

fn dump(shared: &ServerContext) -> Result<Value, &'static str> {
    let wall_ms = u128::from(shared.node.clock().wall_ms());
    let mut ends: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (session, left) in shared.node.session_time_left().unwrap_or_default() {
        let end = wall_ms + left.as_millis();
        ends.entry(end.to_string()).or_default().push(session.to_string());
    }
    let ephemerals: BTreeMap<String, Vec<String>> = shared.node.read(|state| {
        let sessions = state.sessions().iter();
        let owners = sessions.filter(|(_, session)| !session.ephemerals.is_empty());
        owners
            .map(|(id, session)| {
                (id.to_string(), session.ephemerals.iter().map(ToString::to_string).collect())
            })
            .collect()
    });
    Ok(json!({
        "expiry_time_to_session_ids": ends,
        "session_id_to_ephemeral_paths": ephemerals,
    }))
}

fn environment(shared: &ServerContext) -> Result<Value, &'static str> {
    let text = four_letter::environment(shared);
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    Ok(pairs.map(|(key, value)| (key.to_owned(), Value::from(value))).collect())
}

fn digests(shared: &ServerContext) -> Result<Value, &'static str> {
    let digests = shared.node.digest_history().into_iter();
    let list: Vec<Value> = digests
        .map(|(revision, digest)| {
            json!({ "zxid": revision.0, "digest": four_letter::short(digest), "digestVersion": 2 })
        })
        .collect();
    Ok(json!({ "digests": list }))
}

fn leader(shared: &ServerContext) -> Result<Value, &'static str> {
    let status = shared.node.status();
    if status.role == Role::Standalone {
        return Err("server is not initialized");
    }
    let Some(leader) = status.leader else { return Err("there is no leader") };
    let address = status.voters.iter().find(|(member, _)| *member == leader);
    let host = address.and_then(|(_, address)| address.rsplit_once(':')).map(|(host, _)| host);
    let is_leader = status.role == Role::Leader;
    Ok(json!({ "is_leader": is_leader, "leader_id": leader.0, "leader_ip": host }))
}

/// Only the leader knows of them.
fn observers(shared: &ServerContext) -> Result<Value, &'static str> {
    let in_touch = shared.node.in_touch().unwrap_or_default();
    Ok(json!({ "synced_observers": in_touch.observers, "observers": [] }))
}

/// Who takes part, as `/zookeeper/config` says.
fn voting_view(shared: &ServerContext) -> Result<Value, &'static str> {
    let config = shared.node.config().into_iter();
    let voters = config.filter(|(_, line)| !line.observer);
    let view: Map<String, Value> = voters
        .map(|(member, line)| {
            let at = |port: fn(&ServerAddress) -> u16| -> Vec<String> {
                let places = line.addresses.iter();
                places.map(|place| format!("{}:{}", place.host, port(place))).collect()
            };
            let member_view = json!({
                "server_addresses": at(|place| place.peer_port),
                "election_addresses": at(|place| place.election_port),
                "client_address": line.client.clone().unwrap_or_default(),
                "learner_type": "PARTICIPANT",
            });
            (member.to_string(), member_view)
        })
        .collect();
    Ok(json!({ "current_config": view }))
}

fn server_stats(shared: &ServerContext) -> Result<Value, &'static str> {
    let counters = &shared.counters;
    let (revision, znodes) = shared.node.read(|state| (state.revision(), state.znodes().len()));
    let uptime = shared.node.clock().monotonic().saturating_sub(shared.started);
    Ok(json!({
        "version": VERSION,
        "read_only": shared.service_mode() == ServiceMode::ReadOnly,
        "server_stats": {
            "packets_sent": counters.sent.load(Relaxed),
            "packets_received": counters.received.load(Relaxed),
            "min_latency": counters.latency.min(),
            "avg_latency": decimal(counters.latency.average()),
            "max_latency": counters.latency.max(),
            "outstanding_requests": counters.outstanding.load(Relaxed),
            "num_alive_client_connections": shared.connections().len(),
            "server_state": four_letter::state_name(shared, shared.node.status().role),
            "last_processed_zxid": revision.0,
            "uptime": u64::try_from(uptime.as_millis()).unwrap_or(u64::MAX),
        },
        "client_response": {
            "last_buffer_size": counters.response_last.load(Relaxed),
            "min_buffer_size": counters.response_min.load(Relaxed),
            "max_buffer_size": counters.response_max.load(Relaxed),
        },
        // ZooKeeper counts the root twice.
        "node_count": znodes + 1,
    }))
}

fn stats(shared: &ServerContext) -> Result<Value, &'static str> {
    let mut page = server_stats(shared)?;
    if let (Value::Object(page), Value::Object(more)) = (&mut page, connections(shared)?) {
        page.extend(more);
    }
    Ok(page)
}

fn watch_summary(shared: &ServerContext) -> Result<Value, &'static str> {
    let watches = shared.node.znode_watches().data_summary();
    Ok(json!({
        "num_connections": watches.connections,
        "num_paths": watches.paths,
        "num_total_watches": watches.watches,
    }))
}

fn watches(shared: &ServerContext) -> Result<Value, &'static str> {
    let mut paths_of: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (watched, truncated) = watch_words::some(shared);
    for (path, sessions) in watched {
        for session in sessions {
            paths_of.entry(format!("0x{session:x}")).or_default().push(path.to_string());
        }
    }
    Ok(with_note(json!({ "session_id_to_watched_paths": paths_of }), truncated))
}

fn watches_by_path(shared: &ServerContext) -> Result<Value, &'static str> {
    let (watched, truncated) = watch_words::some(shared);
    let sessions_of: BTreeMap<String, Vec<String>> = watched
        .into_iter()
        .map(|(path, sessions)| {
            (path.to_string(), sessions.iter().map(|session| format!("0x{session:x}")).collect())
        })
        .collect();
    Ok(with_note(json!({ "path_to_session_ids": sessions_of }), truncated))
}

/// Says so if not all watches are shown; ZooKeeper's pages show all, at any cost.
fn with_note(mut fields: Value, truncated: bool) -> Value {
    if truncated {
        fields["truncated"] = "this list is incomplete; wchc and wchp list all watches".into();
    }
    fields
}
