//! Config entries and intentions.

use super::*;
use crate::consul::ConsulRejection;
use crate::consul::{
    CONFIG_ENTRIES_MAX, INTENTIONS_MAX, IntentionId, NewConfigEntry, NewIntention,
};

fn entry(name: &str, definition: &str) -> NewConfigEntry {
    NewConfigEntry {
        kind: "service-defaults".into(),
        name: name.into(),
        definition: definition.into(),
    }
}

fn set(world: &mut World, new: NewConfigEntry, cas: Option<u64>) -> Result<Reply, Rejection> {
    world.apply(ConsulCommand::SetConfigEntry { entry: new.into(), cas })
}

fn done(is: bool) -> Result<Reply, Rejection> {
    Ok(Reply::Consul(ConsulReply::Bool(is)))
}

#[test]
fn a_config_entry_keeps_its_age_and_is_found_whatever_the_case() {
    let mut world = World::default();
    assert_eq!(set(&mut world, entry("web", "{}"), None), done(true));
    let created = world.revision;
    assert_eq!(world.topics, [Topic::ConfigEntries]);
    assert_eq!(set(&mut world, entry("web", "{}"), None), done(true));
    assert!(world.topics.is_empty(), "the same again wakes nobody");
    assert_eq!(set(&mut world, entry("WEB", r#"{"Protocol":"http"}"#), None), done(true));
    let mesh = world.consul.mesh();
    let found = mesh.entry("service-defaults", "Web").unwrap();
    assert_eq!((found.create_index, found.modify_index), (created, world.revision));
    assert_eq!((mesh.entries().count(), mesh.entries_index()), (1, world.revision));
}

#[test]
fn a_config_entry_is_set_and_deleted_only_at_its_index_if_one_is_given() {
    let mut world = World::default();
    assert_eq!(set(&mut world, entry("web", "{}"), Some(7)), done(false));
    assert_eq!(set(&mut world, entry("web", "{}"), Some(0)), done(true));
    let index = world.revision;
    assert_eq!(set(&mut world, entry("web", "[]"), Some(0)), done(false));
    let delete = |world: &mut World, cas| {
        let kind = "service-defaults".into();
        world.apply(ConsulCommand::DeleteConfigEntry { kind, name: "web".into(), cas })
    };
    assert_eq!(delete(&mut world, Some(index + 1)), done(false));
    assert_eq!(delete(&mut world, Some(index)), done(true));
    assert_eq!(delete(&mut world, None), done(true));
    assert_eq!(world.consul.mesh().entries().count(), 0);
}

fn intention(id: u128, source: &str, destination: &str) -> NewIntention {
    NewIntention {
        id: IntentionId(id),
        source: source.into(),
        destination: destination.into(),
        definition: "{}".into(),
    }
}

#[test]
fn two_services_have_one_intention() {
    let mut world = World::default();
    let set = |world: &mut World, new: NewIntention, create| {
        world.apply(ConsulCommand::SetIntention { intention: new.into(), create })
    };
    world.time_ms = 5;
    assert_eq!(set(&mut world, intention(1, "web", "db"), true), Ok(Reply::Done));
    assert_eq!(world.topics, [Topic::Intentions]);
    let refused = set(&mut world, intention(2, "WEB", "db"), true);
    let Err(Rejection::Consul(refused)) = refused else { panic!("{refused:?}") };
    assert_eq!(
        std::format!("{refused}"),
        std::format!("duplicate intention found: web => db (ID: {})", IntentionId(1))
    );
    world.time_ms = 9;
    assert_eq!(set(&mut world, intention(1, "web", "*"), false), Ok(Reply::Done));
    let mesh = world.consul.mesh();
    let one = mesh.intention_between("web", "*").unwrap();
    assert_eq!((one.created_ms, one.updated_ms), (5, 9));
    assert!(mesh.intention_between("web", "db").is_none());
    assert!(set(&mut world, intention(3, "a", "b"), false).is_err());
    let delete = |world: &mut World, id| {
        world.apply(ConsulCommand::DeleteIntention { intention: IntentionId(id) })
    };
    assert_eq!(delete(&mut world, 1), Ok(Reply::Done));
    assert!(delete(&mut world, 1).is_err());
}

/// Without the invariants, which go through everything each time.
fn apply(world: &mut World, command: ConsulCommand) -> Result<Reply, Rejection> {
    world.revision += 1;
    let stamp = Stamp { revision: Revision(world.revision), time_ms: world.time_ms };
    world.consul.apply(stamp, command, &mut Vec::new())
}

#[test]
fn there_are_only_so_many_config_entries_and_intentions() {
    let mut world = World::default();
    let set = |world: &mut World, name: usize| {
        let entry = Box::new(entry(&std::format!("web-{name}"), "{}"));
        apply(world, ConsulCommand::SetConfigEntry { entry, cas: None })
    };
    let intend = |world: &mut World, id: u128| {
        let intention = Box::new(intention(id, &std::format!("web-{id}"), "db"));
        apply(world, ConsulCommand::SetIntention { intention, create: true })
    };
    for name in 0..CONFIG_ENTRIES_MAX {
        assert_eq!(set(&mut world, name), done(true));
    }
    for id in 0..INTENTIONS_MAX as u128 {
        assert_eq!(intend(&mut world, id), Ok(Reply::Done));
    }
    let refused = ConsulRejection::TooManyConfigEntries;
    assert_eq!(set(&mut world, CONFIG_ENTRIES_MAX), Err(refused.into()));
    assert_eq!(set(&mut world, 1), done(true), "one that is there may be set again");
    let refused = ConsulRejection::TooManyIntentions;
    assert_eq!(intend(&mut world, INTENTIONS_MAX as u128), Err(refused.into()));
    world.consul.check_invariants().unwrap();
}

#[test]
fn config_entries_of_a_kind_are_those_and_no_others() {
    let mut world = World::default();
    for kind in ["service-defaults", "service-default", "service-defaults2", "service"] {
        let entry = NewConfigEntry { kind: kind.into(), ..entry("web", "{}") };
        set(&mut world, entry, None).unwrap();
    }
    set(&mut world, entry("api", "{}"), None).unwrap();
    let found = world.consul.mesh().entries_of("service-defaults");
    assert_eq!(found.map(|entry| &*entry.name).collect::<Vec<_>>(), ["api", "web"]);
}
