//! Detects that the network path to a peer was interrupted.
//!
//! After a partition, an old connection is in the kernel's retransmission
//! back-off: its data is sent again at doubling intervals, even if other
//! connections reach the peer meanwhile. So as soon as any connection reaches
//! the peer, older ones are replaced by new ones.

use std::future;
use std::time::Instant;

use tokio::sync::watch;

/// What all connections to one peer share.
#[derive(Debug, Clone, Default)]
pub(super) struct Path {
    /// When the last interruption began that is over.
    interrupted: watch::Sender<Option<Instant>>,
}

/// A view of it, for one user of connections.
#[derive(Debug, Clone)]
pub(super) struct PathWatch(watch::Receiver<Option<Instant>>);

impl Path {
    pub(super) fn watch(&self) -> PathWatch {
        PathWatch(self.interrupted.subscribe())
    }

    /// The peer is reached again, after an interruption that began at `since`.
    pub(super) fn restored(&self, since: Instant) {
        self.interrupted.send_if_modified(|interrupted| {
            let later = *interrupted < Some(since);
            if later {
                *interrupted = Some(since);
            }
            later
        });
    }
}

impl PathWatch {
    /// Whether a connection made at `since` was there before an interruption.
    pub(super) fn outlived_by(&self, since: Instant) -> bool {
        self.0.borrow().is_some_and(|interrupted| since <= interrupted)
    }

    /// Waits until a connection made at `since` has outlived an interruption.
    pub(super) async fn interrupted(&self, since: Instant) {
        let over = |interrupted: &Option<Instant>| interrupted.is_some_and(|at| since <= at);
        if self.0.clone().wait_for(over).await.is_err() {
            // The peer is elsewhere now; who sends to where it was finds out.
            future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_connections_from_before_an_interruption_are_given_up() {
        let path = Path::default();
        let watch = path.watch();
        let before = Instant::now();
        let (cut, after) = (before + Duration::from_secs(1), before + Duration::from_secs(2));
        assert!(!watch.outlived_by(before));
        path.restored(cut);
        assert!(watch.outlived_by(before));
        assert!(!watch.outlived_by(after));
        // An older one, told later, takes nothing back.
        path.restored(before);
        assert!(watch.outlived_by(cut));
    }
}
