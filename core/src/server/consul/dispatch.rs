//! Dispatches requests to handlers, with the steps that all requests have in
//! common.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use coord_wire::percent;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue, LOCATION};
use hyper::{Method, Request, Response, StatusCode};

use super::ConsulApi;
use super::http::answer::{Answer, accepts_gzip};
use super::http::body::AnswerBody;
use super::http::call::{Call, FORWARDED_FOR};
use super::http::clean_path;
use super::http::error_map::HttpError;
use super::http::kept::Kept;
use super::http::params::Params;
use super::route::Route;
use super::route_table::{self, Matched};

/// Answers one request, whatever it is.
///
/// Takes it apart at once, so that nothing of it is kept while its handler waits
/// but what the handler needs.
pub(super) fn begin(
    api: &ConsulApi,
    peer: Option<SocketAddr>,
    request: Request<Incoming>,
    kept: &Arc<Kept>,
) -> Begun {
    let gzip = accepts_gzip(request.headers());
    let found = kept.begin(bytes_of(&request)).map_err(|_| HttpError::too_much_is_kept());
    let found = found.and_then(|()| find(api, peer, request, kept));
    Begun { gzip, found, kept: Arc::clone(kept) }
}

/// About what a request takes: its path and query are kept decoded, too.
fn bytes_of(request: &Request<Incoming>) -> usize {
    let headers = request.headers().iter();
    let headers = headers.map(|(name, value)| name.as_str().len() + value.len() + 64);
    let query = request.uri().path_and_query().map_or(0, |all| all.as_str().len());
    headers.sum::<usize>() + 3 * query
}

/// A request that was understood, or not.
pub(super) struct Begun {
    gzip: bool,
    found: Result<Found, HttpError>,
    kept: Arc<Kept>,
}

impl Begun {
    /// Whether the answer may have to wait for a change.
    pub(super) fn may_wait(&self) -> bool {
        match &self.found {
            Ok(Found::Call { route, call, .. }) => route.may_wait(&call.method, &call.params),
            Ok(Found::Page(_)) | Err(_) => false,
        }
    }

    /// The answer to it.
    pub(super) async fn answer(self, api: &Arc<ConsulApi>) -> Response<AnswerBody> {
        let answer = match self.found {
            Ok(Found::Page(answer)) => Ok(answer),
            Ok(Found::Call { row, route, cached, call }) => {
                let (clock, method) = (api.node.clock(), call.method.clone());
                let began = clock.monotonic();
                let answer = match (api.check_serves(route), nothing_of_a_peer(route, &call)) {
                    (Err(refused), _) => Err(refused),
                    (Ok(()), Some(nothing)) => api.nothing(&call, nothing).await,
                    (Ok(()), None) => (route.handler)(api, call).await,
                };
                let taken = clock.monotonic().saturating_sub(began);
                api.request_metrics.request(row, &method, taken);
                // It may have waited for long.
                api.check_serves(route).and(answer).map(|answer| match cached {
                    // Nothing is cached, so whoever would be content with less gets the truth.
                    true => answer.with_header(CACHE, HeaderValue::from_static("MISS")),
                    false => answer,
                })
            }
            Err(error) => Err(error),
        };
        let answer = answer.unwrap_or_else(Answer::from);
        self.kept.end();
        let bytes = answer.bytes();
        let response = if self.gzip && bytes > COMPRESSED_HERE_MAX {
            if self.kept.reserve(bytes).is_err() {
                return counted(
                    Answer::from(HttpError::answer_too_long()).into_response(false),
                    &self.kept,
                );
            }
            let compressing = tokio::task::spawn_blocking(move || answer.into_response(true));
            compressing.await.unwrap_or_else(|error| {
                Answer::from(HttpError::internal(error.to_string())).into_response(false)
            })
        } else {
            answer.into_response(self.gzip)
        };
        counted(response, &self.kept)
    }
}

/// Longer answers are compressed on another thread. Bytes; a millisecond or so.
const COMPRESSED_HERE_MAX: usize = 128 << 10;

/// The same answer, counted until it was taken; or that there is no room for it.
fn counted(response: Response<AnswerBody>, kept: &Arc<Kept>) -> Response<AnswerBody> {
    let (parts, body) = response.into_parts();
    let AnswerBody::Whole(bytes) = body else { return Response::from_parts(parts, body) };
    match kept.answer(bytes) {
        Ok(bytes) => Response::from_parts(parts, AnswerBody::Whole(bytes)),
        Err(_) => Answer::from(HttpError::answer_too_long()).into_response(false),
    }
}

/// What a request asks for.
enum Found {
    /// Nothing but this.
    Page(Answer),
    Call {
        row: usize,
        route: &'static Route,
        cached: bool,
        call: Call,
    },
}

fn find(
    api: &ConsulApi,
    peer: Option<SocketAddr>,
    request: Request<Incoming>,
    kept: &Arc<Kept>,
) -> Result<Found, HttpError> {
    let (head, body) = request.into_parts();
    let path = percent::decode(head.uri.path()).map_err(HttpError::bad_request)?;
    if path.iter().any(u8::is_ascii_control) {
        return Err(HttpError::bad_request(""));
    }
    if let Some(clean) = clean_path::redirect(&path) {
        return Ok(Found::Page(redirected(&clean, head.uri.query())));
    }
    let matched = route_table::find(&path).filter(|matched| api.has(matched.route));
    let Some(Matched { row, route, tail }) = matched else {
        if route_table::folder(&path).is_some_and(|route| api.has(route)) {
            return Ok(Found::Page(redirected(&[&path[..], b"/"].concat(), head.uri.query())));
        }
        if let Some(page) = extra_page(api, &head.method, &path) {
            return Ok(Found::Page(page));
        }
        return Err(HttpError::not_found("Invalid URL path: not a recognized HTTP API endpoint"));
    };
    let allow = || HeaderValue::try_from(route.allow()).ok();
    if head.method == Method::OPTIONS {
        let answer = Answer::empty();
        return Ok(Found::Page(match allow() {
            Some(allow) => answer.with_header(ALLOW, allow),
            None => answer,
        }));
    }
    if !route.methods.contains(&head.method.as_str()) {
        let text = format!("method {} not allowed", head.method);
        let answer = Answer::from(HttpError::new(StatusCode::METHOD_NOT_ALLOWED, text));
        return Ok(Found::Page(match allow() {
            Some(allow) => answer.with_header(ALLOW, allow),
            None => answer,
        }));
    }
    let params = Params::parse(head.uri.query().unwrap_or_default())?;
    check_scope(api, &params, &head.headers)?;
    let tail = Bytes::copy_from_slice(tail);
    check_cache_control(&head.headers)?;
    let cached = route.is_cacheable && params.has("cached");
    let headers = if route.may_wait(&head.method, &params) {
        kept_while_waiting(&head.headers)
    } else {
        head.headers
    };
    let kept = Arc::clone(kept);
    let call = Call { method: head.method, tail, params, headers, peer, body, kept };
    Ok(Found::Call { row, route, cached, call })
}

/// What handlers that wait look at. Copied: headers share the buffer that all
/// of the request was read into.
fn kept_while_waiting(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::new();
    if let Some(asker) = headers.get(FORWARDED_FOR)
        && let Ok(asker) = HeaderValue::from_bytes(asker.as_bytes())
    {
        kept.insert(FORWARDED_FOR, asker);
    }
    kept
}

const CACHE: HeaderName = HeaderName::from_static("x-cache");

/// What Go's server answers to a path that is not clean.
fn redirected(path: &[u8], query: Option<&str>) -> Answer {
    let mut to = clean_path::escaped(path);
    if let Some(query) = query {
        to.push('?');
        to.push_str(query);
    }
    let link =
        to.replace('&', "&amp;").replace('"', "&#34;").replace('<', "&lt;").replace('>', "&gt;");
    let body = format!("<a href=\"{link}\">Moved Permanently</a>.\n\n");
    let answer = Answer::of_type("text/html; charset=utf-8", body);
    let answer = answer.with_status(StatusCode::MOVED_PERMANENTLY);
    match HeaderValue::try_from(to) {
        Ok(to) => answer.with_header(LOCATION, to),
        Err(_) => HttpError::bad_request("").into(),
    }
}

/// Refuses what is no number of seconds where one is wanted.
fn check_cache_control(headers: &HeaderMap) -> Result<(), HttpError> {
    let directives = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    for directive in directives.flat_map(|value| value.split(',')).map(str::trim) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        let in_seconds = matches!(name.to_ascii_lowercase().as_str(), "max-age" | "stale-if-error");
        if in_seconds && value.parse::<u64>().is_err() {
            return Err(HttpError::bad_request("Invalid Cache-Control header."));
        }
    }
    Ok(())
}

/// A page that is not Consul's.
fn extra_page(api: &ConsulApi, method: &Method, path: &[u8]) -> Option<Answer> {
    let path = std::str::from_utf8(path).ok().filter(|_| method == Method::GET)?;
    let page = api.extra.as_ref()?.admin_page(path)?;
    Some(Answer::of_type(page.content_type, page.body))
}

/// Refuses what is not here: other datacenters, and the divisions of
/// Consul Enterprise, however they are named. What a body names is looked at by
/// whoever reads it (`Fields::take_scope`).
fn check_scope(api: &ConsulApi, params: &Params, headers: &HeaderMap) -> Result<(), HttpError> {
    api.check_datacenter(params.get("dc").unwrap_or_default())?;
    let refuse = |place: &str, name: &str, what: &str| {
        Err(HttpError::bad_request(format!(
            "Invalid {place}: {name:?} - {what} a Consul Enterprise feature"
        )))
    };
    for (name, what) in
        [("ns", "Namespaces are"), ("partition", "Partitions are"), ("sg", "Sameness groups are")]
    {
        if !params.all(name).all(is_the_only_one) {
            return refuse("query parameter", name, what);
        }
    }
    for (name, what) in
        [("X-Consul-Namespace", "Namespaces are"), ("X-Consul-Partition", "Partitions are")]
    {
        let mut given = headers.get_all(name).iter();
        if !given.all(|value| value.to_str().is_ok_and(is_the_only_one)) {
            return refuse("header", name, what);
        }
    }
    Ok(())
}

/// Whether it names the one namespace, or partition, that is here.
fn is_the_only_one(name: &str) -> bool {
    matches!(name.trim(), "" | "default")
}

/// The answer about a peer's services: there is no peer. Other endpoints do not
/// look at the parameter.
fn nothing_of_a_peer(route: &Route, call: &Call) -> Option<&'static str> {
    call.params.nonempty("peer").and(route.of_a_peer)
}

impl ConsulApi {
    /// Whether this member has it: the page is only where it is wanted.
    fn has(&self, route: &Route) -> bool {
        !route.with_ui || self.page.is_some()
    }

    /// Refuses what would show a state that is not to be trusted.
    fn check_serves(&self, route: &Route) -> Result<(), HttpError> {
        if route.while_withdrawn || self.node.serves() {
            return Ok(());
        }
        let why = self.node.status().withdrawn.unwrap_or_default();
        Err(HttpError::internal(format!("This member does not serve: {why}")))
    }

    /// What is at `/`: the way to the page, or that there is none.
    pub(super) fn root(&self) -> Answer {
        if self.page.is_some() {
            return redirected(b"/ui/", None);
        }
        Answer::text(
            "Consul Agent: UI disabled. To enable, set ui_config.enabled=true in the agent configuration and restart.",
        )
    }

    /// Refuses a datacenter that is not ours; empty is.
    pub(super) fn check_datacenter(&self, datacenter: &str) -> Result<(), HttpError> {
        if datacenter.is_empty()
            || datacenter.eq_ignore_ascii_case(&self.node.settings().datacenter)
        {
            return Ok(());
        }
        Err(HttpError::internal("No path to datacenter"))
    }
}
