//! The native half of the Python modules `libcoord`, `zk` and `consul`: it
//! carries calls into coord-core with the interpreter lock released. What users
//! see, with names, types and documentation, is the Python code beside it.

mod consul_client;
mod error;
mod fork;
mod interrupt;
mod log;
mod server;
mod zk_client;

use pyo3::prelude::*;

/// `libcoord._native`.
#[pymodule(gil_used = false)]
mod _native {
    #[pymodule_export]
    use super::consul_client::ConsulClient;
    #[pymodule_export]
    use super::fork::forked;
    #[pymodule_export]
    use super::log::NativeLog;
    #[pymodule_export]
    use super::server::{NativeCluster, NativeServer};
    #[pymodule_export]
    use super::zk_client::ZkClient;

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("NO_GRAPH", coord_core::client::consul::NO_GRAPH)?;
        super::error::export(module)
    }
}
