//! The module by itself: who is let in, who is not, and what is told.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use coord_core::settings::{ClientAuth, TlsVersion};
use coord_core::tls::{
    Acceptor, AcceptorOptions, Connector, ConnectorOptions, KeyPair, Stream, Trust, Verify,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::authority::Authority;

fn accepting(key_pair: KeyPair) -> AcceptorOptions {
    AcceptorOptions {
        key_pair,
        client_auth: ClientAuth::None,
        ca_file: None,
        version_min: TlsVersion::V1_2,
        handshake_timeout: Duration::from_secs(10),
        handshakes_max: 8,
        protocols: Vec::new(),
    }
}

fn trusting(ca_file: &Path) -> ConnectorOptions {
    ConnectorOptions { trust: Trust::File(ca_file.to_owned()), ..ConnectorOptions::default() }
}

/// What both sides see of one connection. The client says a word so that what
/// the server finds wrong after the client's part is seen, too.
async fn meet(acceptor: &Acceptor, connector: &Connector) -> (io::Result<Stream>, io::Result<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = async {
        let stream = TcpStream::connect(address).await?;
        let mut stream = connector.connect("127.0.0.1", stream).await?;
        stream.write_all(b"word").await?;
        stream.flush().await?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).await?;
        assert_eq!(&answer, b"WORD");
        Ok(())
    };
    let server = async {
        let (stream, _) = listener.accept().await?;
        let mut stream = acceptor.accept_either(stream).await?;
        let mut word = [0; 4];
        stream.read_exact(&mut word).await?;
        stream.write_all(&word.to_ascii_uppercase()).await?;
        stream.flush().await?;
        Ok(stream)
    };
    tokio::join!(server, client)
}

#[tokio::test]
async fn a_server_of_a_trusted_authority_is_spoken_to() {
    let authority = Authority::new();
    let acceptor = Acceptor::load(accepting(authority.server())).unwrap();
    let connector = Connector::load(trusting(&authority.file())).unwrap();
    let (server, client) = meet(&acceptor, &connector).await;
    client.unwrap();
    let server = server.unwrap();
    assert!(server.is_tls());
    assert_eq!(server.peer_subject(), None);
}

#[tokio::test]
async fn a_server_is_refused_unless_its_certificate_is_good_and_names_it() {
    let (authority, other) = (Authority::new(), Authority::new());
    for (server, trusted, reason) in [
        (authority.server(), &other, "UnknownIssuer"),
        (authority.expired(), &authority, "expired"),
        (authority.elsewhere(), &authority, "not valid for name"),
    ] {
        let acceptor = Acceptor::load(accepting(server)).unwrap();
        let connector = Connector::load(trusting(&trusted.file())).unwrap();
        let (_, client) = meet(&acceptor, &connector).await;
        let error = client.expect_err(reason).to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[tokio::test]
async fn the_name_alone_or_everything_can_be_left_unlooked_at() {
    let (authority, other) = (Authority::new(), Authority::new());
    let elsewhere = Acceptor::load(accepting(authority.elsewhere())).unwrap();
    let unknown = Acceptor::load(accepting(other.expired())).unwrap();
    let with = |verify| {
        Connector::load(ConnectorOptions { verify, ..trusting(&authority.file()) }).unwrap()
    };
    meet(&elsewhere, &with(Verify::AnyName)).await.1.unwrap();
    meet(&unknown, &with(Verify::AnyName)).await.1.unwrap_err();
    meet(&unknown, &with(Verify::Nothing)).await.1.unwrap();
}

#[tokio::test]
async fn a_client_must_show_a_good_certificate_where_one_is_needed() {
    let (authority, other) = (Authority::new(), Authority::new());
    let with = |client_auth| {
        let options = accepting(authority.server());
        let ca_file = Some(authority.file());
        Acceptor::load(AcceptorOptions { client_auth, ca_file, ..options }).unwrap()
    };
    let showing = |key_pair| {
        Connector::load(ConnectorOptions { key_pair, ..trusting(&authority.file()) }).unwrap()
    };
    let (need, want) = (with(ClientAuth::Need), with(ClientAuth::Want));
    let (server, client) = meet(&need, &showing(Some(authority.client("alice")))).await;
    client.unwrap();
    assert_eq!(server.unwrap().peer_subject().unwrap(), "CN=alice,O=Example\\, Inc.");

    for bad in [Some(other.client("mallory")), Some(authority.expired())] {
        meet(&need, &showing(bad.clone())).await.0.unwrap_err();
        meet(&want, &showing(bad)).await.0.unwrap_err();
    }
    meet(&need, &showing(None)).await.0.unwrap_err();
    assert_eq!(meet(&want, &showing(None)).await.0.unwrap().peer_subject(), None);
}

#[tokio::test]
async fn a_client_that_says_nothing_holds_up_nobody_and_is_given_up() {
    let authority = Authority::new();
    let options = AcceptorOptions {
        handshake_timeout: Duration::from_millis(300),
        ..accepting(authority.server())
    };
    let acceptor = Acceptor::load(options).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut silent = Vec::new();
    let mut waiting = Vec::new();
    // More than can shake hands at once.
    for _ in 0..20 {
        silent.push(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap());
        let (stream, _) = listener.accept().await.unwrap();
        let acceptor = acceptor.clone();
        waiting.push(tokio::spawn(async move { acceptor.accept_either(stream).await }));
    }
    let connector = Connector::load(trusting(&authority.file())).unwrap();
    meet(&acceptor, &connector).await.1.unwrap();
    for waiting in waiting {
        let error = waiting.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}

#[tokio::test]
async fn what_does_not_begin_as_tls_stays_plain_and_unread() {
    let acceptor = Acceptor::load(accepting(Authority::new().server())).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    client.write_all(b"ruok").await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    let mut stream = acceptor.accept_either(stream).await.unwrap();
    let mut word = [0; 4];
    stream.read_exact(&mut word).await.unwrap();
    assert_eq!(&word, b"ruok");
    assert!(!stream.is_tls());
}

#[tokio::test]
async fn the_protocol_inside_is_agreed_on() {
    let authority = Authority::new();
    let options = AcceptorOptions {
        version_min: TlsVersion::V1_3,
        protocols: vec![b"h2".to_vec()],
        ..accepting(authority.server())
    };
    let acceptor = Acceptor::load(options).unwrap();
    let newest = Connector::load(ConnectorOptions {
        version_min: TlsVersion::V1_3,
        protocols: vec![b"h2".to_vec()],
        ..trusting(&authority.file())
    });
    let (server, client) = meet(&acceptor, &newest.unwrap()).await;
    client.unwrap();
    assert_eq!(server.unwrap().protocol(), Some(&b"h2"[..]));
}

#[tokio::test]
async fn certificates_are_read_again_when_they_change_and_kept_if_the_new_ones_are_bad() {
    let (old, new) = (Authority::new(), Authority::new());
    let pair = old.server();
    let acceptor = Acceptor::load(accepting(pair.clone())).unwrap();
    let trusts_old = Connector::load(trusting(&old.file())).unwrap();
    let trusts_new = Connector::load(trusting(&new.file())).unwrap();
    assert!(!acceptor.look_at_files().unwrap());

    fs::write(&pair.cert_file, "-----BEGIN CERTIFICATE-----\nhalf").unwrap();
    acceptor.look_at_files().unwrap_err();
    assert!(!acceptor.look_at_files().unwrap(), "told once");
    meet(&acceptor, &trusts_old).await.1.unwrap();

    let replacement = new.server();
    fs::copy(&replacement.cert_file, &pair.cert_file).unwrap();
    acceptor.look_at_files().unwrap_err();
    fs::copy(replacement.key_file.unwrap(), pair.key_file.unwrap()).unwrap();
    assert!(acceptor.look_at_files().unwrap());
    meet(&acceptor, &trusts_new).await.1.unwrap();
    meet(&acceptor, &trusts_old).await.1.unwrap_err();
}

#[test]
fn a_file_that_is_no_pem_is_refused_with_the_way_there() {
    let authority = Authority::new();
    let good = authority.server();
    let file = good.cert_file.with_file_name("other");
    let refusal = |bytes: &[u8]| {
        fs::write(&file, bytes).unwrap();
        let pair = KeyPair { cert_file: good.cert_file.clone(), key_file: Some(file.clone()) };
        let error = Acceptor::load(accepting(pair)).unwrap_err();
        error.chain()
    };
    assert!(refusal(b"\xfe\xed\xfe\xed\0\0\0\x02").contains("keytool -importkeystore"));
    assert!(refusal(b"\x30\x82\x0a\x00\x02\x01\x03").contains("openssl pkcs12 -in"));
    assert!(
        refusal(
            b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----\n"
        )
        .contains("openssl pkey -in")
    );
    assert!(refusal(b"").contains("contains no PEM private key"));
    let stranger = fs::read(authority.client("stranger").key_file.unwrap()).unwrap();
    assert!(refusal(&stranger).contains("does not match the certificate"));
    let missing = KeyPair { cert_file: "/nowhere.pem".into(), key_file: None };
    let error = Acceptor::load(accepting(missing)).unwrap_err().to_string();
    assert!(error.contains("cannot read /nowhere.pem"), "{error}");
}
