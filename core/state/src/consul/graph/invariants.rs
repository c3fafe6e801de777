//! What must hold of the graph as it is kept: see [`crate::invariants`]. That it is
//! the one that the registrations give is compared by the catalog.

use alloc::collections::BTreeSet;
use alloc::format;

use super::{Graph, Slot};
use crate::invariants::{Violation, require, require_all};

impl Graph {
    pub(in crate::consul) fn check_invariants(&self) -> Result<(), Violation> {
        for (name, slot) in &self.slots {
            let vertex = self.vertices.get(*slot);
            let is_needed = vertex.is_some_and(|vertex| {
                vertex.name == *name && !(vertex.needs.is_empty() && vertex.needed_by.is_empty())
            });
            require("A9", is_needed, || {
                format!("the vertex {name} has no edges, or another name")
            })?;
        }
        let edges = |toward: fn(&Self, Slot) -> BTreeSet<(Slot, Slot)>| {
            self.slots.values().flat_map(|slot| toward(self, *slot)).collect::<BTreeSet<_>>()
        };
        let needs = edges(|graph, slot| {
            graph.vertices[slot].needs.keys().map(|needed| (slot, *needed)).collect()
        });
        let needed_by = edges(|graph, slot| {
            graph.vertices[slot].needed_by.iter().map(|above| (*above, slot)).collect()
        });
        let mut places: BTreeSet<Slot> = self.slots.values().copied().collect();
        places.extend(&self.free);
        require_all(
            "A9",
            &[
                ("the edges from both ends", needs == needed_by),
                ("the number of edges", needs.len() == self.edges),
                (
                    "the vertices in use and free",
                    places.len() == self.slots.len() + self.free.len()
                        && places.len() == self.vertices.len(),
                ),
                ("the order of the graph", self.is_ordered()),
            ],
        )
    }
}

#[cfg(test)]
mod tests {
    use alloc::boxed::Box;
    use alloc::vec::Vec;

    use super::*;
    use crate::consul::Dependency;

    fn graph() -> Graph {
        let mut graph = Graph::default();
        let needs =
            |name: &str| [Dependency { name: name.into(), optional: false, tag: Box::default() }];
        graph.add("web", &needs("api"));
        graph.add("api", &needs("db"));
        graph.add("old", &needs("db"));
        graph.remove("old", &needs("db"));
        graph
    }

    #[test]
    fn an_edge_that_one_end_does_not_know_is_found() {
        assert_eq!(graph().check_invariants(), Ok(()));
        type Damage = fn(&mut Graph);
        let damages: [Damage; 7] = [
            |graph| graph.edges += 1,
            |graph| graph.free.clear(),
            |graph| graph.free.push(0),
            |graph| {
                let db = graph.slots["db"];
                graph.vertices[db].needed_by.clear();
            },
            |graph| {
                let web = graph.slots["web"];
                graph.vertices[web].needs.clear();
            },
            |graph| {
                let api = graph.slots["api"];
                graph.vertices[api].name = "web".into();
            },
            |graph| {
                let web = graph.slots["web"];
                graph.vertices[web].position = i64::MIN;
            },
        ];
        let found: Vec<_> = damages
            .into_iter()
            .map(|damage| {
                let mut graph = graph();
                damage(&mut graph);
                graph.check_invariants().map_err(|broken| broken.id())
            })
            .collect();
        assert_eq!(found, [Err("A9"); 7]);
    }
}
