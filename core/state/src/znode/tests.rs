//! What scripts cannot reach: counters near their ends, trees of great depth.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;

use bytes::Bytes;

use crate::codec::{Decode, Encode, Input};
use crate::command::Command;
use crate::digest::ContentHash;
use crate::id::{Attachment, SessionId};
use crate::machine::StateMachine;
use crate::rejection::Rejection;
use crate::reply::Reply;
use crate::snapshot::Restore;
use crate::znode::{
    Ace, Acl, Caller, CreateMode, DELETED_MAX, Identity, MultiOp, Reach, ZnodeCommand, ZnodeOp,
    content, permission,
};

fn command(op: MultiOp) -> Command {
    let caller = Caller { session: None, identities: Box::default() };
    Command::Znode(ZnodeCommand { caller, op: ZnodeOp::Single(op) })
}

fn create(path: &str, sequential: bool) -> Command {
    let acl: vec::Vec<Ace> = Acl::open().0.to_vec();
    let mode = CreateMode::Persistent { sequential };
    command(MultiOp::Create { path: path.into(), data: None, acl: Some(acl), mode })
}

fn created(machine: &mut StateMachine, path: &str) -> String {
    match machine.apply(1, create(path, true)).result {
        Ok(Reply::Created { path, .. }) => String::from(&*path),
        other => panic!("{other:?}"),
    }
}

fn set_created(machine: &mut StateMachine, path: &str, count: i64) {
    let id = machine.znodes.find(path).unwrap();
    machine.znodes.edit(id, |record| record.family_mut().created = count);
}

#[test]
fn sequence_numbers_go_on_past_32_bits() {
    let mut machine = StateMachine::new();
    machine.apply(1, create("/q", false)).result.unwrap();
    set_created(&mut machine, "/q", i64::from(i32::MAX));
    assert_eq!(created(&mut machine, "/q/n-"), "/q/n-2147483647");
    assert_eq!(created(&mut machine, "/q/n-"), "/q/n-2147483648");
    set_created(&mut machine, "/q", 9_999_999_999);
    assert_eq!(created(&mut machine, "/q/n-"), "/q/n-9999999999");
    assert_eq!(created(&mut machine, "/q/n-"), "/q/n-10000000000");
    machine.check_invariants().unwrap();
}

#[test]
fn the_data_version_wraps_through_minus_one() {
    let mut machine = StateMachine::new();
    machine.apply(1, create("/v", false)).result.unwrap();
    let id = machine.znodes.find("/v").unwrap();
    machine.znodes.edit(id, |record| record.version = i32::MAX);
    let set = || command(MultiOp::SetData { path: "/v".into(), data: None, version: -1 });
    machine.apply(1, set()).result.unwrap();
    assert_eq!(machine.znodes().znode("/v").unwrap().stat().version, i32::MIN);
    machine.znodes.edit(id, |record| record.version = -2);
    for version in [-1, 0] {
        machine.apply(1, set()).result.unwrap();
        assert_eq!(machine.znodes().znode("/v").unwrap().stat().version, version);
    }
}

#[test]
fn a_deep_tree_does_not_use_the_stack() {
    let mut machine = StateMachine::new();
    let mut path = String::new();
    for _ in 0..3000 {
        path.push_str("/d");
        machine.apply(1, create(&path, false)).result.unwrap();
    }
    assert_eq!(machine.znodes().descendants("/d"), 2999);
    machine.check_invariants().unwrap();
    let mut restore = Restore::new();
    for (tag, payload) in machine.freeze().to_records() {
        restore.record(tag, payload.into()).unwrap();
    }
    let restored = restore.finish().unwrap();
    assert_eq!(restored.znodes().descendants("/"), 3003);
}

#[test]
fn stored_data_does_not_keep_its_log_entry_alive() {
    let mut machine = StateMachine::new();
    machine.apply(1, create("/a", false)).result.unwrap();
    let entry = Bytes::from(vec![7; 4096]);
    let data = Some(entry.slice(..4));
    machine
        .apply(1, command(MultiOp::SetData { path: "/a".into(), data, version: -1 }))
        .result
        .unwrap();
    assert!(entry.is_unique());
}

#[test]
fn a_hash_is_refused_where_finding_out_who_may_read_takes_too_long() {
    let mut machine = StateMachine::new();
    machine.apply(1, create("/w", false)).result.unwrap();
    for _ in 0..content::LOOKED_AT_MAX {
        machine.apply(1, create("/w/n-", true)).result.unwrap();
    }
    let me = [Identity { scheme: "ip".into(), id: "::1".into() }];
    assert!(machine.znodes().hash_for("/w", Reach::Subtree, &me).is_ok());
    let acl = vec![Ace { perms: permission::READ, identity: me[0].clone() }];
    let mode = CreateMode::Persistent { sequential: false };
    let mine = MultiOp::Create { path: "/w/mine".into(), data: None, acl: Some(acl), mode };
    machine.apply(1, command(mine)).result.unwrap();
    let hash = |top: &str| machine.znodes().hash_for(top, Reach::Subtree, &me);
    assert!(matches!(hash("/w"), Err(Rejection::BadArguments(_))));
    assert!(hash("/w/mine").is_ok());
}

#[test]
fn one_deletion_takes_no_more_than_its_bound() {
    let mut machine = StateMachine::new();
    machine.apply(1, create("/w", false)).result.unwrap();
    for _ in 0..DELETED_MAX {
        machine.apply(1, create("/w/n-", true)).result.unwrap();
    }
    let remove = || command(MultiOp::DeleteSubtree { path: "/w".into(), limit: u32::MAX });
    assert_eq!(machine.apply(1, remove()).result, Err(Rejection::NotEmpty));
    let last = MultiOp::Delete { path: "/w/n-0000000000".into(), version: -1 };
    machine.apply(1, command(last)).result.unwrap();
    assert_eq!(machine.apply(1, remove()).result, Ok(Reply::Done));
    assert_eq!(machine.znodes().len(), 4);
}

/// Version 2 of the stored form, as it must always read.
#[test]
fn stored_commands_of_version_2_read_as_they_did() {
    #[rustfmt::skip]
    let stored: &[u8] = &[
        2, // a znode command
        2, // its version
        0, 0, // the system itself
        5, 4, // a multi of four
        16, 2, b'/', b'a', 1, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, // hash of a subtree
        17, 2, b'/', b'b', 1, // absent, any version
        18, 2, b'/', b'c', 0, 1, 0, // create if absent: null, open list, persistent
        19, 2, b'/', b'd', 100, // delete up to 100
    ];
    let expected = Command::Znode(ZnodeCommand {
        caller: Caller { session: None, identities: Box::default() },
        op: ZnodeOp::Multi(vec![
            MultiOp::CheckHash {
                path: "/a".into(),
                reach: Reach::Subtree,
                hash: ContentHash([9; 16]),
            },
            MultiOp::CheckAbsent { path: "/b".into(), version: -1 },
            MultiOp::CreateIfAbsent {
                path: "/c".into(),
                data: None,
                acl: Some(Acl::open().0.to_vec()),
                mode: CreateMode::Persistent { sequential: false },
            },
            MultiOp::DeleteSubtree { path: "/d".into(), limit: 100 },
        ]),
    });
    let mut encoded = vec::Vec::new();
    expected.encode(&mut encoded);
    assert_eq!(encoded, stored);
    assert_eq!(Command::decode(&mut Input::new(Bytes::from_static(stored))), Ok(expected));
    let mut older = stored.to_vec();
    older[1] = 1;
    assert!(Command::decode(&mut Input::new(older.into())).is_err(), "version 1 has none of them");
}

/// The first stored form, as it must always read.
#[test]
fn stored_commands_of_version_1_read_as_they_did() {
    #[rustfmt::skip]
    let stored: &[u8] = &[
        2, // a znode command
        1, // its version
        1, 5, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, // session 5, attachment 9
        1, 2, 3, b'b', b':', b'h', // one identity: digest b:h
        5, 4, // a multi of four
        0, 2, b'/', b'a', 1, 1, b'x', 1, 0x11, // create, data, open list, ephemeral sequential
        1, 2, b'/', b'a', 1, // delete, any version
        2, 2, b'/', b'a', 6, 0, // set null, version 3
        0, 2, b'/', b't', 0, 2, 1, 31, 3, 0, 3, 0x80, 0x01, // create, ip list, ttl of 128
    ];
    let identity = |scheme: &str, id: &str| Identity { scheme: scheme.into(), id: id.into() };
    let acl = Ace { perms: permission::ALL, identity: identity("ip", "") };
    let path = || "/a".into();
    let expected = Command::Znode(ZnodeCommand {
        caller: Caller {
            session: Some((SessionId(5), Attachment(9))),
            identities: [identity("digest", "b:h")].into(),
        },
        op: ZnodeOp::Multi(vec![
            MultiOp::Create {
                path: path(),
                data: Some(Bytes::from_static(b"x")),
                acl: Some(Acl::open().0.to_vec()),
                mode: CreateMode::Ephemeral { sequential: true },
            },
            MultiOp::Delete { path: path(), version: -1 },
            MultiOp::SetData { path: path(), data: None, version: 3 },
            MultiOp::Create {
                path: "/t".into(),
                data: None,
                acl: Some(vec![acl]),
                mode: CreateMode::Ttl { sequential: false, ttl_ms: 128 },
            },
        ]),
    });
    let mut encoded = vec::Vec::new();
    expected.encode(&mut encoded);
    assert_eq!(encoded, stored);
    assert_eq!(Command::decode(&mut Input::new(Bytes::from_static(stored))), Ok(expected));
}
