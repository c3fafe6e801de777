//! A graph of 2,000 services and 10,000 dependencies: what a change looks at.

use std::format;
use std::time::Instant;

use super::graph::requiring;
use super::*;

const SERVICES: usize = 2000;
const NEEDS: usize = 5;

/// Forty layers of fifty; each service needs five of the layer below.
fn large() -> World {
    layered(NEEDS)
}

fn layered(needs: usize) -> World {
    let mut world = Quick::default();
    for at in 0..SERVICES {
        let layer = at / 50;
        let below = |step: usize| format!("s{}", (layer - 1) * 50 + (at * 7 + step * 11) % 50);
        let others: Vec<String> =
            if layer == 0 { Vec::new() } else { (0..needs).map(below).collect() };
        let others: Vec<&str> = others.iter().map(|other| &**other).collect();
        world
            .register(with_service(
                &format!("n{}", at % 100),
                requiring(&format!("s{at}"), &others),
            ))
            .unwrap();
    }
    world.0
}

/// A world that does not check its invariants after each command.
#[derive(Default)]
struct Quick(World);

impl Quick {
    fn register(&mut self, registration: Registration) -> Result<Reply, Rejection> {
        let world = &mut self.0;
        world.revision += 1;
        let stamp = Stamp { revision: Revision(world.revision), time_ms: 0 };
        let command = ConsulCommand::Register(Box::new(registration));
        world.consul.apply(stamp, command, &mut Vec::new())
    }
}

fn walked(world: &World) -> u64 {
    world.consul.catalog().graph_table().walked()
}

#[test]
fn a_registration_looks_at_few_dependencies_of_a_large_graph() {
    let world = large();
    assert_eq!(world.graph().needs_count(), (SERVICES - 50) * NEEDS);
    let mut quick = Quick(world);
    let mut looked_at = |registration: Registration| {
        let before = walked(&quick.0);
        quick.register(registration).unwrap();
        walked(&quick.0) - before
    };
    // New services, above and below all others; a dependency more or less.
    assert_eq!(looked_at(with_service("n", requiring("new", &["s1999", "s7", "none"]))), 0);
    assert_eq!(looked_at(with_service("n1", requiring("s1", &["unheard-of"]))), 0);
    assert!(looked_at(with_service("n57", requiring("s157", &["s100", "s101", "s3"]))) < 100);
    assert!(looked_at(with_service("n57", requiring("s157", &["s3"]))) < 100);
    quick.0.consul.check_invariants().unwrap();
}

/// Figures of this machine: `cargo test --release -p coord-state -- --ignored graph_size --nocapture`.
#[test]
#[ignore = "prints how long things take"]
fn how_long_a_large_graph_takes() {
    let mut quick = Quick(large());
    let timed = |what: &str, quick: &mut Quick, run: &mut dyn FnMut(&mut Quick)| {
        let began = Instant::now();
        run(quick);
        std::println!("{what}: {:?}", began.elapsed());
    };
    timed("one more registration", &mut quick, &mut |quick| {
        quick.register(with_service("n", requiring("new", &["s1999", "s7"]))).unwrap();
    });
    timed("refusal of a long cycle", &mut quick, &mut |quick| {
        let refused = quick.register(with_service("n0", requiring("s0", &["s1999"])));
        refused.unwrap_err();
    });
    timed("order and status of all", &mut quick, &mut |quick| {
        let graph = quick.0.graph();
        assert_eq!(graph.judged().waves.iter().flatten().max(), Some(&40));
    });
    timed("what the lowest reaches", &mut quick, &mut |quick| {
        let around = quick.0.consul.catalog().graph_around("s0").unwrap();
        assert!(around.view.reach(around.center, true).len() > 100);
    });
    timed("whether the highest is ready", &mut quick, &mut |quick| {
        assert_eq!(quick.0.consul.catalog().is_ready("new"), Some(true));
    });
}

/// The registrations name them too, so that is counted with an edge.
#[test]
#[ignore = "prints how much memory a dependency takes"]
fn how_much_memory_a_dependency_takes() {
    let resident = || {
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    };
    let mut before = resident();
    let worlds: Vec<(usize, World)> = [0, NEEDS, NEEDS * 4]
        .into_iter()
        .map(|needs| {
            let world = layered(needs);
            let edges = world.graph().needs_count();
            let grown = resident() - before;
            before += grown;
            std::println!("{edges} dependencies, with their services: {grown} bytes");
            (grown, world)
        })
        .collect();
    let (fewest, most) = (&worlds[1], &worlds[2]);
    let edges = most.1.graph().needs_count() - fewest.1.graph().needs_count();
    std::println!("bytes for each: {}", (most.0 - fewest.0) / edges);
}
