//! The store under openraft's own suite, and members in one process talking
//! over real sockets.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coord_state::MemberId;
use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use tokio::net::TcpListener;
use tokio::sync::watch;

mod elections;
mod failure;
mod membership;
mod peers;
mod recovery;
mod rules;

use super::lifetime::Lifetime;
use super::log_store::LogStore;
use super::state_machine::{Progress, StateMachineAdapter};
use super::types::TypeConfig;
use super::{
    CallAnswer, CommittedEntry, Consensus, ConsensusOptions, ConsensusRole, FirstMembers,
    FrozenState, PeerAuth, PeerService, Refusal, ReplicatedMachine,
};
use crate::error::Error;
use crate::storage::disk::{Disk, SystemDisk};
use crate::storage::faulty_disk::FaultyDisk;
use crate::storage::{Storage, StorageOptions};
use crate::sync::Mutex;

/// What no machine survives.
const POISON: &[u8] = b"poison";

/// Remembers what was applied, in order.
#[derive(Debug, Default)]
struct Recorder {
    applied: Mutex<Vec<Bytes>>,
    count: watch::Sender<usize>,
}

impl Recorder {
    fn publish(&self) {
        self.count.send_replace(self.applied.lock().unwrap().len());
    }
}

impl ReplicatedMachine for Recorder {
    fn apply(&self, entries: Vec<CommittedEntry>) -> io::Result<()> {
        assert!(entries.iter().all(|entry| entry.payload != POISON), "it was poison");
        self.applied.lock().unwrap().extend(entries.into_iter().map(|entry| entry.payload));
        self.publish();
        Ok(())
    }

    fn freeze(&self) -> FrozenState {
        let applied = self.applied.lock().unwrap().clone();
        Box::new(move |sink| applied.iter().try_for_each(|payload| sink(1, payload)))
    }

    fn restore(
        &self,
        _index: u64,
        records: &mut dyn Iterator<Item = io::Result<(u8, Bytes)>>,
    ) -> io::Result<()> {
        let restored: io::Result<Vec<_>> = records.map(|record| Ok(record?.1)).collect();
        *self.applied.lock().unwrap() = restored?;
        self.publish();
        Ok(())
    }
}

fn storage(directory: &Path, member: u64) -> Storage {
    storage_on(Arc::new(SystemDisk::default()), directory, member)
}

fn storage_on(disk: Arc<dyn Disk>, directory: &Path, member: u64) -> Storage {
    Storage::open(&StorageOptions {
        directory: directory.to_owned(),
        member,
        segment_bytes: 64 << 10,
        held_bytes_max: 64 << 10,
        free_bytes_min: None,
        wall_ms: 0,
        disk,
    })
    .expect("the directory opens")
}

struct Stores;

impl StoreBuilder<TypeConfig, LogStore, StateMachineAdapter, (tempfile::TempDir, Storage)>
    for Stores
{
    async fn build(
        &self,
    ) -> Result<
        ((tempfile::TempDir, Storage), LogStore, StateMachineAdapter),
        StorageError<TypeConfig>,
    > {
        let directory = tempfile::tempdir().unwrap();
        let storage = storage(directory.path(), 0);
        let progress = Arc::new(Progress::new(1 << 20));
        let machine = Arc::new(Recorder::default());
        let living = Lifetime::new().enter();
        let state_machine =
            StateMachineAdapter::new(machine, storage.snapshots.clone(), progress, living);
        let log = LogStore::reading(storage.log.clone());
        Ok(((directory, storage), log, state_machine))
    }
}

#[test]
fn log_and_state_machine_pass_the_suite_of_openraft() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(Suite::test_all(Stores)).expect("the suite passes");
}

/// Keeps messages, echoes calls.
#[derive(Debug, Default)]
struct Echo {
    messages: watch::Sender<Vec<(MemberId, Bytes)>>,
}

impl PeerService for Echo {
    fn on_message(&self, from: MemberId, message: Bytes) {
        self.messages.send_modify(|messages| messages.push((from, message)));
    }

    fn piggyback(&self) -> Bytes {
        Bytes::new()
    }

    fn on_piggyback(&self, _from: MemberId, _rider: Bytes) {}

    fn on_messages_lost(&self, _peer: MemberId) {}

    fn on_call(&self, _from: MemberId, request: Bytes) -> CallAnswer {
        Box::pin(async move { Ok(request) })
    }
}

struct Running {
    consensus: Consensus,
    machine: Arc<Recorder>,
    service: Arc<Echo>,
}

impl Running {
    /// Proposes payloads and waits until they are applied here.
    async fn write(&self, payloads: &[Bytes]) {
        assert!(self.try_write(payloads).await, "refused");
    }

    /// The same; false if they are refused, as one that does not lead does.
    async fn try_write(&self, payloads: &[Bytes]) -> bool {
        let mut count = self.machine.count.subscribe();
        let expected = *count.borrow() + payloads.len();
        let (refuse, mut refused) = tokio::sync::mpsc::channel(payloads.len());
        for payload in payloads {
            let refuse = refuse.clone();
            let on_refused = move |refusal| refuse.try_send(refusal).unwrap_or_default();
            self.consensus.propose(payload.clone(), on_refused);
        }
        tokio::select! {
            applied = count.wait_for(|count| *count >= expected) => applied.is_ok(),
            Some(_) = refused.recv() => false,
        }
    }

    async fn applied(&self, expected: usize) -> Vec<Bytes> {
        let mut count = self.machine.count.subscribe();
        count.wait_for(|count| *count >= expected).await.unwrap();
        self.machine.applied.lock().unwrap().clone()
    }

    async fn leads(&self) {
        let mut status = self.consensus.watch_status();
        status.wait_for(|status| status.role == ConsensusRole::Leader).await.unwrap();
    }
}

/// A cluster of members, each with a directory; some of them running.
struct Cluster {
    directories: Vec<tempfile::TempDir>,
    members: BTreeMap<MemberId, String>,
    observers: BTreeSet<MemberId>,
    running: BTreeMap<MemberId, Running>,
    snapshot_log_bytes: u64,
    disk: Arc<dyn Disk>,
    /// Election timeouts of members started from now on.
    election_ms: std::ops::Range<u64>,
    /// What members prove with; nothing where there is no entry.
    auth: BTreeMap<MemberId, PeerAuth>,
}

impl Cluster {
    async fn start(size: u64, snapshot_log_bytes: u64) -> Self {
        Self::start_on(Arc::new(SystemDisk::default()), size, snapshot_log_bytes).await
    }

    async fn start_on(disk: Arc<dyn Disk>, size: u64, snapshot_log_bytes: u64) -> Self {
        Self::start_with(disk, size, snapshot_log_bytes, BTreeMap::new()).await
    }

    async fn start_with(
        disk: Arc<dyn Disk>,
        size: u64,
        snapshot_log_bytes: u64,
        auth: BTreeMap<MemberId, PeerAuth>,
    ) -> Self {
        let mut listeners = Vec::new();
        let mut members = BTreeMap::new();
        for member in 1..=size {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap().to_string();
            members.insert(MemberId(member), address);
            listeners.push((MemberId(member), listener));
        }
        let directories = members.iter().map(|_| tempfile::tempdir().unwrap()).collect();
        let (observers, running) = (BTreeSet::new(), BTreeMap::new());
        let election_ms = 300..600;
        let mut cluster = Self {
            directories,
            members,
            observers,
            running,
            snapshot_log_bytes,
            disk,
            election_ms,
            auth,
        };
        for (member, listener) in listeners {
            cluster.run(member, listener).await;
        }
        cluster
    }

    fn at(&self, member: MemberId) -> &Consensus {
        &self.running[&member].consensus
    }

    async fn run(&mut self, member: MemberId, listener: TcpListener) {
        self.try_run(member, listener).await.unwrap();
    }

    async fn try_run(&mut self, member: MemberId, listener: TcpListener) -> Result<(), Error> {
        let machine = Arc::new(Recorder::default());
        let service = Arc::new(Echo::default());
        let directory = &self.directories[usize::try_from(member.0 - 1).unwrap()];
        let consensus = Consensus::start(ConsensusOptions {
            member,
            first: FirstMembers {
                addresses: self.members.clone(),
                observers: self.observers.clone(),
            },
            peer_listener: Some(listener),
            storage: storage_on(self.disk.clone(), directory.path(), member.0),
            heartbeat_ms: 50,
            election_min_ms: self.election_ms.start,
            election_max_ms: self.election_ms.end,
            peer_frame_bytes_max: 16 << 20,
            peer_tls: None,
            peer_auth: self.auth.get(&member).cloned().unwrap_or_default(),
            peer_handshakes_max: 64,
            snapshot_log_bytes: self.snapshot_log_bytes,
            machine: machine.clone(),
            service: service.clone(),
        })
        .await?;
        self.running.insert(member, Running { consensus, machine, service });
        Ok(())
    }

    /// Starts a stopped member on its old address, as a restart would.
    async fn restart(&mut self, member: MemberId) {
        self.try_restart(member).await.unwrap();
    }

    async fn try_restart(&mut self, member: MemberId) -> Result<(), Error> {
        let listener = TcpListener::bind(&self.members[&member]).await.unwrap();
        self.try_run(member, listener).await
    }

    async fn stop(&mut self, member: MemberId) {
        self.running.remove(&member).unwrap().consensus.stop().await;
    }

    async fn stop_all(&mut self) {
        for member in self.running.keys().copied().collect::<Vec<_>>() {
            self.stop(member).await;
        }
    }

    /// Waits until the running members agree on one of them.
    async fn leader(&self) -> MemberId {
        loop {
            for (member, running) in &self.running {
                let status = running.consensus.status();
                if status.role == ConsensusRole::Leader
                    && running.consensus.read_index(false).await.is_ok()
                {
                    return *member;
                }
            }
            tokio::task::yield_now().await;
        }
    }
}

/// Members on a runtime of their own; all of it within a time that only a
/// hang exceeds.
fn within_time(test: impl Future<Output = ()>) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(60), test).await.expect("the test hangs");
    });
}

fn payloads(range: std::ops::Range<usize>) -> Vec<Bytes> {
    range.map(|number| Bytes::from(format!("payload {number}"))).collect()
}

#[test]
fn one_member_leads_at_once_and_a_restart_keeps_everything() {
    within_time(async {
        let mut cluster = Cluster::start(1, 1 << 20).await;
        let member = MemberId(1);
        let expected = payloads(0..500);
        cluster.running[&member].leads().await;
        cluster.running[&member].write(&expected).await;
        cluster.stop(member).await;

        cluster.restart(member).await;
        let running = &cluster.running[&member];
        running.leads().await;
        let index = running.consensus.read_index(false).await.unwrap();
        running.consensus.wait_applied(index).await.unwrap();
        assert_eq!(running.applied(0).await, expected);
        cluster.stop_all().await;
    });
}

#[test]
fn a_member_that_was_killed_serves_what_it_acknowledged() {
    within_time(async {
        let mut cluster = Cluster::start(1, 1 << 20).await;
        let member = MemberId(1);
        let expected = payloads(0..20);
        cluster.running[&member].leads().await;
        cluster.running[&member].write(&expected).await;
        // A copy taken while it runs is what a crash leaves.
        let copy = tempfile::tempdir().unwrap();
        copy_all(cluster.directories[0].path(), copy.path());
        cluster.stop(member).await;
        cluster.directories[0] = copy;

        cluster.restart(member).await;
        let running = &cluster.running[&member];
        running.leads().await;
        let index = running.consensus.read_index(true).await;
        let index = match index {
            Ok(index) => index,
            Err(_) => running.consensus.read_index(false).await.unwrap(),
        };
        running.consensus.wait_applied(index).await.unwrap();
        assert_eq!(running.applied(0).await, expected);
        cluster.stop_all().await;
    });
}

fn copy_all(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy_all(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn snapshots_keep_the_log_short_and_a_restart_whole() {
    within_time(async {
        let mut cluster = Cluster::start(1, 16 << 10).await;
        let member = MemberId(1);
        cluster.running[&member].leads().await;
        for start in (0..2000).step_by(100) {
            cluster.running[&member].write(&payloads(start..start + 100)).await;
        }
        let storage_purged = cluster.running[&member].consensus.clone();
        cluster.stop(member).await;
        drop(storage_purged);
        let opened = storage(cluster.directories[0].path(), 1);
        assert!(opened.log.purged().is_some(), "the log was never purged");
        assert!(opened.snapshots.current().is_some());
        drop(opened);

        cluster.restart(member).await;
        assert_eq!(cluster.running[&member].applied(2000).await, payloads(0..2000));
        cluster.stop_all().await;
    });
}

/// It cannot come from a client, whose commands are measured first; members of
/// different settings, or of an earlier release, may have left it in the log.
#[test]
fn an_entry_too_large_for_any_peer_is_counted_and_told() {
    within_time(async {
        let mut cluster = Cluster::start(3, 1 << 20).await;
        let leader = cluster.leader().await;
        let consensus = cluster.running[&leader].consensus.clone();
        assert_eq!(consensus.frames_too_large(), 0);
        consensus.propose(Bytes::from(vec![0; 17 << 20]), |_| {});
        while consensus.frames_too_large() == 0 {
            tokio::task::yield_now().await;
        }
        drop(consensus);
        cluster.stop_all().await;
    });
}

#[test]
fn three_members_replicate_and_survive_the_loss_of_their_leader() {
    within_time(async {
        let mut cluster = Cluster::start(3, 1 << 20).await;
        let leader = cluster.leader().await;
        cluster.running[&leader].write(&payloads(0..100)).await;
        for running in cluster.running.values() {
            assert_eq!(running.applied(100).await, payloads(0..100));
        }
        cluster.stop(leader).await;

        let next = cluster.leader().await;
        assert_ne!(next, leader);
        cluster.running[&next].write(&payloads(100..200)).await;
        cluster.restart(leader).await;
        assert_eq!(cluster.running[&leader].applied(200).await, payloads(0..200));
        cluster.stop_all().await;
    });
}

#[test]
fn three_members_stopped_at_once_forget_nothing() {
    within_time(async {
        let mut cluster = Cluster::start(3, 1 << 20).await;
        let leader = cluster.leader().await;
        cluster.running[&leader].write(&payloads(0..100)).await;
        cluster.stop_all().await;
        for member in [1, 2, 3] {
            cluster.restart(MemberId(member)).await;
        }
        let leader = cluster.leader().await;
        let running = &cluster.running[&leader];
        let index = running.consensus.read_index(false).await.unwrap();
        running.consensus.wait_applied(index).await.unwrap();
        assert_eq!(running.applied(0).await, payloads(0..100));
        cluster.stop_all().await;
    });
}

#[test]
fn a_member_that_was_away_for_long_catches_up_by_snapshot() {
    within_time(async {
        let mut cluster = Cluster::start(3, 8 << 10).await;
        let leader = cluster.leader().await;
        let away = *cluster.running.keys().find(|member| **member != leader).unwrap();
        cluster.running[&leader].write(&payloads(0..10)).await;
        cluster.stop(away).await;
        for start in (10..2010).step_by(100) {
            cluster.running[&leader].write(&payloads(start..start + 100)).await;
        }
        cluster.restart(away).await;
        assert_eq!(cluster.running[&away].applied(2010).await, payloads(0..2010));
        cluster.stop_all().await;
        let opened =
            storage(cluster.directories[usize::try_from(away.0 - 1).unwrap()].path(), away.0);
        let snapshot = opened.snapshots.current().expect("it came by snapshot");
        assert!(snapshot.position().unwrap().index > 100);
    });
}

#[test]
fn a_follower_refuses_and_names_the_leader() {
    within_time(async {
        let mut cluster = Cluster::start(3, 1 << 20).await;
        let leader = cluster.leader().await;
        cluster.running[&leader].write(&payloads(0..1)).await;
        let (_, follower) = cluster.running.iter().find(|(member, _)| **member != leader).unwrap();
        follower.applied(1).await;
        let (sender, receiver) = tokio::sync::oneshot::channel();
        follower.consensus.propose(Bytes::new(), |refusal| sender.send(refusal).unwrap());
        assert_eq!(receiver.await.unwrap(), Refusal::NotLeader { hint: Some(leader) });
        let error = follower.consensus.read_index(false).await.unwrap_err();
        let hint = Some(leader.0);
        assert_eq!(*error.kind(), crate::ErrorKind::NotLeader { hint });
        cluster.stop_all().await;
    });
}

#[test]
fn messages_arrive_in_order_and_calls_are_answered() {
    within_time(async {
        let mut cluster = Cluster::start(2, 1 << 20).await;
        let (one, two) = (&cluster.running[&MemberId(1)], &cluster.running[&MemberId(2)]);
        let mut arrived = two.service.messages.subscribe();
        for message in payloads(0..100) {
            one.consensus.send(MemberId(2), message);
        }
        let arrived = arrived.wait_for(|messages| messages.len() == 100).await.unwrap().clone();
        let expected: Vec<_> =
            payloads(0..100).into_iter().map(|message| (MemberId(1), message)).collect();
        assert_eq!(arrived, expected);
        let answer = one.consensus.call(MemberId(2), Bytes::from_static(b"hello")).await.unwrap();
        assert_eq!(&answer[..], b"hello");
        assert!(one.consensus.call(MemberId(9), Bytes::new()).await.is_err());
        cluster.stop_all().await;
    });
}

#[test]
fn a_stopped_member_refuses_everything() {
    within_time(async {
        let cluster = Cluster::start(1, 1 << 20).await;
        let running = &cluster.running[&MemberId(1)];
        running.leads().await;
        running.consensus.stop().await;
        running.consensus.stop().await;
        let (sender, receiver) = tokio::sync::oneshot::channel();
        running.consensus.propose(Bytes::new(), |refusal| sender.send(refusal).unwrap());
        assert_eq!(receiver.await.unwrap(), Refusal::Stopped);
        let error = running.consensus.read_index(false).await.unwrap_err();
        assert_eq!(*error.kind(), crate::ErrorKind::Closed);
        assert!(running.consensus.wait_applied(u64::MAX - 1).await.is_err());
    });
}
