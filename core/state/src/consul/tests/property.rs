//! Random commands: the invariants hold after each, no index goes backwards,
//! and the stored form holds everything.

use std::collections::BTreeMap;
use std::vec;

use proptest::collection::vec as vec_of;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::codec::{CodecError, Decode, Encode};
use crate::consul::ledger::tag;
use crate::consul::{
    AutopilotSettings, Dependency, IntentionId, NewConfigEntry, NewIntention, NewQuery, QueryId,
    TaggedAddress,
};
use crate::digest::Hasher;

const KEYS: [&str; 7] = ["a", "a/", "a/b", "a/b/c", "ab", "b", ""];
const NAMES: [&str; 4] = ["n", "N", "m", "o"];
const SERVICES: [&str; 4] = ["web", "Web", "api", "db"];
const CHECKS: [&str; 4] = ["serfHealth", "c1", "c2", "c3"];

fn key() -> impl Strategy<Value = Bytes> {
    select(KEYS.to_vec()).prop_map(bytes)
}

fn text(from: &'static [&'static str]) -> impl Strategy<Value = Box<str>> {
    select(from.to_vec()).prop_map(Into::into)
}

fn session_id() -> impl Strategy<Value = ConsulSessionId> {
    (1_u128..5).prop_map(ConsulSessionId)
}

fn index() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 1_u64..40]
}

fn kv_op() -> impl Strategy<Value = KvOp> {
    let value = || select(vec!["", "x", "y"]).prop_map(bytes);
    prop_oneof![
        (key(), value(), 0_u64..2).prop_map(|(key, value, flags)| KvOp::Set { key, value, flags }),
        (key(), value(), index()).prop_map(|(key, value, index)| KvOp::Cas {
            key,
            value,
            flags: 0,
            index
        }),
        (key(), value(), session_id()).prop_map(|(key, value, session)| KvOp::Acquire {
            key,
            value,
            flags: 0,
            session
        }),
        (key(), value(), session_id()).prop_map(|(key, value, session)| KvOp::Release {
            key,
            value,
            flags: 0,
            session
        }),
        key().prop_map(|key| KvOp::Delete { key }),
        (key(), index()).prop_map(|(key, index)| KvOp::DeleteCas { key, index }),
        key().prop_map(|prefix| KvOp::DeleteTree { prefix }),
    ]
}

fn map() -> impl Strategy<Value = Option<BTreeMap<Box<str>, Box<str>>>> {
    let entry = (text(&["k", "depends-on"]), text(&["", "v", "db, api?"]));
    option::of(vec_of(entry, 0..2).prop_map(|entries| entries.into_iter().collect()))
}

fn new_node() -> impl Strategy<Value = NewNode> {
    (text(&NAMES), text(&["", "id-1", "id-2"]), text(&["10.0.0.1", "10.0.0.2"]), map()).prop_map(
        |(name, id, address, meta)| NewNode { name, id, address, meta, ..NewNode::default() },
    )
}

fn new_service() -> impl Strategy<Value = NewService> {
    let tags = vec_of(text(&["t", "u"]), 0..2);
    let depends_on = prop_oneof![3 => Just(Vec::new()), 1 => vec_of(dependency(), 1..3)];
    (text(&["", "1", "2"]), text(&SERVICES), tags, 0_i64..2, map(), depends_on).prop_map(
        |(id, name, tags, port, meta, depends_on)| {
            let lan = TaggedAddress { address: "10.1.1.1".into(), port };
            let tagged_addresses = [("lan".into(), lan)].into();
            NewService {
                id,
                name,
                tags,
                port,
                meta,
                tagged_addresses,
                depends_on,
                ..NewService::default()
            }
        },
    )
}

fn dependency() -> impl Strategy<Value = Dependency> {
    (text(&SERVICES), any::<bool>(), text(&["", "t"]))
        .prop_map(|(name, optional, tag)| Dependency { name, optional, tag })
}

fn new_check() -> impl Strategy<Value = NewCheck> {
    let status = select(vec![CheckStatus::Passing, CheckStatus::Warning, CheckStatus::Critical]);
    (text(&CHECKS), status, text(&["", "1", "2", "web"]))
        .prop_map(|(id, status, service_id)| NewCheck { service_id, ..check(&id, status) })
}

fn new_session() -> impl Strategy<Value = NewSession> {
    let checks = || vec_of(text(&CHECKS), 0..2);
    (session_id(), text(&NAMES), checks(), option::of(checks()), any::<bool>(), 0_i64..3).prop_map(
        |(id, node, node_checks, service_checks, delete, delay)| NewSession {
            id,
            node_checks,
            service_checks,
            behavior: if delete { SessionBehavior::Delete } else { SessionBehavior::Release },
            lock_delay_ns: delay * 1_000_000,
            ..on(&node, 0)
        },
    )
}

fn query_id() -> impl Strategy<Value = QueryId> {
    (1_u128..4).prop_map(QueryId)
}

fn new_query() -> impl Strategy<Value = NewQuery> {
    let names = || text(&["", "q", "Q", "qr"]);
    (query_id(), names(), any::<bool>(), option::weighted(0.3, session_id())).prop_map(
        |(id, name, template, session)| NewQuery {
            id,
            name,
            template,
            session,
            definition: "{}".into(),
        },
    )
}

fn txn_op() -> impl Strategy<Value = TxnOp> {
    let cas = || option::weighted(0.2, index());
    let id = || text(&["1", "2", "web", "c1"]);
    prop_oneof![
        6 => kv_op().prop_map(TxnOp::Kv),
        1 => key().prop_map(|key| TxnOp::Get { key }),
        1 => key().prop_map(|key| TxnOp::GetOrEmpty { key }),
        1 => key().prop_map(|prefix| TxnOp::GetTree { prefix }),
        1 => (key(), index()).prop_map(|(key, index)| TxnOp::CheckIndex { key, index }),
        1 => (key(), session_id()).prop_map(|(key, session)| TxnOp::CheckSession { key, session }),
        1 => (key(), option::of(session_id())).prop_map(|(key, session)| {
            let holder = session.map(|session| session.to_string()).unwrap_or_default();
            TxnOp::CheckHolder { key, holder: holder.into() }
        }),
        1 => key().prop_map(|key| TxnOp::CheckNotExists { key }),
        1 => text(&["no such verb"]).prop_map(|what| TxnOp::Fail { what }),
        2 => (new_node(), cas()).prop_map(|(node, cas)| TxnOp::NodeSet { node, cas }),
        1 => text(&NAMES).prop_map(|node| TxnOp::NodeGet { node }),
        1 => (text(&NAMES), cas()).prop_map(|(node, cas)| TxnOp::NodeDelete { node, cas }),
        2 => (text(&NAMES), new_service(), cas()).prop_map(|(node, service, cas)| {
            TxnOp::ServiceSet { node, service: Box::new(service), cas }
        }),
        1 => (text(&NAMES), id())
            .prop_map(|(node, service_id)| TxnOp::ServiceGet { node, service_id }),
        1 => (text(&NAMES), id(), cas())
            .prop_map(|(node, service_id, cas)| TxnOp::ServiceDelete { node, service_id, cas }),
        2 => (text(&NAMES), new_check(), cas()).prop_map(|(node, check, cas)| {
            TxnOp::CheckSet { node, check: Box::new(check), cas }
        }),
        1 => (text(&NAMES), id()).prop_map(|(node, check_id)| TxnOp::CheckGet { node, check_id }),
        1 => (text(&NAMES), id(), cas())
            .prop_map(|(node, check_id, cas)| TxnOp::CheckDelete { node, check_id, cas }),
    ]
}

fn command() -> impl Strategy<Value = ConsulCommand> {
    let registration = (new_node(), any::<bool>(), vec_of(new_service(), 0..3));
    let registration = (registration, vec_of(new_check(), 0..3)).prop_map(
        |((node, skip_node_update, services), checks)| Registration {
            node,
            skip_node_update,
            services,
            checks,
        },
    );
    let service_id = option::weighted(0.3, text(&["1", "2", "web"]));
    prop_oneof![
        8 => kv_op().prop_map(ConsulCommand::Kv),
        4 => vec_of(txn_op(), 0..5).prop_map(ConsulCommand::Txn),
        6 => registration
            .prop_map(|registration| ConsulCommand::Register(Box::new(registration))),
        2 => (text(&NAMES), service_id, option::weighted(0.6, text(&CHECKS))).prop_map(
            |(node, service_id, check_id)| ConsulCommand::Deregister { node, service_id, check_id },
        ),
        4 => new_session().prop_map(|session| ConsulCommand::CreateSession(Box::new(session))),
        1 => session_id().prop_map(|session| ConsulCommand::DestroySession { session }),
        1 => (new_query(), any::<bool>()).prop_map(|(query, create)| {
            ConsulCommand::SetQuery { query: Box::new(query), create }
        }),
        1 => query_id().prop_map(|query| ConsulCommand::DeleteQuery { query }),
        2 => (text(&NAMES), text(&["{}", "[]"]), option::weighted(0.2, index())).prop_map(
            |(name, definition, cas)| ConsulCommand::SetConfigEntry {
                entry: Box::new(NewConfigEntry { kind: "mesh".into(), name, definition }),
                cas,
            }
        ),
        1 => (text(&NAMES), option::weighted(0.2, index())).prop_map(|(name, cas)| {
            ConsulCommand::DeleteConfigEntry { kind: "mesh".into(), name, cas }
        }),
        2 => (query_id(), text(&NAMES), text(&NAMES), any::<bool>()).prop_map(
            |(id, source, destination, create)| {
                let (id, definition) = (IntentionId(id.0), "{}".into());
                let intention = NewIntention { id, source, destination, definition };
                ConsulCommand::SetIntention { intention: Box::new(intention), create }
            }
        ),
        1 => query_id().prop_map(|id| ConsulCommand::DeleteIntention { intention: IntentionId(id.0) }),
        1 => (0_u64..2, option::of(index())).prop_map(|(min_quorum, cas)| {
            let settings = AutopilotSettings { min_quorum, ..AutopilotSettings::default() };
            ConsulCommand::SetAutopilot { settings: Box::new(settings), cas }
        }),
    ]
}

/// What every blocking read would report now.
fn indexes(consul: &Consul) -> Vec<u64> {
    let (kv, catalog) = (consul.kv(), consul.catalog());
    let mut indexes =
        vec![catalog.nodes_index(), catalog.services_index(), catalog.checks_index(), kv.index()];
    indexes.push(catalog.graph_index());
    indexes.push(consul.sessions().index());
    indexes.extend(KEYS.map(|key| kv.key_index(key.as_bytes())));
    indexes.extend(KEYS.map(|key| kv.prefix_index(key.as_bytes())));
    indexes.extend(NAMES.map(|name| catalog.node_index(name)));
    indexes.extend(SERVICES.map(|name| catalog.service_index(name)));
    indexes
}

/// What every blocking read would answer now, and the topic it waits on.
fn answers(consul: &Consul) -> Vec<(Topic, String)> {
    let (kv, catalog) = (consul.kv(), consul.catalog());
    let mut answers = Vec::new();
    for key in KEYS {
        answers.push((key_topic(key), std::format!("{:?}", kv.get(key.as_bytes()))));
    }
    for name in ["n", "m", "o"] {
        let services: Vec<_> = catalog.services_on(name).collect();
        let checks: Vec<_> = catalog.checks_on(name).collect();
        let answer = std::format!("{:?} {services:?} {checks:?}", catalog.node(name));
        answers.push((Topic::Node(name.into()), answer));
    }
    for name in ["web", "api", "db"] {
        let instances: Vec<_> = catalog
            .instances(name)
            .map(|instance| {
                let checks: Vec<_> = instance.checks().collect();
                std::format!("{:?} {:?} {checks:?}", instance.node(), instance.service())
            })
            .collect();
        answers.push((service_topic(name), std::format!("{instances:?}")));
    }
    let graph = catalog.has_graph_index().then(|| std::format!("{:?}", catalog.graph()));
    answers.push((Topic::Graph, graph.unwrap_or_default()));
    let nodes: Vec<_> = catalog.nodes().collect();
    answers.push((Topic::Nodes, std::format!("{nodes:?}")));
    let services: Vec<_> = catalog.services().collect();
    answers.push((Topic::Services, std::format!("{services:?}")));
    let checks: Vec<_> = catalog.checks().collect();
    answers.push((Topic::Checks, std::format!("{checks:?}")));
    let sessions: Vec<_> = consul.sessions().iter().collect();
    answers.push((Topic::Sessions, std::format!("{sessions:?}")));
    let queries: Vec<_> = consul.queries().iter().collect();
    answers.push((Topic::PreparedQueries, std::format!("{queries:?}")));
    let entries: Vec<_> = consul.mesh().entries().collect();
    answers.push((Topic::ConfigEntries, std::format!("{entries:?}")));
    let intentions: Vec<_> = consul.mesh().intentions().collect();
    answers.push((Topic::Intentions, std::format!("{intentions:?}")));
    answers
}

fn encoded(command: &ConsulCommand) -> Bytes {
    let mut out = Vec::new();
    command.encode(&mut out);
    out.into()
}

proptest! {
    #[test]
    fn invariants_hold_after_every_command(commands in vec_of((command(), 0_u64..3), 1..60)) {
        let mut world = World::default();
        world.consul.rehash(Hasher::new(7));
        for (command, passed_ms) in commands {
            world.time_ms += passed_ms;
            let before = (indexes(&world.consul), answers(&world.consul), world.consul.digest());
            let result = world.apply(command);
            let after = (indexes(&world.consul), answers(&world.consul));
            for (old, new) in before.0.iter().zip(&after.0) {
                prop_assert!(new >= old, "{:?} then {:?}", before.0, after.0);
            }
            for (old, new) in before.1.iter().zip(&after.1) {
                prop_assert!(old == new || world.topics.contains(&old.0), "nobody told {:?}", new);
            }
            if result.is_err() {
                prop_assert_eq!(&before.0, &after.0);
                prop_assert_eq!(&world.topics, &[]);
            }
        }
        let restored = world.restored();
        prop_assert_eq!(restored.check_invariants(), Ok(()));
        prop_assert_eq!(restored.digest(), world.consul.digest());
        prop_assert_eq!(indexes(&restored), indexes(&world.consul));
        prop_assert_eq!(answers(&restored), answers(&world.consul));
        prop_assert!(restored.kv().lock_delays().eq(world.consul.kv().lock_delays()));
        prop_assert!(restored.kv().tombstones().iter().eq(world.consul.kv().tombstones().iter()));
    }

    #[test]
    fn a_command_reads_back_as_it_was(command in command()) {
        let stored = encoded(&command);
        let mut input = Input::new(stored);
        prop_assert_eq!(ConsulCommand::decode(&mut input), Ok(command));
        prop_assert!(input.is_empty());
    }

    #[test]
    fn a_command_cut_short_is_an_error(command in command()) {
        let stored = encoded(&command);
        for len in 0..stored.len() {
            let result = ConsulCommand::decode(&mut Input::new(stored.slice(..len)));
            prop_assert!(result.is_err(), "{} of {} bytes", len, stored.len());
        }
    }

    #[test]
    fn a_damaged_command_or_record_never_panics(
        garbage in vec_of(any::<u8>(), 0..64),
        tag in tag::KEY..=63,
        mut command in command().prop_map(|command| encoded(&command).to_vec()),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let place = place.index(command.len());
        command[place] = byte;
        let _ = ConsulCommand::decode(&mut Input::new(command.into()));
        let _ = Consul::default().restore_record(tag, Input::new(garbage.into()));
    }
}

#[test]
fn a_command_of_an_unknown_version_is_an_error() {
    let mut stored = encoded(&ConsulCommand::Kv(set("k", "v"))).to_vec();
    stored[0] = 9;
    assert!(matches!(
        ConsulCommand::decode(&mut Input::new(stored.into())),
        Err(CodecError::UnknownTag { what: "Consul command version", tag: 9 })
    ));
}

#[test]
fn the_first_stored_form_stays_readable() {
    let stored = b"\x01\x00\x00\x01\x00\x00\x00k\x02\x00\x00\x00hi\x07\0\0\0\0\0\0\0";
    let op = KvOp::Set { key: bytes("k"), value: bytes("hi"), flags: 7 };
    let command = ConsulCommand::Kv(op);
    assert_eq!(&*encoded(&command), stored);
    assert_eq!(ConsulCommand::decode(&mut Input::new(Bytes::from_static(stored))), Ok(command));
}

#[test]
fn a_record_cut_short_is_an_error() {
    let mut world = World::default();
    let mut registration = with_service("n", service("web"));
    registration.checks.push(service_check("c", "web", CheckStatus::Passing));
    world.register(registration);
    world.create(NewSession { lock_delay_ns: 5_000_000, ..on("n", 1) }).unwrap();
    world.acquire("k", 1);
    world.set("gone", "v");
    world.delete("gone");
    world.create(on("n", 2)).unwrap();
    world.destroy(1);
    let query = NewQuery {
        id: QueryId(1),
        name: "q".into(),
        template: false,
        session: Some(ConsulSessionId(2)),
        definition: "{}".into(),
    };
    world.apply(ConsulCommand::SetQuery { query: Box::new(query), create: true }).unwrap();
    let mut restored = Consul::default();
    let mut tags = std::collections::BTreeSet::new();
    let read_back = world.consul.snapshot_records(&mut |tag, stored| {
        tags.insert(tag);
        let stored = Bytes::copy_from_slice(stored);
        for len in 0..stored.len() {
            restored.restore_record(tag, Input::new(stored.slice(..len))).unwrap_err();
        }
        restored.restore_record(tag, Input::new(stored))
    });
    assert_eq!(read_back, Ok(()));
    assert_eq!(
        tags.into_iter().collect::<Vec<_>>(),
        (tag::KEY..=tag::QUERY_INDEXES).collect::<Vec<_>>()
    );
    assert_eq!(restored.digest(), world.consul.digest());
}
