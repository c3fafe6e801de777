//! Autopilot's configuration.

use crate::consul::tests::World;
use crate::consul::{AutopilotSettings, ConsulCommand, ConsulReply};
use crate::reply::Reply;

fn set(world: &mut World, min_quorum: u64, cas: Option<u64>) -> bool {
    let settings = AutopilotSettings { min_quorum, ..AutopilotSettings::default() };
    let command = ConsulCommand::SetAutopilot { settings: settings.into(), cas };
    match world.apply(command).unwrap() {
        Reply::Consul(ConsulReply::Bool(done)) => done,
        other => panic!("{other:?}"),
    }
}

#[test]
fn autopilot_is_set_as_a_whole_and_only_from_the_index_it_was_read_at() {
    let mut world = World::default();
    assert_eq!(world.consul.autopilot().modify_index, 1);
    assert!(!set(&mut world, 3, Some(7)));
    assert!(set(&mut world, 3, Some(1)));
    let changed = world.consul.autopilot().clone();
    assert_eq!((changed.settings.min_quorum, changed.modify_index), (3, 2));
    // The same again is no change.
    assert!(set(&mut world, 3, None));
    assert_eq!(*world.consul.autopilot(), changed);
    assert!(set(&mut world, 0, Some(2)));
    assert_eq!(world.consul.autopilot().modify_index, 4);
    assert!(world.topics.is_empty());
}

#[test]
fn autopilot_survives_a_snapshot_and_the_default_is_in_none() {
    let mut world = World::default();
    assert_eq!(world.restored().digest(), world.consul.digest());
    assert!(set(&mut world, 5, None));
    let restored = world.restored();
    assert_eq!(restored.autopilot(), world.consul.autopilot());
    assert_eq!(restored.digest(), world.consul.digest());
    assert_ne!(restored.digest(), World::default().consul.digest());
}
