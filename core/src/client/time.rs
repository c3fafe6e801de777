//! Waiting, in one place: the only use of the runtime's timer by the clients.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior};

/// What `work` gives, or `None` if it takes longer than `limit`.
pub(super) async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(limit, work).await.ok()
}

/// Something that comes again and again.
#[derive(Debug)]
pub(super) struct Ticks(Interval);

impl Ticks {
    /// The first after one `period`, at least a millisecond.
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
