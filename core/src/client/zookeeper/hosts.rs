//! The connect string: list of servers and chroot path.

use std::io;
use std::net::SocketAddr;

use tokio::net::lookup_host;

use crate::Error;

/// A server to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) address: SocketAddr,
    /// The host name as written by the user, which its certificate must match.
    pub(super) host: String,
}

/// Parsed once; names are resolved again for every attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hosts {
    servers: Vec<(String, u16)>,
    /// Begins with a slash and does not end with one; empty for none.
    chroot: String,
}

impl Hosts {
    /// # Errors
    /// `Invalid` if it contains no server or an invalid part.
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let (list, chroot) = match text.find('/') {
            None => (text, ""),
            Some(slash) => (&text[..slash], text[slash..].trim_end_matches('/')),
        };
        if chroot.contains("//") || chroot.contains('\0') {
            return Err(Error::invalid(format!(
                "{text:?}: the chroot {chroot:?} is not a valid path"
            )));
        }
        let parts = list.split(',').map(str::trim).filter(|part| !part.is_empty());
        let servers: Vec<_> = parts.map(server).collect::<Result<_, _>>()?;
        if servers.is_empty() {
            return Err(Error::invalid(format!("{text:?} names no server")));
        }
        Ok(Self { servers, chroot: chroot.to_owned() })
    }

    pub(super) fn chroot(&self) -> &str {
        &self.chroot
    }

    /// All addresses of all names, and the names that cannot be resolved, each
    /// with its port and why.
    pub(super) async fn resolve(&self, shuffle: bool) -> (Vec<Target>, Vec<(String, io::Error)>) {
        let mut targets: Vec<Target> = Vec::new();
        let mut failed = Vec::new();
        for (host, port) in &self.servers {
            match lookup_host((host.as_str(), *port)).await {
                Ok(found) => {
                    for address in found {
                        if targets.iter().all(|target| target.address != address) {
                            targets.push(Target { address, host: host.clone() });
                        }
                    }
                }
                Err(error) => failed.push((format!("{host}:{port}"), error)),
            }
        }
        if shuffle {
            self::shuffle(&mut targets);
        }
        (targets, failed)
    }
}

fn server(text: &str) -> Result<(String, u16), Error> {
    let not = || Error::invalid(format!("{text:?} is not host:port"));
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            (host, port.parse().map_err(|_| not())?)
        }
        _ => (text, 2181),
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if host.is_empty() || port == 0 {
        return Err(not());
    }
    Ok((host.to_owned(), port))
}

fn shuffle<T>(list: &mut [T]) {
    for last in (1..list.len()).rev() {
        list.swap(last, random_below(last + 1));
    }
}

/// Uniform enough for spreading load.
pub(super) fn random_below(bound: usize) -> usize {
    let number = getrandom::u32().unwrap_or_default();
    usize::try_from(number).unwrap_or_default() % bound.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(text: &str) -> Vec<(String, u16)> {
        Hosts::parse(text).unwrap().servers
    }

    #[test]
    fn a_list_is_read_with_default_ports_and_chroot() {
        let hosts = Hosts::parse("a:1, b ,[::1]:3,::1/app/x/").unwrap();
        let expected = [("a", 1), ("b", 2181), ("::1", 3), ("::1", 2181)];
        assert_eq!(hosts.servers, expected.map(|(host, port)| (host.to_owned(), port)));
        assert_eq!(hosts.chroot(), "/app/x");
        assert_eq!(Hosts::parse("a/").unwrap().chroot(), "");
        assert_eq!(servers("a").len(), 1);
    }

    #[test]
    fn impossible_lists_are_refused() {
        for text in ["", ",", "a:x", "a:70000", "a:0", ":1", "/app", "a//b"] {
            Hosts::parse(text).expect_err(text);
        }
    }

    #[test]
    fn shuffling_keeps_every_element() {
        let mut list: Vec<_> = (0..20).collect();
        shuffle(&mut list);
        list.sort_unstable();
        assert_eq!(list, (0..20).collect::<Vec<_>>());
    }
}
