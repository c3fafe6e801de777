//! What members log, for Python's `logging`.

use std::time::Duration;

use coord_core::embedded::{LogLevel, MemberLog};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::error::failure;
use crate::fork::Here;

const LEVELS: [LogLevel; 5] =
    [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace];

/// Level, target, message, milliseconds since 1970.
type Fields = (usize, String, String, u64);

/// The log of the members that were started with it.
#[pyclass(frozen, module = "libcoord._native")]
pub(crate) struct NativeLog {
    log: Here<MemberLog>,
}

#[pymethods]
impl NativeLog {
    /// Takes what is of `level`, from 1 for errors to 5 for everything, and worse.
    #[new]
    fn new(level: usize) -> PyResult<Self> {
        Ok(Self { log: Here::new(MemberLog::new(read_level(level)?)) })
    }

    fn set_level(&self, level: usize) -> PyResult<()> {
        let log = self.log.get()?;
        log.set_level(read_level(level)?);
        Ok(())
    }

    /// The next record, or `None` if there is none in time.
    fn next(&self, py: Python<'_>, limit: f64) -> PyResult<Option<Fields>> {
        let log = self.log.get()?;
        let limit = Duration::try_from_secs_f64(limit)
            .map_err(|_| PyValueError::new_err(format!("{limit} is not a number of seconds")))?;
        let record = py.detach(|| log.wait(limit)).map_err(|error| failure(&error))?;
        Ok(record.map(|record| {
            let level = LEVELS.iter().position(|level| *level == record.level).unwrap_or_default();
            (level + 1, record.target, record.message, record.unix_ms)
        }))
    }

    /// Ends whoever waits for it, once everything was taken.
    fn close(&self) -> PyResult<()> {
        self.log.get()?.close();
        Ok(())
    }
}

impl NativeLog {
    /// Another hand on the same, for a member.
    pub(crate) fn share(&self) -> PyResult<MemberLog> {
        self.log.get().cloned()
    }
}

fn read_level(level: usize) -> PyResult<LogLevel> {
    let known = level.checked_sub(1).and_then(|at| LEVELS.get(at)).copied();
    known.ok_or_else(|| PyValueError::new_err(format!("{level} is not a log level")))
}
