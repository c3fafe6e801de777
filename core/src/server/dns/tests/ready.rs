//! `NAME.ready`: a service as long as nothing that it requires is critical.

use coord_state::consul::{CheckStatus, Dependency};
use domain::base::Rtype;

use super::world::{World, service};

fn world() -> World {
    let mut web = service("web", "10.0.0.7", 80);
    web.depends_on = [("api", false), ("cache", true)]
        .map(|(name, optional)| Dependency { name: name.into(), optional, tag: "".into() })
        .into();
    let mut api = service("api", "10.0.0.8", 81);
    api.depends_on = vec![Dependency { name: "db".into(), optional: false, tag: "".into() }];
    World::new().node("n", "10.0.0.1").service("n", web).service("n", api)
}

#[test]
fn a_service_is_ready_until_something_it_requires_is_critical() {
    let world = world();
    world.ask("web.ready.consul", Rtype::A).assert_no_such_name();
    assert_eq!(world.ask("web.service.consul", Rtype::A).sorted(), ["10.0.0.7"]);
    let world = world.service("n", service("db", "10.0.0.9", 82));
    for name in ["web.ready.consul", "WEB.ready.dc1.consul", "_web._tcp.ready.consul"] {
        assert_eq!(world.ask(name, Rtype::A).sorted(), ["10.0.0.7"], "{name}");
    }
    let world = world.check("n", "db", CheckStatus::Warning);
    assert_eq!(world.ask("web.ready.consul", Rtype::SRV).answers.len(), 1);
    let world = world.check("n", "db", CheckStatus::Critical);
    world.ask("web.ready.consul", Rtype::A).assert_no_such_name();
    world.ask("web.ready.consul", Rtype::SRV).assert_no_such_name();
    world.ask("cache.ready.consul", Rtype::A).assert_no_such_name();
    world.ask("web.ready.elsewhere.consul", Rtype::A).assert_no_such_name();
    world.ask("ready.consul", Rtype::A).assert_no_such_name();
}
