//! Autopilot: removes dead members from the cluster if `CleanupDeadServers` is
//! on. Runs in the leader's agent.
//!
//! It is a separate task because a removal waits for the other members, while
//! liveness has to be reported meanwhile.

use std::sync::Arc;
use std::time::Duration;

use coord_state::MemberId;
use coord_state::consul::{AutopilotSettings, Catalog, CheckStatus};
use coord_wire::consul::session::SERF_HEALTH;

use super::Agent;
use super::identity::member_services;
use super::members::{LeaderTicks, Leading};

const EVERY: Duration = Duration::from_secs(2);
/// How long a member is dead before it is removed.
const REMOVE_AFTER: Duration = Duration::from_secs(10);

impl Agent {
    pub(super) async fn remove_dead_members(self: Arc<Self>) {
        let mut ticks = LeaderTicks::every(EVERY);
        while let Some(Leading { leading, heard, .. }) = self.next_as_leader(&mut ticks).await {
            let voters: Vec<_> = self.node.status().voters.into_iter().map(|(id, _)| id).collect();
            let dead = self.node.read(|state| {
                let settings = &state.consul().autopilot().settings;
                removable(settings, state.consul().catalog(), &heard, leading, &voters)
            });
            for member in dead {
                tracing::warn!(
                    member = member.0,
                    "autopilot is removing a dead member from the cluster"
                );
                tokio::select! {
                    () = self.stopped() => return,
                    removed = self.node.remove_member(member) => {
                        if let Err(error) = removed {
                            // Seen again at the next tick.
                            let error = error.chain();
                            tracing::warn!(
                                error,
                                "autopilot could not remove a dead member and will retry"
                            );
                        }
                    }
                }
            }
        }
    }
}

/// Whom autopilot removes: who is dead for long, as long as those are the lesser
/// part of the voters and as many stay as must.
fn removable(
    settings: &AutopilotSettings,
    catalog: &Catalog,
    heard: &[(MemberId, Option<Duration>)],
    leading: Duration,
    voters: &[MemberId],
) -> Vec<MemberId> {
    if !settings.cleanup_dead_servers {
        return Vec::new();
    }
    let dead = member_services(catalog).filter_map(|(member, service)| {
        let (_, silence) = heard.iter().find(|(other, _)| *other == member)?;
        let shown = catalog.check(&service.node, SERF_HEALTH)?.status;
        // A leader that was cut off itself heard nobody for as long.
        let long = silence.unwrap_or(leading).min(leading) >= REMOVE_AFTER;
        (shown == CheckStatus::Critical && long).then_some(member)
    });
    let mut dead: Vec<MemberId> = dead.collect();
    let lost = dead.iter().filter(|member| voters.contains(member)).count();
    let few = lost <= voters.len().saturating_sub(1) / 2;
    let left = u64::try_from(voters.len() - lost).unwrap_or(u64::MAX);
    if !few || left < settings.min_quorum {
        dead.retain(|member| !voters.contains(member));
    }
    dead
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::members::tests::catalog;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn autopilot_removes_the_long_dead_if_they_are_few_and_only_if_asked_to() {
        let wanted = AutopilotSettings { cleanup_dead_servers: true, ..Default::default() };
        let removed = |settings: &AutopilotSettings, shown, silence: Option<u32>, voters: u64| {
            let state = catalog(shown);
            let heard = [(MemberId(2), silence.map(|seconds| SECOND * seconds))];
            let voters: Vec<_> = (1..=voters).map(MemberId).collect();
            let catalog = state.consul().catalog();
            removable(settings, catalog, &heard, SECOND * 60, &voters) == [MemberId(2)]
        };
        assert!(removed(&wanted, false, Some(10), 3));
        assert!(removed(&wanted, false, None, 3));
        assert!(!removed(&AutopilotSettings::default(), false, Some(10), 3));
        assert!(!removed(&wanted, false, Some(9), 3));
        assert!(!removed(&wanted, true, Some(10), 3));
        // One of two is half of them; one without a vote is none of them.
        assert!(!removed(&wanted, false, Some(10), 2));
        assert!(removed(&wanted, false, Some(10), 1));
        assert!(removed(&AutopilotSettings { min_quorum: 2, ..wanted.clone() }, false, None, 3));
        assert!(!removed(&AutopilotSettings { min_quorum: 3, ..wanted }, false, None, 3));
    }

    #[test]
    fn a_leader_that_was_cut_off_itself_removes_nobody_for_it() {
        let wanted = AutopilotSettings { cleanup_dead_servers: true, ..Default::default() };
        let (state, voters) = (catalog(false), [1, 2, 3].map(MemberId));
        let heard = [(MemberId(2), Some(SECOND * 60))];
        let removed =
            |leading| removable(&wanted, state.consul().catalog(), &heard, leading, &voters);
        assert!(removed(SECOND * 9).is_empty());
        assert_eq!(removed(SECOND * 10), [MemberId(2)]);
    }
}
