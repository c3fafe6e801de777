//! Set, compare-and-set, lock, unlock, delete.

use super::*;

#[test]
fn a_set_creates_then_updates_and_keeps_the_create_index() {
    let mut world = World::default();
    let created = world.set("k", "1");
    let updated = world.set("k", "2");
    let entry = world.entry("k");
    assert_eq!((entry.create_index, entry.modify_index), (created, updated));
    assert_eq!(entry.value, bytes("2"));
}

#[test]
fn a_set_without_flags_overwrites_them_with_zero() {
    let mut world = World::default();
    assert!(world.kv(KvOp::Set { key: bytes("k"), value: bytes("v"), flags: u64::MAX }));
    assert_eq!(world.entry("k").flags, u64::MAX);
    world.set("k", "v");
    assert_eq!(world.entry("k").flags, 0);
}

#[test]
fn a_set_of_the_same_value_and_flags_moves_nothing_and_wakes_nobody() {
    let mut world = World::default();
    let created = world.set("k", "v");
    world.set("k", "v");
    assert_eq!(world.entry("k").modify_index, created);
    assert_eq!(world.consul.kv().index(), created);
    assert_eq!(world.topics, []);
}

#[test]
fn a_plain_set_of_a_locked_key_keeps_the_holder_and_zeroes_the_lock_index() {
    let mut world = World::with_session(1);
    assert!(world.acquire("k", 1));
    world.set("k", "w");
    let entry = world.entry("k");
    assert_eq!((entry.session, entry.lock_index), (Some(ConsulSessionId(1)), 0));
}

#[test]
fn cas_with_zero_only_creates() {
    let mut world = World::default();
    assert!(world.kv(cas("k", "1", 0)));
    assert!(!world.kv(cas("k", "2", 0)));
    assert_eq!(world.entry("k").value, bytes("1"));
}

#[test]
fn cas_sets_only_at_the_current_modify_index() {
    let mut world = World::default();
    let index = world.set("k", "1");
    assert!(!world.kv(cas("k", "2", index + 1)));
    assert!(!world.kv(cas("missing", "2", 7)));
    assert!(world.kv(cas("k", "2", index)));
    assert_eq!(world.entry("k").value, bytes("2"));
}

#[test]
fn cas_keeps_holder_and_lock_index() {
    let mut world = World::with_session(1);
    assert!(world.acquire("k", 1));
    let index = world.entry("k").modify_index;
    assert!(world.kv(cas("k", "2", index)));
    let entry = world.entry("k");
    assert_eq!((entry.session, entry.lock_index), (Some(ConsulSessionId(1)), 1));
}

#[test]
fn lock_index_counts_acquisitions() {
    let mut world = World::with_session(1);
    world.create(on("n", 2)).unwrap();
    assert!(world.acquire("k", 1));
    assert_eq!(world.entry("k").lock_index, 1);
    assert!(world.kv(acquire("k", "again", 1)));
    assert_eq!(world.entry("k").lock_index, 1);
    assert_eq!(world.entry("k").value, bytes("again"));
    assert!(!world.acquire("k", 2));
    assert_eq!(world.entry("k").session, Some(ConsulSessionId(1)));
    assert!(world.release("k", 1));
    assert_eq!((world.entry("k").lock_index, world.entry("k").session), (1, None));
    assert!(world.acquire("k", 2));
    assert_eq!(world.entry("k").lock_index, 2);
}

#[test]
fn acquiring_again_with_the_same_value_moves_nothing() {
    let mut world = World::with_session(1);
    assert!(world.acquire("k", 1));
    let index = world.entry("k").modify_index;
    assert!(world.acquire("k", 1));
    assert_eq!(world.entry("k").modify_index, index);
    assert_eq!(world.topics, []);
}

#[test]
fn acquiring_for_an_unknown_session_is_refused_with_its_id() {
    let mut world = World::default();
    let rejection = world.apply(ConsulCommand::Kv(acquire("k", "v", 0xab))).unwrap_err();
    let text = "invalid session \"00000000-0000-0000-0000-0000000000ab\"";
    assert_eq!(rejection.to_string(), text);
    assert!(world.consul.kv().is_empty());
}

#[test]
fn only_the_holder_releases() {
    let mut world = World::with_session(1);
    assert!(!world.release("missing", 1));
    world.set("k", "v");
    assert!(!world.release("k", 1));
    assert!(world.acquire("k", 1));
    assert!(!world.release("k", 2));
    let op = KvOp::Release {
        key: bytes("k"),
        value: bytes("bye"),
        flags: 3,
        session: ConsulSessionId(1),
    };
    assert!(world.kv(op));
    let entry = world.entry("k");
    assert_eq!((&entry.value, entry.flags, entry.session), (&bytes("bye"), 3, None));
    assert_eq!(entry.modify_index, world.revision);
}

#[test]
fn deleting_a_missing_key_is_true_and_changes_nothing() {
    let mut world = World::default();
    let index = world.set("other", "v");
    world.delete("k");
    assert_eq!(world.topics, []);
    assert_eq!(world.consul.kv().index(), index);
    assert!(world.kv(delete_cas("k", 0)));
    assert!(world.kv(delete_cas("k", 9)));
    world.delete_tree("k");
    assert_eq!(world.topics, []);
}

#[test]
fn delete_cas_deletes_only_at_the_current_modify_index() {
    let mut world = World::default();
    let index = world.set("k", "v");
    assert!(!world.kv(delete_cas("k", 0)));
    assert!(!world.kv(delete_cas("k", index + 1)));
    assert_eq!(world.consul.kv().len(), 1);
    assert!(world.kv(delete_cas("k", index)));
    assert!(world.consul.kv().is_empty());
}

#[test]
fn delete_tree_takes_a_prefix_of_bytes() {
    let mut world = World::default();
    for key in ["a", "a/b", "ab", "b"] {
        world.set(key, "v");
    }
    world.delete_tree("a/");
    assert_eq!(world.topics, [key_topic("a/b")]);
    world.delete_tree("a");
    assert_eq!(world.topics, [key_topic("a"), key_topic("ab")]);
    world.delete_tree("");
    assert!(world.consul.kv().is_empty());
}

#[test]
fn deleting_a_locked_key_ends_the_lock_but_not_the_session() {
    let mut world = World::with_session(1);
    assert!(world.acquire("k", 1));
    world.delete("k");
    assert!(world.is_live(1));
    assert_eq!(world.consul.kv().held_by(ConsulSessionId(1)).count(), 0);
    assert!(world.acquire("k", 1));
    assert_eq!(world.entry("k").lock_index, 1);
}

#[test]
fn a_prefix_is_not_a_directory_and_order_is_bytewise() {
    let mut world = World::default();
    for key in ["pa", "p/a/b", "p", "p/", "p/a", "q"] {
        world.set(key, "v");
    }
    let keys = |prefix: &'static str| -> Vec<_> {
        world.consul.kv().range(prefix.as_bytes()).map(|(key, _)| key.clone()).collect()
    };
    assert_eq!(keys("p"), ["p", "p/", "p/a", "p/a/b", "pa"]);
    assert_eq!(keys("p/"), ["p/", "p/a", "p/a/b"]);
    assert_eq!(keys("x").len(), 0);
}
