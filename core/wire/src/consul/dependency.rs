//! `DependsOn`: the dependencies in a service registration.
//!
//! A list of names, or of objects with `Name`, `Optional` and `Tag`, or of both.
//! A name followed by a question mark is optional, as in metadata. A proxy also depends on its
//! upstreams.

use coord_state::consul::Dependency;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::decode::{DecodeError, Fields};
use super::proxy::upstreams;

/// One dependency, in the form in which the agent keeps it on disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DependencyDefinition {
    /// The name of a service.
    pub name: String,
    /// Whether the service can do without it.
    pub optional: bool,
    /// Which of its instances are meant; empty for all.
    pub tag: String,
}

impl DependencyDefinition {
    /// As the catalog takes it.
    pub fn to_catalog(&self) -> Dependency {
        Dependency {
            name: self.name.as_str().into(),
            optional: self.optional,
            tag: self.tag.as_str().into(),
        }
    }
}

/// Adds the upstreams of a proxy, by the JSON text that is kept of it, to what is
/// declared. What is declared of one of them as well stays as it is.
pub fn add_upstreams(declared: &mut Vec<DependencyDefinition>, proxy: &str) {
    for name in upstreams(proxy) {
        if !declared.iter().any(|other| other.name.eq_ignore_ascii_case(&name)) {
            declared.push(DependencyDefinition { name, ..DependencyDefinition::default() });
        }
    }
}

/// Takes `DependsOn`.
///
/// # Errors
/// [`DecodeError`] if it is something else than such a list.
pub(super) fn depends_on(fields: &mut Fields) -> Result<Vec<DependencyDefinition>, DecodeError> {
    fields.values("DependsOn")?.unwrap_or_default().into_iter().map(dependency).collect()
}

fn dependency(value: Value) -> Result<DependencyDefinition, DecodeError> {
    if let Value::String(text) = &value {
        let parsed = Dependency::parse(text);
        return Ok(DependencyDefinition {
            name: parsed.name.into(),
            optional: parsed.optional,
            tag: String::new(),
        });
    }
    let mut fields = Fields::of(value, "structs.ServiceDependency")?;
    let dependency = DependencyDefinition {
        name: fields.string("Name")?,
        optional: fields.bool("Optional")?,
        tag: fields.string("Tag")?,
    };
    fields.finish()?;
    Ok(dependency)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(json: &str) -> Result<Vec<(String, bool, String)>, String> {
        let mut fields = Fields::parse(json.as_bytes(), "test").unwrap();
        let all = depends_on(&mut fields).map_err(|error| error.to_string())?;
        Ok(all.into_iter().map(|one| (one.name, one.optional, one.tag)).collect())
    }

    #[test]
    fn dependencies_are_names_or_objects_in_any_spelling() {
        let all = parsed(
            r#"{"depends_on":["db"," cache? ",{"Name":"q","optional":true,"tag":"primary"}]}"#,
        );
        let expected = [("db", false, ""), ("cache", true, ""), ("q", true, "primary")];
        let expected = expected.map(|(name, is, tag)| (name.to_owned(), is, tag.to_owned()));
        assert_eq!(all.unwrap(), expected);
        assert_eq!(parsed(r#"{"DependsOn":null}"#).unwrap(), []);
    }

    #[test]
    fn upstreams_are_dependencies_unless_they_are_declared_as_something_else() {
        let all = |mut declared: Vec<DependencyDefinition>, proxy: &str| {
            add_upstreams(&mut declared, proxy);
            let all = declared.iter().map(DependencyDefinition::to_catalog);
            all.map(|one| (one.name.into_string(), one.optional)).collect::<Vec<_>>()
        };
        let declared =
            DependencyDefinition { name: "Cache".to_owned(), optional: true, tag: String::new() };
        let proxy = r#"{"Upstreams":[{"DestinationName":"db"},{"DestinationName":"cache"}]}"#;
        assert_eq!(
            all(vec![declared], proxy),
            [("Cache".to_owned(), true), ("db".to_owned(), false)]
        );
        assert_eq!(all(vec![], ""), []);
    }

    #[test]
    fn what_is_no_list_of_dependencies_is_refused() {
        assert!(parsed(r#"{"DependsOn":"db"}"#).unwrap_err().contains("cannot unmarshal string"));
        assert!(parsed(r#"{"DependsOn":[7]}"#).unwrap_err().contains("cannot unmarshal number"));
        let unknown = parsed(r#"{"DependsOn":[{"Name":"db","Weight":1}]}"#).unwrap_err();
        assert_eq!(unknown, "json: unknown field \"Weight\"");
    }
}
