//! What the records say.

use std::collections::HashSet;

use coord_state::consul::CheckStatus;
use coord_wire::dns::Transport;
use domain::base::Rtype;

use super::world::{SOA, World, service, tagged};

#[test]
fn a_service_answers_with_its_own_address_before_the_nodes() {
    let world = World::new()
        .node("n1", "10.0.0.1")
        .node("n2", "10.0.0.2")
        .service("n1", service("web", "", 80))
        .service("n2", service("web", "192.168.0.9", 80));
    assert_eq!(world.ask("web.service.consul", Rtype::A).sorted(), ["10.0.0.1", "192.168.0.9"]);
    assert_eq!(world.ask("web.service.consul", Rtype::ANY).sorted().len(), 2);
}

#[test]
fn an_address_is_told_once() {
    let mut again = service("web", "", 81);
    again.id = "web-2".into();
    let world = World::new().service("n1", service("web", "", 80)).service("n1", again);
    assert_eq!(world.ask("web.service.consul", Rtype::A).sorted(), ["10.0.0.1"]);
    assert_eq!(world.ask("web.service.consul", Rtype::SRV).answers.len(), 2);
}

#[test]
fn srv_of_a_service_without_address_points_to_its_node() {
    let world = World::new()
        .node_with_meta("n1", "10.0.0.1", &[("rack", "7")])
        .service("n1", service("web", "", 80));
    let reply = world.ask("web.service.consul", Rtype::SRV);
    assert_eq!(reply.answers, ["web.service.consul 0 SRV 1 3 80 n1.node.dc1.consul"]);
    assert_eq!(
        reply.additional,
        ["n1.node.dc1.consul 0 A 10.0.0.1", "n1.node.dc1.consul 0 TXT \"rack=7\""]
    );
}

#[test]
fn srv_of_a_service_with_an_address_points_to_that_address() {
    let world = World::new()
        .service("n1", service("web", "192.168.0.9", 80))
        .service("n1", service("v6", "2001:db8::1", 81));
    let reply = world.ask("web.service.consul", Rtype::SRV);
    assert_eq!(reply.sorted(), ["1 3 80 c0a80009.addr.dc1.consul"]);
    assert_eq!(reply.additional, ["c0a80009.addr.dc1.consul 0 A 192.168.0.9"]);
    assert_eq!(world.ask("c0a80009.addr.dc1.consul", Rtype::A).sorted(), ["192.168.0.9"]);

    let target = "20010db8000000000000000000000001.addr.dc1.consul";
    let reply = world.ask("v6.service.consul", Rtype::SRV);
    assert_eq!(reply.sorted(), [format!("1 3 81 {target}")]);
    assert_eq!(reply.additional, [format!("{target} 0 AAAA 2001:db8::1")]);
    assert_eq!(world.ask(target, Rtype::AAAA).sorted(), ["2001:db8::1"]);
}

#[test]
fn srv_of_a_service_with_a_host_name_points_to_it() {
    let world = World::new()
        .node("n1", "10.0.0.1")
        .service("n1", service("out", "db.example.com", 80))
        .service("n1", service("in", "n1.node.consul", 81));
    let reply = world.ask("out.service.consul", Rtype::SRV);
    assert_eq!(reply.sorted(), ["1 3 80 db.example.com"]);
    assert!(reply.additional.is_empty());
    let reply = world.ask("in.service.consul", Rtype::SRV);
    assert_eq!(reply.sorted(), ["1 3 81 n1.node.consul"]);
    assert_eq!(reply.additional, ["n1.node.consul 0 A 10.0.0.1"]);
}

#[test]
fn a_node_that_is_no_dns_name_is_pointed_to_by_its_address() {
    let name = "x".repeat(64);
    let world = World::new().service(&name, service("web", "", 80));
    let reply = world.ask("web.service.consul", Rtype::SRV);
    assert_eq!(reply.sorted(), ["1 3 80 0a000001.addr.dc1.consul"]);
}

#[test]
fn critical_instances_are_left_out_and_warnings_weigh_less() {
    let mut world = World::new()
        .node("n1", "10.0.0.1")
        .node("n2", "10.0.0.2")
        .node("n3", "10.0.0.3")
        .service("n1", service("web", "", 80))
        .service("n2", service("web", "", 80))
        .service("n3", service("web", "", 80))
        .check("n1", "web", CheckStatus::Passing)
        .check("n2", "web", CheckStatus::Warning)
        .check("n3", "web", CheckStatus::Critical);
    assert_eq!(world.ask("web.service.consul", Rtype::A).sorted(), ["10.0.0.1", "10.0.0.2"]);
    assert_eq!(
        world.ask("web.service.consul", Rtype::SRV).sorted(),
        ["1 2 80 n2.node.dc1.consul", "1 3 80 n1.node.dc1.consul"]
    );
    world.settings.only_passing = true;
    assert_eq!(world.ask("web.service.consul", Rtype::A).sorted(), ["10.0.0.1"]);
}

#[test]
fn a_critical_node_takes_its_services_with_it_but_keeps_its_name() {
    let world =
        World::new().service("n1", service("web", "", 80)).check("n1", "", CheckStatus::Critical);
    world.ask("web.service.consul", Rtype::A).assert_no_such_name();
    assert_eq!(world.ask("n1.node.consul", Rtype::A).sorted(), ["10.0.0.1"]);
}

#[test]
fn a_node_with_a_host_name_is_an_alias_followed_inside_the_zone() {
    let world = World::new()
        .node("out", "db.example.com")
        .node("in", "n1.node.consul")
        .node("n1", "10.0.0.1");
    for rtype in [Rtype::A, Rtype::AAAA, Rtype::CNAME, Rtype::ANY] {
        let reply = world.ask("out.node.consul", rtype);
        assert_eq!(reply.answers, ["out.node.consul 0 CNAME db.example.com"]);
    }
    let reply = world.ask("in.node.consul", Rtype::A);
    assert_eq!(
        reply.answers,
        ["in.node.consul 0 CNAME n1.node.consul", "n1.node.consul 0 A 10.0.0.1"]
    );
    assert_eq!(world.ask("in.node.consul", Rtype::CNAME).sorted(), ["n1.node.consul"]);
}

#[test]
fn aliases_in_a_circle_end() {
    let world = World::new()
        .node("a", "b.node.consul")
        .node("b", "a.node.consul")
        .node("self", "self.node.consul");
    assert_eq!(
        world.ask("a.node.consul", Rtype::A).answers,
        ["a.node.consul 0 CNAME b.node.consul", "b.node.consul 0 CNAME a.node.consul"]
    );
    world.ask("self.node.consul", Rtype::A).assert_no_data();
}

#[test]
fn an_alias_is_told_whole_to_a_client_without_edns() {
    let world = World::new()
        .node("a", "b.node.consul")
        .node("b", "c.node.consul")
        .node("c", "d.node.consul")
        .node("d", "10.0.0.4")
        .service("a", service("web", "", 80));
    for name in ["a.node.consul", "web.service.consul"] {
        let reply = world.ask_over(Transport::Udp, name, Rtype::A, None);
        assert_eq!((reply.answers.len(), reply.cut), (4, false), "{name}");
        assert_eq!(reply.answers[3], "d.node.consul 0 A 10.0.0.4");
    }
}

#[test]
fn all_texts_of_a_node_are_told_to_a_client_without_edns() {
    let meta = ["a", "b", "c", "d", "e"].map(|key| (key, "v"));
    let world = World::new().node_with_meta("n1", "10.0.0.1", &meta);
    let reply = world.ask_over(Transport::Udp, "n1.node.consul", Rtype::TXT, None);
    assert_eq!((reply.answers.len(), reply.cut), (5, false));
}

#[test]
fn srv_of_a_service_on_a_node_with_a_host_name_points_to_that_name() {
    let world = World::new()
        .node("out", "db.example.com")
        .node("in", "N1.node.consul")
        .node("n1", "10.0.0.1")
        .service("out", service("far", "", 5432))
        .service("in", service("near", "", 80));
    let reply = world.ask("far.service.consul", Rtype::SRV);
    assert_eq!(reply.sorted(), ["1 3 5432 db.example.com"]);
    assert!(reply.additional.is_empty(), "{reply:?}");
    let reply = world.ask("near.service.consul", Rtype::SRV);
    assert_eq!(reply.sorted(), ["1 3 80 N1.node.consul"]);
    assert_eq!(reply.additional, ["N1.node.consul 0 A 10.0.0.1"]);
}

#[test]
fn a_service_whose_address_is_its_own_name_has_its_nodes_address() {
    for (number, own) in [
        "web.service.consul",
        "web.service.dc1.consul",
        "WEB.service.consul",
        "web.service.consul.",
        "new.web.service.consul",
    ]
    .into_iter()
    .enumerate()
    {
        let address = format!("10.0.0.{}", number + 2);
        let world = World::new()
            .node("n1", &address)
            .node("n2", "10.0.1.1")
            .service("n1", tagged(service("web", own, 80), &["new"]))
            .service("n2", service("other", "", 80));
        for name in ["web.service.consul", "web.service.dc1.consul", "new.web.service.consul"] {
            let reply = world.ask(name, Rtype::A);
            let told = reply.answers.last().unwrap();
            assert!(told.ends_with(&format!(" A {address}")), "{own} as {name}: {reply:?}");
            assert!(!told.contains("CNAME") && reply.answers.len() <= 2, "{reply:?}");
            let reply = world.ask(name, Rtype::SRV);
            assert_eq!(reply.answers.len(), 1, "{reply:?}");
            let told = reply.additional.first().unwrap();
            assert!(told.ends_with(&format!(" A {address}")), "{own} as {name}: {reply:?}");
        }
    }
    let world = World::new().service("n1", service("web", "web.service.consul", 80));
    let reply = world.ask("web.service.consul", Rtype::SRV);
    assert_eq!(reply.sorted(), ["1 3 80 n1.node.dc1.consul"]);
    assert_eq!(reply.additional, ["n1.node.dc1.consul 0 A 10.0.0.1"]);
}

#[test]
fn a_service_that_leads_only_to_itself_has_no_address() {
    let world = World::new()
        .node("n1", "web.service.consul")
        .service("n1", service("web", "", 80))
        .service("n1", service("named", "named.service.consul", 81));
    for rtype in [Rtype::A, Rtype::SRV, Rtype::CNAME] {
        world.ask("web.service.consul", rtype).assert_no_data();
    }
    // That one is where its node is, which is nowhere.
    let reply = world.ask("named.service.consul", Rtype::A);
    assert_eq!(reply.answers, ["named.service.consul 0 CNAME web.service.consul"]);
}

#[test]
fn one_instance_named_like_its_service_does_not_hide_the_others() {
    let world = World::new()
        .node("n1", "10.0.0.1")
        .node("n2", "10.0.0.2")
        .service("n1", service("web", "web.service.consul", 80))
        .service("n2", service("web", "", 81));
    assert_eq!(world.ask("web.service.consul", Rtype::A).sorted(), ["10.0.0.1", "10.0.0.2"]);
    assert_eq!(
        world.ask("web.service.consul", Rtype::SRV).sorted(),
        ["1 3 80 n1.node.dc1.consul", "1 3 81 n2.node.dc1.consul"]
    );
}

#[test]
fn an_address_of_version_4_in_version_6_is_one_of_version_4() {
    let world = World::new()
        .node("n1", "::ffff:10.0.0.1")
        .node("n2", "::FFFF:0a00:0002")
        .service("n1", service("web", "", 80))
        .service("n2", service("own", "::ffff:10.0.0.9", 81));
    assert_eq!(world.ask("n1.node.consul", Rtype::A).sorted(), ["10.0.0.1"]);
    assert_eq!(world.ask("n2.node.consul", Rtype::ANY).sorted(), ["10.0.0.2"]);
    world.ask("n1.node.consul", Rtype::AAAA).assert_no_data();
    assert_eq!(world.ask("web.service.consul", Rtype::A).sorted(), ["10.0.0.1"]);
    let reply = world.ask("own.service.consul", Rtype::SRV);
    assert_eq!(reply.sorted(), ["1 3 81 0a000009.addr.dc1.consul"]);
    assert_eq!(reply.additional, ["0a000009.addr.dc1.consul 0 A 10.0.0.9"]);
    let pointer = |name: &str| world.ask(name, Rtype::PTR).sorted().join(" ");
    assert_eq!(pointer("1.0.0.10.in-addr.arpa"), "n1.node.dc1.consul");
    assert_eq!(pointer("9.0.0.10.in-addr.arpa"), "own.service.dc1.consul");
}

#[test]
fn names_in_records_are_spelled_as_they_are_stored() {
    let world = World::new()
        .node("UpNode", "10.0.0.1")
        .service("UpNode", service("Web", "", 80))
        .service("UpNode", service("alias", "UPNODE.node.Consul", 81));
    let reply = world.ask("WEB.service.CONSUL", Rtype::SRV);
    assert_eq!(reply.answers, ["WEB.service.CONSUL 0 SRV 1 3 80 UpNode.node.dc1.consul"]);
    assert_eq!(reply.additional, ["UpNode.node.dc1.consul 0 A 10.0.0.1"]);
    let reply = world.ask("alias.service.consul", Rtype::A);
    assert_eq!(
        reply.answers,
        ["alias.service.consul 0 CNAME UPNODE.node.Consul", "UPNODE.node.Consul 0 A 10.0.0.1"]
    );
}

#[test]
fn an_alias_of_a_service_is_told_only_without_an_address_and_only_one() {
    let world = World::new()
        .service("n1", service("mixed", "a.example.com", 80))
        .service("n2", service("mixed", "10.0.0.9", 80))
        .service("n1", service("hosts", "a.example.com", 80))
        .service("n2", service("hosts", "b.example.com", 80));
    assert_eq!(world.ask("mixed.service.consul", Rtype::A).sorted(), ["10.0.0.9"]);
    assert_eq!(world.ask("hosts.service.consul", Rtype::A).answers.len(), 1);
}

#[test]
fn metadata_of_a_node_is_text() {
    let long = "y".repeat(300);
    let world = World::new().node_with_meta(
        "n1",
        "10.0.0.1",
        &[("a=b", "c"), ("rfc1035-", ""), ("rfc1035-note", "free"), ("z", &long)],
    );
    let texts = [
        "n1.node.consul 0 TXT \"a`=b=c\"".to_owned(),
        "n1.node.consul 0 TXT \"\"".to_owned(),
        "n1.node.consul 0 TXT \"free\"".to_owned(),
        format!("n1.node.consul 0 TXT \"z={}\" \"{}\"", "y".repeat(253), "y".repeat(47)),
    ];
    assert_eq!(world.ask("n1.node.consul", Rtype::TXT).answers, texts);
    let reply = world.ask("n1.node.consul", Rtype::A);
    assert_eq!(
        (reply.sorted().as_slice(), reply.additional.as_slice()),
        (&["10.0.0.1"][..], &texts[..])
    );
    assert_eq!(world.ask("n1.node.consul", Rtype::ANY).answers.len(), 5);
    world.ask("n1.node.consul", Rtype::AAAA).assert_no_data();
}

#[test]
fn the_zone_has_a_head_and_servers_with_their_addresses() {
    let mut world = World::new();
    for number in 1..=5 {
        world = world
            .node(&format!("s{number}"), &format!("10.0.0.{number}"))
            .service(&format!("s{number}"), service("consul", "", 8300));
    }
    world = world.node("bad_name", "10.0.0.9").service("bad_name", service("consul", "", 8300));

    let reply = world.ask("consul", Rtype::NS);
    assert_eq!((reply.answers.len(), reply.additional.len()), (3, 3));
    for (server, glue) in reply.answers.iter().zip(&reply.additional) {
        let name = server.strip_prefix("consul 0 NS ").unwrap();
        let number = name.strip_prefix('s').unwrap().strip_suffix(".node.dc1.consul").unwrap();
        assert_eq!(*glue, format!("s{number}.node.dc1.consul 0 A 10.0.0.{number}"));
    }
    let reply = world.ask("consul", Rtype::SOA);
    assert_eq!(reply.answers, [format!("consul {SOA}")]);
    assert_eq!((reply.authority.len(), reply.additional.len()), (3, 3));
}

#[test]
fn an_address_has_the_name_of_its_node_or_else_of_its_service() {
    let world = World::new()
        .node("n1", "10.0.0.1")
        .node("n6", "2001:db8::6")
        .service("n1", service("web", "192.168.0.9", 80));
    let pointer = |name: &str| world.ask(name, Rtype::PTR).sorted().join(" ");
    assert_eq!(pointer("1.0.0.10.in-addr.arpa"), "n1.node.dc1.consul");
    assert_eq!(pointer("9.0.168.192.IN-ADDR.ARPA"), "web.service.dc1.consul");
    let zeros = "0.".repeat(23);
    assert_eq!(pointer(&format!("6.{zeros}8.b.d.0.1.0.0.2.ip6.arpa")), "n6.node.dc1.consul");
    world.ask("1.0.0.11.in-addr.arpa", Rtype::PTR).assert_no_such_name();
    world.ask("0.0.10.in-addr.arpa", Rtype::PTR).assert_no_such_name();
    world.ask("1.0.0.10.in-addr.arpa", Rtype::A).assert_no_data();
}

#[test]
fn the_order_of_answers_is_left_to_chance_and_favours_none() {
    let mut world = World::new();
    for number in 1..=4 {
        let node = format!("n{number}");
        world =
            world.node(&node, &format!("10.0.0.{number}")).service(&node, service("web", "", 80));
    }
    let mut orders = HashSet::new();
    let mut first = HashSet::new();
    for seed in 0..200 {
        world.seed = seed;
        let answers = world.ask("web.service.consul", Rtype::A).answers;
        first.insert(answers[0].clone());
        orders.insert(answers);
    }
    assert_eq!((orders.len(), first.len()), (24, 4));
}

#[test]
fn lifetimes_are_those_of_the_zone() {
    let mut world = World::new().service("n1", service("web", "", 80));
    world.settings.node_ttl_s = 30;
    world.settings.service_ttl_s.insert("*".to_owned(), 10);
    assert_eq!(world.ask("n1.node.consul", Rtype::A).answers, ["n1.node.consul 30 A 10.0.0.1"]);
    assert_eq!(
        world.ask("web.service.consul", Rtype::A).answers,
        ["web.service.consul 10 A 10.0.0.1"]
    );
}

#[test]
fn a_server_registered_twice_is_one_server() {
    let mut again = service("consul", "", 8301);
    again.id = "consul-2".into();
    let world = World::new().service("s1", service("consul", "", 8300)).service("s1", again);
    assert_eq!(world.ask("consul", Rtype::NS).sorted(), ["s1.node.dc1.consul"]);
}
