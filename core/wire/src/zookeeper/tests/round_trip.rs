//! Decoding what was encoded gives back the same.

use bytes::Bytes;
use coord_state::znode::{Ace, Identity, Reach, Stat};
use coord_state::{ContentHash, Revision, SessionId};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::zookeeper::Extension;
use crate::zookeeper::connect::{ConnectRequest, ConnectResponse};
use crate::zookeeper::extension::ChildFilter;
use crate::zookeeper::four_letter::FourLetterWord;
use crate::zookeeper::header::{ReplyHeader, RequestHeader, WatcherEvent};
use crate::zookeeper::jute::Reader;
use crate::zookeeper::multi::MultiResult;
use crate::zookeeper::record::ClientInfo;
use crate::zookeeper::request::{Create, CreateForm, Read, SetWatches};
use crate::zookeeper::{ErrorCode, OpCode, Reply, Request, Text};

fn text() -> impl Strategy<Value = Text> + Clone {
    ".{0,12}".prop_map(Text::from)
}

fn data() -> impl Strategy<Value = Option<Bytes>> {
    option::of(vec(any::<u8>(), 0..20).prop_map(Bytes::from))
}

fn ace() -> impl Strategy<Value = Ace> {
    (any::<u32>(), text(), text()).prop_map(|(perms, scheme, id)| Ace {
        perms,
        identity: Identity { scheme: scheme.into(), id: id.into() },
    })
}

fn stat() -> impl Strategy<Value = Stat> {
    (any::<[u64; 3]>(), any::<[i64; 3]>(), any::<[i32; 5]>()).prop_map(|(zxids, longs, ints)| {
        Stat {
            czxid: Revision(zxids[0]),
            mzxid: Revision(zxids[1]),
            ctime: longs[0],
            mtime: longs[1],
            version: ints[0],
            cversion: ints[1],
            aversion: ints[2],
            ephemeral_owner: SessionId(longs[2]),
            data_length: ints[3],
            num_children: ints[4],
            pzxid: Revision(zxids[2]),
        }
    })
}

fn read() -> impl Strategy<Value = Read> {
    (text(), any::<bool>()).prop_map(|(path, watch)| Read { path, watch })
}

fn write_op() -> impl Strategy<Value = Request> {
    let form = prop_oneof![
        Just(CreateForm::Plain),
        Just(CreateForm::WithStat),
        Just(CreateForm::Container),
        Just(CreateForm::IfNotExists),
        any::<i64>().prop_map(|ttl_ms| CreateForm::Ttl { ttl_ms }),
    ];
    prop_oneof![
        (form, text(), data(), option::of(vec(ace(), 0..3)), any::<i32>()).prop_map(
            |(form, path, data, acl, flags)| Request::Create(Create {
                form,
                path,
                data,
                acl,
                flags
            })
        ),
        (text(), any::<i32>()).prop_map(|(path, version)| Request::Delete { path, version }),
        (text(), any::<i32>()).prop_map(|(path, version)| Request::CheckVersion { path, version }),
        (text(), data(), any::<i32>()).prop_map(|(path, data, version)| Request::SetData {
            path,
            data,
            version
        }),
        (text(), any::<i32>()).prop_map(|(path, version)| {
            Request::Extension(Extension::CheckNotExists { path, version })
        }),
        (text(), any::<u32>()).prop_map(|(path, limit)| Request::Extension(
            Extension::RemoveRecursive { path, limit }
        )),
        (text(), reach(), hash()).prop_map(|(path, reach, hash)| {
            Request::Extension(Extension::CheckHash { path, reach, hash })
        }),
    ]
}

fn reach() -> impl Strategy<Value = Reach> {
    prop_oneof![Just(Reach::Znode), Just(Reach::Subtree)]
}

fn hash() -> impl Strategy<Value = ContentHash> {
    any::<[u8; 16]>().prop_map(ContentHash)
}

fn read_op() -> impl Strategy<Value = Request> {
    let filter = prop_oneof![
        Just(ChildFilter::All),
        Just(ChildFilter::Persistent),
        Just(ChildFilter::Ephemeral)
    ];
    prop_oneof![
        read().prop_map(Request::GetData),
        read().prop_map(Request::GetChildren),
        read().prop_map(Request::Exists),
        read().prop_map(Request::GetChildren2),
        (text(), any::<bool>(), filter).prop_map(|(path, watch, filter)| {
            Request::Extension(Extension::FilteredList { path, watch, filter })
        }),
    ]
}

fn set_watches() -> impl Strategy<Value = SetWatches> {
    (any::<i64>(), vec(text(), 0..3), vec(text(), 0..3), vec(text(), 0..3)).prop_map(
        |(relative_zxid, data, exist, child)| SetWatches { relative_zxid, data, exist, child },
    )
}

pub(super) fn any_request() -> impl Strategy<Value = Request> {
    let watch = (text(), any::<i32>());
    prop_oneof![
        write_op(),
        read_op(),
        (text(), reach())
            .prop_map(|(path, reach)| Request::Extension(Extension::GetHash { path, reach })),
        text().prop_map(|path| Request::GetAcl { path }),
        (text(), option::of(vec(ace(), 0..3)), any::<i32>())
            .prop_map(|(path, acl, version)| Request::SetAcl { path, acl, version }),
        option::of(text()).prop_map(|path| Request::Sync { path }),
        Just(Request::Ping),
        vec(write_op(), 0..4).prop_map(Request::Multi),
        vec(read_op(), 0..4).prop_map(Request::MultiRead),
        (option::of(text()), option::of(text()), option::of(text()), any::<i64>()).prop_map(
            |(joining, leaving, new_members, based_on)| Request::Reconfig {
                joining,
                leaving,
                new_members,
                based_on
            }
        ),
        watch.clone().prop_map(|(path, kind)| Request::CheckWatches { path, kind }),
        watch.clone().prop_map(|(path, kind)| Request::RemoveWatches { path, kind }),
        watch.prop_map(|(path, mode)| Request::AddWatch { path, mode }),
        (text(), data()).prop_map(|(scheme, auth)| Request::Auth { scheme, auth }),
        set_watches().prop_map(Request::SetWatches),
        (set_watches(), vec(text(), 0..3), vec(text(), 0..3)).prop_map(
            |(once, persistent, persistent_recursive)| Request::SetWatches2 {
                once,
                persistent,
                persistent_recursive
            }
        ),
        data().prop_map(|token| Request::Sasl { token }),
        option::of(text()).prop_map(|prefix| Request::GetEphemerals { prefix }),
        text().prop_map(|path| Request::GetAllChildrenNumber { path }),
        Just(Request::WhoAmI),
        Just(Request::CloseSession),
    ]
}

fn multi_result() -> impl Strategy<Value = MultiResult> {
    prop_oneof![
        text().prop_map(MultiResult::Created),
        (text(), stat()).prop_map(|(path, stat)| MultiResult::CreatedWithStat { path, stat }),
        Just(MultiResult::Deleted),
        stat().prop_map(MultiResult::Set),
        Just(MultiResult::Checked),
        (data(), stat()).prop_map(|(data, stat)| MultiResult::Data { data, stat }),
        vec(text(), 0..3).prop_map(MultiResult::Children),
        stat().prop_map(MultiResult::Stat),
        (vec(text(), 0..3), stat())
            .prop_map(|(children, stat)| MultiResult::ChildrenWithStat { children, stat }),
        (-130..=0).prop_map(|code| MultiResult::Error(ErrorCode::from_code(code))),
    ]
}

pub(super) fn any_reply() -> impl Strategy<Value = (OpCode, Reply)> {
    let client = (text(), text()).prop_map(|(scheme, user)| ClientInfo { scheme, user });
    prop_oneof![
        Just((OpCode::Delete, Reply::Empty)),
        text().prop_map(|path| (OpCode::Create, Reply::Created(path))),
        (text(), stat())
            .prop_map(|(path, stat)| (OpCode::CreateTtl, Reply::CreatedWithStat { path, stat })),
        stat().prop_map(|stat| (OpCode::Exists, Reply::Stat(stat))),
        (data(), stat()).prop_map(|(data, stat)| (OpCode::GetData, Reply::Data { data, stat })),
        vec(text(), 0..4).prop_map(|names| (OpCode::GetChildren, Reply::Children(names))),
        (vec(text(), 0..4), stat()).prop_map(|(children, stat)| {
            (OpCode::GetChildren2, Reply::ChildrenWithStat { children, stat })
        }),
        (vec(ace(), 0..3), stat())
            .prop_map(|(acl, stat)| (OpCode::GetAcl, Reply::Acl { acl, stat })),
        option::of(text()).prop_map(|path| (OpCode::Sync, Reply::Synced(path))),
        vec(multi_result(), 0..5).prop_map(|results| (OpCode::Multi, Reply::Multi(results))),
        data().prop_map(|token| (OpCode::Sasl, Reply::Token(token))),
        vec(text(), 0..3).prop_map(|paths| (OpCode::GetEphemerals, Reply::Ephemerals(paths))),
        any::<i32>().prop_map(|count| (OpCode::GetAllChildrenNumber, Reply::Number(count))),
        Just((OpCode::AddWatch, Reply::WatchAdded)),
        (hash(), any::<i64>())
            .prop_map(|(hash, zxid)| (OpCode::GetHash, Reply::Hash { hash, zxid })),
        vec(client, 0..3).prop_map(|all| (OpCode::WhoAmI, Reply::Identities(all))),
    ]
}

proptest! {
    #[test]
    fn requests(request in any_request(), extra in vec(any::<u8>(), 0..3)) {
        let mut body = Vec::new();
        request.encode(&mut body);
        // Bytes behind a well-formed request are ignored.
        body.extend_from_slice(&extra);
        prop_assert_eq!(Request::decode(request.op(), Bytes::from(body)), Ok(request));
    }

    #[test]
    fn replies((op, reply) in any_reply()) {
        let mut body = Vec::new();
        reply.encode(&mut body);
        prop_assert_eq!(Reply::decode(op, Bytes::from(body)), Ok(reply));
    }

    #[test]
    fn handshakes(
        ints in any::<[i32; 2]>(),
        longs in any::<[i64; 2]>(),
        password in data(),
        read_only in option::of(any::<bool>()),
    ) {
        let request = ConnectRequest {
            protocol_version: ints[0],
            last_zxid_seen: longs[0],
            timeout_ms: ints[1],
            session: longs[1],
            password: password.clone(),
            read_only,
        };
        let mut payload = Vec::new();
        request.encode(&mut payload);
        prop_assert_eq!(ConnectRequest::decode(Bytes::from(payload)), Ok(request));
        let response = ConnectResponse {
            protocol_version: ints[0],
            timeout_ms: ints[1],
            session: longs[1],
            password,
            read_only,
        };
        let mut payload = Vec::new();
        response.encode(&mut payload);
        prop_assert_eq!(ConnectResponse::decode(Bytes::from(payload)), Ok(response));
    }

    #[test]
    fn headers_and_events(ints in any::<[i32; 4]>(), zxid in any::<i64>(), path in text()) {
        let mut out = Vec::new();
        let request = RequestHeader { xid: ints[0], op: ints[1] };
        let reply = ReplyHeader { xid: ints[0], zxid, error: ErrorCode::from_code(ints[1]) };
        let event = WatcherEvent { kind: ints[2], state: ints[3], path };
        request.encode(&mut out);
        reply.encode(&mut out);
        event.encode(&mut out);
        let mut input = Reader::new(Bytes::from(out));
        prop_assert_eq!(RequestHeader::decode(&mut input), Ok(request));
        prop_assert_eq!(ReplyHeader::decode(&mut input), Ok(reply));
        prop_assert_eq!(WatcherEvent::decode(&mut input), Ok(event));
        prop_assert_eq!(input.remaining(), 0);
    }
}

#[test]
fn codes() {
    for op in OpCode::ALL {
        assert_eq!(OpCode::from_code(op.code()), Some(*op));
    }
    for error in ErrorCode::ALL {
        assert_eq!(ErrorCode::from_code(error.code()), *error);
    }
    assert_eq!(ErrorCode::from_code(-999), ErrorCode::Unknown(-999));
    for word in FourLetterWord::ALL {
        assert_eq!(FourLetterWord::from_bytes(word.bytes()), Some(*word));
    }
}
