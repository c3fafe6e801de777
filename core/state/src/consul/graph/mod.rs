//! The dependency graph: an acyclic graph over service names.
//!
//! ```text
//!   web (two instances)                   web --> api --> db
//!     web1 declares api, cache?    ==>      \
//!     web2 declares api                      `-?-> cache      (not registered)
//! ```
//!
//! It is derived from the registrations and not stored. An edge counts the
//! instances that declare it, per tag; it exists as long as one does, and is
//! required as long as one requires it.
//!
//! Invariants:
//!
//! 1. There is no cycle, not even through optional edges.
//! 2. A name is in the graph exactly as long as it has a dependency or a
//!    dependent.
//! 3. No result depends on [`Vertex::position`] or on the number of a vertex:
//!    members with a different history of the graph return the same.

mod invariants;
mod order;
mod view;

pub use view::{Around, GraphNeed, GraphService, GraphView, Judged, Reach};

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::consul::Dependency;
use crate::consul::name::lower;

/// Edges between names, all together.
pub const EDGES_MAX: usize = 1 << 17;

/// The number of a vertex.
type Slot = usize;

/// All names that depend on others or are depended upon.
#[derive(Debug, Default)]
pub(super) struct Graph {
    slots: BTreeMap<Box<str>, Slot>,
    vertices: Vec<Vertex>,
    /// Slots of names that are not in the graph any more.
    free: Vec<Slot>,
    edges: usize,
    /// Grows whenever something that readers are told becomes different.
    changes: u64,
    order: order::Order,
}

/// One name.
#[derive(Debug, Default)]
struct Vertex {
    /// In lower case.
    name: Box<str>,
    /// How those who depend on it spell it, and how many.
    spellings: BTreeMap<Box<str>, usize>,
    needs: BTreeMap<Slot, Edge>,
    needed_by: BTreeSet<Slot>,
    /// Above that of everything it needs.
    position: i64,
    /// The last search that came by.
    seen: u64,
}

/// An edge, and how those spell its target who depend on it.
type ToldEdge<'a> = (&'a Edge, &'a BTreeMap<Box<str>, usize>);

/// That one name depends on another: how, by tag. Hardly any dependency names a tag, so
/// those without one are counted where the edge is.
#[derive(Debug, Default, PartialEq, Eq)]
struct Edge {
    untagged: Count,
    tagged: Vec<(Box<str>, Count)>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Count {
    instances: usize,
    /// Those to whom it is not optional.
    requiring: usize,
}

impl Vertex {
    fn spelling(&self) -> Option<&str> {
        self.spellings.keys().next().map(|spelled| &**spelled)
    }
}

impl Edge {
    fn is_required(&self) -> bool {
        self.counts().any(|(_, count)| count.requiring > 0)
    }

    /// By tag.
    fn counts(&self) -> impl Iterator<Item = (&str, Count)> {
        let untagged = (self.untagged.instances > 0).then_some(("", self.untagged));
        untagged.into_iter().chain(self.tagged.iter().map(|(tag, count)| (&**tag, *count)))
    }

    /// That of a tag, if an instance names it.
    fn count_of(&mut self, tag: &str) -> Option<&mut Count> {
        if tag.is_empty() {
            return Some(&mut self.untagged).filter(|count| count.instances > 0);
        }
        let at = self.tagged.binary_search_by(|(other, _)| (**other).cmp(tag));
        at.ok().map(|at| &mut self.tagged[at].1)
    }

    /// That of a tag, which is made if it is not there.
    fn count_mut(&mut self, tag: &str) -> &mut Count {
        if tag.is_empty() {
            return &mut self.untagged;
        }
        let at = self.tagged.binary_search_by(|(other, _)| (**other).cmp(tag));
        let at = at.unwrap_or_else(|at| {
            self.tagged.insert(at, (tag.into(), Count::default()));
            at
        });
        &mut self.tagged[at].1
    }

    /// Drops tags that nobody names any more; whether nothing is left.
    fn is_gone(&mut self) -> bool {
        self.tagged.retain(|(_, count)| count.instances > 0);
        self.untagged.instances == 0 && self.tagged.is_empty()
    }
}

impl Graph {
    pub(super) fn is_empty(&self) -> bool {
        self.edges == 0
    }

    /// A number that grows when something that readers are told changes.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// How many edges it would have if `from` depended on these, too.
    pub(super) fn edges_with(&self, from: &str, dependencies: &[Dependency]) -> usize {
        let needs = self.slots.get(from).map(|slot| &self.vertices[*slot].needs);
        let is_there = |name: &str| {
            let slot = self.slots.get(name);
            slot.zip(needs).is_some_and(|(slot, needs)| needs.contains_key(slot))
        };
        let names: BTreeSet<_> = dependencies.iter().map(|needed| lower(&needed.name)).collect();
        self.edges + names.iter().filter(|name| !is_there(name)).count()
    }

    /// An instance of `from` depends on these. There must be no cycle in it:
    /// see [`Self::cycle`].
    pub(super) fn add(&mut self, from: &str, dependencies: &[Dependency]) {
        for needed in dependencies {
            // A name that is new is placed where no order is violated.
            let source = self.slot_of(from, order::End::Last);
            let target = self.slot_of(&lower(&needed.name), order::End::First);
            self.spell(target, &needed.name);
            if !self.vertices[source].needs.contains_key(&target) {
                self.edges += 1;
                self.place(source, target);
                self.vertices[target].needed_by.insert(source);
            }
            let edge = self.vertices[source].needs.entry(target).or_default();
            let count = edge.count_mut(&needed.tag);
            count.instances += 1;
            count.requiring += usize::from(!needed.optional);
            let is_news = count.instances == 1 || (!needed.optional && count.requiring == 1);
            self.changes += u64::from(is_news);
        }
    }

    /// Takes back what [`Self::add`] did.
    pub(super) fn remove(&mut self, from: &str, dependencies: &[Dependency]) {
        for needed in dependencies {
            let slots = self.slots.get(from).zip(self.slots.get(&lower(&needed.name)));
            let Some((&source, &target)) = slots else { continue };
            let Some(edge) = self.vertices[source].needs.get_mut(&target) else { continue };
            let Some(count) = edge.count_of(&needed.tag) else { continue };
            count.instances -= 1;
            count.requiring -= usize::from(!needed.optional);
            let is_news = count.instances == 0 || (!needed.optional && count.requiring == 0);
            self.changes += u64::from(is_news);
            let is_gone = edge.is_gone();
            self.unspell(target, &needed.name);
            if is_gone {
                self.edges -= 1;
                self.vertices[source].needs.remove(&target);
                self.vertices[target].needed_by.remove(&source);
                self.forget_if_alone(source);
                self.forget_if_alone(target);
            }
        }
    }

    fn slot_of(&mut self, name: &str, end: order::End) -> Slot {
        if let Some(slot) = self.slots.get(name) {
            return *slot;
        }
        let position = self.order.position_at(end);
        let vertex = Vertex { name: name.into(), position, ..Vertex::default() };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.vertices[slot] = vertex;
                slot
            }
            None => {
                self.vertices.push(vertex);
                self.vertices.len() - 1
            }
        };
        self.slots.insert(name.into(), slot);
        slot
    }

    fn forget_if_alone(&mut self, slot: Slot) {
        let vertex = &self.vertices[slot];
        if vertex.needs.is_empty() && vertex.needed_by.is_empty() {
            let vertex = core::mem::take(&mut self.vertices[slot]);
            self.slots.remove(&vertex.name);
            self.free.push(slot);
        }
    }

    fn spell(&mut self, slot: Slot, name: &str) {
        let spellings = &mut self.vertices[slot].spellings;
        match spellings.get_mut(name) {
            Some(count) => *count += 1,
            None => {
                spellings.insert(name.into(), 1);
                self.changes += 1;
            }
        }
    }

    fn unspell(&mut self, slot: Slot, name: &str) {
        let spellings = &mut self.vertices[slot].spellings;
        if let Some(count) = spellings.get_mut(name) {
            *count -= 1;
            if *count == 0 {
                spellings.remove(name);
                self.changes += 1;
            }
        }
    }

    /// How those who depend on a name spell it.
    pub(super) fn spelling(&self, name: &str) -> Option<&str> {
        self.vertices[*self.slots.get(name)?].spelling()
    }

    /// Every edge with all that is told of it, and the order as it should be.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.edges == other.edges && self.told() == other.told() && self.is_ordered()
    }

    fn told(&self) -> BTreeMap<(&str, &str), ToldEdge<'_>> {
        let mut told = BTreeMap::new();
        for slot in self.slots.values() {
            let vertex = &self.vertices[*slot];
            for (target, edge) in &vertex.needs {
                let needed = &self.vertices[*target];
                told.insert((&*vertex.name, &*needed.name), (edge, &needed.spellings));
            }
        }
        told
    }
}
