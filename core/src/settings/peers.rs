//! What a user can set about who is believed to be another member.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{ListenAddress, Secret, Settings};

/// Who is believed to be another member. Whoever is can read and change
/// everything, so a member that other machines can reach needs a secret here
/// or `tls.peers`.
///
/// A running cluster takes a secret up, changes it and lets it go one member
/// at a time: with `allow_unauthenticated` on until all have it, and with
/// `secret_previous` until all have the new one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PeerSettings {
    /// A secret that all members share. Each proves to the other that it has
    /// it, which never travels, and what they say then cannot be altered on
    /// the way; only TLS keeps it from being read. At least 16 characters of
    /// chance, as `openssl rand -base64 32` prints them. Default none. Consul:
    /// `encrypt`, which is for gossip there.
    pub secret: Option<Secret>,
    /// The secret before this one, which is still believed. A running cluster
    /// changes its secret in two rounds, one member at a time: the new one in
    /// `secret` and the old one here, then without this. Default none.
    pub secret_previous: Option<Secret>,
    /// The same from a file, so that no list of processes shows it: the secret
    /// on its first line, and on the second, if there is one, the one before.
    /// Read again when it changes, without a restart. Default none.
    pub secret_file: Option<PathBuf>,
    /// Whether whoever reaches the port for members is believed to be one
    /// without proof, and may be on any machine. For networks of the members
    /// alone, and for the time in which a running cluster takes a secret up.
    /// Default no.
    pub allow_unauthenticated: bool,
}

impl PeerSettings {
    /// Whether there is a secret, wherever it is.
    pub fn has_secret(&self) -> bool {
        self.secret.is_some() || self.secret_file.is_some()
    }
}

/// What to do about it, in the words of both kinds of configuration.
const REMEDY: &str = "give all members the same secret (peers.secret_file=FILE; in a zoo.cfg \
    coord.peers.secret_file=FILE; `openssl rand -base64 32` makes one), or certificates \
    (tls.peers=true with tls.peer_cert_file and tls.peer_ca_file; in a zoo.cfg sslQuorum=true with \
    ssl.quorum.keyStore.location and ssl.quorum.trustStore.location), or, on a network of the \
    members alone, set peers.allow_unauthenticated=true";

impl Settings {
    /// Whether another member has to prove that it is one.
    pub fn peers_prove(&self) -> bool {
        let by_certificate = self.tls.peers && !self.tls.peers_one_port;
        !self.peers.allow_unauthenticated && (self.peers.has_secret() || by_certificate)
    }

    /// Says why strangers would be believed at this address; nothing if they
    /// would not, or are wanted to be.
    pub fn believes_strangers_at(&self, what: &str, address: &str) -> Option<String> {
        if self.peers_prove() || self.peers.allow_unauthenticated {
            return None;
        }
        let why = match self.tls.peers_one_port {
            true => "tls.peers_one_port takes connections without a certificate",
            false => "members prove nothing to each other",
        };
        Some(format!(
            "{what} ({address}) is not on loopback, and {why}, so that any machine that reaches a \
             member could read and change everything: {REMEDY}"
        ))
    }

    /// Adds what does not hold together.
    pub(super) fn check_peers(&self, problems: &mut Vec<String>) {
        let PeerSettings { secret, secret_previous, secret_file, .. } = &self.peers;
        if secret_file.is_some() && (secret.is_some() || secret_previous.is_some()) {
            problems.push(
                "peers.secret_file is there beside peers.secret or peers.secret_previous: write \
                 both into the file, the former one on its second line"
                    .to_owned(),
            );
        }
        if secret_previous.is_some() && secret.is_none() && secret_file.is_none() {
            problems.push("peers.secret_previous is there, but no peers.secret".to_owned());
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

    /// Where this member listens for others, and where those are.
    fn peer_addresses(&self) -> Vec<(String, String)> {
        let mut addresses = Vec::new();
        if let Some(own @ ListenAddress::At { .. }) = &self.peer_addr {
            addresses.push(("peer_addr".to_owned(), own.to_string()));
        }
        for (member, address) in &self.members {
            // Its own entry counts where it listens there.
            if *member != self.member_id || self.peer_addr.is_none() {
                addresses.push((format!("member {member} in members"), address.clone()));
            }
        }
        addresses
    }
}

/// Whether `host:port` can only be this machine. A name other than localhost
/// may be any, and so may an unspecified address.
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
