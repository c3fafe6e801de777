//! Frames, numbers of requests, and what ends a connection.

use coord_wire::zookeeper::header::xid;
use coord_wire::zookeeper::{ErrorCode, Reply, Request};

use crate::client::{Client, Told, auth, create, exists, get_data, set_data};
use crate::connection::{Member, Wire};

#[test]
fn a_ping_is_answered_with_its_own_number_whatever_it_was_sent_with() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    client.send_as(5, &Request::Ping);
    assert!(matches!(client.told(), Some(Told::Reply(xid::PING, _, Ok(Reply::Empty)))));
}

#[test]
fn other_numbers_are_echoed() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    for number in [0, -77, i32::MAX, i32::MIN] {
        client.send_as(number, &Request::WhoAmI);
        let told = client.told().unwrap();
        assert!(matches!(told, Told::Reply(echoed, _, Ok(_)) if echoed == number), "{told:?}");
    }
}

#[test]
fn a_proof_that_fails_is_answered_and_closes() {
    let member = Member::start();
    for scheme in ["nope", "world", "sasl"] {
        let mut client = Client::open(member.address);
        client.send_as(xid::AUTH, &auth(scheme, "x"));
        assert_eq!(client.told(), Some(Told::Reply(xid::AUTH, 0, Err(ErrorCode::AuthFailed))));
        assert_eq!(client.told(), None);
    }
}

#[test]
fn unknown_operations_and_a_check_outside_a_multi_are_answered_and_close() {
    let member = Member::start();
    for operation in [999, 10, 0, 20, 13, -10, -1] {
        let mut client = Client::open(member.address);
        let mut payload = [1_i32, operation].map(i32::to_be_bytes).concat();
        payload.extend_from_slice(&[0; 32]);
        client.wire.send(&payload);
        assert_eq!(client.told(), Some(Told::Reply(1, -1, Err(ErrorCode::Unimplemented))));
        assert_eq!(client.told(), None, "{operation}");
    }
}

#[test]
fn a_frame_too_large_or_of_negative_length_closes_without_a_word() {
    let member = Member::start();
    for length in [1_048_576, i32::MAX, -1, i32::MIN] {
        let mut client = Client::open(member.address);
        client.wire.send_bytes(&length.to_be_bytes());
        assert_eq!(client.told(), None, "{length}");
    }
}

#[test]
fn sync_echoes_its_path_without_looking_at_it() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    for path in [None, Some(""), Some("/not/there"), Some("no path")] {
        let request = Request::Sync { path: path.map(Into::into) };
        assert_eq!(client.call(&request), Ok(Reply::Synced(path.map(Into::into))));
    }
}

#[test]
fn replies_come_in_the_order_of_requests_and_reads_see_the_writes_before_them() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    client.made("/n");
    let rounds = 100;
    for _ in 0..rounds {
        client.send(&set_data("/n", None));
        client.send(&exists("/n", false));
        client.send(&Request::Sync { path: None });
        client.send(&get_data("/missing", false));
        client.send(&create("/n"));
    }
    let (mut expected, mut zxid_before) = (1, 0);
    for round in 1..=rounds {
        for place in 0..5 {
            expected += 1;
            let Some(Told::Reply(xid, zxid, outcome)) = client.told() else { panic!("a reply") };
            assert_eq!(xid, expected);
            assert!(zxid >= zxid_before);
            zxid_before = zxid;
            match (place, outcome) {
                (0 | 1, Ok(Reply::Stat(stat))) => assert_eq!(stat.version, round),
                (2, Ok(Reply::Synced(None)))
                | (3, Err(ErrorCode::NoNode))
                | (4, Err(ErrorCode::NodeExists)) => {}
                (place, outcome) => panic!("{place}: {outcome:?}"),
            }
        }
    }
}

#[test]
fn words_are_answered_as_text_or_refused_and_others_close() {
    let member = Member::start_with(&[("zk_four_letter_words", "ruok,isro,srvr")]);
    let said = |word: &[u8]| {
        let mut wire = Wire::open(member.address);
        wire.send_bytes(word);
        String::from_utf8(wire.remainder()).unwrap()
    };
    assert_eq!(said(b"ruok"), "imok");
    assert_eq!(said(b"isro"), "rw");
    assert!(said(b"srvr\n").contains("\nNode count: 5\n"), "{}", said(b"srvr"));
    assert_eq!(
        said(b"gtmk").trim_end(),
        "gtmk is not executed because it is not in the whitelist."
    );
    assert_eq!(said(b"what"), "");
}
