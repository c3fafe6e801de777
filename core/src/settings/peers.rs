//! Settings of the authentication between members.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{ListenAddress, Secret, Settings};

/// Authentication between members. An accepted peer can read and modify all
/// data, so a member that other machines can connect to requires a secret here,
/// or `tls.peers`.
///
/// In a running cluster a secret is added, changed or removed one member at a
/// time: with `allow_unauthenticated` until all members have it, and with
/// `secret_previous` until all have the new one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PeerSettings {
    /// A secret shared by all members. Members authenticate each other with it
    /// without sending it, and messages are then protected against
    /// modification; only TLS also encrypts them. At least 16 random
    /// characters, for example from `openssl rand -base64 32`. Default none.
    /// Consul: `encrypt`, which is for gossip there.
    pub secret: Option<Secret>,
    /// The previous secret, which is still accepted. To change the secret of a
    /// running cluster, restart all members twice, one at a time: first with
    /// the new secret in `secret` and the old one here, then without this.
    /// Default none.
    pub secret_previous: Option<Secret>,
    /// The same in a file, so that it does not appear in process lists: the
    /// secret on the first line, optionally the previous secret on the second.
    /// Reloaded without a restart when it changes. Default none.
    pub secret_file: Option<PathBuf>,
    /// Whether any peer that can connect to `peer_addr` is accepted as a member
    /// without authentication. For networks that only members can access, and
    /// while a secret is added to a running cluster. Default no.
    pub allow_unauthenticated: bool,
}

impl PeerSettings {
    /// Whether there is a secret, in the settings or in a file.
    pub fn has_secret(&self) -> bool {
        self.secret.is_some() || self.secret_file.is_some()
    }
}

/// What to do about it, in the keys of both configuration formats.
const REMEDY: &str = "set the same secret on all members (peers.secret_file=FILE; in zoo.cfg \
    coord.peers.secret_file=FILE; generate one with `openssl rand -base64 32`), or use \
    certificates (tls.peers=true with tls.peer_cert_file and tls.peer_ca_file; in zoo.cfg \
    sslQuorum=true with ssl.quorum.keyStore.location and ssl.quorum.trustStore.location), or, on \
    a network that only members can access, set peers.allow_unauthenticated=true";

impl Settings {
    /// Whether other members have to authenticate.
    pub fn peers_prove(&self) -> bool {
        let by_certificate = self.tls.peers && !self.tls.peers_one_port;
        !self.peers.allow_unauthenticated && (self.peers.has_secret() || by_certificate)
    }

    /// Why an unauthenticated peer would be accepted at this address; none if
    /// it would not, or if that is explicitly allowed.
    pub fn believes_strangers_at(&self, what: &str, address: &str) -> Option<String> {
        if self.peers_prove() || self.peers.allow_unauthenticated {
            return None;
        }
        let why = match self.tls.peers_one_port {
            true => "tls.peers_one_port accepts connections without a certificate",
            false => "members do not authenticate each other",
        };
        Some(format!(
            "{what} ({address}) is not on loopback, and {why}: anyone who can connect could read \
             and modify all data; {REMEDY}"
        ))
    }

    /// Adds the problems of these settings.
    pub(super) fn check_peers(&self, problems: &mut Vec<String>) {
        let PeerSettings { secret, secret_previous, secret_file, .. } = &self.peers;
        if secret_file.is_some() && (secret.is_some() || secret_previous.is_some()) {
            problems.push(
                "peers.secret_file and peers.secret or peers.secret_previous are both set: write \
                 both secrets to the file, the previous one on its second line"
                    .to_owned(),
            );
        }
        if secret_previous.is_some() && secret.is_none() && secret_file.is_none() {
            problems.push("peers.secret_previous is set, but peers.secret is not".to_owned());
        }
        for (name, secret) in [("peers.secret", secret), ("peers.secret_previous", secret_previous)]
        {
            if secret.as_ref().is_some_and(|secret| secret.reveal().trim().is_empty()) {
                problems.push(format!("{name} is empty"));
            }
        }
        let off_loopback = self.peer_addresses().into_iter().find(|(_, at)| !is_on_loopback(at));
        let refused = off_loopback.and_then(|(what, at)| self.believes_strangers_at(&what, &at));
        problems.extend(refused);
    }

    /// The listen address of this member and the addresses of the others.
    fn peer_addresses(&self) -> Vec<(String, String)> {
        let mut addresses = Vec::new();
        if let Some(own @ ListenAddress::At { .. }) = &self.peer_addr {
            addresses.push(("peer_addr".to_owned(), own.to_string()));
        }
        for (member, address) in &self.members {
            // Its own entry counts only if that is where it listens.
            if *member != self.member_id || self.peer_addr.is_none() {
                addresses.push((format!("member {member} in members"), address.clone()));
            }
        }
        addresses
    }
}

/// Whether `host:port` can only be this machine. A name other than localhost
/// may resolve to any machine, and an unspecified address accepts from any.
pub(super) fn is_on_loopback(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match host.parse::<IpAddr>() {
        Ok(ip) => ip.to_canonical().is_loopback(),
        Err(_) => {
            let name = host.to_ascii_lowercase();
            let name = name.strip_suffix('.').unwrap_or(&name);
            name == "localhost" || name.ends_with(".localhost")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(changes: &[(&str, &str)]) -> Settings {
        let mut settings = Settings::default();
        for (key, value) in changes {
            settings.set(key, value).unwrap();
        }
        settings
    }

    fn refusal(changes: &[(&str, &str)]) -> Option<String> {
        settings(changes).validate().err().map(|error| error.chain())
    }

    const THREE: (&str, &str) = ("members", "{1='10.0.0.1:1', 2='10.0.0.2:1', 3='10.0.0.3:1'}");

    #[test]
    fn only_this_machine_is_loopback() {
        for address in [
            "127.0.0.1:1",
            "127.9.9.9:1",
            "[::1]:1",
            "[::ffff:127.0.0.1]:1",
            "localhost:1",
            "LocalHost.:1",
        ] {
            assert!(is_on_loopback(address), "{address}");
        }
        for address in [
            "0.0.0.0:1",
            "[::]:1",
            "10.0.0.1:1",
            "[::ffff:10.0.0.1]:1",
            "zk1:1",
            "[fe80::1%lo]:1",
            "localhost.example:1",
            ":1",
            "",
        ] {
            assert!(!is_on_loopback(address), "{address}");
        }
    }

    #[test]
    fn a_member_that_other_machines_reach_needs_a_secret_or_certificates() {
        for changes in [
            &[THREE][..],
            &[("peer_addr", "0.0.0.0:0")],
            &[("peer_addr", "[::]:0")],
            &[("peer_addr", "zk1:2888")],
            &[("members", "{1='127.0.0.1:1', 2='10.0.0.2:1'}")],
            // Listening on loopback alone does not make the others known.
            &[("members", "{1='127.0.0.1:1', 2='zk2:1'}"), ("peer_addr", "127.0.0.1:1")],
        ] {
            let refused = refusal(changes).expect("refused");
            for remedy in [
                "peers.secret_file",
                "coord.peers.secret_file",
                "tls.peers",
                "peers.allow_unauthenticated",
            ] {
                assert!(refused.contains(remedy), "{changes:?}: {refused}");
            }
            for remedy in [
                ("peers.secret", "x".repeat(32)),
                ("peers.secret_file", "/s".into()),
                ("peers.allow_unauthenticated", "true".into()),
            ] {
                let with = [changes, &[(remedy.0, remedy.1.as_str())]].concat();
                assert_eq!(refusal(&with), None);
            }
        }
        for changes in [
            &[][..],
            &[("peer_addr", "127.0.0.1:0")],
            &[("members", "{1='localhost:1', 2='127.0.0.1:2', 3='[::1]:3'}")],
            &[("members", "{1='10.0.0.1:1'}"), ("peer_addr", "off")],
        ] {
            assert_eq!(refusal(changes), None, "{changes:?}");
        }
    }

    #[test]
    fn certificates_count_only_if_nobody_comes_without() {
        let tls = [THREE, ("tls.peer_cert_file", "/c"), ("tls.peer_ca_file", "/a")];
        assert!(refusal(&tls).is_some(), "understood, but not asked for");
        let tls = [&tls[..], &[("tls.peers", "true")]].concat();
        assert_eq!(refusal(&tls), None);
        let either = [&tls[..], &[("tls.peers_one_port", "true")]].concat();
        assert!(refusal(&either).unwrap().contains("tls.peers_one_port"));
        let secret = [&either[..], &[("peers.secret", "a secret of this test")]].concat();
        assert_eq!(refusal(&secret), None);
    }

    #[test]
    fn secrets_that_contradict_each_other_are_refused() {
        for changes in [
            &[("peers.secret", "one"), ("peers.secret_file", "/s")][..],
            &[("peers.secret_previous", "one")],
            &[("peers.secret", " ")],
            &[("peers.secret", "")],
        ] {
            let refused = refusal(changes).expect("refused");
            assert!(refused.contains("peers.secret"), "{refused}");
        }
    }

    #[test]
    fn a_secret_is_shown_nowhere() {
        let set = settings(&[("peers.secret", "hush-1"), ("peers.secret_previous", "hush-2")]);
        let shown = format!("{set:?} {} {:?}", set.shown(), set.named());
        assert!(!shown.contains("hush"), "{shown}");
        let set = settings(&[("peers.secret_file", "/etc/coord/secret")]);
        assert!(set.shown().contains("/etc/coord/secret"), "where it is is no secret");
        // Nor where it was written by mistake.
        let mut set = Settings::default();
        for refused in [
            set.set("peers.secrets", "hush-3"),
            set.set("peers.secret.x", "hush-4"),
            Settings::from_toml("[peers]\nsecret = \"hush-5").map(drop),
            Settings::from_toml("[peers]\nsecrets = \"hush-6\"").map(drop),
            Settings::from_toml("peers = { secret = \"hush-7\", no = 1 }").map(drop),
            Settings::from_toml("[peers]\nsecret = 771199").map(drop),
            Settings::from_toml("[peers]\nsecret = ['hush-8']").map(drop),
        ] {
            let refused = refused.unwrap_err().chain();
            assert!(!refused.contains("hush") && !refused.contains("7711"), "{refused}");
            assert!(refused.contains("secret") || refused.contains("line"), "{refused}");
        }
    }
}
