use super::*;
use crate::consul::json;

fn node() -> CatalogNode {
    let registered =
        NewNode { name: "ext".into(), address: "1.2.3.4".into(), ..NewNode::default() };
    CatalogNode { registered, create_index: 11, modify_index: 11 }
}

fn instance() -> CatalogService {
    let registered = NewService {
        id: "web1".into(),
        name: "web".into(),
        meta: Some(BTreeMap::new()),
        port: 80,
        ..NewService::default()
    };
    CatalogService { node: "ext".into(), registered, create_index: 12, modify_index: 13 }
}

fn text<T: Serialize>(value: &T) -> String {
    String::from_utf8(json::encode(value, false)).unwrap()
}

#[test]
fn a_node_without_maps_prints_nulls() {
    assert_eq!(
        text(&NodeAnswer::new(&node(), "dc1")),
        r#"{"ID":"","Node":"ext","Address":"1.2.3.4","Datacenter":"dc1","TaggedAddresses":null,"Meta":null,"CreateIndex":11,"ModifyIndex":11}"#
    );
}

#[test]
fn a_service_with_its_node_keeps_consuls_order() {
    assert_eq!(
        text(&ServiceNodeAnswer::new(&node(), &instance(), "dc1")),
        r#"{"ID":"","Node":"ext","Address":"1.2.3.4","Datacenter":"dc1","TaggedAddresses":null,"NodeMeta":null,"ServiceKind":"","ServiceID":"web1","ServiceName":"web","ServiceTags":[],"ServiceAddress":"","ServiceWeights":{"Passing":1,"Warning":1},"ServiceMeta":{},"ServicePort":80,"ServiceSocketPath":"","ServiceEnableTagOverride":false,"ServiceProxy":{"MeshGateway":{},"Expose":{}},"ServiceConnect":{},"CreateIndex":12,"ModifyIndex":13}"#
    );
}

#[test]
fn a_service_without_its_node_keeps_consuls_order() {
    let mut service = instance();
    service
        .registered
        .tagged_addresses
        .insert("lan".into(), TaggedAddress { address: "10.0.0.1".into(), port: 81 });
    service.registered.meta = None;
    assert_eq!(
        text(&NodeServiceAnswer::from(&service)),
        r#"{"ID":"web1","Service":"web","Tags":[],"Address":"","TaggedAddresses":{"lan":{"Address":"10.0.0.1","Port":81}},"Meta":null,"Port":80,"Weights":{"Passing":1,"Warning":1},"EnableTagOverride":false,"Proxy":{"MeshGateway":{},"Expose":{}},"Connect":{},"CreateIndex":12,"ModifyIndex":13}"#
    );
}

#[test]
fn an_unknown_node_has_two_nulls() {
    assert_eq!(text(&NodeServiceList::default()), r#"{"Node":null,"Services":null}"#);
}

#[test]
fn a_registration_takes_check_and_checks_and_a_write_request() {
    let request = registration(
        br#"{"node":"ext","address":"1.2.3.4","nodemeta":{"a":"b"},
            "service":{"Service":"web","Port":80,"Weights":{"Passing":3,"Warning":1}},
            "check":{"Name":"c1"},"checks":[{"CheckID":"c2","Status":"passing","Node":"ext"}],
            "WriteRequest":{"Token":"t"}}"#,
    )
    .unwrap();
    let registration = request.registration;
    assert_eq!(&*registration.node.name, "ext");
    assert_eq!(registration.services[0].weights.passing, 3);
    assert_eq!(registration.checks.len(), 2);
    assert_eq!(registration.checks[0].status, coord_state::consul::CheckStatus::Critical);
    assert_eq!(request.check_nodes, ["", "ext"]);
}

#[test]
fn a_registration_refuses_unknown_fields() {
    let error = registration(br#"{"Node":"x","Adress":"y"}"#).unwrap_err();
    assert_eq!(error.to_string(), "json: unknown field \"Adress\"");
}

#[test]
fn a_deregistration_names_at_most_one_thing_on_the_node() {
    let request = deregistration(br#"{"Node":"ext","serviceid":"web1"}"#).unwrap();
    assert_eq!((&*request.service_id, &*request.check_id), ("web1", ""));
}
