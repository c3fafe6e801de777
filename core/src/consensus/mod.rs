//! Consensus: the same order of payloads on all members. The only module that uses openraft.
//!
//! ```text
//! propose ─> openraft ─> log_store ─> storage          peers ─> peer_server ─> openraft
//!               │  └───> network ─> peers                           └───────> PeerService
//!               └> state_machine ─> ReplicatedMachine
//! ```
//!
//! Invariants:
//! 1. A [`ReplicatedMachine`] receives each committed payload once, in log order, the same on every
//!    member.
//! 2. Nothing is acknowledged to a peer before it is durable here.
//! 3. After [`Consensus::stop`] no thread, task or socket of the member remains.
//!
//! Not here: batching of commands into payloads, sessions, forwarding to the
//! leader. Those belong to the node.

mod acquaintance;
mod config;
mod dead_leader;
mod first_members;
mod formation;
mod heartbeat;
mod leader_contact;
mod lifetime;
#[cfg(test)]
mod links;
mod log_rules;
mod log_store;
mod member;
mod membership;
mod network;
mod options;
mod peer_admission;
mod peer_claims;
mod peer_complaints;
mod peer_frame;
mod peer_handshake;
mod peer_link;
mod peer_message;
mod peer_path;
mod peer_seal;
mod peer_secret;
mod peer_server;
mod peer_service;
mod peer_transport;
mod recovery;
mod reinstall;
mod same_members;
mod snapshot_transfer;
mod snapshots;
mod start;
mod state_machine;
mod status;
mod stuck_leader;
#[cfg(test)]
mod tests;
mod types;

pub use first_members::FirstMembers;
pub use member::{Consensus, Refusal};
pub use options::ConsensusOptions;
pub use peer_secret::PeerAuth;
pub use peer_service::{CallAnswer, PeerService};
pub use peer_transport::PeerTls;
pub use state_machine::{CommittedEntry, FrozenState, RecordSink, ReplicatedMachine};
pub use status::{ConsensusRole, ConsensusStatus, LogProgress};
