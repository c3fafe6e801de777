//! Settings of TLS.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// TLS for clients and between members. Certificates and keys are PEM files, and are reloaded when
/// they change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsSettings {
    /// This member's certificate, followed by its intermediate certificates.
    /// Default none: no TLS. ZooKeeper: `ssl.keyStore.location`; Consul:
    /// `tls.defaults.cert_file`.
    pub cert_file: Option<PathBuf>,
    /// The private key of `cert_file`, unencrypted. Default: in `cert_file`.
    /// ZooKeeper: `ssl.keyStore.location`; Consul: `tls.defaults.key_file`.
    pub key_file: Option<PathBuf>,
    /// The certificate authorities for client certificates. ZooKeeper:
    /// `ssl.trustStore.location`; Consul: `tls.defaults.ca_file`.
    pub ca_file: Option<PathBuf>,
    /// Client certificates of ZooKeeper clients: `none` (not requested), `want`
    /// (optional) or `need` (required). Default `need` with a `ca_file`,
    /// otherwise `none`. ZooKeeper: `ssl.clientAuth`.
    pub client_auth: Option<ClientAuth>,
    /// The same for HTTPS. Default `none`. Consul: `tls.https.verify_incoming`.
    pub https_client_auth: ClientAuth,
    /// Whether `zk_addr` accepts TLS in addition to plaintext. Default no.
    /// ZooKeeper: `client.portUnification`.
    pub one_port: bool,
    /// Minimum TLS version: `1.2` or `1.3`. Default `1.2`. ZooKeeper:
    /// `ssl.enabledProtocols`.
    pub version_min: TlsVersion,
    /// Whether members connect to each other over TLS, each with a certificate
    /// issued by `peer_ca_file`, and accept nothing else. Default no.
    /// ZooKeeper: `sslQuorum`; Consul: `tls.internal_rpc.verify_incoming`.
    pub peers: bool,
    /// Whether plaintext from other members is still accepted. To enable TLS in
    /// a running cluster, restart all members three times, one member at a
    /// time: with the files only, with `peers` and this, with `peers` only.
    /// Default no. ZooKeeper: `portUnification`.
    pub peers_one_port: bool,
    /// This member's certificate for connections between members. If it is set,
    /// TLS from other members is accepted even without `peers`. ZooKeeper:
    /// `ssl.quorum.keyStore.location`; Consul: `tls.internal_rpc.cert_file`.
    pub peer_cert_file: Option<PathBuf>,
    /// The private key of `peer_cert_file`, unencrypted. Default: in
    /// `peer_cert_file`.
    pub peer_key_file: Option<PathBuf>,
    /// The certificate authority for certificates of members. Any holder of a
    /// certificate issued by it is accepted as a member, so it must not issue
    /// certificates to clients. ZooKeeper: `ssl.quorum.trustStore.location`;
    /// Consul: `tls.internal_rpc.ca_file`.
    pub peer_ca_file: Option<PathBuf>,
    /// TLS handshake timeout, including the wait for a free slot
    /// (`limits.tls_handshakes_max`); then the connection is closed.
    /// Milliseconds, default 5000. ZooKeeper:
    /// `ssl.handshakeDetectionTimeoutMillis`.
    pub handshake_timeout_ms: u32,
}

/// Whether a client certificate is requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// Not requested.
    None,
    /// Optional, but it must be valid.
    Want,
    /// Required.
    Need,
}

/// A TLS version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum TlsVersion {
    /// The oldest that is still secure.
    #[default]
    #[serde(rename = "1.2")]
    V1_2,
    /// The newest.
    #[serde(rename = "1.3")]
    V1_3,
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self {
            cert_file: None,
            key_file: None,
            ca_file: None,
            client_auth: None,
            https_client_auth: ClientAuth::None,
            one_port: false,
            version_min: TlsVersion::default(),
            peers: false,
            peers_one_port: false,
            peer_cert_file: None,
            peer_key_file: None,
            peer_ca_file: None,
            handshake_timeout_ms: 5000,
        }
    }
}

impl TlsSettings {
    /// Client certificates of ZooKeeper clients.
    pub fn client_auth(&self) -> ClientAuth {
        let otherwise = if self.ca_file.is_some() { ClientAuth::Need } else { ClientAuth::None };
        self.client_auth.unwrap_or(otherwise)
    }

    /// Adds the problems of these settings.
    pub(super) fn check(&self, problems: &mut Vec<String>) {
        if self.cert_file.is_none() && (self.key_file.is_some() || self.one_port) {
            problems
                .push("tls.key_file or tls.one_port is set, but tls.cert_file is not".to_owned());
        }
        let asked = [
            ("tls.client_auth", self.client_auth()),
            ("tls.https_client_auth", self.https_client_auth),
        ];
        for (name, auth) in asked {
            if auth != ClientAuth::None && self.ca_file.is_none() {
                problems.push(format!(
                    "{name} requests client certificates, but tls.ca_file is not set"
                ));
            }
        }
        let peers = self.peers || self.peers_one_port || self.peer_key_file.is_some();
        if self.peer_cert_file.is_none() && (peers || self.peer_ca_file.is_some()) {
            problems.push(
                "TLS between members is configured, but tls.peer_cert_file is not set".to_owned(),
            );
        }
        if self.peer_cert_file.is_some() && self.peer_ca_file.is_none() {
            problems.push("tls.peer_cert_file is set, but tls.peer_ca_file is not".to_owned());
        }
        if self.handshake_timeout_ms == 0 {
            problems.push("tls.handshake_timeout_ms must be above 0".to_owned());
        }
    }
}
