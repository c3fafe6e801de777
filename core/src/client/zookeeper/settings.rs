//! Settings of the client.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::Error;
use crate::client::tls_options;
use crate::settings::Secret;
use crate::tls::ConnectorOptions;

/// Settings of a client.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `host:port,host:port`, optionally followed by a chroot path. Default
    /// port 2181. Default `127.0.0.1:2181`.
    pub hosts: String,
    /// The session timeout to request; the server decides. Default 10 s.
    pub session_timeout: Duration,
    /// Timeout of one connection attempt, including the handshake. Default 5 s.
    pub connect_timeout: Duration,
    /// Timeout of a call, including reconnections. Default 30 s.
    pub request_timeout: Duration,
    /// How long closing waits for the server's confirmation. Default 2 s.
    pub close_timeout: Duration,
    /// Credentials to authenticate with on every connection.
    pub credentials: Vec<Credential>,
    /// TLS options; `None` for plaintext. Default none.
    pub tls: Option<ConnectorOptions>,
    /// User for SASL authentication (DIGEST-MD5) on every connection. Default
    /// none.
    pub sasl: Option<Login>,
    /// A session to resume, as id and password.
    pub session: Option<(i64, Vec<u8>)>,
    /// Whether to accept a read-only server without a quorum. Default no.
    pub read_only: bool,
    /// Whether to try servers in random order. Default yes.
    pub shuffle: bool,
    /// What to do when the session has expired.
    pub on_expiry: OnExpiry,
    /// Maximum calls in progress; further ones wait. Default 1000.
    pub outstanding_max: usize,
    /// Maximum watches; a call that would set one more fails. Default 1000000.
    pub watches_max: usize,
    /// Maximum reply. Bytes, default 64 MiB; a longer one closes the
    /// connection.
    pub frame_bytes_max: usize,
}

/// What to do when the session has expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnExpiry {
    /// Fail every call with `SessionExpired` from then on.
    #[default]
    Stop,
    /// Fail the calls in progress, end all watches, and open a new session.
    NewSession,
}

/// A SASL user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The user name.
    pub user: String,
    /// The password, which is never sent.
    pub password: Secret,
}

/// Credentials of an authentication scheme.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// Such as `digest`.
    pub scheme: String,
    /// Such as `user:password`.
    pub proof: Bytes,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            hosts: "127.0.0.1:2181".to_owned(),
            session_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            close_timeout: Duration::from_secs(2),
            credentials: Vec::new(),
            tls: None,
            sasl: None,
            session: None,
            read_only: false,
            shuffle: true,
            on_expiry: OnExpiry::Stop,
            outstanding_max: 1000,
            watches_max: 1_000_000,
            frame_bytes_max: 64 << 20,
        }
    }
}

impl Settings {
    /// The defaults with these hosts.
    pub fn with_hosts(hosts: impl Into<String>) -> Self {
        Self { hosts: hosts.into(), ..Self::default() }
    }

    /// Sets a security option by name, from text:
    ///
    /// | name | value |
    /// |---|---|
    /// | `tls` | `on`: with the system's CAs; `off` |
    /// | `tls.ca_file` | CAs for the server's certificate, PEM; enables TLS |
    /// | `tls.ca_path` | a directory of such files; enables TLS |
    /// | `tls.cert_file`, `tls.key_file` | client certificate and key, PEM; enables TLS |
    /// | `tls.verify` | of the server's certificate: `full`, `any_name`, `nothing` |
    /// | `sasl` | `user:password` |
    ///
    /// # Errors
    /// `Invalid` for another name or value; never says the value.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let unfit = || Error::invalid(format!("invalid value for option {name}"));
        if name == "sasl" {
            let (user, password) = value.split_once(':').ok_or_else(unfit)?;
            self.sasl = Some(Login { user: user.to_owned(), password: password.into() });
            return Ok(());
        }
        tls_options::set(&mut self.tls, name, value)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The proof is a secret.
        formatter.debug_struct("Credential").field("scheme", &self.scheme).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::{KeyPair, Trust, Verify};

    #[test]
    fn what_secures_a_connection_is_set_by_name_and_passwords_are_not_shown() {
        let mut settings = Settings::default();
        for (name, value) in [
            ("tls.key_file", "/k"),
            ("tls.cert_file", "/c"),
            ("tls.ca_file", "/a"),
            ("tls.verify", "any_name"),
            ("sasl", "bob:hush:hush"),
        ] {
            settings.set(name, value).unwrap();
        }
        let tls = settings.tls.clone().unwrap();
        assert_eq!(tls.trust, Trust::File("/a".into()));
        assert_eq!(tls.verify, Verify::AnyName);
        let pair = KeyPair { cert_file: "/c".into(), key_file: Some("/k".into()) };
        assert_eq!(tls.key_pair, Some(pair));
        assert_eq!(settings.sasl.as_ref().unwrap().password.reveal(), "hush:hush");
        assert!(!format!("{settings:?}").contains("hush"));
        for (name, value) in
            [("sasl", "hush"), ("tls", "hush"), ("tls.verify", "hush"), ("x", "hush")]
        {
            let refused = settings.set(name, value).unwrap_err().to_string();
            assert!(!refused.contains("hush"), "{refused}");
        }
        settings.set("tls", "off").unwrap();
        assert_eq!(settings.tls, None);
    }
}
