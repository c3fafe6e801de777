//! From a request to its handler, and what all requests have in common.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue, LOCATION};
use hyper::{Method, Request, Response, StatusCode};

use super::ConsulApi;
use super::answer::{Answer, accepts_gzip};
use super::body::AnswerBody;
use super::call::{Call, FORWARDED_FOR};
use super::error_map::HttpError;
use super::kept::Kept;
use super::params::{Params, percent_decode};
use super::route::{Endpoint, Route};
use super::{clean_path, fixed, mesh, operator};

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
    /// The answer to it.
    pub(super) async fn answer(self, api: &Arc<ConsulApi>) -> Response<AnswerBody> {
        let answer = match self.found {
            Ok(Found::Page(answer)) => Ok(answer),
            Ok(Found::Call { route, cached, call }) => {
                let (clock, method) = (api.node.clock(), call.method.clone());
                let began = clock.monotonic();
                let answer =
                    match (api.check_serves(route.endpoint), nothing_of_a_peer(route, &call)) {
                        (Err(refused), _) => Err(refused),
                        (Ok(()), Some(nothing)) => api.nothing(&call, nothing).await,
                        (Ok(()), None) => handle(api, route.endpoint, call).await,
                    };
                let taken = clock.monotonic().saturating_sub(began);
                api.request_metrics.request(method.as_str(), route.path, taken);
                // It may have waited for long.
                api.check_serves(route.endpoint).and(answer).map(|answer| match cached {
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
    let path = percent_decode(head.uri.path()).map_err(HttpError::bad_request)?;
    if path.iter().any(u8::is_ascii_control) {
        return Err(HttpError::bad_request(""));
    }
    if let Some(clean) = clean_path::redirect(&path) {
        return Ok(Found::Page(redirected(&clean, head.uri.query())));
    }
    let Some((route, tail)) = Route::find(&path).filter(|(route, _)| api.has(route)) else {
        if Route::folder(&path).is_some_and(|route| api.has(route)) {
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
    let cached = route.endpoint.is_cacheable() && params.has("cached");
    let headers = if route.endpoint.can_wait() && params.has("index") {
        kept_while_waiting(&head.headers)
    } else {
        head.headers
    };
    let kept = Arc::clone(kept);
    let call = Call { method: head.method, tail, params, headers, peer, body, kept };
    Ok(Found::Call { route, cached, call })
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
    call.params.nonempty("peer").and_then(|_| route.endpoint.nothing_of_a_peer())
}

impl ConsulApi {
    /// Whether this member has it: the page is only where it is wanted.
    fn has(&self, route: &Route) -> bool {
        route.endpoint != Endpoint::Ui || self.page.is_some()
    }

    /// Refuses what would show a state that is not to be trusted.
    fn check_serves(&self, endpoint: Endpoint) -> Result<(), HttpError> {
        let of_itself = matches!(
            endpoint,
            Endpoint::AgentSelf
                | Endpoint::AgentVersion
                | Endpoint::AgentMetrics
                | Endpoint::StatusLeader
                | Endpoint::StatusPeers
                | Endpoint::Root
                | Endpoint::Ui
        );
        if of_itself || self.node.serves() {
            return Ok(());
        }
        let why = self.node.status().withdrawn.unwrap_or_default();
        Err(HttpError::internal(format!("This member does not serve: {why}")))
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

/// What a handler's answer comes from. On the heap: a connection that waits
/// needs as much room as its own handler, not as the largest of all.
type Handling<'a> = Pin<Box<dyn Future<Output = Result<Answer, HttpError>> + Send + 'a>>;

fn handle(api: &Arc<ConsulApi>, endpoint: Endpoint, call: Call) -> Handling<'_> {
    match endpoint {
        Endpoint::Kv => Box::pin(api.kv(call)),
        Endpoint::Txn => Box::pin(api.txn(call)),
        Endpoint::SessionCreate => Box::pin(api.session_create(call)),
        Endpoint::SessionDestroy => Box::pin(api.session_destroy(call)),
        Endpoint::SessionRenew => Box::pin(api.session_renew(call)),
        Endpoint::SessionInfo => Box::pin(api.session_info(call)),
        Endpoint::SessionNode => Box::pin(api.session_node(call)),
        Endpoint::SessionList => Box::pin(api.session_list(call)),
        Endpoint::CatalogRegister => Box::pin(api.catalog_register(call)),
        Endpoint::CatalogDeregister => Box::pin(api.catalog_deregister(call)),
        Endpoint::CatalogDatacenters => at_once(Ok(api.catalog_datacenters(&call))),
        Endpoint::CatalogNodes => Box::pin(api.catalog_nodes(call)),
        Endpoint::CatalogServices => Box::pin(api.catalog_services(call)),
        Endpoint::CatalogService => Box::pin(api.catalog_service(call)),
        Endpoint::CatalogConnect => Box::pin(api.catalog_connect(call)),
        Endpoint::CatalogNode => Box::pin(api.catalog_node(call)),
        Endpoint::CatalogNodeServices => Box::pin(api.catalog_node_services(call)),
        Endpoint::CatalogGatewayServices => Box::pin(api.catalog_connect(call)),
        Endpoint::HealthNode => Box::pin(api.health_node(call)),
        Endpoint::HealthChecks => Box::pin(api.health_checks(call)),
        Endpoint::HealthService => Box::pin(api.health_service(call)),
        Endpoint::HealthConnect => Box::pin(api.health_connect(call)),
        Endpoint::HealthIngress => Box::pin(api.health_ingress(call)),
        Endpoint::HealthState => Box::pin(api.health_state(call)),
        Endpoint::AgentSelf => at_once(Ok(api.agent_self(&call))),
        Endpoint::AgentVersion => at_once(Ok(api.agent_version(&call))),
        Endpoint::AgentMembers => at_once(api.agent_members(&call)),
        Endpoint::AgentServices => Box::pin(api.agent_services(call)),
        Endpoint::AgentService => Box::pin(api.agent_service(call)),
        Endpoint::AgentServiceRegister => Box::pin(api.agent_service_register(call)),
        Endpoint::AgentServiceDeregister => Box::pin(api.agent_service_deregister(call)),
        Endpoint::AgentServiceMaintenance => Box::pin(api.agent_service_maintenance(call)),
        Endpoint::AgentMaintenance => Box::pin(api.agent_maintenance(call)),
        Endpoint::AgentChecks => Box::pin(api.agent_checks(call)),
        Endpoint::AgentCheckRegister => Box::pin(api.agent_check_register(call)),
        Endpoint::AgentCheckDeregister => Box::pin(api.agent_check_deregister(call)),
        Endpoint::AgentCheckPass => Box::pin(api.agent_check_pass(call)),
        Endpoint::AgentCheckWarn => Box::pin(api.agent_check_warn(call)),
        Endpoint::AgentCheckFail => Box::pin(api.agent_check_fail(call)),
        Endpoint::AgentCheckUpdate => Box::pin(api.agent_check_update(call)),
        Endpoint::AgentHealthById => at_once(Ok(api.agent_health_by_id(&call))),
        Endpoint::AgentHealthByName => at_once(Ok(api.agent_health_by_name(&call))),
        Endpoint::AgentJoin => at_once(api.agent_join(&call)),
        Endpoint::AgentLeave => Box::pin(api.agent_leave()),
        Endpoint::AgentForceLeave => Box::pin(api.agent_force_leave(call)),
        Endpoint::AgentReload => at_once(Ok(Answer::empty())),
        Endpoint::AgentMetrics => at_once(Ok(api.agent_metrics(&call))),
        Endpoint::AgentMetricsStream => at_once(Ok(api.agent_metrics_stream())),
        Endpoint::AgentMonitor => at_once(api.agent_monitor(&call)),
        Endpoint::AgentHost => at_once(Ok(api.agent_host(&call))),
        Endpoint::StatusLeader => at_once(Ok(api.status_leader(&call))),
        Endpoint::StatusPeers => at_once(Ok(api.status_peers(&call))),
        Endpoint::EventFire => Box::pin(api.event_fire(call)),
        Endpoint::EventList => Box::pin(api.event_list(call)),
        Endpoint::QueryList => Box::pin(api.queries(call)),
        Endpoint::Query => Box::pin(api.query(call)),
        Endpoint::CoordinateDatacenters => at_once(Ok(api.coordinate_datacenters(&call))),
        Endpoint::CoordinateNodes => Box::pin(api.coordinate_nodes(call)),
        Endpoint::CoordinateNode => Box::pin(api.coordinate_node(call)),
        Endpoint::CoordinateUpdate => Box::pin(api.coordinate_update(call)),
        Endpoint::Snapshot => Box::pin(api.snapshot(call)),
        Endpoint::RaftPeer => Box::pin(api.raft_remove_peer(call)),
        Endpoint::RaftTransferLeader => Box::pin(api.raft_transfer_leader(call)),
        Endpoint::RaftConfiguration => at_once(Ok(api.raft_configuration(&call))),
        Endpoint::AutopilotConfiguration => Box::pin(api.autopilot_configuration(call)),
        Endpoint::AutopilotHealth => at_once(Ok(api.autopilot_health(&call))),
        Endpoint::AutopilotState => at_once(Ok(api.autopilot_state(&call))),
        Endpoint::OperatorUsage => at_once(Ok(api.operator_usage(&call))),
        Endpoint::Keyring => at_once(operator::keyring()),
        Endpoint::InternalNode => Box::pin(api.internal_node(call)),
        Endpoint::InternalNodes => Box::pin(api.internal_nodes(call)),
        Endpoint::Graph => Box::pin(api.graph(call)),
        Endpoint::GraphService => Box::pin(api.graph_service(call)),
        Endpoint::InternalServices => Box::pin(api.internal_services(call)),
        Endpoint::ConfigEntries => Box::pin(api.config_entries(call)),
        Endpoint::ConnectAuthorize => Box::pin(api.connect_authorize(call)),
        Endpoint::ConnectDisabled => at_once(Ok(mesh::connect_disabled())),
        Endpoint::Intentions => Box::pin(api.intentions(call)),
        Endpoint::NoneOfThem => Box::pin(api.empty_list(call)),
        Endpoint::Acl => at_once(fixed::acl_disabled()),
        Endpoint::Ui => at_once(api.ui(&call)),
        Endpoint::Root if api.page.is_some() => at_once(Ok(redirected(b"/ui/", None))),
        Endpoint::Root => at_once(Ok(Answer::text(
            "Consul Agent: UI disabled. To enable, set ui_config.enabled=true in the agent configuration and restart.",
        ))),
    }
}

fn at_once<'a>(answer: Result<Answer, HttpError>) -> Handling<'a> {
    Box::pin(std::future::ready(answer))
}
