//! The log of a member, for its host program.
//!
//! ```text
//! threads of the member --LogTap--> MemberLog, a bounded queue --wait--> a thread of the host
//! ```
//!
//! The library installs no logger and never calls into the host program from
//! its own threads: the host reads the log from the queue. Only threads of
//! members that were started with it write to it, so several members in one
//! process can have separate logs, or share one.
//!
//! Nothing waits for the host: records that arrive while the queue is full are
//! dropped and counted, and the next record reports how many. Without a log, an
//! event costs the same as in any program without a logger.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tracing::dispatcher::{DefaultGuard, Dispatch, set_default, with_default};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, Subscriber};
use tracing::{Event, Level, Metadata};

use crate::clock::{Clock as _, SystemClock};
use crate::error::Error;
use crate::sync::{Condvar, Mutex, MutexGuard};

/// Maximum queued records.
pub const LOG_RECORDS_MAX: usize = 1024;

/// A longer message is truncated.
const TEXT_BYTES_MAX: usize = 8 << 10;

/// Severity of a record. Each level includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something may fail, or failed temporarily.
    Warn,
    /// Events of interest to an operator.
    Info,
    /// Details for debugging.
    Debug,
    /// All details.
    Trace,
}

/// A log record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// Its severity.
    pub level: LogLevel,
    /// The module that logged it, such as `coord_core::storage`.
    pub target: String,
    /// The message, followed by its fields.
    pub message: String,
    /// The time, in milliseconds since 1970.
    pub unix_ms: u64,
}

/// The log of the members that were started with it. Clones share the same log.
#[derive(Debug, Clone)]
pub struct MemberLog {
    shared: Arc<LogBuffer>,
}

#[derive(Debug)]
struct LogBuffer {
    queue: Mutex<Queue>,
    arrived: Condvar,
}

#[derive(Debug)]
struct Queue {
    level: LogLevel,
    records: VecDeque<LogRecord>,
    /// Since the last report.
    dropped: u64,
    closed: bool,
}

impl MemberLog {
    /// An empty log that takes records of `level` and more severe.
    pub fn new(level: LogLevel) -> Self {
        let queue = Queue { level, records: VecDeque::new(), dropped: 0, closed: false };
        Self { shared: Arc::new(LogBuffer { queue: Mutex::new(queue), arrived: Condvar::new() }) }
    }

    /// From now on takes records of `level` and more severe.
    pub fn set_level(&self, level: LogLevel) {
        self.queue().level = level;
        // tracing caches the interest of call sites.
        tracing::callsite::rebuild_interest_cache();
    }

    /// The next record; `None` if there is none within `limit`.
    ///
    /// # Errors
    /// `Closed` once it is closed and empty.
    pub fn wait(&self, limit: Duration) -> Result<Option<LogRecord>, Error> {
        let idle = |queue: &mut Queue| queue.is_empty() && !queue.closed;
        let waited = self.shared.arrived.wait_timeout_while(self.queue(), limit, idle);
        let (mut queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match queue.take() {
            None if queue.closed => Err(Error::closed("this log was closed")),
            record => Ok(record),
        }
    }

    /// Closes the log: no records are added any more, and waits end once the
    /// queue is empty.
    pub fn close(&self) {
        self.queue().closed = true;
        self.shared.arrived.notify_all();
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, record: LogRecord) {
        let mut queue = self.queue();
        if queue.closed || record.level > queue.level {
            return;
        }
        if queue.records.len() >= LOG_RECORDS_MAX {
            queue.dropped += 1;
            return;
        }
        if let Some(notice) = queue.notice() {
            queue.records.push_back(notice);
        }
        queue.records.push_back(record);
        drop(queue);
        self.shared.arrived.notify_one();
    }
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.records.is_empty() && self.dropped == 0
    }

    fn take(&mut self) -> Option<LogRecord> {
        self.records.pop_front().or_else(|| self.notice())
    }

    /// A record that reports dropped records, once.
    fn notice(&mut self) -> Option<LogRecord> {
        let dropped = std::mem::take(&mut self.dropped);
        (dropped > 0).then(|| LogRecord {
            level: LogLevel::Warn,
            target: module_path!().to_owned(),
            message: format!(
                "dropped {dropped} log records here: the host program did not read them fast \
                 enough"
            ),
            unix_ms: SystemClock::default().wall_ms(),
        })
    }
}

/// Redirects the log of one member's threads to its log, or to the program's
/// logger if there is none.
#[derive(Debug, Clone, Default)]
pub(super) struct LogTap(Option<Dispatch>);

thread_local! {
    static ON_THIS_THREAD: RefCell<Option<DefaultGuard>> = const { RefCell::new(None) };
}

impl LogTap {
    pub(super) fn of(log: Option<&MemberLog>) -> Self {
        Self(log.map(|log| Dispatch::new(Tap { log: log.clone(), clock: SystemClock::default() })))
    }

    /// Called at the start of each thread of the member.
    pub(super) fn enter_thread(&self) {
        if let Some(dispatch) = &self.0 {
            ON_THIS_THREAD.set(Some(set_default(dispatch)));
        }
    }

    /// Called at the end of each thread.
    pub(super) fn leave_thread() {
        ON_THIS_THREAD.set(None);
    }

    /// Runs work of the member on a thread of the host program.
    pub(super) fn around<T>(&self, work: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(dispatch) => with_default(dispatch, work),
            None => work(),
        }
    }
}

/// The `tracing` subscriber of a log.
struct Tap {
    log: MemberLog,
    clock: SystemClock,
}

impl Tap {
    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        let level = level_of(*metadata.level());
        // From dependencies only errors are logged; libcoord logs the rest itself.
        let most = match metadata.target().split("::").next() {
            Some("coord_core" | "coord_state" | "coord_wire") => LogLevel::Trace,
            _ => LogLevel::Error,
        };
        metadata.is_event() && level <= most && level <= self.log.queue().level
    }
}

impl Subscriber for Tap {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        // The level may change.
        Interest::sometimes()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match self.log.queue().level {
            LogLevel::Error => LevelFilter::ERROR,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Debug => LevelFilter::DEBUG,
            LogLevel::Trace => LevelFilter::TRACE,
        })
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.wants(metadata)
    }

    fn event(&self, event: &Event<'_>) {
        if !self.wants(event.metadata()) {
            return;
        }
        let mut said = Said::default();
        event.record(&mut said);
        self.log.add(LogRecord {
            level: level_of(*event.metadata().level()),
            target: event.metadata().target().to_owned(),
            message: said.text(),
            unix_ms: self.clock.wall_ms(),
        });
    }

    // Spans are not logged.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn level_of(level: Level) -> LogLevel {
    match level {
        Level::ERROR => LogLevel::Error,
        Level::WARN => LogLevel::Warn,
        Level::INFO => LogLevel::Info,
        Level::DEBUG => LogLevel::Debug,
        Level::TRACE => LogLevel::Trace,
    }
}

/// The parts of an event.
#[derive(Default)]
struct Said {
    message: String,
    fields: String,
}

impl Said {
    fn text(self) -> String {
        let Self { mut message, fields } = self;
        if !fields.is_empty() {
            // Writing to a string cannot fail.
            let _ = write!(message, "{}{fields}", if message.is_empty() { "" } else { ": " });
        }
        if message.len() > TEXT_BYTES_MAX {
            let whole = (0..=TEXT_BYTES_MAX).rev().find(|at| message.is_char_boundary(*at));
            message.truncate(whole.unwrap_or_default());
            message.push('…');
        }
        message
    }
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => {
                let blank = if self.fields.is_empty() { "" } else { " " };
                write!(self.fields, "{blank}{name}={value:?}")
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(log: &MemberLog) -> Vec<String> {
        let next = || log.wait(Duration::ZERO).ok().flatten();
        std::iter::from_fn(next).map(|record| record.message).collect()
    }

    #[test]
    fn what_a_thread_of_the_member_says_is_in_its_log_and_in_no_other() {
        let (one, other) = (MemberLog::new(LogLevel::Info), MemberLog::new(LogLevel::Warn));
        let (tap, other_tap) = (LogTap::of(Some(&one)), LogTap::of(Some(&other)));
        tap.around(|| {
            tracing::info!(member = 7, "began");
            tracing::debug!("too detailed");
        });
        std::thread::spawn(move || {
            other_tap.enter_thread();
            tracing::warn!(why = %"none", "failed");
            tracing::info!("too detailed");
            LogTap::leave_thread();
            tracing::warn!("nobody listens");
        })
        .join()
        .unwrap();
        assert_eq!(taken(&one), ["began: member=7"]);
        assert_eq!(taken(&other), ["failed: why=none"]);
    }

    #[test]
    fn a_level_may_change_while_it_logs() {
        let log = MemberLog::new(LogLevel::Error);
        LogTap::of(Some(&log)).around(|| {
            let say = || tracing::info!("said");
            say();
            log.set_level(LogLevel::Info);
            say();
            log.set_level(LogLevel::Warn);
            say();
        });
        assert_eq!(taken(&log), ["said"]);
    }

    #[test]
    fn others_are_heard_when_something_does_not_work() {
        let log = MemberLog::new(LogLevel::Trace);
        LogTap::of(Some(&log)).around(|| {
            tracing::warn!(target: "openraft::core", "of no concern");
            tracing::error!(target: "openraft::core", "broken");
        });
        assert_eq!(taken(&log), ["broken"]);
    }

    #[test]
    fn a_full_log_drops_what_comes_and_says_how_much() {
        let log = MemberLog::new(LogLevel::Info);
        LogTap::of(Some(&log)).around(|| {
            for number in 0..LOG_RECORDS_MAX + 3 {
                tracing::info!("{number}");
            }
            assert_eq!(log.wait(Duration::ZERO).unwrap().unwrap().message, "0");
            tracing::info!("after");
        });
        let told = taken(&log);
        assert_eq!(told.len(), LOG_RECORDS_MAX - 1 + 2);
        assert!(told[told.len() - 2].starts_with("dropped 3 log records"), "{told:?}");
        assert_eq!(told[told.len() - 1], "after");
        LogTap::of(Some(&log)).around(|| {
            for number in 0..=LOG_RECORDS_MAX {
                tracing::info!("{number}");
            }
        });
        // Also where nothing follows.
        assert!(taken(&log).last().unwrap().starts_with("dropped 1 log records"));
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let log = MemberLog::new(LogLevel::Info);
        let long = "é".repeat(TEXT_BYTES_MAX);
        LogTap::of(Some(&log)).around(|| tracing::info!("x{long}"));
        let told = taken(&log).remove(0);
        assert!(told.len() <= TEXT_BYTES_MAX + '…'.len_utf8() && told.ends_with("é…"), "{told}");
    }

    #[test]
    fn who_waits_wakes_for_a_record_and_for_the_end() {
        let log = MemberLog::new(LogLevel::Info);
        let waiting = std::thread::spawn({
            let log = log.clone();
            move || (log.wait(Duration::from_secs(60)), log.wait(Duration::from_secs(60)))
        });
        LogTap::of(Some(&log)).around(|| tracing::info!("here"));
        log.close();
        LogTap::of(Some(&log)).around(|| tracing::info!("too late"));
        let (record, end) = waiting.join().unwrap();
        assert_eq!(record.unwrap().unwrap().message, "here");
        end.unwrap_err();
    }
}
