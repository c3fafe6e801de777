//! The keys of a `zoo.cfg` about TLS and authentication of clients.
//!
//! Keys that would leave a connection less secure than the file says are
//! refused, not ignored.

use super::zoo_cfg::{any_address, without_brackets};
use super::zoo_cfg_numbers::{decoded, port};
use super::{ClientAuth, ListenAddress, Settings, TlsVersion};
use crate::error::Error;

/// Those of the keys that depend on each other.
#[derive(Debug, Default)]
pub(super) struct SecureKeys {
    host: Option<String>,
    port: Option<u16>,
    enforced: bool,
    schemes: Option<String>,
}

/// Passwords of key stores, which PEM files do not have, and options that are
/// always on here.
const PASSED_OVER: &[&str] = &[
    "ssl.keyStore.password",
    "ssl.keyStore.passwordPath",
    "ssl.trustStore.password",
    "ssl.trustStore.passwordPath",
    "ssl.quorum.keyStore.password",
    "ssl.quorum.keyStore.passwordPath",
    "ssl.quorum.trustStore.password",
    "ssl.quorum.trustStore.passwordPath",
    "ssl.quorum.ciphersuites",
    "ssl.quorum.protocol",
    "ssl.quorum.enabledProtocols",
    "ssl.quorum.hostnameVerification",
    "ssl.quorum.clientHostnameVerification",
    "ssl.hostnameVerification",
    "ssl.clientHostnameVerification",
    "ssl.ciphersuites",
    "ssl.context.supplier.class",
    "ssl.authProvider",
    "fips-mode",
];

/// Features that are not supported.
const REFUSED: &[&str] = &[
    "ssl.crl",
    "ssl.ocsp",
    "ssl.quorum.crl",
    "ssl.quorum.ocsp",
    // Kerberos between members.
    "quorum.auth.enableSasl",
    "quorum.auth.learnerRequireSasl",
    "quorum.auth.serverRequireSasl",
];

impl SecureKeys {
    /// Applies the key if it is one of these.
    pub(super) fn take(
        &mut self,
        key: &str,
        value: &str,
        settings: &mut Settings,
    ) -> Result<bool, Error> {
        let (tls, auth) = (&mut settings.tls, &mut settings.auth);
        match key {
            "secureClientPort" => self.port = port(key, value)?,
            "secureClientPortAddress" => self.host = Some(without_brackets(value)),
            "client.portUnification" => tls.one_port = is_true(value),
            "sslQuorum" => tls.peers = is_true(value),
            "portUnification" => tls.peers_one_port = is_true(value),
            "ssl.quorum.keyStore.location" => tls.peer_cert_file = Some(value.into()),
            "ssl.quorum.trustStore.location" => tls.peer_ca_file = Some(value.into()),
            "ssl.keyStore.location" => tls.cert_file = Some(value.into()),
            "ssl.trustStore.location" => tls.ca_file = Some(value.into()),
            "ssl.keyStore.type"
            | "ssl.trustStore.type"
            | "ssl.quorum.keyStore.type"
            | "ssl.quorum.trustStore.type" => only_pem(key, value)?,
            "ssl.clientAuth" => {
                tls.client_auth = Some(match value.to_ascii_lowercase().as_str() {
                    "none" => ClientAuth::None,
                    "want" => ClientAuth::Want,
                    "need" => ClientAuth::Need,
                    _ => return Err(Error::invalid(format!("{key}: use none, want or need"))),
                });
            }
            "ssl.protocol" | "ssl.enabledProtocols" => {
                let versions: Vec<&str> = value.split(',').map(str::trim).collect();
                let has_1_2 = versions.iter().any(|version| *version != "TLSv1.3");
                tls.version_min = if has_1_2 { TlsVersion::V1_2 } else { TlsVersion::V1_3 };
            }
            "ssl.handshakeDetectionTimeoutMillis" => {
                tls.handshake_timeout_ms = decoded(key, value)?;
            }
            "netty.server.outstandingHandshake.limit" => {
                if let Ok(handshakes) = value.parse::<usize>() {
                    settings.limits.tls_handshakes_max = handshakes.max(1);
                }
            }
            "sessionRequireClientSASLAuth" => {
                if is_true(value) {
                    auth.required_schemes = Some("sasl".to_owned());
                }
            }
            "enforce.auth.enabled" => self.enforced = is_true(value),
            "enforce.auth.schemes" => self.schemes = Some(value.to_owned()),
            "allowSaslFailedClients" => auth.sasl_failed_stay = is_true(value),
            "letAnySaslUserDoX" => auth.sasl_any_user = Some(value.to_owned()),
            "X509AuthenticationProvider.superUser" => auth.super_x509 = Some(value.to_owned()),
            "DigestAuthenticationProvider.superDigest" => {
                auth.super_digest = Some(value.to_owned())
            }
            _ if key == "superUser" || key.starts_with("superUser.") => {
                let users = auth.super_sasl.iter().map(String::as_str).chain([value]);
                auth.super_sasl = Some(users.collect::<Vec<_>>().join(","));
            }
            _ if REFUSED.contains(&key) && is_true(value) => {
                let instead = if key.starts_with("quorum.auth") {
                    "members authenticate with certificates (sslQuorum) or a secret \
                     (coord.peers.secret_file)"
                } else {
                    "certificate revocation is not checked"
                };
                return Err(Error::invalid(format!("{key} is not supported: {instead}")));
            }
            _ if key.starts_with("authProvider.") => built_in(key, value)?,
            _ => return Ok(PASSED_OVER.contains(&key) || REFUSED.contains(&key)),
        }
        Ok(true)
    }

    /// Checks that need the whole file.
    pub(super) fn finish(self, settings: &mut Settings) -> Result<(), Error> {
        if self.enforced {
            let schemes = self.schemes.ok_or_else(|| {
                Error::invalid("enforce.auth.enabled is true, but enforce.auth.schemes is not set")
            })?;
            settings.auth.required_schemes = Some(schemes);
        }
        match self.port {
            Some(port) => {
                let host = self.host.unwrap_or_else(|| any_address(settings));
                settings.zk_tls_addr = ListenAddress::At { host, port };
            }
            None if self.host.is_some() => {
                let message = "secureClientPortAddress is set, but secureClientPort is not";
                return Err(Error::invalid(message));
            }
            None => {}
        }
        let tls = &settings.tls;
        let is_on = self.port.is_some() || tls.one_port;
        // ZooKeeper would use Java's default trust store here and require client certificates.
        if is_on && tls.ca_file.is_none() && tls.client_auth.is_none() {
            return Err(Error::invalid(
                "ssl.trustStore.location is not set, so client certificates cannot be verified: \
                 set it, or ssl.clientAuth=none",
            ));
        }
        Ok(())
    }
}

fn is_true(value: &str) -> bool {
    value.eq_ignore_ascii_case("true")
}

fn only_pem(key: &str, value: &str) -> Result<(), Error> {
    if value.eq_ignore_ascii_case("pem") {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{key}: {value} is not supported, only PEM: convert a Java key store with `keytool \
         -importkeystore -srckeystore STORE -destkeystore store.p12 -deststoretype PKCS12`, then \
         `openssl pkcs12 -in store.p12 -nodes -out store.pem`"
    )))
}

/// The providers that are built in.
fn built_in(key: &str, value: &str) -> Result<(), Error> {
    let known = ["SASL", "X509", "Digest", "IP"]
        .map(|name| format!("org.apache.zookeeper.server.auth.{name}AuthenticationProvider"));
    if known.iter().any(|class| class == value) {
        return Ok(());
    }
    Err(Error::invalid(format!("{key}: {value} is a Java class, which is not supported")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Settings, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("zoo.cfg");
        std::fs::write(&path, format!("dataDir=/nowhere\nclientPort=2181\n{text}")).unwrap();
        let read = Settings::read(&path)?;
        assert_eq!(read.warnings, [""; 0], "{text}");
        Ok(read.settings)
    }

    #[test]
    fn a_secure_port_is_taken_over_with_its_files() {
        let settings = read(
            "secureClientPort=2281\nserverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory\n\
             ssl.keyStore.location=/etc/zk.pem\nssl.keyStore.type=PEM\nssl.keyStore.password=x\n\
             ssl.trustStore.location=/etc/ca.pem\nssl.enabledProtocols=TLSv1.3\nssl.crl=false\n\
             client.portUnification=true\nX509AuthenticationProvider.superUser=CN=root\n",
        )
        .unwrap();
        assert_eq!(settings.zk_tls_addr.to_string(), "0.0.0.0:2281");
        assert_eq!(settings.tls.client_auth(), ClientAuth::Need);
        assert_eq!(settings.tls.version_min, TlsVersion::V1_3);
        assert!(settings.tls.one_port);
        assert_eq!(settings.auth.super_x509.as_deref(), Some("CN=root"));
        settings.validate().unwrap();
    }

    #[test]
    fn members_speak_tls_where_the_file_says_so() {
        let settings = read(
            "sslQuorum=true\nportUnification=true\nssl.quorum.keyStore.location=/etc/peer.pem\n\
             ssl.quorum.trustStore.location=/etc/peers-ca.pem\nssl.quorum.keyStore.password=x\n",
        )
        .unwrap();
        assert!(settings.tls.peers && settings.tls.peers_one_port);
        assert_eq!(settings.tls.peer_cert_file.as_deref(), Some("/etc/peer.pem".as_ref()));
        settings.validate().unwrap();
        // Java's own list of authorities is no list of members.
        read("sslQuorum=true\n").unwrap().validate().unwrap_err();
    }

    #[test]
    fn who_clients_must_be_is_taken_over() {
        let settings = read(
            "authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider\n\
             enforce.auth.enabled=true\nenforce.auth.schemes=sasl,x509\nsuperUser=root\n\
             superUser.ops=ops\nletAnySaslUserDoX=anybody\nallowSaslFailedClients=true\n",
        )
        .unwrap();
        assert_eq!(settings.auth.required(), ["sasl", "x509"]);
        assert_eq!(settings.auth.super_sasl(), ["root", "ops"]);
        assert_eq!(settings.auth.sasl_any_user.as_deref(), Some("anybody"));
        assert!(settings.auth.sasl_failed_stay);
    }

    #[test]
    fn what_would_be_less_guarded_than_the_file_says_is_refused() {
        for text in [
            "ssl.keyStore.type=JKS\n",
            "ssl.crl=true\n",
            "quorum.auth.enableSasl=true\n",
            "ssl.quorum.keyStore.type=JKS\n",
            "secureClientPort=1\nssl.keyStore.location=/a\n",
            "enforce.auth.enabled=true\n",
            "authProvider.1=com.example.Mine\n",
            "ssl.clientAuth=perhaps\n",
        ] {
            read(text).expect_err(text);
        }
    }
}
