//! The boundary around every exported function: no panic crosses it, no pointer
//! is used unchecked, and failures become a status and a message.

use std::any::Any;
use std::ffi::{CStr, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use bytes::Bytes;
use coord_core::Error;
use coord_core::client::consul::ConsulFailure;
use coord_core::client::zookeeper::ErrorCode;

use crate::error::coord_error;
use crate::handle;
use crate::stack;
use crate::status::{self, coord_status};

/// The most data one argument may have. No server takes nearly as much, and a
/// length that was computed wrongly is far beyond it.
const DATA_BYTES_MAX: usize = 64 << 20;

/// The most texts or the like one argument may have, for the same reasons.
const ITEMS_MAX: usize = 1 << 16;

/// Why a call failed: a status, a text, and what a server said.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: coord_status,
    pub(crate) message: String,
    pub(crate) retryable: bool,
    pub(crate) may_have_applied: bool,
    /// ZooKeeper's own code, or 0.
    pub(crate) zk_code: i32,
    /// The HTTP status, or 0.
    pub(crate) http_status: u16,
}

impl Failure {
    pub(crate) fn new(status: coord_status, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            retryable: false,
            may_have_applied: false,
            zk_code: 0,
            http_status: 0,
        }
    }

    pub(crate) fn null(name: &str) -> Self {
        Self::new(coord_status::COORD_INVALID, format!("the argument {name} is NULL"))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            retryable: error.is_retryable(),
            may_have_applied: error.may_have_applied(),
            zk_code: status::code_sent(&error).map_or(0, ErrorCode::code),
            http_status: status::http_status_sent(&error).unwrap_or_default(),
            ..Self::new(coord_status::of(&error), message(&error))
        }
    }
}

/// What clients say is complete without its cause, which is data.
fn message(error: &Error) -> String {
    if status::code_sent(error).is_some() || ConsulFailure::of(error).is_some() {
        return error.to_string();
    }
    error.chain()
}

/// Runs the body of an exported function. On failure, and if the caller wants
/// one, an error object is written to `error`.
///
/// # Safety
/// `error` is NULL or points to a place for one pointer.
pub(crate) unsafe fn guard(
    error: *mut *mut coord_error,
    body: impl FnOnce() -> Result<(), Failure>,
) -> coord_status {
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { guard_on_this_thread(error, || with_enough_stack(body)) }
}

/// As [`guard`], for a body that calls back and therefore stays on the caller's
/// thread, whatever its stack.
///
/// # Safety
/// As [`guard`].
pub(crate) unsafe fn guard_on_this_thread(
    error: *mut *mut coord_error,
    body: impl FnOnce() -> Result<(), Failure>,
) -> coord_status {
    // What the body may leave half done is behind the handle, which a panic makes unusable by contract.
    let outcome = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        Err(Failure::new(
            coord_status::COORD_PANIC,
            format!("a bug in libcoord, please report it: {}", panic_text(&*panic)),
        ))
    });
    let Err(failure) = outcome else { return coord_status::COORD_OK };
    let status = failure.status;
    if !error.is_null() {
        // SAFETY: not NULL, and the caller promises that it points to a place for a pointer.
        let given = unsafe { handle::give(error, coord_error::new(failure)) };
        debug_assert!(given.is_ok(), "the place was just seen not to be NULL");
    }
    status
}

/// Runs the body of an exported function that only looks at a value; `fallback`
/// for NULL and whatever else goes wrong.
pub(crate) fn look<T>(fallback: T, body: impl FnOnce() -> Result<T, Failure>) -> T {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(seen)) => seen,
        Ok(Err(_)) | Err(_) => fallback,
    }
}

/// Takes back what C held, and drops it. NULL is fine.
///
/// # Safety
/// `pointer` is NULL or came from [`handle::give`], and C does not use it again.
pub(crate) unsafe fn free<T>(pointer: *mut T) {
    look((), || {
        // SAFETY: the caller promises that `pointer` is NULL or from this library, and is not used
        // again.
        drop(unsafe { handle::take(pointer) });
        Ok(())
    });
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("panic")
}

/// A NUL-terminated text of the caller.
///
/// # Safety
/// `text` is NULL or NUL-terminated and lives as long as the call.
pub(crate) unsafe fn text<'a>(text: *const c_char, name: &str) -> Result<&'a str, Failure> {
    // SAFETY: the caller promises that `text` is NULL or NUL-terminated.
    unsafe { optional_text(text, name) }?.ok_or_else(|| Failure::null(name))
}

/// As [`text`], where NULL means none.
///
/// # Safety
/// As [`text`].
pub(crate) unsafe fn optional_text<'a>(
    text: *const c_char,
    name: &str,
) -> Result<Option<&'a str>, Failure> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL, and the caller promises that it is NUL-terminated.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map(Some).map_err(|_| {
        Failure::new(coord_status::COORD_INVALID, format!("the argument {name} is not UTF-8"))
    })
}

/// Refuses a number of bytes or texts that cannot be meant, before anything is
/// read or allocated.
fn not_above(max: usize, given: usize, name: &str) -> Result<(), Failure> {
    if given <= max {
        return Ok(());
    }
    let message = format!("the length of {name} is {given}, but may be at most {max}");
    Err(Failure::new(coord_status::COORD_INVALID, message))
}

/// Bytes of the caller; NULL with length 0 is empty.
///
/// # Safety
/// `data` is NULL or points to `len` bytes that live as long as the call, unless
/// there are more than can be meant: then it is not looked at.
pub(crate) unsafe fn bytes<'a>(
    data: *const u8,
    len: usize,
    name: &str,
) -> Result<&'a [u8], Failure> {
    not_above(DATA_BYTES_MAX, len, name)?;
    if len == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(Failure::null(name));
    }
    // SAFETY: not NULL, and the caller promises that many bytes.
    Ok(unsafe { std::slice::from_raw_parts(data, len) })
}

/// As [`bytes()`], where NULL means none.
///
/// # Safety
/// As [`bytes()`].
pub(crate) unsafe fn optional_bytes(
    data: *const u8,
    len: usize,
    name: &str,
) -> Result<Option<Bytes>, Failure> {
    if data.is_null() && len == 0 {
        return Ok(None);
    }
    // SAFETY: the caller promises that `data` is NULL or has `len` bytes.
    let data = unsafe { bytes(data, len, name) }?;
    Ok(Some(Bytes::copy_from_slice(data)))
}

/// Texts of the caller, as an array.
///
/// # Safety
/// `texts` is NULL or points to `count` texts, each as for [`text`].
pub(crate) unsafe fn texts<'a>(
    texts: *const *const c_char,
    count: usize,
    name: &str,
) -> Result<Vec<&'a str>, Failure> {
    // SAFETY: the caller promises that `texts` is NULL or has `count` values.
    let texts = unsafe { items(texts, count, name) }?;
    // SAFETY: the caller promises that `item` is NULL or NUL-terminated.
    texts.iter().map(|item| unsafe { text(*item, name) }).collect()
}

/// An array of the caller; NULL with 0 is empty.
///
/// # Safety
/// `items` is NULL or points to `count` values that live as long as the call,
/// unless there are more than can be meant: then it is not looked at.
pub(crate) unsafe fn items<'a, T>(
    items: *const T,
    count: usize,
    name: &str,
) -> Result<&'a [T], Failure> {
    not_above(ITEMS_MAX, count, name)?;
    if count == 0 {
        return Ok(&[]);
    }
    if items.is_null() {
        return Err(Failure::null(name));
    }
    // SAFETY: not NULL, and the caller promises that many.
    Ok(unsafe { std::slice::from_raw_parts(items, count) })
}

/// How long to wait; negative means `default`.
pub(crate) fn limit(timeout_ms: i64, default: Duration) -> Duration {
    u64::try_from(timeout_ms).map_or(default, Duration::from_millis)
}

/// Hands on lines of `name=value`. They may hold a password: of one that is
/// none only the number is told.
pub(crate) fn for_each_option(
    options: &str,
    mut set: impl FnMut(&str, &str) -> Result<(), Error>,
) -> Result<(), Failure> {
    for (number, line) in options.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
        let unfit = || {
            let message = format!("line {} of options is not name=value", number + 1);
            Failure::new(coord_status::COORD_INVALID, message)
        };
        let (name, value) = line.split_once('=').ok_or_else(unfit)?;
        set(name, value)?;
    }
    Ok(())
}

/// A place for a result, which must be there.
pub(crate) fn required<T>(out: *const T, name: &str) -> Result<(), Failure> {
    if out.is_null() { Err(Failure::null(name)) } else { Ok(()) }
}

/// Writes a plain value for the caller; NULL means it does not want it.
///
/// # Safety
/// `out` is NULL or points to a place for the value.
pub(crate) unsafe fn put<T>(out: *mut T, value: T) {
    if !out.is_null() {
        // SAFETY: not NULL, and the caller promises the place.
        unsafe { out.write(value) };
    }
}

/// Runs `work` on a thread of ours and waits for it: what starts and stops members
/// and clients needs more stack than a thread of the host may have. The caller's
/// signals are delivered meanwhile; ours stay blocked on that thread and on those
/// it starts.
pub(crate) fn on_own_thread<T: Send>(
    work: impl FnOnce() -> Result<T, Failure> + Send,
) -> Result<T, Failure> {
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().name("coord-call".to_owned());
        let thread = with_signals_blocked(|| builder.spawn_scoped(scope, work));
        let thread = thread.map_err(|cause| {
            let message = format!("cannot start a thread for this call: {cause}");
            Failure { retryable: true, ..Failure::new(coord_status::COORD_UNAVAILABLE, message) }
        })?;
        // A fault there is one of this call.
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Runs `work` here, or on a thread of ours where the caller's has little stack.
#[inline(never)]
fn with_enough_stack<T: Send>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    if !stack::is_small() {
        return work();
    }
    let lent = Lent(work);
    on_own_thread(move || lent.run())
}

/// Work of a caller that waits for its end.
struct Lent<F>(F);

// SAFETY: the caller waits while it runs, so that what it holds is used by one
// thread at a time. What C hands in is not bound to a thread: the header says
// that any object may be used by any.
unsafe impl<F> Send for Lent<F> {}

impl<F: FnOnce() -> R, R> Lent<F> {
    fn run(self) -> R {
        (self.0)()
    }
}

/// As [`free()`], for what takes threads to their end when it is dropped.
///
/// # Safety
/// As [`free()`].
pub(crate) unsafe fn free_with_threads<T: Send>(pointer: *mut T) {
    if pointer.is_null() {
        return;
    }
    look((), || {
        // SAFETY: the caller promises that `pointer` is NULL or from this library, and is not used
        // again.
        let held = unsafe { handle::take(pointer) };
        // Without a thread the work is dropped, and what it holds with it, here.
        on_own_thread(move || {
            drop(held);
            Ok(())
        })
    });
}

/// Runs `start` with every signal blocked, so that the threads it spawns leave
/// the host's signals alone and never die of a closed pipe.
fn with_signals_blocked<T>(start: impl FnOnce() -> T) -> T {
    let restore = SignalMask::block_all();
    let started = start();
    drop(restore);
    started
}

/// The caller's signal mask, put back when dropped.
struct SignalMask(libc::sigset_t);

impl SignalMask {
    fn block_all() -> Self {
        // SAFETY: a signal set is plain data and any bits of it are one.
        let mut all: libc::sigset_t = unsafe { std::mem::zeroed() };
        // SAFETY: as above.
        let mut before: libc::sigset_t = unsafe { std::mem::zeroed() };
        // SAFETY: the set is ours.
        unsafe { libc::sigfillset(&raw mut all) };
        // SAFETY: both sets are ours and live through the call.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before) };
        Self(before)
    }
}

impl Drop for SignalMask {
    fn drop(&mut self) {
        // SAFETY: the set is ours and lives through the call.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut())
        };
    }
}
