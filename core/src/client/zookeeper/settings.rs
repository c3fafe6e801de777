//! What a client is made of.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::Error;
use crate::client::tls_options;
use crate::settings::Secret;
use crate::tls::ConnectorOptions;

/// Where the ensemble is and how to behave towards it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `host:port,host:port`, then optionally a path that every path of this
    /// client is under. Without a port 2181. Default `127.0.0.1:2181`.
    pub hosts: String,
    /// The session timeout to ask for; the server has the last word. Default 10 s.
    pub session_timeout: Duration,
    /// How long one attempt to reach one server may take, handshake included. Default 5 s.
    pub connect_timeout: Duration,
    /// How long a call may take, reconnections included. Default 30 s.
    pub request_timeout: Duration,
    /// How long closing waits for the server to end the session. Default 2 s.
    pub close_timeout: Duration,
    /// Identities to prove on every connection.
    pub credentials: Vec<Credential>,
    /// TLS with these files; `None` speaks plaintext. Default none.
    pub tls: Option<ConnectorOptions>,
    /// A user to prove by SASL (DIGEST-MD5) on every connection. Default none.
    pub sasl: Option<Login>,
    /// A session to come back to, as id and password.
    pub session: Option<(i64, Vec<u8>)>,
    /// Whether a server without a quorum will do. Default no.
    pub read_only: bool,
    /// Whether servers are tried in random order. Default yes.
    pub shuffle: bool,
    /// What to do when the session has expired.
    pub on_expiry: OnExpiry,
    /// Calls on their way at once; more wait for their turn. Default 1000.
    pub outstanding_max: usize,
    /// Watches; a call that would leave one more fails. Default 1000000.
    pub watches_max: usize,
    /// Largest reply. Bytes, default 64 MiB; a longer one ends the connection.
    pub frame_bytes_max: usize,
}

/// What to do when the session has expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnExpiry {
    /// Fail every call with `SessionExpired` from then on.
    #[default]
    Stop,
    /// Fail the calls under way, end all watches, and open a new session.
    NewSession,
}

/// A user of SASL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Who.
    pub user: String,
    /// Sent to nobody.
    pub password: Secret,
}

/// A proof of identity.
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

    /// Sets what secures the connection by name, from text:
    ///
    /// | name | value |
    /// |---|---|
    /// | `tls` | `on`: with the authorities the system trusts; `off` |
    /// | `tls.ca_file` | the authorities the server's certificate comes from, PEM; TLS is on |
    /// | `tls.ca_path` | a folder of such files; TLS is on |
    /// | `tls.cert_file`, `tls.key_file` | our certificate and its key, PEM; TLS is on |
    /// | `tls.verify` | of the server's certificate: `full`, `any_name`, `nothing` |
    /// | `sasl` | `user:password` |
    ///
    /// # Errors
    /// `Invalid` for another name or value; never says the value.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let unfit = || Error::invalid(format!("{name} cannot have this value"));
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
