//! What is known of an endpoint before its handler runs: the columns of `route_table`.

use std::pin::Pin;
use std::sync::Arc;

use hyper::Method;

use super::ConsulApi;
use super::http::answer::Answer;
use super::http::call::Call;
use super::http::error_map::HttpError;
use super::http::params::Params;

pub(super) const GET: &str = "GET";
pub(super) const PUT: &str = "PUT";
pub(super) const POST: &str = "POST";
pub(super) const DELETE: &str = "DELETE";

/// What a handler's answer comes from. On the heap: a connection that waits
/// needs as much room as its own handler, not as the largest of all.
pub(super) type Handling<'a> = Pin<Box<dyn Future<Output = Result<Answer, HttpError>> + Send + 'a>>;

/// Answers requests of one row.
pub(super) type Handler = for<'a> fn(&'a Arc<ConsulApi>, Call) -> Handling<'a>;

/// What a token is asked for, in the words of Consul's rules: a resource, and what is done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Permission {
    AclRead,
    AclWrite,
    AgentRead,
    AgentWrite,
    EventRead,
    EventWrite,
    IntentionsRead,
    IntentionsWrite,
    KeyRead,
    KeyWrite,
    KeyringRead,
    KeyringWrite,
    NodeRead,
    NodeWrite,
    OperatorRead,
    OperatorWrite,
    PeeringRead,
    QueryRead,
    QueryWrite,
    ServiceRead,
    ServiceWrite,
    SessionRead,
    SessionWrite,
}

/// One endpoint.
#[derive(Debug)]
pub(super) struct Route {
    /// A whole path, or with a slash at its end everything below it.
    pub(super) path: &'static str,
    /// As registered: also the order in which `Allow` lists them.
    pub(super) methods: &'static [&'static str],
    /// What `GET` needs, and what the other methods do. Which of several, and of which name,
    /// only the handler can tell.
    reads: &'static [Permission],
    writes: &'static [Permission],
    pub(super) handler: Handler,
    /// The parameter that makes a `GET` a blocking query.
    blocks_on: Option<&'static str>,
    /// Whether Consul's agent caches it where `?cached` allows.
    pub(super) is_cacheable: bool,
    /// Whether another member may answer in place of this one, because what is asked for is the
    /// datacenter's and not the member's own.
    is_forwarded: bool,
    /// What it answers about a peer, of which there is none; `None` if it does not look at the
    /// parameter.
    pub(super) of_a_peer: Option<&'static str>,
    /// Whether it is answered while the member serves nobody: it shows nothing of the state.
    pub(super) while_withdrawn: bool,
    /// Whether it is there only where the page in the browser is on.
    pub(super) with_ui: bool,
}

/// A row with one method.
pub(super) const fn get(
    path: &'static str,
    needs: &'static [Permission],
    handler: Handler,
) -> Route {
    row(path, &[GET], needs, &[], handler)
}

/// The same for a change.
pub(super) const fn put(
    path: &'static str,
    needs: &'static [Permission],
    handler: Handler,
) -> Route {
    row(path, &[PUT], &[], needs, handler)
}

/// A row of which nothing is true but what is given.
pub(super) const fn row(
    path: &'static str,
    methods: &'static [&'static str],
    reads: &'static [Permission],
    writes: &'static [Permission],
    handler: Handler,
) -> Route {
    Route {
        path,
        methods,
        reads,
        writes,
        handler,
        blocks_on: None,
        is_cacheable: false,
        is_forwarded: false,
        of_a_peer: None,
        while_withdrawn: false,
        with_ui: false,
    }
}

/// An answer that nobody waits for.
pub(super) fn at_once<'a>(answer: Result<Answer, HttpError>) -> Handling<'a> {
    Box::pin(std::future::ready(answer))
}

impl Route {
    pub(super) const fn blocks(self) -> Self {
        self.blocks_on("index")
    }

    pub(super) const fn blocks_on(mut self, parameter: &'static str) -> Self {
        self.blocks_on = Some(parameter);
        self
    }

    pub(super) const fn cacheable(mut self) -> Self {
        self.is_cacheable = true;
        self
    }

    pub(super) const fn forwarded(mut self) -> Self {
        self.is_forwarded = true;
        self
    }

    pub(super) const fn of_a_peer(mut self, json: &'static str) -> Self {
        self.of_a_peer = Some(json);
        self
    }

    pub(super) const fn while_withdrawn(mut self) -> Self {
        self.while_withdrawn = true;
        self
    }

    pub(super) const fn with_ui(mut self) -> Self {
        self.with_ui = true;
        self
    }
}

impl Route {
    /// What follows this row's path in another one; `None` if the row is not meant by it.
    pub(super) fn tail<'p>(&self, path: &'p [u8]) -> Option<&'p [u8]> {
        let tail = path.strip_prefix(self.path.as_bytes())?;
        let is_folder = self.path.ends_with('/') && self.path != "/";
        (is_folder || tail.is_empty()).then_some(tail)
    }

    /// As the `Allow` header tells them.
    pub(super) fn allow(&self) -> String {
        format!("OPTIONS,{}", self.methods.join(","))
    }

    /// Whether this request may wait for a change.
    pub(super) fn may_wait(&self, method: &Method, params: &Params) -> bool {
        method == Method::GET && self.blocks_on.is_some_and(|parameter| params.has(parameter))
    }

    /// What a token needs for it.
    #[cfg_attr(not(test), expect(dead_code, reason = "there are no access rules yet"))]
    pub(super) fn needs(&self, method: &str) -> &'static [Permission] {
        if method == GET { self.reads } else { self.writes }
    }

    /// Whether another member may answer it.
    #[cfg_attr(not(test), expect(dead_code, reason = "nothing is forwarded yet"))]
    pub(super) fn is_forwarded(&self) -> bool {
        self.is_forwarded
    }
}
