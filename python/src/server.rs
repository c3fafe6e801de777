//! Members inside the process.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use coord_core::Error;
use coord_core::embedded::{Addresses, Cluster, Server, ServerState};
use coord_core::settings::Settings;
use pyo3::prelude::*;

use crate::error::failure;
use crate::fork::Here;
use crate::interrupt::{on_own_thread, wait_interruptibly, without_interpreter};
use crate::log::NativeLog;

type AddressTexts = [Option<String>; 5];

/// One member.
#[pyclass(frozen, module = "libcoord._native")]
pub(crate) struct NativeServer {
    member: Here<Arc<Member>>,
}

struct Member {
    server: Mutex<Server>,
    addresses: Addresses,
}

#[pymethods]
impl NativeServer {
    /// Starts a member with settings by name and waits until it serves.
    #[new]
    fn start(
        py: Python<'_>,
        settings: BTreeMap<String, String>,
        timeout: f64,
        log: &NativeLog,
    ) -> PyResult<Self> {
        let log = log.share()?;
        let member = on_own_thread(py, move |given_up| {
            let limit = limit(timeout)?;
            let server = Server::start_logged(read_settings(&settings)?, Some(&log))?;
            server.wait_ready_while(limit, &mut || !given_up.is_so())?;
            let addresses = server.addresses();
            Ok(Arc::new(Member { server: Mutex::new(server), addresses }))
        })?;
        Ok(Self { member: Here::new(member) })
    }

    /// Fails in a forked child.
    fn require_here(&self) -> PyResult<()> {
        self.member.get().map(|_| ())
    }

    /// Where it listens: zk, http, dns, peer, https.
    fn addresses(&self) -> PyResult<AddressTexts> {
        Ok(address_texts(&self.member.get()?.addresses))
    }

    /// How it stands: in one word, and why.
    fn status(&self, py: Python<'_>) -> PyResult<(&'static str, String)> {
        let member = self.member.get()?;
        let status = py.detach(|| lock(&member.server).status());
        Ok((word_of(status.state), status.reason))
    }

    /// Waits until it failed, and says why; None after so many seconds.
    fn wait_failed(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<String>> {
        let limit = timeout.map(limit).transpose().map_err(|error| failure(&error))?;
        let member = self.member.get()?;
        let watch = py.detach(|| lock(&member.server).failure_watch());
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

    /// Stops it; twice is fine, and waits for the first, too.
    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        let member = Arc::clone(self.member.get()?);
        on_own_thread(py, move |_| {
            lock(&member.server).stop();
            Ok(())
        })
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
    members: Here<Arc<Members>>,
}

struct Members {
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
        log: &NativeLog,
    ) -> PyResult<Self> {
        let log = log.share()?;
        let members = on_own_thread(py, move |given_up| {
            let (limit, settings) = (limit(timeout)?, read_settings(&settings)?);
            let mut go_on = || !given_up.is_so();
            let started = Cluster::start_while(size, &settings, limit, Some(&log), &mut go_on)?;
            let cluster = started.ok_or_else(|| Error::closed("the start was interrupted"))?;
            let addresses = cluster.servers().iter().map(Server::addresses).collect();
            Ok(Arc::new(Members { cluster: Mutex::new(cluster), addresses }))
        })?;
        Ok(Self { members: Here::new(members) })
    }

    /// Fails in a forked child.
    fn require_here(&self) -> PyResult<()> {
        self.members.get().map(|_| ())
    }

    /// Where each member listens.
    fn addresses(&self) -> PyResult<Vec<AddressTexts>> {
        Ok(self.members.get()?.addresses.iter().map(address_texts).collect())
    }

    /// The position of the member that leads, if one does.
    fn leader(&self, py: Python<'_>) -> PyResult<Option<usize>> {
        let members = self.members.get()?;
        Ok(py.detach(|| {
            let cluster = lock(&members.cluster);
            let leader = cluster
                .servers()
                .iter()
                .filter_map(|server| server.node().ok())
                .find_map(|node| node.status().leader)?;
            usize::try_from(leader.0).ok()?.checked_sub(1)
        }))
    }

    /// Stops one member, by position.
    fn stop_member(&self, py: Python<'_>, position: usize) -> PyResult<()> {
        let members = Arc::clone(self.members.get()?);
        on_own_thread(py, move |_| lock(&members.cluster).stop_member(position))
    }

    /// Stops all; twice is fine, and waits for the first, too.
    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        let members = Arc::clone(self.members.get()?);
        on_own_thread(py, move |_| {
            lock(&members.cluster).stop();
            Ok(())
        })
    }
}

impl Drop for NativeServer {
    fn drop(&mut self) {
        if let Ok(member) = self.member.get() {
            without_interpreter(|| lock(&member.server).stop());
        }
    }
}

impl Drop for NativeCluster {
    fn drop(&mut self) {
        if let Ok(members) = self.members.get() {
            without_interpreter(|| lock(&members.cluster).stop());
        }
    }
}

fn read_settings(given: &BTreeMap<String, String>) -> Result<Settings, Error> {
    let mut settings = Settings::embedded();
    given.iter().try_for_each(|(key, value)| settings.set(key, value))?;
    Ok(settings)
}

fn limit(seconds: f64) -> Result<Duration, Error> {
    Duration::try_from_secs_f64(seconds).map_err(|_| {
        Error::invalid(format!("timeout is {seconds}, which is not a number of seconds"))
    })
}

fn address_texts(addresses: &Addresses) -> AddressTexts {
    let text = |address: Option<SocketAddr>| address.map(|address| address.to_string());
    let Addresses { zk, http, dns, peer, https, .. } = *addresses;
    [zk, http, dns, peer, https].map(text)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
