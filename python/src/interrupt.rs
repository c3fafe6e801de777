//! Waiting with the interpreter released, so that other Python threads run and
//! Ctrl-C works.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread::Builder;
use std::time::Duration;

use coord_core::Error;
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;

use crate::error::failure;

/// How often a waiting call looks whether Python wants to interrupt it.
const SIGNAL_LOOK: Duration = Duration::from_millis(100);

/// How long a call that was interrupted waits for what it began to be undone.
/// What takes longer is undone behind its back.
const UNDO_TIME: Duration = Duration::from_secs(2);

/// Runs `wait`, which gives `None` once its second argument says no.
pub(crate) fn wait_interruptibly<T: Send>(
    py: Python<'_>,
    wait: impl FnOnce(Duration, &mut (dyn FnMut() -> bool + Send)) -> Result<Option<T>, Error> + Send,
    to_exception: impl Fn(&Error) -> PyErr,
) -> PyResult<T> {
    let mut interrupt = None;
    let outcome = py.detach(|| {
        wait(SIGNAL_LOOK, &mut || {
            Python::attach(|py| py.check_signals()).map_err(|error| interrupt = Some(error)).is_ok()
        })
    });
    match outcome {
        Ok(Some(value)) => Ok(value),
        Ok(None) => Err(interrupt.unwrap_or_else(|| PyKeyboardInterrupt::new_err(()))),
        Err(error) => Err(to_exception(&error)),
    }
}

/// Whether the caller of a work on a thread of its own was interrupted.
#[derive(Debug, Clone, Default)]
pub(crate) struct GivenUp(Arc<AtomicBool>);

impl GivenUp {
    pub(crate) fn is_so(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Runs what needs more stack than a thread of Python may have, or cannot be
/// interrupted, on a thread of its own. After an interruption `work` goes on,
/// and what it gives is dropped where it ran.
pub(crate) fn on_own_thread<T: Send + 'static>(
    py: Python<'_>,
    work: impl FnOnce(&GivenUp) -> Result<T, Error> + Send + 'static,
) -> PyResult<T> {
    let given_up = GivenUp::default();
    let told = given_up.clone();
    // Without a buffer, so that nothing is left in it for this thread to drop.
    let (sender, outcome) = sync_channel(0);
    let (running, ended) = sync_channel::<()>(0);
    Builder::new()
        .name("coord-call".to_owned())
        .spawn(move || {
            // Nobody takes it if the caller was interrupted.
            let _ = sender.send(work(&told));
            drop(running);
        })
        .map_err(|cause| {
            failure(&Error::unavailable("cannot start a thread for this call").caused_by(cause))
        })?;
    let waited = py.detach(move || {
        loop {
            match outcome.recv_timeout(SIGNAL_LOOK) {
                Ok(outcome) => return Ok(outcome),
                Err(RecvTimeoutError::Disconnected) => {
                    return Ok(Err(Error::internal("the call did not complete")));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Err(interrupt) = Python::attach(|py| py.check_signals()) {
                given_up.0.store(true, Ordering::Relaxed);
                drop(outcome);
                // Nothing is ever sent there: it ends with the thread.
                let _ = ended.recv_timeout(UNDO_TIME);
                return Err(interrupt);
            }
        }
    });
    waited?.map_err(|error| failure(&error))
}

/// Runs what may wait when Python drops an object, with the interpreter
/// released if it still is there, and on a stack that suffices.
pub(crate) fn without_interpreter(work: impl FnOnce() + Send) {
    let mut work = Some(|| {
        std::thread::scope(|scope| {
            // Without a thread, what is dropped behind this is dropped here.
            let _ = Builder::new().spawn_scoped(scope, work);
        });
    });
    Python::try_attach(|py| py.detach(|| work.take().map(|work| work())));
    if let Some(work) = work {
        work();
    }
}
