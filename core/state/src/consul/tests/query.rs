//! Prepared queries.

use std::boxed::Box;

use crate::consul::tests::{World, on};
use crate::consul::{Consul, ConsulCommand, ConsulRejection, ConsulSessionId, NewQuery, QueryId};
use crate::event::Topic;
use crate::rejection::Rejection;
use crate::reply::Reply;

fn query(id: u128, name: &str) -> NewQuery {
    NewQuery {
        id: QueryId(id),
        name: name.into(),
        template: false,
        session: None,
        definition: "{}".into(),
    }
}

fn template(id: u128, name: &str) -> NewQuery {
    NewQuery { template: true, ..query(id, name) }
}

fn set(world: &mut World, query: NewQuery, create: bool) -> Result<Reply, Rejection> {
    world.apply(ConsulCommand::SetQuery { query: Box::new(query), create })
}

fn found(consul: &Consul, name: &str) -> Option<u128> {
    consul.queries.named(name).map(|query| query.id.0)
}

#[test]
fn a_query_is_found_by_name_whatever_its_case_and_keeps_its_create_index() {
    let mut world = World::default();
    set(&mut world, query(1, "Web"), true).unwrap();
    assert_eq!(world.topics, [Topic::PreparedQueries]);
    assert_eq!(found(&world.consul, "wEB"), Some(1));
    set(&mut world, query(1, "api"), false).unwrap();
    assert_eq!((found(&world.consul, "web"), found(&world.consul, "api")), (None, Some(1)));
    let query = world.consul.queries.query(QueryId(1)).unwrap();
    assert_eq!((query.create_index, query.modify_index), (1, 2));
    assert_eq!(world.consul.queries.index(), 2);
}

#[test]
fn a_name_is_taken_once_but_no_name_any_number_of_times() {
    let mut world = World::default();
    set(&mut world, query(1, "web"), true).unwrap();
    assert_eq!(
        set(&mut world, query(2, "WEB"), true),
        Err(ConsulRejection::QueryNameTaken("WEB".into()).into())
    );
    set(&mut world, query(3, ""), true).unwrap();
    set(&mut world, query(4, ""), true).unwrap();
    set(&mut world, template(5, "web"), true).unwrap();
    assert!(set(&mut world, template(6, "web"), true).is_err());
    assert_eq!(found(&world.consul, ""), None);
}

#[test]
fn the_template_with_the_longest_prefix_answers_and_exact_names_come_first() {
    let mut world = World::default();
    set(&mut world, template(1, ""), true).unwrap();
    set(&mut world, template(2, "geo-"), true).unwrap();
    set(&mut world, query(3, "geo-db"), true).unwrap();
    assert_eq!(found(&world.consul, "any"), Some(1));
    assert_eq!(found(&world.consul, "Geo-é"), Some(2));
    assert_eq!(found(&world.consul, "geo-db"), Some(3));
}

#[test]
fn what_is_not_there_is_neither_replaced_nor_deleted() {
    let mut world = World::default();
    let unknown = || Err(ConsulRejection::NoSuchQuery(QueryId(9)).into());
    assert_eq!(set(&mut world, query(9, "a"), false), unknown());
    assert_eq!(world.apply(ConsulCommand::DeleteQuery { query: QueryId(9) }), unknown());
    assert_eq!(world.topics, []);
}

#[test]
fn a_query_goes_with_its_session() {
    let mut world = World::with_session(8);
    let session = ConsulSessionId(7);
    let bound = || NewQuery { session: Some(session), ..query(1, "web") };
    assert!(set(&mut world, bound(), true).is_err());
    world.create(on("n", 7)).unwrap();
    set(&mut world, bound(), true).unwrap();
    world.apply(ConsulCommand::DestroySession { session }).unwrap();
    assert_eq!(found(&world.consul, "web"), None);
    assert!(world.topics.contains(&Topic::PreparedQueries));
}
