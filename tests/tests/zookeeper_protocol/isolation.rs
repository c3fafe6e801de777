//! Members that lose the others and find them again: whose sessions live, and
//! who is told so.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use coord_core::node::Node;
use coord_state::SessionId;
use coord_wire::zookeeper::connect::ConnectRequest;
use coord_wire::zookeeper::request::CreateForm;
use coord_wire::zookeeper::{Reply, Request};

use crate::client::{Client, create_as, exists, new_session, set_data};
use crate::connection::Member;
use crate::ensemble::{Ensemble, eventually};

const TIMEOUT: Duration = Duration::from_millis(1000);
/// Sessions as short as that, and members that keep their clients' connections.
const SHORT: [(&str, &str); 3] =
    [("session.tick_ms", "200"), ("session.timeout_min_ms", "400"), ("zk.cut_off_ms", "600000")];

fn short_session() -> ConnectRequest {
    new_session(i32::try_from(TIMEOUT.as_millis()).unwrap())
}

/// What the leader would give the session from now on, if it has a say.
fn time_left(node: &Node, session: i64) -> Option<Duration> {
    let left = node.session_time_left()?;
    left.into_iter().find(|(id, _)| *id == SessionId(session)).map(|(_, left)| left)
}

fn lives(ensemble: &Ensemble, place: usize, session: i64) -> bool {
    let session = SessionId(session);
    ensemble.node(place).read(|state| state.sessions().session(session).is_some())
}

#[test]
fn a_leader_that_was_isolated_ends_no_live_session_when_it_returns() {
    let ensemble = Ensemble::start(&SHORT);
    let old = ensemble.leader(None);
    let others = [(old + 1) % 3, (old + 2) % 3];
    let mut clients = others.map(|place| {
        let mut client = Client::connect(ensemble.address(place), &short_session());
        client.call(&create_as(&format!("/lock-{place}"), CreateForm::Plain, 1)).unwrap();
        client
    });
    // The one that will be isolated has them, too, and their deadlines.
    let mut asking = ensemble.client(old);
    for place in others {
        let path = format!("/lock-{place}");
        eventually("it has them", || asking.call(&exists(&path, false)).ok().map(drop));
    }

    ensemble.cut_off(old);
    let mut alive = || {
        for client in &mut clients {
            assert_eq!(client.call(&Request::Ping), Ok(Reply::Empty));
        }
    };
    // As long as a majority follows nobody else, nobody can be told that it lives.
    let new = ensemble.leader(Some(old));
    let node = ensemble.node(old);
    let isolated = node.clock().monotonic();
    while node.clock().monotonic() - isolated < TIMEOUT * 4 {
        alive();
    }
    // What the old leader still had to say comes before this, which it has to
    // send on: a member's commands keep their order.
    ensemble.heal();
    eventually("the old leader follows", || {
        alive();
        (ensemble.status(old).leader.is_some() && ensemble.leader(None) == new).then_some(())
    });
    let mut of_old = ensemble.client(old);
    of_old.made("/last");
    of_old.call(&set_data("/last", None)).unwrap();
    alive();
    for (place, client) in others.iter().zip(&mut clients) {
        assert!(lives(&ensemble, new, client.session.session));
        assert_eq!(client.stat(&format!("/lock-{place}")).version, 0);
    }
}

#[test]
fn a_leader_that_is_isolated_judges_nobody() {
    let ensemble = Ensemble::start(&SHORT);
    let old = ensemble.leader(None);
    let client = Client::connect(ensemble.address(old), &short_session());
    ensemble.cut_off(old);
    let node = ensemble.node(old);
    eventually("it hears no majority", || node.deciding_term().is_none().then_some(()));
    eventually("and forgets what it knew of its sessions", || {
        time_left(node, client.session.session).is_none().then_some(())
    });
}

/// Asks an agent to make a session that lives as long as its node.
fn create_consul_session(http: SocketAddr) {
    let mut stream = TcpStream::connect(http).unwrap();
    let request = "PUT /v1/session/create HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn an_isolated_leader_calls_no_other_member_dead() {
    let ensemble = Ensemble::start(&[("http_addr", "127.0.0.1:0")]);
    let old = ensemble.leader(None);
    let others = [(old + 1) % 3, (old + 2) % 3];
    others.iter().for_each(|place| create_consul_session(ensemble.http(*place)));
    ensemble.cut_off(old);
    let new = ensemble.leader(Some(old));
    // Longer than it takes a leader to call one dead that it does not hear.
    let long = Duration::from_secs(7);
    let node = ensemble.node(old);
    let cut = node.clock().monotonic();
    eventually("the old leader missed the others for long", || {
        let silent = |heard: Option<Duration>| heard.is_none_or(|silence| silence > long);
        let heard = node.members_heard().unwrap_or_default();
        let over = node.clock().monotonic() - cut > long;
        (over && heard.iter().all(|(_, heard)| silent(*heard))).then_some(())
    });
    ensemble.heal();
    eventually("the old leader follows", || {
        (ensemble.status(old).leader.is_some() && ensemble.leader(None) == new).then_some(())
    });
    // Behind whatever it still had to say.
    ensemble.client(old).made("/last");
    let sessions = ensemble.node(new).read(|state| state.consul().sessions().iter().count());
    assert_eq!(sessions, others.len(), "their nodes lived all the time");
}

/// What becomes of a client whose member is cut off.
fn pings_of_a_member_that_is_cut_off(which: impl FnOnce(usize) -> usize) {
    let ensemble = Ensemble::start(&[("zk.cut_off_ms", "600000")]);
    let place = which(ensemble.leader(None));
    let mut client = ensemble.client(place);
    assert_eq!(client.call(&Request::Ping), Ok(Reply::Empty));
    ensemble.cut_off(place);
    let node = ensemble.node(place);
    let cut = node.clock().monotonic();
    let lease = node.settings().raft.lease();
    // The last answer came while the last word of a majority was fresh.
    client.wire.give_up_after(lease * 2);
    let mut answered = cut;
    loop {
        client.send(&Request::Ping);
        let Some(answer) = client.wire.frame_in_time() else { break };
        assert!(answer.is_some(), "the connection stays");
        answered = node.clock().monotonic();
    }
    assert!(!node.is_backed(node.clock().monotonic()));
    let contact = node.majority_contact().unwrap();
    assert!(contact <= cut + lease / 4, "{contact:?} after {cut:?}");
    assert!(answered.saturating_sub(contact) <= lease + lease / 2, "{answered:?}, {contact:?}");
    client.send(&exists("/", false));
    assert_eq!(client.wire.frame_in_time(), None, "nor is it told what it reads");

    ensemble.heal();
    client.wire.give_up_after(Duration::from_secs(30));
    // In the order in which it was asked.
    assert!(matches!(client.wire.frame_in_time(), Some(Some(_))));
    assert!(matches!(client.wire.frame_in_time(), Some(Some(_))));
}

#[test]
fn a_follower_that_is_cut_off_answers_nothing_until_a_majority_is_heard_again() {
    pings_of_a_member_that_is_cut_off(|leader| (leader + 1) % 3);
}

#[test]
fn a_leader_that_is_cut_off_answers_nothing_until_a_majority_is_heard_again() {
    pings_of_a_member_that_is_cut_off(|leader| leader);
}

#[test]
fn a_client_that_comes_back_late_has_its_whole_timeout_again() {
    let member = Member::start_with(&[("session.tick_ms", "200")]);
    let first = Client::connect(member.address, &new_session(3000));
    let session = first.session.clone();
    let node = member.node();
    eventually("most of its time is over", || {
        time_left(node, session.session).filter(|left| *left < Duration::from_millis(1000))
    });
    let back = Client::attach(member.address, &session);
    let granted = Duration::from_millis(back.session.timeout_ms.try_into().unwrap());
    eventually("it has its time again", || {
        let left = time_left(node, session.session).expect("it lives");
        (left > granted * 3 / 4).then_some(())
    });
}

#[test]
fn a_part_of_a_request_is_a_sign_of_life() {
    let member = Member::start_with(&[("session.tick_ms", "200")]);
    let mut client = Client::connect(member.address, &new_session(3000));
    let session = client.session.session;
    let node = member.node();
    for byte in [0, 0] {
        eventually("a part of its time is over", || {
            time_left(node, session).filter(|left| *left < Duration::from_millis(2000))
        });
        client.wire.send_bytes(&[byte]);
        eventually("it has its time again", || {
            let left = time_left(node, session).expect("it lives");
            (left > Duration::from_millis(2500)).then_some(())
        });
    }
}
