//! The log of members, for the host program to read.

use std::ffi::{CString, c_char, c_void};
use std::time::Duration;

use coord_core::embedded::{LOG_RECORDS_MAX, LogLevel, LogRecord, MemberLog};

use crate::boundary::{Failure, free, guard, guard_on_this_thread, limit, look, required};
use crate::error::coord_error;
use crate::handle::{self, Handle};
use crate::status::coord_status;
use crate::string::c_text;

/// Severity of a log record. Each level includes those before it.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(non_camel_case_types, reason = "the name is C's")]
pub enum coord_log_level {
    /// No records; no record has this level.
    COORD_LOG_NONE = 0,
    /// Something failed.
    COORD_LOG_ERROR = 1,
    /// Something may fail, or failed temporarily.
    COORD_LOG_WARN = 2,
    /// Events of interest to an operator.
    COORD_LOG_INFO = 3,
    /// Details for debugging.
    COORD_LOG_DEBUG = 4,
    /// All details.
    COORD_LOG_TRACE = 5,
}

/// An enum from C may hold any number, so it arrives as one.
fn level_from_c(level: i32) -> Result<LogLevel, Failure> {
    let all = [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace];
    all.into_iter().find(|known| number_of(*known) as i32 == level).ok_or_else(|| {
        let text = format!("{level} is not a coord_log_level");
        Failure::new(coord_status::COORD_INVALID, text)
    })
}

fn number_of(level: LogLevel) -> coord_log_level {
    match level {
        LogLevel::Error => coord_log_level::COORD_LOG_ERROR,
        LogLevel::Warn => coord_log_level::COORD_LOG_WARN,
        LogLevel::Info => coord_log_level::COORD_LOG_INFO,
        LogLevel::Debug => coord_log_level::COORD_LOG_DEBUG,
        LogLevel::Trace => coord_log_level::COORD_LOG_TRACE,
    }
}

/// The log of the members that are started with it: see coord_settings_set_log.
/// It queues up to 1024 records; further ones are dropped, and a later record
/// reports how many. Release with `coord_log_free`.
#[derive(Debug)]
#[expect(non_camel_case_types, reason = "the name is C's")]
pub struct coord_log {
    handle: Handle<MemberLog>,
}

impl coord_log {
    /// Another hand on the same.
    pub(crate) fn share(&self) -> Result<MemberLog, Failure> {
        self.handle.value().cloned()
    }
}

/// A log record. Release with `coord_log_record_free`.
#[derive(Debug)]
#[expect(non_camel_case_types, reason = "the name is C's")]
pub struct coord_log_record {
    level: coord_log_level,
    target: CString,
    message: CString,
    unix_ms: u64,
}

impl coord_log_record {
    fn new(record: LogRecord) -> Result<Self, Failure> {
        Ok(Self {
            level: number_of(record.level),
            target: c_text(record.target)?,
            message: c_text(record.message.replace('\0', "\u{fffd}"))?,
            unix_ms: record.unix_ms,
        })
    }
}

/// Creates an empty log.
///
/// level    one of coord_log_level except none: more detailed records are left out.
/// out      receives the log; release with coord_log_free.
/// Returns  COORD_OK, COORD_INVALID.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_log_new(
    level: i32,
    out: *mut *mut coord_log,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        let log = MemberLog::new(level_from_c(level)?);
        // SAFETY: the caller promises that `out` is NULL or writable.
        unsafe { handle::give(out, coord_log { handle: Handle::new(log) }) }
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Changes the level of a log, for future records.
///
/// level    as for coord_log_new.
/// Returns  COORD_OK, COORD_INVALID, COORD_FORKED.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_log_set_level(
    log: *const coord_log,
    level: i32,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        // SAFETY: the caller promises that `log` is NULL or a live object of this library.
        let log = unsafe { handle::lend(log, "log") }?.handle.value()?;
        log.set_level(level_from_c(level)?);
        Ok(())
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Waits for the next record of a log.
///
/// timeout_ms  0 returns immediately, negative waits forever.
/// out         receives the record; release with coord_log_record_free.
/// Returns     COORD_OK; COORD_TIMEOUT (no record, no error object); COORD_CLOSED (closed, and
///             everything was fetched); COORD_INVALID; COORD_FORKED.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_log_wait(
    log: *const coord_log,
    timeout_ms: i64,
    out: *mut *mut coord_log_record,
    error: *mut *mut coord_error,
) -> coord_status {
    let mut nothing_came = false;
    let body = || {
        required(out, "out")?;
        // SAFETY: the caller promises that `log` is NULL or a live object of this library.
        let log = unsafe { handle::lend(log, "log") }?.handle.value()?;
        match log.wait(limit(timeout_ms, FOR_EVER))? {
            // SAFETY: the caller promises that `out` is NULL or writable.
            Some(record) => unsafe { handle::give(out, coord_log_record::new(record)?) },
            None => {
                nothing_came = true;
                Ok(())
            }
        }
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    let status = unsafe { guard(error, body) };
    if nothing_came { coord_status::COORD_TIMEOUT } else { status }
}

/// Longer than any process lasts, and no overflow anywhere.
const FOR_EVER: Duration = Duration::from_secs(u32::MAX as u64);

/// Receives a record from coord_log_drain. The record is valid during the call.
#[expect(non_camel_case_types, reason = "the name is C's")]
pub type coord_log_callback =
    Option<unsafe extern "C" fn(context: *mut c_void, record: *const coord_log_record)>;

/// Waits for a record of a log, and passes it and all others in the queue to a
/// callback, in order. The callback is called on this thread, before this
/// function returns, and never on a thread of the library.
///
/// timeout_ms  how long to wait for the first; as for coord_log_wait.
/// callback    called once for each record.
/// context     passed to the callback unchanged.
/// Returns     as coord_log_wait.
///
/// # Safety
/// Pointers are NULL or valid; the callback may be called with the context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_log_drain(
    log: *const coord_log,
    timeout_ms: i64,
    callback: coord_log_callback,
    context: *mut c_void,
    error: *mut *mut coord_error,
) -> coord_status {
    let mut nothing_came = false;
    let body = || {
        let callback = callback.ok_or_else(|| Failure::null("callback"))?;
        // SAFETY: the caller promises that `log` is NULL or a live object of this library.
        let log = unsafe { handle::lend(log, "log") }?.handle.value()?;
        let mut next = log.wait(limit(timeout_ms, FOR_EVER))?;
        nothing_came = next.is_none();
        // Not without end, however much is logged meanwhile.
        for _ in 0..LOG_RECORDS_MAX {
            let Some(record) = next else { break };
            let record = coord_log_record::new(record)?;
            // SAFETY: the caller promises that `callback` takes `context`, and a record that lives
            // as long as it runs.
            unsafe { callback(context, &raw const record) };
            next = log.wait(Duration::ZERO).unwrap_or_default();
        }
        Ok(())
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    let status = unsafe { guard_on_this_thread(error, body) };
    if nothing_came { coord_status::COORD_TIMEOUT } else { status }
}

/// Closes a log: no more records are added, and waiting calls return once all
/// records were fetched. Closing twice is allowed.
///
/// Returns  COORD_OK, COORD_INVALID, COORD_FORKED.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_log_close(
    log: *const coord_log,
    error: *mut *mut coord_error,
) -> coord_status {
    let body = || {
        // SAFETY: the caller promises that `log` is NULL or a live object of this library.
        unsafe { handle::lend(log, "log") }?.handle.value()?.close();
        Ok(())
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard(error, body) }
}

/// Releases a log. Members that log to it continue, but their records are lost.
/// NULL is allowed.
///
/// # Safety
/// `log` is NULL or from coord_log_new, not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_log_free(log: *mut coord_log) {
    // SAFETY: the caller promises that `log` is NULL or from this library, and is not used again.
    unsafe { free(log) };
}

/// The level, one of coord_log_level; none for NULL.
///
/// # Safety
/// `record` is NULL or from this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_log_record_level(
    record: *const coord_log_record,
) -> coord_log_level {
    let none = coord_log_level::COORD_LOG_NONE;
    // SAFETY: the caller promises that `record` is NULL or a live object of this library.
    look(none, || Ok(unsafe { handle::lend(record, "record") }?.level))
}

/// The module that logged it, such as `coord_core::storage`; empty for NULL. Valid as long as the
/// record.
///
/// # Safety
/// As `coord_log_record_level`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_log_record_target(record: *const coord_log_record) -> *const c_char {
    // SAFETY: the caller promises that `record` is NULL or a live object of this library.
    look(c"".as_ptr(), || Ok(unsafe { handle::lend(record, "record") }?.target.as_ptr()))
}

/// The message, followed by its fields as names and values; empty for NULL.
/// Valid as long as the record.
///
/// # Safety
/// As `coord_log_record_level`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_log_record_message(
    record: *const coord_log_record,
) -> *const c_char {
    // SAFETY: the caller promises that `record` is NULL or a live object of this library.
    look(c"".as_ptr(), || Ok(unsafe { handle::lend(record, "record") }?.message.as_ptr()))
}

/// When it happened, in milliseconds since 1970; 0 for NULL.
///
/// # Safety
/// As `coord_log_record_level`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_log_record_unix_ms(record: *const coord_log_record) -> u64 {
    // SAFETY: the caller promises that `record` is NULL or a live object of this library.
    look(0, || Ok(unsafe { handle::lend(record, "record") }?.unix_ms))
}

/// Releases a record. NULL is allowed.
///
/// # Safety
/// `record` is NULL or from coord_log_wait, not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coord_log_record_free(record: *mut coord_log_record) {
    // SAFETY: the caller promises that `record` is NULL or from this library, and is not used
    // again.
    unsafe { free(record) };
}
