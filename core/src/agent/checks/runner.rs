//! The tasks that run the checks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use coord_wire::consul::check::CheckDefinition;
use tokio::task::JoinHandle;

use super::probe::Probe;
use super::thresholds::Thresholds;
use crate::agent::Agent;
use crate::agent::registrations::{Registrations, nanoseconds, same_probe};
use crate::clock;

const INTERVAL_MIN: Duration = Duration::from_secs(1);

/// Probes under way at one time; further ones wait for their turn.
pub(in crate::agent) const PROBES_MAX: usize = 128;

/// A check that is being run.
struct Run {
    definition: Arc<CheckDefinition>,
    task: JoinHandle<()>,
}

impl Drop for Run {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Agent {
    /// Keeps one task for each check that is to be run.
    pub(in crate::agent) async fn run_checks(self: Arc<Self>) {
        let mut runs: BTreeMap<String, Run> = BTreeMap::new();
        loop {
            let fresh = self.look(|local| {
                runs.retain(|id, run| {
                    local
                        .check(id)
                        .is_some_and(|check| same_probe(&check.definition, &run.definition))
                });
                fresh_checks(local, &runs)
            });
            for definition in fresh {
                let id = definition.id.clone();
                let definition = Arc::new(definition);
                let task = match definition.kind() {
                    "alias" => {
                        tokio::spawn(Arc::clone(&self).follow_alias(Arc::clone(&definition)))
                    }
                    _ => tokio::spawn(Arc::clone(&self).probe_repeatedly(Arc::clone(&definition))),
                };
                runs.insert(id, Run { definition, task });
            }
            tokio::select! {
                () = self.stopped() => break,
                () = self.checks_changed.notified() => {}
            }
        }
        for run in runs.values_mut() {
            run.task.abort();
            // Aborted is what it was meant to be.
            let _ = (&mut run.task).await;
        }
    }

    async fn probe_repeatedly(self: Arc<Self>, definition: Arc<CheckDefinition>) {
        let settings = &self.node.settings().agent;
        let Some(probe) = Probe::of(&definition, settings, &self.connectors) else { return };
        let mut thresholds = Thresholds::of(&definition);
        let interval = self.interval(&definition);
        clock::sleep(self.some_of(interval)).await;
        loop {
            let finding = {
                // Never closed; and without a permit it would only be less polite.
                let _permit = self.probes.acquire().await;
                probe.run().await
            };
            tracing::trace!(
                check = definition.id,
                status = finding.status.as_str(),
                "the check ran"
            );
            if let Some(status) = thresholds.take(finding.status) {
                self.report(&definition, status, finding.output).await;
            }
            clock::sleep(interval).await;
        }
    }

    fn interval(&self, definition: &CheckDefinition) -> Duration {
        let asked = nanoseconds(definition.interval_ns).unwrap_or_default();
        if asked < INTERVAL_MIN {
            tracing::warn!(
                check = definition.id,
                "the check's interval is below the minimum and was raised to one second"
            );
        }
        asked.max(INTERVAL_MIN)
    }

    /// A random part of `whole`, so that checks registered together do not
    /// probe together.
    fn some_of(&self, whole: Duration) -> Duration {
        let random = u32::from_le_bytes(self.node.random());
        whole.mul_f64(f64::from(random) / (f64::from(u32::MAX) + 1.0))
    }
}

/// The checks that are to be run and are not.
fn fresh_checks(local: &Registrations, runs: &BTreeMap<String, Run>) -> Vec<CheckDefinition> {
    let is_run = |definition: &CheckDefinition| !matches!(definition.kind(), "" | "ttl");
    local
        .checks()
        .map(|check| &check.definition)
        .filter(|definition| is_run(definition) && !runs.contains_key(&definition.id))
        .cloned()
        .collect()
}
