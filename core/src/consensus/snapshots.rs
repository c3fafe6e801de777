//! Takes snapshots of the state and purges the log before them.
//!
//! openraft would stop a member because of a failed snapshot, although a
//! failure only costs disk space: the log just stays longer. So the snapshot is
//! written here first, and only then is openraft asked to take one: it gets the
//! one on disk.

use std::io;
use std::sync::PoisonError;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::Fatal;
use openraft::metrics::WaitError;
use openraft::storage::{RaftSnapshotBuilder, RaftStateMachine};

use super::lifetime::pause;
use super::member::{Consensus, fatal_error};
use super::state_machine::Raft;
use super::state_machine::StateMachineAdapter;
use super::types::{LogId, TypeConfig};
use crate::error::Error;

/// Log kept behind a snapshot for members that are a little late, in parts of
/// what makes a snapshot due.
const LOG_KEPT_DIVISOR: u64 = 4;
/// How long openraft gets to take a snapshot that is there.
const TELL_AGAIN: Duration = Duration::from_millis(200);
/// A snapshot that failed is tried again after this long, doubled each time …
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// … up to this.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// Why there is no new snapshot.
#[derive(Debug)]
pub(super) enum NotTaken {
    /// It could not be written. Everything else goes on.
    Disk(io::Error),
    /// The member ended.
    Ended(Fatal<TypeConfig>),
}

impl From<Fatal<TypeConfig>> for NotTaken {
    fn from(fatal: Fatal<TypeConfig>) -> Self {
        Self::Ended(fatal)
    }
}

impl From<NotTaken> for Error {
    fn from(not_taken: NotTaken) -> Self {
        match not_taken {
            NotTaken::Disk(error) => {
                Self::unavailable("cannot write the snapshot").caused_by(error)
            }
            NotTaken::Ended(fatal) => fatal_error(fatal),
        }
    }
}

/// Takes a snapshot of what is applied, and waits until openraft knows of it.
pub(super) async fn take(raft: &Raft) -> Result<(), NotTaken> {
    let builder = raft.with_state_machine(|machine: &mut StateMachineAdapter| {
        let mut machine = machine.clone();
        Box::pin(async move {
            let taken = machine.snapshots.current().and_then(|current| current.position());
            (taken.map(|at| at.index), machine.get_snapshot_builder().await)
        })
    });
    let (taken, mut builder) = builder.await?;
    let Some(upto) = builder.upto() else { return Ok(()) };
    if taken.is_none_or(|taken| taken < upto) {
        builder.build_snapshot().await.map_err(NotTaken::Disk)?;
    }
    tell(raft, upto).await
}

/// Has openraft know of the snapshot on the disk.
async fn tell(raft: &Raft, upto: u64) -> Result<(), NotTaken> {
    let is_known = |at: Option<LogId>| at.is_some_and(|at| at.index >= upto);
    while !is_known(raft.metrics().borrow_watched().snapshot) {
        // It takes no notice while it is still busy with one before.
        raft.trigger().snapshot().await?;
        let wait = raft.wait(Some(TELL_AGAIN));
        match wait.metrics(|metrics| is_known(metrics.snapshot), "a snapshot").await {
            Ok(_) | Err(WaitError::Timeout(..)) => {}
            Err(WaitError::ShuttingDown) => return Err(NotTaken::Ended(Fatal::Stopped)),
        }
    }
    Ok(())
}

impl Consensus {
    /// Takes a snapshot, whether or not one is due.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be written; `Closed` or `Internal` if the member
    /// stopped or failed.
    pub async fn snapshot(&self) -> Result<(), Error> {
        Ok(take(&self.inner.raft).await?)
    }

    /// Takes snapshots when they are due, until the member ends.
    pub(super) async fn keep_snapshots(self, snapshot_log_bytes: u64) {
        let mut retry = FIRST_RETRY;
        loop {
            self.inner.progress.snapshot_due.notified().await;
            match self.take_snapshot(snapshot_log_bytes).await {
                Ok(()) => retry = FIRST_RETRY,
                Err(NotTaken::Disk(error)) => {
                    tracing::warn!(
                        member = self.inner.peers.me.0,
                        %error,
                        again_in_s = retry.as_secs(),
                        "a snapshot failed and will be retried: the log grows until one succeeds"
                    );
                    pause(retry).await;
                    retry = (retry * 2).min(RETRY_MAX);
                    self.inner.progress.snapshot_due.notify_one();
                }
                Err(NotTaken::Ended(fatal)) => {
                    self.inner.ended_by_itself(&fatal.to_string());
                    return;
                }
            }
        }
    }

    /// Takes a snapshot and drops the log before it, but for a tail.
    async fn take_snapshot(&self, snapshot_log_bytes: u64) -> Result<(), NotTaken> {
        let _one_at_a_time = self.inner.snapshotting.lock().await;
        let raft = &self.inner.raft;
        take(raft).await?;
        let Some(upto) = raft.metrics().borrow_watched().snapshot else { return Ok(()) };
        let tail_start = {
            let storage = self.inner.storage.lock().unwrap_or_else(PoisonError::into_inner);
            let kept = snapshot_log_bytes / LOG_KEPT_DIVISOR;
            storage.as_ref().map_or(0, |storage| storage.log.tail_start(kept))
        };
        if let Some(last) = tail_start.min(upto.index + 1).checked_sub(1) {
            raft.trigger().purge_log(last).await?;
        }
        Ok(())
    }
}
