//! What ZooKeeper does not have: ClickHouse Keeper's operations, as ClickHouse
//! writes them byte by byte, and hashes of contents.

use std::time::Duration;

use bytes::Bytes;
use coord_core::ErrorKind;
use coord_core::client::zookeeper::{CreateOptions, Op, Settings, blocking};
use coord_state::znode::Reach;
use coord_state::{ContentHash, Rejection};
use coord_wire::zookeeper::header::ReplyHeader;
use coord_wire::zookeeper::jute::Reader;
use coord_wire::zookeeper::multi::MultiResult;
use coord_wire::zookeeper::request::{CreateForm, Read};
use coord_wire::zookeeper::{ErrorCode, Extension, Reply, Request};

use crate::client::{
    Client, ace, auth, create, create_as, create_with, delete, exists, get_children, get_data,
    set_data,
};
use crate::connection::Member;

/// Sends these bytes behind xid 77 and gives back code and body of the answer.
fn raw(client: &mut Client, request: &str) -> (i32, String) {
    let request = bytes_of(request);
    client.wire.send(&[&77_i32.to_be_bytes()[..], &request].concat());
    let mut input = Reader::new(client.wire.frame().expect("an answer"));
    let header = ReplyHeader::decode(&mut input).unwrap();
    assert_eq!(header.xid, 77);
    assert!(header.zxid > 0);
    let body = input.rest().iter().map(|byte| format!("{byte:02x}")).collect();
    (header.error.code(), body)
}

/// Hexadecimal numbers, and text in quotes with its length before it.
fn bytes_of(request: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in request.split_whitespace() {
        if let Some(text) = word.strip_prefix('\'') {
            let text = text.trim_end_matches('\'');
            bytes.extend_from_slice(&i32::try_from(text.len()).unwrap().to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        } else {
            let digits: Vec<_> = word.as_bytes().chunks(2).collect();
            bytes.extend(
                digits
                    .into_iter()
                    .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()),
            );
        }
    }
    bytes
}

fn hex_of(request: &str) -> String {
    bytes_of(request).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An access list that lets anybody do anything.
const OPEN: &str = "00000001 0000001f 'world' 'anyone'";
/// Before and behind the operations of a multi.
const MULTI: &str = "0000000e";
const END: &str = "ffffffff 01 ffffffff";

#[test]
fn clickhouse_finds_out_what_a_keeper_can_do() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    client.made("/a");
    // Five features: the five highest bits of the first byte.
    let (error, body) = raw(&mut client, "00000004 '/keeper/feature_flags' 00");
    assert_eq!((error, &body[..12]), (0, "00000002f800"));
    let (error, body) = raw(&mut client, "00000004 '/keeper/api_version' 00");
    assert_eq!((error, &body[..10]), (0, "0000000133"));
    assert_eq!(client.stat("/keeper/api_version").data_length, 1);
}

#[test]
fn what_a_keeper_can_do_is_seen_only_by_who_asks_for_it() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    let names = client.call(&get_children("/", false));
    assert_eq!(names, Ok(Reply::Children(vec!["zookeeper".into()])));
    let flags = "/keeper/feature_flags";
    for missing in ["/keeper", "/keeper/config"] {
        assert_eq!(client.call(&exists(missing, false)), Err(ErrorCode::NoNode));
    }
    assert_eq!(client.call(&create(flags)), Err(ErrorCode::NoNode));
    assert_eq!(client.call(&set_data(flags, None)), Err(ErrorCode::NoNode));
    assert_eq!(client.call(&delete(flags)), Err(ErrorCode::NoNode));
    // Real znodes of these paths stand before them.
    client.call(&get_data(flags, true)).unwrap();
    client.made("/keeper");
    let (events, made) = client.watch(&create(flags));
    assert_eq!((events, made.is_ok()), (vec![(1, flags.to_owned())], true));
    client.call(&set_data(flags, Some(b"mine"))).unwrap();
    assert_eq!(client.stat(flags).data_length, 4);
}

#[test]
fn a_filtered_list_has_persistent_or_ephemeral_children() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    for (path, flags) in [("/l", 0), ("/l/p", 0), ("/l/e", 1)] {
        client.call(&create_as(path, CreateForm::Plain, flags)).unwrap();
    }
    for (filter, count, names) in
        [("00", "00000002", "'p' 'e'"), ("01", "00000001", "'p'"), ("02", "00000001", "'e'")]
    {
        let (error, body) = raw(&mut client, &format!("000001f4 '/l' 00 {filter}"));
        let expected = hex_of(&format!("{count} {names}"));
        // The stat of the parent is behind the names: 68 bytes.
        assert_eq!((error, body.len()), (0, expected.len() + 136), "filter {filter}");
        assert!(body.starts_with(&expected), "filter {filter}: {body}");
    }
    assert_eq!(raw(&mut client, "000001f4 '/l' 00 03"), (-5, String::new()));
    assert_eq!(raw(&mut client, "000001f4 '/missing' 00 00"), (-101, String::new()));
    // It leaves a watch as a list does.
    raw(&mut client, "000001f4 '/l' 01 02");
    let (events, _) = client.watch(&delete("/l/e"));
    assert_eq!(events, [(4, "/l".to_owned())]);
}

#[test]
fn check_not_exists_stands_alone_and_in_a_multi() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    client.made("/a");
    assert_eq!(raw(&mut client, "000001f5 '/b' ffffffff"), (0, String::new()));
    assert_eq!(raw(&mut client, "000001f5 '/a' ffffffff"), (-110, String::new()));
    assert_eq!(raw(&mut client, "000001f5 '/a' 00000007"), (0, String::new()));
    let check = "000001f5 00 ffffffff '/b' ffffffff";
    let make = format!("00000001 00 ffffffff '/b' ffffffff {OPEN} 00000000");
    let multi = format!("{MULTI} {check} {make} {END}");
    let done = format!("000001f5 00 00000000 00000001 00 00000000 '/b' {END}");
    assert_eq!(raw(&mut client, &multi), (0, hex_of(&done)));
    let failed = format!("ffffffff 00 ffffff92 ffffff92 ffffffff 00 fffffffe fffffffe {END}");
    assert_eq!(raw(&mut client, &multi), (0, hex_of(&failed)));
}

#[test]
fn create_if_not_exists_answers_the_path_either_way() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    let request = format!("000001f6 '/c' 'data' {OPEN} 00000000");
    for _ in 0..2 {
        assert_eq!(raw(&mut client, &request), (0, hex_of("'/c'")));
    }
    assert_eq!(client.stat("/c").version, 0);
    let sequential = format!("000001f6 '/c/n-' 'data' {OPEN} 00000002");
    assert_eq!(raw(&mut client, &sequential), (-8, String::new()));
    let part = |path: &str| format!("000001f6 00 ffffffff '{path}' 'data' {OPEN} 00000000");
    let multi = format!("{MULTI} {} {} {END}", part("/c"), part("/c/d"));
    let done = format!("000001f6 00 00000000 '/c' 000001f6 00 00000000 '/c/d' {END}");
    assert_eq!(raw(&mut client, &multi), (0, hex_of(&done)));
}

#[test]
fn remove_recursive_takes_a_subtree_up_to_its_limit() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    let mut other = Client::open(member.address);
    for path in ["/r", "/r/a", "/r/a/b", "/s"] {
        client.made(path);
    }
    assert_eq!(raw(&mut client, "000001f7 '/r' 00000002"), (-111, String::new()));
    assert_eq!(raw(&mut client, "000001f7 '/missing' 00000064"), (-101, String::new()));
    assert_eq!(raw(&mut client, "000001f7 '/' ffffffff"), (-8, String::new()));
    let multi = format!("{MULTI} 000001f7 00 ffffffff '/s' 00000001 {END}");
    let done = format!("000001f7 00 00000000 {END}");
    assert_eq!(raw(&mut client, &multi), (0, hex_of(&done)));
    // Watches fire as if every znode was deleted by itself.
    other.call(&Request::Sync { path: None }).unwrap();
    other.call(&exists("/r/a/b", true)).unwrap();
    other.call(&get_children("/r", true)).unwrap();
    assert_eq!(raw(&mut client, "000001f7 '/r' 00000003"), (0, String::new()));
    let (events, _) = other.watch(&Request::Sync { path: None });
    assert_eq!(events, [(2, "/r/a/b".to_owned()), (4, "/r".to_owned())]);
    assert_eq!(client.call(&exists("/r", false)), Err(ErrorCode::NoNode));
}

#[test]
fn a_multi_read_takes_all_the_reads_of_clickhouse() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    client.made("/a");
    client.made("/a/b");
    let read = |path: &str| Read { path: path.into(), watch: false };
    let answer = client.call(&Request::MultiRead(vec![
        Request::Exists(read("/a")),
        Request::Exists(read("/missing")),
        Request::GetChildren2(read("/a")),
    ]));
    let Ok(Reply::Multi(results)) = answer else { panic!("{answer:?}") };
    assert!(matches!(results[0], MultiResult::Stat(stat) if stat.num_children == 1));
    assert_eq!(results[1], MultiResult::Error(ErrorCode::NoNode));
    assert!(matches!(results[2], MultiResult::ChildrenWithStat { .. }));
    let (error, body) =
        raw(&mut client, &format!("00000016 000001f4 00 ffffffff '/a' 00 01 {END}"));
    let begin = hex_of("0000000c 00 00000000 00000001 'b'");
    assert!(error == 0 && body.starts_with(&begin) && body.ends_with(&hex_of(END)), "{body}");
}

fn hash_of(client: &mut Client, path: &str, reach: Reach) -> Result<ContentHash, ErrorCode> {
    let asked = Request::Extension(Extension::GetHash { path: path.into(), reach });
    match client.call(&asked)? {
        Reply::Hash { hash, zxid } => {
            assert_eq!(zxid, client.zxid, "the state it was taken of");
            Ok(hash)
        }
        other => panic!("{other:?}"),
    }
}

fn check_hash(path: &str, reach: Reach, hash: ContentHash) -> Request {
    Request::Extension(Extension::CheckHash { path: path.into(), reach, hash })
}

#[test]
fn a_subtree_is_changed_only_if_it_is_as_it_was_read() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    for path in ["/app", "/app/host", "/app/port"] {
        client.made(path);
    }
    let seen = hash_of(&mut client, "/app", Reach::Subtree).unwrap();
    let change = Request::Multi(vec![
        check_hash("/app", Reach::Subtree, seen),
        set_data("/app/host", Some(b"a")),
        set_data("/app/port", Some(b"1")),
    ]);
    let Ok(Reply::Multi(results)) = client.call(&change) else { panic!("nobody else was there") };
    assert_eq!(results[0], MultiResult::Checked);
    assert_ne!(hash_of(&mut client, "/app", Reach::Subtree), Ok(seen));
    let errors =
        [ErrorCode::BadVersion, ErrorCode::RuntimeInconsistency, ErrorCode::RuntimeInconsistency];
    let failed = Reply::Multi(errors.map(MultiResult::Error).into());
    assert_eq!(client.call(&change), Ok(failed));
    assert_eq!(client.stat("/app/host").version, 1);
}

#[test]
fn hashes_are_told_to_those_who_may_read_it_all() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    client.made("/a");
    let bob = "bob:ikIaKsbtGweaHnb/jKn7OHqbunM=";
    client.call(&create_with("/a/secret", vec![ace(31, "digest", bob)])).unwrap();
    let own = hash_of(&mut client, "/a", Reach::Znode).unwrap();
    assert_eq!(hash_of(&mut client, "/a", Reach::Subtree), Err(ErrorCode::NoAuth));
    let guess = Request::Multi(vec![check_hash("/a", Reach::Subtree, own)]);
    let refused = Ok(Reply::Multi(vec![MultiResult::Error(ErrorCode::NoAuth)]));
    assert_eq!(client.call(&guess), refused);
    client.call(&auth("digest", "bob:pw")).unwrap();
    assert_ne!(hash_of(&mut client, "/a", Reach::Subtree), Ok(own));
    assert_eq!(hash_of(&mut client, "/missing", Reach::Znode), Err(ErrorCode::NoNode));
    assert_eq!(hash_of(&mut client, "", Reach::Znode), Err(ErrorCode::BadArguments));
}

#[test]
fn a_hash_is_checked_inside_a_multi_only() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    let alone = check_hash("/", Reach::Znode, ContentHash([0; 16]));
    assert_eq!(client.call(&alone), Err(ErrorCode::Unimplemented));
    assert_eq!(client.told(), None, "closed");
}

#[test]
fn our_client_acts_on_hashes() {
    let member = Member::start();
    let settings = Settings::with_hosts(member.address.to_string());
    let client = blocking::Client::connect(settings, Duration::from_secs(30)).unwrap();
    let data = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
    client.create("/a", data("1"), &CreateOptions::default()).unwrap();
    client.create("/a/b", data("2"), &CreateOptions::default()).unwrap();
    let (own, all) = (client.content_hash("/a").unwrap(), client.subtree_hash("/a").unwrap());
    assert!(own.hash != all.hash && own.zxid == all.zxid);
    assert_eq!(client.set_data_if_hash("/a", data("3"), own.hash).unwrap().version, 1);
    let refused = |outcome: Result<(), coord_core::Error>| {
        let error = outcome.expect_err("the content is another");
        assert_eq!(error.kind(), &ErrorKind::Rejected(Rejection::BadVersion), "{error}");
    };
    refused(client.set_data_if_hash("/a", data("4"), own.hash).map(drop));
    refused(client.delete_if_hash("/a/b", own.hash));
    let delete = Op::Delete { path: "/a/b".to_owned(), version: -1 };
    let act = [Op::check_subtree_hash("/a", all.hash), delete.clone()];
    let cause = Box::new(Rejection::BadVersion);
    let error = client.multi(&act).unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Rejected(Rejection::MultiFailed { index: 0, cause }));
    let now = client.subtree_hash("/a").unwrap();
    client.multi(&[Op::check_subtree_hash("/a", now.hash), delete]).unwrap();
    client.delete_if_hash("/a", client.content_hash("/a").unwrap().hash).unwrap();
    client.close().unwrap();
}
