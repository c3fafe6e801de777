//! `/v1/coord/graph`: dependencies of services, and their effective state.
//!
//! Consul has no such endpoint. The graph is copied under the state's lock;
//! evaluation and printing happen afterwards.

use coord_state::StateMachine;
use coord_state::consul::{Around, GraphView};
use coord_state::event::Topic;
use coord_wire::consul::filter::{Filter, Work, shape};
use coord_wire::consul::graph::Told;
use coord_wire::consul::json;
use hyper::header::{CONTENT_TYPE, HeaderValue};

use crate::server::consul::ConsulApi;
use crate::server::consul::http::answer::Answer;
use crate::server::consul::http::blocking::told;
use crate::server::consul::http::call::Call;
use crate::server::consul::http::error_map::HttpError;
use crate::server::consul::http::fingerprint;
use crate::server::consul::http::params::Params;
use crate::server::consul::http::read_options::ReadOptions;

/// How an answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Dot,
    Mermaid,
}

impl Format {
    fn asked(params: &Params) -> Result<Self, HttpError> {
        match params.nonempty("format") {
            None | Some("json") => Ok(Self::Json),
            Some("dot") => Ok(Self::Dot),
            Some("mermaid") => Ok(Self::Mermaid),
            Some(other) => Err(HttpError::bad_request(format!(
                "Invalid format {other:?}: use json, dot or mermaid"
            ))),
        }
    }

    fn labelled(self, answer: Answer) -> Answer {
        let label = match self {
            Self::Json => return answer,
            Self::Dot => "text/vnd.graphviz; charset=utf-8",
            Self::Mermaid => "text/plain; charset=utf-8",
        };
        answer.with_header(CONTENT_TYPE, HeaderValue::from_static(label))
    }
}

impl ConsulApi {
    /// The whole graph.
    pub(crate) async fn graph(&self, call: Call) -> Result<Answer, HttpError> {
        let filter = call.filter(&shape::GRAPH)?;
        let format = Format::asked(&call.params)?;
        let pretty = call.pretty();
        let print = move |view: &GraphView, work: &Work| {
            if !allows(work, view) {
                return Vec::new();
            }
            let mut told = Told::of(view);
            keep(&mut told, &filter, work);
            match format {
                Format::Json => json::encode(&told.answer(), pretty),
                Format::Dot => told.dot().into_bytes(),
                Format::Mermaid => told.mermaid().into_bytes(),
            }
        };
        let take = |state: &StateMachine| state.consul().catalog().graph();
        let answer = self.catalog_read(&call, self.graph_topics(), graph_index, take, print).await;
        answer.map(|answer| format.labelled(answer))
    }

    /// One service, what it needs and what needs it; with `ready` once all that it
    /// requires is passing, or when the time is up.
    pub(crate) async fn graph_service(&self, call: Call) -> Result<Answer, HttpError> {
        let name = call.required_name("Missing service name")?;
        let filter = call.filter(&shape::GRAPH)?;
        let format = Format::asked(&call.params)?;
        let pretty = call.pretty();
        let mut options = self.read_options(&call)?;
        if call.params.has("ready") {
            Box::pin(self.wait_ready(&options, &name)).await?;
            options.index = 0;
        }
        let take = |state: &StateMachine| state.consul().catalog().graph_around(&name);
        let same = Some(|around: &Option<Around>| fingerprint::of(around));
        let topics = self.graph_topics();
        let (mut meta, around) =
            self.blocking_while_same(&options, topics, graph_index, take, same).await?;
        meta.consistency = Some(options.consistency());
        if around.is_none() {
            let unknown = HttpError::not_found(format!("unknown service: {name}"));
            return Ok(Answer::from(unknown).with_meta(meta));
        }
        let print = move |around: &Option<Around>, work: &Work| {
            let Some(around) = around.as_ref().filter(|around| allows(work, &around.view)) else {
                return Vec::new();
            };
            let mut told = Told::around(around);
            keep(&mut told, &filter, work);
            match format {
                Format::Json => json::encode(&told.answer_around(around.center), pretty),
                Format::Dot => told.dot().into_bytes(),
                Format::Mermaid => told.mermaid().into_bytes(),
            }
        };
        let again = || self.node.read(|state| (told(state, graph_index), take(state)));
        // Boxed: who waits for news keeps no room for what comes after.
        let (later, body) = Box::pin(self.printed(&call, around, again, print)).await?;
        meta.index = later.or(meta.index);
        Ok(format.labelled(Answer::json_bytes(body)).with_meta(meta))
    }

    /// Waits until all that a service requires is passing, or the time is up. One
    /// that is not registered yet is waited for.
    async fn wait_ready(&self, options: &ReadOptions, name: &str) -> Result<(), HttpError> {
        self.confirm(options).await?;
        let deadline = tokio::time::sleep(options.wait);
        tokio::pin!(deadline);
        loop {
            let waiter = self.node.read(|state| {
                let is_ready = state.consul().catalog().is_ready(name) == Some(true);
                let register = || self.node.topic_waiters().register(topics(state));
                (!is_ready).then(register)
            });
            let Some(mut waiter) = waiter else { return Ok(()) };
            tokio::select! {
                () = waiter.changed() => {}
                () = &mut deadline => return Ok(()),
                () = self.stopped() => return Ok(()),
            }
        }
    }

    fn graph_topics(&self) -> Vec<Topic> {
        self.node.read(topics)
    }
}

/// What tells of changes of the graph. Before anything ever depended on anything
/// it changes with the tables, and nobody counts its changes.
fn topics(state: &StateMachine) -> Vec<Topic> {
    if state.consul().catalog().has_graph_index() {
        return vec![Topic::Graph];
    }
    vec![Topic::Graph, Topic::Nodes, Topic::Services, Topic::Checks]
}

fn graph_index(state: &StateMachine) -> u64 {
    state.consul().catalog().graph_index()
}

/// Whether so much may be printed here and now.
fn allows(work: &Work, view: &GraphView) -> bool {
    (0..view.services.len() + view.needs_count()).all(|_| work.row())
}

fn keep(told: &mut Told<'_>, filter: &Filter, work: &Work) {
    if !filter.is_empty() {
        told.keep(|service| filter.admits(service, work));
    }
}
