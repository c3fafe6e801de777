//! Commands read back from their stored form as they were, and damage to it
//! is an error, never a panic.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use bytes::Bytes;
use coord_state::codec::{Decode, Encode, Input};
use coord_state::session::SessionCommand;
use coord_state::znode::{
    Ace, Caller, CreateMode, Identity, MultiOp, Reach, ZnodeCommand, ZnodeOp,
};
use coord_state::{
    Attachment, Batch, Command, ContentHash, LeaderBatch, MemberId, SessionId, StoredBatch,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn text() -> impl Strategy<Value = Box<str>> {
    "(/[a-z\u{e4}.]{0,4}){0,3}".prop_map(String::into_boxed_str)
}

fn identity() -> impl Strategy<Value = Identity> {
    let scheme = prop_oneof![
        Just("world"),
        Just("auth"),
        Just("digest"),
        Just("ip"),
        Just("x509"),
        Just("sasl"),
        Just("super"),
        Just("kerberos"),
    ];
    (scheme, text()).prop_map(|(scheme, id)| Identity { scheme: scheme.into(), id })
}

fn access_list() -> impl Strategy<Value = Option<Vec<Ace>>> {
    let anyone = || Identity { scheme: "world".into(), id: "anyone".into() };
    let ace = (any::<u32>(), identity()).prop_map(|(perms, identity)| Ace { perms, identity });
    prop_oneof![
        Just(Some(vec![Ace { perms: 31, identity: anyone() }])),
        Just(Some(vec![Ace { perms: 1, identity: anyone() }])),
        option::of(vec(ace, 0..3)),
    ]
}

fn data() -> impl Strategy<Value = Option<Bytes>> {
    option::of(vec(any::<u8>(), 0..9).prop_map(Bytes::from))
}

fn mode() -> impl Strategy<Value = CreateMode> {
    (any::<bool>(), any::<u64>(), 0..4).prop_map(|(sequential, ttl_ms, kind)| match kind {
        0 => CreateMode::Persistent { sequential },
        1 => CreateMode::Ephemeral { sequential },
        2 => CreateMode::Container,
        _ => CreateMode::Ttl { sequential, ttl_ms },
    })
}

fn operation() -> impl Strategy<Value = MultiOp> {
    let version = any::<i32>;
    prop_oneof![
        (text(), data(), access_list(), mode())
            .prop_map(|(path, data, acl, mode)| MultiOp::Create { path, data, acl, mode }),
        (text(), version()).prop_map(|(path, version)| MultiOp::Delete { path, version }),
        (text(), data(), version()).prop_map(|(path, data, version)| MultiOp::SetData {
            path,
            data,
            version
        }),
        (text(), version()).prop_map(|(path, version)| MultiOp::CheckVersion { path, version }),
        (text(), any::<bool>(), any::<[u8; 16]>()).prop_map(|(path, whole, hash)| {
            let reach = if whole { Reach::Subtree } else { Reach::Znode };
            MultiOp::CheckHash { path, reach, hash: ContentHash(hash) }
        }),
        (text(), version()).prop_map(|(path, version)| MultiOp::CheckAbsent { path, version }),
        (text(), data(), access_list(), mode())
            .prop_map(|(path, data, acl, mode)| MultiOp::CreateIfAbsent { path, data, acl, mode }),
        (text(), any::<u32>()).prop_map(|(path, limit)| MultiOp::DeleteSubtree { path, limit }),
    ]
}

fn znode_command() -> impl Strategy<Value = Command> {
    let op =
        prop_oneof![
            operation().prop_map(ZnodeOp::Single),
            (text(), access_list(), any::<i32>())
                .prop_map(|(path, acl, version)| ZnodeOp::SetAcl { path, acl, version }),
            vec(operation(), 0..4).prop_map(ZnodeOp::Multi),
            text().prop_map(|path| ZnodeOp::Reap { path }),
            (text(), any::<u64>())
                .prop_map(|(path, unused_ms)| ZnodeOp::ReapUnused { path, unused_ms }),
            text().prop_map(|lines| ZnodeOp::SetConfig { lines }),
        ];
    let session = option::of((any::<i64>(), any::<u64>()));
    (session, vec(identity(), 0..3), op).prop_map(|(session, identities, op)| {
        let session = session.map(|(id, attachment)| (SessionId(id), Attachment(attachment)));
        let caller = Caller { session, identities: identities.into() };
        Command::Znode(ZnodeCommand { caller, op })
    })
}

fn session_command() -> impl Strategy<Value = Command> {
    let parts =
        (any::<i64>(), any::<[u8; 16]>(), any::<u32>(), any::<u64>(), vec(identity(), 0..3), 0..5);
    parts.prop_map(|(session, password, timeout_ms, attachment, identities, kind)| {
        let (session, attachment) = (SessionId(session), Attachment(attachment));
        Command::Session(match kind {
            0 => SessionCommand::Open { session, password, timeout_ms, attachment },
            1 => SessionCommand::Attach { session, password, timeout_ms, attachment },
            2 => SessionCommand::Close { session, attachment },
            3 => SessionCommand::Expire { session, attachment },
            _ => {
                let identities = identities.into();
                SessionCommand::Identify { session, attachment, identities }
            }
        })
    })
}

fn batch() -> impl Strategy<Value = Batch> {
    let command = prop_oneof![4 => znode_command(), 1 => session_command()];
    (any::<u64>(), any::<u64>(), vec(command, 0..3)).prop_map(|(time_ms, sequence, commands)| {
        Batch { time_ms, origin: MemberId(1), incarnation: 2, sequence, commands }
    })
}

fn leader_batch() -> impl Strategy<Value = LeaderBatch> {
    let command = prop_oneof![1 => znode_command(), 2 => session_command()];
    (any::<u64>(), any::<u64>(), any::<u64>(), vec(command, 0..3)).prop_map(
        |(time_ms, term, ticket, commands)| LeaderBatch { time_ms, term, ticket, commands },
    )
}

fn stored_batch() -> impl Strategy<Value = StoredBatch> {
    prop_oneof![batch().prop_map(StoredBatch::Member), leader_batch().prop_map(StoredBatch::Leader),]
}

proptest! {
    #[test]
    fn a_command_reads_back_as_it_was(command in znode_command()) {
        let mut stored = Vec::new();
        command.encode(&mut stored);
        let mut input = Input::new(stored.into());
        prop_assert_eq!(Command::decode(&mut input), Ok(command));
        prop_assert!(input.is_empty());
    }

    #[test]
    fn a_batch_cut_anywhere_is_an_error(batch in stored_batch()) {
        let stored = Bytes::from(batch.to_bytes());
        prop_assert_eq!(StoredBatch::from_bytes(stored.clone()), Ok(batch));
        for end in 0..stored.len() {
            prop_assert!(StoredBatch::from_bytes(stored.slice(..end)).is_err(), "cut at {}", end);
        }
    }

    #[test]
    fn a_damaged_batch_does_not_panic(batch in stored_batch(), at: usize, to: u8) {
        let mut stored = batch.to_bytes();
        let place = at % stored.len();
        stored[place] = to;
        drop(StoredBatch::from_bytes(stored.into()));
    }
}
