//! Maintains a topological order of the graph.
//!
//! Every vertex has a position above all its dependencies. A new edge that
//! contradicts the order moves only vertices between its two ends: D. J. Pearce
//! and P. H. J. Kelly, "A Dynamic Topological Sort Algorithm for Directed
//! Acyclic Graphs", ACM Journal of Experimental Algorithmics 11 (2006).
//!
//! ```text
//!   position    1   2   3   4   5        from 2 to 5, new: 2 needs 5
//!   vertex      a  from  b  c  to
//!                    ^-----------'       those that `to` needs, above `from`,
//!                                        go below those that need `from`
//! ```
//!
//! Removing an edge does not change the order, which stays valid.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use super::{Graph, Slot};
use crate::consul::Dependency;
use crate::consul::name::lower;

/// Where a vertex is put that has no edges yet.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    /// Below all others.
    First,
    /// Above all others.
    Last,
}

/// Along an edge or against it.
#[derive(Debug, Clone, Copy)]
enum Toward {
    Needs,
    NeededBy,
}

/// What the order needs beside the positions.
#[derive(Debug, Default)]
pub(super) struct Order {
    lowest: i64,
    highest: i64,
    /// Edges were added without looking at positions.
    is_pending: bool,
    /// Numbers searches.
    searches: u64,
    /// Edges looked at in all searches.
    walked: u64,
}

impl Order {
    pub(super) fn position_at(&mut self, end: End) -> i64 {
        match end {
            End::First => {
                self.lowest -= 1;
                self.lowest
            }
            End::Last => {
                self.highest += 1;
                self.highest
            }
        }
    }
}

impl Graph {
    /// Edges that all searches so far looked at.
    #[cfg(test)]
    pub(in crate::consul) fn walked(&self) -> u64 {
        self.order.walked
    }

    /// From here on edges are added without ordering them, until
    /// [`Self::settle`]: for many at once.
    pub(in crate::consul) fn defer(&mut self) {
        self.order.is_pending = true;
    }

    /// Orders what was added since [`Self::defer`]. False if there is a cycle.
    pub(in crate::consul) fn settle(&mut self) -> bool {
        if !self.order.is_pending {
            return true;
        }
        let mut missing: BTreeMap<Slot, usize> = BTreeMap::new();
        let mut ready: Vec<Slot> = Vec::new();
        for slot in self.slots.values() {
            match self.vertices[*slot].needs.len() {
                0 => ready.push(*slot),
                needs => {
                    missing.insert(*slot, needs);
                }
            }
        }
        let mut position = 0;
        while let Some(slot) = ready.pop() {
            position += 1;
            self.vertices[slot].position = position;
            for above in &self.vertices[slot].needed_by {
                if let Some(count) = missing.get_mut(above) {
                    *count -= 1;
                    if *count == 0 {
                        missing.remove(above);
                        ready.push(*above);
                    }
                }
            }
        }
        self.order.lowest = 0;
        self.order.highest = position;
        self.order.is_pending = !missing.is_empty();
        missing.is_empty()
    }

    /// Whether every vertex is above what it needs.
    pub(super) fn is_ordered(&self) -> bool {
        let vertices = self.slots.values().map(|slot| &self.vertices[*slot]);
        let mut edges = vertices.flat_map(|vertex| {
            vertex.needs.keys().map(|needed| (vertex.position, self.vertices[*needed].position))
        });
        self.order.is_pending || edges.all(|(above, below)| above > below)
    }

    /// The cycle that there would be if `from` depended on these: from one of
    /// them to `from`, which is the last. Of all such ways a shortest one, of
    /// these the first by its names.
    pub(in crate::consul) fn cycle(
        &mut self,
        from: &str,
        dependencies: &[Dependency],
    ) -> Option<Vec<Box<str>>> {
        let mut names: Vec<Box<str>> =
            dependencies.iter().map(|needed| lower(&needed.name)).collect();
        names.sort_unstable();
        names.dedup();
        if names.iter().any(|name| **name == *from) {
            return Some(Vec::from([from.into()]));
        }
        let end = *self.slots.get(from)?;
        self.settle();
        let starts: Vec<Slot> = names
            .iter()
            .filter_map(|name| self.slots.get(name).copied())
            .filter(|start| !self.vertices[end].needs.contains_key(start))
            .collect();
        self.reaches(&starts, end).then(|| self.way(&starts, end))
    }

    /// Whether a way of dependencies leads from one of `starts` to `end`.
    fn reaches(&mut self, starts: &[Slot], end: Slot) -> bool {
        let floor = self.vertices[end].position;
        self.begin_search();
        let mut open: Vec<Slot> = Vec::new();
        for start in starts {
            self.visit(*start, &mut open, |position| position >= floor);
        }
        while let Some(slot) = open.pop() {
            if slot == end {
                return true;
            }
            for needed in self.neighbours(slot, Toward::Needs) {
                self.visit(needed, &mut open, |position| position >= floor);
            }
        }
        false
    }

    /// A shortest way from one of `starts` to `end`, of those the first by name.
    fn way(&self, starts: &[Slot], end: Slot) -> Vec<Box<str>> {
        let floor = self.vertices[end].position;
        let mut from: BTreeMap<Slot, Option<Slot>> =
            starts.iter().map(|start| (*start, None)).collect();
        let mut open: VecDeque<Slot> = starts.iter().copied().collect();
        while let Some(slot) = open.pop_front() {
            if slot == end {
                break;
            }
            let mut needs: Vec<Slot> = self.vertices[slot]
                .needs
                .keys()
                .copied()
                .filter(|needed| self.vertices[*needed].position >= floor)
                .collect();
            needs.sort_unstable_by(|one, other| {
                self.vertices[*one].name.cmp(&self.vertices[*other].name)
            });
            for needed in needs {
                from.entry(needed).or_insert_with(|| {
                    open.push_back(needed);
                    Some(slot)
                });
            }
        }
        let mut way = Vec::new();
        let mut at = Some(end);
        while let Some(slot) = at {
            way.push(self.vertices[slot].name.clone());
            at = from.get(&slot).copied().flatten();
        }
        way.reverse();
        way
    }

    /// Makes room in the order for an edge that is about to be added.
    pub(super) fn place(&mut self, from: Slot, to: Slot) {
        let (floor, ceiling) = (self.vertices[from].position, self.vertices[to].position);
        if self.order.is_pending || ceiling < floor {
            return;
        }
        let mut below = self.region(to, Toward::Needs, |at| at >= floor);
        let mut above = self.region(from, Toward::NeededBy, |at| at <= ceiling);
        if below.contains(&from) {
            // A cycle that nobody looked for: whoever orders next finds it.
            self.order.is_pending = true;
            return;
        }
        let by_position = |graph: &Self, slots: &mut Vec<Slot>| {
            slots.sort_unstable_by_key(|slot| graph.vertices[*slot].position);
        };
        by_position(self, &mut below);
        by_position(self, &mut above);
        below.append(&mut above);
        let mut positions: Vec<i64> =
            below.iter().map(|slot| self.vertices[*slot].position).collect();
        positions.sort_unstable();
        for (slot, position) in below.into_iter().zip(positions) {
            self.vertices[slot].position = position;
        }
    }

    /// All that can be reached from `start` within a range of positions.
    fn region(
        &mut self,
        start: Slot,
        toward: Toward,
        within: impl Fn(i64) -> bool + Copy,
    ) -> Vec<Slot> {
        self.begin_search();
        let (mut open, mut found) = (Vec::new(), Vec::new());
        self.visit(start, &mut open, within);
        while let Some(slot) = open.pop() {
            found.push(slot);
            for next in self.neighbours(slot, toward) {
                self.visit(next, &mut open, within);
            }
        }
        found
    }

    fn neighbours(&mut self, slot: Slot, toward: Toward) -> Vec<Slot> {
        let vertex = &self.vertices[slot];
        let neighbours: Vec<Slot> = match toward {
            Toward::Needs => vertex.needs.keys().copied().collect(),
            Toward::NeededBy => vertex.needed_by.iter().copied().collect(),
        };
        self.order.walked += neighbours.len() as u64;
        neighbours
    }

    fn begin_search(&mut self) {
        self.order.searches += 1;
    }

    /// Puts a vertex on the list unless this search saw it or it is outside.
    fn visit(&mut self, slot: Slot, open: &mut Vec<Slot>, within: impl Fn(i64) -> bool) {
        let vertex = &mut self.vertices[slot];
        if vertex.seen != self.order.searches && within(vertex.position) {
            vertex.seen = self.order.searches;
            open.push(slot);
        }
    }
}
