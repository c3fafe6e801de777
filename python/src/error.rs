//! One native exception, `Failure`, that carries everything known about a
//! failed call; the Python code turns it into the class its users expect.
//!
//! Its arguments: kind, message, detail. `detail` is `(code, index)` for kind
//! `zookeeper` and `unreached`, `(status, body)` for kind `http`, else `None`.

use coord_core::client::consul::ConsulFailure;
use coord_core::client::zookeeper::{ErrorCode, zookeeper_code};
use coord_core::{Error, ErrorKind};
use coord_state::Rejection;
use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

create_exception!(libcoord, Failure, PyException, "A failed call: kind, message, detail.");

pub(crate) fn export(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("Failure", module.py().get_type::<Failure>())
}

/// The exception for an error of a member.
pub(crate) fn failure(error: &Error) -> PyErr {
    Failure::new_err((kind(error), error.chain(), None::<i32>))
}

/// The exception for an error of a Consul client.
pub(crate) fn consul_failure(error: &Error) -> PyErr {
    match ConsulFailure::of(error) {
        Some(ConsulFailure::Status { status, body }) => {
            Failure::new_err(("http", error.to_string(), (*status, body.clone())))
        }
        Some(ConsulFailure::TimedOut(_)) => {
            Failure::new_err(("timeout", error.to_string(), None::<i32>))
        }
        Some(ConsulFailure::Transport(_) | ConsulFailure::Unexpected(_)) | None => failure(error),
    }
}

/// The exception for an error of a ZooKeeper client. The detail is
/// `(code, index)`; the index is that of the operation that failed a multi.
pub(crate) fn zookeeper_failure(error: &Error) -> PyErr {
    let index = match error.kind() {
        ErrorKind::Rejected(Rejection::MultiFailed { index, .. }) => Some(*index),
        _ => None,
    };
    match zookeeper_code(error) {
        // Without a connection: nothing was sent.
        Some(code)
            if *error.kind() == ErrorKind::Unavailable
                && code == ErrorCode::ConnectionLoss.code() =>
        {
            Failure::new_err(("unreached", error.to_string(), (code, index)))
        }
        Some(code) => Failure::new_err(("zookeeper", text(error), (code, index))),
        None => failure(error),
    }
}

/// The chain, without a cause that the message already names.
fn text(error: &Error) -> String {
    let message = error.to_string();
    match std::error::Error::source(error) {
        Some(cause) if message.contains(&cause.to_string()) => message,
        _ => error.chain(),
    }
}

fn kind(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::NotLeader { .. } => "not_leader",
        ErrorKind::Unavailable | ErrorKind::ReadOnly => "unavailable",
        ErrorKind::Indeterminate => "indeterminate",
        ErrorKind::Closed => "closed",
        ErrorKind::Invalid => "invalid",
        ErrorKind::Corrupt => "corrupt",
        ErrorKind::Rejected(_) => "rejected",
        ErrorKind::Internal => "internal",
    }
}
