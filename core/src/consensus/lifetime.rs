//! Shutdown of everything that a member started.
//!
//! Tasks and connections live until the member stops; stopping waits for the
//! last of them, so that nothing of a stopped member keeps running. If an
//! essential task ends by itself, it reports that here, and the member has
//! failed.

use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::FutureExt;
use tokio::sync::watch;

/// Says when to end, and knows who has not yet.
#[derive(Debug, Clone)]
pub(super) struct Lifetime {
    ending: Arc<watch::Sender<bool>>,
    living: Arc<watch::Sender<usize>>,
    failure: Arc<watch::Sender<Option<String>>>,
}

/// Something that lives.
#[derive(Debug)]
pub(super) struct Living {
    ending: Arc<watch::Sender<bool>>,
    living: Arc<watch::Sender<usize>>,
}

impl Living {
    /// Whether it should end.
    pub(super) fn is_ending(&self) -> bool {
        *self.ending.borrow()
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        self.living.send_modify(|living| *living -= 1);
    }
}

impl Lifetime {
    pub(super) fn new() -> Self {
        let ending = Arc::new(watch::Sender::new(false));
        Self { ending, living: Arc::default(), failure: Arc::default() }
    }

    /// Counts something in until it is dropped.
    pub(super) fn enter(&self) -> Living {
        self.living.send_modify(|living| *living += 1);
        Living { ending: self.ending.clone(), living: self.living.clone() }
    }

    /// The member can go on no more. The first reason counts.
    pub(super) fn fail(&self, why: &str) {
        // Invariant C13: whoever watches is told at once.
        self.failure.send_if_modified(|failure| {
            let news = failure.is_none();
            if news {
                tracing::error!("this member failed: {why}");
                *failure = Some(why.to_owned());
            }
            news
        });
    }

    /// Why it cannot go on, as soon as that is so.
    pub(super) fn watch_failure(&self) -> watch::Receiver<Option<String>> {
        self.failure.subscribe()
    }

    pub(super) fn failure(&self) -> Option<String> {
        self.failure.borrow().clone()
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failure.borrow().is_some()
    }

    /// As [`Self::spawn`], for what the member cannot do without: it fails if
    /// that panics.
    pub(super) fn spawn_vital(
        &self,
        what: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let lifetime = self.clone();
        self.spawn(async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                lifetime.fail(&format!("{what} panicked"));
            }
        });
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

    /// Runs work that waits for the disk. It cannot be broken off: stopping waits for
    /// it, so that the data directory is not given up while something still writes.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let living = self.enter();
        let working = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(living);
            done
        });
        working.await?
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
        // Invariant D3: whatever was entered has left.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn stopping_waits_for_what_still_writes_though_nobody_waits_for_it_any_more() {
        let lifetime = Lifetime::new();
        let (written, writing) = std::sync::mpsc::sync_channel(1);
        let work = lifetime.blocking(move || writing.recv().map_err(io::Error::other));
        // The task that asked for it ends with the member, while the disk takes its time.
        assert!(timeout(Duration::from_millis(1), work).await.is_none());
        lifetime.end();
        assert!(!lifetime.gone(Duration::from_millis(1)).await);
        written.send(()).expect("it is still at it");
        assert!(lifetime.gone(Duration::from_secs(60)).await);
    }
}
