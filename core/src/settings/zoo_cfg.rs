//! Settings from a `zoo.cfg`, so that a member can take over where a ZooKeeper
//! was without its configuration being written anew.
//!
//! What ZooKeeper has no key for is set by our own name behind `coord.`.
//!
//! A key that means something here is taken over; one that has no meaning here
//! is passed over, as are those about tuning; any other is told to the user.
//! What would silently make another cluster than the one described is refused.

use std::path::Path;
use std::str::FromStr;

use super::server_line::ServerLine;
use super::zoo_cfg_secure::SecureKeys;
use super::{ListenAddress, Settings};
use crate::error::Error;

/// Settings, and what of their source was not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadSettings {
    /// The settings.
    pub settings: Settings,
    /// Sentences for the user.
    pub warnings: Vec<String>,
}

/// Keys without a counterpart whose absence changes nothing a client sees.
const PASSED_OVER: &[&str] = &[
    "initLimit",
    "syncLimit",
    "connectToLearnerMasterLimit",
    "electionAlg",
    "leaderServes",
    "quorumListenOnAllIPs",
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

impl Settings {
    /// Reads a file: a ZooKeeper configuration if its name ends in `.cfg`,
    /// otherwise TOML.
    ///
    /// # Errors
    /// `Invalid`, naming the file and what is wrong in it.
    pub fn read(path: &Path) -> Result<ReadSettings, Error> {
        let unreadable = |path: &Path, error| {
            Error::invalid(format!("cannot read {}", path.display())).caused_by(error)
        };
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, error))?;
        if path.extension().is_none_or(|extension| extension != "cfg") {
            let settings = Self::from_toml(&text)?;
            return Ok(ReadSettings { settings, warnings: Vec::new() });
        }
        let mut config = ZooCfg::parse(&text)?;
        if let Some(file) = config.dynamic.take() {
            // ZooKeeper takes a relative name from where it was started.
            let text = std::fs::read_to_string(&file).map_err(|error| unreadable(&file, error))?;
            config.read_lines(&text)?;
        }
        let numbered = config.directory.join("myid");
        match std::fs::read_to_string(&numbered) {
            Ok(number) => config.read.settings.member_id = parse("myid", number.trim())?,
            Err(error) if !config.read.settings.members.is_empty() => {
                return Err(unreadable(&numbered, error));
            }
            Err(_) => {}
        }
        config.finish()
    }
}

/// A configuration being read.
struct ZooCfg {
    read: ReadSettings,
    /// ZooKeeper's own directory: ours is in it, and so is the file `myid`.
    directory: std::path::PathBuf,
    client_host: Option<String>,
    client_port: Option<u16>,
    secure: SecureKeys,
    /// Where clients are, as `server.N` says.
    client_parts: std::collections::BTreeMap<u64, String>,
    /// The file with the `server.N`, if they are not here.
    dynamic: Option<std::path::PathBuf>,
    /// `peerType`.
    is_observer: bool,
}

impl ZooCfg {
    fn parse(text: &str) -> Result<Self, Error> {
        let mut config = Self {
            read: ReadSettings { settings: Settings::default(), warnings: Vec::new() },
            directory: ".".into(),
            client_host: None,
            client_port: None,
            secure: SecureKeys::default(),
            client_parts: Default::default(),
            dynamic: None,
            is_observer: false,
        };
        config.read_lines(text)?;
        config.read.settings.data_dir = config.directory.join("coord");
        Ok(config)
    }

    fn read_lines(&mut self, text: &str) -> Result<(), Error> {
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with(['#', '!']) {
                continue;
            }
            let (key, value) = line.split_once('=').ok_or_else(|| {
                Error::invalid(format!("'{line}' is not a setting: write key=value"))
            })?;
            self.set(key.trim(), value.trim())?;
        }
        Ok(())
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), Error> {
        let settings = &mut self.read.settings;
        match key {
            "clientPort" => self.client_port = Some(parse(key, value)?),
            "clientPortAddress" => self.client_host = Some(value.to_owned()),
            "dataDir" => self.directory = value.into(),
            "tickTime" => settings.session.tick_ms = parse(key, value)?,
            "minSessionTimeout" => settings.session.timeout_min_ms = above_zero(key, value)?,
            "maxSessionTimeout" => settings.session.timeout_max_ms = above_zero(key, value)?,
            "maxCnxns" => {
                if let Some(connections) = above_zero(key, value)? {
                    settings.limits.zk_connections_max = usize::try_from(connections)
                        .map_err(|_| Error::invalid(format!("{key} is too large")))?;
                }
            }
            "globalOutstandingLimit" => {
                settings.limits.zk_outstanding_total_max = parse(key, value)?;
            }
            "jute.maxbuffer" => {
                let limits = &mut settings.limits;
                limits.zk_frame_bytes_max = parse(key, value)?;
                // ZooKeeper knows no such limit: it is as large as is needed.
                let needed = limits.peer_frame_bytes_min();
                limits.peer_frame_bytes_max = limits.peer_frame_bytes_max.max(needed);
            }
            "znode.container.checkIntervalMs" => {
                settings.session.sweep_interval_ms = parse(key, value)?;
            }
            "znode.container.maxPerMinute" => {
                settings.session.sweep_per_minute_max = parse(key, value)?;
            }
            "znode.container.maxNeverUsedIntervalMs" => {
                settings.session.container_never_used_ms = parse(key, value)?;
            }
            "maxClientCnxns" => {
                let per_address = above_zero(key, value)?.unwrap_or(0);
                settings.limits.zk_connections_per_ip_max = usize::try_from(per_address)
                    .map_err(|_| Error::invalid(format!("{key} is too large")))?;
            }
            "4lw.commands.whitelist" => settings.zk_four_letter_words = Some(value.to_owned()),
            "dynamicConfigFile" => self.dynamic = Some(value.into()),
            "peerType" => match value {
                "observer" => self.is_observer = true,
                "participant" => {}
                _ => return Err(Error::invalid(format!("{key}: '{value}' is no type of a peer"))),
            },
            // Of a file of members: which state of a running ensemble it is.
            "version" => {}
            _ if self.secure.take(key, value, settings)? => {}
            _ if key.starts_with("server.") => {
                self.add_server(parse(key, &key["server.".len()..])?, value)?;
            }
            // ZooKeeper passes over what it does not know: such a file serves both.
            _ => match key.strip_prefix("coord.") {
                Some(own) => settings.set(own, value)?,
                None if settings.zk.set_as_in_zoo_cfg(key, value)? => {}
                None => self.pass_over(key),
            },
        }
        Ok(())
    }

    fn add_server(&mut self, member: u64, value: &str) -> Result<(), Error> {
        let line: ServerLine = value.parse().map_err(|error| {
            Error::invalid(format!("server.{member} cannot be read")).caused_by(error)
        })?;
        let settings = &mut self.read.settings;
        settings.members.insert(member, line.peer());
        if line.observer {
            settings.observers.insert(member);
        }
        if let Some(client) = line.client {
            self.client_parts.insert(member, client);
        }
        Ok(())
    }

    fn pass_over(&mut self, key: &str) {
        let known = PASSED_OVER.contains(&key)
            || PASSED_OVER_FAMILIES.iter().any(|family| key.starts_with(family));
        if !known {
            self.read.warnings.push(format!("{key} has no meaning here and is passed over"));
        }
    }

    /// As ZooKeeper: on all addresses unless told otherwise.
    fn finish(mut self) -> Result<ReadSettings, Error> {
        let settings = &mut self.read.settings;
        if self.is_observer {
            settings.observers.insert(settings.member_id);
        }
        self.secure.finish(settings)?;
        let host = self.client_host.unwrap_or_else(|| "0.0.0.0".to_owned());
        let own = self.client_parts.get(&settings.member_id);
        match (self.client_port, own) {
            (Some(port), _) => settings.zk_addr = ListenAddress::At { host, port },
            (None, Some(part)) => settings.zk_addr = part.parse()?,
            (None, None) => {
                let at = &settings.zk_addr;
                self.read.warnings.push(format!("there is no clientPort: clients are at {at}"));
            }
        }
        Ok(self.read)
    }
}

pub(super) fn parse<T: FromStr>(key: &str, value: &str) -> Result<T, Error> {
    value.parse().map_err(|_| Error::invalid(format!("{key}: '{value}' is not such a number")))
}

/// ZooKeeper's -1 and 0 stand for its default.
fn above_zero(key: &str, value: &str) -> Result<Option<u32>, Error> {
    let number: i64 = parse(key, value)?;
    if number <= 0 {
        return Ok(None);
    }
    u32::try_from(number).map(Some).map_err(|_| Error::invalid(format!("{key} is too large")))
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
        std::fs::write(&dynamic, "server.1=a:1:2:participant;7\nversion=100000000\n").unwrap();
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
        assert_eq!(warnings, ["unheardOf has no meaning here and is passed over"]);
        let warnings = read("", None).unwrap().warnings;
        assert_eq!(warnings, ["there is no clientPort: clients are at 127.0.0.1:2181"]);
    }

    #[test]
    fn what_would_make_another_cluster_is_refused() {
        for (text, myid) in [
            ("server.1=a:1:2\n", None),
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
