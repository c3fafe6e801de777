//! Prepared queries as names.

use coord_state::consul::{CheckStatus, ConsulCommand, NewQuery, QueryId};
use coord_wire::consul::query::QueryDefinition;
use domain::base::Rtype;

use super::world::{World, service, tagged};

fn world() -> World {
    World::new()
        .node("n1", "10.0.0.1")
        .node("n2", "10.0.0.2")
        .node("n3", "10.0.0.3")
        .service("n1", tagged(service("web", "", 80), &["new"]))
        .service("n2", tagged(service("web", "", 80), &["new"]))
        .service("n3", tagged(service("web", "", 80), &["old"]))
        .check("n1", "web", CheckStatus::Warning)
}

fn with_query(mut world: World, definition: &str) -> World {
    let definition = QueryDefinition::parse(definition.as_bytes()).unwrap();
    let query = NewQuery {
        id: QueryId(7),
        name: definition.name.as_str().into(),
        template: definition.is_template(),
        session: None,
        definition: definition.stored(),
    };
    world.apply(ConsulCommand::SetQuery { query: Box::new(query), create: true });
    world
}

#[test]
fn a_prepared_query_is_a_name_for_what_it_finds() {
    let definition = r#"{"Name":"new.web","Service":{"Service":"web","Tags":["new"],"OnlyPassing":true},"DNS":{"TTL":"10s"}}"#;
    let world = with_query(world(), definition);
    let reply = world.ask("new.web.query.consul", Rtype::A);
    assert_eq!(reply.answers, ["new.web.query.consul 10 A 10.0.0.2"]);
    let reply = world.ask("new.web.query.dc1.consul", Rtype::SRV);
    assert_eq!(reply.sorted(), ["1 3 80 n2.node.dc1.consul"]);
}

#[test]
fn what_a_prepared_query_leads_to_is_kept_as_long_as_its_answer() {
    let world = || {
        World::new()
            .node("n1", "10.0.0.1")
            .node_with_meta("n2", "n1.node.consul", &[("rack", "7")])
            .service("n1", service("web", "", 80))
            .service("n2", service("web", "", 81))
            .service("n2", service("alias", "", 82))
    };
    let of_both = r#"{"Name":"q","Service":{"Service":"web"},"DNS":{"TTL":"7s"}}"#;
    let world_of_both = with_query(world(), of_both);
    let reply = world_of_both.ask("q.query.consul", Rtype::SRV);
    assert_eq!((reply.answers.len(), reply.additional.len()), (2, 3), "{reply:?}");
    for record in reply.answers.iter().chain(&reply.additional) {
        assert_eq!(record.split(' ').nth(1), Some("7"), "{record}");
    }
    let of_alias = r#"{"Name":"q","Service":{"Service":"alias"},"DNS":{"TTL":"7s"}}"#;
    let reply = with_query(world(), of_alias).ask("q.query.consul", Rtype::A);
    assert_eq!(
        reply.answers,
        ["q.query.consul 7 CNAME n1.node.consul", "n1.node.consul 7 A 10.0.0.1"]
    );
}

#[test]
fn a_template_answers_every_name_it_begins() {
    let definition = r#"{"Name":"to-","Service":{"Service":"${name.suffix}"},"Template":{"Type":"name_prefix_match"}}"#;
    let world = with_query(world(), definition);
    let reply = world.ask("to-web.query.consul", Rtype::A);
    assert_eq!(reply.sorted(), ["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    world.ask("to-nowhere.query.consul", Rtype::A).assert_no_such_name();
}

#[test]
fn a_query_that_is_not_there_is_no_name() {
    world().ask("web.query.consul", Rtype::A).assert_no_such_name();
    world().ask("query.consul", Rtype::A).assert_no_such_name();
}
