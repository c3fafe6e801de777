//! What has threads works in the process that made it. They do not come along
//! into a forked child, where waiting for them would never end, and whose
//! sockets are the parent's: there every use is refused, and nothing is closed.
//!
//! A fork is noticed by the number of the process and, since numbers come
//! again, by what Python tells after a fork of its own.

use std::mem;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::prelude::*;

use crate::error::Failure;

/// How often this process was forked by Python since its ancestor loaded us.
static FORKS: AtomicU64 = AtomicU64::new(0);

/// For `os.register_at_fork`.
#[pyfunction]
pub(crate) fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    id: u32,
    forks: u64,
}

impl Process {
    fn current() -> Self {
        Self { id: process::id(), forks: FORKS.load(Ordering::Relaxed) }
    }
}

/// A value with threads of its own.
#[derive(Debug)]
pub(crate) struct Here<T> {
    /// Always there until the end.
    value: Option<T>,
    made_in: Process,
}

impl<T> Here<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value: Some(value), made_in: Process::current() }
    }

    /// The value, unless this is a child of the process that made it.
    pub(crate) fn get(&self) -> PyResult<&T> {
        match &self.value {
            Some(value) if self.made_in == Process::current() => Ok(value),
            _ => Err(Failure::new_err((
                "forked",
                "this object was created before fork(), and its threads only exist in the \
                 parent: create a new one in this process",
                None::<i32>,
            ))),
        }
    }
}

impl<T> Drop for Here<T> {
    fn drop(&mut self) {
        if self.made_in != Process::current() {
            mem::forget(self.value.take());
        }
    }
}
