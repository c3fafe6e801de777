//! Options to start a member with.

use std::fmt;
use std::sync::Arc;

use coord_state::MemberId;
use tokio::net::TcpListener;

use super::first_members::FirstMembers;
use super::peer_secret::PeerAuth;
use super::peer_service::PeerService;
use super::peer_transport::PeerTls;
use super::state_machine::ReplicatedMachine;
use crate::storage::Storage;

/// The options of a member.
pub struct ConsensusOptions {
    /// Its number.
    pub member: MemberId,
    /// The initial members of the cluster, the same on all of them. Only used
    /// with an empty data directory.
    pub first: FirstMembers,
    /// The listener for peers; none for a cluster of one.
    pub peer_listener: Option<TcpListener>,
    /// The open data directory. Closed when the member stops.
    pub storage: Storage,
    /// The heartbeat interval.
    pub heartbeat_ms: u64,
    /// A leader that is silent for a time between this …
    pub election_min_ms: u64,
    /// … and this is replaced.
    pub election_max_ms: u64,
    /// Largest frame between members. Bytes.
    pub peer_frame_bytes_max: usize,
    /// TLS between members; plaintext without it.
    pub peer_tls: Option<PeerTls>,
    /// Authentication of peers.
    pub peer_auth: PeerAuth,
    /// Maximum connections that have not completed the handshake.
    pub peer_handshakes_max: usize,
    /// A snapshot is taken after this much log, or the size of the last
    /// snapshot, if that is more. Bytes.
    pub snapshot_log_bytes: u64,
    /// The state machine for the payloads.
    pub machine: Arc<dyn ReplicatedMachine>,
    /// The handler of other requests of peers.
    pub service: Arc<dyn PeerService>,
}

impl fmt::Debug for ConsensusOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ConsensusOptions")
            .field("member", &self.member)
            .field("first", &self.first)
            .finish_non_exhaustive()
    }
}
