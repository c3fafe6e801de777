//! The failed connection attempts since the last connection, and why each
//! failed, for the error message of a timeout.

use std::io;
use std::net::{IpAddr, SocketAddr};

/// Maximum servers remembered. Lists of hosts are shorter, but a name may have many addresses.
const SERVERS_MAX: usize = 32;

/// After this many rounds in which all servers refused, calls of a client that
/// was never connected give up. With the pauses between rounds that is about
/// five seconds.
const REFUSED_ROUNDS_MAX: u32 = 9;

/// Failed attempts, newest last.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    failed: Vec<(String, String)>,
    refused_rounds: u32,
}

impl Attempts {
    /// Records a failed attempt at a server, named as by [`name`].
    pub(super) fn note(&mut self, server: String, said: String) {
        self.failed.retain(|(other, _)| *other != server);
        if self.failed.len() >= SERVERS_MAX {
            self.failed.remove(0);
        }
        self.failed.push((server, said));
    }

    /// Records the end of a round; `refused` if all servers refused the
    /// connection. Returns whether that has been so for long.
    pub(super) fn round_ended(&mut self, refused: bool) -> bool {
        self.refused_rounds = if refused { self.refused_rounds.saturating_add(1) } else { 0 };
        self.refused_rounds >= REFUSED_ROUNDS_MAX
    }

    /// The failures of all servers, ordered by name; `None` if none was tried.
    pub(super) fn told(&self) -> Option<String> {
        let mut said: Vec<_> = self.failed.iter().collect();
        said.sort();
        let said: Vec<&str> = said.into_iter().map(|(_, said)| said.as_str()).collect();
        (!said.is_empty()).then(|| said.join("; "))
    }
}

/// A server as the user wrote it, with the address if the name has several.
pub(super) fn name(host: &str, address: SocketAddr) -> String {
    match host.parse::<IpAddr>() {
        Ok(_) => address.to_string(),
        Err(_) => format!("{host}:{} ({})", address.port(), address.ip()),
    }
}

/// A human-readable description of a failed attempt.
pub(super) fn said(server: &str, cause: &io::Error) -> String {
    match cause.kind() {
        io::ErrorKind::ConnectionRefused => format!("connection refused by {server}"),
        io::ErrorKind::TimedOut => format!("{server} did not respond in time"),
        io::ErrorKind::UnexpectedEof => {
            format!("{server} closed the connection during the session handshake")
        }
        _ => format!("{server}: {cause}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_is_told_with_the_last_it_said() {
        let mut attempts = Attempts::default();
        assert_eq!(attempts.told(), None);
        for (server, kind) in [
            ("10.0.0.2:1", io::ErrorKind::ConnectionRefused),
            ("10.0.0.1:1", io::ErrorKind::ConnectionRefused),
            ("10.0.0.2:1", io::ErrorKind::TimedOut),
        ] {
            attempts.note(server.to_owned(), said(server, &kind.into()));
        }
        let told = attempts.told().unwrap();
        assert_eq!(told, "connection refused by 10.0.0.1:1; 10.0.0.2:1 did not respond in time");
        for number in 0..2 * SERVERS_MAX {
            attempts.note(format!("{number}"), "x".to_owned());
        }
        assert_eq!(attempts.failed.len(), SERVERS_MAX);
    }

    #[test]
    fn a_name_is_told_with_the_address_it_stands_for() {
        let address: SocketAddr = "127.0.0.1:2181".parse().unwrap();
        assert_eq!(name("127.0.0.1", address), "127.0.0.1:2181");
        assert_eq!(name("localhost", address), "localhost:2181 (127.0.0.1)");
        let address: SocketAddr = "[::1]:2181".parse().unwrap();
        assert_eq!(name("::1", address), "[::1]:2181");
    }

    #[test]
    fn only_rounds_that_are_refused_everywhere_make_calls_give_up() {
        let mut attempts = Attempts::default();
        for _ in 1..REFUSED_ROUNDS_MAX {
            assert!(!attempts.round_ended(true));
        }
        assert!(!attempts.round_ended(false), "somebody is there: worth waiting for");
        for _ in 1..REFUSED_ROUNDS_MAX {
            assert!(!attempts.round_ended(true));
        }
        assert!(attempts.round_ended(true));
    }
}
