//! Parses `host:port` like Go's `net` package.
//!
//! Addresses for Consul follow Go's rules: `:8080` is this machine, the port
//! may be a service name, and an IPv6 address is in brackets.

use std::fmt;

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// A name or an address, without brackets; empty for this machine.
    pub host: String,
    /// As a number.
    pub port: u16,
}

/// What is wrong with an address, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressError(String);

impl fmt::Display for AddressError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for AddressError {}

impl HostPort {
    /// Reads `host:port`. Nothing before the colon means this machine, nothing
    /// behind it port 0.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let (host, port) = split(text)?;
        Ok(Self { host: host.to_owned(), port: port_number(port)? })
    }

    /// The same, where the port may be left out: also behind an IPv6 address
    /// without brackets.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn with_default_port(text: &str, port: u16) -> Result<Self, AddressError> {
        let alone = |host: &str| Ok(Self { host: host.to_owned(), port });
        match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(host) if !host.contains(['[', ']']) => alone(host),
            _ if text.parse::<std::net::Ipv6Addr>().is_ok() => alone(text),
            _ if text.contains(':') => Self::parse(text),
            _ if text.is_empty() => Err(AddressError("missing address".to_owned())),
            _ => alone(text),
        }
    }

    /// The host to connect to.
    pub fn reached_at(&self) -> &str {
        if self.host.is_empty() { "127.0.0.1" } else { &self.host }
    }
}

/// With brackets around an IPv6 address.
impl fmt::Display for HostPort {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') {
            write!(formatter, "[{host}]:{port}")
        } else {
            write!(formatter, "{host}:{port}")
        }
    }
}

/// The host without its brackets, and what stands behind the last colon.
fn split(text: &str) -> Result<(&str, &str), AddressError> {
    let wrong = |why: &str| Err(AddressError(format!("address {text}: {why}")));
    let Some((before, port)) = text.rsplit_once(':') else {
        return wrong("missing port in address");
    };
    let Some(bracketed) = text.strip_prefix('[') else {
        return match before {
            _ if before.contains(':') => wrong("too many colons in address"),
            _ if text.contains('[') => wrong("unexpected '[' in address"),
            _ if text.contains(']') => wrong("unexpected ']' in address"),
            host => Ok((host, port)),
        };
    };
    let Some((host, rest)) = bracketed.split_once(']') else {
        return wrong("missing ']' in address");
    };
    match rest.strip_prefix(':') {
        None => wrong("missing port in address"),
        Some(port) if port.contains(':') => wrong("too many colons in address"),
        Some(_) if host.contains('[') => wrong("unexpected '[' in address"),
        Some(port) if port.contains([']', '[']) => wrong("unexpected ']' in address"),
        Some(port) => Ok((host, port)),
    }
}

/// The services whose names Go knows wherever it runs.
const SERVICES: &[(&str, u16)] = &[
    ("domain", 53),
    ("ftp", 21),
    ("ftps", 990),
    ("gopher", 70),
    ("http", 80),
    ("https", 443),
    ("imap2", 143),
    ("imap3", 220),
    ("imaps", 993),
    ("pop3", 110),
    ("pop3s", 995),
    ("smtp", 25),
    ("ssh", 22),
    ("submissions", 465),
    ("telnet", 23),
];

fn port_number(text: &str) -> Result<u16, AddressError> {
    if text.is_empty() {
        return Ok(0);
    }
    // Go reads a sign and zeros before a number, too.
    if let Ok(number) = text.parse::<i64>() {
        return u16::try_from(number)
            .map_err(|_| AddressError(format!("address {text}: invalid port")));
    }
    let known = SERVICES.iter().find(|(name, _)| text.eq_ignore_ascii_case(name));
    known
        .map(|(_, port)| *port)
        .ok_or_else(|| AddressError(format!("lookup tcp/{text}: unknown port")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(String, u16), String> {
        let read = HostPort::parse(text).map_err(|error| error.to_string())?;
        Ok((read.host, read.port))
    }

    #[test]
    fn every_form_of_an_address_is_read() {
        for (text, host, port) in [
            ("10.0.0.1:80", "10.0.0.1", 80),
            ("db.example:5432", "db.example", 5432),
            (":8080", "", 8080),
            ("[::1]:80", "::1", 80),
            ("[fe80::1%eth0]:80", "fe80::1%eth0", 80),
            ("web:http", "web", 80),
            ("web:HTTPS", "web", 443),
            ("web:", "web", 0),
            ("web:080", "web", 80),
        ] {
            assert_eq!(read(text), Ok((host.to_owned(), port)), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_told_in_gos_words() {
        for (text, why) in [
            ("10.0.0.1", "address 10.0.0.1: missing port in address"),
            ("", "address : missing port in address"),
            ("::1:80", "address ::1:80: too many colons in address"),
            ("[::1]", "address [::1]: missing port in address"),
            ("[::1:80", "address [::1:80: missing ']' in address"),
            ("a:70000", "address 70000: invalid port"),
            ("a:-1", "address -1: invalid port"),
            ("a:nope", "lookup tcp/nope: unknown port"),
            ("a]:1", "address a]:1: unexpected ']' in address"),
        ] {
            assert_eq!(read(text), Err(why.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_port_is_filled_in_where_it_may_be_left_out() {
        for (text, host, port) in [
            ("web", "web", 9),
            ("::1", "::1", 9),
            ("[::1]", "::1", 9),
            ("[::1]:8", "::1", 8),
            ("web:8", "web", 8),
        ] {
            let read = HostPort::with_default_port(text, 9).unwrap();
            assert_eq!((&*read.host, read.port), (host, port), "{text}");
        }
        assert!(HostPort::with_default_port("", 9).is_err());
        assert!(HostPort::with_default_port("::1:x", 9).is_err());
    }

    #[test]
    fn an_address_is_written_as_it_is_read() {
        for text in ["[::1]:80", "a:1", ":1"] {
            assert_eq!(HostPort::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(HostPort::parse(":1").unwrap().reached_at(), "127.0.0.1");
    }
}
