//! What holds between Consul's tables, broken on purpose. What holds within one
//! has its test beside the table.

use super::*;
use crate::consul::{NodeCoordinate, PreparedQuery, QueryId};

/// A node with a check, a session that depends on it, and a key it locked.
fn world() -> World {
    let mut world = World::default();
    world.register(with_check("n", check("c", CheckStatus::Passing)));
    world.create(NewSession { node_checks: ["c".into()].into(), ..on("n", 1) }).unwrap();
    assert!(world.acquire("k", 1));
    world
}

fn query(session: u128) -> PreparedQuery {
    PreparedQuery {
        id: QueryId(1),
        name: "q".into(),
        template: false,
        session: Some(ConsulSessionId(session)),
        definition: "{}".into(),
        create_index: 1,
        modify_index: 1,
    }
}

#[test]
fn what_one_table_says_of_another_is_compared() {
    type Damage = fn(&mut Consul);
    let damages: [(&str, &str, Damage); 7] = [
        ("A6", "locked by a session that ended", |consul| {
            let entry = consul.kv.get(b"k").unwrap().clone();
            let entry = KvEntry { session: Some(ConsulSessionId(9)), ..entry };
            consul.kv.put(&mut consul.ledger, &bytes("k"), Some(entry));
        }),
        ("A6", "without its node or checks", |consul| {
            let check = consul.catalog.check("n", "c").unwrap().clone();
            let mut check = crate::consul::HealthCheck::clone(&check);
            check.status = CheckStatus::Critical;
            consul.catalog.put_check(&mut consul.ledger, "n", "c", Some(check.into()));
        }),
        ("A6", "without its node or checks", |consul| {
            consul.catalog.put_check(&mut consul.ledger, "n", "c", None);
            consul.catalog.put_node(&mut consul.ledger, "n", None);
        }),
        ("A2", "queries have their sessions", |consul| {
            consul.queries.put(&mut consul.ledger, QueryId(1), Some(query(9)));
        }),
        ("A2", "coordinates have their nodes", |consul| {
            let at = NodeCoordinate { node: "gone".into(), coordinate: Default::default() };
            consul.coordinates.put(&mut consul.ledger, "gone", Some(at));
        }),
        ("A2", "coordinates by node", |consul| {
            let at = NodeCoordinate { node: "n".into(), coordinate: Default::default() };
            consul.coordinates.put(&mut consul.ledger, "other", Some(at));
        }),
        ("A2", "the digest of Consul's tables", |consul| {
            consul.ledger.toggle_stored(32, b"nothing is stored so");
        }),
    ];
    for (id, what, damage) in damages {
        let mut consul = world().consul;
        damage(&mut consul);
        let broken = consul.check_invariants().expect_err(what);
        assert_eq!(broken.id(), id, "{broken}");
        assert!(broken.to_string().contains(what), "{broken} is not about {what}");
    }
}

#[test]
fn the_latest_index_is_that_of_the_last_change_of_whatever_table() {
    let mut world = world();
    assert_eq!(world.consul.latest_index(), world.revision);
    assert_eq!(Consul::default().latest_index(), 0);
    world.create(on("n", u128::from(world.revision))).unwrap();
    assert_eq!(world.consul.latest_index(), world.revision);
    world.deregister("n", None, Some("c"));
    assert_eq!(world.consul.latest_index(), world.revision);
    world.set("k", "v");
    assert_eq!(world.consul.latest_index(), world.revision);
    world.register(with_check("n", check("c", CheckStatus::Passing)));
    assert_eq!(world.consul.latest_index(), world.revision);
}
