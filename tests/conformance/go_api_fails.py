"""Which of the own tests of Consul's client for Go fail on members of ours, and why."""

FAILS = {
    "access rules: there are none yet": [
        "TestAPI_ACLReplication", "TestAPI_ACLPolicy_CreateReadDelete", "TestAPI_ACLPolicy_CreateReadByNameDelete",
        "TestAPI_ACLPolicy_CreateUpdate", "TestAPI_ACLPolicy_List", "TestAPI_ACLBootstrap",
        "TestAPI_ACLToken_CreateReadDelete", "TestAPI_ACLToken_CreateUpdate", "TestAPI_ACLToken_List",
        "TestAPI_ACLToken_ListFiltered", "TestAPI_ACLToken_Clone", "TestAPI_AuthMethod_List",
        "TestAgent_ServiceRegisterOpts_Token", "TestAPI_AgentUpdateToken", "TestAPI_Peering_ACLDeny",
        "TestAPI_Snapshot_Options",
    ],
    "certificates of a mesh: there is none": [
        "TestAPI_AgentConnectCARoots_list", "TestAPI_AgentConnectCALeaf", "TestAPI_ConnectCARoots_list",
        "TestAPI_ConnectCAConfig_get_set", "TestAPI_DiscoveryChain_Get",
    ],
    "gateways and virtual addresses: nobody acts on config entries": [
        "TestAPI_CatalogGatewayServices_Terminating", "TestAPI_CatalogGatewayServices_Ingress",
        "TestAPI_HealthIngress", "TestAPI_Internal_AssignServiceVirtualIP",
    ],
    "other clusters: there is no peering": [
        "TestAPI_Peering_Read_ErrorHandling", "TestAPI_Peering_List", "TestAPI_Peering_GenerateToken_ExternalAddresses",
        "TestAPI_Peering_GenerateToken_Read_Establish_Delete",
    ],
    "files that the module does not carry: certificates of Consul's repository": [
        "TestAPI_SetupTLSConfig", "TestAPI_ClientTLSOptions",
    ],
    "a setting that is not here: HTTP on a Unix socket, metadata of the own node": [
        "TestAPI_UnixSocket", "TestAPI_CatalogNodes_MetaFilter", "TestAPI_CatalogServices_NodeMetaFilter",
        "TestAPI_CatalogServices_FilterExpr_NodeMeta", "TestAPI_CatalogService_NodeMetaFilter",
        "TestAPI_HealthChecks_NodeMetaFilter", "TestAPI_HealthService_NodeMetaFilter",
        "TestAPI_HealthState_NodeMetaFilter",
    ],
    "agents that join a running one: members are named in the settings": [
        "TestAPI_AgentMembersOpts", "TestAPI_AgentJoin", "TestAPI_AgentLeave",
        "TestAPI_OperatorRaftRemovePeerByAddress", "TestAPI_OperatorRaftRemovePeerByID",
        "TestAPI_OperatorRaftLeaderTransfer",
    ],
    "a service's locality is taken and not given back": [
        "TestAPI_AgentServiceAndReplaceChecks", "TestAPI_AgentServices", "TestAPI_CatalogService_SingleTag",
    ],
    "the hash of a registration is our own": ["TestAPI_AgentService"],
    "a check set by a transaction has its id for a name, if it has none, and no kind of its own": ["TestAPI_ClientTxn"],
    "what a config entry leaves out is not filled in": ["TestAPI_ConfigEntries_IngressGateway"],
    "an intention without metadata has an empty map, as in Consul 1.8": [
        "TestAPI_ConnectIntentionCreateListGetUpdateDelete",
    ],
    "autopilot removes no dead members unless it is told to": [
        "TestAPI_OperatorAutopilotGetSetConfiguration", "TestAPI_OperatorAutopilotCASConfiguration",
    ],
    "a cache of the agent: every answer is fresh": ["TestAPI_CatalogServiceCached"],
    "settings are not read again at a reload": ["TestAPI_AgentReload"],
    "gossip and its keys: there is none": ["TestAPI_OperatorKeyringInstallListPutRemove"],
    "profiles of a Go program": [
        "TestAPI_DebugHeap", "TestAPI_DebugProfile", "TestAPI_DebugGoroutine", "TestAPI_DebugTrace",
    ],
}
