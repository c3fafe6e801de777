//! What each read reports as its index, and what moves and wakes it.

use super::*;
use crate::consul::tombstone::COUNT_MAX;

#[test]
fn a_key_reports_its_own_index_and_others_do_not_wake_it() {
    let mut world = World::default();
    let index = world.set("k", "v");
    world.set("other", "v");
    assert_eq!(world.topics, [key_topic("other")]);
    assert_eq!(world.consul.kv().key_index(b"k"), index);
}

#[test]
fn a_lock_moves_and_wakes_its_key() {
    let mut world = World::with_session(1);
    world.set("k", "v");
    assert!(world.acquire("k", 1));
    assert_eq!(world.consul.kv().key_index(b"k"), world.revision);
    assert_eq!(world.topics, [key_topic("k")]);
}

#[test]
fn a_deleted_key_reports_a_larger_index_than_it_had() {
    let mut world = World::default();
    world.set("k", "v");
    world.delete("k");
    assert_eq!(world.consul.kv().key_index(b"k"), world.revision);
    assert_eq!(world.topics, [key_topic("k")]);
}

#[test]
fn a_missing_key_reports_the_tables_index() {
    let mut world = World::default();
    assert_eq!(world.consul.kv().key_index(b"k"), 0);
    let index = world.set("other", "v");
    assert_eq!(world.consul.kv().key_index(b"k"), index);
}

#[test]
fn a_prefix_reports_the_largest_index_under_it() {
    let mut world = World::default();
    world.set("p/a", "v");
    let index = world.set("p/b", "v");
    world.set("q", "v");
    assert_eq!(world.consul.kv().prefix_index(b"p/"), index);
    assert_eq!(world.consul.kv().prefix_index(b""), world.revision);
    assert_eq!(world.consul.kv().prefix_index(b"none"), world.revision);
}

#[test]
fn a_prefix_sees_every_deletion_under_it() {
    let mut world = World::default();
    for key in ["p/a", "p/b", "p/c/1", "p/c/2"] {
        world.set(key, "v");
    }
    world.delete("p/b");
    let deleted = world.revision;
    world.set("q", "v");
    assert_eq!(world.consul.kv().prefix_index(b"p/"), deleted);
    world.delete_tree("p/c");
    let deleted = world.revision;
    world.set("q", "w");
    assert_eq!(world.consul.kv().prefix_index(b"p/"), deleted);
    assert_eq!(world.consul.kv().tombstones().iter().count(), 2);
}

#[test]
fn deleting_everything_moves_every_prefix() {
    let mut world = World::default();
    world.set("p/a", "v");
    world.set("p/b", "v");
    world.delete("p/a");
    world.delete_tree("");
    assert_eq!(world.consul.kv().prefix_index(b"p/"), world.revision);
    assert_eq!(world.consul.kv().prefix_index(b""), world.revision);
}

#[test]
fn forgotten_tombstones_leave_a_floor() {
    let mut world = World::default();
    let kept = world.set("p/kept", "v");
    let Consul { kv, ledger, .. } = &mut world.consul;
    for number in 0..=COUNT_MAX as u64 {
        let key = Bytes::from(number.to_be_bytes().to_vec());
        kv.put_tombstone(ledger, &key, Some(kept + 1 + number));
    }
    world.revision += COUNT_MAX as u64 + 1;
    assert_eq!(world.consul.kv().prefix_index(b"p/"), kept);
    world.set("q", "v");
    assert!(world.consul.kv().tombstones().iter().count() <= COUNT_MAX / 2 + 1);
    let floor = world.consul.kv().prefix_index(b"p/");
    assert_eq!(floor, kept + 1 + COUNT_MAX as u64 / 2);
    let newest = (COUNT_MAX as u64).to_be_bytes();
    assert_eq!(world.consul.kv().prefix_index(&newest), kept + 1 + COUNT_MAX as u64);
}

#[test]
fn a_small_key_does_not_keep_its_log_entry_alive() {
    let mut world = World::default();
    let entry = Bytes::from(std::vec![b'x'; 4096]);
    let op = KvOp::Set { key: entry.slice(..1), value: entry.slice(1..2), flags: 0 };
    assert!(world.kv(op));
    world.topics.clear();
    assert!(entry.is_unique());
}

/// One instance of `web` on `n` with a check of its own and one of the node's,
/// and one of `other` on `m`.
fn two_services() -> World {
    let mut world = World::default();
    let mut registration = with_service("n", service("Web"));
    registration.checks.push(check("node", CheckStatus::Passing));
    registration.checks.push(service_check("own", "Web", CheckStatus::Passing));
    world.register(registration);
    world.register(with_service("m", service("other")));
    world
}

/// Does something and tells whether `web` moved and woke.
fn moves_web(world: &mut World, change: impl FnOnce(&mut World)) -> bool {
    let before = world.consul.catalog().service_index("web");
    change(world);
    let after = world.consul.catalog().service_index("web");
    let woke = world.topics.contains(&service_topic("web"));
    assert_eq!(woke, after > before);
    assert!(!woke || after == world.revision);
    woke
}

#[test]
fn a_service_moves_with_its_instances_their_checks_and_their_nodes() {
    let mut world = two_services();
    let changes: [fn(&mut World); 10] = [
        |world| world.register(with_service("m", NewService { id: "2".into(), ..service("web") })),
        |world| world.register(with_service("n", NewService { port: 1, ..service("Web") })),
        |world| {
            world.register(with_check("n", service_check("own", "Web", CheckStatus::Critical)));
        },
        |world| world.register(with_check("n", check("node", CheckStatus::Warning))),
        |world| {
            let mut registration = node("n");
            registration.node.address = "10.0.0.2".into();
            registration.skip_node_update = false;
            world.register(registration);
        },
        |world| {
            let mut registration = node("n");
            registration.node.address = "10.0.0.2".into();
            registration.checks.push(check("another", CheckStatus::Passing));
            world.register(registration);
        },
        |world| world.deregister("n", None, Some("own")),
        |world| world.deregister("n", None, Some("node")),
        |world| world.deregister("n", None, None),
        |world| world.deregister("m", Some("2"), None),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert!(moves_web(&mut world, change), "change {number}");
    }
}

#[test]
fn a_service_does_not_move_with_another() {
    let mut world = two_services();
    let changes: [fn(&mut World); 4] = [
        |world| world.register(with_service("m", NewService { port: 1, ..service("other") })),
        |world| world.register(with_check("m", check("node", CheckStatus::Critical))),
        |world| world.register(with_service("n", service("third"))),
        |world| world.deregister("m", None, None),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert!(!moves_web(&mut world, change), "change {number}");
    }
}

#[test]
fn registering_the_same_again_moves_nothing() {
    let mut world = two_services();
    let digest = world.consul.digest();
    let mut registration = with_service("n", service("Web"));
    registration.checks.push(check("node", CheckStatus::Passing));
    registration.checks.push(service_check("own", "Web", CheckStatus::Passing));
    world.register(registration);
    assert_eq!(world.topics, []);
    assert_eq!(world.consul.digest(), digest);
}

#[test]
fn an_absent_service_reports_the_last_extinction_and_wakes_on_its_first_instance() {
    let mut world = two_services();
    assert_eq!(world.consul.catalog().service_index("new"), 0);
    world.deregister("m", Some("other"), None);
    let extinction = world.revision;
    assert_eq!(world.consul.catalog().service_index("other"), extinction);
    assert_eq!(world.consul.catalog().service_index("new"), extinction);
    world.register(with_service("m", service("New")));
    assert_eq!(world.consul.catalog().service_index("new"), world.revision);
    assert!(world.topics.contains(&service_topic("new")));
}

#[test]
fn a_renamed_service_moves_both_names() {
    let mut world = two_services();
    world.register(with_service("n", NewService { id: "Web".into(), ..service("api") }));
    assert!(world.topics.contains(&service_topic("web")));
    assert!(world.topics.contains(&service_topic("api")));
    assert_eq!(world.consul.catalog().service_index("web"), world.revision);
    assert_eq!(world.consul.catalog().service_index("api"), world.revision);
}

#[test]
fn each_table_moves_only_with_its_own_records() {
    let mut world = World::default();
    let indexes = |world: &World| {
        let catalog = world.consul.catalog();
        (catalog.nodes_index(), catalog.services_index(), catalog.checks_index())
    };
    world.register(node("n"));
    assert_eq!(indexes(&world), (1, 0, 0));
    world.register(with_service("n", service("web")));
    assert_eq!(indexes(&world), (1, 2, 0));
    world.register(with_check("n", service_check("c", "web", CheckStatus::Passing)));
    assert_eq!(indexes(&world), (1, 2, 3));
    assert_eq!(world.topics, [Topic::Node("n".into()), service_topic("web"), Topic::Checks]);
    world.deregister("n", Some("web"), None);
    assert_eq!(indexes(&world), (1, 4, 4));
    world.deregister("n", None, None);
    assert_eq!(indexes(&world), (5, 4, 4));
}

#[test]
fn a_node_moves_with_all_that_hangs_on_it_and_is_seen_to_go() {
    let mut world = two_services();
    let before = world.consul.catalog().node_index("m");
    world.register(with_check("N", check("node", CheckStatus::Warning)));
    assert_eq!(world.consul.catalog().node_index("n"), world.revision);
    assert_eq!(world.consul.catalog().node_index("m"), before);
    world.deregister("n", None, None);
    assert_eq!(world.consul.catalog().node_index("n"), world.revision);
}

#[test]
fn sessions_move_with_every_session() {
    let mut world = World::with_session(1);
    assert_eq!(world.consul.sessions().index(), world.revision);
    assert_eq!(world.topics, [Topic::Sessions]);
    world.destroy(1);
    assert_eq!(world.consul.sessions().index(), world.revision);
}
