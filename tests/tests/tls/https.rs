//! Consul's HTTP API over TLS.

use std::time::Duration;

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
