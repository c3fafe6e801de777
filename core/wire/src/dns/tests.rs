//! Packets good, bad and damaged.

use std::net::IpAddr;

use domain::base::iana::{Class, Opcode, OptRcode, Rcode};
use domain::base::opt::ClientSubnet;
use domain::base::{Message, MessageBuilder, Rtype};
use proptest::prelude::*;

use super::{
    Answer, Asked, DomainName, Finding, Manner, Query, Record, RecordData, SizeLimit, Transport,
};

pub(super) fn name(text: &str) -> DomainName {
    DomainName::bytes_from_str(text).unwrap()
}

/// A question with EDNS of `version` and a client subnet.
pub(super) fn packet(text: &str, rtype: Rtype, class: Class, version: u8) -> Vec<u8> {
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_id(99);
    let mut question = builder.question();
    question.push((name(text), rtype, class)).unwrap();
    let mut additional = question.additional();
    additional
        .opt(|opt| {
            opt.set_udp_payload_size(1400);
            opt.set_version(version);
            opt.push(&ClientSubnet::new(24, 0, IpAddr::from([192, 0, 2, 0])))
        })
        .unwrap();
    additional.finish()
}

fn good() -> Vec<u8> {
    packet("Web.service.consul", Rtype::A, Class::IN, 0)
}

fn refusal(packet: &[u8]) -> Message<Vec<u8>> {
    Message::from_octets(Query::decode(packet).unwrap_err().reply.unwrap()).unwrap()
}

fn addresses(count: u8) -> Answer {
    let record = |last| Record {
        owner: name("web.service.consul"),
        ttl_s: 0,
        data: RecordData::A([10, 0, 0, last].into()),
    };
    let findings = (0..count).map(|last| Finding::from(record(last))).collect();
    Answer { are_alternatives: true, ..Answer::found(findings) }
}

#[test]
fn a_question_keeps_its_case_and_says_what_its_client_can_take() {
    let query = Query::decode(&good()).unwrap();
    assert_eq!((query.id, query.rtype), (99, Rtype::A));
    assert_eq!(query.name.to_string(), "Web.service.consul");
    assert_eq!(query.edns.as_ref().unwrap().datagram_bytes_max, 1400);
    assert_eq!(SizeLimit::of(&query, Transport::Udp, Manner::default()).bytes, 1400);
}

#[test]
fn a_datagram_may_be_as_long_as_the_client_says() {
    let mut query = Query::decode(&good()).unwrap();
    for (said, bytes) in [(0, 512), (511, 512), (8192, 8192), (65_000, 65_000), (65_535, 65_507)] {
        query.edns.as_mut().unwrap().datagram_bytes_max = said;
        assert_eq!(SizeLimit::of(&query, Transport::Udp, Manner::default()).bytes, bytes);
    }
}

#[test]
fn whether_signatures_are_checked_is_the_clients_word() {
    let told = |packet: &[u8]| {
        let reply = match Query::decode(packet) {
            Ok(query) => addresses(1).encode(&query, Transport::Udp, Manner::default()),
            Err(refusal) => refusal.reply.unwrap(),
        };
        Message::from_octets(reply).unwrap().header().cd()
    };
    for packet in [good(), packet("version.bind", Rtype::TXT, Class::CH, 0)] {
        assert!(!told(&packet));
        let mut disabled = packet;
        disabled[3] |= 0x10;
        assert!(told(&disabled));
    }
}

#[test]
fn the_clients_subnet_is_echoed_with_scope_nothing() {
    let query = Query::decode(&good()).unwrap();
    let reply = addresses(1).encode(&query, Transport::Udp, Manner::default());
    let message = Message::from_octets(reply).unwrap();
    let opt = message.opt().unwrap();
    let subnet = opt.opt().client_subnet().unwrap();
    assert_eq!((subnet.source_prefix_len(), subnet.scope_prefix_len()), (24, 0));
    assert_eq!(subnet.addr(), IpAddr::from([192, 0, 2, 0]));
}

#[test]
fn what_has_no_header_or_is_a_response_is_met_with_silence() {
    let mut response = good();
    response[2] |= 0x80;
    for packet in [&b""[..], &[0; 11], &response] {
        assert_eq!(Query::decode(packet).unwrap_err().reply, None);
    }
}

#[test]
fn refusals_say_why() {
    let rcode = |packet: &[u8]| refusal(packet).header().rcode();
    let mut update = good();
    update[2] |= Opcode::UPDATE.to_int() << 3;
    assert_eq!(rcode(&update), Rcode::NOTIMP);
    assert_eq!(rcode(&[0; 12]), Rcode::FORMERR);
    let mut two_questions = good();
    two_questions[5] = 2;
    assert_eq!(rcode(&two_questions), Rcode::FORMERR);
    let chaos = packet("version.bind", Rtype::TXT, Class::CH, 0);
    assert_eq!(rcode(&chaos), Rcode::REFUSED);
    let transfer = packet("consul", Rtype::AXFR, Class::IN, 0);
    assert_eq!(rcode(&transfer), Rcode::NOTIMP);
    let later = refusal(&packet("consul", Rtype::A, Class::IN, 1));
    assert_eq!(later.opt_rcode(), OptRcode::BADVERS);
    assert_eq!(later.opt().unwrap().version(), 0);
}

#[test]
fn a_packet_cut_anywhere_is_malformed_and_its_id_is_echoed() {
    let packet = good();
    for len in 12..packet.len() {
        let reply = refusal(&packet[..len]);
        assert_eq!((reply.header().rcode(), reply.header().id()), (Rcode::FORMERR, 99), "{len}");
    }
}

#[test]
fn a_second_opt_record_is_malformed() {
    let packet = good();
    let opt_len = 11 + 4 + 7;
    let mut doubled = packet.clone();
    doubled.extend_from_slice(&packet[packet.len() - opt_len..]);
    doubled[11] = 2;
    assert_eq!(refusal(&doubled).header().rcode(), Rcode::FORMERR);
}

#[test]
fn a_name_that_points_at_itself_is_malformed() {
    let mut packet = vec![0; 12];
    packet[5] = 1;
    packet.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1]);
    assert_eq!(refusal(&packet).header().rcode(), Rcode::FORMERR);
}

#[test]
fn names_mean_what_their_last_kind_says() {
    let read = |text: &str| Asked::read(&name(text), Rtype::A, &name("consul"), "dc1");
    let service = |name: &str, tag: Option<&str>| Asked::Service {
        name: name.to_owned(),
        tag: tag.map(str::to_owned),
    };
    assert_eq!(read("service.service.consul"), service("service", None));
    assert_eq!(read("node.service.consul"), service("node", None));
    assert_eq!(read("service.node.CONSUL"), Asked::Node("service".to_owned()));
    assert_eq!(read("_a.b.service.consul"), service("b", Some("_a")));
    assert_eq!(read("_.b.service.consul"), service("b", Some("_")));
    assert_eq!(read("\\255.node.consul"), Asked::Nothing);
    assert_eq!(read("a.b.query.dc1.consul"), Asked::Query("a.b".to_owned()));
    assert_eq!(read("query.consul"), Asked::Nothing);
    assert_eq!(read("+1.0.0.10.in-addr.arpa"), Asked::Reverse(None));
    assert_eq!(read("in-addr.arpa"), Asked::Reverse(None));
    assert_eq!(read("arpa"), Asked::Elsewhere);
    let ten = Some(IpAddr::from([10, 0, 0, 5]));
    for address in ["0a000005.addr", "0A000005.ADDR", "0a000005.addr.dc9", "0a000005.addr.a.b"] {
        assert_eq!(read(&format!("{address}.consul")), Asked::Address(ten), "{address}");
    }
    for other_length in ["xyz", "0a0000", "0a000005ff", "web"] {
        assert_eq!(read(&format!("{other_length}.addr.consul")), Asked::Address(None));
    }
    for no_digits in ["zzzzzzzz", "x0a000005", "+a000005", "a.0a000005"] {
        assert_eq!(read(&format!("{no_digits}.addr.consul")), Asked::Nothing, "{no_digits}");
    }
}

proptest! {
    #[test]
    fn no_packet_causes_a_panic(packet in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Query::decode(&packet);
    }

    #[test]
    fn no_damage_to_a_good_packet_causes_a_panic(at in 0_usize..60, byte in any::<u8>()) {
        let mut packet = good();
        let at = at % packet.len();
        packet[at] = byte;
        if let Ok(query) = Query::decode(&packet) {
            let _ = Asked::read(&query.name, query.rtype, &name("consul"), "dc1");
            let room = SizeLimit::of(&query, Transport::Udp, Manner::default());
            let reply = addresses(200).encode_into(&query, room, Manner::default());
            prop_assert!(reply.len() <= room.bytes && reply.len() > 12);
        }
    }

    #[test]
    fn an_answer_fills_its_room_and_no_more(bytes in 100_usize..2000, count in 0_u8..=255) {
        let query = Query::decode(&good()).unwrap();
        let answer = addresses(count);
        let packet = answer.encode_into(&query, SizeLimit { bytes, records: 4096 }, Manner::default());
        prop_assert!(packet.len() <= bytes);
        let message = Message::from_octets(packet).unwrap();
        let kept = usize::from(message.header_counts().ancount());
        prop_assert_eq!(message.header().tc(), kept < usize::from(count));
        // One more address, its owner compressed, takes 16 bytes.
        prop_assert!(kept == usize::from(count) || message.as_slice().len() + 16 > bytes);
    }
}
