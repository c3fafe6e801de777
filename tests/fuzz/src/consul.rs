//! Consul's bodies, texts and filters.

use coord_wire::consul::check::CheckDefinition;
use coord_wire::consul::filter::{Filter, Shape, Work, shape};
use coord_wire::consul::intention::{Authorization, IntentionRequest};
use coord_wire::consul::{
    agent, catalog, config_entry, decode, duration, query, session, txn, uuid,
};

const VALUE_BYTES_MAX: usize = 512 * 1024;

/// A body; the first byte says of which endpoint.
pub(crate) fn json(input: &[u8]) {
    let Some((first, body)) = input.split_first() else { return };
    match first % 10 {
        0 => drop(agent::ServiceDefinition::parse(body)),
        1 => drop(decode::parse(body).map(CheckDefinition::take)),
        2 => drop(catalog::registration(body)),
        3 => drop(catalog::deregistration(body)),
        4 => drop(session::SessionRequest::parse(body)),
        5 => drop(txn::TxnRequest::parse(body, VALUE_BYTES_MAX)),
        6 => prepared_query(body),
        7 => drop(config_entry(body)),
        8 => drop(IntentionRequest::parse(body).map(|request| request.validate())),
        _ => drop(Authorization::parse(body).map(|asked| asked.client().map(str::to_owned))),
    }
}

/// What is kept of an entry can be set again, as tools do that copy entries.
fn config_entry(body: &[u8]) -> Option<()> {
    let entry = config_entry::config_entry(body).ok()?;
    let mut kept: serde_json::Value = serde_json::from_str(&entry.definition).ok()?;
    let fields = kept.as_object_mut()?;
    fields.insert("Kind".to_owned(), (&*entry.kind).into());
    fields.insert("Name".to_owned(), (&*entry.name).into());
    let again = config_entry::config_entry(kept.to_string().as_bytes());
    let again = again.expect("what is kept can be set again");
    assert_eq!((again.kind, again.name), (entry.kind, entry.name));
    Some(())
}

fn prepared_query(body: &[u8]) {
    let Ok(definition) = query::QueryDefinition::parse(body) else { return };
    if definition.validate().is_ok() {
        definition.stored();
        let _ = definition.rendered("geo-db-customer-primary");
    }
}

/// A duration and a UUID.
pub(crate) fn text(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(nanoseconds) = duration::parse(text) {
        assert_eq!(duration::parse(&duration::format(nanoseconds)), Ok(nanoseconds));
    }
    if let Ok(id) = uuid::parse(text) {
        assert_eq!(uuid::parse(&uuid::format(id)), Ok(id));
    }
}

/// A filter; the first byte says for rows of which shape.
pub(crate) fn filter(input: &[u8]) {
    let shapes: [&Shape; 4] = [&shape::NODE, &shape::SERVICE, &shape::CHECK, &shape::INSTANCE];
    let Some((first, text)) = input.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(filter) = Filter::compile(text, shapes[usize::from(*first) % shapes.len()]) else {
        return;
    };
    for row in [row(), serde_json::Value::Null] {
        filter.admits(&row, &Work::new(1 << 20, 1));
    }
}

/// Something of every shape, so that selectors find a value.
fn row() -> serde_json::Value {
    serde_json::json!({
        "Address": "10.0.0.1", "Datacenter": "dc1", "ID": "web-1", "Node": "a", "Service": "web",
        "Meta": {"version": "2", "": "x"}, "Port": 8080, "EnableTagOverride": true,
        "Tags": ["primary", "v2", ""], "TaggedAddresses": {"lan": {"Address": "a", "Port": 1}},
        "Connect": {"Native": false}, "Weights": {"Passing": 1, "Warning": -1},
        "Proxy": {"Upstreams": [{"DestinationName": "db", "LocalBindPort": 9000}, {}]},
        "Status": "passing", "CheckID": "c", "ServiceTags": null,
        "Checks": [{"Status": "critical", "ServiceTags": ["x"]}, {}],
    })
}
