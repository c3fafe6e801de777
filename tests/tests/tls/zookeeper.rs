//! ZooKeeper's protocol over TLS, and who its clients are.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use coord_core::Error;
use coord_core::client::zookeeper::blocking::Client;
use coord_core::client::zookeeper::{
    Ace, CreateOptions, Identity, Login, Settings, zookeeper_code,
};
use coord_core::embedded::Server;
use coord_core::settings::Settings as ServerSettings;
use coord_core::tls::{ConnectorOptions, KeyPair, Trust};

use crate::authority::Authority;

const PATIENCE: Duration = Duration::from_secs(30);
const BOB: &str = "bob:secret\nroot:top";

fn member(settings: &[(&str, &str)]) -> Server {
    let mut chosen = ServerSettings::embedded();
    for (name, value) in [("http_addr", "off"), ("dns_addr", "off")].iter().chain(settings) {
        chosen.set(name, value).unwrap();
    }
    let server = Server::start_embedded(chosen).unwrap();
    server.wait_ready(PATIENCE).unwrap();
    server
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Settings for a member that has this certificate and knows clients of `authority`.
fn certified<'a>(pair: &'a KeyPair, ca: &'a Path) -> Vec<(&'static str, &'a str)> {
    vec![
        ("tls.cert_file", text(&pair.cert_file)),
        ("tls.key_file", text(pair.key_file.as_deref().unwrap())),
        ("tls.ca_file", text(ca)),
    ]
}

fn over_tls(authority: &Authority, key_pair: Option<KeyPair>) -> Settings {
    let trust = Trust::File(authority.file());
    let tls = Some(ConnectorOptions { trust, key_pair, ..ConnectorOptions::default() });
    Settings { tls, ..Settings::default() }
}

fn as_user(user: &str, password: &str) -> Settings {
    let login = Login { user: user.to_owned(), password: password.into() };
    Settings { sasl: Some(login), ..Settings::default() }
}

fn connect(at: SocketAddr, settings: Settings) -> Result<Client, Error> {
    Client::connect(Settings { hosts: at.to_string(), ..settings }, PATIENCE)
}

fn ids(client: &Client) -> Vec<String> {
    let shown = client.who_am_i().unwrap().into_iter();
    shown
        .filter(|(scheme, _)| scheme != "ip")
        .map(|(scheme, id)| format!("{scheme}:{id}"))
        .collect()
}

fn only(scheme: &str, id: &str) -> CreateOptions {
    let identity = Identity { scheme: scheme.into(), id: id.into() };
    CreateOptions { acl: Some(vec![Ace { perms: 31, identity }]), ..CreateOptions::default() }
}

fn code<T: std::fmt::Debug>(outcome: Result<T, Error>) -> i32 {
    zookeeper_code(&outcome.unwrap_err()).unwrap()
}

#[test]
fn one_port_takes_tls_and_plaintext_and_another_tls_alone() {
    let authority = Authority::new();
    let (pair, ca) = (authority.server(), authority.file());
    let mut settings = certified(&pair, &ca);
    settings.extend([("tls.one_port", "true"), ("zk_tls_addr", "127.0.0.1:0")]);
    settings.push(("tls.client_auth", "want"));
    let server = member(&settings);
    let (both, secure) = (server.addresses().zk.unwrap(), server.addresses().zk_tls.unwrap());

    let plain = connect(both, Settings::default()).unwrap();
    // More than fits into one record, or into a socket.
    let data = Bytes::from(vec![7; 900_000]);
    plain.create("/large", Some(data.clone()), &CreateOptions::default()).unwrap();
    for at in [both, secure] {
        let client = connect(at, over_tls(&authority, None)).unwrap();
        assert_eq!(client.get("/large").unwrap().data.unwrap(), data);
        client.set("/large", Some(data.clone()), -1).unwrap();
    }
    let mut stream = TcpStream::connect(both).unwrap();
    stream.write_all(b"conf").unwrap();
    let mut conf = String::new();
    stream.read_to_string(&mut conf).unwrap();
    let ports = format!("clientPort={}\nsecureClientPort={}\n", both.port(), secure.port());
    assert!(conf.starts_with(&ports), "{conf}");
    let mut refused = Settings { hosts: secure.to_string(), ..Settings::default() };
    refused.connect_timeout = Duration::from_millis(200);
    let client = Client::start(refused).unwrap();
    client.wait_connected(Duration::from_millis(500)).unwrap_err();
}

#[test]
fn a_word_is_answered_beside_tls() {
    let authority = Authority::new();
    let (pair, ca) = (authority.server(), authority.file());
    let mut settings = certified(&pair, &ca);
    settings.push(("tls.one_port", "true"));
    let server = member(&settings);
    let mut stream = TcpStream::connect(server.addresses().zk.unwrap()).unwrap();
    stream.write_all(b"ruok").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "imok");
}

#[test]
fn the_subject_of_a_certificate_is_an_identity_for_access_lists() {
    let authority = Authority::new();
    let (pair, ca) = (authority.server(), authority.file());
    let mut settings = certified(&pair, &ca);
    settings.push(("zk_tls_addr", "127.0.0.1:0"));
    settings.push(("auth.super_x509", "CN=root,O=Example\\, Inc."));
    let server = member(&settings);
    let at = server.addresses().zk_tls.unwrap();
    let by = |name: &str| connect(at, over_tls(&authority, Some(authority.client(name)))).unwrap();
    let (alice, eve, root) = (by("alice"), by("eve"), by("root"));

    let subject = "CN=alice,O=Example\\, Inc.";
    assert_eq!(ids(&alice), [format!("x509:{subject}")]);
    alice.create("/alice", None, &only("x509", subject)).unwrap();
    alice.create("/mine", None, &only("auth", "")).unwrap();
    assert_eq!(&*alice.get_acl("/mine").unwrap().0[0].identity.id, subject);
    alice.get("/mine").unwrap();
    assert_eq!(code(eve.get("/alice")), -102);
    root.get("/alice").unwrap();
    assert!(ids(&root).contains(&"super:CN=root,O=Example\\, Inc.".to_owned()));

    // Who shows none is not let in where one is needed.
    let nobody = Settings { hosts: at.to_string(), ..over_tls(&authority, None) };
    let nobody = Client::start(nobody).unwrap();
    let refused = nobody.wait_connected(Duration::from_millis(500)).unwrap_err();
    assert!(refused.chain().contains(&at.to_string()), "{}", refused.chain());
}

#[test]
fn a_sasl_user_is_an_identity_for_access_lists() {
    let server = member(&[
        ("auth.sasl_users", BOB),
        ("auth.super_sasl", "root"),
        ("auth.sasl_any_user", "anybody"),
    ]);
    let at = server.addresses().zk.unwrap();
    let bob = connect(at, as_user("bob", "secret")).unwrap();
    assert_eq!(ids(&bob), ["sasl:bob"]);
    bob.create("/bob", None, &only("sasl", "bob")).unwrap();
    bob.create("/mine", None, &only("auth", "")).unwrap();
    bob.create("/shared", None, &only("sasl", "anybody")).unwrap();
    assert_eq!(&*bob.get_acl("/mine").unwrap().0[0].identity.id, "bob");

    let stranger = connect(at, Settings::default()).unwrap();
    for path in ["/bob", "/mine", "/shared"] {
        bob.get(path).unwrap();
        assert_eq!(code(stranger.get(path)), -102);
    }
    let root = connect(at, as_user("root", "top")).unwrap();
    root.get("/bob").unwrap();
    assert_eq!(ids(&root), ["sasl:root", "super:"]);
}

#[test]
fn a_wrong_password_or_none_at_all_is_refused_and_not_tried_again() {
    let server = member(&[("auth.sasl_users", BOB)]);
    let at = server.addresses().zk.unwrap();
    for (user, password) in [("bob", "guess"), ("nobody", "secret"), ("bob", "")] {
        assert_eq!(code(connect(at, as_user(user, password))), -115);
    }
    let without = member(&[]);
    assert_eq!(code(connect(without.addresses().zk.unwrap(), as_user("bob", "secret"))), -115);
}

#[test]
fn where_sasl_is_required_nothing_is_served_before_it() {
    let server = member(&[("auth.sasl_users", BOB), ("auth.required_schemes", "sasl")]);
    let at = server.addresses().zk.unwrap();
    let bob = connect(at, as_user("bob", "secret")).unwrap();
    bob.create("/a", None, &CreateOptions::default()).unwrap();
    assert_eq!(code(connect(at, as_user("bob", "guess"))), -124);

    let stranger = connect(at, Settings::default()).unwrap();
    assert_eq!(code(stranger.get("/a")), -124);
}

#[test]
fn who_fails_may_stay_as_nobody() {
    let server = member(&[("auth.sasl_users", BOB), ("auth.sasl_failed_stay", "true")]);
    // Ours gives up, as the server never proves itself; kazoo's is in tests/conformance.
    let at = server.addresses().zk.unwrap();
    assert_eq!(code(connect(at, as_user("bob", "guess"))), -115);
    assert_eq!(ids(&connect(at, as_user("bob", "secret")).unwrap()), ["sasl:bob"]);
}

#[test]
fn the_user_of_the_super_digest_may_do_everything() {
    let server = member(&[("auth.super_digest", "super:0bX78nEegDzJM3ju0iLBEJdWzjg=")]);
    let at = server.addresses().zk.unwrap();
    let client = connect(at, Settings::default()).unwrap();
    client.create("/closed", None, &only("digest", "bob:hash")).unwrap();
    assert_eq!(code(client.get("/closed")), -102);
    client.add_auth("digest", Bytes::from_static(b"super:pw")).unwrap();
    client.get("/closed").unwrap();
}

#[test]
fn passwords_are_in_no_answer_of_the_member() {
    let server = member(&[("auth.sasl_users", BOB)]);
    for word in ["conf", "envi", "srvr", "cons", "dump", "mntr"] {
        let mut stream = TcpStream::connect(server.addresses().zk.unwrap()).unwrap();
        stream.write_all(word.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(!answer.is_empty() && !answer.contains("secret"), "{word}: {answer}");
    }
}
