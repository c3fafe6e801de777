//! Register and deregister, cascades, order.

use super::*;

fn passing_serf() -> NewCheck {
    check("serfHealth", CheckStatus::Passing)
}

#[test]
fn a_registration_needs_a_node_and_an_address() {
    let mut world = World::default();
    assert_eq!(world.refused(node("")), "Must provide node");
    let mut bare = node("n");
    bare.node.address = "".into();
    let text = "Must provide address if SkipNodeUpdate is not set";
    assert_eq!(world.refused(bare.clone()), text);
    bare.skip_node_update = true;
    world.register(bare);
    assert!(world.consul.catalog().node("n").is_some());
}

#[test]
fn skip_node_update_leaves_a_known_node_alone() {
    let mut world = World::default();
    world.register(node("n"));
    let mut skipping = with_service("n", service("web"));
    skipping.node.address = "10.9.9.9".into();
    skipping.skip_node_update = true;
    world.register(skipping);
    assert_eq!(&*world.consul.catalog().node("n").unwrap().address, "10.0.0.1");
    assert!(world.consul.catalog().service("n", "web").is_some());
}

#[test]
fn a_service_id_is_its_name_unless_given() {
    let mut world = World::default();
    world.register(with_service("n", service("web")));
    world.register(with_service("n", NewService { id: "web-2".into(), ..service("web") }));
    let ids: Vec<_> = world.consul.catalog().services_on("n").map(|service| &*service.id).collect();
    assert_eq!(ids, ["web", "web-2"]);
    let nameless = NewService { id: "x".into(), ..NewService::default() };
    assert_eq!(world.refused(with_service("n", nameless)), "Must provide service name with ID");
}

#[test]
fn a_check_id_is_its_name_unless_given_and_a_new_check_is_critical() {
    let mut world = World::default();
    world.register(with_check("n", NewCheck { name: "ping".into(), ..NewCheck::default() }));
    let check = world.consul.catalog().check("n", "ping").unwrap();
    assert_eq!(check.status, CheckStatus::Critical);
}

#[test]
fn a_check_of_a_missing_service_refuses_the_whole_registration() {
    let mut world = World::default();
    let mut registration = with_check("ext", service_check("c", "nope", CheckStatus::Passing));
    registration.services.push(service("web"));
    let digest = world.consul.digest();
    assert_eq!(
        world.refused(registration),
        "failed inserting check: Missing service registration on node \"ext\""
    );
    assert_eq!(world.consul.digest(), digest);
    assert_eq!(world.consul.catalog().nodes().count(), 0);
    assert_eq!(world.topics, []);
}

#[test]
fn a_check_takes_name_and_tags_of_its_service_and_follows_them() {
    let mut world = World::default();
    let mut registration = with_check("n", service_check("c", "web", CheckStatus::Passing));
    registration.services.push(NewService { tags: ["a".into()].into(), ..service("web") });
    world.register(registration);
    let check = world.consul.catalog().check("n", "c").unwrap();
    assert_eq!((&*check.service_name, &*check.service_tags), ("web", &["a".into()][..]));
    let renamed = NewService { id: "web".into(), ..service("api") };
    world.register(with_service("n", renamed));
    let check = world.consul.catalog().check("n", "c").unwrap();
    assert_eq!((&*check.service_name, check.service_tags.len()), ("api", 0));
    assert_eq!(world.consul.catalog().checks_of_service("api").count(), 1);
    assert_eq!(world.consul.catalog().service_instances("web").count(), 0);
}

#[test]
fn re_registering_a_service_keeps_its_checks() {
    let mut world = World::default();
    world.register(with_service("n", service("web")));
    world.register(with_check("n", service_check("c", "web", CheckStatus::Passing)));
    world.register(with_service("n", NewService { port: 80, ..service("web") }));
    assert!(world.consul.catalog().check("n", "c").is_some());
}

#[test]
fn names_are_found_whatever_the_case_and_ids_are_not() {
    let mut world = World::default();
    let mut registration = with_service("Node-1", service("Web"));
    registration.node.id = "5c6b".into();
    world.register(registration);
    let catalog = world.consul.catalog();
    assert_eq!(&*catalog.node("nODE-1").unwrap().name, "Node-1");
    assert_eq!(&*catalog.node("5C6B").unwrap().name, "Node-1");
    assert_eq!(catalog.service_instances("wEB").count(), 1);
    assert!(catalog.service("NODE-1", "Web").is_some());
    assert!(catalog.service("node-1", "web").is_none());
}

#[test]
fn another_spelling_of_a_node_is_the_same_node() {
    let mut world = World::default();
    let mut registration = with_service("n", service("web"));
    registration.checks.push(check("c", CheckStatus::Passing));
    world.register(registration);
    let created = world.revision;
    world.register(node("N"));
    let catalog = world.consul.catalog();
    let node = catalog.node("n").unwrap();
    assert_eq!((&*node.name, node.create_index, node.modify_index), ("N", created, created + 1));
    assert_eq!(&*catalog.service("n", "web").unwrap().node, "N");
    assert_eq!(&*catalog.check("n", "c").unwrap().node, "N");
}

#[test]
fn a_known_uuid_under_a_new_name_renames_the_node() {
    let mut world = World::default();
    let mut registration = with_id("old", "id-1");
    registration.services.push(service("web"));
    world.register(registration);
    let created = world.revision;
    world.register(with_id("new", "id-1"));
    let catalog = world.consul.catalog();
    assert!(catalog.node("old").is_none());
    assert_eq!(catalog.node("id-1").unwrap().create_index, created);
    assert_eq!(&*catalog.node("id-1").unwrap().name, "new");
    assert_eq!(catalog.service_instances("web").count(), 0);
}

#[test]
fn a_live_nodes_name_is_reserved() {
    let mut world = World::default();
    let mut holder = with_id("n", "id-1");
    holder.checks.push(passing_serf());
    world.register(holder);
    assert_eq!(
        world.refused(with_id("N", "id-2")),
        "Node name N is reserved by node id-1 with name n (10.0.0.1)"
    );
    world.register(with_id("other", "id-3"));
    world.refused(with_id("n", "id-3"));
    assert!(world.consul.catalog().node("other").is_some());
}

#[test]
fn a_dead_nodes_name_may_be_taken() {
    let mut world = World::default();
    let mut holder = with_id("n", "id-1");
    holder.checks.push(check("serfHealth", CheckStatus::Critical));
    world.register(holder);
    world.register(with_id("n", "id-2"));
    let catalog = world.consul.catalog();
    assert_eq!(&*catalog.node("n").unwrap().id, "id-2");
    assert!(catalog.node("id-1").is_none());
}

#[test]
fn a_node_without_uuid_gives_way_to_a_fresh_one() {
    let mut world = World::default();
    world.register(with_check("n", passing_serf()));
    world.register(with_id("n", "id-1"));
    assert_eq!(&*world.consul.catalog().node("n").unwrap().id, "id-1");
}

#[test]
fn deregistering_what_is_not_there_is_fine_and_changes_nothing() {
    let mut world = World::default();
    world.register(node("n"));
    let digest = world.consul.digest();
    world.deregister("x", None, None);
    world.deregister("n", Some("x"), None);
    world.deregister("n", None, Some("x"));
    assert_eq!(world.topics, []);
    assert_eq!(world.consul.digest(), digest);
}

#[test]
fn a_service_id_wins_over_a_check_id() {
    let mut world = World::default();
    let mut registration = with_service("n", service("web"));
    registration.checks.push(check("c", CheckStatus::Passing));
    registration.checks.push(service_check("w", "web", CheckStatus::Passing));
    world.register(registration);
    world.deregister("n", Some("web"), Some("c"));
    let catalog = world.consul.catalog();
    assert_eq!(catalog.services().count(), 0);
    let left: Vec<_> = catalog.checks_on("n").map(|check| &*check.id).collect();
    assert_eq!(left, ["c"]);
    world.deregister("n", Some(""), Some("c"));
    assert_eq!(world.consul.catalog().checks().count(), 0);
    assert_eq!(world.consul.catalog().nodes().count(), 1);
}

#[test]
fn a_deleted_node_takes_services_and_checks_along() {
    let mut world = World::default();
    let mut registration = with_service("n", service("web"));
    registration.checks.push(check("c", CheckStatus::Passing));
    registration.checks.push(service_check("w", "web", CheckStatus::Passing));
    world.register(registration);
    world.deregister("N", None, None);
    let catalog = world.consul.catalog();
    assert_eq!(catalog.nodes().count() + catalog.services().count() + catalog.checks().count(), 0);
    assert_eq!(catalog.service_names().count(), 0);
    assert_eq!(
        world.topics,
        [
            Topic::Nodes,
            Topic::Node("n".into()),
            Topic::Services,
            service_topic("web"),
            Topic::Checks,
        ]
    );
}

#[test]
fn everything_is_listed_in_order() {
    let mut world = World::default();
    for name in ["b", "A", "c"] {
        let mut registration = with_service(name, NewService { id: "2".into(), ..service("web") });
        registration.services.push(NewService { id: "1".into(), ..service("Web") });
        registration.checks.push(service_check("a-own", "1", CheckStatus::Passing));
        registration.checks.push(check("z-node", CheckStatus::Passing));
        registration.checks.push(check("y-node", CheckStatus::Passing));
        world.register(registration);
    }
    let catalog = world.consul.catalog();
    let nodes: Vec<_> = catalog.nodes().map(|node| &*node.name).collect();
    assert_eq!(nodes, ["A", "b", "c"]);
    let instances: Vec<_> =
        catalog.service_instances("WEB").map(|service| (&*service.node, &*service.id)).collect();
    assert_eq!(instances, [("A", "1"), ("A", "2"), ("b", "1"), ("b", "2"), ("c", "1"), ("c", "2")]);
    assert_eq!(catalog.service_names().collect::<Vec<_>>(), ["Web", "web"]);
    let decisive = |place: usize| -> Vec<&str> {
        let instance = catalog.instances("web").nth(place).unwrap();
        instance.checks().map(|check| &*check.id).collect()
    };
    assert_eq!(decisive(0), ["y-node", "z-node", "a-own"]);
    assert_eq!(decisive(1), ["y-node", "z-node"]);
    let by_id: Vec<_> = catalog.checks_on("a").map(|check| &*check.id).collect();
    assert_eq!(by_id, ["a-own", "y-node", "z-node"]);
    assert_eq!(catalog.checks_of_service("web").count(), 3);
    let instance = catalog.instances("web").next().unwrap();
    assert_eq!((&*instance.node().name, instance.checks().count()), ("A", 3));
}

#[test]
fn tags_are_bounded_because_every_check_has_a_copy() {
    let mut world = World::default();
    let tagged = |bytes: usize| {
        let tags = std::vec![Box::from("t".repeat(bytes - 8))];
        with_service("n", NewService { tags, ..service("web") })
    };
    world.register(tagged(64 << 10));
    assert_eq!(
        world.refused(tagged((64 << 10) + 1)),
        "the tags of a service may have at most 65536 bytes in total"
    );
}

#[test]
fn a_node_and_a_service_have_only_so_many_checks() {
    let mut world = World::default();
    world.register(with_service("n", service("web")));
    world.register(with_service("n", service("db")));
    for service_id in ["", "web"] {
        for number in 0..256 {
            let id = std::format!("{service_id}{number}");
            world.register(with_check("n", service_check(&id, service_id, CheckStatus::Passing)));
        }
        let more = service_check("more", service_id, CheckStatus::Passing);
        let holder = if service_id.is_empty() { "n" } else { service_id };
        assert_eq!(
            world.refused(with_check("n", more)),
            std::format!("\"{holder}\" already has the maximum of 256 checks")
        );
    }
    // What is there may change, and others have theirs.
    world.register(with_check("n", service_check("web7", "web", CheckStatus::Critical)));
    world.register(with_check("n", service_check("more", "db", CheckStatus::Passing)));
    // Nor can a check move where there is no place for it.
    let moved = service_check("more", "web", CheckStatus::Passing);
    assert!(world.refused(with_check("n", moved)).contains("maximum of 256 checks"));
}

#[test]
fn many_checks_of_a_node_move_the_indexes_of_its_services_once() {
    let mut world = World::default();
    for name in ["a", "b"] {
        world.register(with_service("n", service(name)));
    }
    let mut registration = with_service("n", service("c"));
    registration.checks =
        (0..100).map(|number| check(&std::format!("c{number}"), CheckStatus::Passing)).collect();
    world.register(registration);
    for name in ["a", "b", "c"] {
        assert_eq!(world.consul.catalog().service_index(name), world.revision, "{name}");
        assert_eq!(world.topics.iter().filter(|topic| **topic == service_topic(name)).count(), 1);
    }
}
