//! The agent's registrations, the catalog and health.

use serde_json::{Value, json};

use crate::http_client::{Member, member};
use crate::score::Point;

fn register(member: &Member, body: &str) {
    member.put("/v1/agent/service/register", body).says(200, "");
}

fn catalog(member: &Member, body: &str) {
    member.put("/v1/catalog/register", body).says(200, "true");
}

fn count(member: &Member, path: &str) -> usize {
    member.json(path).as_array().unwrap_or_else(|| panic!("{path} is no list")).len()
}

/// Escapes what a query cannot hold.
fn query(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn a_registration_is_seen_everywhere() {
    let _point = Point::of("A-01");
    let member = member();
    register(&member, r#"{"Name":"web","Port":80}"#);
    assert_eq!(member.json("/v1/agent/services")["web"]["Port"], 80);
    assert_eq!(count(&member, "/v1/catalog/service/web"), 1);
    assert_eq!(count(&member, "/v1/health/service/web"), 1);
}

#[test]
fn checks_get_ids_and_begin_critical() {
    let _point = Point::of("A-02");
    let member = member();
    register(&member, r#"{"Name":"one","ID":"o1","Check":{"TTL":"60s"}}"#);
    register(
        &member,
        r#"{"Name":"two","Checks":[{"TTL":"60s"},{"TTL":"60s","Status":"passing"}]}"#,
    );
    let checks = member.json("/v1/agent/checks");
    assert_eq!(checks["service:o1"]["Name"], "Service 'one' check");
    assert_eq!(checks["service:o1"]["Status"], "critical");
    assert_eq!(checks["service:two:1"]["Status"], "critical");
    assert_eq!(checks["service:two:2"]["Status"], "passing");
}

#[test]
fn checks_outlive_a_registration_that_does_not_list_them() {
    let _point = Point::of("A-03");
    let member = member();
    register(&member, r#"{"Name":"web","Check":{"TTL":"60s","Status":"passing"}}"#);
    register(&member, r#"{"Name":"web","Port":81}"#);
    assert_eq!(member.json("/v1/agent/checks")["service:web"]["Status"], "passing");
    member
        .put("/v1/agent/service/register?replace-existing-checks", r#"{"Name":"web"}"#)
        .says(200, "");
    assert_eq!(member.json("/v1/agent/checks").get("service:web"), None);
}

#[test]
fn deregistering_what_is_not_there_is_not_found() {
    let _point = Point::of("A-08");
    let member = member();
    let reply = member.put("/v1/agent/service/deregister/x", "");
    reply.says(
        404,
        "Unknown service ID \"x\". Ensure that the service ID is passed, not the service name.",
    );
    let reply = member.put("/v1/agent/check/deregister/x", "");
    assert_eq!(reply.status, 404);
    assert!(reply.text().starts_with("Unknown check ID \"x\""), "{}", reply.text());
}

#[test]
fn maintenance_is_a_critical_check_with_a_reason() {
    let _point = Point::of("A-09");
    let member = member();
    register(&member, r#"{"Name":"web"}"#);
    member.put("/v1/agent/service/maintenance/web?enable=true&reason=why", "").says(200, "");
    let check = &member.json("/v1/agent/checks")["_service_maintenance:web"];
    assert_eq!(check["Name"], "Service Maintenance Mode");
    assert_eq!((&check["Status"], &check["Notes"]), (&json!("critical"), &json!("why")));
    member.put("/v1/agent/maintenance?enable=true", "").says(200, "");
    let check = &member.json("/v1/agent/checks")["_node_maintenance"];
    assert_eq!(check["Name"], "Node Maintenance Mode");
    assert_eq!(
        check["Notes"],
        "Maintenance mode is enabled for this node, but no reason was provided. This is a default message."
    );
    for _ in 0..2 {
        member.put("/v1/agent/maintenance?enable=false", "").says(200, "");
    }
    assert_eq!(member.json("/v1/agent/checks").get("_node_maintenance"), None);
    member.put("/v1/agent/maintenance", "").says(400, "Missing value for enable");
    member.put("/v1/agent/service/maintenance/nope?enable=true", "").says(
        404,
        "Unknown service ID \"nope\". Ensure that the service ID is passed, not the service name.",
    );
}

#[test]
fn the_health_of_a_service_is_a_status_code() {
    let _point = Point::of("A-10");
    let member = member();
    register(&member, r#"{"Name":"web","Check":{"TTL":"60s"}}"#);
    let code = |path: &str| member.get(&format!("/v1/agent/health/service/{path}")).status;
    assert_eq!(code("id/web"), 503);
    member.put("/v1/agent/check/warn/service:web", "").says(200, "");
    assert_eq!(code("id/web"), 429);
    member.put("/v1/agent/check/pass/service:web", "").says(200, "");
    assert_eq!(code("id/web"), 200);
    assert_eq!(code("name/web"), 200);
    assert_eq!(code("id/nope"), 404);
    let text = member.get("/v1/agent/health/service/id/web?format=text").ok();
    assert_eq!(text.text(), "passing");
}

#[test]
fn self_and_members_have_what_clients_read() {
    let _point = Point::of("A-11");
    let member = member();
    let own = member.json("/v1/agent/self");
    assert_eq!(own["Config"]["Datacenter"], "dc1");
    assert_eq!(own["Config"]["NodeName"], "home");
    assert_eq!(own["Config"]["Server"], true);
    assert!(own["Member"]["Addr"].is_string());
    assert_eq!(own["Stats"]["consul"]["leader"], "true");
    let list = member.json("/v1/agent/members");
    for field in [
        "Name",
        "Addr",
        "Port",
        "Tags",
        "Status",
        "ProtocolMin",
        "ProtocolMax",
        "ProtocolCur",
        "DelegateMin",
        "DelegateMax",
        "DelegateCur",
    ] {
        assert!(list[0].get(field).is_some(), "{field} in {list}");
    }
    assert_eq!(list[0]["Tags"]["role"], "consul");
}

#[test]
fn an_external_node_is_registered_whole() {
    let _point = Point::of("A-12");
    let member = member();
    catalog(
        &member,
        r#"{"Node":"ext","Address":"1.2.3.4","Service":{"Service":"db","Port":5432},
            "Check":{"Name":"alive","ServiceID":"db"}}"#,
    );
    let instance = &member.json("/v1/health/service/db")[0];
    assert_eq!(instance["Service"]["ID"], "db");
    assert_eq!(instance["Checks"][0]["CheckID"], "alive");
    assert_eq!(instance["Checks"][0]["Status"], "critical");
    member
        .put(
            "/v1/catalog/register",
            r#"{"Node":"ext","Address":"1.2.3.4","Check":{"Name":"c","ServiceID":"no"}}"#,
        )
        .says(500, "failed inserting check: Missing service registration on node \"ext\"");
}

#[test]
fn what_is_unknown_is_null_or_empty() {
    let _point = Point::of("A-13");
    let member = member();
    member.get("/v1/catalog/node/nope").says(200, "null");
    member.get("/v1/catalog/service/nope").says(200, "[]");
    member.get("/v1/health/service/nope").says(200, "[]");
    member.get("/v1/health/node/nope").says(200, "[]");
    member.get("/v1/health/state/unknown").says(200, "[]");
    member.get("/v1/catalog/node-services/nope").says(200, r#"{"Node":null,"Services":null}"#);
}

#[test]
fn passing_leaves_only_what_passes_everything() {
    let _point = Point::of("A-14");
    let member = member();
    register(&member, r#"{"Name":"web","Check":{"TTL":"60s"}}"#);
    let found = |passing: &str| count(&member, &format!("/v1/health/service/web{passing}"));
    member.put("/v1/agent/check/warn/service:web", "").says(200, "");
    assert_eq!((found(""), found("?passing"), found("?passing=false")), (1, 0, 1));
    member.put("/v1/agent/check/pass/service:web", "").says(200, "");
    assert_eq!((found("?passing"), found("?passing=1"), found("?passing=true")), (1, 1, 1));
    member.put("/v1/agent/maintenance?enable=true", "").says(200, "");
    assert_eq!(found("?passing"), 0);
    member.get("/v1/health/service/web?passing=x").says(400, "Invalid value for ?passing");
}

#[test]
fn all_tags_must_match_whatever_their_case() {
    let _point = Point::of("A-15");
    let member = member();
    register(&member, r#"{"Name":"web","ID":"w1","Tags":["A","b"]}"#);
    register(&member, r#"{"Name":"web","ID":"w2","Tags":["a"]}"#);
    for path in ["/v1/catalog/service/web", "/v1/health/service/web"] {
        assert_eq!(count(&member, &format!("{path}?tag=a")), 2);
        assert_eq!(count(&member, &format!("{path}?tag=a&tag=B")), 1);
        assert_eq!(count(&member, &format!("{path}?tag=c")), 0);
    }
}

#[test]
fn services_and_nodes_are_found_whatever_their_case() {
    let _point = Point::of("A-16");
    let member = member();
    catalog(&member, r#"{"Node":"Ext","Address":"1.2.3.4","Service":{"Service":"Db"}}"#);
    assert_eq!(count(&member, "/v1/catalog/service/dB"), 1);
    assert_eq!(count(&member, "/v1/health/service/DB"), 1);
    assert_eq!(member.json("/v1/catalog/node/eXT")["Node"]["Node"], "Ext");
}

#[test]
fn services_are_listed_with_all_their_tags() {
    let _point = Point::of("A-17");
    let member = member();
    register(&member, r#"{"Name":"web","ID":"w1","Tags":["b","a"]}"#);
    register(&member, r#"{"Name":"web","ID":"w2","Tags":["c","a"]}"#);
    member.get("/v1/catalog/services").says(200, r#"{"consul":[],"web":["a","b","c"]}"#);
}

#[test]
fn answers_are_narrowed_by_node_meta_and_filter() {
    let _point = Point::of("A-18");
    let member = member();
    catalog(
        &member,
        r#"{"Node":"ext","Address":"1.2.3.4","NodeMeta":{"rack":"7"},
            "Service":{"Service":"db","ID":"d1","Port":5432,"Tags":["x"],"Meta":{"v":"1"}},
            "Check":{"CheckID":"c","Name":"c","ServiceID":"d1","Status":"warning"}}"#,
    );
    register(&member, r#"{"Name":"db","ID":"d2","Port":1,"Check":{"TTL":"60s"}}"#);
    for path in ["/v1/catalog/nodes", "/v1/catalog/service/db", "/v1/health/service/db"] {
        assert_eq!(count(&member, &format!("{path}?near=_agent")), 2, "{path}");
        assert_eq!(count(&member, &format!("{path}?node-meta=rack:7")), 1, "{path}");
    }
    for (path, filter) in [
        ("/v1/catalog/nodes", "Meta.rack == 7"),
        ("/v1/catalog/service/db", "ServicePort == 5432 and x in ServiceTags"),
        ("/v1/health/service/db", "Checks.Status == warning and Node.Node matches `^e`"),
        ("/v1/health/service/db", "Service.Meta.v is not empty"),
        ("/v1/health/checks/db", "Status == critical"),
        ("/v1/health/state/any", "ServiceName == db and CheckID == c"),
        ("/v1/health/node/ext", "CheckID == c"),
    ] {
        assert_eq!(count(&member, &format!("{path}?filter={}", query(filter))), 1, "{filter}");
    }
    for (path, filter) in [
        ("/v1/agent/services", "Port == 1"),
        ("/v1/agent/checks", "Status == critical"),
        ("/v1/catalog/services", "ServiceName == db"),
    ] {
        let answer = member.json(&format!("{path}?filter={}", query(filter)));
        assert_eq!(answer.as_object().unwrap().len(), 1, "{filter}: {answer}");
    }
    let nothing = query("Port == 2");
    assert_eq!(
        member.json(&format!("/v1/catalog/node/ext?filter={nothing}"))["Services"],
        json!({})
    );
    let listed = member.json(&format!("/v1/catalog/node-services/ext?filter={nothing}"));
    assert_eq!(listed["Services"], json!([]));
}

#[test]
fn a_filter_that_is_none_is_refused_and_moves_no_index() {
    let member = member();
    for path in [
        "/v1/catalog/nodes",
        "/v1/catalog/services",
        "/v1/catalog/service/x",
        "/v1/catalog/connect/x",
        "/v1/catalog/node/x",
        "/v1/catalog/node-services/x",
        "/v1/health/node/x",
        "/v1/health/checks/x",
        "/v1/health/service/x",
        "/v1/health/connect/x",
        "/v1/health/state/any",
        "/v1/agent/services",
        "/v1/agent/checks",
    ] {
        member.get(&format!("{path}?filter=Bad==x")).says(
            500,
            "Failed to create boolean expression evaluator: Selector \"Bad\" is not valid",
        );
    }
    let index = member.get("/v1/catalog/nodes").index();
    assert_eq!(member.get("/v1/catalog/nodes?filter=Node==nope").ok().index(), index);
}

#[test]
fn weights_and_tagged_addresses_have_defaults() {
    let _point = Point::of("A-21");
    let member = member();
    register(&member, r#"{"Name":"web","Address":"10.1.2.3","Port":80}"#);
    let service = &member.json("/v1/health/service/web")[0]["Service"];
    assert_eq!(service["Weights"], json!({"Passing": 1, "Warning": 1}));
    assert_eq!(service["TaggedAddresses"]["lan_ipv4"], json!({"Address": "10.1.2.3", "Port": 80}));
    assert_eq!(service["TaggedAddresses"]["wan_ipv4"], json!({"Address": "10.1.2.3", "Port": 80}));
}

#[test]
fn service_meta_is_bounded() {
    let _point = Point::of("A-22");
    let member = member();
    let refused = |meta: Value| {
        let body = json!({"Name": "web", "Meta": meta}).to_string();
        let reply = member.put("/v1/agent/service/register", body);
        assert_eq!(reply.status, 400, "{}", reply.text());
        reply.text().to_owned()
    };
    assert_eq!(
        refused(json!({"consul-x": "1"})),
        "Invalid Service Meta: Couldn't load metadata pair ('consul-x', '1'): Key prefix 'consul-' is reserved for internal use"
    );
    refused(json!({"a b": "1"}));
    refused(json!({"k": "v".repeat(513)}));
    refused(json!({"k".repeat(129): "v"}));
    let many: serde_json::Map<_, _> = (0..65).map(|n| (format!("k{n}"), json!("v"))).collect();
    refused(Value::Object(many));
}

#[test]
fn own_pages_see_services_summed_up_and_nodes_with_everything_on_them() {
    let member = member();
    for (node, status, tag) in [("n1", "passing", "b"), ("n2", "warning", "a")] {
        let body = json!({"Node": node, "Address": "10.0.0.1", "NodeMeta": {"rack": "r1"},
            "Service": {"Service": "web", "Tags": [tag, "all"], "Meta": {"external-source": "k8s"}},
            "Checks": [{"Name": "c", "ServiceID": "web", "Status": status},
                       {"Name": "node", "Status": "critical"}]});
        member.put("/v1/catalog/register", body.to_string()).says(200, "true");
    }
    let services = member.get("/v1/internal/ui/services").ok();
    assert_eq!(
        services.json()[1].to_string(),
        json!({"Name": "web", "Tags": ["a", "all", "b"], "Nodes": ["n1", "n2"],
            "InstanceCount": 2, "ChecksPassing": 1, "ChecksWarning": 1, "ChecksCritical": 2,
            "ExternalSources": ["k8s"], "GatewayConfig": {}})
        .to_string()
    );
    let some = member.json("/v1/internal/ui/services?filter=Node==n2");
    assert_eq!((some.as_array().unwrap().len(), &some[0]["InstanceCount"]), (1, &json!(1)));

    let waiting = member.wait("/v1/internal/ui/node/N1", services.index(), "60s");
    member.put("/v1/catalog/deregister", r#"{"Node":"n1","CheckID":"node"}"#).ok();
    let node = waiting.end().ok().json();
    assert_eq!((&node["Node"], &node["Meta"]["rack"]), (&json!("n1"), &json!("r1")));
    assert_eq!(node["Services"][0]["Service"], "web");
    assert_eq!(node["Checks"].as_array().unwrap().len(), 1);
    let nodes = member.json("/v1/internal/ui/nodes?filter=Meta.rack==r1");
    assert_eq!((nodes.as_array().unwrap().len(), &nodes[0]), (2, &node));
    let nobody = member.get("/v1/internal/ui/node/nobody");
    nobody.says(404, "");
    assert!(nobody.index() >= 1);
}

#[test]
fn joining_is_fine_with_a_member_and_fails_with_anybody_else() {
    let member = member();
    let own = member.json("/v1/agent/members")[0]["Addr"].as_str().unwrap().to_owned();
    for address in [own.clone(), format!("{own}:8301")] {
        member.put(&format!("/v1/agent/join/{address}"), "").says(200, "");
    }
    let stranger = member.put(&format!("/v1/agent/join/{own}9"), "");
    assert_eq!(stranger.status, 500);
    assert!(stranger.text().starts_with("1 error occurred:\n\t* Failed to join "));
}

#[test]
fn joining_compares_the_port_too() {
    let member = member();
    let own = member.json("/v1/agent/self");
    let host = own["Member"]["Addr"].as_str().unwrap().to_owned();
    let join = |place: &str| member.put(&format!("/v1/agent/join/{place}"), "").status;
    assert_eq!([join(&host), join(&format!("{host}:8301"))], [200, 200]);
    assert_eq!([join(&format!("{host}:9")), join(&format!("{host}:nine"))], [500, 500]);
}

#[test]
fn weights_that_are_none_are_one_and_one() {
    let member = member();
    for weights in [
        json!({"Passing": 0, "Warning": 0}),
        json!({"Passing": -5, "Warning": 2}),
        json!({"Passing": 70_000, "Warning": 2}),
        json!({"Passing": 2, "Warning": -1}),
    ] {
        let service = json!({"Service": "w", "Weights": weights});
        let registration = json!({"Node": "n", "Address": "1.2.3.4", "Service": service});
        catalog(&member, &registration.to_string());
        let instance = &member.json("/v1/health/service/w")[0];
        assert_eq!(instance["Service"]["Weights"], json!({"Passing": 1, "Warning": 1}));
        let set = json!([{"Service": {"Verb": "set", "Node": "n", "Service": service}}]);
        let result = member.put("/v1/txn", set.to_string()).ok().json();
        let weights = &result["Results"][0]["Service"]["Weights"];
        assert_eq!(*weights, json!({"Passing": 1, "Warning": 1}));
    }
    let given =
        r#"{"Node":"n","Address":"1.2.3.4","Service":{"Service":"w","Weights":{"Passing":3}}}"#;
    catalog(&member, given);
    let row = &member.json("/v1/catalog/service/w")[0];
    assert_eq!(row["ServiceWeights"], json!({"Passing": 3, "Warning": 0}));
}

#[test]
fn a_service_without_meta_has_an_empty_object() {
    let member = member();
    catalog(&member, r#"{"Node":"n","Address":"1.2.3.4","Service":{"Service":"m"}}"#);
    assert_eq!(member.json("/v1/catalog/service/m")[0]["ServiceMeta"], json!({}));
}

#[test]
fn an_empty_tag_is_a_tag() {
    let member = member();
    catalog(&member, r#"{"Node":"n","Address":"1.2.3.4","Service":{"Service":"t","Tags":["a"]}}"#);
    for path in ["/v1/catalog/service/t", "/v1/health/service/t"] {
        assert_eq!(count(&member, &format!("{path}?tag=")), 0);
        assert_eq!(count(&member, &format!("{path}?tag")), 0);
        assert_eq!(count(&member, &format!("{path}?tag=a")), 1);
    }
    let body = r#"{"Node":"n","Address":"1.2.3.4","Service":{"Service":"t","Tags":["a",""]}}"#;
    catalog(&member, body);
    assert_eq!(count(&member, "/v1/catalog/service/t?tag="), 1);
}
