//! What services depend on: what is refused, what is told, what survives.

use std::format;

use super::*;
use crate::consul::{
    DEPENDENCIES_MAX, DEPENDENCIES_META, Dependency, GraphService, GraphView, Judged,
};

pub(super) fn depends(name: &str, optional: bool) -> Dependency {
    Dependency { name: name.into(), optional, tag: "".into() }
}

/// A service that requires others.
pub(super) fn requiring(name: &str, others: &[&str]) -> NewService {
    let depends_on = others.iter().map(|other| depends(other, false)).collect();
    NewService { depends_on, ..service(name) }
}

impl World {
    pub(super) fn graph(&self) -> GraphView {
        self.consul.catalog().graph()
    }

    fn declare(&mut self, name: &str, others: &[&str]) {
        self.register(with_service("n", requiring(name, others)));
    }

    fn judge(&mut self, name: &str, status: CheckStatus) {
        self.register(with_check("n", service_check(&format!("c-{name}"), name, status)));
    }

    /// Each service with its effective status and why it has that.
    fn verdicts(&self) -> Vec<String> {
        let graph = self.graph();
        let Judged { effective, because, .. } = graph.judged();
        let name = |place: &usize| String::from(&*graph.services[*place].name);
        let verdicts = graph.services.iter().zip(&effective).zip(&because);
        verdicts
            .map(|((service, effective), because)| {
                let because: Vec<String> = because.iter().map(name).collect();
                let own = service.status.map_or("missing", CheckStatus::as_str);
                let line = format!("{} {own} {}", service.name, effective.as_str());
                if because.is_empty() { line } else { format!("{line} {}", because.join("+")) }
            })
            .collect()
    }

    fn waves(&self) -> Vec<String> {
        let graph = self.graph();
        let waves = graph.judged().waves;
        let mut told: Vec<String> = Vec::new();
        for (service, wave) in graph.services.iter().zip(waves) {
            let Some(wave) = wave else { continue };
            told.resize(told.len().max(wave + 1), String::new());
            told[wave] += &format!("{} ", service.name);
        }
        told
    }
}

fn needs(service: &GraphService) -> Vec<(usize, bool, &str)> {
    service.needs.iter().map(|need| (need.service, need.optional, &*need.tag)).collect()
}

#[test]
fn a_service_that_would_need_itself_is_refused_whole_and_the_cycle_is_named() {
    let mut world = World::default();
    world.declare("web", &["api"]);
    world.declare("api", &["db"]);
    let before = (world.consul.digest(), world.graph());
    let mut registration = with_service("m", requiring("db", &["web", "disk"]));
    registration.services.push(service("other"));
    assert_eq!(world.refused(registration), "dependency cycle: web -> api -> db -> web");
    assert_eq!((world.consul.digest(), world.graph()), before);
    assert_eq!(world.topics, []);
    let itself = with_service("m", requiring("Lone", &["lone"]));
    assert_eq!(world.refused(itself), "dependency cycle: Lone -> Lone");
    let both = with_service("m", requiring("api", &["web"]));
    assert_eq!(world.refused(both), "dependency cycle: web -> api -> web");
}

#[test]
fn a_cycle_of_fifty_is_named_whole_and_one_of_two_hundred_in_part() {
    for (length, parts) in [(50, 51), (200, 101)] {
        let mut world = World::default();
        for at in 1..length {
            world.declare(&format!("s{at}"), &[&format!("s{}", at + 1)]);
        }
        let last = with_service("n", requiring(&format!("s{length}"), &["s1"]));
        let text = world.refused(last);
        assert_eq!(text.split(" -> ").count(), parts, "{text}");
        assert!(text.starts_with("dependency cycle: s1 -> s2 -> "), "{text}");
        assert!(text.ends_with(&format!(" -> s{length} -> s1")), "{text}");
        assert_eq!(text.contains(" -> (101 more) -> "), length == 200, "{text}");
    }
}

#[test]
fn an_optional_dependency_closes_no_cycle_either() {
    let mut world = World::default();
    let optional = |name: &str, other: &str| NewService {
        depends_on: [depends(other, true)].into(),
        ..service(name)
    };
    world.register(with_service("n", optional("web", "cache")));
    let refused = world.refused(with_service("n", optional("cache", "web")));
    assert_eq!(refused, "dependency cycle: web -> cache -> web");
}

#[test]
fn metadata_counts_as_the_list_does_and_what_is_required_once_is_required() {
    let mut world = World::default();
    let listed = |text: &str| {
        let meta = [(DEPENDENCIES_META.into(), text.into())];
        NewService { meta: Some(meta.into()), ..service("web") }
    };
    let both = NewService {
        depends_on: [depends("cache", true), depends("Queue", false)].into(),
        ..listed(" db ,, cache?, queue ? ")
    };
    world.register(with_service("n", both));
    let graph = world.graph();
    let names: Vec<_> = graph.services.iter().map(|service| &*service.name).collect();
    assert_eq!(names, ["cache", "db", "Queue", "web"]);
    assert_eq!(needs(&graph.services[3]), [(0, true, ""), (1, false, ""), (2, false, "")]);

    world.register(with_service("n", listed("")));
    assert_eq!(world.graph().services.len(), 1);
    let refused = world.refused(with_service("n", listed("web?")));
    assert_eq!(refused, "dependency cycle: web -> web");
}

#[test]
fn a_service_depends_on_what_any_of_its_instances_does() {
    let mut world = World::default();
    let instance = |id: &str, depends_on: Vec<Dependency>| {
        with_service("n", NewService { id: id.into(), depends_on, ..service("web") })
    };
    let primary = Dependency { tag: "primary".into(), ..depends("db", false) };
    world.register(instance("1", [depends("db", true), primary.clone()].into()));
    world.register(instance("2", [depends("db", false), depends("cache", true)].into()));
    let graph = world.graph();
    let web = graph.services.iter().find(|service| &*service.name == "web").unwrap();
    assert_eq!(needs(web), [(0, true, ""), (1, false, ""), (1, false, "primary")]);
    world.deregister("n", Some("2"), None);
    let graph = world.graph();
    assert_eq!(needs(&graph.services[1]), [(0, true, ""), (0, false, "primary")]);
    world.deregister("n", Some("1"), None);
    assert_eq!(world.graph().services, []);
}

#[test]
fn an_instance_under_another_name_leaves_what_it_needed_behind() {
    let mut world = World::default();
    let instance =
        |name: &str, other: &str| NewService { id: "1".into(), ..requiring(name, &[other]) };
    world.register(with_service("n", instance("a", "b")));
    world.register(with_service("n", instance("b", "a")));
    let graph = world.graph();
    let names = graph.services.iter().map(|service| (&*service.name, service.status));
    assert_eq!(names.collect::<Vec<_>>(), [("a", None), ("b", Some(CheckStatus::Passing))]);
    // A refused one stays what it was.
    let before = world.consul.digest();
    world.refused(with_service("n", instance("c", "c")));
    assert_eq!(world.consul.digest(), before);
}

#[test]
fn what_is_required_lowers_a_service_and_the_nearest_causes_are_named() {
    let mut world = World::default();
    world.declare("web", &["api"]);
    world.declare("api", &["db"]);
    let depends_on = [depends("cache", true), depends("web", true)].into();
    world.register(with_service("n", NewService { depends_on, ..service("ui") }));
    assert_eq!(
        world.verdicts(),
        [
            "api passing critical db",
            "cache missing critical",
            "db missing critical",
            "ui passing warning cache+db",
            "web passing critical db"
        ]
    );
    world.declare("db", &[]);
    world.declare("cache", &[]);
    world.judge("db", CheckStatus::Warning);
    assert_eq!(
        world.verdicts(),
        [
            "api passing warning db",
            "cache passing passing",
            "db warning warning",
            "ui passing passing",
            "web passing warning db"
        ]
    );
    // What fails itself is the cause for those above, whatever is below.
    world.judge("api", CheckStatus::Critical);
    assert_eq!(world.verdicts()[4], "web passing critical api");
    assert_eq!(world.waves(), ["cache db ", "api ", "web ", "ui "]);
}

#[test]
fn a_service_is_ready_once_all_that_it_requires_is_passing() {
    let mut world = World::default();
    let ready = |world: &World| world.consul.catalog().is_ready("WEB");
    assert_eq!(ready(&world), None);
    world.declare("api", &["db"]);
    let depends_on = [depends("api", false), depends("cache", true)].into();
    world.register(with_service("n", NewService { depends_on, ..service("web") }));
    world.judge("web", CheckStatus::Critical);
    assert_eq!(ready(&world), Some(false));
    world.declare("db", &[]);
    assert_eq!(ready(&world), Some(true));
    world.judge("db", CheckStatus::Warning);
    assert_eq!(ready(&world), Some(false));
    assert!(world.consul.catalog().is_blocked("web"));
    assert!(!world.consul.catalog().is_blocked("api"));
    assert!(world.consul.catalog().is_blocked("cache"));
}

#[test]
fn around_a_service_is_what_it_needs_and_what_needs_it() {
    let mut world = World::default();
    world.declare("web", &["api", "cache"]);
    world.declare("api", &["db"]);
    world.declare("other", &["cache"]);
    let around = world.consul.catalog().graph_around("API").unwrap();
    let names: Vec<_> = around.view.services.iter().map(|service| &*service.name).collect();
    assert_eq!(names, ["api", "cache", "db", "web"]);
    let reach = |needed_by| {
        let reached = around.view.reach(around.center, needed_by).into_iter();
        reached.map(|(place, reach)| (names[place], reach.distance)).collect::<Vec<_>>()
    };
    assert_eq!(reach(false), [("db", 1)]);
    assert_eq!(reach(true), [("web", 1)]);
    assert!(world.consul.catalog().graph_around("nobody").is_none());
}

#[test]
fn the_index_of_the_graph_moves_only_with_what_it_tells() {
    let mut world = World::default();
    world.declare("db", &[]);
    world.judge("db", CheckStatus::Passing);
    assert!(!world.topics.contains(&Topic::Graph));
    assert_eq!(world.consul.catalog().graph_index(), world.revision);
    world.declare("web", &["db"]);
    let index = world.revision;
    assert!(world.topics.contains(&Topic::Graph));

    let mut other = service_check("c-db", "db", CheckStatus::Passing);
    other.output = "fine".into();
    world.register(with_check("n", other));
    world.register(with_service("n", NewService { port: 7, ..requiring("web", &["db"]) }));
    world.register(with_service("n", NewService { id: "2".into(), ..requiring("web", &["db"]) }));
    world.register(with_check("n", check("node", CheckStatus::Passing)));
    world.register(with_id("n", "5c6b"));
    world.refused(with_service("n", requiring("db", &["web"])));
    assert_eq!(world.consul.catalog().graph_index(), index);
    assert!(!world.topics.contains(&Topic::Graph));

    let mut told = |change: fn(&mut World)| {
        change(&mut world);
        assert!(world.topics.contains(&Topic::Graph));
        assert_eq!(world.consul.catalog().graph_index(), world.revision);
    };
    told(|world| world.judge("db", CheckStatus::Critical));
    told(|world| world.register(with_check("n", check("node", CheckStatus::Warning))));
    told(|world| world.declare("lone", &[]));
    told(|world| world.declare("lone", &["db"]));
    told(|world| world.deregister("n", Some("lone"), None));
    told(|world| world.deregister("n", None, None));
}

#[test]
fn more_dependencies_than_allowed_and_nameless_ones_are_refused() {
    let mut world = World::default();
    let many = |count: usize| {
        let depends_on = (0..count).map(|at| depends(&format!("d{at}"), false)).collect();
        with_service("n", NewService { depends_on, ..service("web") })
    };
    world.register(many(DEPENDENCIES_MAX));
    assert_eq!(
        world.refused(many(DEPENDENCIES_MAX + 1)),
        "a service may depend on at most 256 others"
    );
    let text = "the name of a dependency must have 1 to 256 bytes, its tag at most as many";
    for name in ["", &"x".repeat(257)] {
        assert_eq!(world.refused(with_service("n", requiring("web", &[name]))), text);
    }
}

#[test]
fn a_restored_graph_is_the_same_and_refuses_the_same() {
    let mut world = World::default();
    // Registered so that the order had to be changed, and changed again.
    for (name, others) in [
        ("e", &["f"][..]),
        ("c", &["d"]),
        ("d", &["e"]),
        ("a", &["b"]),
        ("b", &["c", "d"]),
        ("g", &["a"]),
    ] {
        world.declare(name, others);
    }
    let mut restored = World { consul: world.restored(), revision: 100, ..World::default() };
    assert_eq!(restored.graph(), world.graph());
    assert_eq!(restored.consul.digest(), world.consul.digest());
    let catalog = (restored.consul.catalog(), world.consul.catalog());
    assert_eq!(catalog.0.graph_index(), catalog.1.graph_index());
    let cycle = || with_service("n", requiring("f", &["g"]));
    let text = "dependency cycle: g -> a -> b -> d -> e -> f -> g";
    assert_eq!(world.refused(cycle()), text);
    assert_eq!(restored.refused(cycle()), text);
}

#[test]
fn stored_dependencies_that_go_in_a_circle_are_an_error() {
    let mut consul = Consul::default();
    let mut world = World::default();
    for name in ["a", "b"] {
        world.declare(name, &[]);
    }
    world
        .consul
        .snapshot_records(&mut |tag, stored| {
            consul.restore_record(tag, Input::new(Bytes::copy_from_slice(stored)))
        })
        .unwrap();
    for (name, other) in [("a", "b"), ("b", "a")] {
        use crate::codec::Encode as _;
        let mut stored = Vec::new();
        (Box::<str>::from("n"), Box::<str>::from(name)).encode(&mut stored);
        Vec::from([depends(other, false)]).encode(&mut stored);
        let record = Input::new(stored.into());
        consul.restore_record(crate::consul::ledger::tag::DEPENDENCIES, record).unwrap();
    }
    consul.finish_restore().unwrap_err();
}

/// Written on the day dependencies were introduced.
#[test]
fn a_stored_registration_with_dependencies_stays_readable() {
    use crate::codec::{Decode as _, Encode as _};
    let depends_on = [Dependency { tag: "p".into(), ..depends("db", true) }].into();
    let new = NewService { depends_on, ..service("web") };
    let op = TxnOp::ServiceSet { node: "n".into(), service: Box::new(new.clone()), cas: None };
    let commands = [
        ConsulCommand::Register(Box::new(with_service("n", new))),
        ConsulCommand::Txn([op].into()),
    ];
    let behind = b"\x01\0\0\0\x02\0\0\0db\x01\x01\0\0\0p";
    for (command, head) in
        commands.iter().zip([&b"\x01\x1e\x01\0\0\0n"[..], b"\x01\x01\x01\0\0\0\x1e"])
    {
        let mut stored = Vec::new();
        command.encode(&mut stored);
        assert!(stored.starts_with(head) && stored.ends_with(behind), "{stored:?}");
        let read = ConsulCommand::decode(&mut Input::new(stored.into()));
        assert_eq!(read.as_ref(), Ok(command));
    }
}
