//! Names outside the zone, with another server to ask.

use std::net::SocketAddr;
use std::sync::Arc;

use coord_wire::dns::{Answer, DomainName, Manner, Query, Record, RecordData, Transport};
use domain::base::Rtype;
use domain::base::iana::Rcode;
use tokio::net::UdpSocket;

use super::super::forward::Forwarder;
use super::super::respond::{Respond, Response};
use super::super::{DnsServer, bind_both};
use super::world::{Reply, question};
use crate::settings::{DnsSettings, ListenAddress};

/// Knows `db.example.com`, fails for `broken.example.com`, denies the rest.
async fn recursor() -> DnsServer {
    let respond: Respond = Arc::new(|packet, transport| {
        let query = Query::decode(packet).unwrap();
        let answer = match query.name.to_string().as_str() {
            "db.example.com" => Answer::found(vec![
                Record {
                    owner: query.name.clone(),
                    ttl_s: 60,
                    data: RecordData::A([192, 0, 2, 7].into()),
                }
                .into(),
            ]),
            "broken.example.com" => Answer::failed(),
            _ => Answer::no_such_name(Record {
                owner: query.name.clone(),
                ttl_s: 0,
                data: RecordData::Ns(query.name.clone()),
            }),
        };
        Response::Now(Some(answer.encode(&query, transport, Manner::default())))
    });
    let sockets = bind_both(&ListenAddress::loopback(0)).await.unwrap();
    let local = sockets.1.local_addr().unwrap();
    DnsServer::serve(sockets, local, respond)
}

fn forwarder(servers: &[SocketAddr]) -> Forwarder {
    let settings = DnsSettings {
        recursors: servers.iter().map(SocketAddr::to_string).collect(),
        recursor_timeout_ms: 200,
        ..DnsSettings::default()
    };
    Forwarder::new(&settings, ([127, 0, 0, 1], 1).into()).unwrap()
}

async fn ask(forwarder: &Forwarder, name: &str, transport: Transport) -> Reply {
    let packet = question(name, Rtype::A, None);
    let query = Query::decode(&packet).unwrap();
    let manner = Manner::default();
    Reply::read(&forwarder.forward(&packet, &query, transport, manner, 77).await)
}

#[tokio::test]
async fn the_answer_of_another_server_is_passed_on_under_the_clients_number() {
    let server = recursor().await;
    let forwarder = forwarder(&[server.local_addr()]);
    for transport in [Transport::Udp, Transport::Tcp] {
        let reply = ask(&forwarder, "db.example.com", transport).await;
        assert_eq!(reply.answers, ["db.example.com 60 A 192.0.2.7"]);
        let reply = ask(&forwarder, "nobody.example.com", transport).await;
        assert_eq!(reply.rcode, Rcode::NXDOMAIN);
    }
    server.stop().await;
}

#[tokio::test]
async fn servers_are_tried_in_order_until_one_knows() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let server = recursor().await;
    let both = forwarder(&[silent.local_addr().unwrap(), server.local_addr()]);
    let reply = ask(&both, "db.example.com", Transport::Udp).await;
    assert_eq!(reply.sorted(), ["192.0.2.7"]);
    server.stop().await;
}

#[tokio::test]
async fn a_name_nobody_can_answer_for_is_a_failure_of_the_server() {
    let server = recursor().await;
    let forwarder = forwarder(&[server.local_addr()]);
    let reply = ask(&forwarder, "broken.example.com", Transport::Udp).await;
    assert_eq!((reply.rcode, reply.authoritative), (Rcode::SERVFAIL, false));
    server.stop().await;
    let reply = ask(&forwarder, "db.example.com", Transport::Tcp).await;
    assert_eq!(reply.rcode, Rcode::SERVFAIL);
}

#[tokio::test]
async fn an_answer_to_another_question_is_waited_past() {
    let liar = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let forwarder = forwarder(&[liar.local_addr().unwrap()]);
    let lies = async {
        let mut packet = [0; 512];
        let (len, client) = liar.recv_from(&mut packet).await.unwrap();
        let query = Query::decode(&packet[..len]).unwrap();
        let answer = |id: u16, name: &str| {
            let name = DomainName::bytes_from_str(name).unwrap();
            let data = RecordData::A([10, 0, 0, 1].into());
            let record = Record { owner: name.clone(), ttl_s: 0, data };
            let mut query = query.clone();
            (query.id, query.name) = (id, name);
            let answer = Answer::found(vec![record.into()]);
            answer.encode(&query, Transport::Udp, Manner::default())
        };
        for (id, name) in [(78, "db.example.com"), (77, "evil.example.com"), (77, "db.example.com")]
        {
            liar.send_to(&answer(id, name), client).await.unwrap();
        }
    };
    let (reply, ()) = tokio::join!(ask(&forwarder, "db.example.com", Transport::Udp), lies);
    assert_eq!(reply.answers, ["db.example.com 0 A 10.0.0.1"]);
}

#[tokio::test]
async fn an_alias_out_of_the_zone_is_resolved() {
    let server = recursor().await;
    let forwarder = forwarder(&[server.local_addr()]);
    let name = DomainName::bytes_from_str("db.example.com").unwrap();
    let records = forwarder.resolve(&name, Rtype::ANY, 5).await;
    let wanted = Record { owner: name, ttl_s: 60, data: RecordData::A([192, 0, 2, 7].into()) };
    assert_eq!(records, [wanted]);
    server.stop().await;
}

#[test]
fn a_server_does_not_ask_itself() {
    let own: SocketAddr = ([127, 0, 0, 1], 8600).into();
    let settings =
        DnsSettings { recursors: vec!["127.0.0.1:8600".to_owned()], ..DnsSettings::default() };
    assert!(Forwarder::new(&settings, own).is_none());
}
