//! Sessions, their ends, and lock delays.

use super::*;

const SECOND_NS: i64 = 1_000_000_000;

/// A node with a passing check, and a session that depends on it and holds `k`.
fn holder(behavior: SessionBehavior, lock_delay_ns: i64) -> World {
    let mut world = World::default();
    world.register(with_check("n", check("alive", CheckStatus::Passing)));
    let node_checks = ["alive".into()].into();
    world.create(NewSession { node_checks, behavior, lock_delay_ns, ..on("n", 1) }).unwrap();
    world.create(on("n", 2)).unwrap();
    assert!(world.acquire("k", 1));
    world
}

#[test]
fn a_session_needs_a_node() {
    let mut world = World::default();
    assert_eq!(world.create(on("n", 1)).unwrap_err().to_string(), "Missing node registration");
}

#[test]
fn a_session_needs_its_checks_and_none_of_them_critical() {
    let mut world = World::default();
    world.register(with_check("n", check("sc", CheckStatus::Critical)));
    world.register(with_check("n", check("warn", CheckStatus::Warning)));
    let with = |id: &str| NewSession { node_checks: [id.into()].into(), ..on("n", 1) };
    let text = |result: Result<Reply, Rejection>| result.unwrap_err().to_string();
    assert_eq!(text(world.create(with("nope"))), "Missing check 'nope' registration");
    assert_eq!(text(world.create(with("sc"))), "Check 'sc' is in critical state");
    let listed = NewSession { service_checks: Some(["sc".into()].into()), ..on("n", 1) };
    assert_eq!(text(world.create(listed)), "Check 'sc' is in critical state");
    assert_eq!(world.create(with("warn")), Ok(Reply::ConsulSession(ConsulSessionId(1))));
}

#[test]
fn a_session_id_is_used_once_while_it_lives() {
    let mut world = World::with_session(1);
    world.create(on("n", 1)).unwrap_err();
    world.destroy(1);
    world.create(on("n", 1)).unwrap();
}

#[test]
fn destroying_an_unknown_session_changes_nothing() {
    let mut world = World::with_session(1);
    let index = world.consul.sessions().index();
    world.destroy(9);
    assert_eq!(world.topics, []);
    assert_eq!(world.consul.sessions().index(), index);
}

#[test]
fn release_behaviour_unlocks_keys_and_moves_their_index() {
    let mut world = holder(SessionBehavior::Release, 0);
    world.destroy(1);
    let entry = world.entry("k");
    assert_eq!((entry.session, entry.lock_index, &entry.value), (None, 1, &bytes("v")));
    assert_eq!(entry.modify_index, world.revision);
    assert_eq!(world.topics, [key_topic("k"), Topic::Sessions]);
}

#[test]
fn delete_behaviour_deletes_keys() {
    let mut world = holder(SessionBehavior::Delete, 0);
    world.destroy(1);
    assert!(world.consul.kv().is_empty());
    assert_eq!(world.topics, [key_topic("k"), Topic::Sessions]);
}

#[test]
fn a_critical_check_ends_the_session_and_a_warning_does_not() {
    let mut world = holder(SessionBehavior::Release, 0);
    world.register(with_check("n", check("alive", CheckStatus::Warning)));
    assert!(world.is_live(1));
    world.register(with_check("n", check("alive", CheckStatus::Critical)));
    assert!(!world.is_live(1));
    assert!(world.is_live(2));
    assert_eq!(world.entry("k").session, None);
}

#[test]
fn a_deleted_check_ends_the_session() {
    let mut world = holder(SessionBehavior::Release, 0);
    world.deregister("N", None, Some("alive"));
    assert!(!world.is_live(1));
    assert!(world.is_live(2));
}

#[test]
fn a_deleted_node_ends_all_its_sessions() {
    let mut world = holder(SessionBehavior::Delete, 0);
    world.register(node("m"));
    world.create(on("m", 3)).unwrap();
    world.deregister("n", None, None);
    assert!(!world.is_live(1) && !world.is_live(2) && world.is_live(3));
    assert!(world.consul.kv().is_empty());
}

#[test]
fn a_deleted_service_ends_the_sessions_of_its_checks() {
    let mut world = World::default();
    world.register(with_service("n", service("web")));
    world.register(with_check("n", service_check("c", "web", CheckStatus::Passing)));
    let service_checks = Some(["c".into()].into());
    world.create(NewSession { service_checks, ..on("n", 1) }).unwrap();
    world.deregister("n", Some("web"), None);
    assert!(!world.is_live(1));
}

#[test]
fn lock_delay_follows_every_end_of_a_session() {
    for end in [
        (|world| world.destroy(1)) as fn(&mut World),
        |world| world.register(with_check("n", check("alive", CheckStatus::Critical))),
        |world| world.deregister("n", None, Some("alive")),
    ] {
        for behavior in [SessionBehavior::Release, SessionBehavior::Delete] {
            let mut world = holder(behavior, 15 * SECOND_NS);
            world.time_ms = 1_000;
            end(&mut world);
            assert_eq!(world.consul.kv().lock_delayed_until(b"k"), Some(16_000));
            world.time_ms = 15_999;
            assert!(!world.acquire("k", 2));
            world.time_ms = 16_000;
            assert!(world.acquire("k", 2));
            assert_eq!(world.consul.kv().lock_delayed_until(b"k"), None);
        }
    }
}

#[test]
fn lock_delay_comes_before_the_session_is_looked_at() {
    let mut world = holder(SessionBehavior::Release, SECOND_NS);
    world.destroy(1);
    assert!(!world.acquire("k", 1));
}

#[test]
fn an_explicit_release_starts_no_lock_delay() {
    let mut world = holder(SessionBehavior::Release, 15 * SECOND_NS);
    assert!(world.release("k", 1));
    assert_eq!(world.consul.kv().lock_delayed_until(b"k"), None);
    assert!(world.acquire("k", 2));
}

#[test]
fn lock_delay_is_zero_short_or_at_most_a_minute() {
    for (lock_delay_ns, end) in
        [(0, None), (-5, None), (1_000_000, Some(1)), (1, Some(1)), (i64::MAX, Some(60_000))]
    {
        let mut world = holder(SessionBehavior::Release, lock_delay_ns);
        world.destroy(1);
        assert_eq!(world.consul.kv().lock_delayed_until(b"k"), end);
    }
}

#[test]
fn plain_writes_ignore_the_lock_delay() {
    let mut world = holder(SessionBehavior::Release, SECOND_NS);
    world.destroy(1);
    world.set("k", "w");
    assert_eq!(world.entry("k").value, bytes("w"));
}

#[test]
fn ended_lock_delays_are_forgotten_at_later_commands() {
    let mut world = holder(SessionBehavior::Release, SECOND_NS);
    world.destroy(1);
    world.time_ms = 1_000;
    world.set("unrelated", "v");
    assert_eq!(world.consul.kv().lock_delays().count(), 0);
}

#[test]
fn lock_delay_survives_a_snapshot() {
    let mut world = holder(SessionBehavior::Release, 15 * SECOND_NS);
    world.destroy(1);
    world.consul = world.restored();
    assert!(!world.acquire("k", 2));
}

#[test]
fn sessions_are_listed_by_node_whatever_the_case() {
    let mut world = World::with_session(1);
    world.register(node("m"));
    world.create(on("m", 2)).unwrap();
    let on_n: Vec<_> = world.consul.sessions().sessions_on("N").map(|session| session.id).collect();
    assert_eq!(on_n, [ConsulSessionId(1)]);
    assert_eq!(world.consul.sessions().iter().count(), 2);
}
