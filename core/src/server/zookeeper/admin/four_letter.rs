//! Four-letter words: text for operators and their tools, in ZooKeeper's exact
//! format.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

use coord_state::Digest;
use coord_wire::zookeeper::OpCode;
use coord_wire::zookeeper::four_letter::FourLetterWord;

use super::dump::dump;
use super::lines::{Lines, TRACE_MASK, VERSION, peer_text};
use super::state_pages;
use super::watch_words;
use crate::durations::DurationSummary;
use crate::node::{Impairment, NodeStatus, Role};
use crate::server::zookeeper::client_connection::ClientConnection;
use crate::server::zookeeper::counters::Latency;
use crate::server::zookeeper::server_context::ServerContext;
use crate::server::zookeeper::session::service_mode::ServiceMode;

const READ_LATENCY: [&str; 5] =
    ["avg_readlatency", "min_readlatency", "max_readlatency", "cnt_readlatency", "sum_readlatency"];
const UPDATE_LATENCY: [&str; 5] = [
    "avg_updatelatency",
    "min_updatelatency",
    "max_updatelatency",
    "cnt_updatelatency",
    "sum_updatelatency",
];

const FSYNC_TIME: [&str; 5] =
    ["avg_fsynctime", "min_fsynctime", "max_fsynctime", "cnt_fsynctime", "sum_fsynctime"];
const SNAPSHOT_TIME: [&str; 5] = [
    "avg_snapshottime",
    "min_snapshottime",
    "max_snapshottime",
    "cnt_snapshottime",
    "sum_snapshottime",
];
const ELECTION_TIME: [&str; 5] = [
    "avg_election_time",
    "min_election_time",
    "max_election_time",
    "cnt_election_time",
    "sum_election_time",
];

const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests\n";

/// The whole answer to `word`.
pub(crate) fn answer(word: FourLetterWord, shared: &ServerContext) -> String {
    if !shared.words.allows(word) {
        let word = word.bytes();
        let word = String::from_utf8_lossy(&word);
        return format!("{word} is not executed because it is not in the whitelist.\n");
    }
    let status = shared.node.status();
    let read_only = shared.service_mode() == ServiceMode::ReadOnly;
    let serving = read_only || status.leader.is_some();
    match word {
        FourLetterWord::Ruok if is_ill(shared) => return not_serving(&status),
        FourLetterWord::Ruok => return "imok".to_owned(),
        FourLetterWord::Isro if read_only || (serving && status.refuses_writes.is_some()) => {
            return "ro".to_owned();
        }
        FourLetterWord::Isro => return if serving { "rw" } else { "null" }.to_owned(),
        FourLetterWord::Envi => return environment(shared),
        FourLetterWord::Gtmk | FourLetterWord::Stmk => return format!("{TRACE_MASK}\n"),
        _ if !serving => return not_serving(&status),
        _ => {}
    }
    let mut text = Lines::default();
    match word {
        FourLetterWord::Srvr => summary(&mut text, shared, &status, false),
        FourLetterWord::Stat => summary(&mut text, shared, &status, true),
        FourLetterWord::Mntr => {
            for (name, value) in measures(shared) {
                text.line(format_args!("zk_{name}\t{value}"));
            }
        }
        FourLetterWord::Conf => settings(&mut text, shared, &status),
        FourLetterWord::Cons => connections(&mut text, shared),
        FourLetterWord::Dump => dump(&mut text, shared),
        FourLetterWord::Dirs => {
            let bytes = directory_bytes(&shared.node.settings().data_dir);
            text.line(format_args!("datadir_size: {bytes}"));
            text.line(format_args!("logdir_size: {bytes}"));
        }
        FourLetterWord::Wchs => watch_words::count(&mut text, shared),
        FourLetterWord::Hash => digests(&mut text, shared),
        FourLetterWord::Crst => {
            for client in shared.connections() {
                reset(&client);
            }
            text.line(format_args!("Connection stats reset."));
        }
        FourLetterWord::Srst => {
            shared.counters.reset();
            text.line(format_args!("Server stats reset."));
        }
        FourLetterWord::Ruok
        | FourLetterWord::Isro
        | FourLetterWord::Envi
        | FourLetterWord::Gtmk
        | FourLetterWord::Stmk
        // Told piece by piece: see `is_told_in_pieces`.
        | FourLetterWord::Wchc
        | FourLetterWord::Wchp => {}
    }
    text.0
}

/// Whether the answer has no bound and so is not made at once. It is empty
/// here then; but a refusal is not.
pub(crate) fn is_told_in_pieces(word: FourLetterWord) -> bool {
    matches!(word, FourLetterWord::Wchc | FourLetterWord::Wchp)
}

/// Whether more is wrong than that no leader is known: whoever asks may have the
/// member restarted, or look at its disk.
pub(super) fn is_ill(shared: &ServerContext) -> bool {
    match shared.node.impairment() {
        Some(Impairment::Stalled(_) | Impairment::Failed(_)) => true,
        Some(Impairment::NoRoom(_)) | None => false,
    }
}

/// ZooKeeper's words, and why if there is more to say than that no leader is known.
pub(super) fn not_serving(status: &NodeStatus) -> String {
    match &status.withdrawn {
        Some(why) => format!("{NOT_SERVING}{why}\n"),
        None => NOT_SERVING.to_owned(),
    }
}

fn summary(text: &mut Lines, shared: &ServerContext, status: &NodeStatus, with_clients: bool) {
    let counters = &shared.counters;
    let connections = shared.connections();
    text.line(format_args!("Zookeeper version: {VERSION}"));
    if shared.service_mode() == ServiceMode::ReadOnly {
        text.line(format_args!("READ-ONLY mode; serving only read-only clients"));
    }
    if with_clients {
        text.line(format_args!("Clients:"));
        for client in &connections {
            text.line(format_args!(" {})", connection_start(client)));
        }
        text.line(format_args!(""));
    }
    let latency = &counters.latency;
    text.line(format_args!(
        "Latency min/avg/max: {}/{}/{}",
        latency.min(),
        latency.average(),
        latency.max()
    ));
    text.line(format_args!("Received: {}", counters.received.load(Relaxed)));
    text.line(format_args!("Sent: {}", counters.sent.load(Relaxed)));
    text.line(format_args!("Connections: {}", connections.len()));
    text.line(format_args!("Outstanding: {}", counters.outstanding.load(Relaxed)));
    let (revision, znodes) = shared.node.read(|state| (state.revision(), state.znodes().len()));
    text.line(format_args!("Zxid: 0x{:x}", revision.0));
    text.line(format_args!("Mode: {}", state_name(shared, status.role)));
    // ZooKeeper counts the root twice.
    text.line(format_args!("Node count: {}", znodes + 1));
    if status.role == Role::Leader {
        let sizes = shared.node.work().proposal_bytes.unwrap_or_default();
        let [last, min, max] = sizes.map(response_size);
        text.line(format_args!("Proposal sizes last/min/max: {last}/{min}/{max}"));
    }
}

/// What `mntr` tells, by name.
pub(super) fn measures(shared: &ServerContext) -> Vec<(&'static str, String)> {
    let mut text = Measures::default();
    let status = shared.node.status();
    let counters = &shared.counters;
    let uptime = shared.node.clock().monotonic().saturating_sub(shared.started);
    let watches = shared.node.znode_watches().counts();
    let (znodes, bytes, sessions, ephemerals) = shared.node.read(|state| {
        let ephemerals: usize =
            state.sessions().iter().map(|(_, session)| session.ephemerals.len()).sum();
        (
            state.znodes().len(),
            state.znodes().approximate_data_size(),
            state.sessions().len(),
            ephemerals,
        )
    });
    let latency = &counters.latency;
    text.value("version", VERSION);
    text.value("server_state", state_name(shared, status.role));
    text.value("peer_state", peer_state(status.role));
    text.value("avg_latency", latency.average());
    text.value("min_latency", latency.min());
    text.value("max_latency", latency.max());
    text.value("packets_received", counters.received.load(Relaxed));
    text.value("packets_sent", counters.sent.load(Relaxed));
    text.value("num_alive_connections", shared.connections().len());
    text.value("outstanding_requests", counters.outstanding.load(Relaxed));
    text.value("uptime", uptime.as_millis());
    text.value("znode_count", znodes + 1);
    text.value("watch_count", watches.data + watches.child);
    text.value("ephemerals_count", ephemerals);
    text.value("approximate_data_size", bytes);
    text.value("global_sessions", sessions);
    text.value("local_sessions", shared.local_sessions.len());
    text.value("connection_rejected", counters.connections_refused.load(Relaxed));
    text.value("connection_evicted", shared.bytes.evictions());
    text.value("connection_bytes", shared.bytes.used());
    text.value("connection_drop_probability", "0.0");
    text.value("last_client_response_size", response_size(counters.response_last.load(Relaxed)));
    text.value("min_client_response_size", response_size(counters.response_min.load(Relaxed)));
    text.value("max_client_response_size", response_size(counters.response_max.load(Relaxed)));
    for (name, count) in state_pages::traffic(shared) {
        text.value(name, count);
    }
    text.value("connection_drop_count", counters.connections_ended.load(Relaxed));
    let work = shared.node.work();
    text.value("proposal_count", work.proposals);
    text.value("commit_count", work.commits);
    text.value("stale_sessions_expired", work.sessions_expired);
    text.durations(&FSYNC_TIME, work.syncs);
    text.durations(&SNAPSHOT_TIME, work.snapshots);
    text.durations(&ELECTION_TIME, work.elections);
    text.summary(&READ_LATENCY, &counters.read_latency);
    text.summary(&UPDATE_LATENCY, &counters.update_latency);
    text.value("auth_failed_count", counters.auth_failed.load(Relaxed));
    text.value("outstanding_tls_handshake", counters.handshakes.load(Relaxed));
    text.value("unsuccessful_handshake", counters.handshakes_failed.load(Relaxed));
    text.value("open_file_descriptor_count", open_files());
    text.value("max_file_descriptor_count", open_files_max());
    text.value("quorum_size", status.voters.len());
    let (mismatches, reinstalls) = shared.node.divergences();
    text.value("digest_mismatches_count", mismatches);
    text.value("state_reinstalls_count", reinstalls);
    text.value("peer_frames_too_large", shared.node.frames_too_large());
    if status.role == Role::Leader
        && let Some(in_touch) = shared.node.in_touch()
    {
        text.value("learners", in_touch.followers + in_touch.observers);
        text.value("synced_followers", in_touch.followers);
        text.value("synced_non_voting_followers", in_touch.others);
        text.value("synced_observers", in_touch.observers);
        let sizes = work.proposal_bytes.unwrap_or_default();
        let [last, min, max] = sizes.map(response_size);
        text.value("last_proposal_size", last);
        text.value("min_proposal_size", min);
        text.value("max_proposal_size", max);
    }
    text.0
}

fn settings(text: &mut Lines, shared: &ServerContext, status: &NodeStatus) {
    let settings = shared.node.settings();
    let directory = settings.data_dir.display();
    let bytes = directory_bytes(&settings.data_dir);
    let (plain, secure) = ports(shared);
    text.line(format_args!("clientPort={plain}"));
    text.line(format_args!("secureClientPort={secure}"));
    text.line(format_args!("dataDir={directory}"));
    text.line(format_args!("dataDirSize={bytes}"));
    text.line(format_args!("dataLogDir={directory}"));
    text.line(format_args!("dataLogSize={bytes}"));
    text.line(format_args!("tickTime={}", settings.session.tick_ms));
    text.line(format_args!("maxClientCnxns={}", settings.limits.zk_connections_per_ip_max));
    text.line(format_args!("minSessionTimeout={}", settings.session.negotiate(0)));
    text.line(format_args!("maxSessionTimeout={}", settings.session.negotiate(i32::MAX)));
    text.line(format_args!("clientPortListenBacklog=-1"));
    text.line(format_args!("serverId={}", settings.member_id));
    if status.voters.len() + status.observers.len() > 1 {
        text.line(format_args!("peerType={}", u8::from(status.role == Role::Learner)));
        let membership = shared.node.read(|state| {
            let config = state.znodes().znode("/zookeeper/config");
            config.and_then(|config| config.data().cloned()).unwrap_or_default()
        });
        text.line(format_args!("membership: "));
        text.line(format_args!("{}", String::from_utf8_lossy(&membership)));
    }
}

/// Where plaintext and TLS are taken; -1 for what is not.
pub(super) fn ports(shared: &ServerContext) -> (i32, i32) {
    let port = |address: Option<SocketAddr>| address.map_or(-1, |at| i32::from(at.port()));
    let addresses = shared.addresses();
    (port(addresses.plain), port(addresses.tls))
}

fn connections(text: &mut Lines, shared: &ServerContext) {
    let now_ms = shared.node.clock().monotonic().as_millis();
    for client in shared.connections() {
        let stats = &client.stats;
        let mut line = connection_start(&client);
        let session = stats.session.load(Relaxed);
        if session != 0 {
            let op =
                OpCode::from_code(stats.last_op.load(Relaxed)).map_or("NA", OpCode::short_name);
            // Writing to text cannot fail.
            let _ = write!(
                line,
                ",sid=0x{session:x},lop={op},est={},to={},lcxid=0x{:x},lzxid=0x{:x},lresp={},\
                 llat={},minlat={},avglat={},maxlat={}",
                client.established_ms,
                stats.timeout_ms.load(Relaxed),
                stats.last_xid.load(Relaxed),
                stats.last_zxid.load(Relaxed),
                u128::from(stats.last_response_ms.load(Relaxed)).min(now_ms),
                stats.last_latency_ms.load(Relaxed),
                stats.latency.min(),
                stats.latency.average_rounded(),
                stats.latency.max(),
            );
        }
        text.line(format_args!(" {line})"));
    }
    text.line(format_args!(""));
}

/// Tools expect numbers of 64 bits.
fn digests(text: &mut Lines, shared: &ServerContext) {
    for (revision, digest) in shared.node.digest_history() {
        text.line(format_args!("{:x}: {}", revision.0, short(digest)));
    }
}

/// Equal for equal digests, and of no use to learn anything about the key they
/// were made with: see docs/adr/0015-what-digests-stand-against.md.
pub(crate) fn short(digest: Digest) -> u64 {
    let bytes = sha1_smol::Sha1::from(digest.0.to_be_bytes()).digest().bytes();
    bytes.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

pub(super) fn environment(shared: &ServerContext) -> String {
    let mut text = Lines::default();
    text.line(format_args!("Environment:"));
    text.line(format_args!("zookeeper.version={VERSION}"));
    text.line(format_args!("host.name={}", shared.local_addr.ip()));
    text.line(format_args!("os.name={}", std::env::consts::OS));
    text.line(format_args!("os.arch={}", std::env::consts::ARCH));
    if let Ok(directory) = std::env::current_dir() {
        text.line(format_args!("user.dir={}", directory.display()));
    }
    text.0
}

/// What `stat` tells of a connection and `cons` begins with.
fn connection_start(client: &ClientConnection) -> String {
    let stats = &client.stats;
    let session = stats.session.load(Relaxed);
    format!(
        "{}[{}](queued={},recved={},sent={}",
        peer_text(client),
        // The socket's interest: it reads once there is a session.
        u8::from(session != 0),
        stats.outstanding.load(Relaxed),
        stats.received.load(Relaxed),
        stats.sent.load(Relaxed)
    )
}

pub(crate) fn reset(client: &ClientConnection) {
    client.stats.received.store(0, Relaxed);
    client.stats.sent.store(0, Relaxed);
    client.stats.latency.reset();
}

/// What the member calls itself: in read-only mode that says all.
pub(super) fn state_name(shared: &ServerContext, role: Role) -> &'static str {
    match shared.service_mode() {
        ServiceMode::ReadOnly => "read-only",
        ServiceMode::ReadWrite | ServiceMode::CutOff => mode(role),
    }
}

fn mode(role: Role) -> &'static str {
    match role {
        Role::Standalone => "standalone",
        Role::Leader => "leader",
        Role::Follower => "follower",
        Role::Learner => "observer",
        Role::Looking => "read-only",
    }
}

fn peer_state(role: Role) -> &'static str {
    match role {
        Role::Standalone | Role::Leader => "leading - broadcast",
        Role::Follower => "following - broadcast",
        Role::Learner => "observing - broadcast",
        Role::Looking => "looking - election",
    }
}

/// ZooKeeper tells -1 where there was none.
fn response_size(bytes: impl PartialEq + From<u8> + ToString) -> String {
    if bytes == 0.into() { "-1".to_owned() } else { bytes.to_string() }
}

/// Sizes of the files directly and indirectly below `directory`.
pub(super) fn directory_bytes(directory: &Path) -> u64 {
    let mut bytes = 0;
    let mut pending = vec![directory.to_owned()];
    while let Some(directory) = pending.pop() {
        let Ok(entries) = std::fs::read_dir(directory) else { continue };
        for entry in entries.flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => pending.push(entry.path()),
                Ok(metadata) => bytes += metadata.len(),
                Err(_) => {}
            }
        }
    }
    bytes
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

fn open_files_max() -> u64 {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[derive(Default)]
struct Measures(Vec<(&'static str, String)>);

impl Measures {
    fn value(&mut self, name: &'static str, value: impl std::fmt::Display) {
        self.0.push((name, value.to_string()));
    }

    /// In milliseconds, as ZooKeeper's; the average with what is less than one.
    fn durations(&mut self, names: &[&'static str; 5], of: DurationSummary) {
        let [average, min, max, count, sum] = *names;
        let average_us = of.total_us.checked_div(of.count).unwrap_or(0);
        self.value(average, format_args!("{}.{:03}", average_us / 1000, average_us % 1000));
        self.value(min, of.min_us / 1000);
        self.value(max, of.max_us / 1000);
        self.value(count, of.count);
        self.value(sum, of.total_us / 1000);
    }

    fn summary(&mut self, names: &[&'static str; 5], latency: &Latency) {
        let [average, min, max, count, sum] = *names;
        self.value(average, latency.average());
        self.value(min, latency.min());
        self.value(max, latency.max());
        self.value(count, latency.count());
        self.value(sum, latency.total());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The difference of two digests is one of hashes, which may not be shown.
    #[test]
    fn what_is_shown_of_digests_tells_nothing_of_their_difference() {
        let (one, two) = (Digest(1 << 100), Digest(3 << 100));
        assert_eq!(short(one), short(Digest(1 << 100)));
        assert_ne!(short(one) ^ short(two), short(Digest(one.0 ^ two.0)));
        assert_ne!((short(one) ^ short(two)).count_ones(), 1);
    }
}
