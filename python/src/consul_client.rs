//! The Consul client.

use std::sync::Arc;
use std::time::Duration;

use coord_core::Error;
use coord_core::client::consul::registration::{GivenId, RegistrationRules};
use coord_core::client::consul::{
    Method, ReadOptions, Readiness, Request, Response, Settings, blocking,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::error::consul_failure;
use crate::fork::Here;
use crate::interrupt::{on_own_thread, wait_interruptibly, without_interpreter};

/// Status, headers, body.
type Answer = (u16, Vec<(String, String)>, Py<PyBytes>);
/// Id, address, port.
type Registration = (Option<String>, Option<String>, Option<u16>);

/// A client with one thread of its own.
#[pyclass(frozen, module = "libcoord._native")]
pub(crate) struct ConsulClient {
    agent: Here<Agent>,
}

/// Shared with a thread that closes it.
#[derive(Clone)]
struct Agent {
    client: Arc<blocking::Client>,
    rules: Arc<RegistrationRules>,
}

#[pymethods]
impl ConsulClient {
    #[new]
    #[pyo3(signature = (address, token, strict, https, options))]
    fn new(
        address: Option<String>,
        token: Option<String>,
        strict: Option<bool>,
        https: Option<bool>,
        options: Vec<(String, String)>,
    ) -> PyResult<Self> {
        let mut settings = Settings::from_environment();
        if let Some(address) = address {
            settings.address = address;
        }
        settings.token = settings.token.or(token);
        // Files for TLS may be named although it is not spoken.
        let https = https.unwrap_or(settings.https);
        for (name, value) in options {
            settings.set(&name, &value).map_err(|error| consul_failure(&error))?;
        }
        settings.https = https;
        let rules = strict.map_or_else(RegistrationRules::from_environment, RegistrationRules::new);
        let client = blocking::Client::new(settings).map_err(|error| consul_failure(&error))?;
        Ok(Self { agent: Here::new(Agent { client: Arc::new(client), rules: Arc::new(rules) }) })
    }

    /// Fails in a forked child.
    fn require_here(&self) -> PyResult<()> {
        self.agent.get().map(|_| ())
    }

    /// Whether it speaks TLS.
    #[getter]
    fn is_secured(&self) -> PyResult<bool> {
        Ok(self.agent.get()?.client.inner().is_secured())
    }

    /// One request, any answer: status, headers (lower-case names), body.
    #[expect(clippy::too_many_arguments, reason = "Python code passes them by place")]
    #[pyo3(signature = (method, path, params, body, token, read_timeout))]
    fn request(
        &self,
        py: Python<'_>,
        method: &str,
        path: &str,
        params: Vec<(String, Option<String>)>,
        body: Option<Vec<u8>>,
        token: Option<String>,
        read_timeout: Option<f64>,
    ) -> PyResult<Answer> {
        let agent = self.agent.get()?;
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| PyValueError::new_err(format!("{method} is not an HTTP method")))?;
        let mut request = Request::new(method, path).token(token.as_deref());
        for (name, value) in params {
            request = match value {
                Some(value) => request.param(name, value),
                None => request.flag(&name, true),
            };
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        if let Some(seconds) = read_timeout {
            let time = Duration::try_from_secs_f64(seconds)
                .map_err(|_| PyValueError::new_err("the timeout is not a number of seconds"))?;
            request = request.read_timeout(Some(time));
        }
        let response = agent.wait(py, agent.client.inner().request(request))?;
        let Response { status, headers, body } = response;
        Ok((status, headers, PyBytes::new(py, &body).unbind()))
    }

    /// What registering these arguments means: id, address, port.
    #[pyo3(signature = (name, positional_id, keyword_id, address, port))]
    fn resolve_registration(
        &self,
        name: &str,
        positional_id: Option<&str>,
        keyword_id: Option<&str>,
        address: Option<&str>,
        port: Option<u16>,
    ) -> PyResult<Registration> {
        let rules = &self.agent.get()?.rules;
        let id = given_id(positional_id, keyword_id);
        let resolved =
            rules.resolve(name, id, address, port).map_err(|error| consul_failure(&error))?;
        Ok((resolved.id, resolved.address, resolved.port))
    }

    /// Remembers a registration that the agent has accepted, by the id,
    /// address and port that were sent.
    #[pyo3(signature = (name, id, address, port))]
    fn registered(
        &self,
        name: &str,
        id: Option<&str>,
        address: Option<&str>,
        port: Option<u16>,
    ) -> PyResult<()> {
        // An id given by name stays as it is, so this resolves to itself.
        let rules = &self.agent.get()?.rules;
        let resolved = rules
            .resolve(name, given_id(None, id), address, port)
            .map_err(|error| consul_failure(&error))?;
        rules.registered(name, &resolved);
        Ok(())
    }

    /// Deregisters by id or, unless strict, by an unambiguous name.
    #[pyo3(signature = (id_or_name, token))]
    fn deregister_service(
        &self,
        py: Python<'_>,
        id_or_name: &str,
        token: Option<&str>,
    ) -> PyResult<bool> {
        let agent = self.agent.get()?;
        let client = agent.client.inner();
        agent.wait(py, client.deregister_service(&agent.rules, id_or_name, token))
    }

    /// Waits until all that a service requires is passing; why it is not, if
    /// that takes longer than `timeout` seconds.
    #[pyo3(signature = (name, timeout, token))]
    fn wait_ready(
        &self,
        py: Python<'_>,
        name: &str,
        timeout: Option<f64>,
        token: Option<&str>,
    ) -> PyResult<Option<String>> {
        let agent = self.agent.get()?;
        let limit = timeout.map(|seconds| {
            Duration::try_from_secs_f64(seconds)
                .map_err(|_| PyValueError::new_err("the timeout is not a number of seconds"))
        });
        let waited = agent.client.inner().wait_ready(name, limit.transpose()?, token);
        Ok(match agent.wait(py, waited)? {
            Readiness::Ready => None,
            Readiness::Waiting(why) => Some(why),
        })
    }

    /// The names, each behind everything it needs; all services without them.
    #[pyo3(signature = (names, token))]
    fn start_order(
        &self,
        py: Python<'_>,
        names: Option<Vec<String>>,
        token: Option<String>,
    ) -> PyResult<Vec<String>> {
        let agent = self.agent.get()?;
        let options = ReadOptions { token, ..ReadOptions::default() };
        agent.wait(py, agent.client.inner().start_order(names.as_deref(), &options))
    }

    /// Ends calls in progress and joins the thread; twice is fine.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let client = Arc::clone(&self.agent.get()?.client);
        on_own_thread(py, move |_| client.close())
    }
}

impl Agent {
    fn wait<T: Send>(
        &self,
        py: Python<'_>,
        work: impl Future<Output = Result<T, Error>> + Send,
    ) -> PyResult<T> {
        wait_interruptibly(
            py,
            |look, go_on| self.client.call_while(work, look, go_on),
            consul_failure,
        )
    }
}

impl Drop for ConsulClient {
    fn drop(&mut self) {
        if let Ok(agent) = self.agent.get() {
            without_interpreter(|| drop(agent.client.close()));
        }
    }
}

fn given_id<'a>(positional: Option<&'a str>, keyword: Option<&'a str>) -> GivenId<'a> {
    match (positional, keyword) {
        (Some(id), _) => GivenId::Positional(id),
        (None, Some(id)) => GivenId::Keyword(id),
        (None, None) => GivenId::Absent,
    }
}
