//! From a request to its handler, and what all requests have in common.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue, LOCATION};
use hyper::{Method, Request, Response, StatusCode};

use super::Front;
use super::answer::{Answer, accepts_gzip};
use super::body::AnswerBody;
use super::call::Call;
use super::error_map::HttpError;
use super::params::{Params, percent_decode};
use super::route::{Endpoint, Route};
use super::{clean_path, fixed, mesh, operator};

/// Answers one request, whatever it is.
pub(super) async fn answer(
    front: &Arc<Front>,
    peer: Option<SocketAddr>,
    request: Request<Incoming>,
) -> Response<AnswerBody> {
    let gzip = accepts_gzip(request.headers());
    let answer = match routed(front, peer, request).await {
        Ok(answer) => answer,
        Err(error) => error.into(),
    };
    answer.into_response(gzip)
}

async fn routed(
    front: &Arc<Front>,
    peer: Option<SocketAddr>,
    request: Request<Incoming>,
) -> Result<Answer, HttpError> {
    let (head, body) = request.into_parts();
    let path = percent_decode(head.uri.path()).map_err(HttpError::bad_request)?;
    if path.iter().any(u8::is_ascii_control) {
        return Err(HttpError::bad_request(""));
    }
    if let Some(clean) = clean_path::redirect(&path) {
        return Ok(redirected(&clean, head.uri.query()));
    }
    let Some((route, tail)) = Route::find(&path) else {
        if Route::is_folder(&path) {
            return Ok(redirected(&[&path[..], b"/"].concat(), head.uri.query()));
        }
        if let Some(page) = extra_page(front, &head.method, &path) {
            return Ok(page);
        }
        return Err(HttpError::not_found("Invalid URL path: not a recognized HTTP API endpoint"));
    };
    let allow = || HeaderValue::try_from(route.allow()).ok();
    if head.method == Method::OPTIONS {
        return Ok(
            allow().map_or_else(Answer::empty, |allow| Answer::empty().with_header(ALLOW, allow))
        );
    }
    if !route.methods.contains(&head.method.as_str()) {
        let text = format!("method {} not allowed", head.method);
        let answer = Answer::from(HttpError::new(StatusCode::METHOD_NOT_ALLOWED, text));
        return Ok(match allow() {
            Some(allow) => answer.with_header(ALLOW, allow),
            None => answer,
        });
    }
    let params = Params::parse(head.uri.query().unwrap_or_default())?;
    check_scope(front, &params)?;
    let tail = Bytes::copy_from_slice(tail);
    let clock = front.node.clock();
    check_cache_control(&head.headers)?;
    let cached = route.endpoint.is_cacheable() && params.has("cached");
    let (method, began) = (head.method.clone(), clock.monotonic());
    let call = Call { method: head.method, tail, params, headers: head.headers, peer, body };
    let answer = match front.check_serves(route.endpoint) {
        Ok(()) => handle(front, route.endpoint, call).await,
        refused => refused.map(|()| Answer::empty()),
    };
    // It may have waited for long.
    let answer = front.check_serves(route.endpoint).and(answer);
    let taken = clock.monotonic().saturating_sub(began);
    front.metrics.record(method.as_str(), route.path, taken);
    // Nothing is cached, so whoever would be content with less gets the truth.
    Ok(if cached { answer?.with_header(CACHE, HeaderValue::from_static("MISS")) } else { answer? })
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
fn extra_page(front: &Front, method: &Method, path: &[u8]) -> Option<Answer> {
    let path = std::str::from_utf8(path).ok().filter(|_| method == Method::GET)?;
    let page = front.extra.as_ref()?.page(path)?;
    Some(Answer::of_type(page.content_type, page.body))
}

/// Refuses what is not here: other datacenters, and the divisions of
/// Consul Enterprise.
fn check_scope(front: &Front, params: &Params) -> Result<(), HttpError> {
    front.check_datacenter(params.get("dc").unwrap_or_default())?;
    for (name, what) in
        [("ns", "Namespaces are"), ("partition", "Partitions are"), ("sg", "Sameness groups are")]
    {
        if params.nonempty(name).is_some_and(|value| value != "default") {
            return Err(HttpError::bad_request(format!(
                "Invalid query parameter: {name:?} - {what} a Consul Enterprise feature"
            )));
        }
    }
    if params.nonempty("peer").is_some() {
        return Err(HttpError::bad_request(
            "Invalid query parameter: \"peer\" - cluster peering is not supported",
        ));
    }
    Ok(())
}

impl Front {
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

async fn handle(front: &Arc<Front>, endpoint: Endpoint, call: Call) -> Result<Answer, HttpError> {
    match endpoint {
        Endpoint::Kv => front.kv(call).await,
        Endpoint::Txn => front.txn(call).await,
        Endpoint::SessionCreate => front.session_create(call).await,
        Endpoint::SessionDestroy => front.session_destroy(call).await,
        Endpoint::SessionRenew => front.session_renew(call).await,
        Endpoint::SessionInfo => front.session_info(call).await,
        Endpoint::SessionNode => front.session_node(call).await,
        Endpoint::SessionList => front.session_list(call).await,
        Endpoint::CatalogRegister => front.catalog_register(call).await,
        Endpoint::CatalogDeregister => front.catalog_deregister(call).await,
        Endpoint::CatalogDatacenters => Ok(front.catalog_datacenters(&call)),
        Endpoint::CatalogNodes => front.catalog_nodes(call).await,
        Endpoint::CatalogServices => front.catalog_services(call).await,
        Endpoint::CatalogService => front.catalog_service(call).await,
        Endpoint::CatalogConnect => front.catalog_connect(call).await,
        Endpoint::CatalogNode => front.catalog_node(call).await,
        Endpoint::CatalogNodeServices => front.catalog_node_services(call).await,
        Endpoint::CatalogGatewayServices => front.catalog_connect(call).await,
        Endpoint::HealthNode => front.health_node(call).await,
        Endpoint::HealthChecks => front.health_checks(call).await,
        Endpoint::HealthService => front.health_service(call).await,
        Endpoint::HealthConnect => front.health_connect(call).await,
        Endpoint::HealthState => front.health_state(call).await,
        Endpoint::AgentSelf => Ok(front.agent_self(&call)),
        Endpoint::AgentVersion => Ok(front.agent_version(&call)),
        Endpoint::AgentMembers => front.agent_members(&call),
        Endpoint::AgentServices => front.agent_services(&call),
        Endpoint::AgentService => front.agent_service(call).await,
        Endpoint::AgentServiceRegister => front.agent_service_register(call).await,
        Endpoint::AgentServiceDeregister => front.agent_service_deregister(call).await,
        Endpoint::AgentServiceMaintenance => front.agent_service_maintenance(call).await,
        Endpoint::AgentMaintenance => front.agent_maintenance(call).await,
        Endpoint::AgentChecks => front.agent_checks(&call),
        Endpoint::AgentCheckRegister => front.agent_check_register(call).await,
        Endpoint::AgentCheckDeregister => front.agent_check_deregister(call).await,
        Endpoint::AgentCheckPass => front.agent_check_pass(call).await,
        Endpoint::AgentCheckWarn => front.agent_check_warn(call).await,
        Endpoint::AgentCheckFail => front.agent_check_fail(call).await,
        Endpoint::AgentCheckUpdate => front.agent_check_update(call).await,
        Endpoint::AgentHealthById => Ok(front.agent_health_by_id(&call)),
        Endpoint::AgentHealthByName => Ok(front.agent_health_by_name(&call)),
        Endpoint::AgentJoin => front.agent_join(&call),
        Endpoint::AgentLeave => front.agent_leave().await,
        Endpoint::AgentForceLeave => front.agent_force_leave(call).await,
        Endpoint::AgentReload => Ok(Answer::empty()),
        Endpoint::AgentMetrics => Ok(front.agent_metrics(&call)),
        Endpoint::AgentMetricsStream => Ok(front.agent_metrics_stream()),
        Endpoint::AgentMonitor => front.agent_monitor(&call),
        Endpoint::AgentHost => Ok(front.agent_host(&call)),
        Endpoint::StatusLeader => Ok(front.status_leader(&call)),
        Endpoint::StatusPeers => Ok(front.status_peers(&call)),
        Endpoint::EventFire => front.event_fire(call).await,
        Endpoint::EventList => front.event_list(call).await,
        Endpoint::QueryList => front.queries(call).await,
        Endpoint::Query => front.query(call).await,
        Endpoint::CoordinateDatacenters => Ok(front.coordinate_datacenters(&call)),
        Endpoint::CoordinateNodes => front.coordinate_nodes(call).await,
        Endpoint::CoordinateNode => front.coordinate_node(call).await,
        Endpoint::CoordinateUpdate => front.coordinate_update(call).await,
        Endpoint::Snapshot => front.snapshot(call).await,
        Endpoint::RaftPeer => front.raft_remove_peer(call).await,
        Endpoint::RaftConfiguration => Ok(front.raft_configuration(&call)),
        Endpoint::AutopilotConfiguration => front.autopilot_configuration(call).await,
        Endpoint::AutopilotHealth => Ok(front.autopilot_health(&call)),
        Endpoint::AutopilotState => Ok(front.autopilot_state(&call)),
        Endpoint::OperatorUsage => Ok(front.operator_usage(&call)),
        Endpoint::Keyring => operator::keyring(),
        Endpoint::ConfigEntries => front.config_entries(&call),
        Endpoint::ConnectDisabled => Ok(mesh::connect_disabled()),
        Endpoint::Intentions => mesh::intentions(&call),
        Endpoint::NoneOfThem => Ok(mesh::empty_list(&call)),
        Endpoint::Acl => fixed::acl_disabled(),
        Endpoint::Root => Ok(Answer::text(
            "Consul Agent: UI disabled. To enable, set ui_config.enabled=true in the agent configuration and restart.",
        )),
    }
}
