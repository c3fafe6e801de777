//! Waiting with the interpreter released, so that other Python threads run and
//! Ctrl-C works.

use std::time::Duration;

use coord_core::Error;
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;

/// How often a waiting call looks whether Python wants to interrupt it.
const SIGNAL_LOOK: Duration = Duration::from_millis(100);

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

/// Runs what may wait when Python drops an object, with the interpreter
/// released if it still is there.
pub(crate) fn without_interpreter(work: impl FnOnce() + Send) {
    let mut work = Some(work);
    Python::try_attach(|py| py.detach(|| work.take().map(|work| work())));
    if let Some(work) = work {
        work();
    }
}
