//! Settings of the client: address of the agent, TLS, token.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coord_wire::address::HostPort;
use coord_wire::url::Url;

use super::options::READ_TIMEOUT;
use crate::Error;
use crate::client::tls_options;
use crate::tls::{ConnectorOptions, KeyPair, Trust, Verify};

/// Settings of a client.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `host:port`, `[v6]:port`, `host`, `http://host:port`,
    /// `https://host:port` or `unix:///path`; the default port is 8500. Credentials in a URL, as in
    /// `https://user:password@host`, are sent as basic authentication. Default `127.0.0.1:8500`.
    pub address: String,
    /// Whether to use TLS if the address has no scheme. Default no.
    pub https: bool,
    /// TLS files, and verification of the server's certificate, if TLS is used.
    /// Default the system's CAs, and full verification.
    pub tls: ConnectorOptions,
    /// The host name expected in the server's certificate. Default the host of
    /// the address.
    pub tls_server_name: Option<String>,
    /// Sent as `X-Consul-Token`. Default none.
    pub token: Option<String>,
    /// The default datacenter of calls. Default the agent's own.
    pub datacenter: Option<String>,
    /// The default consistency of reads.
    pub consistency: Consistency,
    /// Connect timeout. Default 10 s.
    pub connect_timeout: Duration,
    /// Response timeout of requests that do not block. Default 30 s.
    pub read_timeout: Duration,
    /// Maximum open connections; further calls wait for one. Default 256.
    pub connections_max: usize,
    /// Maximum response. Bytes, default 256 MiB; a longer one is an error.
    pub response_bytes_max: usize,
}

/// The consistency of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Consistency {
    /// The leader's state.
    #[default]
    Default,
    /// The leader's, after it confirmed its leadership with a majority.
    Consistent,
    /// Any server's.
    Stale,
}

/// The default port of an agent.
const USUAL_PORT: u16 = 8500;

/// Where to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Tcp { host: String, port: u16, tls: bool },
    Unix(PathBuf),
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            address: "127.0.0.1:8500".to_owned(),
            https: false,
            tls: ConnectorOptions::default(),
            tls_server_name: None,
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
    /// The defaults, overridden by the environment variables of Consul's own
    /// clients:
    ///
    /// | variable | |
    /// |---|---|
    /// | `CONSUL_HTTP_ADDR`, `CONSUL_HTTP_TOKEN` | address and token |
    /// | `CONSUL_HTTP_SSL` | `true`: TLS, unless the address has a scheme |
    /// | `CONSUL_HTTP_SSL_VERIFY` | `false`: the server's certificate is not verified |
    /// | `CONSUL_CACERT`, `CONSUL_CAPATH` | a file, or a directory of files, of CAs; the file takes precedence |
    /// | `CONSUL_CLIENT_CERT`, `CONSUL_CLIENT_KEY` | client certificate and key |
    /// | `CONSUL_TLS_SERVER_NAME` | the host name expected in the server's certificate |
    pub fn from_environment() -> Self {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let given = |name| variable(name).filter(|value| !value.is_empty());
        let mut settings = Self { token: given("CONSUL_HTTP_TOKEN"), ..Self::default() };
        if let Some(address) = given("CONSUL_HTTP_ADDR") {
            settings.address = address;
        }
        let truth = |name| given(name).as_deref().and_then(truth);
        settings.https = truth("CONSUL_HTTP_SSL").unwrap_or(false);
        if truth("CONSUL_HTTP_SSL_VERIFY") == Some(false) {
            settings.tls.verify = Verify::Nothing;
        }
        if let Some(folder) = given("CONSUL_CAPATH") {
            settings.tls.trust = Trust::Folder(folder.into());
        }
        if let Some(file) = given("CONSUL_CACERT") {
            settings.tls.trust = Trust::File(file.into());
        }
        if let Some(cert) = given("CONSUL_CLIENT_CERT") {
            let key_file = given("CONSUL_CLIENT_KEY").map(Into::into);
            settings.tls.key_pair = Some(KeyPair { cert_file: cert.into(), key_file });
        }
        settings.tls_server_name = given("CONSUL_TLS_SERVER_NAME");
        settings
    }

    /// Sets a TLS option by name, from text:
    ///
    /// | name | value |
    /// |---|---|
    /// | `tls` | `on`, `off`: if the address has no scheme |
    /// | `tls.ca_file`, `tls.ca_path` | CAs for the server's certificate: a PEM file, or a directory of them |
    /// | `tls.cert_file`, `tls.key_file` | client certificate and key, PEM |
    /// | `tls.verify` | verification of the server's certificate: `full`, `any_name`, `nothing` |
    /// | `tls.server_name` | the host name expected in the server's certificate |
    ///
    /// All but `off` and `tls.server_name` enable TLS.
    ///
    /// # Errors
    /// `Invalid` for another name or value; the error never contains the value.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        if name == "tls.server_name" {
            self.tls_server_name = Some(value.to_owned());
            return Ok(());
        }
        let mut tls = Some(self.tls.clone());
        tls_options::set(&mut tls, name, value)?;
        self.https = tls.is_some();
        self.tls = tls.unwrap_or_default();
        Ok(())
    }
}

impl Target {
    /// # Errors
    /// `Invalid` for an unsupported scheme or invalid port; the error never
    /// contains a password.
    pub(super) fn parse(address: &str, https: bool) -> Result<Self, Error> {
        if let Some(path) = address.strip_prefix("unix://") {
            return Ok(Self::Unix(path.into()));
        }
        let unfit = |why: &str| match address.contains('@') {
            true => Error::invalid(format!("not an agent address: {why}")),
            false => Error::invalid(format!("{address:?} is not an agent address: {why}")),
        };
        let (at, tls) = if address.contains("://") {
            let url = Url::parse(address).map_err(|_| unfit("it is not a URL"))?;
            let tls = match &*url.scheme {
                "http" => false,
                "https" => true,
                _ => return Err(unfit("the scheme must be http, https or unix")),
            };
            if url.host.is_empty() {
                return Err(unfit("it has no host"));
            }
            if url.request_target() != "/" {
                return Err(unfit("it must not have a path or query"));
            }
            (url.address(USUAL_PORT), tls)
        } else {
            let at = HostPort::with_default_port(address, USUAL_PORT);
            (at.map_err(|problem| problem.to_string()), https)
        };
        let at = at.map_err(|why| unfit(if address.contains('@') { "" } else { &why }))?;
        let is_host = !at.host.contains(['/', '?', '#', '@']);
        if at.port == 0 || !is_host {
            return Err(unfit("it is not host:port"));
        }
        Ok(Self::Tcp { host: at.reached_at().to_owned(), port: at.port, tls })
    }

    /// The content of the `Host` header.
    pub(super) fn authority(&self) -> String {
        match self {
            Self::Tcp { host, port, .. } if host.contains(':') => format!("[{host}]:{port}"),
            Self::Tcp { host, port, .. } => format!("{host}:{port}"),
            Self::Unix(_) => "localhost".to_owned(),
        }
    }
}

/// The `Authorization` header for credentials in the URL, as in
/// `http://user:password@host:port`.
pub(super) fn authorization(address: &str) -> Option<String> {
    let (name, password) = Url::parse(address).ok()?.user?;
    Some(format!("Basic {}", STANDARD.encode(format!("{name}:{password}"))))
}

/// A boolean in Go's format; `None` for anything else.
fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "True" | "TRUE" => Some(true),
        "0" | "f" | "F" | "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn tcp(host: &str, port: u16) -> Target {
        Target::Tcp { host: host.to_owned(), port, tls: false }
    }

    fn parsed(address: &str) -> Target {
        Target::parse(address, false).unwrap()
    }

    #[test]
    fn addresses_are_read_in_all_their_forms() {
        assert_eq!(parsed("10.0.0.1:8501"), tcp("10.0.0.1", 8501));
        assert_eq!(parsed("http://consul:80/"), tcp("consul", 80));
        assert_eq!(parsed("consul"), tcp("consul", 8500));
        assert_eq!(parsed("[::1]:9"), tcp("::1", 9));
        assert_eq!(parsed("::1"), tcp("::1", 8500));
        assert_eq!(parsed(":8501"), tcp("127.0.0.1", 8501));
        assert_eq!(parsed("consul:http"), tcp("consul", 80));
        assert_eq!(parsed("http://consul"), tcp("consul", 8500));
        assert_eq!(parsed("HTTP://[::1]:9/"), tcp("::1", 9));
        assert_eq!(parsed("http://user:pass@consul:9"), tcp("consul", 9));
        let secured = Target::Tcp { host: "consul".to_owned(), port: 8500, tls: true };
        assert_eq!(parsed("https://consul"), secured);
        assert_eq!(parsed("unix:///run/c.sock"), Target::Unix("/run/c.sock".into()));
        assert_eq!(tcp("::1", 9).authority(), "[::1]:9");
    }

    #[test]
    fn impossible_addresses_are_refused() {
        for address in [
            "ftp://a:1",
            "a:70000",
            "a:",
            "a:b",
            "",
            ":",
            "a/b:1",
            "http://",
            "http://a:70000",
            "http://a/b",
            "http://a?b",
            "u:p@a:1",
            "u@a",
            "http://a b",
            "http://:0",
        ] {
            let refused = Target::parse(address, false).expect_err(address);
            assert_eq!(*refused.kind(), ErrorKind::Invalid, "{address}");
        }
    }

    #[test]
    fn a_user_before_the_host_is_sent_as_basic_authentication_and_never_told() {
        let basic = |address: &str| authorization(address);
        assert_eq!(basic("https://user:pass@h").as_deref(), Some("Basic dXNlcjpwYXNz"));
        assert_eq!(basic("http://h:1"), None);
        assert_eq!(basic("h:1"), None);
        for address in ["http://user:hush@h/path", "user:hush@h:1", "ftp://user:hush@h"] {
            let refused = Target::parse(address, false).unwrap_err().to_string();
            assert!(!refused.contains("hush"), "{refused}");
        }
    }

    #[test]
    fn the_scheme_of_an_address_wins_over_the_wish_for_tls() {
        let speaks_tls = |address, https| match Target::parse(address, https).unwrap() {
            Target::Tcp { tls, .. } => tls,
            Target::Unix(_) => false,
        };
        for (address, https, tls) in [
            ("a:1", false, false),
            ("a:1", true, true),
            ("http://a:1", true, false),
            ("https://a:1", false, true),
            ("unix:///a", true, false),
        ] {
            assert_eq!(speaks_tls(address, https), tls, "{address} {https}");
        }
    }

    #[test]
    fn the_environment_names_the_files_for_tls() {
        let settings = Settings::from_variables(|name| {
            let value = match name {
                "CONSUL_HTTP_SSL" => "true",
                "CONSUL_HTTP_SSL_VERIFY" => "false",
                "CONSUL_CACERT" => "/ca.pem",
                "CONSUL_CAPATH" => "/ca",
                "CONSUL_CLIENT_CERT" => "/cert.pem",
                "CONSUL_CLIENT_KEY" => "/key.pem",
                "CONSUL_TLS_SERVER_NAME" => "server.dc1.consul",
                _ => return None,
            };
            Some(value.to_owned())
        });
        assert!(settings.https);
        assert_eq!(settings.tls.verify, Verify::Nothing);
        assert_eq!(settings.tls.trust, Trust::File("/ca.pem".into()));
        let pair = KeyPair { cert_file: "/cert.pem".into(), key_file: Some("/key.pem".into()) };
        assert_eq!(settings.tls.key_pair, Some(pair));
        assert_eq!(settings.tls_server_name.as_deref(), Some("server.dc1.consul"));
        let plain = Settings::from_variables(|_| None);
        assert!(!plain.https && plain.tls == ConnectorOptions::default());
    }

    #[test]
    fn what_secures_a_connection_is_set_by_name() {
        let mut settings = Settings::default();
        settings.set("tls.server_name", "s").unwrap();
        assert!(!settings.https);
        settings.set("tls.ca_path", "/ca").unwrap();
        assert_eq!((settings.https, &settings.tls.trust), (true, &Trust::Folder("/ca".into())));
        for (name, value) in [("tls", "hush"), ("tls.verify", "hush"), ("sasl", "a:b")] {
            let refused = settings.set(name, value).unwrap_err().to_string();
            assert!(!refused.contains("hush"), "{refused}");
        }
        settings.set("tls", "off").unwrap();
        assert_eq!((settings.https, settings.tls), (false, ConnectorOptions::default()));
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
