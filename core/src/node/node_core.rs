//! State shared by all parts of a running member, and the path of a batch into the log.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError};

use bytes::Bytes;
use coord_state::{MemberId, StoredBatch};
use futures_util::future::FutureExt;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::fresh_ids::FreshIds;
use super::lease::MajorityContact;
use super::peer_message::PeerMessage;
use super::replica::Replica;
use super::session_clock::SessionClock;
use super::status::ElectionTally;
use super::work::Work;
use crate::clock::Clock;
use crate::consensus::Consensus;
use crate::settings::ValidSettings;
use crate::storage::{FreeSpace, StorageTimes};
use crate::sync::Mutex;

/// A running member. Cheap to clone; all clones refer to the same member.
#[derive(Clone)]
pub struct Node {
    pub(super) inner: Arc<NodeCore>,
}

pub(super) struct NodeCore {
    pub(super) member: MemberId,
    pub(super) settings: ValidSettings,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) peer_addr: Option<SocketAddr>,
    /// In the data directory.
    pub(super) room: FreeSpace,
    pub(super) replica: Arc<Replica>,
    pub(super) consensus: Consensus,
    pub(super) session_clock: SessionClock,
    pub(super) majority: MajorityContact,
    pub(super) fresh: FreshIds,
    /// The ZooKeeper address of this member, once it listens.
    pub(super) zk_addr: OnceLock<SocketAddr>,
    /// The leader's number, 0 for none: where batches go.
    pub(super) leader: AtomicU64,
    /// The last term in which this member, as the leader, initialized the
    /// cluster before appending something else.
    pub(super) init_ordered_in: AtomicU64,
    /// Batches in flight have to be sent again.
    pub(super) reroute: Notify,
    /// Held during a membership change.
    pub(super) changing: tokio::sync::Mutex<()>,
    /// Held during a membership change and membership upkeep.
    pub(super) tidying: tokio::sync::Mutex<()>,
    /// Whether this member left the cluster on request.
    pub(super) left: AtomicBool,
    /// Membership upkeep is due now.
    pub(super) membership_due: Notify,
    pub(super) elections: ElectionTally,
    pub(super) work: Work,
    pub(super) storage_times: Arc<StorageTimes>,
    /// Which task panicked, and its message.
    pub(super) panicked: watch::Sender<Option<String>>,
    pub(super) tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// Random bytes from the operating system.
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

impl NodeCore {
    /// Appends a sealed batch here, or sends it to the leader. With no leader
    /// it stays in flight until there is one.
    pub(super) fn route(self: &Arc<Self>, batch: &Bytes) {
        let leader = MemberId(self.leader.load(Ordering::Acquire));
        if self.replica.is_down() {
            // Sent once the log can be written, or another one leads.
        } else if leader == self.member {
            let weak = Arc::downgrade(self);
            self.append(batch, move || {
                if let Some(inner) = weak.upgrade() {
                    inner.reroute();
                }
            });
        } else if leader != MemberId(0) {
            let forward = PeerMessage::Forward(batch.clone());
            self.consensus.send(leader, forward.to_bytes());
        }
    }

    /// Stamps a batch with the state's time and appends it to the log, after
    /// the initialization of the cluster.
    pub(super) fn append(
        self: &Arc<Self>,
        batch: &[u8],
        on_refused: impl FnOnce() + Send + 'static,
    ) {
        self.init_cluster_first();
        let mut stored = batch.to_vec();
        StoredBatch::stamp(&mut stored, self.replica.state_time.lead());
        self.work.proposed(stored.len());
        self.consensus.propose(stored.into(), move |_refusal| on_refused());
    }

    /// Seals the batch that accumulated while the window was full.
    pub(super) fn pump(self: &Arc<Self>) {
        self.replica.proposals.pump(|batch| self.route(batch));
    }

    /// Schedules resending of all batches in flight.
    pub(super) fn reroute(&self) {
        self.reroute.notify_one();
    }

    pub(super) fn is_leader(&self) -> bool {
        self.leader.load(Ordering::Acquire) == self.member.0
    }

    /// The leader, if one is known.
    pub(super) fn known_leader(&self) -> Option<MemberId> {
        let leader = MemberId(self.leader.load(Ordering::Acquire));
        (leader != MemberId(0)).then_some(leader)
    }

    /// Runs one of the member's own tasks.
    pub(super) fn spawn(
        &self,
        what: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let handle = tokio::spawn(guard(self.panicked.clone(), what, task));
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).push(handle);
    }
}

/// An essential task: if it panics, the member fails.
pub(super) async fn guard(
    panicked: watch::Sender<Option<String>>,
    what: &'static str,
    task: impl Future<Output = ()> + Send + 'static,
) {
    if AssertUnwindSafe(task).catch_unwind().await.is_err() {
        panicked.send_replace(Some(format!("a task of this member panicked: {what}")));
    }
}
