//! Consul's HTTP API over TLS.

use std::time::Duration;

use coord_core::ErrorKind;
use coord_core::client::consul;
use coord_core::embedded::Server;
use coord_core::settings::Settings;
use coord_core::tls::{Connector, ConnectorOptions, KeyPair, Trust};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::authority::Authority;

fn member(authority: &Authority, client_auth: &str) -> Server {
    let pair = authority.server();
    let mut settings = Settings::embedded();
    for (name, value) in [
        ("zk_addr", "off"),
        ("dns_addr", "off"),
        ("https_addr", "127.0.0.1:0"),
        ("tls.cert_file", pair.cert_file.to_str().unwrap()),
        ("tls.key_file", pair.key_file.as_ref().unwrap().to_str().unwrap()),
        ("tls.ca_file", authority.file().to_str().unwrap()),
        ("tls.https_client_auth", client_auth),
    ] {
        settings.set(name, value).unwrap();
    }
    let server = Server::start_embedded(settings).unwrap();
    server.wait_ready(Duration::from_secs(30)).unwrap();
    server
}

/// What the leader's address is answered with.
fn leader(
    server: &Server,
    authority: &Authority,
    key_pair: Option<KeyPair>,
) -> std::io::Result<String> {
    let trust = Trust::File(authority.file());
    let options = ConnectorOptions { trust, key_pair, ..ConnectorOptions::default() };
    let connector = Connector::load(options).unwrap();
    let address = server.addresses().https.unwrap();
    server.runtime().unwrap().block_on(async {
        let stream = TcpStream::connect(address).await?;
        let mut stream = connector.connect("localhost", stream).await?;
        let request =
            "GET /v1/status/leader HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    })
}

#[test]
fn the_http_api_is_served_over_tls_to_whom_it_may() {
    let authority = Authority::new();
    let server = member(&authority, "none");
    let answer = leader(&server, &authority, None).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");

    let server = member(&authority, "need");
    leader(&server, &authority, None).unwrap_err();
    let answer = leader(&server, &authority, Some(authority.client("alice"))).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}

/// What our own client is told of the leader.
fn asked_by_our_client(
    server: &Server,
    options: &[(&str, &str)],
) -> Result<String, coord_core::Error> {
    let address = format!("localhost:{}", server.addresses().https.unwrap().port());
    let mut settings = consul::Settings { address, ..consul::Settings::default() };
    for (name, value) in options {
        settings.set(name, value)?;
    }
    let client = consul::blocking::Client::new(settings)?;
    assert!(client.inner().is_secured());
    let leader = client.call(client.inner().status_leader());
    client.close().unwrap();
    leader
}

#[test]
fn our_consul_client_speaks_https_with_whom_it_trusts_and_nobody_else() {
    let (authority, strangers) = (Authority::new(), Authority::new());
    let server = member(&authority, "none");
    let file = authority.file();
    let ca = file.to_str().unwrap();
    let strangers = strangers.file();
    let leader = asked_by_our_client(&server, &[("tls.ca_file", ca)]).unwrap();
    assert!(leader.ends_with(":8300"), "{leader}");
    let refused = asked_by_our_client(&server, &[("tls.ca_file", strangers.to_str().unwrap())]);
    let refused = refused.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Unavailable);
    assert!(refused.chain().to_string().contains("UnknownIssuer"), "{}", refused.chain());
    asked_by_our_client(&server, &[("tls.verify", "nothing")]).unwrap();

    // The name counts, unless another one is wanted or none is.
    let name = ("tls.server_name", "elsewhere.example");
    asked_by_our_client(&server, &[("tls.ca_file", ca), name]).unwrap_err();
    asked_by_our_client(&server, &[("tls.ca_file", ca), ("tls.verify", "any_name"), name]).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let empty = asked_by_our_client(&server, &[("tls.ca_path", path)]).unwrap_err();
    assert_eq!(*empty.kind(), ErrorKind::Invalid);
    std::fs::copy(&strangers, folder.path().join("a.pem")).unwrap();
    asked_by_our_client(&server, &[("tls.ca_path", path)]).unwrap_err();
    std::fs::copy(&file, folder.path().join("b.pem")).unwrap();
    asked_by_our_client(&server, &[("tls.ca_path", path)]).unwrap();
}

#[test]
fn our_consul_client_shows_its_certificate_where_one_is_needed() {
    let authority = Authority::new();
    let server = member(&authority, "need");
    let file = authority.file();
    let ca = ("tls.ca_file", file.to_str().unwrap());
    asked_by_our_client(&server, &[ca]).unwrap_err();
    let pair = authority.client("alice");
    let cert = ("tls.cert_file", pair.cert_file.to_str().unwrap());
    let key = ("tls.key_file", pair.key_file.as_ref().unwrap().to_str().unwrap());
    asked_by_our_client(&server, &[ca, cert, key]).unwrap();
    let missing = asked_by_our_client(&server, &[("tls.ca_file", "/nowhere/ca.pem")]).unwrap_err();
    assert_eq!(*missing.kind(), ErrorKind::Invalid);
    assert!(missing.to_string().contains("/nowhere/ca.pem"), "{missing}");
}

#[test]
fn plaintext_and_tls_do_not_understand_each_other() {
    let authority = Authority::new();
    let server = member(&authority, "none");
    let ask = |address: String| {
        let settings = consul::Settings { address, ..consul::Settings::default() };
        let client = consul::blocking::Client::new(settings).unwrap();
        client.call(client.inner().status_leader()).unwrap_err()
    };
    let addresses = server.addresses();
    let plain = ask(format!("http://{}", addresses.https.unwrap()));
    assert_eq!(*plain.kind(), ErrorKind::Unavailable, "{}", plain.chain());
}
