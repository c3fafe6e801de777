//! Members that know each other by their certificates.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use coord_core::client::zookeeper::blocking::Client;
use coord_core::client::zookeeper::{CreateOptions, Settings as ClientSettings};
use coord_core::embedded::{Cluster, Server};
use coord_core::settings::Settings;
use coord_core::tls::{Connector, ConnectorOptions, KeyPair, Trust, Verify};

use crate::authority::Authority;

const PATIENCE: Duration = Duration::from_secs(30);

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The files of a member whose peers are those of `authority`.
fn files(authority: &Authority) -> [(&'static str, String); 3] {
    let pair = authority.server();
    [
        ("tls.peer_cert_file", text(&pair.cert_file).to_owned()),
        ("tls.peer_key_file", text(pair.key_file.as_deref().unwrap()).to_owned()),
        ("tls.peer_ca_file", text(&authority.file()).to_owned()),
    ]
}

fn guarded(authority: &Authority) -> Settings {
    let mut settings = Settings::embedded();
    for (name, value) in files(authority) {
        settings.set(name, &value).unwrap();
    }
    settings.set("tls.peers", "true").unwrap();
    settings
}

fn client(server: &Server) -> Client {
    let hosts = server.addresses().zk.unwrap().to_string();
    Client::connect(ClientSettings { hosts, ..ClientSettings::default() }, PATIENCE).unwrap()
}

/// How member 2 says hello to member 1; the length comes first, a nonce last.
const HELLO: [&[u8]; 7] = [
    &[60, 0, 0, 0],
    b"coordper",
    &[3, 0, 2],
    &[2, 0, 0, 0, 0, 0, 0, 0],
    &[1, 0, 0, 0, 0, 0, 0, 0],
    &[0],
    &[7; 32],
];

/// What the other side of a connection that is nobody's says before it hangs up.
fn said_to(mut stream: TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&HELLO.concat()).unwrap();
    let mut said = Vec::new();
    // A connection that is reset was closed with something unread: refused as well.
    let _ = stream.read_to_end(&mut said);
    said
}

#[test]
fn members_with_certificates_of_one_authority_are_a_cluster() {
    let authority = Authority::new();
    let mut cluster = Cluster::start(3, &guarded(&authority), PATIENCE).unwrap();
    client(&cluster.servers()[0]).create("/n", None, &CreateOptions::default()).unwrap();
    // One that was away comes back to the others.
    cluster.stop_member(2).unwrap();
    client(&cluster.servers()[1]).set("/n", Some("while it was away".into()), -1).unwrap();
    cluster.start_member(2, PATIENCE).unwrap();
    let there = client(&cluster.servers()[2]);
    there.sync("/n").unwrap();
    assert_eq!(there.get("/n").unwrap().data.unwrap(), "while it was away");
}

#[test]
fn who_has_no_certificate_of_the_peers_is_no_peer() {
    let (authority, of_clients) = (Authority::new(), Authority::new());
    let cluster = Cluster::start(1, &guarded(&authority), PATIENCE).unwrap();
    let at: SocketAddr = cluster.servers()[0].addresses().peer.unwrap();
    let said = said_to(TcpStream::connect(at).unwrap());
    // An alert, if anything.
    assert!(said.first().is_none_or(|first| *first == 0x15), "{said:?}");
    let accepted = |key_pair: Option<KeyPair>| {
        cluster.servers()[0].runtime().unwrap().block_on(async {
            let options = ConnectorOptions {
                trust: Trust::File(authority.file()),
                verify: Verify::AnyName,
                key_pair,
                ..ConnectorOptions::default()
            };
            let connector = Connector::load(options).unwrap();
            let stream = tokio::net::TcpStream::connect(at).await.unwrap();
            let Ok(mut stream) = connector.connect("127.0.0.1", stream).await else { return false };
            // With TLS 1.3 only the first answer tells whether one was let in.
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            stream.write_all(&HELLO.concat()).await.unwrap();
            stream.flush().await.unwrap();
            let mut answer = [9; 5];
            stream.read_exact(&mut answer).await.is_ok() && answer == [1, 0, 0, 0, 0]
        })
    };
    assert!(!accepted(None));
    assert!(!accepted(Some(of_clients.client("member"))));
    assert!(!accepted(Some(authority.expired())));
    assert!(accepted(Some(authority.client("member"))));
}

#[test]
fn a_running_cluster_changes_over_to_certificates_one_member_at_a_time() {
    let authority = Authority::new();
    let mut cluster = Cluster::start(3, &Settings::embedded(), PATIENCE).unwrap();
    client(&cluster.servers()[0]).create("/n", None, &CreateOptions::default()).unwrap();
    let certificates = files(&authority);
    let certificates = certificates.iter().map(|(name, value)| (*name, value.as_str()));
    let rounds = [
        certificates.collect::<Vec<_>>(),
        vec![("tls.peers", "true"), ("tls.peers_one_port", "true")],
        vec![("tls.peers_one_port", "false")],
    ];
    for (round, changes) in rounds.iter().enumerate() {
        for place in 0..3 {
            cluster.stop_member(place).unwrap();
            for (name, value) in changes {
                cluster.set(place, name, value).unwrap();
            }
            cluster.start_member(place, PATIENCE).unwrap();
            let data = format!("round {round}, member {place}");
            client(&cluster.servers()[place]).set("/n", Some(data.into()), -1).unwrap();
        }
    }
    let said = said_to(TcpStream::connect(cluster.servers()[0].addresses().peer.unwrap()).unwrap());
    assert!(said.first().is_none_or(|first| *first == 0x15), "plaintext is over: {said:?}");
    let end = client(&cluster.servers()[0]).get("/n").unwrap();
    assert_eq!((end.data.unwrap().as_ref(), end.stat.version), (b"round 2, member 2".as_ref(), 9));
}

#[test]
fn half_of_what_certificates_need_is_refused_at_the_start() {
    let authority = Authority::new();
    for left_out in ["tls.peer_cert_file", "tls.peer_ca_file"] {
        let mut settings = Settings::embedded();
        settings.set("tls.peers", "true").unwrap();
        for (name, value) in files(&authority).iter().filter(|(name, _)| *name != left_out) {
            settings.set(name, value).unwrap();
        }
        let refused = Server::start_embedded(settings).unwrap_err().to_string();
        assert!(refused.contains(left_out), "{refused}");
    }
}
