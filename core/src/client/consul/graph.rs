//! The graph of services: what each needs, who suffers from whom, in which
//! order to start them. A genuine Consul keeps none.

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

/// How long one question waits; Consul's servers wait for ten minutes at most.
const WAIT_MAX: Duration = Duration::from_secs(300);

/// To wait for no time is to wait for as long as the server likes.
const WAIT_MIN: Duration = Duration::from_millis(1);

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(200);

/// How the graph is drawn as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GraphFormat {
    /// For Graphviz.
    Dot,
    /// For Mermaid, which documents and wikis show.
    Mermaid,
}

/// Whether a service can start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// All it requires is passing.
    Ready,
    /// Not within the time given; why not, for people.
    Waiting(String),
}

impl Client {
    /// All services: what each depends on, how it is, and because of whom;
    /// in which waves to start them; what is needed and not registered.
    ///
    /// # Errors
    /// `Invalid` if the server keeps no graph: it is a genuine Consul, or older.
    pub async fn graph(&self, options: &ReadOptions) -> Result<Answer, Error> {
        let response = self.ask_graph(None, Request::new(Method::GET, PATH), options).await?;
        Ok(Answer { index: response.index(), body: response.json()? })
    }

    /// One service with all that it needs and all that needs it, however far;
    /// `None` if nobody has heard of it.
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

    /// The graph, or what is around one service, as text to be drawn.
    ///
    /// # Errors
    /// As [`Self::graph`]; `Invalid` also if nobody has heard of the service.
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

    /// Waits until all that a service requires is passing, for `limit` at most
    /// or without end. The service itself counts as soon as it is registered.
    ///
    /// Once the server has answered, a failure that may pass, such as a change
    /// of the leader, does not end the wait. Dropping the future ends it.
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
            // Whoever does not wait when asked to is not asked all the time.
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
        // The server waits for as long as it was asked to, and a little more.
        let answered = settings.read_timeout.saturating_add(wait).saturating_add(wait / 16);
        let request = options
            .put_on(request, settings.datacenter.as_deref(), settings.consistency)
            .read_timeout(Some(answered));
        let response = judged(Some(name), self.request(request).await?)?;
        if response.status == 404 {
            return Ok(Readiness::Waiting(format!("nobody has registered {name:?}")));
        }
        readiness(name, &response.json()?)
    }

    /// The names, so that each comes behind everything it needs, in whatever
    /// way; all registered services if no name is given. What is needed and not
    /// registered comes first.
    ///
    /// # Errors
    /// As [`Self::graph`]; `Invalid` for a name that nobody has heard of.
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

/// An answer of 2xx, or of 404 if it is about the name that was asked for.
fn judged(name: Option<&str>, response: Response) -> Result<Response, Error> {
    match response.status {
        200..=299 => Ok(response),
        // Whoever keeps a graph tells with this, too, where to wait for a change.
        404 if name.is_some() && response.index().is_some() => Ok(response),
        404 => Err(Error::invalid(NO_GRAPH)),
        _ => Err(response.failure().into_error(false)),
    }
}

const PATH: &str = "/v1/coord/graph";

/// What is told where a server keeps no graph.
pub const NO_GRAPH: &str = "the server keeps no graph of services (it has no /v1/coord/graph): \
                        ask a member of libcoord; a genuine Consul has none";

fn path_of(name: &str) -> Result<String, Error> {
    if name.is_empty() {
        return Err(Error::invalid("the name of a service is missing"));
    }
    Ok(format!("{PATH}/{name}"))
}

fn start_order(graph: &Value, names: Option<&[String]>) -> Result<Vec<String>, Error> {
    let waves = graph["Waves"].as_array().ok_or_else(|| missing("Waves"))?;
    let in_waves = || waves.iter().flat_map(texts);
    let Some(names) = names else { return Ok(in_waves().map(str::to_owned).collect()) };
    // What is missing belongs before whatever needs it.
    let places: BTreeMap<String, usize> = texts(&graph["Missing"])
        .chain(in_waves())
        .enumerate()
        .map(|(place, name)| (name.to_lowercase(), place))
        .collect();
    let mut ordered = BTreeMap::new();
    for name in names {
        let place = places.get(&name.to_lowercase()).ok_or_else(|| {
            Error::invalid(format!(
                "nobody has registered {name:?} or depends on it, so that its place is not known: \
                 register it, or leave it out"
            ))
        })?;
        ordered.insert(*place, name.clone());
    }
    Ok(ordered.into_values().collect())
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// What an answer to `?ready` says.
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
        true => format!("nobody has registered {name:?}"),
        false => format!("{name:?} is not ready: {}", waited_for.join(", ")),
    }))
}
