//! Starts and stops a member.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;

use coord_state::MemberId;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};

use super::divergence::integrity::Integrity;
use super::fresh_ids::FreshIds;
use super::lease::MajorityContact;
use super::node_core::{Node, NodeCore};
use super::peer_request_handler::PeerRequestHandler;
use super::proposals::Proposals;
use super::replica::Replica;
use super::session_clock::SessionClock;
use super::state_time::StateTime;
use super::status::ElectionTally;
use super::work::Work;
use super::{ReadLevel, duties};
use crate::clock::{self, Clock, SystemClock};
use crate::consensus::{Consensus, ConsensusOptions, FirstMembers, PeerAuth, PeerTls};
use crate::error::Error;
use crate::listening::listen;
use crate::settings::{ListenAddress, ValidSettings};
use crate::storage::disk::{Disk, SystemDisk};
use crate::storage::{Storage, StorageOptions};
use crate::sync::Mutex;

/// The components of a node besides its settings.
#[derive(Debug)]
pub struct NodeBuilder {
    settings: ValidSettings,
    clock: Arc<dyn Clock>,
    disk: Arc<dyn Disk>,
    peer_listener: Option<TcpListener>,
}

impl NodeBuilder {
    /// Replaces the system clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Replaces the file system.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn disk(mut self, disk: Arc<dyn Disk>) -> Self {
        self.disk = disk;
        self
    }

    /// Listens for other members here instead of at `peer_addr`: for members
    /// that must know each other's ports before any of them starts.
    #[must_use]
    pub fn peer_listener(mut self, listener: TcpListener) -> Self {
        self.peer_listener = Some(listener);
        self
    }

    /// Opens the data directory, recovers its content and joins the cluster.
    /// Does not wait for a leader: see [`Node::wait_ready`].
    ///
    /// # Errors
    /// `Invalid` (address taken, directory in use or of another member),
    /// `Corrupt` (damaged directory).
    pub async fn start(self) -> Result<Node, Error> {
        let settings = self.settings;
        let member = MemberId(settings.member_id);
        let peer_listener = match self.peer_listener {
            Some(listener) => Some(listener),
            None => bind_peer_listener(&settings).await?,
        };
        let peer_addr = peer_listener.as_ref().map(local_addr).transpose()?;
        let peer_tls = PeerTls::load(&settings.tls, &settings.limits)?;
        let peer_auth = PeerAuth::load(&settings)?;
        beware_of_strangers(&settings, peer_addr)?;
        let options = StorageOptions {
            directory: settings.data_dir.clone(),
            member: settings.member_id,
            segment_bytes: settings.storage.segment_bytes,
            held_bytes_max: LOG_HELD_BYTES_MAX,
            free_bytes_min: settings.storage.free_bytes_min,
            wall_ms: self.clock.wall_ms(),
            disk: self.disk,
        };
        let storage = tokio::task::spawn_blocking(move || Storage::open(&options)).await.map_err(
            |error| Error::internal("cannot open the data directory").caused_by(error),
        )??;
        let incarnation = storage.incarnation;
        let room = storage.room.clone();
        let storage_times = storage.times.clone();
        let snapshot_log_bytes = room.snapshot_log_bytes(settings.storage.snapshot_log_bytes);
        let proposals = Proposals::new(member, incarnation, &settings.limits);
        let integrity = Integrity::new(storage.distrust.clone())?;
        let state_time = StateTime::new(Arc::clone(&self.clock));
        let replica = Arc::new(Replica::new(member, proposals, integrity, state_time));
        let desk = Arc::new(PeerRequestHandler::default());
        let consensus = Consensus::start(ConsensusOptions {
            member,
            first: first_members(&settings, peer_addr),
            peer_listener,
            storage,
            heartbeat_ms: settings.raft.heartbeat_ms.into(),
            election_min_ms: settings.raft.election_min_ms.into(),
            election_max_ms: settings.raft.election_max_ms.into(),
            peer_frame_bytes_max: settings.limits.peer_frame_bytes_max,
            peer_tls,
            peer_auth,
            peer_handshakes_max: settings.limits.peer_handshakes_max,
            snapshot_log_bytes,
            machine: Arc::clone(&replica) as _,
            service: Arc::clone(&desk) as _,
        })
        .await?;
        let work = Work::new(self.clock.monotonic());
        let inner = Arc::new(NodeCore {
            member,
            settings,
            clock: self.clock,
            peer_addr,
            room,
            replica,
            consensus,
            session_clock: SessionClock::default(),
            majority: MajorityContact::default(),
            fresh: FreshIds::new(member, incarnation),
            zk_addr: OnceLock::new(),
            leader: AtomicU64::new(0),
            init_ordered_in: AtomicU64::new(0),
            reroute: Notify::new(),
            changing: tokio::sync::Mutex::default(),
            tidying: tokio::sync::Mutex::default(),
            left: AtomicBool::new(false),
            membership_due: Notify::new(),
            elections: ElectionTally::default(),
            work,
            storage_times,
            panicked: watch::Sender::default(),
            tasks: Mutex::new(Vec::new()),
        });
        inner.replica.attach(Arc::downgrade(&inner));
        desk.open(Arc::downgrade(&inner));
        inner.follow_config_membership();
        if inner.replica.integrity.is_withdrawn() {
            inner.replica.turn_away();
            // There is no other member to recover from.
            let alone = inner.consensus.status().voters.len() <= 1;
            inner.replica.integrity.trusted.store(alone, Ordering::Relaxed);
            inner.settle_electable();
        }
        inner.follow_recovery(inner.consensus.watch_recovery().borrow().clone());
        duties::start(&inner);
        Ok(Node { inner })
    }
}

impl Node {
    /// A member with these settings and the system clock.
    pub fn builder(settings: ValidSettings) -> NodeBuilder {
        NodeBuilder {
            settings,
            clock: Arc::new(SystemClock::default()),
            disk: Arc::new(SystemDisk::default()),
            peer_listener: None,
        }
    }

    /// Waits until a leader is known, the cluster is initialized and this
    /// member has caught up. Never returns without a majority; cancel safe.
    ///
    /// # Errors
    /// `Closed` or `Internal` if the member failed meanwhile.
    pub async fn wait_ready(&self) -> Result<(), Error> {
        loop {
            if let Some(reason) = self.status().failed {
                return Err(Error::internal(reason));
            }
            let caught_up = self.confirm(ReadLevel::Leader).await.is_ok();
            if caught_up && self.read(|state| state.cluster_identity().is_some()) {
                return Ok(());
            }
            clock::sleep(READY_POLL).await;
        }
    }

    /// Transfers leadership before a stop, if this member leads others, so that
    /// they need not detect its absence. Pending writes continue at the new
    /// leader.
    pub async fn hand_over(&self) {
        self.inner.consensus.hand_over(HAND_OVER_MAX).await;
    }

    /// Stops the member: fails waiting calls, transfers leadership, flushes and
    /// closes the log. Idempotent. Once it returns, no task, thread or socket
    /// of the member remains.
    pub async fn stop(&self) {
        self.hand_over().await;
        self.inner.replica.proposals.stop();
        let tasks =
            std::mem::take(&mut *self.inner.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            task.abort();
            // The task was aborted on purpose.
            let _ = task.await;
        }
        self.inner.consensus.stop().await;
    }
}

/// Size of the latest log entries kept in memory, for followers that lag
/// slightly. Bytes.
const LOG_HELD_BYTES_MAX: usize = 16 << 20;

/// Time for another member to take over before a stop.
const HAND_OVER_MAX: Duration = Duration::from_secs(1);

const READY_POLL: Duration = Duration::from_millis(5);

async fn bind_peer_listener(settings: &ValidSettings) -> Result<Option<TcpListener>, Error> {
    let address = match &settings.peer_addr {
        Some(address) => address.clone(),
        None => match settings.members.get(&settings.member_id) {
            Some(own) => own.parse()?,
            None => ListenAddress::Off,
        },
    };
    listen("other members", &address).await
}

/// A resolved name, or a listener that was passed in, may be beyond loopback,
/// which the settings alone do not show.
fn beware_of_strangers(
    settings: &ValidSettings,
    peer_addr: Option<SocketAddr>,
) -> Result<(), Error> {
    let on_loopback = |address: &SocketAddr| address.ip().to_canonical().is_loopback();
    let Some(address) = peer_addr.filter(|address| !on_loopback(address)) else { return Ok(()) };
    let text = address.to_string();
    if let Some(why) = settings.believes_strangers_at("cannot resolve peer_addr", &text) {
        return Err(Error::invalid(why));
    }
    if !settings.peers_prove() {
        tracing::warn!(
            %address,
            "peers.allow_unauthenticated is on: anyone who can connect to peer_addr can read and \
             modify all data"
        );
    }
    Ok(())
}

fn local_addr(listener: &TcpListener) -> Result<SocketAddr, Error> {
    listener.local_addr().map_err(|error| {
        Error::internal("cannot get the address of the peer listener").caused_by(error)
    })
}

fn first_members(settings: &ValidSettings, peer_addr: Option<SocketAddr>) -> FirstMembers {
    if settings.join {
        return FirstMembers::default();
    }
    if settings.members.is_empty() {
        let address = peer_addr.map_or_else(|| "off".to_owned(), |address| address.to_string());
        let addresses = [(MemberId(settings.member_id), address)].into();
        return FirstMembers { addresses, ..FirstMembers::default() };
    }
    let members = settings.members.iter();
    FirstMembers {
        addresses: members.map(|(id, address)| (MemberId(*id), address.clone())).collect(),
        observers: settings.observers.iter().copied().map(MemberId).collect(),
    }
}
