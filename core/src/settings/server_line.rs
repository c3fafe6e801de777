//! How ZooKeeper writes a member, in its configuration file, in a reconfig and
//! in `/zookeeper/config`:
//!
//! ```text
//! host:peerPort:electionPort[|…][:participant|:observer][;[clientHost:]clientPort]
//! ```
//!
//! Of several addresses the first is used; all are kept. Members have one port
//! for each other, the peer port; the election port is kept as it was written.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;

/// What is told of one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerLine {
    /// Where other members reach it; at least one.
    pub addresses: Vec<ServerAddress>,
    /// Whether it follows without a vote.
    pub observer: bool,
    /// Where clients reach it, `host:port`.
    pub client: Option<String>,
}

/// One address for other members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAddress {
    /// Name or address; in brackets if it is of version 6.
    pub host: String,
    /// For the log.
    pub peer_port: u16,
    /// ZooKeeper's second port, of no use here.
    pub election_port: u16,
}

impl ServerLine {
    /// A member at `peer`, which is `host:port`; nothing if that has no port.
    pub fn at(peer: &str, observer: bool) -> Option<Self> {
        let (host, port) = peer.rsplit_once(':')?;
        let port = port.parse().ok()?;
        let address = ServerAddress { host: host.to_owned(), peer_port: port, election_port: port };
        Some(Self { addresses: vec![address], observer, client: None })
    }

    /// Where other members connect to, `host:port`.
    pub fn peer(&self) -> String {
        let first = self.addresses.first();
        first.map(|first| format!("{}:{}", first.host, first.peer_port)).unwrap_or_default()
    }

    /// Every place it is said to be at, but for those that stand for any.
    pub fn places(&self) -> Vec<String> {
        let own = |address: &ServerAddress| {
            [address.peer_port, address.election_port]
                .map(|port| format!("{}:{port}", address.host))
        };
        let peers = self.addresses.iter().flat_map(own);
        let all = peers.chain(self.client.clone());
        all.filter(|place| !place.starts_with("0.0.0.0:") && !place.starts_with("[::]:")).collect()
    }
}

impl FromStr for ServerLine {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).ok_or_else(|| {
            Error::invalid(format!(
                "'{text}' is not a member: write HOST:PORT:PORT[:participant|:observer][;[HOST:]PORT]"
            ))
        })
    }
}

fn parse(text: &str) -> Option<ServerLine> {
    let (peers, client) = match text.trim().split_once(';') {
        Some((peers, client)) => (peers, Some(client)),
        None => (text.trim(), None),
    };
    let mut addresses = Vec::new();
    let mut observer = None;
    for part in peers.split('|') {
        let (host, rest) = split_host(part)?;
        let mut ports = rest.split(':');
        let mut port = || ports.next()?.parse::<u16>().ok();
        let address =
            ServerAddress { host: host.to_owned(), peer_port: port()?, election_port: port()? };
        addresses.push(address);
        match ports.next() {
            None => {}
            Some(role) if role.eq_ignore_ascii_case("observer") => observer = Some(true),
            Some(role) if role.eq_ignore_ascii_case("participant") => observer = Some(false),
            Some(_) => return None,
        }
        if ports.next().is_some() {
            return None;
        }
    }
    let client = match client {
        None => None,
        Some(client) => Some(parse_client(client)?),
    };
    Some(ServerLine { addresses, observer: observer.unwrap_or(false), client })
}

fn parse_client(text: &str) -> Option<String> {
    if let Ok(port) = text.parse::<u16>() {
        return Some(format!("0.0.0.0:{port}"));
    }
    let (host, port) = split_host(text)?;
    Some(format!("{host}:{}", port.parse::<u16>().ok()?))
}

/// The host, and what follows its colon.
fn split_host(text: &str) -> Option<(&str, &str)> {
    let host_end = text.find(']').map_or(0, |bracket| bracket + 1);
    let colon = host_end + text[host_end..].find(':')?;
    let (host, rest) = (&text[..colon], &text[colon + 1..]);
    let bracketed = host.starts_with('[') == host.ends_with(']');
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]%".contains(c);
    (!host.is_empty() && bracketed && host.chars().all(plain)).then_some((host, rest))
}

/// As ZooKeeper writes it: always with the role.
impl fmt::Display for ServerLine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, address) in self.addresses.iter().enumerate() {
            let between = if number == 0 { "" } else { "|" };
            let ServerAddress { host, peer_port, election_port } = address;
            write!(formatter, "{between}{host}:{peer_port}:{election_port}")?;
        }
        formatter.write_str(if self.observer { ":observer" } else { ":participant" })?;
        match &self.client {
            Some(client) => write!(formatter, ";{client}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Option<String> {
        text.parse::<ServerLine>().ok().map(|line| line.to_string())
    }

    #[test]
    fn a_member_is_written_as_zookeeper_writes_it() {
        for (text, expected) in [
            ("a:2888:3888", "a:2888:3888:participant"),
            ("a:2888:3888;2181", "a:2888:3888:participant;0.0.0.0:2181"),
            ("a:1:2:observer;b:3", "a:1:2:observer;b:3"),
            ("[::1]:1:2:OBSERVER;[::1]:3", "[::1]:1:2:observer;[::1]:3"),
            ("a:1:2|b:3:4:observer;5", "a:1:2|b:3:4:observer;0.0.0.0:5"),
        ] {
            assert_eq!(written(text).as_deref(), Some(expected), "{text}");
            assert_eq!(written(expected).as_deref(), Some(expected), "again");
        }
        assert_eq!("a:1:2|b:3:4".parse::<ServerLine>().unwrap().peer(), "a:1");
    }

    #[test]
    fn what_is_no_member_is_refused() {
        for text in [
            "",
            "a",
            "a:1",
            "a:1:x",
            ":1:2",
            "a:1:2:voter",
            "a:1:2:observer:x",
            "a:1:2;",
            "a:1:2;b",
            "a:1:2;b:x",
            "a:1:99999",
            "a b:1:2",
            "a:1:2|",
            "[::1:1:2",
            "::1]:1:2",
            "a\n:1:2",
        ] {
            assert_eq!(written(text), None, "{text}");
        }
    }
}
