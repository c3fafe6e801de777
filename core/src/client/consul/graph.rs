//! The service graph: dependencies, effective state and start order. The
//! original Consul has none.

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::Method;
use serde_json::Value;
use tokio::time::Instant;

use super::Client;
use super::client::missing;
use super::options::ReadOptions;
use super::request::{Answer, Request, Response};
use crate::Error;
use crate::client::time::Ticks;

/// Maximum wait of one request; Consul's servers wait for at most ten minutes.
const WAIT_MAX: Duration = Duration::from_secs(300);

/// A wait of zero means the server's default wait.
const WAIT_MIN: Duration = Duration::from_millis(1);

/// Pause between two requests.
const PAUSE: Duration = Duration::from_millis(200);

/// Text formats of the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GraphFormat {
    /// For Graphviz.
    Dot,
    /// For Mermaid, in documents and wikis.
    Mermaid,
}

/// Whether a service can start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// All its requirements are passing.
    Ready,
    /// Not within the timeout, and why not.
    Waiting(String),
}

impl Client {
    /// All services with dependencies, state and its causes; the waves in which
    /// to start them; dependencies that are not registered.
    ///
    /// # Errors
    /// `Invalid` if the server has no graph: it is the original Consul, or
    /// older.
    pub async fn graph(&self, options: &ReadOptions) -> Result<Answer, Error> {
        let response = self.ask_graph(None, Request::new(Method::GET, PATH), options).await?;
        Ok(Answer { index: response.index(), body: response.json()? })
    }

    /// One service with all direct and indirect dependencies and dependents;
    /// `None` if it is unknown.
    ///
    /// # Errors
    /// As [`Self::graph`].
    pub async fn graph_of(
        &self,
        name: &str,
        options: &ReadOptions,
    ) -> Result<Answer<Option<Value>>, Error> {
        let request = Request::new(Method::GET, path_of(name)?);
        let response = self.ask_graph(Some(name), request, options).await?;
        let body = if response.status == 404 { None } else { Some(response.json()?) };
        Ok(Answer { index: response.index(), body })
    }

    /// The graph, or the part around one service, in a text format for drawing.
    ///
    /// # Errors
    /// As [`Self::graph`]; `Invalid` also if the service is unknown.
    pub async fn graph_drawn(
        &self,
        name: Option<&str>,
        format: GraphFormat,
        options: &ReadOptions,
    ) -> Result<String, Error> {
        let path = name.map_or_else(|| Ok(PATH.to_owned()), path_of)?;
        let format = match format {
            GraphFormat::Dot => "dot",
            GraphFormat::Mermaid => "mermaid",
        };
        let request = Request::new(Method::GET, path).param("format", format);
        let response = self.ask_graph(name, request, options).await?;
        match response.status {
            404 => Err(response.failure().into_error(false)),
            _ => Ok(response.text()),
        }
    }

    /// Waits until all requirements of a service are passing, for at most
    /// `limit` or forever. The service itself only has to be registered.
    ///
    /// Once the server has responded, temporary failures, such as a change of
    /// leader, do not end the wait. Dropping the future ends it.
    ///
    /// # Errors
    /// As [`Self::graph`], and those of any call.
    pub async fn wait_ready(
        &self,
        name: &str,
        limit: Option<Duration>,
        token: Option<&str>,
    ) -> Result<Readiness, Error> {
        let end = limit.and_then(|limit| Instant::now().checked_add(limit));
        let left = || end.map(|end| end.saturating_duration_since(Instant::now()));
        let is_over = || left().is_some_and(|left| left.is_zero());
        let mut heard = false;
        loop {
            let wait = left().map_or(WAIT_MAX, |left| left.clamp(WAIT_MIN, WAIT_MAX));
            match self.ask_ready(name, wait, token).await {
                Ok(Readiness::Ready) => return Ok(Readiness::Ready),
                Ok(waiting) if is_over() => return Ok(waiting),
                Ok(Readiness::Waiting(_)) => heard = true,
                Err(error) if !heard || !error.is_retryable() || is_over() => return Err(error),
                Err(_) => {}
            }
            // A server that does not block must not be polled continuously.
            let pause = left().map_or(PAUSE, |left| left.min(PAUSE));
            Ticks::every(pause).next().await;
        }
    }

    async fn ask_ready(
        &self,
        name: &str,
        wait: Duration,
        token: Option<&str>,
    ) -> Result<Readiness, Error> {
        let options = ReadOptions {
            wait: Some(wait),
            token: token.map(str::to_owned),
            ..ReadOptions::default()
        };
        let request = Request::new(Method::GET, path_of(name)?).flag("ready", true);
        let settings = self.settings();
        // The server may wait slightly longer than requested.
        let answered = settings.read_timeout.saturating_add(wait).saturating_add(wait / 16);
        let request = options
            .put_on(request, settings.datacenter.as_deref(), settings.consistency)
            .read_timeout(Some(answered));
        let response = judged(Some(name), self.request(request).await?)?;
        if response.status == 404 {
            return Ok(Readiness::Waiting(format!("no service {name:?} is registered")));
        }
        readiness(name, &response.json()?)
    }

    /// The names, sorted so that each comes after all its direct and indirect
    /// dependencies; all registered services if no name is given. Dependencies
    /// that are not registered come first.
    ///
    /// # Errors
    /// As [`Self::graph`]; `Invalid` for an unknown name.
    pub async fn start_order(
        &self,
        names: Option<&[String]>,
        options: &ReadOptions,
    ) -> Result<Vec<String>, Error> {
        start_order(&self.graph(options).await?.body, names)
    }

    async fn ask_graph(
        &self,
        name: Option<&str>,
        request: Request,
        options: &ReadOptions,
    ) -> Result<Response, Error> {
        judged(name, self.read_any(request, options).await?)
    }
}

/// Accepts 2xx, and 404 if it concerns the requested name.
fn judged(name: Option<&str>, response: Response) -> Result<Response, Error> {
    match response.status {
        200..=299 => Ok(response),
        // A server with a graph sends an index even with a 404.
        404 if name.is_some() && response.index().is_some() => Ok(response),
        404 => Err(Error::invalid(NO_GRAPH)),
        _ => Err(response.failure().into_error(false)),
    }
}

const PATH: &str = "/v1/coord/graph";

/// The error if a server has no graph.
pub const NO_GRAPH: &str = "this server has no service graph (/v1/coord/graph): connect to a \
    libcoord member instead of a Consul agent";

fn path_of(name: &str) -> Result<String, Error> {
    if name.is_empty() {
        return Err(Error::invalid("the service name is missing"));
    }
    Ok(format!("{PATH}/{name}"))
}

fn start_order(graph: &Value, names: Option<&[String]>) -> Result<Vec<String>, Error> {
    let waves = graph["Waves"].as_array().ok_or_else(|| missing("Waves"))?;
    let in_waves = || waves.iter().flat_map(texts);
    let Some(names) = names else { return Ok(in_waves().map(str::to_owned).collect()) };
    // Missing services come before their dependents.
    let places: BTreeMap<String, usize> = texts(&graph["Missing"])
        .chain(in_waves())
        .enumerate()
        .map(|(place, name)| (name.to_lowercase(), place))
        .collect();
    let mut ordered = BTreeMap::new();
    for name in names {
        let place = places.get(&name.to_lowercase()).ok_or_else(|| {
            Error::invalid(format!(
                "no service {name:?} is registered or depends on it, so that its place is not \
                 known: register it, or leave it out"
            ))
        })?;
        ordered.insert(*place, name.clone());
    }
    Ok(ordered.into_values().collect())
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// Interprets a response to `?ready`.
fn readiness(name: &str, body: &Value) -> Result<Readiness, Error> {
    let ready = body["Ready"].as_bool().ok_or_else(|| missing("Ready"))?;
    if ready {
        return Ok(Readiness::Ready);
    }
    let required = body["Needs"].as_array().into_iter().flatten();
    let required = required.filter(|need| need["Optional"] != true);
    let waited_for: Vec<String> = required
        .filter(|need| need["Status"] != "passing")
        .filter_map(|need| {
            let is = need["Status"].as_str().filter(|status| *status != "missing");
            Some(format!("{} is {}", need["Name"].as_str()?, is.unwrap_or("not registered")))
        })
        .collect();
    Ok(Readiness::Waiting(match waited_for.is_empty() {
        true => format!("no service {name:?} is registered"),
        false => format!("{name:?} is not ready: {}", waited_for.join(", ")),
    }))
}
