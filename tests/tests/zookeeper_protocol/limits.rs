//! What is refused, or waits, when something is full.

use bytes::Bytes;
use coord_core::settings::Limits;
use coord_wire::zookeeper::extension::ChildFilter;
use coord_wire::zookeeper::multi::MultiResult;
use coord_wire::zookeeper::request::{CreateForm, Read};
use coord_wire::zookeeper::{ErrorCode, Extension, Reply, Request};

use crate::client::{
    Client, Told, create, create_as, exists, get_children, get_data, new_session, set_data,
    shake_hands,
};
use crate::connection::{Member, Wire};
use crate::ensemble::{Ensemble, eventually};

fn of_bytes(path: &str, bytes: usize) -> Request {
    Request::SetData { path: path.into(), data: Some(Bytes::from(vec![b'x'; bytes])), version: -1 }
}

#[test]
fn a_reply_larger_than_the_client_takes_is_an_error_and_the_connection_goes_on() {
    let member = Member::start_with(&[("limits.zk_reply_bytes_max", "1000")]);
    let mut client = Client::open(member.address);
    // Sixteen bytes of header, four of length, 68 of stat.
    client.made("/n");
    client.call(&of_bytes("/n", 1000 - 88)).unwrap();
    assert!(matches!(client.call(&get_data("/n", false)), Ok(Reply::Data { .. })));
    client.call(&of_bytes("/n", 1000 - 87)).unwrap();
    let too_large = Err(ErrorCode::MarshallingError);
    assert_eq!(client.call(&get_data("/n", true)), too_large);
    for number in 0..100 {
        client.made(&format!("/n/{number:07}"));
        client.call(&create_as(&format!("/e{number:07}"), CreateForm::Plain, 1)).unwrap();
    }
    let path = "/n".into();
    let with_stat = Request::GetChildren2(Read { path, watch: false });
    let owned = Request::GetEphemerals { prefix: None };
    for request in [get_children("/n", true), with_stat, owned] {
        assert_eq!(client.call(&request), too_large, "{request:?}");
    }
    // What tells that it is there still works, and nothing was left to watch.
    assert_eq!(client.stat("/n").num_children, 100);
    client.call(&set_data("/n", None)).unwrap();
    client.made("/n/more");
    assert_eq!(client.events(), []);
}

#[test]
fn of_many_reads_in_one_those_that_fit_are_answered() {
    let member = Member::start_with(&[("limits.zk_reply_bytes_max", "1000")]);
    let mut client = Client::open(member.address);
    client.made("/n");
    client.call(&of_bytes("/n", 300)).unwrap();
    let reads = |count| Request::MultiRead(vec![get_data("/n", false); count]);
    let Ok(Reply::Multi(results)) = client.call(&reads(10)) else { panic!("results") };
    let fitting = results.iter().filter(|one| matches!(one, MultiResult::Data { .. })).count();
    let refused = MultiResult::Error(ErrorCode::MarshallingError);
    assert_eq!((fitting, results.iter().filter(|one| **one == refused).count()), (2, 8));
    assert_eq!(client.call(&reads(100)), Err(ErrorCode::MarshallingError));
}

#[test]
fn the_largest_data_is_what_fits_into_one_request_and_can_be_read_back() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    client.made("/big");
    // Twenty bytes of numbers and lengths, and the path.
    let largest = 0xf_ffff - 20 - "/big".len();
    assert_eq!(client.call(&of_bytes("/big", largest)).map(|_| ()), Ok(()));
    match client.call(&get_data("/big", false)) {
        Ok(Reply::Data { data, .. }) => assert_eq!(data.map(|data| data.len()), Some(largest)),
        other => panic!("{other:?}"),
    }
    client.send(&of_bytes("/big", largest + 1));
    assert_eq!(client.told(), None);
}

#[test]
fn pipelined_reads_of_more_than_can_wait_to_be_sent_are_all_answered_and_so_is_a_close_behind_them()
{
    let member = Member::start();
    let mut other = Client::open(member.address);
    other.made("/big");
    other.call(&of_bytes("/big", 1_000_000)).unwrap();
    for reads in [2, 4, 8, 20] {
        let mut client = Client::open(member.address);
        let owned = create_as("/owned", CreateForm::Plain, 1);
        client.call(&owned).unwrap();
        for _ in 0..reads {
            client.send(&get_data("/big", false));
        }
        client.send(&Request::CloseSession);
        for _ in 0..reads {
            let Some(Told::Reply(.., Ok(Reply::Data { data, .. }))) = client.told() else {
                panic!("of {reads} reads one is not answered")
            };
            assert_eq!(data.map(|data| data.len()), Some(1_000_000));
        }
        assert!(matches!(client.told(), Some(Told::Reply(.., Ok(Reply::Empty)))));
        assert_eq!(client.told(), None);
        assert_eq!(other.call(&exists("/owned", false)), Err(ErrorCode::NoNode));
    }
}

#[test]
fn connections_beyond_the_limit_are_closed_at_once() {
    for limit in ["limits.zk_connections_per_ip_max", "limits.zk_connections_max"] {
        let member = Member::start_with(&[(limit, "2")]);
        let first = Client::open(member.address);
        let _second = Client::open(member.address);
        let mut third = Wire::open(member.address);
        assert_eq!(shake_hands(&mut third, &new_session(5000)), None, "{limit}");
        drop(first);
        eventually("there is room again", || {
            shake_hands(&mut Wire::open(member.address), &new_session(5000))
        });
    }
}

#[test]
fn sessions_beyond_the_limit_are_turned_away_and_those_that_are_there_come_back() {
    for local in ["true", "false"] {
        let settings = [("limits.zk_sessions_max", "2"), ("zk.local_sessions", local)];
        let member = Member::start_with(&settings);
        let first = Client::open(member.address);
        let mut second = Client::open(member.address);
        let mut third = Wire::open(member.address);
        assert_eq!(shake_hands(&mut third, &new_session(5000)), None);
        let first = Client::attach(member.address, &first.session);
        second.call(&Request::CloseSession).unwrap();
        let third = Client::open(member.address);
        assert_ne!(first.session.session, third.session.session);
    }
}

#[test]
fn a_watch_beyond_the_limit_closes_its_connection_and_no_other() {
    for limit in ["limits.zk_watches_max", "limits.zk_watches_total_max"] {
        let member = Member::start_with(&[(limit, "3")]);
        let mut other = Client::open(member.address);
        let mut client = Client::open(member.address);
        for path in ["/a", "/b", "/c"] {
            assert_eq!(client.call(&exists(path, true)), Err(ErrorCode::NoNode));
        }
        client.send(&exists("/d", true));
        eventually("the connection ends", || client.told().is_none().then_some(()));
        eventually("its watches are gone", || {
            Wire::word(member.address, b"wchs").contains("Total watches:0").then_some(())
        });
        assert_eq!(other.call(&exists("/a", true)), Err(ErrorCode::NoNode));
    }
}

/// Limits at which a test need not send hundreds of megabytes.
const FEW_BYTES: [(&str, &str); 4] = [
    ("limits.zk_bytes_max", "6000000"),
    ("limits.zk_bytes_per_ip_max", "4000000"),
    ("limits.zk_outbox_bytes_max", "3900000"),
    ("limits.zk_reply_bytes_max", "1000000"),
];

#[test]
fn a_client_that_floods_the_member_is_cut_off_and_one_from_the_same_address_goes_on() {
    let member = Member::start_with(&FEW_BYTES);
    let mut honest = Client::open(member.address);
    honest.made("/n");
    // Frames that announce a million bytes, and never get the last one.
    let mut floods: Vec<Client> = (0..8).map(|_| Client::open(member.address)).collect();
    for flood in &mut floods {
        flood.wire.send_bytes(&1_000_000_i32.to_be_bytes());
        flood.wire.send_bytes(&[0; 900_000]);
        honest.call(&set_data("/n", Some(b"x"))).unwrap();
    }
    eventually("there is room again", || {
        let open = floods.iter_mut().filter_map(|flood| (!flood.wire.is_closed()).then_some(()));
        (open.count() < 5).then_some(())
    });
    let kept = measure(&member, "zk_connection_bytes");
    assert!(kept < 4_000_000, "{kept} bytes are kept");
    assert!(measure(&member, "zk_connection_evicted") >= 4);
    honest.call(&set_data("/n", Some(b"y"))).unwrap();
    drop(floods);
    eventually("nothing is kept", || (measure(&member, "zk_connection_bytes") == 0).then_some(()));
}

#[test]
fn a_length_alone_takes_no_memory() {
    let member = Member::start_with(&FEW_BYTES);
    let mut clients: Vec<Client> = (0..50).map(|_| Client::open(member.address)).collect();
    for client in &mut clients {
        client.wire.send_bytes(&1_000_000_i32.to_be_bytes());
        client.wire.send_bytes(&[0; 100]);
    }
    Client::open(member.address).made("/n");
    assert_eq!(measure(&member, "zk_connection_bytes"), 0);
    assert!(clients.iter_mut().all(|client| !client.wire.is_closed()));
}

#[test]
fn watches_count_by_the_length_of_what_they_watch() {
    let member = Member::start_with(&FEW_BYTES);
    let mut honest = Client::open(member.address);
    honest.call(&exists("/a", true)).unwrap_err();
    let mut client = Client::open(member.address);
    for number in 0..10 {
        client.send(&exists(&format!("/{}{number}", "x".repeat(900_000)), true));
    }
    eventually("the connection ends", || client.told().is_none().then_some(()));
    Client::open(member.address).made("/a");
    assert_eq!(honest.events(), [(1, "/a".to_owned())]);
    // Short ones take little, and those that were used up nothing.
    let mut client = Client::open(member.address);
    for round in 0..20 {
        for number in 0..1000 {
            client.call(&exists(&format!("/b/{number}"), round % 2 == 0)).unwrap_err();
        }
    }
}

#[test]
fn a_first_frame_is_no_longer_than_a_handshake() {
    let member = Member::start();
    let mut wire = Wire::open(member.address);
    wire.send_bytes(&2000_i32.to_be_bytes());
    assert_eq!(wire.frame(), None);
}

#[test]
fn watches_are_told_piece_by_piece_while_others_go_on() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    for number in 0..3000 {
        client.send(&exists(&format!("/{}/{number:04}", "x".repeat(1000)), true));
    }
    for _ in 0..3000 {
        client.told().unwrap();
    }
    let session = format!("0x{:x}", client.session.session);
    let by_path = Wire::word(member.address, b"wchp");
    assert_eq!(by_path.lines().filter(|line| line.starts_with('/')).count(), 3000);
    assert_eq!(by_path.lines().filter(|line| line.trim() == session).count(), 3000);
    let by_session = Wire::word(member.address, b"wchc");
    let lines: Vec<&str> = by_session.lines().collect();
    assert_eq!((lines[0], lines.len()), (&*session, 3002));
    assert!(lines[1..3001].is_sorted() && lines[3001].is_empty());
    // One who asks and takes nothing keeps nobody waiting.
    let mut idle: Vec<Wire> = (0..4).map(|_| Wire::open(member.address)).collect();
    for (wire, word) in idle.iter_mut().zip([b"wchp", b"wchc", b"wchp", b"wchc"]) {
        wire.send_bytes(word);
    }
    client.made("/n");
    let mut other = Client::open(member.address);
    assert!(other.call(&exists("/n", true)).is_ok());
    assert_eq!(Wire::word(member.address, b"wchs").lines().count(), 3);
    drop(client);
    eventually("its watches are gone", || {
        Wire::word(member.address, b"wchs").contains("Total watches:1").then_some(())
    });
}

fn ephemerals_of(path: &str) -> Request {
    let filter = ChildFilter::Ephemeral;
    Request::Extension(Extension::FilteredList { path: path.into(), watch: false, filter })
}

#[test]
fn many_reads_that_look_at_much_hold_up_nobody_who_changes_something() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    client.made("/many");
    for lot in 0..20 {
        let creates = (0..1000).map(|number| create(&format!("/many/{lot}-{number}")));
        client.call(&Request::Multi(creates.collect())).unwrap();
    }
    let mut other = Client::open(member.address);
    // Each looks at 20,000 names and finds none.
    for _ in 0..900 {
        client.send(&ephemerals_of("/many"));
    }
    other.made("/n");
    let text = Wire::word(member.address, b"cons");
    let id = format!("sid=0x{:x},", client.session.session);
    let line = text.lines().find(|line| line.contains(&id)).unwrap();
    assert!(!line.contains("queued=0,"), "all were answered before the others: {line}");
    for _ in 0..900 {
        assert!(matches!(client.told(), Some(Told::Reply(.., Ok(_)))));
    }
}

#[test]
fn of_many_lists_in_one_request_no_more_are_looked_at_than_a_member_can_bear() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    client.made("/many");
    for lot in 0..20 {
        let creates = (0..1000).map(|number| create(&format!("/many/{lot}-{number}")));
        client.call(&Request::Multi(creates.collect())).unwrap();
    }
    let lists = Request::MultiRead(vec![ephemerals_of("/many"); 1000]);
    let Ok(Reply::Multi(results)) = client.call(&lists) else { panic!("results") };
    let refused = MultiResult::Error(ErrorCode::MarshallingError);
    let refused = results.iter().position(|one| *one == refused).expect("not all are looked at");
    assert_eq!(refused, 1_000_000 / 20_000);
}

/// A number that `mntr` tells.
fn measure(member: &Member, name: &str) -> usize {
    let text = Wire::word(member.address, b"mntr");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('\t'));
    line.expect("it is told").parse().unwrap()
}

/// How many requests each connection of the member has in progress, in order.
fn queued(ensemble: &Ensemble, place: usize) -> Vec<usize> {
    let text = Wire::word(ensemble.address(place), b"cons");
    let with_session = text.lines().filter(|line| line.contains("sid="));
    let mut counts: Vec<usize> = with_session
        .map(|line| {
            let (_, rest) = line.split_once("queued=").unwrap();
            rest.split_once(',').unwrap().0.parse().unwrap()
        })
        .collect();
    counts.sort_unstable();
    counts
}

#[test]
fn requests_beyond_the_limit_wait_in_their_socket_and_all_are_answered() {
    // A leader that hears nobody says so only after an election's time.
    let ensemble = Ensemble::start(&[
        ("limits.zk_outstanding_max", "10"),
        ("limits.zk_outstanding_total_max", "15"),
        ("raft.election_max_ms", "5000"),
        ("zk.cut_off_ms", "600000"),
    ]);
    let leader = ensemble.leader(None);
    let mut clients: Vec<Client> = (0..3).map(|_| ensemble.client(leader)).collect();
    ensemble.cut_off(leader);
    for (number, client) in clients.iter_mut().enumerate() {
        for request in 0..50 {
            client.send(&create(&format!("/{number}-{request}")));
        }
        // Ten here, five there, and one of a connection that had none.
        let expected = [[0, 0, 10], [0, 5, 10], [1, 5, 10]][number];
        eventually("what is taken in", || (queued(&ensemble, leader) == expected).then_some(()));
    }
    ensemble.heal();
    for client in &mut clients {
        for _ in 0..50 {
            assert!(client.told().is_some());
        }
    }
}

#[test]
fn the_limits_a_member_starts_with_leave_room_for_each_other() {
    let limits = Limits::default();
    assert_eq!(limits.zk_reply_bytes(), limits.zk_reply_bytes_max);
    assert_eq!(limits.zk_outstanding_total(), limits.zk_outstanding_total_max);
}
