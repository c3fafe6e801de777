//! State shared by callers of the log and its writer thread: the log in memory, and the
//! bounded queue of changes that are not durable yet.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

use super::disk::DiskFile;
use super::failure::LogCondition;
use super::log_index::LogIndex;
use super::record::{LogEntry, LogPosition, StoredVote};
use crate::sync::{Condvar, Mutex, MutexGuard};

/// Called once, from the log's thread, in the order of the calls: whether the
/// change is durable. After a failure nothing ever is again.
pub type Completion = Box<dyn FnOnce(io::Result<()>) + Send>;

/// Bytes of entries waiting to be written. A caller that adds more is held back,
/// which only a disk that stands still can cause.
const QUEUE_BYTES_MAX: usize = 512 << 20;

/// The same in requests.
const QUEUE_REQUESTS_MAX: usize = 1 << 16;

pub(super) enum Request {
    Append { entries: Vec<LogEntry>, done: Completion },
    Vote { vote: StoredVote, done: Completion },
    Truncate { from: u64 },
    Purge(LogPosition),
}

/// What callers and the log's thread share.
pub(super) struct LogShared {
    pub(super) state: Mutex<LogState>,
    pub(super) queue: Mutex<Queue>,
    pub(super) filled: Condvar,
    pub(super) emptied: Condvar,
    pub(super) condition: watch::Sender<LogCondition>,
    pub(super) writer: Mutex<Option<JoinHandle<()>>>,
}

pub(super) struct LogState {
    pub(super) index: LogIndex,
    pub(super) vote: Option<StoredVote>,
    pub(super) committed: Option<LogPosition>,
    pub(super) files: BTreeMap<u64, Arc<dyn DiskFile>>,
    pub(super) failed: Option<String>,
}

#[derive(Default)]
pub(super) struct Queue {
    requests: Vec<Request>,
    pub(super) bytes: usize,
    pub(super) closed: bool,
    /// What cannot be written is not tried again.
    pub(super) abandoned: bool,
}

impl LogShared {
    pub(super) fn state(&self) -> MutexGuard<'_, LogState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that waits; None once the log is closed and nothing does.
    pub(super) fn take_requests(&self) -> Option<Vec<Request>> {
        let mut queue = self.queue();
        while queue.requests.is_empty() {
            if queue.closed {
                return None;
            }
            queue = self.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        queue.bytes = 0;
        let requests = std::mem::take(&mut queue.requests);
        drop(queue);
        self.emptied.notify_all();
        Some(requests)
    }

    /// Tells those outside how the log is. True if that is news.
    pub(super) fn set_condition(&self, condition: LogCondition) -> bool {
        self.condition.send_if_modified(|known| {
            // The same condition for another reason is no news, and a failed log stays failed.
            let same = std::mem::discriminant(known) == std::mem::discriminant(&condition)
                || matches!(known, LogCondition::Failed(_));
            if !same {
                *known = condition;
            }
            !same
        })
    }

    /// Takes no change from now on.
    pub(super) fn fail(&self, reason: &str) {
        self.state().failed.get_or_insert_with(|| reason.to_owned());
        self.set_condition(LogCondition::Failed(reason.to_owned()));
    }

    /// Refuses everything that waits, until the log is closed.
    pub(super) fn refuse_forever(&self, reason: &str) {
        while let Some(requests) = self.take_requests() {
            for request in requests {
                request.fail(reason);
            }
        }
    }

    /// Waits before another attempt. True if there is to be none.
    pub(super) fn pause_unless_ending(&self, pause: Duration) -> bool {
        let ending = |queue: &mut Queue| queue.closed || queue.abandoned;
        let waited = self.filled.wait_timeout_while(self.queue(), pause, |queue| !ending(queue));
        let (mut queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        ending(&mut queue)
    }

    pub(super) fn push(&self, request: Request, bytes: usize) -> io::Result<()> {
        let mut queue = self.queue();
        while !queue.closed
            && (queue.bytes > QUEUE_BYTES_MAX || queue.requests.len() >= QUEUE_REQUESTS_MAX)
        {
            queue = self.emptied.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        if queue.closed {
            drop(queue);
            request.fail("the log is closed");
            return Err(io::Error::other("the log is closed"));
        }
        queue.bytes += bytes;
        let wake = queue.requests.is_empty();
        queue.requests.push(request);
        drop(queue);
        if wake {
            self.filled.notify_one();
        }
        Ok(())
    }
}

impl Request {
    pub(super) fn fail(self, reason: &str) {
        match self {
            Self::Append { done, .. } | Self::Vote { done, .. } => {
                done(Err(io::Error::other(reason.to_owned())));
            }
            Self::Truncate { .. } | Self::Purge(_) => {}
        }
    }
}
