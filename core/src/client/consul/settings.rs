//! Where the agent is and how to talk to it.

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

/// What a client is made of.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `host:port`, `[v6]:port`, `host`, `http://host:port`,
    /// `https://host:port` or `unix:///path`; without a port it is 8500. A user before
    /// the host of a URL, as in `https://user:password@host`, is sent as basic
    /// authentication. Default `127.0.0.1:8500`.
    pub address: String,
    /// Whether TLS is spoken where the address names no scheme. Default no.
    pub https: bool,
    /// The files for TLS, and how much of the server's certificate is looked at,
    /// where TLS is spoken. Default whom the system trusts, and all of it.
    pub tls: ConnectorOptions,
    /// Whom the server's certificate must name. Default the host of the address.
    pub tls_server_name: Option<String>,
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

/// Of an agent, where an address names none.
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
    /// The defaults with what the environment says, in the words of Consul's own
    /// clients:
    ///
    /// | variable | |
    /// |---|---|
    /// | `CONSUL_HTTP_ADDR`, `CONSUL_HTTP_TOKEN` | address and token |
    /// | `CONSUL_HTTP_SSL` | `true`: TLS, unless the address names a scheme |
    /// | `CONSUL_HTTP_SSL_VERIFY` | `false`: the server's certificate is not looked at |
    /// | `CONSUL_CACERT`, `CONSUL_CAPATH` | a file, or a folder of files, of authorities; the file wins |
    /// | `CONSUL_CLIENT_CERT`, `CONSUL_CLIENT_KEY` | our certificate and its key |
    /// | `CONSUL_TLS_SERVER_NAME` | whom the server's certificate must name |
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

    /// Sets what secures the connection by name, from text:
    ///
    /// | name | value |
    /// |---|---|
    /// | `tls` | `on`, `off`: where the address names no scheme |
    /// | `tls.ca_file`, `tls.ca_path` | the server's authorities: a PEM file, or a folder of them |
    /// | `tls.cert_file`, `tls.key_file` | our certificate and its key, PEM |
    /// | `tls.verify` | of the server's certificate: `full`, `any_name`, `nothing` |
    /// | `tls.server_name` | whom the server's certificate must name |
    ///
    /// All but `off` and `tls.server_name` put TLS on.
    ///
    /// # Errors
    /// `Invalid` for another name or value; never says the value.
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
    /// `Invalid` for a scheme that is not spoken here or a port that is none; never
    /// says a password.
    pub(super) fn parse(address: &str, https: bool) -> Result<Self, Error> {
        if let Some(path) = address.strip_prefix("unix://") {
            return Ok(Self::Unix(path.into()));
        }
        let unfit = |why: &str| match address.contains('@') {
            true => Error::invalid(format!("this is no address of an agent: {why}")),
            false => Error::invalid(format!("{address:?} is no address of an agent: {why}")),
        };
        let (at, tls) = if address.contains("://") {
            let url = Url::parse(address).map_err(|_| unfit("it is no URL"))?;
            let tls = match &*url.scheme {
                "http" => false,
                "https" => true,
                _ => return Err(unfit("of schemes, only http, https and unix are spoken")),
            };
            if url.host.is_empty() {
                return Err(unfit("it names no host"));
            }
            if url.request_target() != "/" {
                return Err(unfit("behind the host there may be no path and no query"));
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

    /// What goes into the `Host` header.
    pub(super) fn authority(&self) -> String {
        match self {
            Self::Tcp { host, port, .. } if host.contains(':') => format!("[{host}]:{port}"),
            Self::Tcp { host, port, .. } => format!("{host}:{port}"),
            Self::Unix(_) => "localhost".to_owned(),
        }
    }
}

/// What is sent as `Authorization` for a user before the host, as in
/// `http://user:password@host:port`.
pub(super) fn authorization(address: &str) -> Option<String> {
    let (name, password) = Url::parse(address).ok()?.user?;
    Some(format!("Basic {}", STANDARD.encode(format!("{name}:{password}"))))
}

/// As Go reads it; anything else says nothing.
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
