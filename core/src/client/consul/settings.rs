//! Where the agent is and how to talk to it.

use std::path::PathBuf;
use std::time::Duration;

use super::options::READ_TIMEOUT;
use crate::Error;

/// What a client is made of.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `host:port`, `[v6]:port`, `host` (port 8500), `http://host:port` or
    /// `unix:///path`. Default `127.0.0.1:8500`.
    pub address: String,
    /// Sent as `X-Consul-Token`. Default none.
    pub token: Option<String>,
    /// For calls that name none. Default the agent's own.
    pub datacenter: Option<String>,
    /// For reads that name none.
    pub consistency: Consistency,
    /// How long connecting may take. Default 10 s.
    pub connect_timeout: Duration,
    /// How long an answer may take when nothing is waited for. Default 30 s.
    pub read_timeout: Duration,
    /// Connections open at once; further calls wait for one. Default 256.
    pub connections_max: usize,
    /// Largest answer. Bytes, default 256 MiB; a longer one is an error.
    pub response_bytes_max: usize,
}

/// How fresh a read must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Consistency {
    /// The leader's state.
    #[default]
    Default,
    /// The leader's, once it has made sure that it leads.
    Consistent,
    /// Any server's.
    Stale,
}

/// Where to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            address: "127.0.0.1:8500".to_owned(),
            token: None,
            datacenter: None,
            consistency: Consistency::Default,
            connect_timeout: Duration::from_secs(10),
            read_timeout: READ_TIMEOUT,
            connections_max: 256,
            response_bytes_max: 256 << 20,
        }
    }
}

impl Settings {
    /// The defaults with `CONSUL_HTTP_ADDR` and `CONSUL_HTTP_TOKEN` from the environment.
    pub fn from_environment() -> Self {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let given = |name| variable(name).filter(|value| !value.is_empty());
        let mut settings = Self { token: given("CONSUL_HTTP_TOKEN"), ..Self::default() };
        if let Some(address) = given("CONSUL_HTTP_ADDR") {
            settings.address = address;
        }
        settings
    }
}

impl Target {
    /// # Errors
    /// `Invalid` for a scheme that is not spoken here or a port that is none.
    pub(super) fn parse(address: &str) -> Result<Self, Error> {
        if let Some(path) = address.strip_prefix("unix://") {
            return Ok(Self::Unix(path.into()));
        }
        let rest = match address.split_once("://") {
            None => address,
            Some(("http", rest)) => rest,
            Some((scheme, _)) => {
                return Err(Error::invalid(format!(
                    "{address:?}: the scheme {scheme:?} is not supported, only http and unix"
                )));
            }
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = split_port(rest);
        let port = match port {
            None => 8500,
            Some(port) => port
                .parse()
                .map_err(|_| Error::invalid(format!("{address:?}: {port:?} is not a port")))?,
        };
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        if host.is_empty() || host.contains(['/', '?', '#', '@']) {
            return Err(Error::invalid(format!("{address:?} is not host:port")));
        }
        Ok(Self::Tcp { host: host.to_owned(), port })
    }

    /// What goes into the `Host` header.
    pub(super) fn authority(&self) -> String {
        match self {
            Self::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            Self::Tcp { host, port } => format!("{host}:{port}"),
            Self::Unix(_) => "localhost".to_owned(),
        }
    }
}

/// Splits at the colon before the port; those of a bare IPv6 address are none.
fn split_port(address: &str) -> (&str, Option<&str>) {
    match address.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        _ => (address, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> Target {
        Target::Tcp { host: host.to_owned(), port }
    }

    #[test]
    fn addresses_are_read_in_all_their_forms() {
        assert_eq!(Target::parse("10.0.0.1:8501").unwrap(), tcp("10.0.0.1", 8501));
        assert_eq!(Target::parse("http://consul:80/").unwrap(), tcp("consul", 80));
        assert_eq!(Target::parse("consul").unwrap(), tcp("consul", 8500));
        assert_eq!(Target::parse("[::1]:9").unwrap(), tcp("::1", 9));
        assert_eq!(Target::parse("::1").unwrap(), tcp("::1", 8500));
        assert_eq!(
            Target::parse("unix:///run/c.sock").unwrap(),
            Target::Unix("/run/c.sock".into())
        );
        assert_eq!(tcp("::1", 9).authority(), "[::1]:9");
    }

    #[test]
    fn impossible_addresses_are_refused() {
        for address in ["https://a:1", "a:70000", "a:", ":8500", "", "a/b:1"] {
            Target::parse(address).expect_err(address);
        }
    }

    #[test]
    fn the_environment_fills_in_address_and_token() {
        let settings = Settings::from_variables(|name| match name {
            "CONSUL_HTTP_ADDR" => Some("c:1".to_owned()),
            "CONSUL_HTTP_TOKEN" => Some(String::new()),
            _ => None,
        });
        assert_eq!((settings.address.as_str(), settings.token), ("c:1", None));
    }
}
