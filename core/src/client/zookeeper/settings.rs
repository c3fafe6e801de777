//! What a client is made of.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

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
}

impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The proof is a secret.
        formatter.debug_struct("Credential").field("scheme", &self.scheme).finish_non_exhaustive()
    }
}
