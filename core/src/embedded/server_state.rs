//! The status of an embedded member, for its host program.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::error::Error;
use crate::node::{Impairment, Node};
use crate::sync::{Condvar, Mutex, MutexGuard};

/// The state of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerState {
    /// Serves reads and writes.
    Serving,
    /// Waits until it knows a leader, belongs to the cluster and has its state.
    Waiting,
    /// Serves reads only: its disk is almost full. It resumes by itself.
    RefusingWrites,
    /// Serves almost nothing: it cannot write its log. It resumes by itself.
    Stalled,
    /// Failed permanently: stop it and start it again.
    Failed,
    /// Stopped.
    Stopped,
}

/// The status of a member: its state, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerStatus {
    /// The state.
    pub state: ServerState,
    /// The problem in words; empty if there is none.
    pub reason: String,
}

impl ServerStatus {
    pub(super) fn stopped() -> Self {
        Self { state: ServerState::Stopped, reason: "this member was stopped".to_owned() }
    }

    pub(super) fn of(node: &Node) -> Self {
        let (state, reason) = match node.impairment() {
            Some(Impairment::Failed(why)) => (ServerState::Failed, why),
            Some(Impairment::Stalled(why)) => (ServerState::Stalled, why),
            Some(Impairment::NoRoom(why)) => (ServerState::RefusingWrites, why),
            None => Self::of_a_sound_one(node),
        };
        Self { state, reason }
    }

    fn of_a_sound_one(node: &Node) -> (ServerState, String) {
        let status = node.status();
        if let Some(why) = status.failed {
            (ServerState::Failed, why)
        } else if let Some(why) = status.withdrawn {
            (ServerState::Waiting, why)
        } else if status.outside {
            (ServerState::Waiting, "this member is not in the cluster".to_owned())
        } else if status.leader.is_none() {
            (ServerState::Waiting, "no leader is known".to_owned())
        } else {
            (ServerState::Serving, String::new())
        }
    }
}

/// Lets threads of the host program wait for the failure of a member. Cheap to
/// clone; does not keep the member or its runtime alive, and is notified when
/// they end.
#[derive(Debug, Clone, Default)]
pub struct FailureWatch {
    shared: Arc<EndSignal>,
}

#[derive(Debug, Default)]
struct EndSignal {
    end: Mutex<Option<End>>,
    changed: Condvar,
}

#[derive(Debug, Clone)]
enum End {
    Failed(String),
    Stopped,
}

impl FailureWatch {
    /// Blocks until the member fails, and returns why; `None` after `limit`.
    ///
    /// # Errors
    /// `Closed` if the member is or gets stopped.
    pub fn wait(&self, limit: Duration) -> Result<Option<String>, Error> {
        let ended = |end: &mut Option<End>| end.is_none();
        let waited = self.shared.changed.wait_timeout_while(self.end(), limit, ended);
        let (end, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match &*end {
            Some(End::Failed(why)) => Ok(Some(why.clone())),
            Some(End::Stopped) => Err(Error::closed("this member was stopped")),
            None => Ok(None),
        }
    }

    /// Follows a member until it fails.
    pub(super) async fn follow(self, mut impaired: watch::Receiver<Option<Impairment>>) {
        let failed = |now: &Option<Impairment>| matches!(now, Some(Impairment::Failed(_)));
        if let Ok(now) = impaired.wait_for(failed).await {
            let why = now.as_ref().map_or("", Impairment::reason).to_owned();
            self.settle(End::Failed(why));
        }
    }

    pub(super) fn stopped(&self) {
        self.settle(End::Stopped);
    }

    fn settle(&self, end: End) {
        *self.end() = Some(end);
        self.shared.changed.notify_all();
    }

    fn end(&self) -> MutexGuard<'_, Option<End>> {
        self.shared.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_hears_of_a_failure_and_of_a_stop() {
        let watch = FailureWatch::default();
        assert_eq!(watch.wait(Duration::ZERO).unwrap(), None);
        let waiter = watch.clone();
        let waiting = std::thread::spawn(move || waiter.wait(Duration::from_secs(60)));
        watch.settle(End::Failed("why".to_owned()));
        assert_eq!(waiting.join().unwrap().unwrap(), Some("why".to_owned()));
        watch.stopped();
        watch.wait(Duration::from_secs(60)).unwrap_err();
    }
}
