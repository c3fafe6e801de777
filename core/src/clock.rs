//! The clock: the only place that reads the time.
//!
//! Other modules take a [`Clock`], so that a test or simulation can pass its
//! own.

use std::fmt;
use std::sync::PoisonError;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Utc};

use crate::sync::Mutex;

/// Wall time for timestamps, monotonic time for timeouts.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// Milliseconds since the Unix epoch.
    fn wall_ms(&self) -> u64;

    /// Time since some fixed moment; never goes backwards.
    fn monotonic(&self) -> Duration;

    /// The same, but it also advances while the machine is suspended.
    fn boot_time(&self) -> Duration {
        self.monotonic()
    }
}

/// The system clocks.
#[derive(Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn wall_ms(&self) -> u64 {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }

    #[cfg(target_os = "linux")]
    fn boot_time(&self) -> Duration {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let (Ok(seconds), Ok(nanos)) = (now.tv_sec.try_into(), now.tv_nsec.try_into()) else {
            return self.monotonic();
        };
        Duration::new(seconds, nanos)
    }
}

/// Milliseconds since the Unix epoch as a date to be printed.
pub(crate) fn utc(unix_ms: u64) -> DateTime<Utc> {
    let ms = i64::try_from(unix_ms).unwrap_or(i64::MAX);
    DateTime::from_timestamp_millis(ms).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// Waits for `duration`. The only timer of the library besides [`timeout`] and
/// [`interval`], so that a simulation has one place to replace.
pub async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// The future's output, or `None` if it takes longer than `limit`.
pub async fn timeout<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(limit, future).await.ok()
}

/// Ticks every `period`, the first time after one period; a late tick delays
/// the following ones instead of bunching them.
pub fn interval(period: Duration) -> tokio::time::Interval {
    let mut interval = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    interval
}

/// Measures a duration, for statistics only: no decision depends on it.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// A rate limiter, for messages that would otherwise be repeated too often.
#[derive(Debug)]
pub struct Throttle {
    period: Duration,
    last: Mutex<Option<Instant>>,
}

impl Throttle {
    /// Admits once per `period`.
    pub const fn new(period: Duration) -> Self {
        Self { period, last: Mutex::new(None) }
    }

    /// Whether to admit this time.
    pub fn admits(&self) -> bool {
        let now = Instant::now();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let admits = last.is_none_or(|last| now.duration_since(last) >= self.period);
        if admits {
            *last = Some(now);
        }
        admits
    }
}
