//! Probes against a server with a certificate of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use coord_state::consul::CheckStatus;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::agent::checks::probe::{Finding, Probe};
use crate::settings::{AgentSettings, ClientAuth, TlsVersion};
use crate::tls::{Acceptor, AcceptorOptions, KeyPair};

/// A server that knows one protocol inside TLS, and the authority behind its certificate.
struct World {
    address: String,
    ca_file: PathBuf,
    _folder: tempfile::TempDir,
}

impl World {
    async fn serving(inside: Inside) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key_pair = certify(folder.path(), &["127.0.0.1", "web.internal"]);
        let acceptor = Acceptor::load(AcceptorOptions {
            key_pair,
            client_auth: ClientAuth::None,
            ca_file: None,
            version_min: TlsVersion::V1_2,
            handshake_timeout: Duration::from_secs(10),
            handshakes_max: 8,
            protocols: match inside {
                Inside::Http2 => vec![b"h2".to_vec()],
                Inside::Anything | Inside::Http1 => Vec::new(),
            },
        });
        let acceptor = acceptor.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                // Who does not trust us breaks off.
                let Ok(stream) = acceptor.accept(stream).await else { continue };
                tokio::spawn(serve(stream, inside));
            }
        });
        Self { address, ca_file: folder.path().join("ca.pem"), _folder: folder }
    }

    async fn probe(&self, definition: &CheckDefinition) -> Finding {
        let connectors = Connectors::trusting(Some(self.ca_file.clone()));
        Probe::of(definition, &AgentSettings::default(), &connectors).unwrap().run().await
    }
}

async fn serve(mut stream: Stream, inside: Inside) {
    if inside == Inside::Http2 {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while connection.accept().await.is_some() {}
        return;
    }
    let mut request = vec![0; 1024];
    if stream.read(&mut request).await.unwrap_or(0) > 0 {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        stream.flush().await.unwrap();
    }
}

/// Writes `ca.pem`, and a certificate from there for `hosts`.
fn certify(folder: &Path, hosts: &[&str]) -> KeyPair {
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new([]).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    fs::write(folder.join("ca.pem"), ca.self_signed(&ca_key).unwrap().pem()).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let params = CertificateParams::new(hosts).unwrap();
    let certificate = params.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
    let cert_file = folder.join("server.pem");
    fs::write(&cert_file, certificate.pem() + &key.serialize_pem()).unwrap();
    KeyPair { cert_file, key_file: None }
}

fn https(address: &str) -> CheckDefinition {
    CheckDefinition { http: format!("https://{address}/health"), ..CheckDefinition::default() }
}

#[tokio::test]
async fn a_trusted_certificate_passes_and_a_strangers_is_critical() {
    let world = World::serving(Inside::Http1).await;
    let check = https(&world.address);
    assert_eq!(world.probe(&check).await.status, CheckStatus::Passing);

    let stranger = World::serving(Inside::Http1).await;
    let other = Connectors::trusting(Some(stranger.ca_file));
    let finding = Probe::of(&check, &AgentSettings::default(), &other).unwrap().run().await;
    assert_eq!(finding.status, CheckStatus::Critical);
    assert!(finding.output.contains("tls: failed to verify"), "{finding:?}");
}

#[tokio::test]
async fn a_certificate_must_bear_the_name_that_is_asked_for() {
    let world = World::serving(Inside::Http1).await;
    let named =
        |name: &str| CheckDefinition { tls_server_name: name.to_owned(), ..https(&world.address) };
    assert_eq!(world.probe(&named("web.internal")).await.status, CheckStatus::Passing);
    assert_eq!(world.probe(&named("other.internal")).await.status, CheckStatus::Critical);
}

#[tokio::test]
async fn whoever_asks_for_no_verification_gets_none() {
    let world = World::serving(Inside::Http1).await;
    let check = CheckDefinition {
        tls_skip_verify: true,
        tls_server_name: "other.internal".to_owned(),
        ..https(&world.address)
    };
    assert_eq!(world.probe(&check).await.status, CheckStatus::Passing);
}

#[tokio::test]
async fn a_tcp_check_with_tls_needs_a_handshake() {
    let world = World::serving(Inside::Anything).await;
    let check = |address: &str| CheckDefinition {
        tcp: address.to_owned(),
        tcp_use_tls: true,
        ..CheckDefinition::default()
    };
    let finding = world.probe(&check(&world.address)).await;
    assert_eq!(finding, Finding::passing(format!("TCP connect {}: Success", world.address)));

    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = plain.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (mut stream, _) = plain.accept().await.unwrap();
        stream.write_all(b"220 hello\r\n").await.unwrap();
    });
    assert_eq!(world.probe(&check(&address)).await.status, CheckStatus::Critical);
}

#[tokio::test]
async fn an_http2_ping_speaks_tls_unless_told_otherwise() {
    let world = World::serving(Inside::Http2).await;
    let check = CheckDefinition { h2ping: world.address.clone(), ..CheckDefinition::default() };
    assert_eq!(world.probe(&check).await, Finding::passing("HTTP2 ping was successful"));
    let plain = CheckDefinition { h2ping_use_tls: Some(false), ..check };
    assert_eq!(world.probe(&plain).await.status, CheckStatus::Critical);
}
