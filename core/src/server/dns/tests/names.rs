//! Which names there are, and which there are not.

use coord_wire::dns::Transport;
use domain::base::Rtype;
use domain::base::iana::Rcode;

use super::world::{World, service, tagged};

fn world() -> World {
    World::new()
        .node("Web-1", "10.0.0.5")
        .node("a.b", "10.0.0.6")
        .service("Web-1", tagged(service("Db", "", 5432), &["Primary", "v1.2"]))
}

#[test]
fn a_node_has_the_address_it_was_registered_with() {
    let reply = world().ask("web-1.node.consul", Rtype::A);
    assert_eq!(reply.answers, ["web-1.node.consul 0 A 10.0.0.5"]);
    assert_eq!(reply.rcode, Rcode::NOERROR);
    assert!(reply.authoritative && !reply.cut && reply.authority.is_empty());
}

#[test]
fn the_name_is_echoed_in_the_case_asked() {
    let reply = world().ask("wEB-1.NoDe.Dc1.CONSUL", Rtype::A);
    assert_eq!(reply.question, "wEB-1.NoDe.Dc1.CONSUL");
    assert_eq!(reply.answers, ["wEB-1.NoDe.Dc1.CONSUL 0 A 10.0.0.5"]);
}

#[test]
fn a_datacenter_may_follow_and_must_be_this_one() {
    let world = world();
    for name in [
        "web-1.node.dc1.consul",
        "web-1.node.dc1.dc.consul",
        "db.service.dc1.consul",
        "primary.db.service.dc1.dc.consul",
    ] {
        assert_eq!(world.ask(name, Rtype::A).sorted(), ["10.0.0.5"], "{name}");
    }
    for name in ["web-1.node.dc2.consul", "db.service.dc2.consul", "web-1.node.dc1.x.consul"] {
        world.ask(name, Rtype::A).assert_no_such_name();
    }
}

#[test]
fn a_node_with_dots_in_its_name_is_found() {
    assert_eq!(world().ask("A.b.node.consul", Rtype::A).sorted(), ["10.0.0.6"]);
}

#[test]
fn a_service_is_found_by_name_and_tag_whatever_the_case() {
    let world = world();
    for name in [
        "db.service.consul",
        "DB.service.consul",
        "PRIMARY.db.service.consul",
        "v1.2.db.service.consul",
        "_db._tcp.service.consul",
        "_db._primary.service.consul",
    ] {
        assert_eq!(world.ask(name, Rtype::A).sorted(), ["10.0.0.5"], "{name}");
    }
    world.ask("replica.db.service.consul", Rtype::A).assert_no_such_name();
    world.ask("_db._replica.service.consul", Rtype::A).assert_no_such_name();
}

#[test]
fn only_srv_questions_may_leave_the_service_label_out() {
    let world = world();
    for name in ["_db._tcp.consul", "_db._primary.dc1.consul", "_DB._TCP.service.consul"] {
        let targets = world.ask(name, Rtype::SRV);
        assert_eq!(targets.sorted(), ["1 3 5432 Web-1.node.dc1.consul"], "{name}");
    }
    world.ask("_db._tcp.consul", Rtype::A).assert_no_such_name();
}

#[test]
fn what_is_not_there_is_denied_by_the_zone() {
    let world = world();
    for name in [
        "nobody.node.consul",
        "nothing.service.consul",
        "node.consul",
        "service.consul",
        "consul",
        "foo.consul",
        "db.connect.consul",
        "db.query.consul",
        "zzzzzzzz.addr.consul",
        "0a000005.x.addr.consul",
    ] {
        world.ask(name, Rtype::A).assert_no_such_name();
    }
}

#[test]
fn an_address_in_a_name_needs_no_datacenter() {
    for name in ["0a000005.addr.consul", "0a000005.addr.dc1.consul", "0A000005.addr.dc9.consul"] {
        assert_eq!(world().ask(name, Rtype::A).sorted(), ["10.0.0.5"], "{name}");
    }
}

#[test]
fn what_has_no_such_type_says_so_without_denying_the_name() {
    let world = world();
    for (name, rtype) in [
        ("web-1.node.consul", Rtype::AAAA),
        ("web-1.node.consul", Rtype::MX),
        ("web-1.node.consul", Rtype::TXT),
        ("web-1.node.consul", Rtype::CNAME),
        ("db.service.consul", Rtype::AAAA),
        ("db.service.consul", Rtype::MX),
        ("db.service.consul", Rtype::TXT),
        ("0a000005.addr.consul", Rtype::AAAA),
        ("0a0005.addr.consul", Rtype::A),
        ("xyz.addr.consul", Rtype::A),
        ("xyz.addr.dc1.consul", Rtype::SRV),
        ("consul", Rtype::NS),
    ] {
        world.ask(name, rtype).assert_no_data();
    }
}

#[test]
fn names_outside_the_zone_are_refused() {
    for name in ["example.com", ".", "consul.example", "notconsul", "foo.arpa"] {
        let reply = world().ask(name, Rtype::A);
        assert_eq!(reply.rcode, Rcode::REFUSED, "{name}");
        assert!(!reply.authoritative && reply.answers.is_empty() && reply.authority.is_empty());
    }
}

#[test]
fn zone_transfers_are_not_implemented() {
    for rtype in [Rtype::AXFR, Rtype::IXFR] {
        let reply = world().ask_over(Transport::Udp, "consul", rtype, None);
        assert_eq!(reply.rcode, Rcode::NOTIMP);
    }
}
