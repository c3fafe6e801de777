//! Configuration of openraft. Sets every option explicitly, so that no default
//! is used unnoticed. The reasons are in the table of ADR 0002, `docs/adr`.

use std::sync::Arc;

use openraft::{Config, SnapshotPolicy, StepDownPolicy};

use super::options::ConsensusOptions;
use crate::error::Error;

/// Proposals waiting for openraft; each is a batch already.
const PROPOSALS_MAX: u64 = 4096;
/// Events inside openraft: answers of peers, ends of writes, ticks.
const NOTIFICATIONS_MAX: u64 = 65_536;
/// Pieces of work waiting for the task that applies.
const APPLIES_MAX: u64 = 1024;
/// Log entries in one append request.
const SENT_ENTRIES_MAX: u64 = 1024;
/// Log entries in one write, and proposals taken into the log at once.
const WRITTEN_ENTRIES_MAX: u64 = 4096;

/// openraft's configuration for a member.
///
/// # Errors
/// `Invalid` for timing that openraft refuses.
pub(super) fn config(options: &ConsensusOptions) -> Result<Arc<Config>, Error> {
    all_options(options.heartbeat_ms, options.election_min_ms, options.election_max_ms)
        .validate()
        .map(Arc::new)
        .map_err(|error| Error::invalid("invalid raft timing").caused_by(error))
}

#[expect(deprecated, reason = "a field that is left out would be taken from the defaults")]
fn all_options(heartbeat_ms: u64, election_min_ms: u64, election_max_ms: u64) -> Config {
    Config {
        cluster_name: "coord".to_owned(),
        heartbeat_interval: heartbeat_ms,
        heartbeat_min_interval: Some(heartbeat_ms / 4),
        election_timeout_min: election_min_ms,
        election_timeout_max: election_max_ms,
        enable_tick: true,
        enable_heartbeat: true,
        enable_elect: true,
        enable_pre_vote: Some(true),
        // What a leader sent before it was killed need not be on its disk: as the
        // leader of the same term it would write other entries at those indexes.
        enable_leader_restore: Some(false),
        // The shortest that lets followers' leases end and an election take place.
        quorum_loss_probe_interval: Some(election_max_ms.saturating_mul(2)),
        removed_leader_step_down: StepDownPolicy::After(150),
        allow_log_reversion: Some(false),
        max_payload_entries: SENT_ENTRIES_MAX,
        max_append_entries: Some(WRITTEN_ENTRIES_MAX),
        api_batch_capacity: WRITTEN_ENTRIES_MAX,
        api_batch_linger_ms: 0,
        api_channel_size: Some(PROPOSALS_MAX),
        notification_channel_size: Some(NOTIFICATIONS_MAX),
        state_machine_channel_size: Some(APPLIES_MAX),
        broadcast_submitted_on_append: Some(false),
        log_stage_capacity: None,
        snapshot_policy: SnapshotPolicy::Never,
        // The log is purged by bytes, see `take_snapshot`.
        max_in_snapshot_log_to_keep: u64::MAX,
        purge_batch_size: 1,
        // Unused by our network, which sends a snapshot in one piece and watches over it.
        install_snapshot_timeout: 10_000,
        send_snapshot_timeout: 0,
        snapshot_max_chunk_size: 1 << 20,
        // Asked for only by a blocking `add_learner`, which nothing here calls.
        replication_lag_threshold: SENT_ENTRIES_MAX,
        // Our network has a backoff of its own.
        backoff: "200ms".to_owned(),
        reset_backoff_on_transfer_leader: Some(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restarted_leader_may_not_resume_its_term() {
        assert_eq!(all_options(50, 300, 600).enable_leader_restore, Some(false));
    }

    #[test]
    fn the_shortest_valid_timing_is_accepted_with_all_that_depends_on_it() {
        // The settings want two heartbeats in the shorter timeout.
        for heartbeat_ms in [1, 2, 10, 100, 5000] {
            let (min, max) = (heartbeat_ms * 2, heartbeat_ms * 2 + 1);
            assert!(all_options(heartbeat_ms, min, max).validate().is_ok(), "{heartbeat_ms}");
        }
        assert!(all_options(100, 100, 200).validate().is_err());
    }
}
