//! How much fits, and what is said when not everything does.

use coord_wire::dns::Transport;
use domain::base::Rtype;

use super::world::{World, service};

fn instances(count: usize) -> World {
    let mut world = World::new();
    for number in 0..count {
        let node = format!("node-{number:04}");
        let address = format!("10.0.{}.{}", number / 250, number % 250 + 1);
        world = world.node(&node, &address).service(&node, service("web", "", 80));
    }
    world
}

#[test]
fn a_plain_datagram_has_three_answers_and_says_that_there_are_more() {
    let world = instances(40);
    let reply = world.ask_over(Transport::Udp, "web.service.consul", Rtype::A, None);
    assert_eq!((reply.answers.len(), reply.cut), (3, true));
    let reply = world.ask_over(Transport::Udp, "web.service.consul", Rtype::SRV, None);
    assert_eq!((reply.answers.len(), reply.additional.len(), reply.cut), (3, 3, true));
    assert!(reply.len <= 512);
}

#[test]
fn three_answers_are_all_there_is_and_nothing_is_cut() {
    let reply = instances(3).ask_over(Transport::Udp, "web.service.consul", Rtype::A, None);
    assert_eq!((reply.answers.len(), reply.cut), (3, false));
}

#[test]
fn a_client_with_edns_gets_what_its_datagram_holds() {
    let world = instances(40);
    let reply = world.ask_over(Transport::Udp, "web.service.consul", Rtype::A, Some(4096));
    assert_eq!((reply.answers.len(), reply.cut), (40, false));

    let reply = world.ask_over(Transport::Udp, "web.service.consul", Rtype::SRV, Some(1232));
    assert!(reply.cut && reply.len <= 1232, "{reply:?}");
    assert!(reply.answers.len() >= 15, "{reply:?}");
    // One address for each target, and the echo of the client's own record.
    assert_eq!(reply.additional.len(), reply.answers.len() + 1);

    for size in [0, 100] {
        let reply = world.ask_over(Transport::Udp, "web.service.consul", Rtype::A, Some(size));
        assert!(reply.answers.len() > 3 && reply.len <= 512, "{reply:?}");
    }
}

#[test]
fn a_datagram_is_as_long_as_its_client_can_take() {
    let world = instances(120);
    let reply = world.ask_over(Transport::Udp, "web.service.consul", Rtype::SRV, Some(8192));
    assert_eq!((reply.answers.len(), reply.additional.len(), reply.cut), (120, 121, false));
    assert!(reply.len > 4096 && reply.len <= 8192, "{}", reply.len);
    let reply =
        instances(2000).ask_over(Transport::Udp, "web.service.consul", Rtype::A, Some(65_535));
    assert_eq!((reply.answers.len(), reply.cut), (2000, false));
}

#[test]
fn a_stream_has_everything() {
    let reply = instances(300).ask("web.service.consul", Rtype::SRV);
    assert_eq!((reply.answers.len(), reply.additional.len(), reply.cut), (300, 300, false));
}

#[test]
fn a_stream_holds_what_its_length_can_say() {
    let reply = instances(1200).ask("web.service.consul", Rtype::SRV);
    assert!(reply.len <= 65_535 && reply.answers.len() > 800, "{}", reply.answers.len());
    assert_eq!(reply.answers.len(), reply.additional.len());
    assert!(reply.cut);
}

#[test]
fn an_answer_whose_text_does_not_fit_comes_without_it() {
    let value = "y".repeat(600);
    let world = World::new().node_with_meta("n1", "10.0.0.1", &[("k", &value)]);
    let reply = world.ask_over(Transport::Udp, "n1.node.consul", Rtype::A, None);
    assert_eq!((reply.answers.len(), reply.additional.len(), reply.cut), (1, 0, true));
    let reply = world.ask_over(Transport::Udp, "n1.node.consul", Rtype::TXT, None);
    assert_eq!((reply.answers.len(), reply.cut), (0, true));
}
