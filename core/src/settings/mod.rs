//! Settings of a member, as plain data. [`Settings::default`] runs a single member on loopback.
//! Every member is started from the result of [`Settings::validate`], which reports all problems,
//! not only the first.

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
pub use limits::{ENTRY_BYTES_MAX, Limits};
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
    /// Data directory: log, snapshots and the agent's registrations. Created if missing. Accessible
    /// only to the user that the member runs as: directories have mode 0700, files 0600, and wider
    /// modes are narrowed on startup. Refused if another user owns it and others may write to it.
    /// Default `coord-data`. ZooKeeper: `dataDir`; Consul: `data_dir`.
    pub data_dir: PathBuf,
    /// This member's number, 1 to 254, unique in the cluster. Default 1. ZooKeeper: `myid`.
    pub member_id: u64,
    /// All initial members and their peer addresses, `host:port` by member
    /// number; as text also `1=HOST:PORT,2=HOST:PORT`. Empty: a cluster of one.
    /// Only read on the first start. Members may write a host differently if
    /// both names resolve to the same address, and each may have `0.0.0.0` in
    /// its own entry: then it listens on all addresses, and the cluster knows
    /// it by the address that the others have. ZooKeeper: `server.N`.
    #[serde(with = "numbered")]
    pub members: BTreeMap<u64, String>,
    /// The numbers of those `members` that do not vote. Default none. Only read
    /// on the first start. ZooKeeper: `:observer`, `peerType`.
    pub observers: BTreeSet<u64>,
    /// Whether a new member waits to be added to a running cluster, regardless
    /// of `members`. Default no: then it waits only if one of `members` already
    /// belongs to a cluster.
    pub join: bool,
    /// Listen address for other members. Default off for a single member,
    /// otherwise this member's own entry in `members`. Beyond loopback it
    /// requires `peers.secret_file`, `tls.peers`, or
    /// `peers.allow_unauthenticated`.
    pub peer_addr: Option<ListenAddress>,
    /// Listen address for ZooKeeper clients. Default `127.0.0.1:2181`.
    /// ZooKeeper: `clientPort`.
    pub zk_addr: ListenAddress,
    /// Listen address for ZooKeeper clients over TLS. Default off; requires
    /// `tls.cert_file`. ZooKeeper: `secureClientPort`.
    pub zk_tls_addr: ListenAddress,
    /// The enabled four-letter words, separated by commas, or `*` for all.
    /// Default: all if `zk_addr` is on loopback, otherwise
    /// `srvr,ruok,isro,envi,mntr`, because the others are expensive or reveal
    /// details about clients. ZooKeeper: `4lw.commands.whitelist`.
    pub zk_four_letter_words: Option<String>,
    /// Listen address for HTTP. Default `127.0.0.1:8500`. Consul: `ports.http`.
    pub http_addr: ListenAddress,
    /// Listen address for HTTPS. Default off; requires `tls.cert_file`. Consul: `ports.https`.
    pub https_addr: ListenAddress,
    /// Listen address for DNS over UDP and TCP. Default `127.0.0.1:8600`.
    /// Consul: `ports.dns`.
    pub dns_addr: ListenAddress,
    /// This member's node name in the catalog. Default: the host name. Consul:
    /// `node_name`.
    pub node_name: Option<String>,
    /// Name of the datacenter. Default `dc1`. Consul: `datacenter`.
    pub datacenter: String,
    /// The DNS interface.
    pub dns: DnsSettings,
    /// Saving and restoring the whole state.
    pub archive: ArchiveSettings,
    /// The web UI.
    pub ui: UiSettings,
    /// TLS for clients and between members.
    pub tls: TlsSettings,
    /// Authentication of other members.
    pub peers: PeerSettings,
    /// Authentication of ZooKeeper clients.
    pub auth: AuthSettings,
    /// The Consul agent and its health checks.
    pub agent: AgentSettings,
    /// The ZooKeeper protocol.
    pub zk: ZookeeperSettings,
    /// Blocking queries.
    pub queries: QuerySettings,
    /// Session timing.
    pub session: SessionSettings,
    /// Consensus timing.
    pub raft: RaftSettings,
    /// The log and its snapshots.
    pub storage: StorageSettings,
    /// Threads.
    pub runtime: RuntimeSettings,
    /// Limits on the resources that clients and peers can use.
    pub limits: Limits,
}

/// Saving and restoring the whole state with `/v1/snapshot`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ArchiveSettings {
    /// Whether anyone who can connect to the HTTP port may restore an archive, which replaces all
    /// data, and may save one even if znodes have ACLs, which an archive bypasses. Default no: both
    /// are answered 403 unless HTTP and HTTPS listen on loopback only. Saving is always allowed if
    /// no znode has an ACL.
    pub open_to_everybody: bool,
}

/// The Consul agent and its health checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AgentSettings {
    /// Whether checks may run programs on this machine. Default no, because
    /// anyone who can connect to the HTTP port could then run any program.
    /// Consul: `enable_script_checks`.
    pub enable_script_checks: bool,
    /// Address of the Docker engine for Docker checks: `unix:///path` or `tcp://host:port`. Docker
    /// checks run commands, so they require `enable_script_checks` too. Default
    /// `unix:///var/run/docker.sock`. Consul: `DOCKER_HOST`.
    pub docker_host: String,
    /// Certificate authorities for checks over TLS. Default: those that the operating system
    /// trusts. Consul: `ca_file` with `enable_agent_tls_for_checks`.
    pub check_ca_file: Option<PathBuf>,
}

/// Blocking queries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QuerySettings {
    /// Wait time of a blocking query without `wait`. Milliseconds, default
    /// 300000. Consul: `default_query_time`.
    pub default_wait_ms: u64,
    /// Maximum wait time; a larger `wait` is reduced to it. Up to 1/16 is added
    /// at random. Milliseconds, default 600000. Consul: `max_query_time`.
    pub max_wait_ms: u64,
}

/// Session timing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SessionSettings {
    /// The tick: session expiry is rounded up to a multiple of it. Milliseconds, default 2000.
    /// ZooKeeper: `tickTime`.
    pub tick_ms: u32,
    /// Minimum session timeout. Milliseconds, default two ticks. ZooKeeper: `minSessionTimeout`.
    pub timeout_min_ms: Option<u32>,
    /// Maximum session timeout. Milliseconds, default twenty ticks. ZooKeeper: `maxSessionTimeout`.
    pub timeout_max_ms: Option<u32>,
    /// Minimum TTL of a Consul session. Milliseconds, default 10000. Consul: `session_ttl_min`.
    pub consul_ttl_min_ms: u32,
    /// A Consul session ends after its TTL times this, in percent. Default
    /// 200, as Consul does; at least 100.
    pub consul_ttl_multiplier_percent: u32,
    /// How often empty containers and expired TTL znodes are removed. Milliseconds, default 60000.
    /// ZooKeeper: `znode.container.checkIntervalMs`.
    pub sweep_interval_ms: u32,
    /// Maximum number of containers and TTL znodes removed per minute. Default 10000. ZooKeeper:
    /// `znode.container.maxPerMinute`.
    pub sweep_per_minute_max: u32,
    /// A container that never had a child is removed if it was not written to for this long.
    /// Milliseconds; 0, the default, keeps it. ZooKeeper: `znode.container.maxNeverUsedIntervalMs`.
    pub container_never_used_ms: u64,
}

/// Consensus timing. A leader whose process ends is replaced immediately, regardless of these
/// settings: its connections close and its address refuses new ones. A leader whose machine or
/// network fails is replaced after its lease (`raft.election_max_ms`) and then an election timeout
/// between `raft.election_min_ms` and `raft.election_max_ms`: by default 750 to 1000 ms in all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RaftSettings {
    /// Heartbeat interval of the leader. Should be longer than the longest round trip between
    /// members plus a disk sync. Milliseconds, default 100.
    pub heartbeat_ms: u32,
    /// Minimum time after the leader's lease before another member starts an election.
    /// Milliseconds, default 250, at least two heartbeats.
    pub election_min_ms: u32,
    /// Maximum of the same, and the leader's lease: a leader without contact to a majority for this
    /// long accepts no commands, and no member votes for another one earlier. Should be longer than
    /// the slowest disk sync. Milliseconds, default 500.
    pub election_max_ms: u32,
}

/// The log and its snapshots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StorageSettings {
    /// Size of a log segment, which is preallocated. Bytes, default 16 MiB, at least 1 MiB; at most
    /// 1/16 of the file system.
    pub segment_bytes: u64,
    /// After this much log a snapshot is taken and the older log deleted. Bytes, default 64 MiB; at
    /// most 1/6 of the file system.
    pub snapshot_log_bytes: u64,
    /// With less free disk space than this, writes of clients are refused, so that the log does not
    /// fill the disk. Reads continue; writes resume once a quarter more than this is free. Bytes;
    /// default 1/8 of the file system, at most one segment.
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
    /// The session timeout for a client that requests `asked_ms`, which may be
    /// any number.
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
    /// The leader's lease: how long after its last contact to a majority it
    /// still counts as the leader. As long as an election may take to begin.
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

/// The range of member numbers, and why.
const MEMBER_NUMBERS: &str = "must be 1 to 254: it is the first byte of the member's session \
    ids, where 0 means no session and 255 a TTL znode; choose another number, in myid and in \
    every server.N";

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
    /// How long after its last contact to a majority a member counts as
    /// partitioned: see [`ZookeeperSettings::cut_off_ms`].
    pub fn cut_off(&self) -> Duration {
        let ms = self.zk.cut_off_ms.unwrap_or_else(|| self.session.shortest_timeout_ms() / 2);
        Duration::from_millis(ms.into()).max(self.raft.lease())
    }

    /// For a member inside a host program: any free loopback port for each
    /// protocol, and an empty `data_dir`, which means a temporary one (see
    /// [`crate::embedded::Server::start_embedded`]).
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
    /// `Invalid` for an unknown name or an invalid value.
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
                "members does not contain this member ({}): add {}=HOST:PORT",
                self.member_id, self.member_id
            ));
        }
        for (member, address) in &self.members {
            if !(1..=254).contains(member) {
                problems.push(format!(
                    "members contains member {member}, but a member number {MEMBER_NUMBERS}"
                ));
            }
            if address.rsplit_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
                problems
                    .push(format!("members contains {member}={address}, which is not HOST:PORT"));
            }
            if *member != self.member_id && is_any(address) {
                problems.push(format!(
                    "members contains {member}={address}, which nobody can connect to: only this \
                     member's own entry may be the unspecified address"
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
            problems
                .push("queries.default_wait_ms and queries.max_wait_ms must be above 0".to_owned());
        }
        if self.session.tick_ms == 0 {
            problems.push("session.tick_ms must be above 0".to_owned());
        }
        if self.session.sweep_interval_ms == 0 {
            problems.push("session.sweep_interval_ms must be above 0".to_owned());
        }
        if self.session.sweep_per_minute_max == 0 {
            problems.push("session.sweep_per_minute_max must be above 0".to_owned());
        }
        if let (Some(min), Some(max)) = (self.session.timeout_min_ms, self.session.timeout_max_ms)
            && min > max
        {
            problems.push(format!(
                "session.timeout_min_ms ({min}) is above session.timeout_max_ms ({max})"
            ));
        }
        if self.session.consul_ttl_multiplier_percent < 100 {
            problems.push("session.consul_ttl_multiplier_percent must be at least 100".to_owned());
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
            problems.push("storage.segment_bytes must be at least 1 MiB".to_owned());
        }
        if self.runtime.workers == 0 {
            problems.push("runtime.workers must be above 0".to_owned());
        }
        for (name, address) in
            [("zk_tls_addr", &self.zk_tls_addr), ("https_addr", &self.https_addr)]
        {
            if *address != ListenAddress::Off && self.tls.cert_file.is_none() {
                problems.push(format!("{name} is set, but tls.cert_file is not"));
            }
        }
        self.tls.check(&mut problems);
        self.check_peers(&mut problems);
        self.auth.check(&mut problems);
        if problems.is_empty() {
            return Ok(ValidSettings(self));
        }
        Err(Error::invalid(format!("invalid settings: {}", problems.join("; "))))
    }

    /// Observers and joining.
    fn validate_parts(&self, problems: &mut Vec<String>) {
        for member in self.observers.iter().filter(|member| !self.members.contains_key(member)) {
            problems.push(format!("observers contains member {member}, but members does not"));
        }
        if !self.members.is_empty() && self.members.keys().all(|id| self.observers.contains(id)) {
            problems.push("all members are observers: nobody would vote".to_owned());
        }
        let no_peer_addr = matches!(self.peer_addr, None | Some(ListenAddress::Off));
        if self.join && no_peer_addr && self.members.is_empty() {
            problems.push(
                "join requires peer_addr, so that the other members can connect to this one"
                    .to_owned(),
            );
        }
    }
}
