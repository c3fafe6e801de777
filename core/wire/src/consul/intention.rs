//! `/v1/connect/intentions`: intentions as sent, stored and printed.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use coord_state::consul::{Intention, IntentionId, NewIntention};
use serde::{Deserialize, Serialize};

use super::decode::{DecodeError, Fields};
use super::uuid;

/// Everybody.
pub const ANY: &str = "*";

/// Consul's limits on metadata; a description may be as long as a value.
const META_MAX: usize = 64;
const META_KEY_BYTES_MAX: usize = 128;
const META_VALUE_BYTES_MAX: usize = 512;
/// Consul has no limit on names here.
const NAME_BYTES_MAX: usize = 512;

/// What is kept of an intention beside its services.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct IntentionDefinition {
    /// For people.
    pub description: String,
    /// `allow` or `deny`.
    pub action: String,
    /// For clients.
    pub meta: BTreeMap<String, String>,
}

/// An intention as asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntentionRequest {
    /// As given: empty for one that is to be made.
    pub id: String,
    /// Who may connect.
    pub source: String,
    /// To whom.
    pub destination: String,
    /// `consul`, or empty for that.
    pub source_type: String,
    /// The rest.
    pub definition: IntentionDefinition,
}

impl IntentionRequest {
    /// Reads a body.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields::parse(body, "structs.Intention")?;
        fields.take_scope()?;
        for name in ["SourceNS", "DestinationNS", "SourcePartition", "DestinationPartition"] {
            let scope = fields.string(name)?;
            if !matches!(&*scope, "" | "default" | ANY) {
                return Err(DecodeError::new(format!(
                    "{name} {scope:?} - Namespaces are a Consul Enterprise feature"
                )));
            }
        }
        let request = Self {
            id: fields.string("ID")?,
            source_type: fields.string("SourceType")?,
            source: fields.string("SourceName")?,
            destination: fields.string("DestinationName")?,
            definition: IntentionDefinition {
                description: fields.string("Description")?,
                action: fields.string("Action")?,
                meta: fields.string_map("Meta")?.unwrap_or_default(),
            },
        };
        for name in [
            "SourcePeer",
            "SourceSamenessGroup",
            "DefaultAddr",
            "DefaultPort",
            "Precedence",
            "CreatedAt",
            "UpdatedAt",
            "Hash",
            "CreateIndex",
            "ModifyIndex",
        ] {
            fields.raw(name);
        }
        fields.finish()?;
        Ok(request)
    }

    /// What is wrong with it, in Consul's words.
    ///
    /// # Errors
    /// All of it.
    pub fn validate(&self) -> Result<(), String> {
        let mut problems = Vec::new();
        for (name, value) in [("SourceName", &self.source), ("DestinationName", &self.destination)]
        {
            if value.is_empty() {
                problems.push(format!("{name} must be set"));
            } else if value.contains(ANY) && value != ANY {
                problems.push(format!(
                    "{name}: wildcard character '*' cannot be used with partial values"
                ));
            }
        }
        problems.extend(self.too_long());
        if !matches!(&*self.definition.action, "allow" | "deny") {
            problems.push("Action must be set to 'allow' or 'deny'".to_owned());
        }
        if !matches!(&*self.source_type, "" | "consul") {
            problems.push("SourceType must be set to 'consul'".to_owned());
        }
        errors_occurred(&problems).map_or(Ok(()), Err)
    }

    /// What is longer than every member should have to keep.
    fn too_long(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for (name, value) in [("SourceName", &self.source), ("DestinationName", &self.destination)]
        {
            if value.len() > NAME_BYTES_MAX {
                problems.push(format!("{name} exceeds maximum length {NAME_BYTES_MAX}"));
            }
        }
        let IntentionDefinition { description, meta, .. } = &self.definition;
        if description.len() > META_VALUE_BYTES_MAX {
            problems.push(format!("Description exceeds maximum length {META_VALUE_BYTES_MAX}"));
        }
        if meta.len() > META_MAX {
            problems.push(format!("Meta exceeds maximum element count {META_MAX}"));
        }
        for (key, value) in meta {
            if key.len() > META_KEY_BYTES_MAX {
                problems.push(format!("Meta key exceeds maximum length {META_KEY_BYTES_MAX}"));
            } else if value.len() > META_VALUE_BYTES_MAX {
                problems.push(format!(
                    "Meta value for key {key:?} exceeds maximum length {META_VALUE_BYTES_MAX}"
                ));
            }
            if problems.len() > META_MAX {
                break;
            }
        }
        problems
    }

    /// As the state machine takes it.
    pub fn with_id(self, id: IntentionId) -> NewIntention {
        NewIntention {
            id,
            source: self.source.into(),
            destination: self.destination.into(),
            definition: serde_json::to_string(&self.definition).unwrap_or_default().into(),
        }
    }
}

/// Several problems as Consul tells them; nothing if there is none.
pub(super) fn errors_occurred(problems: &[impl std::fmt::Display]) -> Option<String> {
    let plural = match problems.len() {
        0 => return None,
        1 => "error",
        _ => "errors",
    };
    let list: String = problems.iter().map(|problem| format!("\t* {problem}\n")).collect();
    Some(format!("{} {plural} occurred:\n{list}\n", problems.len()))
}

/// An intention as printed. Namespaces are always the one there is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct IntentionAnswer<'a> {
    #[serde(rename = "ID")]
    id: String,
    description: String,
    #[serde(rename = "SourceNS")]
    source_ns: &'static str,
    source_name: &'a str,
    #[serde(rename = "DestinationNS")]
    destination_ns: &'static str,
    destination_name: &'a str,
    source_type: &'static str,
    action: String,
    default_addr: &'static str,
    default_port: u16,
    meta: BTreeMap<String, String>,
    precedence: u8,
    created_at: String,
    updated_at: String,
    create_index: u64,
    modify_index: u64,
}

impl<'a> IntentionAnswer<'a> {
    /// `intention`, with its times as `rfc3339` writes them.
    pub fn new(intention: &'a Intention, rfc3339: impl Fn(u64) -> String) -> Self {
        let kept = definition(intention);
        Self {
            id: uuid::format(intention.id.0),
            description: kept.description,
            source_ns: "default",
            source_name: &intention.source,
            destination_ns: "default",
            destination_name: &intention.destination,
            source_type: "consul",
            action: kept.action,
            default_addr: "",
            default_port: 0,
            meta: kept.meta,
            precedence: precedence(intention),
            created_at: rfc3339(intention.created_ms),
            updated_at: rfc3339(intention.updated_ms),
            create_index: intention.create_index,
            modify_index: intention.modify_index,
        }
    }
}

/// What is kept of it beside its services.
pub fn definition(intention: &Intention) -> IntentionDefinition {
    serde_json::from_str(&intention.definition).unwrap_or_default()
}

/// Whether it allows what it is about.
pub fn allows(intention: &Intention) -> bool {
    definition(intention).action == "allow"
}

/// As logs and reasons name it.
pub fn shown(intention: &Intention) -> String {
    format!(
        "{} default/{} => default/{} (ID: {}, Precedence: {})",
        definition(intention).action.to_uppercase(),
        intention.source,
        intention.destination,
        uuid::format(intention.id.0),
        precedence(intention)
    )
}

/// The more it says, the more it counts; what it says of the destination first.
pub fn precedence(intention: &Intention) -> u8 {
    let most = if &*intention.destination == ANY { 6 } else { 9 };
    most - u8::from(&*intention.source == ANY)
}

/// Sorts those that count most to the front.
pub fn sort(intentions: &mut [Arc<Intention>]) {
    intentions.sort_by(|a, b| order(a, b));
}

/// Those that count most first.
fn order(a: &Intention, b: &Intention) -> Ordering {
    let services = || (&a.source, &a.destination).cmp(&(&b.source, &b.destination));
    precedence(b).cmp(&precedence(a)).then_with(services)
}

/// Whether a name in an intention is about this service.
pub fn is_about(name: &str, service: &str) -> bool {
    name == ANY || name.eq_ignore_ascii_case(service)
}

/// The one of `all` that decides whether `source` may connect to `destination`.
pub fn deciding<'a>(
    all: impl Iterator<Item = &'a Arc<Intention>>,
    source: &str,
    destination: &str,
) -> Option<&'a Arc<Intention>> {
    let about = |one: &&Arc<Intention>| {
        is_about(&one.source, source) && is_about(&one.destination, destination)
    };
    all.filter(about).min_by(|a, b| order(a, b))
}

/// What a body of `connect/authorize` asks: whether the bearer of a certificate may
/// connect to a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    /// To whom.
    pub target: String,
    /// The name in the certificate.
    pub client_uri: String,
}

impl Authorization {
    /// Reads a body.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields::parse(body, "structs.ConnectAuthorizeRequest")?;
        fields.take_scope()?;
        Ok(Self { target: fields.string("Target")?, client_uri: fields.string("ClientCertURI")? })
    }

    /// The service that the certificate is for: `spiffe://…/ns/…/dc/…/svc/NAME`.
    pub fn client(&self) -> Option<&str> {
        let path = self.client_uri.strip_prefix("spiffe://")?.split_once('/')?.1;
        match path.split('/').collect::<Vec<_>>()[..] {
            ["ns", _, "dc", _, "svc", name] | ["ap", _, "ns", _, "dc", _, "svc", name]
                if !name.is_empty() =>
            {
                Some(name)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consul::json;

    fn intention(source: &str, destination: &str) -> Intention {
        Intention {
            id: IntentionId(1),
            source: source.into(),
            destination: destination.into(),
            definition: r#"{"Description":"d","Action":"deny","Meta":{"a":"b"}}"#.into(),
            created_ms: 0,
            updated_ms: 0,
            create_index: 3,
            modify_index: 4,
        }
    }

    #[test]
    fn an_intention_is_printed_in_consuls_order() {
        let one = intention("web", "db");
        let text = json::encode(&IntentionAnswer::new(&one, |_| "T".to_owned()), false);
        assert_eq!(
            String::from_utf8(text).unwrap(),
            r#"{"ID":"00000000-0000-0000-0000-000000000001","Description":"d","SourceNS":"default","SourceName":"web","DestinationNS":"default","DestinationName":"db","SourceType":"consul","Action":"deny","DefaultAddr":"","DefaultPort":0,"Meta":{"a":"b"},"Precedence":9,"CreatedAt":"T","UpdatedAt":"T","CreateIndex":3,"ModifyIndex":4}"#
        );
    }

    #[test]
    fn what_an_intention_says_has_consuls_limits() {
        let problems = |more: &str| {
            let body =
                format!(r#"{{"SourceName":"web","DestinationName":"db","Action":"deny",{more}}}"#);
            IntentionRequest::parse(body.as_bytes()).unwrap().validate().unwrap_err()
        };
        let long = "x".repeat(513);
        let told = problems(&format!(r#""Description":"{long}","Meta":{{"a":"{long}"}}"#));
        assert!(told.starts_with("2 errors occurred:"), "{told}");
        assert!(told.contains("Description exceeds maximum length 512"), "{told}");
        assert!(told.contains("Meta value for key \"a\" exceeds maximum length 512"), "{told}");
        let many: Vec<String> = (0..65).map(|key| format!(r#""{key}":"""#)).collect();
        let told = problems(&format!(r#""Meta":{{{}}}"#, many.join(",")));
        assert!(told.contains("Meta exceeds maximum element count 64"), "{told}");
    }

    #[test]
    fn the_destination_counts_more_than_the_source() {
        let mut all = [("*", "*"), ("web", "*"), ("*", "db"), ("web", "db")]
            .map(|(source, destination)| Arc::new(intention(source, destination)));
        assert_eq!(all.each_ref().map(|one| precedence(one)), [5, 6, 8, 9]);
        sort(&mut all);
        assert_eq!(all.each_ref().map(|one| precedence(one)), [9, 8, 6, 5]);
        let decides = |source, destination| {
            deciding(all.iter(), source, destination).map(|one| precedence(one))
        };
        assert_eq!(decides("WEB", "db"), Some(9));
        assert_eq!(decides("api", "db"), Some(8));
        assert_eq!(decides("web", "cache"), Some(6));
        assert_eq!(decides("api", "cache"), Some(5));
        assert_eq!(deciding(all[..2].iter(), "api", "cache"), None);
    }

    #[test]
    fn what_is_wrong_with_an_intention_is_told_in_consuls_words() {
        let problem = |body: &str| {
            let read = IntentionRequest::parse(body.as_bytes());
            read.map_err(|error| error.to_string()).and_then(|one| one.validate())
        };
        assert_eq!(problem(r#"{"SourceName":"a","DestinationName":"*","Action":"allow"}"#), Ok(()));
        assert_eq!(
            problem(r#"{"SourceName":"w*","DestinationName":"db","Action":"allow"}"#).unwrap_err(),
            "1 error occurred:\n\t* SourceName: wildcard character '*' cannot be used with partial values\n\n"
        );
        assert!(
            problem("{}").unwrap_err().starts_with("3 errors occurred:\n\t* SourceName must be")
        );
        assert_eq!(problem(r#"{"Bogus":1}"#).unwrap_err(), "json: unknown field \"Bogus\"");
        assert!(problem(r#"{"SourceNS":"x"}"#).unwrap_err().contains("Enterprise"));
    }

    #[test]
    fn a_certificate_names_the_service_it_is_for() {
        let client = |uri: &str| {
            let asked = Authorization { target: String::new(), client_uri: uri.to_owned() };
            asked.client().map(str::to_owned)
        };
        let uri = "spiffe://x.consul/ns/default/dc/dc1/svc/web";
        assert_eq!(client(uri).as_deref(), Some("web"));
        assert_eq!(client("spiffe://x.consul/agent/client"), None);
        assert_eq!(client("x"), None);
    }
}
