//! Durable storage of a member, with checksums.
//!
//! ```text
//! data directory
//!   lock        held while a member runs
//!   member      whose directory this is, and how often it was started
//!   peers       what other members' directories were
//!   durable     how far the log is known to be durable
//!   log/        segments of the log: entries, votes, truncations, purges in one stream
//!   snapshots/  the current snapshot of the state machine
//!   reinstall   only while the state is not to be trusted
//!   recovering  only while log and vote are not to be trusted
//! ```
//!
//! Only the user that the member runs as may read it; see [`permissions`].
//!
//! Invariants:
//! 1. A completion is called only after an fsync of everything it covers.
//! 2. A failed fsync is final for its file: what it did not confirm is written
//!    to another one, and the file is not used again.
//! 3. Damaged data is never used; only the unconfirmed end of the log is
//!    truncated.
//! 4. A log that lost durable entries is distinguished from one that a crash
//!    cut short: its [`Loss`] is reported to the layer above.
//!
//! Raft's rules are not known here; the layer above enforces them.

mod descriptors;
pub mod disk;
mod durable_mark;
pub(crate) mod failure;
#[cfg(test)]
pub(crate) mod faulty_disk;
mod free_space;
mod identity;
mod log_index;
mod log_queue;
mod log_writer;
mod note;
mod peer_memory;
pub mod permissions;
mod raft_log;
mod record;
mod recovery;
mod segment;
mod snapshot_file;
mod snapshot_store;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub use durable_mark::Loss;
pub use failure::LogCondition;
pub use free_space::FreeSpace;
pub use identity::{DirectoryIdentity, OwnIdentity};
pub use log_queue::Completion;
pub use note::Note;
pub use peer_memory::{PeerMemory, RememberedPeer};
pub use raft_log::{LogExtent, RaftLog};
pub use record::{LogEntry, LogPosition, StoredVote};
pub use snapshot_store::{Snapshot, SnapshotReceiver, SnapshotStore, SnapshotWriter};

use self::disk::Disk;
use self::durable_mark::{DurableMark, MarkFile};
use self::identity::DirectoryLock;
use self::log_queue::LogState;
use self::log_writer::{HardState, LogWriter, Marking, WrittenSegment};
use self::segment::SegmentPool;
use crate::durations::Durations;
use crate::error::Error;

/// Has a thread of our own log where the one that starts it does.
fn with_log_of_this_thread(work: impl FnOnce() + Send) -> impl FnOnce() + Send {
    let log = tracing::dispatcher::get_default(Clone::clone);
    move || tracing::dispatcher::with_default(&log, work)
}

/// How to open a data directory.
#[derive(Debug, Clone)]
pub struct StorageOptions {
    /// The directory; created if missing.
    pub directory: PathBuf,
    /// The member it belongs to.
    pub member: u64,
    /// Size of one log segment. Bytes.
    pub segment_bytes: u64,
    /// Newest log entries kept in memory. Bytes.
    pub held_bytes_max: usize,
    /// Below so much free room no more writes are to be taken; none for a part
    /// of the file system. Bytes.
    pub free_bytes_min: Option<u64>,
    /// The time, to count starts by. Milliseconds since the Unix epoch.
    pub wall_ms: u64,
    /// The file system.
    pub disk: Arc<dyn Disk>,
}

/// An open data directory.
#[derive(Debug)]
pub struct Storage {
    /// The log.
    pub log: RaftLog,
    /// The snapshots.
    pub snapshots: SnapshotStore,
    /// Greater at every start of this member; never reused.
    pub incarnation: u64,
    /// Which directory this is.
    pub identity: OwnIdentity,
    /// Which ones other members had.
    pub peer_memory: PeerMemory,
    /// That the state is not to be trusted.
    pub distrust: Note,
    /// That log and vote are not to be trusted.
    pub recovering: Note,
    /// What the log lost since it was durable. Found again at every start until it
    /// is accepted.
    pub loss: Option<Loss>,
    loss_accepted: Arc<AtomicBool>,
    /// How much room there is.
    pub room: FreeSpace,
    /// How long it worked on what.
    pub times: Arc<StorageTimes>,
    _lock: DirectoryLock,
}

/// How long the storage worked on what, since it was opened.
#[derive(Debug, Default)]
pub struct StorageTimes {
    /// Syncs of the log.
    pub syncs: Durations,
    /// Snapshots written, from their first byte until they were durable.
    pub snapshots: Durations,
}

impl Storage {
    /// Opens a data directory, creating what is missing, and reads it back.
    ///
    /// # Errors
    /// `Invalid` if the directory is in use, another member's, or open to other
    /// users; `Corrupt` if something in it is damaged; `Unavailable` if the disk
    /// fails.
    pub fn open(options: &StorageOptions) -> Result<Self, Error> {
        let directory = &options.directory;
        let unusable = |error: std::io::Error| {
            Error::unavailable(format!("cannot use the data directory {}", directory.display()))
                .caused_by(error)
        };
        let disk = &options.disk;
        let log_directory = directory.join("log");
        let snapshot_directory = directory.join("snapshots");
        disk.create_directory(directory).map_err(unusable)?;
        let lock = DirectoryLock::take(directory)?;
        permissions::narrow(directory)?;
        disk.create_directory(&log_directory).map_err(unusable)?;
        disk.create_directory(&snapshot_directory).map_err(unusable)?;
        disk.sync_directory(directory).map_err(unusable)?;
        let identity =
            OwnIdentity::begin(disk.clone(), directory, options.member, options.wall_ms)?;
        let incarnation = identity.current().incarnation;
        let peer_memory = PeerMemory::open(disk.clone(), directory)?;
        let room = FreeSpace::new(
            disk.clone(),
            directory.clone(),
            options.free_bytes_min,
            options.segment_bytes,
        );
        let times = Arc::<StorageTimes>::default();
        let snapshots =
            SnapshotStore::open(disk.clone(), snapshot_directory, room.clone(), times.clone())?;
        let mark = MarkFile::read(&**disk, directory)?;
        let recovered = recovery::recover(&**disk, directory, mark, options.held_bytes_max)?;
        let loss = recovered.loss.clone().or_else(|| {
            // Whoever takes a snapshot over has a vote before.
            let empty = recovered.vote.is_none() && recovered.index.last().is_none();
            let snapshot = snapshots.current().filter(|_| empty)?;
            Some(Loss::of_everything(directory, snapshot.position().map(|at| at.index + 1)))
        });

        let thread_name = format!("coord-{}-wal", options.member);
        let mut pool = SegmentPool::new(disk.clone(), log_directory, room.clone(), &thread_name)
            .map_err(unusable)?;
        let mut files = BTreeMap::new();
        let mut segments = BTreeMap::new();
        for (number, known) in recovered.segments {
            segments
                .insert(number, WrittenSegment { size: known.size, index_max: known.index_max });
            files.insert(number, known.file);
        }
        let (active, batch) = match recovered.active {
            Some(active) => active,
            None => {
                let number = recovered.next_segment;
                let active = pool.start_segment(number, 0).map_err(unusable)?;
                segments.insert(number, WrittenSegment { size: active.size, index_max: None });
                files.insert(number, active.file.clone());
                (active, 0)
            }
        };
        let next = recovered.index.next();
        let whole =
            DurableMark { segment: active.number, size: active.size, end: active.end, next };
        let marks = match (&loss, mark) {
            (None, _) => MarkFile::start(&**disk, directory, whole)?,
            // What proves the loss stays until the layer above has judged it.
            (Some(_), Some(_)) => MarkFile::open(&**disk, directory)?,
            (Some(_), None) => {
                MarkFile::start(&**disk, directory, DurableMark { end: whole.end + 1, ..whole })?
            }
        };
        let loss_accepted = Arc::new(AtomicBool::new(loss.is_none()));
        let state = LogState {
            vote: recovered.vote,
            committed: recovered.committed,
            index: recovered.index,
            files,
            failed: None,
        };
        let purged = state.index.purged();
        let hard = HardState { vote: state.vote, committed: state.committed, purged, next };
        let marking = Marking { marks, allowed: loss_accepted.clone() };
        let writer = LogWriter::new(pool, active, segments, hard, batch, marking, times.clone());
        let log = RaftLog::start(state, writer, &thread_name).map_err(unusable)?;
        let note = |file| Note::new(disk.clone(), directory.clone(), file);
        let (distrust, recovering) = (note(note::REINSTALL), note(note::RECOVERING));
        Ok(Self {
            log,
            snapshots,
            incarnation,
            identity,
            peer_memory,
            distrust,
            recovering,
            loss,
            loss_accepted,
            room,
            times,
            _lock: lock,
        })
    }
}

impl Storage {
    /// Goes on without what the log lost: from the next write on there is no proof
    /// of it any more.
    pub fn accept_loss(&self) {
        self.loss_accepted.store(true, Ordering::Release);
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        self.log.close();
    }
}
