//! A listen address, or `off`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// `host:port`, or `off`. Port 0 takes any free port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ListenAddress {
    /// Do not listen.
    Off,
    /// Listen there.
    At {
        /// Host name or IP address, without brackets.
        host: String,
        /// 0 for any free one.
        port: u16,
    },
}

impl ListenAddress {
    /// `127.0.0.1:port`.
    pub fn loopback(port: u16) -> Self {
        Self::At { host: "127.0.0.1".to_owned(), port }
    }
}

/// Whether `host:port` is an unspecified address (all addresses of the machine), which others
/// cannot connect to.
pub(crate) fn is_any(address: &str) -> bool {
    is_any_host(address.rsplit_once(':').map_or(address, |(host, _)| host))
}

/// The same for a host, with or without brackets.
pub(crate) fn is_any_host(host: &str) -> bool {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified())
}

impl FromStr for ListenAddress {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let parsed = text.rsplit_once(':').and_then(|(host, port)| {
            let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
            Some((host, port.parse().ok()?))
        });
        match parsed {
            Some((host, port)) if !host.is_empty() => Ok(Self::At { host: host.to_owned(), port }),
            _ => Err(Error::invalid(format!(
                "'{text}' is not a listen address: use HOST:PORT (port 0 for any free one) or off"
            ))),
        }
    }
}

impl TryFrom<String> for ListenAddress {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<ListenAddress> for String {
    fn from(address: ListenAddress) -> Self {
        address.to_string()
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => formatter.write_str("off"),
            Self::At { host, port } if host.contains(':') => write!(formatter, "[{host}]:{port}"),
            Self::At { host, port } => write!(formatter, "{host}:{port}"),
        }
    }
}
