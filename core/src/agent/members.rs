//! Liveness of the other members: the leader's agent writes it to the catalog.
//!
//! | the leader heard a member | its node's `serfHealth` |
//! |---|---|
//! | recently | passing |
//! | not for [`SILENCE_MAX`] | critical; its services stay listed |
//! | was removed from the cluster | deregistered, with its services |
//!
//! Members that stay dead may be removed: see `cleanup`.
//!
//! Consensus hears from every member several times a second anyway, so this
//! needs no further traffic. A new leader restarts the timeout of every member,
//! and so does a leader that lost contact to the majority for a while, since it
//! was partitioned and not they. Its reports are valid in its own term only.

use std::sync::Arc;
use std::time::Duration;

use coord_state::consul::{Catalog, CheckStatus, ConsulCommand, NewNode, Registration};
use coord_state::{Command, MemberId};
use coord_wire::consul::session::SERF_HEALTH;
use tokio::time::Interval;

use super::Agent;
use super::identity::{member_services, serf_health};
use crate::clock;

const EVERY: Duration = Duration::from_secs(1);
/// With an election and a tick before, a member that dies is critical within
/// ten seconds, as in Consul.
const SILENCE_MAX: Duration = Duration::from_secs(5);

impl Agent {
    pub(super) async fn watch_members(self: Arc<Self>) {
        let mut ticks = LeaderTicks::every(EVERY);
        while let Some(Leading { term, leading, heard }) = self.next_as_leader(&mut ticks).await {
            let changed =
                self.node.read(|state| changed_nodes(state.consul().catalog(), &heard, leading));
            let there = self.members_and_newcomers();
            let gone = self.node.read(|state| left_nodes(state.consul().catalog(), &there));
            let changed = changed.into_iter().map(|(node, alive)| liveness(node, alive));
            let commands: Vec<_> = changed.chain(gone.into_iter().map(departure)).collect();
            if commands.is_empty() {
                continue;
            }
            let decided = self.node.decide(term, commands);
            tokio::select! {
                () = self.stopped() => return,
                decided = decided => if let Err(error) = decided {
                    // Seen and decided again at the next tick.
                    let error = error.chain();
                    tracing::warn!(error, "cannot write the health of a member to the catalog");
                }
            }
        }
    }

    /// Waits for a tick at which this member leads with a majority behind it; `None` once the agent
    /// stops.
    pub(super) async fn next_as_leader(&self, ticks: &mut LeaderTicks) -> Option<Leading> {
        loop {
            tokio::select! {
                () = self.stopped() => return None,
                _ = ticks.interval.tick() => {}
            }
            if let Some(leading) = self.leading(&mut ticks.leads_since) {
                return Some(leading);
            }
        }
    }

    /// That this member leads with a majority behind it; nothing if it does not.
    fn leading(&self, since: &mut Option<(u64, Duration)>) -> Option<Leading> {
        let now = self.node.clock().monotonic();
        let Some((term, heard)) = self.node.deciding_term().zip(self.node.members_heard()) else {
            *since = None;
            return None;
        };
        let began = match *since {
            Some((same, began)) if same == term => began,
            _ => now,
        };
        *since = Some((term, began));
        Some(Leading { term, leading: now.saturating_sub(began), heard })
    }

    /// Who takes part; nobody until that is known.
    fn members_and_newcomers(&self) -> Vec<MemberId> {
        if self.node.config().is_empty() {
            return Vec::new();
        }
        let status = self.node.status();
        status.voters.into_iter().chain(status.observers).map(|(member, _)| member).collect()
    }
}

/// When the leader's agent looks again.
#[derive(Debug)]
pub(super) struct LeaderTicks {
    interval: Interval,
    /// In which term this member led at the last tick, and since when.
    leads_since: Option<(u64, Duration)>,
}

impl LeaderTicks {
    pub(super) fn every(period: Duration) -> Self {
        Self { interval: clock::interval(period), leads_since: None }
    }
}

/// In which term this member leads, for how long, and when it heard the others.
#[derive(Debug)]
pub(super) struct Leading {
    term: u64,
    pub(super) leading: Duration,
    pub(super) heard: Vec<(MemberId, Option<Duration>)>,
}

fn liveness(name: Box<str>, alive: bool) -> Command {
    tracing::info!(node = &*name, alive, "the health of another member changed");
    let node = NewNode { name, ..NewNode::default() };
    let checks = vec![serf_health(alive)];
    let services = Vec::new();
    let registration = Registration { node, skip_node_update: true, services, checks };
    Command::Consul(ConsulCommand::Register(Box::new(registration)))
}

fn departure(node: Box<str>) -> Command {
    tracing::info!(node = &*node, "a member left the cluster: deregistering its node");
    Command::Consul(ConsulCommand::Deregister { node, service_id: None, check_id: None })
}

/// The nodes of members whose liveness the catalog has wrong, with what is right.
fn changed_nodes(
    catalog: &Catalog,
    heard: &[(MemberId, Option<Duration>)],
    leading: Duration,
) -> Vec<(Box<str>, bool)> {
    let nodes = member_services(catalog).filter_map(|(member, service)| {
        let (_, silence) = heard.iter().find(|(other, _)| *other == member)?;
        let shown = catalog.check(&service.node, SERF_HEALTH)?.status == CheckStatus::Passing;
        let lately = silence.is_some_and(|silence| silence < SILENCE_MAX);
        // Not heard yet since this member leads: so far it may be as it was.
        let alive = lately || (shown && leading < SILENCE_MAX);
        (alive != shown).then(|| (service.node.clone(), alive))
    });
    nodes.collect()
}

/// The nodes of members that are none any more. With no members known, nobody left.
fn left_nodes(catalog: &Catalog, members: &[MemberId]) -> Vec<Box<str>> {
    let left = |member: &MemberId| !members.is_empty() && !members.contains(member);
    let nodes = member_services(catalog).filter(|(member, _)| left(member));
    nodes.map(|(_, service)| service.node.clone()).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use coord_state::{Command, StateMachine};

    use std::path::Path;

    use super::*;
    use crate::agent::Identity;

    const SECOND: Duration = Duration::from_secs(1);

    /// A catalog with member 2, shown alive or not.
    pub(crate) fn catalog(alive: bool) -> StateMachine {
        let identity = Identity::of_member(2, "two", Path::new("."), "");
        let mut state = StateMachine::new();
        let registration = Registration {
            node: identity.catalog_node(),
            skip_node_update: false,
            services: vec![identity.consul_service()],
            checks: vec![serf_health(alive)],
        };
        let command = Command::Consul(ConsulCommand::Register(Box::new(registration)));
        state.apply(1, command).result.unwrap();
        state
    }

    /// What becomes of member 2: its new state, or `None` if it keeps the one it has.
    fn change(shown: bool, silence: Option<Duration>, leading: Duration) -> Option<bool> {
        let state = catalog(shown);
        let heard = [(MemberId(2), silence), (MemberId(3), None)];
        let changed = changed_nodes(state.consul().catalog(), &heard, leading);
        assert!(changed.iter().all(|(node, _)| &**node == "two"));
        changed.first().map(|(_, alive)| *alive)
    }

    #[test]
    fn a_silent_member_is_dead_and_one_that_is_heard_again_lives() {
        assert_eq!(change(true, Some(SECOND * 4), SECOND * 60), None);
        assert_eq!(change(true, Some(SECOND * 5), SECOND * 60), Some(false));
        assert_eq!(change(false, Some(SECOND * 5), SECOND * 60), None);
        assert_eq!(change(false, Some(SECOND), SECOND * 60), Some(true));
    }

    #[test]
    fn a_new_leader_gives_those_it_has_not_heard_the_whole_time() {
        assert_eq!(change(true, None, SECOND * 4), None);
        assert_eq!(change(true, None, SECOND * 5), Some(false));
        assert_eq!(change(false, None, SECOND), None);
    }

    #[test]
    fn a_leader_that_was_cut_off_itself_gives_the_others_the_whole_time() {
        assert_eq!(change(true, Some(SECOND * 60), SECOND * 4), None);
        assert_eq!(change(true, Some(SECOND * 60), SECOND * 5), Some(false));
    }

    #[test]
    fn the_node_of_a_member_that_was_removed_goes() {
        let state = catalog(true);
        let left = |members: &[MemberId]| left_nodes(state.consul().catalog(), members);
        assert_eq!(left(&[MemberId(1)]), ["two".into()]);
        assert!(left(&[MemberId(1), MemberId(2)]).is_empty());
        assert!(left(&[]).is_empty());
    }
}
