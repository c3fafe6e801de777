//! Reads settings from a `zoo.cfg`, so that a member can replace a ZooKeeper
//! server without a new configuration.
//!
//! Settings without a ZooKeeper key are written with the prefix `coord.`.
//!
//! Keys with an equivalent are applied. Keys without one are ignored: silently
//! if they only tune ZooKeeper, otherwise with a warning. Keys that would
//! silently result in a different cluster are refused. docs/ZOO_CFG.md shows
//! the result for files from the field.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::address::is_any_host;
use super::properties;
use super::zoo_cfg_members::MemberKeys;
use super::zoo_cfg_numbers::{above_zero, decoded, number, port};
use super::zoo_cfg_secure::SecureKeys;
use super::{ListenAddress, Settings};
use crate::error::Error;

/// Settings, and warnings about their source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadSettings {
    /// The settings.
    pub settings: Settings,
    /// Warnings to show to the user.
    pub warnings: Vec<String>,
}

/// Keys without an equivalent that change nothing that clients can observe.
const PASSED_OVER: &[&str] = &[
    "initLimit",
    "syncLimit",
    "connectToLearnerMasterLimit",
    "electionAlg",
    "leaderServes",
    "clientPortListenBacklog",
    "snapCount",
    "preAllocSize",
    "commitLogCount",
    "cnxTimeout",
    "enforceQuota",
    "extendedTypesEnabled",
    "serverCnxnFactory",
    "clientCnxnSocket",
];

const PASSED_OVER_FAMILIES: &[&str] =
    &["autopurge.", "admin.", "metricsProvider.", "nio.", "commitProcessor.", "electionPort"];

/// Ignored keys with a hint where their feature is.
const ELSEWHERE: &[(&str, &str)] = &[
    ("admin.serverPort", "admin commands are at /commands on the HTTP port (coord.http_addr)"),
    ("metricsProvider.httpPort", "/metrics is on the HTTP port (coord.http_addr)"),
    ("dataLogDir", "the log is stored in dataDir, like everything else"),
    ("forceSync", "every write is always synced before it is acknowledged"),
];

/// Keys that are often mistyped, for a hint.
const OFTEN_MISTYPED: &[&str] = &[
    "dataDir",
    "dataLogDir",
    "clientPort",
    "clientPortAddress",
    "secureClientPort",
    "secureClientPortAddress",
    "tickTime",
    "initLimit",
    "syncLimit",
    "maxClientCnxns",
    "maxCnxns",
    "minSessionTimeout",
    "maxSessionTimeout",
    "dynamicConfigFile",
    "peerType",
    "quorumListenOnAllIPs",
    "standaloneEnabled",
    "reconfigEnabled",
    "skipACL",
    "sslQuorum",
    "4lw.commands.whitelist",
];

impl Settings {
    /// Reads a file: a ZooKeeper configuration if its name ends in `.cfg` or
    /// `.properties`, otherwise TOML.
    ///
    /// # Errors
    /// `Invalid`, naming the file and what is wrong in it.
    pub fn read(path: &Path) -> Result<ReadSettings, Error> {
        let is_zoo_cfg = |extension| extension == "cfg" || extension == "properties";
        if !path.extension().is_some_and(is_zoo_cfg) {
            let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, error))?;
            let settings = Self::from_toml(&text)?;
            return Ok(ReadSettings { settings, warnings: Vec::new() });
        }
        let mut config = ZooCfg::default();
        config.read_file(path)?;
        if let Some(file) = config.dynamic.take() {
            config.read_dynamic_file(&file)?;
        }
        config.finish()
    }
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    Error::invalid(format!("cannot read {}", path.display())).caused_by(error)
}

/// A configuration being read.
#[derive(Default)]
struct ZooCfg {
    settings: Settings,
    warnings: Vec<String>,
    /// `dataDir`, which contains our data directory and the file `myid`.
    directory: Option<PathBuf>,
    /// A key that is probably a misspelt `dataDir`.
    instead_of_directory: Option<String>,
    /// `coord.data_dir`.
    own_directory: Option<String>,
    client_host: Option<String>,
    client_port: Option<u16>,
    secure: SecureKeys,
    members: MemberKeys,
    /// The file with the `server.N` lines, if there is one.
    dynamic: Option<PathBuf>,
}

impl ZooCfg {
    fn read_file(&mut self, path: &Path) -> Result<(), Error> {
        for (key, value) in self.properties(path)? {
            self.set(&key, &value)?;
        }
        if self.dynamic.is_some() && !self.members.is_empty() {
            return Err(Error::invalid(
                "server.N and dynamicConfigFile are both set: move the server.N lines into the \
                 file that dynamicConfigFile names",
            ));
        }
        Ok(())
    }

    /// As in ZooKeeper, a relative name is relative to the working directory.
    fn read_dynamic_file(&mut self, path: &Path) -> Result<(), Error> {
        for (key, value) in self.properties(path)? {
            // The version of a running ensemble has no meaning here.
            if key != "version" && !self.members.take(&key, &value)? {
                return Err(Error::invalid(format!(
                    "{key} is not allowed in {}, which may only contain server.N",
                    path.display()
                )));
            }
        }
        Ok(())
    }

    /// The last value of each key, in the order of first occurrence.
    fn properties(&mut self, path: &Path) -> Result<Vec<(String, String)>, Error> {
        let file = std::fs::read(path).map_err(|error| unreadable(path, error))?;
        let all = properties::parse(&file).map_err(|error| {
            Error::invalid(format!("cannot read {}", path.display())).caused_by(error)
        })?;
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        let mut read: Vec<(String, String)> = Vec::new();
        for (key, value) in all {
            let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
            match places.get(&key).and_then(|place| read.get_mut(*place)) {
                Some((_, earlier)) => {
                    if *earlier != value {
                        self.warnings.push(format!("{key} is set twice: using the last value"));
                    }
                    *earlier = value;
                }
                None => {
                    places.insert(key.clone(), read.len());
                    read.push((key, value));
                }
            }
        }
        Ok(read)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), Error> {
        let settings = &mut self.settings;
        match key {
            "clientPort" => self.client_port = port(key, value)?,
            "clientPortAddress" => self.client_host = Some(without_brackets(value)),
            "dataDir" if value.is_empty() => return Err(Error::invalid("dataDir is empty")),
            "dataDir" => self.directory = Some(value.into()),
            "tickTime" => settings.session.tick_ms = number(key, value)?,
            "minSessionTimeout" => settings.session.timeout_min_ms = above_zero(key, value)?,
            "maxSessionTimeout" => settings.session.timeout_max_ms = above_zero(key, value)?,
            "maxCnxns" => {
                if let Some(connections) = above_zero(key, value)? {
                    settings.limits.zk_connections_max = usize::try_from(connections)
                        .map_err(|_| Error::invalid(format!("{key} is too large")))?;
                }
            }
            "globalOutstandingLimit" => {
                settings.limits.zk_outstanding_total_max = decoded(key, value)?;
            }
            "jute.maxbuffer" => {
                let limits = &mut settings.limits;
                limits.zk_frame_bytes_max = decoded(key, value)?;
                // ZooKeeper has no such limit, so it is raised as needed.
                let needed = limits.peer_frame_bytes_min();
                limits.peer_frame_bytes_max = limits.peer_frame_bytes_max.max(needed);
            }
            "znode.container.checkIntervalMs" => {
                settings.session.sweep_interval_ms = decoded(key, value)?;
            }
            "znode.container.maxPerMinute" => {
                settings.session.sweep_per_minute_max = decoded(key, value)?;
            }
            "znode.container.maxNeverUsedIntervalMs" => {
                settings.session.container_never_used_ms = decoded(key, value)?;
            }
            "maxClientCnxns" => {
                let per_address = above_zero(key, value)?.unwrap_or(0);
                settings.limits.zk_connections_per_ip_max = usize::try_from(per_address)
                    .map_err(|_| Error::invalid(format!("{key} is too large")))?;
            }
            "4lw.commands.whitelist" => settings.zk_four_letter_words = Some(value.to_owned()),
            "dynamicConfigFile" => self.dynamic = Some(value.into()),
            "coord.data_dir" => self.own_directory = Some(value.to_owned()),
            _ if self.secure.take(key, value, settings)? => {}
            _ if self.members.take(key, value)? => {}
            // ZooKeeper ignores unknown keys, so the same file works for both.
            _ => match key.strip_prefix("coord.") {
                Some(own) => settings.set(own, value)?,
                None if settings.zk.set_as_in_zoo_cfg(key, value)? => {}
                None => self.pass_over(key),
            },
        }
        Ok(())
    }

    fn pass_over(&mut self, key: &str) {
        let known = PASSED_OVER.contains(&key)
            || PASSED_OVER_FAMILIES.iter().any(|family| key.starts_with(family));
        if let Some((_, instead)) = ELSEWHERE.iter().find(|(elsewhere, _)| *elsewhere == key) {
            self.warnings.push(format!("{key} is ignored: {instead}"));
        } else if let Some(meant) = meant_by(key) {
            if meant == "dataDir" {
                self.instead_of_directory = Some(key.to_owned());
            }
            self.warnings.push(format!(
                "{key} is not a known key and is ignored: did you mean {meant}? Keys are \
                 case-sensitive"
            ));
        } else if !known {
            self.warnings.push(format!("{key} has no equivalent and is ignored"));
        }
    }

    fn finish(mut self) -> Result<ReadSettings, Error> {
        self.place_data()?;
        let directory = self.directory.clone().unwrap_or_default();
        let Self { mut settings, mut warnings, members, secure, .. } = self;
        let own_line = members.finish(&directory, &mut settings, &mut warnings)?;
        secure.finish(&mut settings)?;
        let keys = (self.client_host, self.client_port);
        place_clients(keys, own_line, &mut settings, &mut warnings)?;
        Ok(ReadSettings { settings, warnings })
    }

    fn place_data(&mut self) -> Result<(), Error> {
        match (&self.directory, &self.own_directory) {
            (None, None) => {
                let hint = self.instead_of_directory.as_ref().map_or_else(String::new, |key| {
                    format!(": {key} is set, but keys are case-sensitive")
                });
                return Err(Error::invalid(format!("dataDir is not set{hint}")));
            }
            (_, Some(own)) => self.settings.data_dir = own.into(),
            (Some(directory), None) => {
                self.settings.data_dir = directory.join("coord");
                // A user who migrates must not mistake an empty tree for their
                // data.
                if directory.join("version-2").exists() && !self.settings.data_dir.exists() {
                    self.warnings.push(format!(
                        "{} contains data of a ZooKeeper server (version-2), which is not read: \
                         this member starts empty",
                        directory.display()
                    ));
                }
            }
        }
        Ok(())
    }
}

/// As in ZooKeeper: on all addresses by default.
fn place_clients(
    (host, port): (Option<String>, Option<u16>),
    own_line: Option<ListenAddress>,
    settings: &mut Settings,
    warnings: &mut Vec<String>,
) -> Result<(), Error> {
    match (port, own_line) {
        (Some(port), line) => {
            let at = ListenAddress::At {
                host: host.clone().unwrap_or_else(|| any_address(settings)),
                port,
            };
            if let Some(line) = line
                && contradict(&at, host.is_some(), &line)
            {
                return Err(Error::invalid(format!(
                    "clientPort and clientPortAddress say {at}, but server.{} says {line}: use \
                     only one of the two",
                    settings.member_id
                )));
            }
            settings.zk_addr = at;
        }
        (None, Some(line)) => settings.zk_addr = line,
        (None, None) if host.is_some() => {
            return Err(Error::invalid("clientPortAddress is set, but clientPort is not"));
        }
        (None, None) if settings.zk_tls_addr != ListenAddress::Off => {
            settings.zk_addr = ListenAddress::Off;
        }
        (None, None) => {
            let at = &settings.zk_addr;
            warnings.push(format!("clientPort is not set: listening for clients on {at}"));
        }
    }
    Ok(())
}

/// Whether two keys say that clients are at different places.
fn contradict(keys: &ListenAddress, names_host: bool, line: &ListenAddress) -> bool {
    match (keys, line) {
        (ListenAddress::At { host, port }, ListenAddress::At { host: other, port: other_port }) => {
            port != other_port
                || (names_host && host != other && !is_any_host(host) && !is_any_host(other))
        }
        _ => false,
    }
}

/// Every address of this machine, those of version 6 among them where members use such.
pub(super) fn any_address(settings: &Settings) -> String {
    let own = settings.members.get(&settings.member_id);
    match own {
        Some(own) if own.starts_with('[') => "::".to_owned(),
        _ => "0.0.0.0".to_owned(),
    }
}

pub(super) fn without_brackets(host: &str) -> String {
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    inner.unwrap_or(host).to_owned()
}

/// The key that differs from this one only in the case of its letters.
fn meant_by(key: &str) -> Option<&'static str> {
    let same = |known: &&&str| known.eq_ignore_ascii_case(key) && **known != key;
    OFTEN_MISTYPED.iter().find(same).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, myid: Option<&str>) -> Result<ReadSettings, Error> {
        let folder = tempfile::tempdir().unwrap();
        if let Some(number) = myid {
            std::fs::write(folder.path().join("myid"), number).unwrap();
        }
        let path = folder.path().join("zoo.cfg");
        let directory = folder.path().display();
        std::fs::write(&path, format!("dataDir={directory}\n{text}")).unwrap();
        Settings::read(&path)
    }

    #[test]
    fn the_sample_configuration_is_read() {
        let text = "# ticks\ntickTime=2500\ninitLimit=10\nsyncLimit=5\nclientPort=2181\n\
            #maxClientCnxns=60\nautopurge.purgeInterval=1\n";
        let ReadSettings { settings, warnings } = read(text, None).unwrap();
        assert_eq!(warnings, [""; 0]);
        assert_eq!(settings.zk_addr.to_string(), "0.0.0.0:2181");
        assert_eq!(settings.session.tick_ms, 2500);
        assert!(settings.data_dir.ends_with("coord"));
        assert!(settings.members.is_empty());
        settings.validate().unwrap();
    }

    #[test]
    fn an_ensemble_is_read_with_the_number_of_this_member() {
        let text = "clientPortAddress=10.0.0.2\nserver.1=a:2888:3888\n\
            server.2=[::1]:2889:3888:participant;10.0.0.2:2182\nserver.3=c:1:2|d:3:4;10.0.0.2:2183\n\
            maxSessionTimeout=-1\nminSessionTimeout=100\njute.maxbuffer=4194304\n\
            4lw.commands.whitelist=*\nmaxCnxns=7\ncoord.zk.linearizable_reads=true\n\
            coord.peers.secret_file=/etc/coord.secret\n";
        let settings = read(text, Some("2\n")).unwrap().settings;
        assert_eq!(settings.member_id, 2);
        let members: Vec<&str> = settings.members.values().map(String::as_str).collect();
        assert_eq!(members, ["a:2888", "[::1]:2889", "c:1"]);
        assert_eq!(settings.zk_addr.to_string(), "10.0.0.2:2182");
        assert_eq!(settings.session.timeout_min_ms, Some(100));
        assert_eq!(settings.session.timeout_max_ms, None);
        assert_eq!(settings.limits.zk_frame_bytes_max, 4_194_304);
        assert_eq!(settings.limits.zk_connections_max, 7);
        assert!(settings.zk.linearizable_reads);
        assert_eq!(settings.zk_four_letter_words.as_deref(), Some("*"));
        let third = read(text, Some("3")).unwrap().settings;
        assert_eq!(third.zk_addr.to_string(), "10.0.0.2:2183");
        third.validate().unwrap();
    }

    #[test]
    fn observers_and_what_may_be_reconfigured_are_read() {
        let text = "clientPort=1\npeerType=observer\nreconfigEnabled=true\n\
            standaloneEnabled=false\nDigestAuthenticationProvider.superDigest=super:x=\n\
            server.1=a:1:2\nserver.2=b:1:2:observer\nserver.3=c:1:2:observer\n\
            coord.peers.allow_unauthenticated=true\n";
        let settings = read(text, Some("2")).unwrap().settings;
        assert_eq!(settings.observers, [2, 3].into());
        assert!(settings.zk.reconfig && settings.zk.lone_voter);
        assert_eq!(settings.auth.super_digest.as_deref(), Some("super:x="));
        settings.validate().unwrap();
    }

    #[test]
    fn the_members_may_be_in_a_file_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let dynamic = folder.path().join("zoo.cfg.dynamic.100000000");
        let lines = "server.1=a:1:2:participant;7\nserver.2=b:1:2\nversion=100000000\n";
        std::fs::write(&dynamic, lines).unwrap();
        let text = format!("dynamicConfigFile={}\n", dynamic.display());
        let ReadSettings { settings, warnings } = read(&text, Some("1")).unwrap();
        assert_eq!(settings.members[&1], "a:1");
        assert_eq!(settings.zk_addr.to_string(), "0.0.0.0:7");
        assert_eq!(warnings, [""; 0]);
    }

    #[test]
    fn keys_about_clients_and_containers_have_their_settings() {
        let text = "readonlymode.enabled=true\nlocalSessionsEnabled=true\n\
            localSessionsUpgradingEnabled=true\nskipACL=yes\nenforce.auth.enabled=true\n\
            enforce.auth.schemes=digest, ip\nmaxClientCnxns=60\nglobalOutstandingLimit=500\n\
            DigestAuthenticationProvider.superDigest=super:0bX78nEegDzJM3ju0iLBEJdWzjg=\n\
            znode.container.checkIntervalMs=1000\nznode.container.maxPerMinute=7\n\
            znode.container.maxNeverUsedIntervalMs=300000\nclientPort=1\n";
        let ReadSettings { settings, warnings } = read(text, None).unwrap();
        assert_eq!(warnings, [""; 0]);
        let Settings { zk, limits, session, .. } = &settings;
        assert!(zk.read_only_mode && zk.local_sessions && zk.local_sessions_upgrade);
        assert!(zk.skip_acl);
        assert_eq!(settings.auth.required(), ["digest", "ip"]);
        assert_eq!(
            settings.auth.super_digest.as_deref(),
            Some("super:0bX78nEegDzJM3ju0iLBEJdWzjg=")
        );
        assert_eq!((limits.zk_connections_per_ip_max, limits.zk_outstanding_total_max), (60, 500));
        assert_eq!((session.sweep_interval_ms, session.sweep_per_minute_max), (1000, 7));
        assert_eq!(session.container_never_used_ms, 300_000);
        settings.validate().unwrap();
        for any_number in ["0", "-1"] {
            let text = format!("clientPort=1\nmaxClientCnxns={any_number}\n");
            assert_eq!(read(&text, None).unwrap().settings.limits.zk_connections_per_ip_max, 0);
        }
        for wrong in [
            "skipACL=perhaps\n",
            "enforce.auth.enabled=true\n",
            "DigestAuthenticationProvider.superDigest=super\n",
        ] {
            let outcome = read(wrong, None).and_then(|read| read.settings.validate());
            assert!(outcome.is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_not_understood_is_told() {
        let warnings = read("clientPort=1\nunheardOf=7\n", None).unwrap().warnings;
        assert_eq!(warnings, ["unheardOf has no equivalent and is ignored"]);
        for none in ["", "clientPort=0\n"] {
            let warnings = read(none, None).unwrap().warnings;
            assert_eq!(
                warnings,
                ["clientPort is not set: listening for clients on 127.0.0.1:2181"]
            );
        }
    }

    #[test]
    fn what_would_make_another_cluster_is_refused() {
        for (text, myid) in [
            ("server.1=a:1:2\nserver.2=b:1:2\n", None),
            ("server.1=a:1:2\nserver.2=b:1:2\ngroup.1=1:2\n", Some("1")),
            ("server.1=a:1:2\nserver.2=b:1:2\nweight.2=0\n", Some("1")),
            ("clientPort=1\nserver.1=a:1:2;2\nserver.2=b:1:2\n", Some("1")),
            ("clientPortAddress=10.0.0.1\n", None),
            ("secureClientPortAddress=10.0.0.1\nclientPort=1\n", None),
            ("dataDir=\n", None),
            ("server.1=a:1:2:voter\n", Some("1")),
            ("server.1=a\n", Some("1")),
            ("server.x=a:1:2\n", Some("1")),
            ("peerType=witness\n", None),
            ("reconfigEnabled=perhaps\n", None),
            ("dynamicConfigFile=/nowhere/zoo.cfg.dynamic\n", None),
            ("clientPort=many\n", None),
            ("clientPort\n", None),
            ("coord.no.such=1\n", None),
            ("clientPort=1\n", Some("first")),
        ] {
            assert!(read(text, myid).is_err(), "{text}");
        }
    }
}
