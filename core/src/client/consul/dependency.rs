//! Dependencies of a service registration.

use serde_json::{Map, Value, json};

/// A service that another one depends on. It need not be registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// Its name.
    pub name: String,
    /// Whether the dependent service can run without it.
    pub optional: bool,
    /// Selects the instances with this tag; all unless given.
    pub tag: Option<String>,
}

impl Dependency {
    /// A required dependency.
    pub fn on(name: impl Into<String>) -> Self {
        Self { name: name.into(), optional: false, tag: None }
    }

    /// An optional dependency.
    pub fn optionally_on(name: impl Into<String>) -> Self {
        Self { optional: true, ..Self::on(name) }
    }

    /// Selects only the instances with this tag.
    #[must_use]
    pub fn tagged(mut self, tag: impl Into<String>) -> Self {
        self.tag = Some(tag.into());
        self
    }

    /// As an element of `DependsOn`.
    pub fn to_json(&self) -> Value {
        let mut body = Map::new();
        body.insert("Name".to_owned(), json!(self.name));
        if self.optional {
            body.insert("Optional".to_owned(), json!(true));
        }
        if let Some(tag) = &self.tag {
            body.insert("Tag".to_owned(), json!(tag));
        }
        Value::Object(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_says_only_what_was_given() {
        assert_eq!(Dependency::on("db").to_json(), json!({"Name": "db"}));
        assert_eq!(
            Dependency::optionally_on("cache").tagged("near").to_json(),
            json!({"Name": "cache", "Optional": true, "Tag": "near"})
        );
    }
}
