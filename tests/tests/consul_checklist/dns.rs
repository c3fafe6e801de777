//! DNS, as `dig` sees it.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};

use coord_core::embedded::Server;
use coord_core::settings::{DnsSettings, ListenAddress, Settings};
use domain::base::iana::Rcode;
use domain::base::message::RecordSection;
use domain::base::message_builder::AdditionalBuilder;
use domain::base::{Message, MessageBuilder, Name, ParsedName, Record, Rtype, Ttl};
use domain::rdata::{A, AllRecordData};

use crate::http_client::{Api, LONG, settings};
use crate::score::Point;

/// A member that serves DNS.
struct World {
    api: Api,
    dns: SocketAddr,
    _server: Server,
}

/// An answer: records as `name ttl type data`.
#[derive(Debug)]
struct Reply {
    rcode: Rcode,
    authoritative: bool,
    truncated: bool,
    recursion: bool,
    question: String,
    answers: Vec<String>,
    authority: Vec<String>,
    additional: Vec<String>,
}

impl World {
    fn new() -> Self {
        Self::with(DnsSettings::default())
    }

    fn with(dns: DnsSettings) -> Self {
        let settings = Settings { dns_addr: ListenAddress::loopback(0), dns, ..settings() };
        let server = Server::start_embedded(settings).unwrap();
        server.wait_ready(LONG).unwrap();
        let addresses = server.addresses();
        let api = Api { address: addresses.http.unwrap() };
        Self { api, dns: addresses.dns.unwrap(), _server: server }
    }

    fn register(&self, body: &str) {
        self.api.put("/v1/catalog/register", body).says(200, "true");
    }

    fn udp(&self, name: &str, rtype: Rtype, edns: Option<u16>) -> Reply {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(self.dns).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        socket.send(&question(name, rtype, edns)).unwrap();
        let mut reply = [0; 65_535];
        let len = socket.recv(&mut reply).unwrap();
        Reply::read(&reply[..len])
    }

    fn ask(&self, name: &str, rtype: Rtype) -> Reply {
        self.udp(name, rtype, Some(4096))
    }

    fn tcp(&self, name: &str, rtype: Rtype) -> Reply {
        let packet = question(name, rtype, None);
        let mut stream = TcpStream::connect(self.dns).unwrap();
        let len = u16::try_from(packet.len()).unwrap();
        stream.write_all(&[&len.to_be_bytes()[..], &packet].concat()).unwrap();
        let mut len = [0; 2];
        stream.read_exact(&mut len).unwrap();
        let mut reply = vec![0; u16::from_be_bytes(len).into()];
        stream.read_exact(&mut reply).unwrap();
        Reply::read(&reply)
    }
}

fn question(name: &str, rtype: Rtype, edns: Option<u16>) -> Vec<u8> {
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_rd(true);
    let mut question = builder.question();
    question.push((Name::vec_from_str(name).unwrap(), rtype)).unwrap();
    let mut additional: AdditionalBuilder<Vec<u8>> = question.additional();
    if let Some(size) = edns {
        additional
            .opt(|opt| {
                opt.set_udp_payload_size(size);
                Ok(())
            })
            .unwrap();
    }
    additional.finish()
}

impl Reply {
    fn read(packet: &[u8]) -> Self {
        let message = Message::from_octets(packet.to_vec()).unwrap();
        let question = message.question().next().unwrap().unwrap().qname().to_string();
        let mut additional = texts(message.additional().unwrap());
        additional.retain(|record| !record.contains(" OPT "));
        Self {
            rcode: message.header().rcode(),
            authoritative: message.header().aa(),
            truncated: message.header().tc(),
            recursion: message.header().ra(),
            question,
            answers: texts(message.answer().unwrap()),
            authority: texts(message.authority().unwrap()),
            additional,
        }
    }

    /// The data of the answers, in order of the alphabet.
    fn data(&self) -> Vec<&str> {
        let data = self.answers.iter().map(|text| text.splitn(4, ' ').nth(3).unwrap());
        let mut data: Vec<_> = data.collect();
        data.sort_unstable();
        data
    }
}

fn texts(section: RecordSection<'_, Vec<u8>>) -> Vec<String> {
    type Data<'a> = AllRecordData<&'a [u8], ParsedName<&'a [u8]>>;
    section
        .map(|record| {
            let record: Record<_, Data<'_>> = record.unwrap().into_any_record().unwrap();
            format!(
                "{} {} {} {}",
                record.owner(),
                record.ttl().as_secs(),
                record.rtype(),
                record.data().to_string().trim_end_matches('.')
            )
        })
        .collect()
}

fn three_webs() -> World {
    let world = World::new();
    for (number, status) in [(1, "passing"), (2, "warning"), (3, "critical")] {
        world.register(&format!(
            r#"{{"Node":"n{number}","Address":"10.0.0.{number}","NodeMeta":{{"rack":"{number}"}},
                "Service":{{"Service":"web","Port":80,"Tags":["a","t{number}"]}},
                "Check":{{"Name":"c","ServiceID":"web","Status":"{status}"}}}}"#
        ));
    }
    world
}

#[test]
fn services_are_found_by_name_tag_and_rfc_2782() {
    let _point = Point::of("D-01");
    let world = three_webs();
    for name in [
        "web.service.consul",
        "web.service.dc1.consul",
        "WEB.Service.Consul",
        "a.web.service.consul",
    ] {
        let reply = world.ask(name, Rtype::A);
        assert_eq!(reply.data(), ["10.0.0.1", "10.0.0.2"], "{name}");
        // The name comes back in the case it was asked in.
        assert_eq!(reply.question, name);
        assert!(reply.authoritative);
    }
    assert_eq!(world.ask("t2.web.service.consul", Rtype::A).data(), ["10.0.0.2"]);
    for name in ["_web._tcp.service.consul", "_web._tcp.consul", "_web._a.service.consul"] {
        assert_eq!(world.ask(name, Rtype::SRV).answers.len(), 2, "{name}");
    }
    assert_eq!(world.ask("n3.node.consul", Rtype::A).data(), ["10.0.0.3"]);
}

#[test]
fn srv_points_to_nodes_addresses_and_host_names() {
    let _point = Point::of("D-02");
    let world = World::new();
    world.register(r#"{"Node":"n1","Address":"10.0.0.1","Service":{"Service":"plain","Port":80}}"#);
    world.register(
        r#"{"Node":"n1","Address":"10.0.0.1",
            "Service":{"Service":"own","Port":81,"Address":"192.168.0.9"}}"#,
    );
    world.register(
        r#"{"Node":"n1","Address":"10.0.0.1",
            "Service":{"Service":"named","Port":82,"Address":"db.example.com"}}"#,
    );
    let plain = world.ask("plain.service.consul", Rtype::SRV);
    assert_eq!(plain.data(), ["1 1 80 n1.node.dc1.consul"]);
    assert!(plain.additional.contains(&"n1.node.dc1.consul 0 A 10.0.0.1".to_owned()), "{plain:?}");
    let own = world.ask("own.service.consul", Rtype::SRV);
    assert_eq!(own.data(), ["1 1 81 c0a80009.addr.dc1.consul"]);
    assert_eq!(world.ask("c0a80009.addr.dc1.consul", Rtype::A).data(), ["192.168.0.9"]);
    assert_eq!(world.ask("named.service.consul", Rtype::SRV).data(), ["1 1 82 db.example.com"]);
}

#[test]
fn critical_instances_are_left_out_and_warnings_kept() {
    let _point = Point::of("D-03");
    let world = three_webs();
    assert_eq!(world.ask("web.service.consul", Rtype::A).data(), ["10.0.0.1", "10.0.0.2"]);
    assert_eq!(world.ask("t3.web.service.consul", Rtype::A).rcode, Rcode::NXDOMAIN);
}

#[test]
fn what_is_not_there_and_what_has_no_such_type_differ() {
    let _point = Point::of("D-04");
    let world = three_webs();
    let denied = |reply: &Reply| {
        assert!(reply.answers.is_empty());
        assert!(reply.authority[0].starts_with("consul 0 SOA ns.consul. hostmaster.consul. "));
    };
    for name in
        ["none.service.consul", "none.node.consul", "web.service.elsewhere.consul", "x.consul"]
    {
        let reply = world.ask(name, Rtype::A);
        assert_eq!(reply.rcode, Rcode::NXDOMAIN, "{name}");
        denied(&reply);
    }
    for (name, rtype) in [("web.service.consul", Rtype::AAAA), ("web.service.consul", Rtype::MX)] {
        let reply = world.ask(name, rtype);
        assert_eq!(reply.rcode, Rcode::NOERROR, "{name} {rtype}");
        denied(&reply);
    }
}

#[test]
fn a_datagram_holds_three_answers_with_edns_more_and_a_stream_all() {
    let _point = Point::of("D-05");
    let world = World::new();
    for number in 1..=30 {
        world.register(&format!(
            r#"{{"Node":"n{number}","Address":"10.0.0.{number}","Service":{{"Service":"web"}}}}"#
        ));
    }
    assert_eq!(world.udp("web.service.consul", Rtype::A, None).answers.len(), 3);
    assert_eq!(world.udp("web.service.consul", Rtype::A, Some(4096)).answers.len(), 30);
    assert_eq!(world.tcp("web.service.consul", Rtype::A).answers.len(), 30);
}

#[test]
fn metadata_names_of_addresses_and_the_zone_itself_are_told() {
    let _point = Point::of("D-06");
    let world = three_webs();
    assert_eq!(world.ask("n1.node.consul", Rtype::TXT).data(), ["\"rack=1\""]);
    let reverse = world.ask("1.0.0.10.in-addr.arpa", Rtype::PTR);
    assert_eq!(reverse.data(), ["n1.node.dc1.consul"]);
    let servers = world.ask("consul", Rtype::NS);
    assert_eq!(servers.data(), ["home.node.dc1.consul"]);
    assert!(servers.additional.contains(&"home.node.dc1.consul 0 A 127.0.0.1".to_owned()));
    assert!(world.ask("consul", Rtype::SOA).data()[0].starts_with("ns.consul. hostmaster.consul."));
}

/// A DNS server of somebody else's, over both transports, that knows one address.
fn recursor(address: Ipv4Addr) -> SocketAddr {
    let (datagrams, streams) = loop {
        let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
        // Somebody may have the other port of that number.
        if let Ok(streams) = TcpListener::bind(datagrams.local_addr().unwrap()) {
            break (datagrams, streams);
        }
    };
    let at = datagrams.local_addr().unwrap();
    let answer = move |packet: &[u8]| -> Vec<u8> {
        let question = Message::from_octets(packet.to_vec()).unwrap();
        let name = question.sole_question().unwrap().into_qname();
        let builder = MessageBuilder::new_vec();
        let mut builder = builder.start_answer(&question, Rcode::NOERROR).unwrap();
        builder.push((name, Ttl::from_secs(77), A::new(address))).unwrap();
        builder.finish()
    };
    std::thread::spawn(move || {
        let mut packet = [0; 4096];
        while let Ok((len, client)) = datagrams.recv_from(&mut packet) {
            datagrams.send_to(&answer(&packet[..len]), client).unwrap();
        }
    });
    std::thread::spawn(move || {
        for stream in streams.incoming() {
            let mut stream = stream.unwrap();
            let mut len = [0; 2];
            stream.read_exact(&mut len).unwrap();
            let mut packet = vec![0; u16::from_be_bytes(len).into()];
            stream.read_exact(&mut packet).unwrap();
            let reply = answer(&packet);
            let len = u16::try_from(reply.len()).unwrap();
            stream.write_all(&[&len.to_be_bytes()[..], &reply].concat()).unwrap();
        }
    });
    at
}

#[test]
fn names_outside_the_zone_are_asked_of_the_recursors_or_refused() {
    let _point = Point::of("D-07");
    let alone = World::new();
    for reply in [alone.ask("example.com", Rtype::A), alone.tcp("example.com", Rtype::A)] {
        assert_eq!((reply.rcode, reply.authoritative), (Rcode::REFUSED, false));
        assert!(reply.answers.is_empty() && !reply.recursion, "{reply:?}");
    }
    // The first one is gone: its port is closed again.
    let gone = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let knows = recursor(Ipv4Addr::new(192, 0, 2, 7));
    let recursors = vec![gone.to_string(), knows.to_string()];
    let world = World::with(DnsSettings { recursors, ..DnsSettings::default() });
    for reply in [world.ask("example.com", Rtype::A), world.tcp("example.com", Rtype::A)] {
        assert_eq!(reply.rcode, Rcode::NOERROR);
        assert_eq!(reply.answers, ["example.com 77 A 192.0.2.7"]);
    }
    // Our own zone is still ours, and says that there is more to be had.
    let own = world.ask("none.service.consul", Rtype::A);
    assert_eq!((own.rcode, own.authoritative, own.recursion), (Rcode::NXDOMAIN, true, true));
    assert!(!alone.ask("none.service.consul", Rtype::A).recursion);
}

#[test]
fn a_host_name_as_address_is_an_alias() {
    let _point = Point::of("D-08");
    let world = World::new();
    world.register(r#"{"Node":"alias","Address":"db.example.com"}"#);
    let reply = world.ask("alias.node.consul", Rtype::A);
    assert_eq!(reply.answers, ["alias.node.consul 0 CNAME db.example.com"]);
}

#[test]
fn answers_live_as_long_as_is_set_and_say_when_they_were_cut() {
    let _point = Point::of("D-09");
    let service_ttl_s = [("web", 30), ("we*", 20), ("*", 10)];
    let service_ttl_s = service_ttl_s.map(|(name, ttl)| (name.to_owned(), ttl)).into();
    let dns =
        DnsSettings { node_ttl_s: 5, service_ttl_s, soa_min_ttl_s: 4, ..DnsSettings::default() };
    let world = World::with(dns);
    for name in ["web", "weather", "db"] {
        for number in 1..=4 {
            world.register(&format!(
                r#"{{"Node":"n{number}","Address":"10.0.0.{number}","Service":{{"Service":"{name}"}}}}"#
            ));
        }
    }
    for (name, ttl) in [
        ("web.service.consul", "30"),
        ("weather.service.consul", "20"),
        ("db.service.consul", "10"),
        ("n1.node.consul", "5"),
    ] {
        let reply = world.ask(name, Rtype::A);
        let lifetimes: Vec<_> = reply.answers.iter().filter_map(|a| a.split(' ').nth(1)).collect();
        assert!(!lifetimes.is_empty() && lifetimes.iter().all(|told| *told == ttl), "{reply:?}");
    }
    let absent = world.ask("none.service.consul", Rtype::A);
    assert!(absent.authority[0].ends_with(" 3600 600 86400 4"), "{absent:?}");

    let cut = world.udp("web.service.consul", Rtype::A, None);
    assert_eq!((cut.answers.len(), cut.truncated), (3, true));
    let whole = world.ask("web.service.consul", Rtype::A);
    assert_eq!((whole.answers.len(), whole.truncated), (4, false));
    // As Consul has it unless told otherwise.
    let silent = World::with(DnsSettings { enable_truncate: false, ..DnsSettings::default() });
    for number in 1..=4 {
        silent.register(&format!(
            r#"{{"Node":"n{number}","Address":"10.0.0.{number}","Service":{{"Service":"web"}}}}"#
        ));
    }
    let cut = silent.udp("web.service.consul", Rtype::A, None);
    assert_eq!((cut.answers.len(), cut.truncated), (3, false));
}

#[test]
fn questions_are_timed_by_whether_they_turn_addresses_into_names() {
    let world = three_webs();
    for _ in 0..2 {
        world.ask("web.service.consul", Rtype::A);
    }
    world.ask("1.0.0.10.in-addr.arpa", Rtype::PTR);
    let metrics = world.api.json("/v1/agent/metrics");
    let samples = metrics["Samples"].as_array().unwrap();
    let count = |name: &str| {
        let sample = samples.iter().find(|sample| sample["Name"] == name).unwrap();
        sample["Count"].as_u64().unwrap()
    };
    assert_eq!(count("consul.dns.domain_query"), 2);
    assert_eq!(count("consul.dns.ptr_query"), 1);
}
