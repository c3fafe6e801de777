//! How everything a member started comes to its end.
//!
//! Tasks and connections live until the member stops; stopping waits until the
//! last of them is gone, so that nothing of a stopped member is left running.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

/// Says when to end, and knows who has not yet.
#[derive(Debug, Clone)]
pub(super) struct Lifetime {
    ending: Arc<watch::Sender<bool>>,
    living: Arc<watch::Sender<usize>>,
}

/// Something that lives.
#[derive(Debug)]
pub(super) struct Living(Arc<watch::Sender<usize>>);

impl Drop for Living {
    fn drop(&mut self) {
        self.0.send_modify(|living| *living -= 1);
    }
}

impl Lifetime {
    pub(super) fn new() -> Self {
        Self { ending: Arc::new(watch::Sender::new(false)), living: Arc::default() }
    }

    /// Counts something in until it is dropped.
    pub(super) fn enter(&self) -> Living {
        self.living.send_modify(|living| *living += 1);
        Living(self.living.clone())
    }

    /// Runs a task until it is done or the member stops.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let living = self.enter();
        let lifetime = self.clone();
        tokio::spawn(async move {
            lifetime.until_end(task).await;
            drop(living);
        });
    }

    /// Awaits `work`; None if the member stops first.
    pub(super) async fn until_end<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.ended() => None,
            done = work => Some(done),
        }
    }

    /// Waits until the member stops.
    pub(super) async fn ended(&self) {
        let mut ending = self.ending.subscribe();
        // The sender lives as long as `self`.
        let _ = ending.wait_for(|ending| *ending).await;
    }

    pub(super) fn is_ending(&self) -> bool {
        *self.ending.borrow()
    }

    /// Asks everything to end.
    pub(super) fn end(&self) {
        self.ending.send_replace(true);
    }

    /// Waits until everything has; false if something did not in time.
    pub(super) async fn gone(&self, within: Duration) -> bool {
        let mut living = self.living.subscribe();
        let all_gone = living.wait_for(|living| *living == 0);
        timeout(within, all_gone).await.is_some()
    }
}

/// The one clock of this layer, for waiting.
pub(super) async fn timeout<T>(within: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(within, work).await.ok()
}

/// Waits.
pub(super) async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}
