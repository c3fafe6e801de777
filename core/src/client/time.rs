//! Timers of the clients: the only place where they use the runtime's timer.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior};

/// The output of `work`, or `None` if it takes longer than `limit`.
pub(super) async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(limit, work).await.ok()
}

/// A periodic timer.
#[derive(Debug)]
pub(super) struct Ticks(Interval);

impl Ticks {
    /// The first tick is after one `period`, at least a millisecond.
    pub(super) fn every(period: Duration) -> Self {
        let period = period.max(Duration::from_millis(1));
        let mut interval = tokio::time::interval(period);
        interval.reset();
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self(interval)
    }

    /// Waits for the next one. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) {
        self.0.tick().await;
    }
}
