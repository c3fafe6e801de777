//! Members inside the process.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use coord_core::Error;
use coord_core::embedded::{Addresses, Cluster, Server, ServerState};
use coord_core::settings::Settings;
use pyo3::prelude::*;

use crate::error::failure;
use crate::interrupt::{wait_interruptibly, without_interpreter};

type AddressTexts = [Option<String>; 5];

/// One member.
#[pyclass(frozen, module = "libcoord._native")]
pub(crate) struct NativeServer {
    server: Mutex<Server>,
    addresses: Addresses,
}

#[pymethods]
impl NativeServer {
    /// Starts a member with settings by name and waits until it serves.
    #[new]
    fn start(py: Python<'_>, settings: BTreeMap<String, String>, timeout: f64) -> PyResult<Self> {
        let started = py.detach(|| {
            let server = Server::start_embedded(read_settings(&settings)?)?;
            server.wait_ready(limit(timeout)?)?;
            Ok(server)
        });
        let server = started.map_err(|error: Error| failure(&error))?;
        let addresses = server.addresses();
        Ok(Self { server: Mutex::new(server), addresses })
    }

    /// Where it listens: zk, http, dns, peer, https.
    fn addresses(&self) -> AddressTexts {
        address_texts(&self.addresses)
    }

    /// How it stands: in one word, and why.
    fn status(&self, py: Python<'_>) -> (&'static str, String) {
        let status = py.detach(|| lock(&self.server).status());
        (word_of(status.state), status.reason)
    }

    /// Waits until it failed, and says why; None after so many seconds.
    fn wait_failed(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<String>> {
        let limit = timeout.map(limit).transpose().map_err(|error| failure(&error))?;
        let watch = py.detach(|| lock(&self.server).failure_watch());
        let wait = |look: Duration, go_on: &mut (dyn FnMut() -> bool + Send)| {
            let mut left = limit;
            loop {
                let now = left.map_or(look, |left| left.min(look));
                if let Some(why) = watch.wait(now)? {
                    return Ok(Some(Some(why)));
                }
                left = left.map(|left| left.saturating_sub(now));
                if left.is_some_and(|left| left.is_zero()) {
                    return Ok(Some(None));
                }
                if !go_on() {
                    return Ok(None);
                }
            }
        };
        wait_interruptibly(py, wait, failure)
    }

    /// Stops it; twice is fine.
    fn stop(&self, py: Python<'_>) {
        py.detach(|| lock(&self.server).stop());
    }
}

fn word_of(state: ServerState) -> &'static str {
    match state {
        ServerState::Serving => "serving",
        ServerState::Waiting => "waiting",
        ServerState::RefusingWrites => "refusing writes",
        ServerState::Stalled => "stalled",
        ServerState::Failed => "failed",
        ServerState::Stopped => "stopped",
    }
}

/// Several members.
#[pyclass(frozen, module = "libcoord._native")]
pub(crate) struct NativeCluster {
    cluster: Mutex<Cluster>,
    addresses: Vec<Addresses>,
}

#[pymethods]
impl NativeCluster {
    /// Starts `size` members and waits until all serve.
    #[new]
    fn start(
        py: Python<'_>,
        size: u64,
        settings: BTreeMap<String, String>,
        timeout: f64,
    ) -> PyResult<Self> {
        let started =
            py.detach(|| Cluster::start(size, &read_settings(&settings)?, limit(timeout)?));
        let cluster = started.map_err(|error| failure(&error))?;
        let addresses = cluster.servers().iter().map(Server::addresses).collect();
        Ok(Self { cluster: Mutex::new(cluster), addresses })
    }

    /// Where each member listens.
    fn addresses(&self) -> Vec<AddressTexts> {
        self.addresses.iter().map(address_texts).collect()
    }

    /// The position of the member that leads, if one does.
    fn leader(&self, py: Python<'_>) -> Option<usize> {
        py.detach(|| {
            let cluster = lock(&self.cluster);
            let leader = cluster
                .servers()
                .iter()
                .filter_map(|server| server.node().ok())
                .find_map(|node| node.status().leader)?;
            usize::try_from(leader.0).ok()?.checked_sub(1)
        })
    }

    /// Stops one member, by position.
    fn stop_member(&self, py: Python<'_>, position: usize) -> PyResult<()> {
        py.detach(|| lock(&self.cluster).stop_member(position)).map_err(|error| failure(&error))
    }

    /// Stops all; twice is fine.
    fn stop(&self, py: Python<'_>) {
        py.detach(|| lock(&self.cluster).stop());
    }
}

impl Drop for NativeServer {
    fn drop(&mut self) {
        without_interpreter(|| lock(&self.server).stop());
    }
}

impl Drop for NativeCluster {
    fn drop(&mut self) {
        without_interpreter(|| lock(&self.cluster).stop());
    }
}

fn read_settings(given: &BTreeMap<String, String>) -> Result<Settings, Error> {
    let mut settings = Settings::embedded();
    given.iter().try_for_each(|(key, value)| settings.set(key, value))?;
    Ok(settings)
}

fn limit(seconds: f64) -> Result<Duration, Error> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| Error::invalid(format!("timeout is {seconds}, which is no number of seconds")))
}

fn address_texts(addresses: &Addresses) -> AddressTexts {
    let text = |address: Option<SocketAddr>| address.map(|address| address.to_string());
    let Addresses { zk, http, dns, peer, https, .. } = *addresses;
    [zk, http, dns, peer, https].map(text)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
