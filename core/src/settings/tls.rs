//! What a user can set about TLS.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// TLS towards clients and between members. Certificates and keys are PEM files, read again when
/// they change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsSettings {
    /// This member's certificate, and behind it those that lead to its
    /// authority. Default none: no TLS. ZooKeeper: `ssl.keyStore.location`;
    /// Consul: `tls.defaults.cert_file`.
    pub cert_file: Option<PathBuf>,
    /// Its private key, not encrypted. Default: in `cert_file`. ZooKeeper:
    /// `ssl.keyStore.location`; Consul: `tls.defaults.key_file`.
    pub key_file: Option<PathBuf>,
    /// The authorities that client certificates come from. ZooKeeper:
    /// `ssl.trustStore.location`; Consul: `tls.defaults.ca_file`.
    pub ca_file: Option<PathBuf>,
    /// Whether ZooKeeper clients are asked for a certificate: `none`, `want`
    /// or `need`. Default `need` with a `ca_file`, otherwise `none`.
    /// ZooKeeper: `ssl.clientAuth`.
    pub client_auth: Option<ClientAuth>,
    /// The same for HTTPS. Default `none`. Consul: `tls.https.verify_incoming`.
    pub https_client_auth: ClientAuth,
    /// Whether `zk_addr` takes TLS beside plaintext. Default no. ZooKeeper:
    /// `client.portUnification`.
    pub one_port: bool,
    /// The oldest version spoken: `1.2` or `1.3`. Default `1.2`. ZooKeeper:
    /// `ssl.enabledProtocols`.
    pub version_min: TlsVersion,
    /// Whether members connect to each other over TLS, each with a certificate
    /// of `peer_ca_file`, and take nothing else. Default no. ZooKeeper:
    /// `sslQuorum`; Consul: `tls.internal_rpc.verify_incoming`.
    pub peers: bool,
    /// Whether plaintext is taken from other members nevertheless. A cluster
    /// that runs changes over in three rounds of restarts, one member at a time:
    /// with the files alone, with `peers` and this, with `peers` alone.
    /// Default no. ZooKeeper: `portUnification`.
    pub peers_one_port: bool,
    /// This member's certificate towards the others. With it TLS is understood
    /// from them, whether or not `peers` is on. ZooKeeper:
    /// `ssl.quorum.keyStore.location`; Consul: `tls.internal_rpc.cert_file`.
    pub peer_cert_file: Option<PathBuf>,
    /// Its private key, not encrypted. Default: in `peer_cert_file`.
    pub peer_key_file: Option<PathBuf>,
    /// The authority that certificates of members come from. Whoever has one of
    /// them is believed to be a member, so it must issue none to clients.
    /// ZooKeeper: `ssl.quorum.trustStore.location`; Consul:
    /// `tls.internal_rpc.ca_file`.
    pub peer_ca_file: Option<PathBuf>,
    /// How long a handshake may take, its turn waited for included; then the
    /// connection is closed. Milliseconds, default 5000. ZooKeeper:
    /// `ssl.handshakeDetectionTimeoutMillis`.
    pub handshake_timeout_ms: u32,
}

/// Whether the other side of a connection is asked for a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// Not asked.
    None,
    /// Asked; one that is shown must be good.
    Want,
    /// Refused without one.
    Need,
}

/// A version of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum TlsVersion {
    /// The oldest that is still sound.
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
    /// Whether ZooKeeper clients are asked for a certificate.
    pub fn client_auth(&self) -> ClientAuth {
        let otherwise = if self.ca_file.is_some() { ClientAuth::Need } else { ClientAuth::None };
        self.client_auth.unwrap_or(otherwise)
    }

    /// Adds what does not hold together.
    pub(super) fn check(&self, problems: &mut Vec<String>) {
        if self.cert_file.is_none() && (self.key_file.is_some() || self.one_port) {
            problems.push("tls.cert_file is missing".to_owned());
        }
        let asked = [
            ("tls.client_auth", self.client_auth()),
            ("tls.https_client_auth", self.https_client_auth),
        ];
        for (name, auth) in asked {
            if auth != ClientAuth::None && self.ca_file.is_none() {
                problems
                    .push(format!("{name} asks for certificates, but no tls.ca_file says of whom"));
            }
        }
        let peers = self.peers || self.peers_one_port || self.peer_key_file.is_some();
        if self.peer_cert_file.is_none() && (peers || self.peer_ca_file.is_some()) {
            problems.push("tls.peer_cert_file is missing".to_owned());
        }
        if self.peer_cert_file.is_some() && self.peer_ca_file.is_none() {
            problems.push("tls.peer_ca_file is missing: it says whose peers are".to_owned());
        }
        if self.handshake_timeout_ms == 0 {
            problems.push("tls.handshake_timeout_ms is 0".to_owned());
        }
    }
}
