//! The runtime of a blocking client.
//!
//! A call polls its future on the caller's thread, but everything that opens or
//! writes a socket is a spawned task and so runs on the worker. Calls from
//! inside a runtime are refused, because they could deadlock.

use std::future::Future;
use std::pin::pin;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

use super::time::within;
use crate::Error;
use crate::sync::RwLock;

/// How long closing waits for a thread in an uninterruptible operation, such as
/// a name lookup; after that the thread ends by itself.
const JOIN_TIME_MAX: Duration = Duration::from_secs(5);

/// A runtime with one worker thread, or none once closed.
#[derive(Debug)]
pub(super) struct OwnRuntime {
    runtime: RwLock<Option<Runtime>>,
}

impl OwnRuntime {
    /// Starts the worker; it and its helper threads are named `name`.
    pub(super) fn start(name: &'static str) -> Result<Self, Error> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(4)
            .thread_name(name)
            .enable_all()
            .build()
            .map_err(|cause| {
                Error::unavailable("cannot start the client's thread").caused_by(cause)
            })?;
        Ok(Self { runtime: RwLock::new(Some(runtime)) })
    }

    /// Runs `work` to its end.
    ///
    /// # Errors
    /// `Invalid` on a thread of an async runtime, `Closed` after [`Self::close`].
    pub(super) fn run<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        refuse_inside_runtime()?;
        let guard = self.runtime.read().unwrap_or_else(PoisonError::into_inner);
        let runtime = guard.as_ref().ok_or_else(closed)?;
        runtime.block_on(work)
    }

    /// Like [`Self::run`], but calls `go_on` every `interval`, and once it
    /// returns false drops `work` and returns `None`.
    pub(super) fn run_while<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
        interval: Duration,
        mut go_on: impl FnMut() -> bool,
    ) -> Result<Option<T>, Error> {
        refuse_inside_runtime()?;
        let guard = self.runtime.read().unwrap_or_else(PoisonError::into_inner);
        let runtime = guard.as_ref().ok_or_else(closed)?;
        let mut work = pin!(work);
        loop {
            if let Some(outcome) = runtime.block_on(async { within(interval, work.as_mut()).await })
            {
                return outcome.map(Some);
            }
            if !go_on() {
                return Ok(None);
            }
        }
    }

    /// Stops the worker and joins it. Calls in progress must have been ended
    /// before, as this waits for them.
    ///
    /// # Errors
    /// `Invalid` on a thread of an async runtime, which cannot wait.
    pub(super) fn close(&self) -> Result<(), Error> {
        refuse_inside_runtime()?;
        let runtime = self.runtime.write().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(runtime) = runtime {
            runtime.shutdown_timeout(JOIN_TIME_MAX);
        }
        Ok(())
    }
}

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        let runtime = self.runtime.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let Some(runtime) = runtime else { return };
        if refuse_inside_runtime().is_ok() {
            runtime.shutdown_timeout(JOIN_TIME_MAX);
        } else {
            // Joining could wait for the current thread.
            runtime.shutdown_background();
        }
    }
}

fn refuse_inside_runtime() -> Result<(), Error> {
    match Handle::try_current() {
        Ok(_) => Err(Error::invalid(
            "a blocking call on a thread of an async runtime could stall the runtime: call it \
             from another thread",
        )),
        Err(_) => Ok(()),
    }
}

fn closed() -> Error {
    Error::closed("the client is closed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn blocking_inside_a_runtime_is_refused_not_a_panic() {
        let runtime = OwnRuntime::start("coord-test").unwrap();
        let inner = runtime.run(async {
            let nested = OwnRuntime::start("coord-test2")?;
            let refused = nested.run(async { Ok(()) }).unwrap_err();
            let not_joined = nested.close().unwrap_err();
            Ok((refused.kind().clone(), not_joined.kind().clone()))
        });
        assert_eq!(inner.unwrap(), (ErrorKind::Invalid, ErrorKind::Invalid));
    }

    #[test]
    fn closing_twice_is_fine_and_later_calls_say_closed() {
        let runtime = OwnRuntime::start("coord-test").unwrap();
        runtime.close().unwrap();
        runtime.close().unwrap();
        let error = runtime.run(async { Ok(()) }).unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Closed);
    }

    #[test]
    fn an_interrupted_wait_gives_nothing() {
        let runtime = OwnRuntime::start("coord-test").unwrap();
        let mut asked = 0;
        let outcome = runtime.run_while(
            std::future::pending::<Result<(), Error>>(),
            Duration::from_millis(1),
            || {
                asked += 1;
                asked < 3
            },
        );
        assert_eq!((outcome.unwrap(), asked), (None, 3));
    }
}
