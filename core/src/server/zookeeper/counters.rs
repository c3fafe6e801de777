//! Counters of the ZooKeeper server.

use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use super::outbox::Appended;

/// Shortest, average and longest time to a reply. Milliseconds.
#[derive(Debug)]
pub(super) struct Latency {
    count: AtomicU64,
    total: AtomicU64,
    min: AtomicU64,
    max: AtomicU64,
}

impl Default for Latency {
    fn default() -> Self {
        let zero = || AtomicU64::new(0);
        Self { count: zero(), total: zero(), min: AtomicU64::new(u64::MAX), max: zero() }
    }
}

impl Latency {
    pub(super) fn record(&self, taken: Duration) {
        let ms = u64::try_from(taken.as_millis()).unwrap_or(u64::MAX);
        self.count.fetch_add(1, Relaxed);
        self.total.fetch_add(ms, Relaxed);
        self.min.fetch_min(ms, Relaxed);
        self.max.fetch_max(ms, Relaxed);
    }

    pub(super) fn min(&self) -> u64 {
        match self.min.load(Relaxed) {
            u64::MAX => 0,
            min => min,
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.count.load(Relaxed)
    }

    pub(super) fn total(&self) -> u64 {
        self.total.load(Relaxed)
    }

    pub(super) fn max(&self) -> u64 {
        self.max.load(Relaxed)
    }

    /// As ZooKeeper writes it: one to four decimals.
    pub(super) fn average(&self) -> String {
        let count = self.count.load(Relaxed);
        let total = self.total.load(Relaxed);
        if count == 0 {
            return "0.0".to_owned();
        }
        let decimals = (u128::from(total) * 10_000 + u128::from(count) / 2) / u128::from(count);
        let text = format!("{}.{:04}", decimals / 10_000, decimals % 10_000);
        let short = text.trim_end_matches('0');
        if short.ends_with('.') { format!("{short}0") } else { short.to_owned() }
    }

    pub(super) fn average_rounded(&self) -> u64 {
        self.total.load(Relaxed).checked_div(self.count.load(Relaxed)).unwrap_or(0)
    }

    pub(super) fn reset(&self) {
        self.count.store(0, Relaxed);
        self.total.store(0, Relaxed);
        self.min.store(u64::MAX, Relaxed);
        self.max.store(0, Relaxed);
    }
}

/// Counts of one server.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) received: AtomicU64,
    pub(super) sent: AtomicU64,
    pub(super) latency: Latency,
    /// Of what only looks, and of what is ordered.
    pub(super) read_latency: Latency,
    pub(super) update_latency: Latency,
    /// Requests in progress, all connections together.
    pub(super) outstanding: AtomicUsize,
    /// Their bytes.
    pub(super) outstanding_bytes: AtomicUsize,
    pub(super) connections_refused: AtomicU64,
    /// Connections that ended, whoever ended them.
    pub(super) connections_ended: AtomicU64,
    pub(super) auth_failed: AtomicU64,
    pub(super) handshakes_failed: AtomicU64,
    /// TLS handshakes under way.
    pub(super) handshakes: AtomicU64,
    /// Handshakes received.
    pub(super) connection_requests: AtomicU64,
    /// Connections that took too long to name their session.
    pub(super) sessionless_expired: AtomicU64,
    pub(super) requests_too_large: AtomicU64,
    pub(super) bytes_received: AtomicU64,
    pub(super) response_bytes: AtomicU64,
    pub(super) watch_bytes: AtomicU64,
    /// Events told: created, deleted, data changed, children changed.
    pub(super) watch_events: [AtomicU64; 4],
    pub(super) response_last: AtomicUsize,
    pub(super) response_min: AtomicUsize,
    pub(super) response_max: AtomicUsize,
}

/// Counts of one server, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CounterSnapshot {
    /// Frames received.
    pub received: u64,
    /// Frames sent.
    pub sent: u64,
    /// Open connections.
    pub connections: usize,
    /// Requests in progress.
    pub outstanding: usize,
    /// Connections refused because there were too many.
    pub connections_refused: u64,
    /// Identities not proven.
    pub auth_failed: u64,
    /// Shortest time to a reply, in milliseconds.
    pub latency_min_ms: u64,
    /// Longest time to a reply, in milliseconds.
    pub latency_max_ms: u64,
}

impl Counters {
    pub(super) fn begin(&self, bytes: usize) {
        self.outstanding.fetch_add(1, Relaxed);
        self.outstanding_bytes.fetch_add(bytes, Relaxed);
    }

    pub(super) fn end(&self, bytes: usize) {
        self.outstanding.fetch_sub(1, Relaxed);
        self.outstanding_bytes.fetch_sub(bytes, Relaxed);
    }

    pub(super) fn sent(&self, appended: &Appended) {
        self.sent.fetch_add(appended.frames, Relaxed);
        self.response_bytes.fetch_add(appended.response_bytes, Relaxed);
        self.watch_bytes.fetch_add(appended.watch_bytes, Relaxed);
        for (told, more) in self.watch_events.iter().zip(appended.watch_events) {
            told.fetch_add(more, Relaxed);
        }
        let Some((last, min, max)) = appended.reply_bytes else { return };
        self.response_last.store(last, Relaxed);
        self.response_max.fetch_max(max, Relaxed);
        // Zero stands for "none yet": no response is empty.
        let least = self.response_min.load(Relaxed);
        if least == 0 || min < least {
            self.response_min.store(min, Relaxed);
        }
    }

    pub(super) fn reset(&self) {
        self.received.store(0, Relaxed);
        self.sent.store(0, Relaxed);
        self.latency.reset();
        self.read_latency.reset();
        self.update_latency.reset();
        self.response_last.store(0, Relaxed);
        self.response_min.store(0, Relaxed);
        self.response_max.store(0, Relaxed);
    }
}

/// What `cons` tells about a connection.
#[derive(Debug, Default)]
pub(super) struct ConnectionCounters {
    pub(super) received: AtomicU64,
    pub(super) sent: AtomicU64,
    pub(super) outstanding: AtomicUsize,
    pub(super) session: AtomicI64,
    pub(super) timeout_ms: AtomicU64,
    pub(super) last_op: AtomicI32,
    pub(super) last_xid: AtomicI32,
    pub(super) last_zxid: AtomicI64,
    pub(super) last_response_ms: AtomicU64,
    pub(super) last_latency_ms: AtomicU64,
    pub(super) latency: Latency,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_has_one_to_four_decimals() {
        let latency = Latency::default();
        assert_eq!((latency.min(), latency.average(), latency.max()), (0, "0.0".to_owned(), 0));
        for ms in [1, 1, 2] {
            latency.record(Duration::from_millis(ms));
        }
        assert_eq!(latency.average(), "1.3333");
        latency.record(Duration::from_millis(2));
        assert_eq!((latency.min(), latency.average(), latency.max()), (1, "1.5".to_owned(), 2));
        latency.reset();
        latency.record(Duration::from_millis(10));
        assert_eq!(latency.average(), "10.0");
    }
}
