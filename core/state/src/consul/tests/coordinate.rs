//! Coordinates.

use std::vec::Vec;

use crate::consul::tests::World;
use crate::consul::{ConsulCommand, Coordinate, NewNode, NodeCoordinate, Registration};
use crate::event::Topic;

fn register(world: &mut World, name: &str) {
    let node = NewNode { name: name.into(), address: "a".into(), ..NewNode::default() };
    let registration =
        Registration { node, skip_node_update: false, services: Vec::new(), checks: Vec::new() };
    world.apply(ConsulCommand::Register(registration.into())).unwrap();
}

fn update(world: &mut World, node: &str, height: u64) {
    let coordinate = Coordinate { height, ..Coordinate::default() };
    let update = NodeCoordinate { node: node.into(), coordinate };
    world.apply(ConsulCommand::UpdateCoordinates(Vec::from([update]))).unwrap();
}

#[test]
fn a_coordinate_is_kept_for_a_node_that_is_there_and_moves_the_index_only_if_it_differs() {
    let mut world = World::default();
    register(&mut world, "Ext");
    update(&mut world, "eXT", 5);
    assert_eq!(world.topics, [Topic::Coordinates]);
    let kept = world.consul.coordinates().of("ext").unwrap();
    assert_eq!((&*kept.node, kept.coordinate.height), ("Ext", 5));
    assert_eq!(world.consul.coordinates().index(), 2);
    update(&mut world, "ext", 5);
    update(&mut world, "nobody", 5);
    assert!(world.topics.is_empty());
    assert_eq!(world.consul.coordinates().index(), 2);
    update(&mut world, "ext", 6);
    assert_eq!(world.consul.coordinates().index(), 5);
}

#[test]
fn a_coordinate_goes_with_its_node() {
    let mut world = World::default();
    register(&mut world, "ext");
    update(&mut world, "ext", 5);
    let deregister =
        ConsulCommand::Deregister { node: "EXT".into(), service_id: None, check_id: None };
    world.apply(deregister).unwrap();
    assert!(world.topics.contains(&Topic::Coordinates));
    assert_eq!(world.consul.coordinates().iter().count(), 0);
    assert_eq!(world.consul.coordinates().index(), 3);
}

#[test]
fn coordinates_survive_a_snapshot() {
    let mut world = World::default();
    register(&mut world, "ext");
    update(&mut world, "ext", 5);
    let restored = world.restored();
    assert_eq!(restored.coordinates().of("ext"), world.consul.coordinates().of("ext"));
    assert_eq!(restored.coordinates().index(), 2);
    assert_eq!(restored.digest(), world.consul.digest());
}
