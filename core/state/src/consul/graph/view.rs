//! A copy of the graph for readers, and its evaluation.
//!
//! Copying is fast and happens under the lock; evaluation can happen later.
//!
//! | | status of a service: its worst check | what it passes on to who requires it | to whom it is optional |
//! |---|---|---|---|
//! | | passing | passing | passing |
//! | | warning | warning | passing |
//! | | critical, or it is missing | critical | warning |
//!
//! The effective status is the worst of its own status and the propagated ones.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use super::{Graph, Slot, Vertex};
use crate::consul::name::lower;
use crate::consul::{Catalog, CheckStatus};

/// Causes told of one service.
const CAUSES_MAX: usize = 64;

/// The service that the members themselves are registered as.
const MEMBERS: &str = "consul";

/// Services by name, and their dependencies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphView {
    /// In the order of their names in lower case. Whatever one of them needs is among them.
    pub services: Vec<GraphService>,
}

/// One name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphService {
    /// As registered, or if it is not, as those spell it who depend on it.
    pub name: Box<str>,
    /// The worst of its checks; `None` if it is not registered.
    pub status: Option<CheckStatus>,
    /// By name and tag.
    pub needs: Vec<GraphNeed>,
}

/// One dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphNeed {
    /// Its place among the services.
    pub service: usize,
    /// Whether no instance requires it.
    pub optional: bool,
    /// Which instances are meant; empty for all.
    pub tag: Box<str>,
}

/// One service with all it needs and all that need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Around {
    /// These, and what else must be known to judge them.
    pub view: GraphView,
    /// The place of the one service.
    pub center: usize,
}

/// How a service is reached from another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// The fewest dependencies there are between them.
    pub distance: usize,
    /// Whether every way has an optional one.
    pub optional: bool,
}

/// What follows from a graph, for each service by its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// Lowered by what it requires. Critical for what is missing.
    pub effective: Vec<CheckStatus>,
    /// The nearest services whose own status is why it is lowered.
    pub because: Vec<Vec<usize>>,
    /// How many others have to be there before; `None` for what is missing.
    pub waves: Vec<Option<usize>>,
}

/// A name in lower case, how it is registered and its worst check, and its vertex.
struct Named<'a> {
    name: &'a str,
    registered: Option<(&'a str, CheckStatus)>,
    slot: Option<Slot>,
}

impl Catalog {
    /// The whole graph.
    pub fn graph(&self) -> GraphView {
        let graph = self.graph_table();
        let mut slots = graph.slots.iter().map(|(name, slot)| (&**name, *slot)).peekable();
        let mut names = Vec::new();
        for (name, registered) in self.registered_names() {
            while let Some((other, slot)) = slots.next_if(|(other, _)| *other < name) {
                names.push(Named { name: other, registered: None, slot: Some(slot) });
            }
            let slot = slots.next_if(|(other, _)| *other == name).map(|(_, slot)| slot);
            if slot.is_some() || name != MEMBERS {
                names.push(Named { name, registered, slot });
            }
        }
        names.extend(slots.map(|(name, slot)| Named { name, registered: None, slot: Some(slot) }));
        self.graph_of(&names)
    }

    /// One service and all around it. `None` if nobody has heard of it.
    pub fn graph_around(&self, name: &str) -> Option<Around> {
        let graph = self.graph_table();
        let name = lower(name);
        let center = graph.slots.get(&name).copied();
        if center.is_none() && !self.has_instances(&name) {
            return None;
        }
        let named = |name, slot| Named { name, registered: self.registered(name), slot };
        let mut names = Vec::new();
        match center {
            Some(center) => {
                let needing = graph.closure([center], |vertex, next| {
                    next.extend(&vertex.needed_by);
                });
                let all = graph.closure(needing, |vertex, next| next.extend(vertex.needs.keys()));
                let all = all.into_iter();
                names.extend(all.map(|slot| named(&*graph.vertices[slot].name, Some(slot))));
                names.sort_unstable_by_key(|found| found.name);
            }
            None => names.push(named(&*name, None)),
        }
        let place = names.binary_search_by_key(&&*name, |found| found.name).unwrap_or_default();
        Some(Around { view: self.graph_of(&names), center: place })
    }

    /// Whether a service must not be used: it or something that it requires,
    /// directly or not, is critical or missing.
    pub fn is_blocked(&self, name: &str) -> bool {
        let graph = self.graph_table();
        let name = lower(name);
        let is_bad =
            |name: &str| self.name_status(name).is_none_or(|is| is == CheckStatus::Critical);
        is_bad(&name)
            || graph.slots.get(&name).is_some_and(|slot| {
                graph.any_required(*slot, |slot| is_bad(&graph.vertices[slot].name))
            })
    }

    /// Whether all that a service requires, directly or not, is registered and
    /// passing. `None` if nobody has heard of the service, or it is missing.
    pub fn is_ready(&self, name: &str) -> Option<bool> {
        let graph = self.graph_table();
        let name = lower(name);
        self.name_status(&name)?;
        let is_bad =
            |slot: Slot| self.name_status(&graph.vertices[slot].name) != Some(CheckStatus::Passing);
        Some(!graph.slots.get(&name).is_some_and(|slot| graph.any_required(*slot, is_bad)))
    }

    fn graph_of(&self, names: &[Named<'_>]) -> GraphView {
        let graph = self.graph_table();
        let mut places: Vec<Option<usize>> = Vec::new();
        places.resize(graph.vertices.len(), None);
        for (place, found) in names.iter().enumerate() {
            if let Some(slot) = found.slot {
                places[slot] = Some(place);
            }
        }
        let services = names.iter().map(|found| {
            let vertex = found.slot.map(|slot| &graph.vertices[slot]);
            let mut needs = Vec::with_capacity(vertex.map_or(0, |vertex| vertex.needs.len()));
            for (target, edge) in vertex.into_iter().flat_map(|vertex| &vertex.needs) {
                let Some(service) = places[*target] else { continue };
                needs.extend(edge.counts().map(|(tag, count)| GraphNeed {
                    service,
                    optional: count.requiring == 0,
                    tag: tag.into(),
                }));
            }
            needs.sort_unstable_by(|one, other| {
                (one.service, &one.tag).cmp(&(other.service, &other.tag))
            });
            let depended_on = || vertex.and_then(Vertex::spelling).unwrap_or(found.name);
            GraphService {
                name: found.registered.map_or_else(depended_on, |(spelled, _)| spelled).into(),
                status: found.registered.map(|(_, worst)| worst),
                needs,
            }
        });
        GraphView { services: services.collect() }
    }
}

impl Graph {
    /// All that can be reached from `starts`, these included.
    fn closure(
        &self,
        starts: impl IntoIterator<Item = Slot>,
        next: impl Fn(&Vertex, &mut Vec<Slot>),
    ) -> Vec<Slot> {
        let mut seen: Vec<bool> = Vec::new();
        seen.resize(self.vertices.len(), false);
        let mut found: Vec<Slot> = Vec::new();
        let mut more: Vec<Slot> = starts.into_iter().collect();
        let mut at = 0;
        loop {
            found.extend(more.drain(..).filter(|slot| !core::mem::replace(&mut seen[*slot], true)));
            let Some(slot) = found.get(at) else { return found };
            next(&self.vertices[*slot], &mut more);
            at += 1;
        }
    }

    /// Whether it holds for anything that `start` requires, directly or not.
    fn any_required(&self, start: Slot, holds: impl Fn(Slot) -> bool) -> bool {
        let mut seen: Vec<bool> = Vec::new();
        seen.resize(self.vertices.len(), false);
        let mut open = Vec::from([start]);
        while let Some(slot) = open.pop() {
            for (needed, edge) in &self.vertices[slot].needs {
                if edge.is_required() && !core::mem::replace(&mut seen[*needed], true) {
                    if holds(*needed) {
                        return true;
                    }
                    open.push(*needed);
                }
            }
        }
        false
    }
}

impl GraphView {
    /// How many dependencies there are.
    pub fn needs_count(&self) -> usize {
        self.services.iter().map(|service| service.needs.len()).sum()
    }

    /// What follows from it. Takes time like its size.
    pub fn judged(&self) -> Judged {
        let count = self.services.len();
        let mut judged = Judged {
            effective: Vec::from_iter((0..count).map(|_| CheckStatus::Critical)),
            because: Vec::from_iter((0..count).map(|_| Vec::new())),
            waves: Vec::from_iter((0..count).map(|_| None)),
        };
        for place in self.in_order() {
            self.judge(place, &mut judged);
        }
        judged
    }

    /// All places, each behind those it needs.
    fn in_order(&self) -> Vec<usize> {
        let needed_by = NeededBy::of(self);
        let mut left: Vec<usize> = self.services.iter().map(|found| found.needs.len()).collect();
        let mut order: Vec<usize> = (0..left.len()).filter(|place| left[*place] == 0).collect();
        let mut at = 0;
        while let Some(&place) = order.get(at) {
            at += 1;
            for (above, _) in needed_by.of_service(place) {
                left[*above] -= 1;
                if left[*above] == 0 {
                    order.push(*above);
                }
            }
        }
        order
    }

    /// Judges one service; those it needs are judged already.
    fn judge(&self, place: usize, judged: &mut Judged) {
        let service = &self.services[place];
        let own = service.status.unwrap_or(CheckStatus::Critical);
        let passed_on = |need: &GraphNeed, judged: &Judged| {
            let theirs = judged.effective[need.service];
            if need.optional { lessened(theirs) } else { theirs }
        };
        let worst = service.needs.iter().map(|need| passed_on(need, judged)).max();
        let effective = worst.unwrap_or(CheckStatus::Passing).max(own);
        let mut because = BTreeSet::new();
        if effective > own {
            for need in &service.needs {
                if passed_on(need, judged) != effective {
                    continue;
                }
                let theirs = &self.services[need.service];
                let is_its_own =
                    theirs.status.is_none_or(|own| own == judged.effective[need.service]);
                if is_its_own {
                    because.insert(need.service);
                } else {
                    because.extend(&judged.because[need.service]);
                }
            }
        }
        judged.because[place] = because.into_iter().take(CAUSES_MAX).collect();
        judged.effective[place] = effective;
        if service.status.is_some() {
            let below = service.needs.iter().filter_map(|need| judged.waves[need.service]);
            judged.waves[place] = Some(below.max().map_or(0, |wave| wave + 1));
        }
    }

    /// As [`Catalog::is_ready`]; false for what is missing.
    pub fn is_ready(&self, center: usize) -> bool {
        let status = |place: usize| self.services[place].status;
        let needed = self.reach(center, false).into_iter();
        let mut required = needed.filter(|(_, reach)| !reach.optional);
        status(center).is_some()
            && required.all(|(place, _)| status(place) == Some(CheckStatus::Passing))
    }

    /// What `center` needs, or what needs it, by place.
    pub fn reach(&self, center: usize, needed_by: bool) -> BTreeMap<usize, Reach> {
        let (any, required) = if needed_by {
            let edges = NeededBy::of(self);
            let next = |place: usize| edges.of_service(place).iter().copied();
            self.distances(center, &next)
        } else {
            let next = |place: usize| {
                let needs = self.services[place].needs.iter();
                needs.map(|need| (need.service, need.optional))
            };
            self.distances(center, &next)
        };
        any.into_iter()
            .zip(required)
            .enumerate()
            .filter(|(place, _)| *place != center)
            .filter_map(|(place, (distance, required))| {
                Some((place, Reach { distance: distance?, optional: required.is_none() }))
            })
            .collect()
    }

    /// How far everything is that can be reached over any edge, and over required ones.
    fn distances<I: Iterator<Item = (usize, bool)>>(
        &self,
        start: usize,
        next: &impl Fn(usize) -> I,
    ) -> (Vec<Option<usize>>, Vec<Option<usize>>) {
        let count = self.services.len();
        let required = |place| next(place).filter(|(_, optional)| !optional);
        (breadth_first(count, start, next), breadth_first(count, start, required))
    }
}

/// For each service those that need it, once for each dependency: their places, and
/// whether it is optional to them.
struct NeededBy {
    /// Where those of each service end; they start where those of the one before end.
    ends: Vec<usize>,
    needing: Vec<(usize, bool)>,
}

impl NeededBy {
    fn of(view: &GraphView) -> Self {
        let needs = || {
            view.services
                .iter()
                .enumerate()
                .flat_map(|(place, service)| service.needs.iter().map(move |need| (place, need)))
        };
        let mut ends = Vec::from_iter(view.services.iter().map(|_| 0));
        needs().for_each(|(_, need)| ends[need.service] += 1);
        let mut total = 0;
        for end in &mut ends {
            // The start for now; filling moves it to the end.
            (*end, total) = (total, total + *end);
        }
        let mut needing = Vec::new();
        needing.resize(total, (0, false));
        for (place, need) in needs() {
            let at = &mut ends[need.service];
            needing[*at] = (place, need.optional);
            *at += 1;
        }
        Self { ends, needing }
    }

    fn of_service(&self, place: usize) -> &[(usize, bool)] {
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.needing[start..self.ends[place]]
    }
}

fn breadth_first<I: Iterator<Item = (usize, bool)>>(
    count: usize,
    start: usize,
    edges: impl Fn(usize) -> I,
) -> Vec<Option<usize>> {
    let mut distances: Vec<Option<usize>> = Vec::new();
    distances.resize(count, None);
    distances[start] = Some(0);
    let mut open = VecDeque::from([(start, 0)]);
    while let Some((place, distance)) = open.pop_front() {
        for (next, _) in edges(place) {
            if distances[next].is_none() {
                distances[next] = Some(distance + 1);
                open.push_back((next, distance + 1));
            }
        }
    }
    distances
}

/// What an optional dependency passes on.
fn lessened(status: CheckStatus) -> CheckStatus {
    match status {
        CheckStatus::Critical => CheckStatus::Warning,
        CheckStatus::Warning | CheckStatus::Passing => CheckStatus::Passing,
    }
}
