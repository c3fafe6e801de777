//! Random registrations against a reference that looks at everything anew.

use std::collections::{BTreeMap, BTreeSet};
use std::{format, vec};

use proptest::collection::vec as vec_of;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::consul::{Dependency, GraphView};

const NAMES: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];

#[derive(Debug, Clone)]
enum Op {
    Declare { id: u8, name: &'static str, depends_on: Vec<Dependency> },
    Deregister { id: u8 },
    Judge { id: u8, status: CheckStatus },
}

fn op() -> impl Strategy<Value = Op> {
    let dependency = (select(NAMES.to_vec()), any::<bool>(), select(vec!["", "t"])).prop_map(
        |(name, optional, tag)| Dependency { name: name.into(), optional, tag: tag.into() },
    );
    let status = select(vec![CheckStatus::Passing, CheckStatus::Warning, CheckStatus::Critical]);
    prop_oneof![
        6 => (0_u8..10, select(NAMES.to_vec()), vec_of(dependency, 0..3))
            .prop_map(|(id, name, depends_on)| Op::Declare { id, name, depends_on }),
        1 => (0_u8..10).prop_map(|id| Op::Deregister { id }),
        2 => (0_u8..10, status).prop_map(|(id, status)| Op::Judge { id, status }),
    ]
}

/// Instances by id: name, dependencies, status.
#[derive(Debug, Default, Clone)]
struct Reference(BTreeMap<u8, (&'static str, Vec<Dependency>, CheckStatus)>);

impl Reference {
    /// By name: what it needs, by name and tag, and whether none requires it.
    fn edges(&self) -> BTreeMap<&str, BTreeMap<(&str, &str), bool>> {
        let mut edges: BTreeMap<_, BTreeMap<_, bool>> = BTreeMap::new();
        for (name, depends_on, _) in self.0.values() {
            let needs = edges.entry(*name).or_default();
            for needed in depends_on {
                *needs.entry((&*needed.name, &*needed.tag)).or_insert(true) &= needed.optional;
            }
        }
        edges
    }

    fn has_cycle(&self) -> bool {
        let edges = self.edges();
        NAMES.iter().any(|start| {
            let mut seen = BTreeSet::new();
            let mut open = Vec::from([*start]);
            while let Some(name) = open.pop() {
                for (needed, _) in edges.get(name).into_iter().flat_map(|needs| needs.keys()) {
                    if needed == start {
                        return true;
                    }
                    if seen.insert(*needed) {
                        open.push(needed);
                    }
                }
            }
            false
        })
    }

    fn status(&self, name: &str) -> Option<CheckStatus> {
        self.0.values().filter(|found| found.0 == name).map(|found| found.2).max()
    }

    fn effective(&self, name: &str) -> CheckStatus {
        let Some(own) = self.status(name) else { return CheckStatus::Critical };
        let edges = self.edges();
        let passed_on = edges[name].iter().map(|((needed, _), optional)| {
            match (self.effective(needed), optional) {
                (status, false) => status,
                (CheckStatus::Critical, true) => CheckStatus::Warning,
                (_, true) => CheckStatus::Passing,
            }
        });
        passed_on.max().unwrap_or(CheckStatus::Passing).max(own)
    }

    fn wave(&self, name: &str) -> Option<usize> {
        self.status(name)?;
        let edges = self.edges();
        let below = edges[name].keys().filter_map(|(needed, _)| self.wave(needed));
        Some(below.max().map_or(0, |wave| wave + 1))
    }

    fn ready(&self, name: &str) -> Option<bool> {
        self.status(name)?;
        let edges = self.edges();
        let mut required = edges[name].iter().filter(|(_, optional)| !**optional);
        Some(required.all(|((needed, _), _)| {
            self.status(needed) == Some(CheckStatus::Passing) && self.ready(needed) == Some(true)
        }))
    }

    /// Everything that is told, as text.
    fn told(&self) -> Vec<String> {
        let edges = self.edges();
        let needed = edges.values().flat_map(|needs| needs.keys().map(|(name, _)| *name));
        let names: BTreeSet<&str> = edges.keys().copied().chain(needed).collect();
        let told = names.iter().map(|name| {
            let needs: Vec<_> = edges.get(name).into_iter().flatten().collect();
            let verdict = (self.status(name), self.effective(name), self.wave(name));
            format!("{name} {needs:?} {verdict:?} {:?}", self.ready(name))
        });
        told.collect()
    }
}

fn told(consul: &Consul) -> Vec<String> {
    let graph: GraphView = consul.catalog().graph();
    let judged = graph.judged();
    let name = |place: usize| &*graph.services[place].name;
    let told = graph.services.iter().enumerate().map(|(place, service)| {
        let needs: Vec<_> = service
            .needs
            .iter()
            .map(|need| ((name(need.service), &*need.tag), need.optional))
            .collect();
        let needs: Vec<_> = needs.iter().map(|(key, optional)| (key, optional)).collect();
        let verdict = (service.status, judged.effective[place], judged.waves[place]);
        let ready = consul.catalog().is_ready(&service.name);
        format!("{} {needs:?} {verdict:?} {ready:?}", service.name)
    });
    told.collect()
}

proptest! {
    #[test]
    fn the_graph_is_what_looking_at_everything_gives(ops in vec_of(op(), 1..40)) {
        let (mut world, mut reference) = (World::default(), Reference::default());
        world.register(node("n"));
        for op in ops {
            let mut next = reference.clone();
            match op {
                Op::Declare { id, name, depends_on } => {
                    let status = next.0.get(&id).map_or(CheckStatus::Passing, |old| old.2);
                    next.0.insert(id, (name, depends_on.clone(), status));
                    let id = format!("{id}").into();
                    let new = NewService { id, depends_on, ..service(name) };
                    let command = ConsulCommand::Register(Box::new(with_service("n", new)));
                    let result = world.apply(command);
                    prop_assert_eq!(result.is_err(), next.has_cycle(), "{:?}", result);
                    if result.is_err() {
                        continue;
                    }
                }
                Op::Deregister { id } => {
                    next.0.remove(&id);
                    world.deregister("n", Some(&format!("{id}")), None);
                }
                Op::Judge { id, status } => {
                    if let Some(found) = next.0.get_mut(&id) {
                        found.2 = status;
                        let id = format!("{id}");
                        world.register(with_check("n", service_check(&format!("c{id}"), &id, status)));
                    }
                }
            }
            reference = next;
            prop_assert_eq!(told(&world.consul), reference.told());
        }
        let restored = world.restored();
        prop_assert_eq!(restored.check_invariants(), Ok(()));
        prop_assert_eq!(told(&restored), reference.told());
    }
}
