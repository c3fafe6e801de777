//! The HTTP API as a table: one row for each endpoint, and what holds for it in its columns. And
//! how a path finds its row.
//!
//! What a token will need is as Consul's documentation has it for each endpoint, and as
//! `docs/COMPATIBILITY.md` for those that Consul does not have. Nothing enforces it yet.

use super::catalog::mesh;
use super::http::answer::Answer;
use super::http::fixed;
use super::operator::usage;
use super::route::Permission::{
    AclRead, AclWrite, AgentRead, AgentWrite, EventRead, EventWrite, IntentionsRead,
    IntentionsWrite, KeyRead, KeyWrite, KeyringRead, KeyringWrite, NodeRead, NodeWrite,
    OperatorRead, OperatorWrite, PeeringRead, QueryRead, QueryWrite, ServiceRead, ServiceWrite,
    SessionRead, SessionWrite,
};
use super::route::{DELETE, GET, POST, PUT, Route, at_once, get, put, row};

/// A handler that may have to wait.
macro_rules! call {
    ($handler:ident) => {
        |api, call| Box::pin(api.$handler(call))
    };
}

/// A handler that has its answer at once, and cannot fail.
macro_rules! answer {
    ($handler:ident) => {
        |api, call| at_once(Ok(api.$handler(&call)))
    };
}

pub(super) static ROUTES: &[Route] = &[
    // Keys.
    row("/v1/kv/", &[GET, PUT, DELETE], &[KeyRead], &[KeyWrite], call!(kv)).blocks().forwarded(),
    put(
        "/v1/txn",
        &[KeyRead, KeyWrite, NodeRead, NodeWrite, ServiceRead, ServiceWrite],
        call!(txn),
    )
    .forwarded(),
    // Sessions.
    put("/v1/session/create", &[SessionWrite], call!(session_create)).forwarded(),
    put("/v1/session/destroy/", &[SessionWrite], call!(session_destroy)).forwarded(),
    put("/v1/session/renew/", &[SessionWrite], call!(session_renew)).forwarded(),
    get("/v1/session/info/", &[SessionRead], call!(session_info)).blocks().forwarded(),
    get("/v1/session/node/", &[SessionRead], call!(session_node)).blocks().forwarded(),
    get("/v1/session/list", &[SessionRead], call!(session_list)).blocks().forwarded(),
    // The catalog.
    put("/v1/catalog/register", &[NodeWrite, ServiceWrite], call!(catalog_register)).forwarded(),
    put("/v1/catalog/deregister", &[NodeWrite, ServiceWrite], call!(catalog_deregister))
        .forwarded(),
    get("/v1/catalog/datacenters", &[], answer!(catalog_datacenters)).cacheable(),
    get("/v1/catalog/nodes", &[NodeRead], call!(catalog_nodes))
        .blocks()
        .forwarded()
        .of_a_peer("[]"),
    get("/v1/catalog/services", &[ServiceRead], call!(catalog_services))
        .blocks()
        .cacheable()
        .forwarded()
        .of_a_peer("{}"),
    get("/v1/catalog/service/", &[NodeRead, ServiceRead], call!(catalog_service))
        .blocks()
        .cacheable()
        .forwarded()
        .of_a_peer("[]"),
    get("/v1/catalog/connect/", &[NodeRead, ServiceRead], call!(catalog_connect))
        .blocks()
        .cacheable()
        .forwarded()
        .of_a_peer("[]"),
    get("/v1/catalog/node/", &[NodeRead, ServiceRead], call!(catalog_node))
        .blocks()
        .forwarded()
        .of_a_peer("null"),
    get("/v1/catalog/node-services/", &[NodeRead, ServiceRead], call!(catalog_node_services))
        .blocks()
        .forwarded()
        .of_a_peer(r#"{"Node":null,"Services":null}"#),
    get("/v1/catalog/gateway-services/", &[ServiceRead], call!(catalog_connect))
        .blocks()
        .forwarded(),
    // Health.
    get("/v1/health/node/", &[NodeRead, ServiceRead], call!(health_node))
        .blocks()
        .forwarded()
        .of_a_peer("[]"),
    get("/v1/health/checks/", &[NodeRead, ServiceRead], call!(health_checks))
        .blocks()
        .forwarded()
        .of_a_peer("[]"),
    get("/v1/health/service/", &[NodeRead, ServiceRead], call!(health_service))
        .blocks()
        .cacheable()
        .forwarded()
        .of_a_peer("[]"),
    get("/v1/health/connect/", &[NodeRead, ServiceRead], call!(health_connect))
        .blocks()
        .cacheable()
        .forwarded()
        .of_a_peer("[]"),
    get("/v1/health/ingress/", &[NodeRead, ServiceRead], call!(health_ingress))
        .blocks()
        .forwarded()
        .of_a_peer("[]"),
    get("/v1/health/state/", &[NodeRead, ServiceRead], call!(health_state))
        .blocks()
        .forwarded()
        .of_a_peer("[]"),
    // The agent of the member that is asked.
    get("/v1/agent/self", &[AgentRead], answer!(agent_self)).while_withdrawn(),
    get("/v1/agent/version", &[AgentRead], answer!(agent_version)).while_withdrawn(),
    get("/v1/agent/members", &[NodeRead], |api, call| at_once(api.agent_members(&call))),
    get("/v1/agent/services", &[ServiceRead], call!(agent_services)),
    get("/v1/agent/service/", &[ServiceRead], call!(agent_service)).blocks_on("hash"),
    put("/v1/agent/service/register", &[ServiceWrite], call!(agent_service_register)),
    put("/v1/agent/service/deregister/", &[ServiceWrite], call!(agent_service_deregister)),
    put("/v1/agent/service/maintenance/", &[ServiceWrite], call!(agent_service_maintenance)),
    put("/v1/agent/maintenance", &[NodeWrite], call!(agent_maintenance)),
    get("/v1/agent/checks", &[NodeRead, ServiceRead], call!(agent_checks)),
    put("/v1/agent/check/register", &[NodeWrite, ServiceWrite], call!(agent_check_register)),
    put("/v1/agent/check/deregister/", &[NodeWrite, ServiceWrite], call!(agent_check_deregister)),
    put("/v1/agent/check/pass/", &[NodeWrite, ServiceWrite], call!(agent_check_pass)),
    put("/v1/agent/check/warn/", &[NodeWrite, ServiceWrite], call!(agent_check_warn)),
    put("/v1/agent/check/fail/", &[NodeWrite, ServiceWrite], call!(agent_check_fail)),
    put("/v1/agent/check/update/", &[NodeWrite, ServiceWrite], call!(agent_check_update)),
    get("/v1/agent/health/service/id/", &[ServiceRead], answer!(agent_health_by_id)),
    get("/v1/agent/health/service/name/", &[ServiceRead], answer!(agent_health_by_name)),
    put("/v1/agent/join/", &[AgentWrite], |api, call| at_once(api.agent_join(&call))),
    put("/v1/agent/leave", &[AgentWrite], |api, _| Box::pin(api.agent_leave())),
    put("/v1/agent/force-leave/", &[OperatorWrite], call!(agent_force_leave)),
    put("/v1/agent/reload", &[AgentWrite], |_, _| at_once(Ok(Answer::empty()))),
    get("/v1/agent/metrics", &[AgentRead], answer!(agent_metrics)).while_withdrawn(),
    get("/v1/agent/metrics/stream", &[AgentRead], |api, _| at_once(Ok(api.agent_metrics_stream()))),
    get("/v1/agent/monitor", &[AgentRead], |api, call| at_once(api.agent_monitor(&call))),
    get("/v1/agent/host", &[OperatorRead], answer!(agent_host)),
    row("/v1/agent/connect/authorize", &[POST], &[], &[ServiceWrite], call!(connect_authorize)),
    get("/v1/agent/connect/ca/roots", &[], |_, _| at_once(Ok(mesh::connect_disabled()))),
    get("/v1/agent/connect/ca/leaf/", &[ServiceWrite], |_, _| {
        at_once(Ok(mesh::connect_disabled()))
    }),
    put("/v1/agent/token/", &[AgentWrite], |_, _| at_once(fixed::acl_disabled())),
    // Status, events, prepared queries, coordinates.
    get("/v1/status/leader", &[], answer!(status_leader)).forwarded().while_withdrawn(),
    get("/v1/status/peers", &[], answer!(status_peers)).forwarded().while_withdrawn(),
    put("/v1/event/fire/", &[EventWrite], call!(event_fire)).forwarded(),
    get("/v1/event/list", &[EventRead], call!(event_list)).blocks(),
    row("/v1/query", &[GET, POST], &[QueryRead], &[QueryWrite], call!(queries))
        .blocks()
        .forwarded(),
    row("/v1/query/", &[GET, PUT, DELETE], &[QueryRead], &[QueryWrite], call!(query))
        .blocks()
        .cacheable()
        .forwarded(),
    get("/v1/coordinate/datacenters", &[], answer!(coordinate_datacenters)),
    get("/v1/coordinate/nodes", &[NodeRead], call!(coordinate_nodes)).blocks().forwarded(),
    get("/v1/coordinate/node/", &[NodeRead], call!(coordinate_node)).blocks().forwarded(),
    put("/v1/coordinate/update", &[NodeWrite], call!(coordinate_update)).forwarded(),
    // Operators.
    row("/v1/snapshot", &[GET, PUT], &[AclWrite], &[AclWrite], call!(snapshot)).forwarded(),
    get("/v1/operator/raft/configuration", &[OperatorRead], answer!(raft_configuration))
        .forwarded(),
    row("/v1/operator/raft/peer", &[DELETE], &[], &[OperatorWrite], call!(raft_remove_peer))
        .forwarded(),
    row(
        "/v1/operator/raft/transfer-leader",
        &[POST, PUT],
        &[],
        &[OperatorWrite],
        call!(raft_transfer_leader),
    )
    .forwarded(),
    row(
        "/v1/operator/autopilot/configuration",
        &[GET, PUT],
        &[OperatorRead],
        &[OperatorWrite],
        call!(autopilot_configuration),
    )
    .forwarded(),
    get("/v1/operator/autopilot/health", &[OperatorRead], answer!(autopilot_health)).forwarded(),
    get("/v1/operator/autopilot/state", &[OperatorRead], answer!(autopilot_state)).forwarded(),
    get("/v1/operator/usage", &[OperatorRead], answer!(operator_usage)).forwarded(),
    row(
        "/v1/operator/keyring",
        &[GET, PUT, POST, DELETE],
        &[KeyringRead],
        &[KeyringWrite],
        |_, _| at_once(usage::keyring()),
    )
    .forwarded(),
    // The service mesh.
    put("/v1/config", &[ServiceWrite, IntentionsWrite, OperatorWrite], call!(config_entries))
        .forwarded(),
    row(
        "/v1/config/",
        &[GET, DELETE],
        &[ServiceRead, IntentionsRead],
        &[ServiceWrite, IntentionsWrite, OperatorWrite],
        call!(config_entries),
    )
    .blocks()
    .forwarded(),
    row("/v1/connect/ca/configuration", &[GET, PUT], &[OperatorWrite], &[OperatorWrite], |_, _| {
        at_once(Ok(mesh::connect_disabled()))
    })
    .forwarded(),
    get("/v1/connect/ca/roots", &[], |_, _| at_once(Ok(mesh::connect_disabled()))).forwarded(),
    row(
        "/v1/connect/intentions",
        &[GET, POST],
        &[IntentionsRead],
        &[IntentionsWrite],
        call!(intentions),
    )
    .blocks()
    .forwarded(),
    row(
        "/v1/connect/intentions/",
        &[GET, PUT, DELETE],
        &[IntentionsRead],
        &[IntentionsWrite],
        call!(intentions),
    )
    .blocks()
    .forwarded(),
    row("/v1/discovery-chain/", &[GET, POST], &[ServiceRead], &[ServiceRead], |_, _| {
        at_once(Ok(mesh::connect_disabled()))
    })
    .forwarded(),
    get("/v1/exported-services", &[OperatorRead], call!(empty_list)).blocks().forwarded(),
    get("/v1/imported-services", &[OperatorRead], call!(empty_list)).blocks().forwarded(),
    get("/v1/peerings", &[PeeringRead], call!(empty_list)).blocks().forwarded(),
    // What pages in the browser are made of, Consul's and ours.
    get("/v1/internal/ui/node/", &[NodeRead, ServiceRead], call!(internal_node))
        .blocks()
        .forwarded()
        .of_a_peer("null"),
    get("/v1/internal/ui/nodes", &[NodeRead, ServiceRead], call!(internal_nodes))
        .blocks()
        .forwarded()
        .of_a_peer("[]"),
    get("/v1/internal/ui/services", &[NodeRead, ServiceRead], call!(internal_services))
        .blocks()
        .forwarded()
        .of_a_peer("[]"),
    get("/v1/coord/graph", &[ServiceRead], call!(graph)).blocks().forwarded(),
    get("/v1/coord/graph/", &[ServiceRead], call!(graph_service)).blocks().forwarded(),
    get("/v1/internal/federation-states", &[OperatorRead], call!(empty_list)).blocks().forwarded(),
    // Access rules.
    row("/v1/acl/", &[GET, PUT, POST, DELETE], &[AclRead], &[AclWrite], |_, _| {
        at_once(fixed::acl_disabled())
    })
    .forwarded(),
    row("/v1/internal/acl/authorize", &[POST], &[], &[], |_, _| at_once(fixed::acl_disabled()))
        .forwarded(),
    // The page in the browser.
    get("/", &[], |api, _| at_once(Ok(api.root()))).while_withdrawn(),
    get("/ui/", &[], |api, call| at_once(api.ui(&call))).while_withdrawn().with_ui(),
];

/// A path's row, and its number in [`ROUTES`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Matched<'p> {
    pub(super) row: usize,
    pub(super) route: &'static Route,
    /// What follows the row's path.
    pub(super) tail: &'p [u8],
}

/// The row of a decoded path: exact paths win, then the longest prefix.
pub(super) fn find(path: &[u8]) -> Option<Matched<'_>> {
    ROUTES
        .iter()
        .enumerate()
        .filter_map(|(row, route)| Some(Matched { row, route, tail: route.tail(path)? }))
        .max_by_key(|matched| matched.route.path.len())
}

/// The folder whose path this is but for the slash at its end.
pub(super) fn folder(path: &[u8]) -> Option<&'static Route> {
    let folder = |route: &&Route| route.path.as_bytes().strip_suffix(b"/") == Some(path);
    ROUTES.iter().find(folder).filter(|_| path.len() > 1)
}

#[cfg(test)]
mod tests;
