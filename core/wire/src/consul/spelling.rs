//! Names of fields, spelled as Consul spells them.
//!
//! Config entries and proxies are kept as JSON and given back. Clients write their
//! fields in several spellings (`mesh_gateway`, `meshgateway`, `MeshGateway`) and read
//! one, so it is that one which is kept. What the fields hold is not looked at.

use serde_json::{Map, Value};

/// The same object with its fields spelled as Consul spells them, without those that
/// are null. What a user names himself stays: the inside of `Config` and of `Meta`, the
/// names of subsets.
pub(super) fn canonical(fields: Map<String, Value>) -> Map<String, Value> {
    let spelled = fields.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| {
        let name = spelled(&name);
        let value = match &*name {
            "Config" | "EnvoyExtensions" | "Meta" | "Arguments" => value,
            "Subsets" | "Failover" | "Add" | "Set" | "Providers" => by_name(value),
            _ => inside(value),
        };
        (name, value)
    });
    spelled.collect()
}

fn inside(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(canonical(fields)),
        Value::Array(items) => Value::Array(items.into_iter().map(inside).collect()),
        other => other,
    }
}

/// An object whose names are a user's, but not what is inside of them.
fn by_name(value: Value) -> Value {
    match value {
        Value::Object(named) => {
            Value::Object(named.into_iter().map(|(name, value)| (name, inside(value))).collect())
        }
        other => inside(other),
    }
}

/// Words that are written in capitals, and words of several that are written as one.
const WORDS: &[(&str, &str)] = &[
    ("acl", "ACL"),
    ("ca", "CA"),
    ("connecttimeout", "ConnectTimeout"),
    ("defaultsubset", "DefaultSubset"),
    ("destinationname", "DestinationName"),
    ("destinationserviceid", "DestinationServiceID"),
    ("destinationservicename", "DestinationServiceName"),
    ("destinationtype", "DestinationType"),
    ("externalsni", "ExternalSNI"),
    ("grpc", "GRPC"),
    ("http", "HTTP"),
    ("id", "ID"),
    ("jwt", "JWT"),
    ("localbindaddress", "LocalBindAddress"),
    ("localbindport", "LocalBindPort"),
    ("localserviceaddress", "LocalServiceAddress"),
    ("localserviceport", "LocalServicePort"),
    ("meshgateway", "MeshGateway"),
    ("servicesubset", "ServiceSubset"),
    ("sni", "SNI"),
    ("tls", "TLS"),
    ("transparentproxy", "TransparentProxy"),
    ("upstreamconfig", "UpstreamConfig"),
    ("url", "URL"),
];

/// A field's name as Consul spells it. One with a capital at its beginning is one
/// already, whatever it is: newer versions have others.
fn spelled(name: &str) -> String {
    if name.starts_with(|c: char| c.is_ascii_uppercase()) && !name.contains('_') {
        return name.to_owned();
    }
    let words = name.split('_').filter(|word| !word.is_empty());
    words
        .map(|word| {
            let known = WORDS.iter().find(|(plain, _)| word.eq_ignore_ascii_case(plain));
            known.map_or_else(|| capitalised(word), |(_, spelled)| (*spelled).to_owned())
        })
        .collect()
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(given: Value) -> Value {
        inside(given)
    }

    #[test]
    fn every_spelling_of_a_field_becomes_consuls() {
        let given = serde_json::json!({"mesh_gateway": {"mode": "local"}, "external_sni": "x",
            "protocol": "tcp", "NewerField": 1, "upstreams": [{"destination_name": "db"}],
            "gone": null});
        let spelled = serde_json::json!({"MeshGateway": {"Mode": "local"}, "ExternalSNI": "x",
            "Protocol": "tcp", "NewerField": 1, "Upstreams": [{"DestinationName": "db"}]});
        assert_eq!(kept(given), spelled);
    }

    #[test]
    fn what_a_user_names_stays_as_it_is() {
        let given = serde_json::json!({"config": {"a_b": {"c_d": 1}}, "meta": {"e_f": "g"},
            "subsets": {"v_1": {"only_passing": true}}});
        let spelled = serde_json::json!({"Config": {"a_b": {"c_d": 1}}, "Meta": {"e_f": "g"},
            "Subsets": {"v_1": {"OnlyPassing": true}}});
        assert_eq!(kept(given), spelled);
    }
}
