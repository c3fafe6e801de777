//! Waiting, in one place: the only use of the runtime's timer by the clients.

use std::future::Future;
use std::time::Duration;

/// What `work` gives, or `None` if it takes longer than `limit`.
pub(super) async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(limit, work).await.ok()
}

/// Waits for `time`.
pub(super) async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}
