//! What a user can set. Plain data; [`Settings::default`] runs a good single
//! member on loopback. [`Settings::validate`] is the only door in and reports
//! every problem, not the first.

mod address;
mod auth;
mod dns;
mod jaas;
pub mod limits;
mod numbered;
mod peers;
mod properties;
mod secret;
mod server_line;
mod text;
mod tls;
mod ui;
mod zoo_cfg;
mod zoo_cfg_members;
mod zoo_cfg_numbers;
mod zoo_cfg_secure;
mod zookeeper;

pub use address::ListenAddress;
pub(crate) use address::is_any;
pub use auth::AuthSettings;
pub use dns::DnsSettings;
pub use limits::Limits;
pub use peers::PeerSettings;
pub use secret::Secret;
pub use server_line::{ServerAddress, ServerLine};
pub use tls::{ClientAuth, TlsSettings, TlsVersion};
pub use ui::UiSettings;
pub use zoo_cfg::ReadSettings;
pub use zookeeper::ZookeeperSettings;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Settings of one member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where log, snapshots and the agent's registrations are kept. Created if missing. Only the
    /// user the member runs as may read it: directories have mode 0700 and files 0600, and what is
    /// wider is narrowed at the start. Refused if another user owns it and others may write there.
    /// Default `coord-data`. ZooKeeper: `dataDir`; Consul: `data_dir`.
    pub data_dir: PathBuf,
    /// This member's number, 1 to 254, unique in the cluster. Default 1. ZooKeeper: `myid`.
    pub member_id: u64,
    /// All first members and their peer addresses, `host:port` by member
    /// number; as text also `1=HOST:PORT,2=HOST:PORT`. Empty: a cluster of one.
    /// Only the first start reads it. Members may spell a host differently if both
    /// spellings resolve to one address, and each may have `0.0.0.0` in its own
    /// entry: then it listens on all addresses, and is known to the cluster as the
    /// others spell it.
    /// ZooKeeper: `server.N`.
    #[serde(with = "numbered")]
    pub members: BTreeMap<u64, String>,
    /// Those of `members` that follow without a vote, by number. Default none.
    /// Only the first start reads it. ZooKeeper: `:observer`, `peerType`.
    pub observers: BTreeSet<u64>,
    /// Whether a first start waits to be added to a running cluster, whatever
    /// `members` says. Default no; without it a member waits only if one of
    /// `members` belongs to a cluster already.
    pub join: bool,
    /// Where other members connect to. Default off for one member, otherwise
    /// this member's own entry in `members`. Off loopback it needs
    /// `peers.secret_file`, `tls.peers`, or the word that it does not.
    pub peer_addr: Option<ListenAddress>,
    /// ZooKeeper clients. Default `127.0.0.1:2181`. ZooKeeper: `clientPort`.
    pub zk_addr: ListenAddress,
    /// ZooKeeper clients that speak TLS. Default off; needs `tls.cert_file`.
    /// ZooKeeper: `secureClientPort`.
    pub zk_tls_addr: ListenAddress,
    /// The four-letter words answered, with commas between, or `*` for all.
    /// Default: all if `zk_addr` is on loopback, otherwise
    /// `srvr,ruok,isro,envi,mntr`, since the others are costly or tell about
    /// clients. ZooKeeper: `4lw.commands.whitelist`.
    pub zk_four_letter_words: Option<String>,
    /// HTTP. Default `127.0.0.1:8500`. Consul: `ports.http`.
    pub http_addr: ListenAddress,
    /// The same over TLS. Default off; needs `tls.cert_file`. Consul: `ports.https`.
    pub https_addr: ListenAddress,
    /// DNS, UDP and TCP. Default `127.0.0.1:8600`. Consul: `ports.dns`.
    pub dns_addr: ListenAddress,
    /// This member's name in the catalog. Default: the machine's name.
    /// Consul: `node_name`.
    pub node_name: Option<String>,
    /// Default `dc1`. Consul: `datacenter`.
    pub datacenter: String,
    /// The DNS interface.
    pub dns: DnsSettings,
    /// Archives of the whole state.
    pub archive: ArchiveSettings,
    /// The page in the browser.
    pub ui: UiSettings,
    /// TLS towards clients.
    pub tls: TlsSettings,
    /// Who is believed to be another member.
    pub peers: PeerSettings,
    /// Who ZooKeeper's clients are, beyond what they say themselves.
    pub auth: AuthSettings,
    /// The agent and its checks.
    pub agent: AgentSettings,
    /// What ZooKeeper's protocol is served like.
    pub zk: ZookeeperSettings,
    /// How long blocking queries wait.
    pub queries: QuerySettings,
    /// Session timing.
    pub session: SessionSettings,
    /// Consensus timing.
    pub raft: RaftSettings,
    /// The log and its snapshots.
    pub storage: StorageSettings,
    /// Threads.
    pub runtime: RuntimeSettings,
    /// Bounds on what others can grow.
    pub limits: Limits,
}

/// Archives of the whole state, as `/v1/snapshot` saves and restores them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ArchiveSettings {
    /// Whether everybody who reaches the HTTP port may replace the whole state by an
    /// archive, and may save one although znodes have access lists, which an archive
    /// does not heed. Default no: both are answered 403, unless HTTP and HTTPS listen on
    /// loopback alone. Archives without such znodes may always be saved.
    pub open_to_everybody: bool,
}

/// The agent and its checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AgentSettings {
    /// Whether checks may run programs on this machine. Default no: whoever
    /// reaches the HTTP port could run anything. Consul: `enable_script_checks`.
    pub enable_script_checks: bool,
    /// Where Docker checks find the engine: `unix:///path` or `tcp://host:port`. They
    /// run commands, so `enable_script_checks` is needed too. Default
    /// `unix:///var/run/docker.sock`. Consul: `DOCKER_HOST`.
    pub docker_host: String,
    /// The authorities that checks over TLS trust. Default: those the system trusts.
    /// Consul: `ca_file` with `enable_agent_tls_for_checks`.
    pub check_ca_file: Option<PathBuf>,
}

/// How long blocking queries wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QuerySettings {
    /// A blocking query that does not say how long it waits. Milliseconds,
    /// default 300000. Consul: `default_query_time`.
    pub default_wait_ms: u64,
    /// The longest wait; one that asks for more gets this. Up to a sixteenth is
    /// added at random. Milliseconds, default 600000. Consul: `max_query_time`.
    pub max_wait_ms: u64,
}

/// Session timing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SessionSettings {
    /// Expiry is rounded up to this. Milliseconds, default 2000. ZooKeeper: `tickTime`.
    pub tick_ms: u32,
    /// Smallest timeout granted. Milliseconds, default two ticks. ZooKeeper: `minSessionTimeout`.
    pub timeout_min_ms: Option<u32>,
    /// Largest timeout granted. Milliseconds, default twenty ticks. ZooKeeper: `maxSessionTimeout`.
    pub timeout_max_ms: Option<u32>,
    /// Smallest TTL of a Consul session. Milliseconds, default 10000. Consul: `session_ttl_min`.
    pub consul_ttl_min_ms: u32,
    /// A Consul session ends after its TTL times this, in percent. Default
    /// 200, as Consul does; at least 100.
    pub consul_ttl_multiplier_percent: u32,
    /// How often empty containers and outlived TTL znodes are removed.
    /// Milliseconds, default 60000. ZooKeeper: `znode.container.checkIntervalMs`.
    pub sweep_interval_ms: u32,
    /// How many of them are removed in a minute at most. Default 10000.
    /// ZooKeeper: `znode.container.maxPerMinute`.
    pub sweep_per_minute_max: u32,
    /// An empty container that never had a child is removed when it was not
    /// set for this long. Milliseconds; 0, the default, keeps it. ZooKeeper:
    /// `znode.container.maxNeverUsedIntervalMs`.
    pub container_never_used_ms: u64,
}

/// Consensus timing. A leader whose process ends is replaced at once, whatever
/// is set here: its connections end, and nobody listens at its address any more.
/// One that only falls silent, with its machine or its network, is replaced after
/// `raft.election_max_ms`, for which its lease lasts, and then a time between
/// `raft.election_min_ms` and `raft.election_max_ms`: by default 750 to 1000 ms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RaftSettings {
    /// How often a leader is heard. More than the longest round trip between
    /// members, with the time their disks take to sync. Milliseconds, default 100.
    pub heartbeat_ms: u32,
    /// How long after the lease of a leader another member stands for election,
    /// at least. Milliseconds, default 250, at least two heartbeats.
    pub election_min_ms: u32,
    /// The same, at most; and the lease: a leader that hears no majority for so
    /// long takes no commands, and nobody votes for another one before. More than
    /// a disk may take to sync on a bad day. Milliseconds, default 500.
    pub election_max_ms: u32,
}

/// The log and its snapshots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StorageSettings {
    /// Size of one log segment, zero-filled ahead of use. Bytes, default 16 MiB, at least
    /// 1 MiB. On a small file system at most a sixteenth of it.
    pub segment_bytes: u64,
    /// A snapshot is taken, and the log before it dropped, after this much
    /// log. Bytes, default 64 MiB; at most a sixth of the file system.
    pub snapshot_log_bytes: u64,
    /// Below so much free room clients' writes are refused, so that the log does
    /// not run into the end of the disk; reads go on, and writes again once there
    /// is a quarter more. Bytes; by default an eighth of the file system, at most
    /// one segment.
    pub free_bytes_min: Option<u64>,
}

/// Threads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuntimeSettings {
    /// Worker threads of the member. Default 2.
    pub workers: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("coord-data"),
            member_id: 1,
            members: BTreeMap::new(),
            observers: BTreeSet::new(),
            join: false,
            peer_addr: None,
            zk_addr: ListenAddress::loopback(2181),
            zk_tls_addr: ListenAddress::Off,
            zk_four_letter_words: None,
            http_addr: ListenAddress::loopback(8500),
            https_addr: ListenAddress::Off,
            dns_addr: ListenAddress::loopback(8600),
            node_name: None,
            datacenter: "dc1".to_owned(),
            dns: DnsSettings::default(),
            archive: ArchiveSettings::default(),
            ui: UiSettings::default(),
            tls: TlsSettings::default(),
            peers: PeerSettings::default(),
            auth: AuthSettings::default(),
            agent: AgentSettings::default(),
            zk: ZookeeperSettings::default(),
            queries: QuerySettings::default(),
            session: SessionSettings::default(),
            raft: RaftSettings::default(),
            storage: StorageSettings::default(),
            runtime: RuntimeSettings::default(),
            limits: Limits::default(),
        }
    }
}

impl Default for AgentSettings {
    fn default() -> Self {
        Self {
            enable_script_checks: false,
            docker_host: "unix:///var/run/docker.sock".to_owned(),
            check_ca_file: None,
        }
    }
}

impl Default for QuerySettings {
    fn default() -> Self {
        Self { default_wait_ms: 300_000, max_wait_ms: 600_000 }
    }
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            tick_ms: 2000,
            timeout_min_ms: None,
            timeout_max_ms: None,
            consul_ttl_min_ms: 10_000,
            consul_ttl_multiplier_percent: 200,
            sweep_interval_ms: 60_000,
            sweep_per_minute_max: 10_000,
            container_never_used_ms: 0,
        }
    }
}

impl SessionSettings {
    /// The timeout granted to a client that asks for `asked_ms`, which may be
    /// anything.
    pub fn negotiate(&self, asked_ms: i32) -> u32 {
        let min = self.shortest_timeout_ms();
        let max = self.timeout_max_ms.unwrap_or_else(|| self.tick_ms.saturating_mul(20));
        u32::try_from(asked_ms).unwrap_or(0).clamp(min, max.max(min))
    }

    fn shortest_timeout_ms(&self) -> u32 {
        self.timeout_min_ms.unwrap_or_else(|| self.tick_ms.saturating_mul(2))
    }
}

impl RaftSettings {
    /// How long after the last word of a majority its leader still counts: as long
    /// as an election may take to begin.
    pub fn lease(&self) -> Duration {
        Duration::from_millis(self.election_max_ms.into())
    }
}

impl Default for RaftSettings {
    fn default() -> Self {
        Self { heartbeat_ms: 100, election_min_ms: 250, election_max_ms: 500 }
    }
}

impl Default for StorageSettings {
    fn default() -> Self {
        Self { segment_bytes: 16 << 20, snapshot_log_bytes: 64 << 20, free_bytes_min: None }
    }
}

impl Default for RuntimeSettings {
    fn default() -> Self {
        Self { workers: 2 }
    }
}

/// Why a member has no other number.
const MEMBER_NUMBERS: &str = "numbers go from 1 to 254: a member's is the first byte of the \
    sessions it opens, where 0 stands for no session and 255 for znodes with a time to live; \
    choose another one, in its myid and in every server.N";

/// Settings that passed [`Settings::validate`].
#[derive(Debug, Clone)]
pub struct ValidSettings(Settings);

impl std::ops::Deref for ValidSettings {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.0
    }
}

impl Settings {
    /// How long after the last word of a majority a member counts as cut off: see
    /// [`ZookeeperSettings::cut_off_ms`].
    pub fn cut_off(&self) -> Duration {
        let ms = self.zk.cut_off_ms.unwrap_or_else(|| self.session.shortest_timeout_ms() / 2);
        Duration::from_millis(ms.into()).max(self.raft.lease())
    }

    /// For a member inside a host program: any free loopback port for each
    /// protocol, and no data directory of its own, which stands for a
    /// temporary one (see [`crate::embedded::Server::start_embedded`]).
    pub fn embedded() -> Self {
        Self {
            data_dir: PathBuf::new(),
            zk_addr: ListenAddress::loopback(0),
            http_addr: ListenAddress::loopback(0),
            dns_addr: ListenAddress::loopback(0),
            ..Self::default()
        }
    }

    /// Reads settings from TOML text.
    ///
    /// # Errors
    /// `Invalid`, naming line and key.
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        toml::from_str(text).map_err(|error| text::unreadable(text, &error))
    }

    /// Sets one field by its dotted name, as in `session.tick_ms`, from text.
    ///
    /// # Errors
    /// `Invalid` for an unknown name or a value that does not fit it.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), Error> {
        *self = text::with_field(self, key, value)?;
        Ok(())
    }

    /// Checks everything and reports every problem in one message.
    ///
    /// # Errors
    /// `Invalid`.
    pub fn validate(self) -> Result<ValidSettings, Error> {
        let mut problems = Vec::new();
        if !(1..=254).contains(&self.member_id) {
            problems.push(format!("member_id is {}, but {MEMBER_NUMBERS}", self.member_id));
        }
        if !self.members.is_empty() && !self.members.contains_key(&self.member_id) {
            problems.push(format!(
                "members does not name this member ({}): add {}=HOST:PORT",
                self.member_id, self.member_id
            ));
        }
        for (member, address) in &self.members {
            if !(1..=254).contains(member) {
                problems.push(format!("members names member {member}, but {MEMBER_NUMBERS}"));
            }
            if address.rsplit_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
                problems.push(format!("members gives {member}={address}, which is not HOST:PORT"));
            }
            if *member != self.member_id && is_any(address) {
                problems.push(format!(
                    "members gives {member}={address}, where nobody is reached: only this \
                     member's own entry may stand for every address"
                ));
            }
        }
        self.validate_parts(&mut problems);
        if self.data_dir.as_os_str().is_empty() {
            problems.push("data_dir is empty".to_owned());
        }
        if self.datacenter.is_empty() {
            problems.push("datacenter is empty".to_owned());
        }
        self.dns.complain(&mut problems);
        self.limits.complain(&mut problems);
        if self.queries.default_wait_ms == 0 || self.queries.max_wait_ms == 0 {
            problems.push("queries.default_wait_ms or queries.max_wait_ms is 0".to_owned());
        }
        if self.session.tick_ms == 0 {
            problems.push("session.tick_ms is 0".to_owned());
        }
        if self.session.sweep_interval_ms == 0 {
            problems.push("session.sweep_interval_ms is 0".to_owned());
        }
        if self.session.sweep_per_minute_max == 0 {
            problems.push("session.sweep_per_minute_max is 0".to_owned());
        }
        if let (Some(min), Some(max)) = (self.session.timeout_min_ms, self.session.timeout_max_ms)
            && min > max
        {
            problems.push(format!(
                "session.timeout_min_ms ({min}) is above session.timeout_max_ms ({max})"
            ));
        }
        if self.session.consul_ttl_multiplier_percent < 100 {
            problems.push("session.consul_ttl_multiplier_percent is below 100".to_owned());
        }
        if self.raft.heartbeat_ms == 0 || self.raft.heartbeat_ms * 2 > self.raft.election_min_ms {
            problems.push(format!(
                "raft.heartbeat_ms ({}) must be above 0 and at most half of raft.election_min_ms ({})",
                self.raft.heartbeat_ms, self.raft.election_min_ms
            ));
        }
        if self.raft.election_min_ms >= self.raft.election_max_ms {
            problems.push("raft.election_min_ms must be below raft.election_max_ms".to_owned());
        }
        if self.storage.segment_bytes < 1 << 20 {
            problems.push("storage.segment_bytes is below 1 MiB".to_owned());
        }
        if self.runtime.workers == 0 {
            problems.push("runtime.workers is 0".to_owned());
        }
        for (name, address) in
            [("zk_tls_addr", &self.zk_tls_addr), ("https_addr", &self.https_addr)]
        {
            if *address != ListenAddress::Off && self.tls.cert_file.is_none() {
                problems.push(format!("{name} is on, but tls.cert_file is missing"));
            }
        }
        self.tls.check(&mut problems);
        self.check_peers(&mut problems);
        self.auth.check(&mut problems);
        if problems.is_empty() {
            return Ok(ValidSettings(self));
        }
        Err(Error::invalid(format!("the settings do not hold together: {}", problems.join("; "))))
    }

    /// Who votes, and who joins.
    fn validate_parts(&self, problems: &mut Vec<String>) {
        for member in self.observers.iter().filter(|member| !self.members.contains_key(member)) {
            problems.push(format!("observers names member {member}, which members does not"));
        }
        if !self.members.is_empty() && self.members.keys().all(|id| self.observers.contains(id)) {
            problems.push("all members are observers: nobody would vote".to_owned());
        }
        let no_peer_addr = matches!(self.peer_addr, None | Some(ListenAddress::Off));
        if self.join && no_peer_addr && self.members.is_empty() {
            problems.push("join needs peer_addr, where the others reach this member".to_owned());
        }
    }
}
