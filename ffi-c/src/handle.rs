//! Handles held by C: each opaque type is a `Box`, created by [`give`],
//! borrowed by [`lend`], taken back by [`take`].
//!
//! Objects with threads contain a [`Handle`], which remembers the process that
//! created it. Threads do not survive a fork, so every use in a child is
//! refused instead of hanging.

use std::mem::ManuallyDrop;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::boundary::Failure;
use crate::status::coord_status;

/// How often this process was forked since its ancestor loaded the library.
static FORKS: AtomicU64 = AtomicU64::new(0);
static WATCH_FORKS: Once = Once::new();

extern "C" fn count_fork() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// A value with threads of its own, usable in the process that made it.
#[derive(Debug)]
pub(crate) struct Handle<T> {
    value: ManuallyDrop<T>,
    forks: u64,
}

impl<T> Handle<T> {
    pub(crate) fn new(value: T) -> Self {
        WATCH_FORKS.call_once(|| {
            // SAFETY: `count_fork` only adds to an atomic, which is allowed in a forked child.
            let registered = unsafe { libc::pthread_atfork(None, None, Some(count_fork)) };
            debug_assert_eq!(registered, 0, "pthread_atfork only fails without memory");
        });
        Self { value: ManuallyDrop::new(value), forks: FORKS.load(Ordering::Relaxed) }
    }

    /// The value, unless this is another process than the one that made it.
    pub(crate) fn value(&self) -> Result<&T, Failure> {
        if self.is_from_before_a_fork() {
            return Err(Failure::new(
                coord_status::COORD_FORKED,
                "this handle was created before fork(): open a new one in the child process",
            ));
        }
        Ok(&self.value)
    }

    fn is_from_before_a_fork(&self) -> bool {
        self.forks != FORKS.load(Ordering::Relaxed)
    }
}

impl<T> Drop for Handle<T> {
    fn drop(&mut self) {
        // In a child its threads are missing, and joining them would never end.
        if !self.is_from_before_a_fork() {
            // SAFETY: dropped here and nowhere else, and not used afterwards.
            unsafe { ManuallyDrop::drop(&mut self.value) };
        }
    }
}

/// Hands a value to C, which gives it back to its `_free`.
///
/// # Safety
/// `out` is NULL or points to a place for one pointer.
pub(crate) unsafe fn give<T>(out: *mut *mut T, value: T) -> Result<(), Failure> {
    if out.is_null() {
        return Err(Failure::null("out"));
    }
    // SAFETY: not NULL, and the caller promises that it points to a place for a pointer.
    unsafe { out.write(Box::into_raw(Box::new(value))) };
    Ok(())
}

/// Borrows what C holds.
///
/// # Safety
/// `pointer` is NULL or came from [`give`] and was not taken back.
pub(crate) unsafe fn lend<'a, T>(pointer: *const T, name: &'static str) -> Result<&'a T, Failure> {
    // SAFETY: the caller promises that it is NULL or a live value of this type.
    unsafe { pointer.as_ref() }.ok_or_else(|| Failure::null(name))
}

/// Takes back what C held; `None` for NULL.
///
/// # Safety
/// As [`lend`]; C does not use the pointer again.
pub(crate) unsafe fn take<T>(pointer: *mut T) -> Option<Box<T>> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: the caller promises that it came from `give`, and once only.
    Some(unsafe { Box::from_raw(pointer) })
}
