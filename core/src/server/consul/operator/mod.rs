//! `/v1/operator`, `/v1/status` and `/v1/snapshot`: the cluster as a whole. Raft peers and
//! leadership, autopilot, usage, and archives of the state.

mod autopilot;
mod membership;
pub(super) mod snapshot;
mod status;
pub(super) mod usage;
