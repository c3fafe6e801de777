//! What is kept and told of a service mesh where there is none.

use coord_core::embedded::Cluster;
use serde_json::{Value, json};

use crate::http_client::{Api, LONG, Member, member, settings};

fn register(member: &Member, service: &Value) {
    member.put("/v1/agent/service/register", service.to_string()).says(200, "");
}

fn config(member: &Api, entry: &Value) {
    member.put("/v1/config", entry.to_string()).says(200, "true");
}

#[test]
fn proxies_that_are_registered_are_listed_for_their_service() {
    let member = member();
    let proxy = json!({"Service": "p", "Kind": "connect-proxy", "Port": 9,
        "Proxy": {"DestinationServiceName": "WEB"}});
    let registration = json!({"Node": "ext", "Address": "1.2.3.4", "Service": proxy});
    member.put("/v1/catalog/register", registration.to_string()).says(200, "true");
    register(&member, &json!({"Name": "native", "Connect": {"Native": true}}));

    let found = member.json("/v1/catalog/connect/web");
    assert_eq!(
        (&found[0]["ServiceID"], &found[0]["ServiceKind"]),
        (&json!("p"), &json!("connect-proxy"))
    );
    assert_eq!(found[0]["ServiceProxy"]["DestinationServiceName"], "WEB");
    assert_eq!(member.json("/v1/health/connect/Web")[0]["Service"]["ID"], "p");
    assert_eq!(
        member.json("/v1/catalog/connect/native")[0]["ServiceConnect"],
        json!({"Native": true})
    );
    assert_eq!(member.json("/v1/catalog/connect/p"), json!([]));
    assert_eq!(member.json("/v1/health/ingress/web"), json!([]));

    let usage = member.json("/v1/operator/usage")["Usage"]["dc1"].clone();
    let counted = &usage["ConnectServiceInstances"];
    assert_eq!((&counted["connect-proxy"], &counted["connect-native"]), (&json!(1), &json!(1)));
    assert_eq!(usage["BillableServiceInstances"], 1, "proxies are not counted");

    let path = "/v1/health/connect/web";
    let waiting = member.wait(path, member.get(path).index(), "60s");
    member.put("/v1/catalog/deregister", r#"{"Node":"ext","ServiceID":"p"}"#).ok();
    assert_eq!(waiting.end().ok().text(), "[]");

    let query = r#"{"Name":"q","Service":{"Service":"native","Connect":true}}"#;
    member.send("POST", "/v1/query", &[], query.as_bytes()).ok();
    let nodes = member.json("/v1/query/q/execute")["Nodes"].clone();
    assert_eq!(nodes[0]["Service"]["ID"], "native");
}

#[test]
fn a_proxy_says_what_it_stands_for() {
    let member = member();
    let proxy = json!({"Name": "p", "Kind": "connect-proxy", "Port": 9});
    let text = "1 error occurred:\n\t* Proxy.DestinationServiceName must be non-empty for Connect proxy services\n\n";
    member.put("/v1/agent/service/register", proxy.to_string()).says(400, text);
    let service = json!({"Service": "p", "Kind": "connect-proxy", "Port": 9});
    let registration = json!({"Node": "n", "Address": "1.2.3.4", "Service": service});
    member.put("/v1/catalog/register", registration.to_string()).says(500, text);
}

#[test]
fn a_sidecar_is_registered_with_its_service_and_removed_with_it() {
    let member = member();
    let web = json!({"Name": "web", "ID": "web1", "Port": 80, "Tags": ["t"],
        "Connect": {"SidecarService": {}}});
    register(&member, &web);
    let services = member.json("/v1/agent/services");
    assert!(services["web1"].get("Connect").is_none(), "{services}");
    let proxy = &services["web1-sidecar-proxy"];
    assert_eq!((&proxy["Service"], &proxy["Port"]), (&json!("web-sidecar-proxy"), &json!(21000)));
    assert_eq!(
        proxy["Proxy"],
        json!({"DestinationServiceName": "web", "DestinationServiceID": "web1",
            "LocalServiceAddress": "127.0.0.1", "LocalServicePort": 80,
            "MeshGateway": {}, "Expose": {}})
    );
    let checks = member.json("/v1/agent/checks");
    assert_eq!(checks["service:web1-sidecar-proxy:1"]["Name"], "Connect Sidecar Listening");
    assert_eq!(checks["service:web1-sidecar-proxy:2"]["Type"], "alias");
    assert_eq!(member.json("/v1/catalog/connect/web")[0]["ServiceID"], "web1-sidecar-proxy");

    // Again it has the same port, and another service's has the next.
    register(&member, &web);
    register(&member, &json!({"name": "api", "connect": {"sidecar_service": {}}}));
    let services = member.json("/v1/agent/services");
    assert_eq!(services["web1-sidecar-proxy"]["Port"], 21000);
    assert_eq!(services["api-sidecar-proxy"]["Port"], 21001);

    member.put("/v1/agent/service/deregister/web1", "").says(200, "");
    let services = member.json("/v1/agent/services");
    assert_eq!(services.as_object().unwrap().len(), 2, "{services}");
    assert_eq!(member.json("/v1/catalog/connect/web"), json!([]));
}

#[test]
fn config_entries_are_kept_and_given_back() {
    let member = member();
    config(&member, &json!({"kind": "service-defaults", "name": "web", "protocol": "HTTP"}));
    config(&member, &json!({"Kind": "proxy-defaults", "Name": "global", "Config": {"a_b": 1}}));
    let web = member.get("/v1/config/service-defaults/WEB").ok();
    let entry = web.json();
    assert_eq!((&entry["Name"], &entry["Protocol"]), (&json!("web"), &json!("http")));
    assert_eq!((&entry["MeshGateway"], &entry["Expose"]), (&json!({}), &json!({})));
    assert!(web.index() >= entry["ModifyIndex"].as_u64().unwrap());
    assert_eq!(member.json("/v1/config/").as_array().unwrap().len(), 2);
    assert_eq!(member.json("/v1/config/proxy-defaults")[0]["Config"]["a_b"], 1);
    assert_eq!(member.json("/v1/config/mesh"), json!([]));

    let put =
        |query: &str, entry: &Value| member.put(&format!("/v1/config{query}"), entry.to_string());
    let again = json!({"Kind": "service-defaults", "Name": "web", "Protocol": "tcp"});
    put("?cas=0", &again).says(200, "false");
    put(&format!("?cas={}", entry["ModifyIndex"]), &again).says(200, "true");
    put("", &json!({"Kind": "bogus", "Name": "a"}))
        .says(400, "Bad request: Request decoding failed: invalid config entry kind: bogus");
    put("", &json!({"Name": "a"})).says(
        400,
        "Bad request: Request decoding failed: Payload does not contain a kind/Kind key at the top level",
    );
    member.put("/v1/config", "").says(400, "Bad request: Request decoding failed: EOF");
    member.get("/v1/config/bogus").says(500, "invalid config entry kind: bogus");

    let path = "/v1/config/service-defaults";
    let waiting = member.wait(path, member.get(path).index(), "60s");
    member.delete("/v1/config/service-defaults/web").says(200, "{}");
    assert_eq!(waiting.end().ok().text(), "[]");
    member.delete("/v1/config/service-defaults/web").says(200, "{}");
    member.delete("/v1/config/bogus/x").says(400, "invalid config entry kind: bogus");
    member.delete("/v1/config/mesh").says(404, "Must provide both a kind and name to delete");
    let gone = member.get("/v1/config/service-defaults/web");
    gone.says(404, "Config entry not found for \"service-defaults\" / \"web\"");
    assert!(gone.index() > 1);
}

#[test]
fn intentions_are_kept_and_decide_what_is_authorized() {
    let member = member();
    let post = |one: &Value| {
        member.send("POST", "/v1/connect/intentions", &[], one.to_string().as_bytes())
    };
    let deny = json!({"SourceName": "web", "DestinationName": "db", "Action": "deny"});
    let id = post(&deny).ok().json()["ID"].as_str().unwrap().to_owned();
    let any =
        json!({"SourceName": "*", "DestinationName": "db", "Action": "allow", "Meta": {"a": "b"}});
    post(&any).ok();
    let same = format!(
        "duplicate intention found: DENY default/web => default/db (ID: {id}, Precedence: 9)"
    );
    post(&deny).says(500, &same);
    post(&json!({"ID": id, "SourceName": "x", "DestinationName": "y", "Action": "allow"}))
        .says(500, "ID must be empty when creating a new intention");
    post(&json!({"SourceName": "x", "DestinationName": "y", "Action": "allow", "SourceType": "z"}))
        .says(500, "1 error occurred:\n\t* SourceType must be set to 'consul'\n\n");
    post(&json!({"SourceName": "a", "DestinationName": "b"}))
        .says(500, "1 error occurred:\n\t* Action must be set to 'allow' or 'deny'\n\n");

    let all = member.json("/v1/connect/intentions");
    assert_eq!((&all[0]["Precedence"], &all[1]["Precedence"]), (&json!(9), &json!(8)));
    assert_eq!((&all[0]["SourceNS"], &all[1]["Meta"]), (&json!("default"), &json!({"a": "b"})));
    let matched = member.json("/v1/connect/intentions/match?by=source&name=web&name=x");
    assert_eq!(matched["web"].as_array().unwrap().len(), 2);
    assert_eq!(matched["x"].as_array().unwrap().len(), 1);

    let check = |source: &str| {
        let path = format!("/v1/connect/intentions/check?source={source}&destination=db");
        member.json(&path)["Allowed"].clone()
    };
    assert_eq!((check("web"), check("x")), (json!(false), json!(true)));
    let authorize = |target: &str, client: &str| {
        let uri = format!("spiffe://x.consul/ns/default/dc/dc1/svc/{client}");
        let body = json!({"Target": target, "ClientCertURI": uri, "ClientCertSerial": "1"});
        let body = body.to_string();
        member.send("POST", "/v1/agent/connect/authorize", &[], body.as_bytes()).ok().json()
    };
    let yes = json!({"Authorized": true, "Reason": "Default behavior configured by ACLs"});
    assert_eq!(authorize("other", "web"), yes);
    assert_eq!(authorize("db", "web")["Authorized"], false);
    member
        .send("POST", "/v1/agent/connect/authorize", &[], b"{}")
        .says(400, "Bad request: Target service must be specified");

    let path = format!("/v1/connect/intentions/{id}");
    let allow = json!({"SourceName": "web", "DestinationName": "db", "Action": "allow"});
    assert_eq!(member.put(&path, allow.to_string()).ok().json()["ID"], id.as_str());
    assert_eq!(member.json(&path)["Action"], "allow");
    member.delete(&path).says(200, "true");
    member.get(&path).says(404, "Intention not found");
    assert_eq!(member.delete(&path).status, 500);

    let exact = "/v1/connect/intentions/exact?source=default/web&destination=api";
    member.put(exact, r#"{"Action":"deny"}"#).says(200, "true");
    member.put(exact, r#"{"Action":"allow"}"#).says(200, "true");
    assert_eq!(member.json(exact)["Action"], "allow");
    member.delete(exact).says(200, "true");
    member.get(exact).says(404, "Intention not found");
}

#[test]
fn config_entries_and_intentions_are_on_every_member_and_in_every_archive() {
    let cluster = Cluster::start(3, &settings(), LONG).unwrap();
    let members: Vec<_> = cluster.servers().iter().map(Api::of).collect();
    config(&members[0], &json!({"Kind": "service-defaults", "Name": "web", "Protocol": "grpc"}));
    let one = json!({"SourceName": "web", "DestinationName": "db", "Action": "deny"}).to_string();
    members[1].send("POST", "/v1/connect/intentions", &[], one.as_bytes()).ok();
    for member in &members {
        let path = "/v1/config/service-defaults/web?consistent";
        assert_eq!(member.json(path)["Protocol"], "grpc");
        let all = member.json("/v1/connect/intentions?consistent");
        assert_eq!(all.as_array().unwrap().len(), 1);
    }
    let archive = members[0].get("/v1/snapshot").ok().body;
    members[0].delete("/v1/config/service-defaults/web").ok();
    members[0].put("/v1/snapshot", archive).says(200, "");
    let restored = members[2].json("/v1/config/service-defaults/web?consistent");
    assert_eq!(restored["Protocol"], "grpc");
}
