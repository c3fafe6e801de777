//! What can be set about the answers.

use coord_wire::dns::Transport;
use domain::base::Rtype;

use super::world::{World, service};
use crate::settings::DnsSettings;

fn world(settings: DnsSettings) -> World {
    let mut world = World::new()
        .node_with_meta("n1", "10.0.0.1", &[("rack", "7")])
        .node("n2", "10.0.0.2")
        .service("n1", service("web", "", 80))
        .service("n2", service("web", "", 80));
    world.settings = settings;
    world
}

fn ttls(service_ttl_s: &[(&str, u32)]) -> DnsSettings {
    DnsSettings {
        service_ttl_s: service_ttl_s.iter().map(|(name, ttl)| ((*name).to_owned(), *ttl)).collect(),
        node_ttl_s: 30,
        ..DnsSettings::default()
    }
}

#[test]
fn answers_live_as_long_as_is_set_for_the_closest_name() {
    let ttl_of = |service_ttl_s: &[(&str, u32)]| {
        let reply = world(ttls(service_ttl_s)).ask("WEB.service.consul", Rtype::A);
        reply.answers[0].split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!(ttl_of(&[("*", 1), ("w*", 2), ("web*", 3), ("Web", 4), ("other", 5)]), "4");
    assert_eq!(ttl_of(&[("*", 1), ("w*", 2), ("web*", 3), ("webs*", 4)]), "3");
    assert_eq!(ttl_of(&[("*", 1), ("other", 5)]), "1");
    assert_eq!(ttl_of(&[("other", 5)]), "0");
    let reply = world(ttls(&[])).ask("n2.node.consul", Rtype::A);
    assert_eq!(reply.answers, ["n2.node.consul 30 A 10.0.0.2"]);
}

#[test]
fn the_zone_answers_to_a_second_name_with_that_name() {
    let settings = DnsSettings {
        domain: "example.".to_owned(),
        alt_domain: Some("svc.internal".to_owned()),
        ..DnsSettings::default()
    };
    let world = world(settings);
    let reply = world.ask("web.service.svc.internal", Rtype::SRV);
    assert_eq!(
        reply.sorted(),
        ["1 3 80 n1.node.dc1.svc.internal", "1 3 80 n2.node.dc1.svc.internal"]
    );
    let reply = world.ask("n1.node.example", Rtype::A);
    assert_eq!(reply.answers, ["n1.node.example 0 A 10.0.0.1"]);
    let reply = world.ask("1.0.0.10.in-addr.arpa", Rtype::PTR);
    assert_eq!(reply.sorted(), ["n1.node.dc1.example"]);
    let reply = world.ask("web.service.consul", Rtype::A);
    assert_eq!(reply.rcode, domain::base::iana::Rcode::REFUSED);
}

#[test]
fn addresses_and_plain_answers_are_as_many_as_is_set() {
    let limited = DnsSettings { a_record_limit: 1, ..DnsSettings::default() };
    let reply = world(limited).ask("web.service.consul", Rtype::A);
    assert_eq!((reply.answers.len(), reply.cut), (1, false));
    let plain =
        DnsSettings { udp_answer_limit: 1, enable_truncate: false, ..DnsSettings::default() };
    let reply = world(plain).ask_over(Transport::Udp, "web.service.consul", Rtype::A, None);
    assert_eq!((reply.answers.len(), reply.cut), (1, false));
}

#[test]
fn metadata_travels_with_addresses_unless_it_is_turned_off() {
    let reply = world(DnsSettings::default()).ask("n1.node.consul", Rtype::A);
    assert_eq!(reply.additional, ["n1.node.consul 0 TXT \"rack=7\""]);
    let without = DnsSettings { node_meta_txt: false, ..DnsSettings::default() };
    let reply = world(without.clone()).ask("n1.node.consul", Rtype::A);
    assert!(reply.additional.is_empty());
    let reply = world(without).ask("n1.node.consul", Rtype::TXT);
    assert_eq!(reply.sorted(), ["\"rack=7\""]);
}

#[test]
fn an_absence_may_be_kept_as_long_as_is_set() {
    let settings = DnsSettings { soa_min_ttl_s: 9, soa_refresh_s: 1, ..DnsSettings::default() };
    let reply = world(settings).ask("other.service.consul", Rtype::A);
    assert_eq!(
        reply.authority,
        ["consul 9 SOA ns.consul. hostmaster.consul. 1700000000 1 600 86400 9"]
    );
}
