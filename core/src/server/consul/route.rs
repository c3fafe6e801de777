//! Which endpoint a path means. Exact paths win, then the longest prefix.

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    Kv,
    Txn,
    SessionCreate,
    SessionDestroy,
    SessionRenew,
    SessionInfo,
    SessionNode,
    SessionList,
    CatalogRegister,
    CatalogDeregister,
    CatalogDatacenters,
    CatalogNodes,
    CatalogServices,
    CatalogService,
    CatalogConnect,
    CatalogNode,
    CatalogNodeServices,
    CatalogGatewayServices,
    HealthNode,
    HealthChecks,
    HealthService,
    HealthConnect,
    HealthIngress,
    HealthState,
    AgentSelf,
    AgentVersion,
    AgentMembers,
    AgentServices,
    AgentService,
    AgentServiceRegister,
    AgentServiceDeregister,
    AgentServiceMaintenance,
    AgentMaintenance,
    AgentChecks,
    AgentCheckRegister,
    AgentCheckDeregister,
    AgentCheckPass,
    AgentCheckWarn,
    AgentCheckFail,
    AgentCheckUpdate,
    AgentHealthById,
    AgentHealthByName,
    AgentJoin,
    AgentLeave,
    AgentForceLeave,
    AgentReload,
    AgentMetrics,
    AgentMetricsStream,
    AgentMonitor,
    AgentHost,
    StatusLeader,
    StatusPeers,
    EventFire,
    EventList,
    QueryList,
    Query,
    CoordinateDatacenters,
    CoordinateNodes,
    CoordinateNode,
    CoordinateUpdate,
    Snapshot,
    RaftConfiguration,
    RaftPeer,
    RaftTransferLeader,
    AutopilotConfiguration,
    AutopilotHealth,
    AutopilotState,
    OperatorUsage,
    Keyring,
    InternalNode,
    InternalNodes,
    InternalServices,
    Graph,
    GraphService,
    ConfigEntries,
    ConnectAuthorize,
    ConnectDisabled,
    Intentions,
    NoneOfThem,
    Acl,
    Root,
    Ui,
}

/// A path, or with a slash at its end everything below it.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) path: &'static str,
    /// As registered: also the order in which `Allow` tells them.
    pub(super) methods: &'static [&'static str],
    pub(super) endpoint: Endpoint,
}

const GET: &[&str] = &["GET"];
const PUT: &[&str] = &["PUT"];
const ANY: &[&str] = &["GET", "PUT", "POST", "DELETE"];

const fn route(path: &'static str, methods: &'static [&'static str], endpoint: Endpoint) -> Route {
    Route { path, methods, endpoint }
}

const ROUTES: &[Route] = &[
    route("/v1/kv/", &["GET", "PUT", "DELETE"], Endpoint::Kv),
    route("/v1/txn", PUT, Endpoint::Txn),
    route("/v1/session/create", PUT, Endpoint::SessionCreate),
    route("/v1/session/destroy/", PUT, Endpoint::SessionDestroy),
    route("/v1/session/renew/", PUT, Endpoint::SessionRenew),
    route("/v1/session/info/", GET, Endpoint::SessionInfo),
    route("/v1/session/node/", GET, Endpoint::SessionNode),
    route("/v1/session/list", GET, Endpoint::SessionList),
    route("/v1/catalog/register", PUT, Endpoint::CatalogRegister),
    route("/v1/catalog/deregister", PUT, Endpoint::CatalogDeregister),
    route("/v1/catalog/datacenters", GET, Endpoint::CatalogDatacenters),
    route("/v1/catalog/nodes", GET, Endpoint::CatalogNodes),
    route("/v1/catalog/services", GET, Endpoint::CatalogServices),
    route("/v1/catalog/service/", GET, Endpoint::CatalogService),
    route("/v1/catalog/connect/", GET, Endpoint::CatalogConnect),
    route("/v1/catalog/node/", GET, Endpoint::CatalogNode),
    route("/v1/catalog/node-services/", GET, Endpoint::CatalogNodeServices),
    route("/v1/catalog/gateway-services/", GET, Endpoint::CatalogGatewayServices),
    route("/v1/health/node/", GET, Endpoint::HealthNode),
    route("/v1/health/checks/", GET, Endpoint::HealthChecks),
    route("/v1/health/service/", GET, Endpoint::HealthService),
    route("/v1/health/connect/", GET, Endpoint::HealthConnect),
    route("/v1/health/ingress/", GET, Endpoint::HealthIngress),
    route("/v1/health/state/", GET, Endpoint::HealthState),
    route("/v1/agent/self", GET, Endpoint::AgentSelf),
    route("/v1/agent/version", GET, Endpoint::AgentVersion),
    route("/v1/agent/members", GET, Endpoint::AgentMembers),
    route("/v1/agent/services", GET, Endpoint::AgentServices),
    route("/v1/agent/service/", GET, Endpoint::AgentService),
    route("/v1/agent/service/register", PUT, Endpoint::AgentServiceRegister),
    route("/v1/agent/service/deregister/", PUT, Endpoint::AgentServiceDeregister),
    route("/v1/agent/service/maintenance/", PUT, Endpoint::AgentServiceMaintenance),
    route("/v1/agent/maintenance", PUT, Endpoint::AgentMaintenance),
    route("/v1/agent/checks", GET, Endpoint::AgentChecks),
    route("/v1/agent/check/register", PUT, Endpoint::AgentCheckRegister),
    route("/v1/agent/check/deregister/", PUT, Endpoint::AgentCheckDeregister),
    route("/v1/agent/check/pass/", PUT, Endpoint::AgentCheckPass),
    route("/v1/agent/check/warn/", PUT, Endpoint::AgentCheckWarn),
    route("/v1/agent/check/fail/", PUT, Endpoint::AgentCheckFail),
    route("/v1/agent/check/update/", PUT, Endpoint::AgentCheckUpdate),
    route("/v1/agent/health/service/id/", GET, Endpoint::AgentHealthById),
    route("/v1/agent/health/service/name/", GET, Endpoint::AgentHealthByName),
    route("/v1/agent/join/", PUT, Endpoint::AgentJoin),
    route("/v1/agent/leave", PUT, Endpoint::AgentLeave),
    route("/v1/agent/force-leave/", PUT, Endpoint::AgentForceLeave),
    route("/v1/agent/reload", PUT, Endpoint::AgentReload),
    route("/v1/agent/metrics", GET, Endpoint::AgentMetrics),
    route("/v1/agent/metrics/stream", GET, Endpoint::AgentMetricsStream),
    route("/v1/agent/monitor", GET, Endpoint::AgentMonitor),
    route("/v1/agent/host", GET, Endpoint::AgentHost),
    route("/v1/agent/connect/authorize", &["POST"], Endpoint::ConnectAuthorize),
    route("/v1/agent/connect/ca/roots", GET, Endpoint::ConnectDisabled),
    route("/v1/agent/connect/ca/leaf/", GET, Endpoint::ConnectDisabled),
    route("/v1/agent/token/", PUT, Endpoint::Acl),
    route("/v1/status/leader", GET, Endpoint::StatusLeader),
    route("/v1/status/peers", GET, Endpoint::StatusPeers),
    route("/v1/event/fire/", PUT, Endpoint::EventFire),
    route("/v1/event/list", GET, Endpoint::EventList),
    route("/v1/query", &["GET", "POST"], Endpoint::QueryList),
    route("/v1/query/", &["GET", "PUT", "DELETE"], Endpoint::Query),
    route("/v1/coordinate/datacenters", GET, Endpoint::CoordinateDatacenters),
    route("/v1/coordinate/nodes", GET, Endpoint::CoordinateNodes),
    route("/v1/coordinate/node/", GET, Endpoint::CoordinateNode),
    route("/v1/coordinate/update", PUT, Endpoint::CoordinateUpdate),
    route("/v1/snapshot", &["GET", "PUT"], Endpoint::Snapshot),
    route("/v1/operator/raft/configuration", GET, Endpoint::RaftConfiguration),
    route("/v1/operator/raft/peer", &["DELETE"], Endpoint::RaftPeer),
    route("/v1/operator/raft/transfer-leader", &["POST", "PUT"], Endpoint::RaftTransferLeader),
    route(
        "/v1/operator/autopilot/configuration",
        &["GET", "PUT"],
        Endpoint::AutopilotConfiguration,
    ),
    route("/v1/operator/autopilot/health", GET, Endpoint::AutopilotHealth),
    route("/v1/operator/autopilot/state", GET, Endpoint::AutopilotState),
    route("/v1/operator/usage", GET, Endpoint::OperatorUsage),
    route("/v1/operator/keyring", ANY, Endpoint::Keyring),
    route("/v1/config", PUT, Endpoint::ConfigEntries),
    route("/v1/config/", &["GET", "DELETE"], Endpoint::ConfigEntries),
    route("/v1/connect/ca/configuration", &["GET", "PUT"], Endpoint::ConnectDisabled),
    route("/v1/connect/ca/roots", GET, Endpoint::ConnectDisabled),
    route("/v1/connect/intentions", &["GET", "POST"], Endpoint::Intentions),
    route("/v1/connect/intentions/", &["GET", "PUT", "DELETE"], Endpoint::Intentions),
    route("/v1/discovery-chain/", &["GET", "POST"], Endpoint::ConnectDisabled),
    route("/v1/exported-services", GET, Endpoint::NoneOfThem),
    route("/v1/imported-services", GET, Endpoint::NoneOfThem),
    route("/v1/peerings", GET, Endpoint::NoneOfThem),
    route("/v1/internal/ui/node/", GET, Endpoint::InternalNode),
    route("/v1/internal/ui/nodes", GET, Endpoint::InternalNodes),
    route("/v1/internal/ui/services", GET, Endpoint::InternalServices),
    route("/v1/coord/graph", GET, Endpoint::Graph),
    route("/v1/coord/graph/", GET, Endpoint::GraphService),
    route("/v1/internal/federation-states", GET, Endpoint::NoneOfThem),
    route("/v1/acl/", ANY, Endpoint::Acl),
    route("/v1/internal/acl/authorize", &["POST"], Endpoint::Acl),
    route("/", GET, Endpoint::Root),
    route("/ui/", GET, Endpoint::Ui),
];

impl Endpoint {
    /// Whether a read of it may be a blocking query.
    pub(super) fn can_wait(self) -> bool {
        matches!(
            self,
            Self::Kv
                | Self::SessionInfo
                | Self::SessionNode
                | Self::SessionList
                | Self::CatalogNodes
                | Self::CatalogServices
                | Self::CatalogService
                | Self::CatalogConnect
                | Self::CatalogNode
                | Self::CatalogNodeServices
                | Self::CatalogGatewayServices
                | Self::HealthNode
                | Self::HealthChecks
                | Self::HealthService
                | Self::HealthConnect
                | Self::HealthIngress
                | Self::HealthState
                | Self::ConfigEntries
                | Self::Intentions
                | Self::EventList
                | Self::QueryList
                | Self::Query
                | Self::CoordinateNodes
                | Self::CoordinateNode
                | Self::InternalNode
                | Self::InternalNodes
                | Self::InternalServices
                | Self::Graph
                | Self::GraphService
        )
    }

    /// What it answers about a peer that there is none of, where peers can be asked for.
    pub(super) fn nothing_of_a_peer(self) -> Option<&'static str> {
        match self {
            Self::CatalogNodes
            | Self::CatalogService
            | Self::CatalogConnect
            | Self::HealthNode
            | Self::HealthChecks
            | Self::HealthService
            | Self::HealthConnect
            | Self::HealthIngress
            | Self::HealthState
            | Self::InternalNodes
            | Self::InternalServices => Some("[]"),
            Self::CatalogServices => Some("{}"),
            Self::CatalogNode | Self::InternalNode => Some("null"),
            Self::CatalogNodeServices => Some(r#"{"Node":null,"Services":null}"#),
            _ => None,
        }
    }

    /// Whether Consul's agent caches it where `?cached` allows.
    pub(super) fn is_cacheable(self) -> bool {
        matches!(
            self,
            Self::CatalogDatacenters
                | Self::CatalogServices
                | Self::CatalogService
                | Self::CatalogConnect
                | Self::HealthService
                | Self::HealthConnect
                | Self::Query
        )
    }
}

impl Route {
    /// The route of a decoded path, and what follows it.
    pub(super) fn find(path: &[u8]) -> Option<(&'static Self, &[u8])> {
        let exact = ROUTES.iter().find(|route| route.path.as_bytes() == path);
        if let Some(route) = exact {
            return Some((route, b""));
        }
        ROUTES
            .iter()
            .filter(|route| route.path.ends_with('/') && route.path != "/")
            .filter_map(|route| Some((route, path.strip_prefix(route.path.as_bytes())?)))
            .max_by_key(|(route, _)| route.path.len())
    }

    /// The folder whose path this is but for the slash at its end.
    pub(super) fn folder(path: &[u8]) -> Option<&'static Self> {
        let folder = |route: &&Self| route.path.as_bytes().strip_suffix(b"/") == Some(path);
        ROUTES.iter().find(folder).filter(|_| path.len() > 1)
    }

    /// As the `Allow` header tells them.
    pub(super) fn allow(&self) -> String {
        format!("OPTIONS,{}", self.methods.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str) -> Option<(Endpoint, String)> {
        Route::find(path.as_bytes())
            .map(|(route, rest)| (route.endpoint, String::from_utf8_lossy(rest).into_owned()))
    }

    #[test]
    fn exact_paths_win_over_prefixes_and_long_prefixes_over_short_ones() {
        assert_eq!(
            found("/v1/agent/service/register"),
            Some((Endpoint::AgentServiceRegister, String::new()))
        );
        assert_eq!(found("/v1/agent/service/web"), Some((Endpoint::AgentService, "web".into())));
        assert_eq!(
            found("/v1/agent/service/deregister/a/b"),
            Some((Endpoint::AgentServiceDeregister, "a/b".into()))
        );
    }

    #[test]
    fn keys_are_taken_verbatim() {
        assert_eq!(found("/v1/kv/a//b/../c/"), Some((Endpoint::Kv, "a//b/../c/".into())));
        assert_eq!(found("/v1/kv/"), Some((Endpoint::Kv, String::new())));
    }

    #[test]
    fn unknown_paths_have_no_route() {
        assert_eq!(found("/v1/nope"), None);
        assert_eq!(found("/v1/txn/x"), None);
        assert_eq!(found("/nope"), None);
    }

    #[test]
    fn of_a_peer_nothing_is_told_and_keys_do_not_know_any() {
        let nothing =
            |path: &str| Route::find(path.as_bytes()).unwrap().0.endpoint.nothing_of_a_peer();
        assert_eq!(nothing("/v1/health/service/web"), Some("[]"));
        assert_eq!(nothing("/v1/catalog/services"), Some("{}"));
        assert_eq!(nothing("/v1/kv/a"), None);
    }

    #[test]
    fn allow_lists_options_first_and_the_rest_as_registered() {
        let (route, _) = Route::find(b"/v1/kv/x").unwrap();
        assert_eq!(route.allow(), "OPTIONS,GET,PUT,DELETE");
    }
}
