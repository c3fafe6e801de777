//! Transactions: order, atomicity, texts.

use std::format;

use super::*;

fn fails(world: &mut World, op: TxnOp) -> String {
    let errors = world.txn([op].into()).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert_eq!(world.topics, []);
    errors[0].1.clone()
}

fn get(key: &str) -> TxnOp {
    TxnOp::Get { key: bytes(key) }
}

#[test]
fn a_get_sees_an_earlier_set_and_writes_print_no_value() {
    let mut world = World::default();
    let results = world.txn([TxnOp::Kv(set("k", "v")), get("k")].into()).unwrap();
    let entry = world.entry("k").clone();
    assert_eq!(entry.modify_index, world.revision);
    assert_eq!(
        results,
        [
            TxnResult::Kv { key: bytes("k"), entry: entry.clone(), with_value: false },
            TxnResult::Kv { key: bytes("k"), entry, with_value: true },
        ]
    );
}

#[test]
fn deletes_and_check_not_exists_have_no_result() {
    let mut world = World::default();
    let index = world.set("a", "v");
    world.set("b", "v");
    world.set("c/1", "v");
    let results = world
        .txn(
            [
                TxnOp::CheckNotExists { key: bytes("x") },
                TxnOp::Kv(delete_cas("a", index)),
                TxnOp::Kv(KvOp::Delete { key: bytes("b") }),
                TxnOp::Kv(KvOp::DeleteTree { prefix: bytes("c/") }),
            ]
            .into(),
        )
        .unwrap();
    assert_eq!(results, []);
    assert!(world.consul.kv().is_empty());
}

#[test]
fn all_failures_are_listed_and_nothing_is_applied() {
    let mut world = World::default();
    let index = world.set("k", "v");
    let digest = world.consul.digest();
    let errors = world
        .txn([get("x"), TxnOp::Kv(set("new", "v")), get("y"), TxnOp::Kv(cas("k", "w", 9))].into())
        .unwrap_err();
    assert_eq!(
        errors,
        [
            (0, "key \"x\" doesn't exist".to_string()),
            (2, "key \"y\" doesn't exist".to_string()),
            (3, "failed to set key \"k\", index is stale".to_string()),
        ]
    );
    assert_eq!(world.consul.digest(), digest);
    assert_eq!(world.consul.kv().index(), index);
    assert_eq!(world.topics, []);
}

#[test]
fn a_failed_transaction_takes_back_every_cascade() {
    let mut world = World::default();
    world.register(with_service("n", service("web")));
    world.register(with_check("n", service_check("c", "web", CheckStatus::Passing)));
    let session = NewSession {
        lock_delay_ns: 1_000_000_000,
        service_checks: Some(["c".into()].into()),
        ..on("n", 1)
    };
    world.create(session).unwrap();
    assert!(world.acquire("k", 1));
    let digest = world.consul.digest();
    let node = "n".into();
    world.txn([TxnOp::NodeDelete { node, cas: None }, get("missing")].into()).unwrap_err();
    assert_eq!(world.consul.digest(), digest);
    assert!(world.is_live(1));
    assert_eq!(world.consul.catalog().checks_of_service("web").count(), 1);
    assert_eq!(world.consul.kv().lock_delayed_until(b"k"), None);
}

#[test]
fn key_verbs_fail_with_consuls_texts() {
    let mut world = World::with_session(1);
    world.create(on("n", 2)).unwrap();
    let index = world.set("k", "v");
    assert!(world.acquire("held", 1));
    let one = ConsulSessionId(1);
    let two = ConsulSessionId(2);
    for (op, what) in [
        (get("x"), "key \"x\" doesn't exist".to_string()),
        (TxnOp::CheckNotExists { key: bytes("k") }, "key \"k\" exists".into()),
        (TxnOp::Kv(cas("k", "w", 1)), "failed to set key \"k\", index is stale".into()),
        (TxnOp::Kv(delete_cas("k", 1)), "failed to delete key \"k\", index is stale".into()),
        (
            TxnOp::Kv(acquire("held", "w", 2)),
            "failed to lock key \"held\", lock is already held".into(),
        ),
        (TxnOp::Kv(acquire("k", "w", 9)), format!("invalid session \"{}\"", ConsulSessionId(9))),
        (
            TxnOp::Kv(release("held", 2)),
            "failed to unlock key \"held\", lock isn't held, or is held by another session".into(),
        ),
        (
            TxnOp::CheckSession { key: bytes("k"), session: one },
            format!("failed session check for key \"k\", current session \"\" != \"{one}\""),
        ),
        (
            TxnOp::CheckSession { key: bytes("held"), session: two },
            format!(
                "failed session check for key \"held\", current session \"{one}\" != \"{two}\""
            ),
        ),
        (
            TxnOp::CheckSession { key: bytes("x"), session: one },
            "failed to check session, key \"x\" doesn't exist".into(),
        ),
        (
            TxnOp::CheckIndex { key: bytes("k"), index: 1_000 },
            format!("failed index check for key \"k\", current modify index {index} != 1000"),
        ),
        (
            TxnOp::CheckIndex { key: bytes("x"), index: 1 },
            "failed to check index, key \"x\" doesn't exist".into(),
        ),
        (TxnOp::Kv(set("", "v")), "Must provide key".into()),
        (get(""), "Must provide key".into()),
        (TxnOp::CheckNotExists { key: bytes("") }, "Must provide key".into()),
    ] {
        assert_eq!(fails(&mut world, op), what);
    }
}

#[test]
fn without_a_session_a_check_asks_whether_nobody_holds_the_key() {
    let mut world = World::with_session(1);
    world.set("free", "v");
    assert!(world.acquire("held", 1));
    let check = |key: &str| TxnOp::CheckHolder { key: bytes(key), holder: "".into() };
    let set = TxnOp::Kv(set("free", "w"));
    assert_eq!(world.txn(Vec::from([check("free"), set])).map(|results| results.len()), Ok(2));
    let one = ConsulSessionId(1);
    assert_eq!(
        fails(&mut world, check("held")),
        format!("failed session check for key \"held\", current session \"{one}\" != \"\"")
    );
    let no_id = TxnOp::CheckHolder { key: bytes("held"), holder: "nobody".into() };
    assert_eq!(
        fails(&mut world, no_id),
        format!("failed session check for key \"held\", current session \"{one}\" != \"nobody\"")
    );
}

#[test]
fn an_operation_that_nobody_can_carry_out_is_told_beside_the_others() {
    let mut world = World::default();
    let fail = || TxnOp::Fail { what: "unknown KV verb \"bogus\"".into() };
    let errors =
        world.txn(Vec::from([get("x"), fail(), TxnOp::Kv(set("k", "v")), get("y")])).unwrap_err();
    let told: Vec<_> = errors.iter().map(|error| (error.0, &*error.1)).collect();
    assert_eq!(
        told,
        [
            (0, "key \"x\" doesn't exist"),
            (1, "unknown KV verb \"bogus\""),
            (3, "key \"y\" doesn't exist"),
        ]
    );
    assert!(world.consul.kv().get(b"k").is_none());
}

#[test]
fn a_lock_during_its_delay_fails_with_its_own_text() {
    let mut world = World::with_session(1);
    world.create(NewSession { lock_delay_ns: 15_000_000_000, ..on("n", 2) }).unwrap();
    assert!(world.acquire("k", 2));
    world.destroy(2);
    let what = fails(&mut world, TxnOp::Kv(acquire("k", "v", 1)));
    assert_eq!(what, "failed to lock key \"k\" due to lock delay");
}

#[test]
fn catalog_verbs_fail_with_consuls_texts() {
    let mut world = World::default();
    world.register(with_service("n", service("web")));
    world.register(with_check("n", check("c", CheckStatus::Passing)));
    let node = || -> Box<str> { "n".into() };
    let stale = Some(99);
    let web = Box::new(service("web"));
    let new_node = NewNode { name: "n".into(), ..NewNode::default() };
    let c = Box::new(check("c", CheckStatus::Warning));
    let lost = Box::new(service_check("c", "lost", CheckStatus::Warning));
    for (op, what) in [
        (TxnOp::NodeGet { node: "x".into() }, "node \"x\" doesn't exist"),
        (
            TxnOp::NodeSet { node: new_node.clone(), cas: stale },
            "failed to set node \"n\", index is stale",
        ),
        (
            TxnOp::NodeSet { node: new_node, cas: Some(0) },
            "failed to set node \"n\", index is stale",
        ),
        (
            TxnOp::NodeDelete { node: node(), cas: stale },
            "failed to delete node \"n\", index is stale",
        ),
        (
            TxnOp::ServiceGet { node: node(), service_id: "s".into() },
            "service \"s\" on node \"n\" doesn't exist",
        ),
        (
            TxnOp::ServiceSet { node: node(), service: web.clone(), cas: stale },
            "failed to set service \"web\" on node \"n\", index is stale",
        ),
        (
            TxnOp::ServiceSet { node: "x".into(), service: web, cas: None },
            "Missing node registration",
        ),
        (
            TxnOp::ServiceDelete { node: node(), service_id: "web".into(), cas: stale },
            "failed to delete service \"web\" on node \"n\", index is stale",
        ),
        (
            TxnOp::CheckGet { node: node(), check_id: "x".into() },
            "check \"x\" on node \"n\" doesn't exist",
        ),
        (
            TxnOp::CheckSet { node: node(), check: c, cas: stale },
            "failed to set check \"c\" on node \"n\", index is stale",
        ),
        (
            TxnOp::CheckSet { node: node(), check: lost, cas: None },
            "Missing service registration on node \"n\"",
        ),
        (
            TxnOp::CheckDelete { node: node(), check_id: "c".into(), cas: stale },
            "failed to delete check \"c\" on node \"n\", index is stale",
        ),
    ] {
        assert_eq!(fails(&mut world, op), what);
    }
}

#[test]
fn catalog_verbs_set_read_and_delete_by_index() {
    let mut world = World::default();
    let node: Box<str> = "n".into();
    let results = world
        .txn(
            [
                TxnOp::NodeSet {
                    node: NewNode { name: node.clone(), ..NewNode::default() },
                    cas: Some(0),
                },
                TxnOp::ServiceSet {
                    node: node.clone(),
                    service: Box::new(service("web")),
                    cas: Some(0),
                },
                TxnOp::CheckSet {
                    node: node.clone(),
                    check: Box::new(service_check("c", "web", CheckStatus::Passing)),
                    cas: None,
                },
                TxnOp::CheckGet { node: node.clone(), check_id: "c".into() },
            ]
            .into(),
        )
        .unwrap();
    let catalog = world.consul.catalog();
    assert_eq!(
        results,
        [
            TxnResult::Node(catalog.node("n").unwrap().clone()),
            TxnResult::Service(catalog.service("n", "web").unwrap().clone()),
            TxnResult::Check(catalog.check("n", "c").unwrap().clone()),
            TxnResult::Check(catalog.check("n", "c").unwrap().clone()),
        ]
    );
    let cas = Some(world.revision);
    let deletes = [
        TxnOp::CheckDelete { node: node.clone(), check_id: "c".into(), cas },
        TxnOp::ServiceDelete { node: node.clone(), service_id: "web".into(), cas },
        TxnOp::NodeDelete { node, cas },
    ];
    assert_eq!(world.txn(deletes.into()), Ok(Vec::new()));
    assert_eq!(world.consul.catalog().nodes().count(), 0);
}

#[test]
fn get_or_empty_answers_an_empty_entry_and_get_tree_any_number() {
    let mut world = World::default();
    world.set("a/1", "v");
    world.set("a/2", "v");
    let ops = [
        TxnOp::GetOrEmpty { key: bytes("x") },
        TxnOp::GetTree { prefix: bytes("a/") },
        TxnOp::GetTree { prefix: bytes("none") },
    ];
    assert!(ops.iter().all(TxnOp::is_read));
    let results = world.consul.read_txn(&ops).unwrap();
    assert_eq!(results.len(), 3);
    assert!(matches!(
        &results[0],
        TxnResult::Kv { key, entry, with_value: true }
            if key == "x" && entry.modify_index == 0 && entry.value.is_empty()
    ));
    assert_eq!(world.txn(ops.into()), Ok(results));
}

#[test]
fn a_read_only_transaction_refuses_to_write() {
    let world = World::default();
    let ops = [TxnOp::Kv(set("k", "v"))];
    assert!(!ops[0].is_read());
    assert_eq!(world.consul.read_txn(&ops).unwrap_err().len(), 1);
}

#[test]
fn names_in_texts_are_quoted_as_go_quotes_them() {
    let mut world = World::default();
    let key = Bytes::from_static(b"a\"\n\xff");
    let what = fails(&mut world, TxnOp::Get { key });
    assert_eq!(what, "key \"a\\\"\\n\\xff\" doesn't exist");
}

#[test]
fn a_tree_asked_for_many_times_is_refused_before_it_fills_memory() {
    let mut world = World::default();
    let value = "v".repeat(512 << 10);
    for key in ["a", "b", "c"] {
        world.set(key, &value);
    }
    let trees = |count| std::vec![TxnOp::GetTree { prefix: bytes("") }; count];
    assert_eq!(world.txn(trees(80)).unwrap().len(), 240);
    let errors = world.txn(trees(128)).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert!(errors[0].1.contains("read large trees with ?recurse"), "{}", errors[0].1);
    let read = world.consul.read_txn(&trees(128)).unwrap_err();
    assert_eq!(read.len(), 1);
}
