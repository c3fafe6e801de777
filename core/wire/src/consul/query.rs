//! `/v1/query`: prepared queries as given, kept, printed and rendered.

use std::collections::BTreeMap;

use coord_state::consul::{PreparedQuery, QUERY_NAME_BYTES_MAX};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::decode::{DecodeError, Fields};
use super::regexp::Regexp;
use super::{duration, uuid};

/// Longest definition, as kept. Bytes. Whoever executes a query reads it, over
/// DNS for every question.
const DEFINITION_BYTES_MAX: usize = 64 << 10;

/// What the expression of a template may compile to. Bytes: that takes about a
/// millisecond, for every execution.
const REGEXP_BYTES_MAX: usize = 64 << 10;

/// What a template may become for one name, all its texts together. Bytes.
const RENDERED_BYTES_MAX: usize = 64 << 10;

/// Longest name that a template is filled with. Bytes.
const ASKED_BYTES_MAX: usize = 1024;

/// What a query asks for. Also the form in which it is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct QueryDefinition {
    /// May be empty; of a template, a prefix.
    pub name: String,
    /// A session's UUID, or empty.
    pub session: String,
    /// Kept for whoever executes it.
    pub token: String,
    /// How it answers other names than its own.
    pub template: Template,
    /// The service it finds.
    pub service: Wanted,
    /// What DNS is told.
    #[serde(rename = "DNS")]
    pub dns: Dns,
}

/// How a query answers other names than its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Template {
    /// `name_prefix_match`, or empty: no template.
    #[serde(rename = "Type")]
    pub kind: String,
    /// Taken apart for `${match(N)}`.
    pub regexp: String,
    /// Whether tags that are rendered empty are left out.
    pub remove_empty_tags: bool,
}

/// The instances that a query finds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Wanted {
    /// The service's name.
    pub service: String,
    /// Where else to look; kept, as there is one datacenter.
    pub failover: Failover,
    /// Whether warnings are dropped too.
    pub only_passing: bool,
    /// Checks that do not matter.
    #[serde(rename = "IgnoreCheckIDs")]
    pub ignore_check_ids: Option<Vec<String>>,
    /// Sort by distance from there.
    pub near: String,
    /// All of them; with `!` none of them.
    pub tags: Option<Vec<String>>,
    /// All of them.
    pub node_meta: Option<BTreeMap<String, String>>,
    /// All of them.
    pub service_meta: Option<BTreeMap<String, String>>,
    /// Whether proxies are found instead.
    pub connect: bool,
}

/// Where else to look.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Failover {
    /// How many of the nearest datacenters.
    pub nearest_n: i64,
    /// These after them.
    pub datacenters: Option<Vec<String>>,
    /// In this order.
    pub targets: Option<Value>,
}

/// What DNS is told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Dns {
    /// A Go duration, or empty.
    #[serde(rename = "TTL")]
    pub ttl: String,
}

impl QueryDefinition {
    /// Reads a body.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields::parse(body, "structs.PreparedQuery")?;
        let definition = Self {
            name: fields.string("Name")?,
            session: fields.string("Session")?,
            token: fields.string("Token")?,
            template: fields.value("Template").map(template).transpose()?.unwrap_or_default(),
            service: fields.value("Service").map(wanted).transpose()?.unwrap_or_default(),
            dns: fields.value("DNS").map(dns).transpose()?.unwrap_or_default(),
        };
        for name in ["ID", "CreateIndex", "ModifyIndex"] {
            fields.raw(name);
        }
        fields.finish()?;
        Ok(definition)
    }

    /// Whether it answers every name that begins with its own.
    pub fn is_template(&self) -> bool {
        !self.template.kind.is_empty()
    }

    /// What is wrong with it, in Consul's words.
    ///
    /// # Errors
    /// The text.
    pub fn validate(&self) -> Result<(), String> {
        let service = &self.service;
        if uuid::parse(&self.name).is_ok() {
            return Err(format!("name '{}' looks like a UUID", self.name));
        }
        if !matches!(self.template.kind.as_str(), "" | "name_prefix_match") {
            return Err(format!("Bad Template.Type '{}'", self.template.kind));
        }
        if let Err(problem) = Regexp::compile(&self.template.regexp, REGEXP_BYTES_MAX) {
            return Err(format!("Bad Template.Regexp: {problem}"));
        }
        if self.name.len() > QUERY_NAME_BYTES_MAX {
            return Err(format!("Name is longer than {QUERY_NAME_BYTES_MAX} bytes"));
        }
        if self.stored().len() > DEFINITION_BYTES_MAX {
            return Err(format!("the definition is longer than {DEFINITION_BYTES_MAX} bytes"));
        }
        if service.service.is_empty() {
            return Err("Must provide a Service name to query".to_owned());
        }
        if service.failover.nearest_n < 0 {
            return Err(format!("Bad NearestN '{}', must be >= 0", service.failover.nearest_n));
        }
        match duration::parse(&self.dns.ttl) {
            _ if self.dns.ttl.is_empty() => Ok(()),
            Ok(ttl) if ttl >= 0 => Ok(()),
            Ok(_) => Err(format!("Bad DNS TTL '{}': must be >= 0", self.dns.ttl)),
            Err(problem) => Err(format!("Bad DNS TTL '{}': {problem}", self.dns.ttl)),
        }
    }

    /// The form the state machine keeps.
    pub fn stored(&self) -> Box<str> {
        serde_json::to_string(self).unwrap_or_default().into()
    }

    /// What a query of the state machine asks for.
    pub fn of(query: &PreparedQuery) -> Self {
        serde_json::from_str(&query.definition).unwrap_or_default()
    }

    /// The same for one name; only templates become another.
    ///
    /// # Errors
    /// Why it cannot be, if the name or what comes of it is too long.
    pub fn rendered(&self, asked: &str) -> Result<Self, String> {
        if !self.is_template() {
            return Ok(self.clone());
        }
        if asked.len() > ASKED_BYTES_MAX {
            return Err(format!("the name is longer than {ASKED_BYTES_MAX} bytes"));
        }
        let captures = Regexp::compile(&self.template.regexp, REGEXP_BYTES_MAX).ok();
        let captures = captures.as_ref().filter(|_| !self.template.regexp.is_empty());
        let captures = captures.and_then(|regex| regex.captures(asked));
        let prefix = asked.get(..self.name.len()).unwrap_or_default();
        let suffix = asked.get(self.name.len()..).unwrap_or_default();
        let word = |word: &str| match word {
            "name.full" => asked,
            "name.prefix" => prefix,
            "name.suffix" => suffix,
            "agent.segment" => "",
            other => {
                let number = other.strip_prefix("match(").and_then(|rest| rest.strip_suffix(')'));
                let number = number.and_then(|number| number.trim().parse().ok());
                let group = captures.as_ref().zip(number).and_then(|(all, at)| all.get(at));
                group.map_or("", |group| group.as_str())
            }
        };
        let mut left = RENDERED_BYTES_MAX;
        let mut interpolated = |text: &str| interpolated(text, &word, &mut left);
        let mut rendered = self.clone();
        let service = &mut rendered.service;
        for text in [&mut service.service, &mut service.near] {
            *text = interpolated(text)?;
        }
        for list in [&mut service.tags, &mut service.failover.datacenters].into_iter().flatten() {
            for text in list {
                *text = interpolated(text)?;
            }
        }
        for map in [&mut service.node_meta, &mut service.service_meta].into_iter().flatten() {
            for text in map.values_mut() {
                *text = interpolated(text)?;
            }
        }
        if self.template.remove_empty_tags
            && let Some(tags) = &mut service.tags
        {
            tags.retain(|tag| !tag.is_empty());
        }
        Ok(rendered)
    }
}

/// `text` with every `${…}` replaced. `left` is how long all texts of a template
/// may still become.
fn interpolated<'a>(
    text: &str,
    word: &impl Fn(&str) -> &'a str,
    left: &mut usize,
) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, tail)) = rest.split_once("${") {
        out.push_str(plain);
        if out.len() > *left {
            break;
        }
        let Some((name, tail)) = tail.split_once('}') else {
            rest = &rest[plain.len()..];
            break;
        };
        out.push_str(word(name.trim()));
        rest = tail;
    }
    out.push_str(rest);
    *left = left.checked_sub(out.len()).ok_or_else(|| {
        format!("the template becomes longer than {RENDERED_BYTES_MAX} bytes for this name")
    })?;
    Ok(out)
}

fn template(value: Value) -> Result<Template, DecodeError> {
    let mut fields = Fields::of(value, "structs.QueryTemplateOptions")?;
    let template = Template {
        kind: fields.string("Type")?,
        regexp: fields.string("Regexp")?,
        remove_empty_tags: fields.bool("RemoveEmptyTags")?,
    };
    fields.finish()?;
    Ok(template)
}

fn wanted(value: Value) -> Result<Wanted, DecodeError> {
    let mut fields = Fields::of(value, "structs.ServiceQuery")?;
    let wanted = Wanted {
        service: fields.string("Service")?,
        failover: fields.value("Failover").map(failover).transpose()?.unwrap_or_default(),
        only_passing: fields.bool("OnlyPassing")?,
        ignore_check_ids: fields.strings("IgnoreCheckIDs")?,
        near: fields.string("Near")?,
        tags: fields.strings("Tags")?,
        node_meta: fields.string_map("NodeMeta")?,
        service_meta: fields.string_map("ServiceMeta")?,
        connect: fields.bool("Connect")?,
    };
    fields.take_scope()?;
    fields.finish()?;
    Ok(wanted)
}

fn failover(value: Value) -> Result<Failover, DecodeError> {
    let mut fields = Fields::of(value, "structs.QueryFailoverOptions")?;
    let failover = Failover {
        nearest_n: fields.integer("NearestN")?.unwrap_or(0),
        datacenters: fields.strings("Datacenters")?,
        targets: fields.values("Targets")?.map(Value::Array),
    };
    fields.finish()?;
    Ok(failover)
}

fn dns(value: Value) -> Result<Dns, DecodeError> {
    let mut fields = Fields::of(value, "structs.QueryDNSOptions")?;
    let ttl = fields.string("TTL")?;
    fields.finish()?;
    Ok(Dns { ttl })
}

/// A query as printed.
#[derive(Debug, Serialize)]
pub struct QueryAnswer {
    #[serde(rename = "ID")]
    id: String,
    #[serde(flatten)]
    definition: QueryDefinition,
    #[serde(rename = "CreateIndex")]
    create_index: u64,
    #[serde(rename = "ModifyIndex")]
    modify_index: u64,
}

impl QueryAnswer {
    /// `query`, asking for `definition`.
    pub fn new(query: &PreparedQuery, definition: QueryDefinition) -> Self {
        Self {
            id: uuid::format(query.id.0),
            definition,
            create_index: query.create_index,
            modify_index: query.modify_index,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(json: &str) -> QueryDefinition {
        QueryDefinition::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn a_definition_is_kept_as_given() {
        let given = definition(
            r#"{"name":"q","Service":{"Service":"web","Tags":["a","!b"],"onlypassing":true,
                "Failover":{"NearestN":2,"Datacenters":["dc2"]}},"DNS":{"TTL":"10s"}}"#,
        );
        assert_eq!(given.validate(), Ok(()));
        assert_eq!(serde_json::from_str::<QueryDefinition>(&given.stored()).unwrap(), given);
    }

    #[test]
    fn nonsense_is_told_in_consuls_words() {
        let problem = |json| definition(json).validate().unwrap_err();
        assert_eq!(problem("{}"), "Must provide a Service name to query");
        assert_eq!(
            problem(r#"{"Service":{"Service":"a","Failover":{"NearestN":-1}}}"#),
            "Bad NearestN '-1', must be >= 0"
        );
        let ttl = problem(r#"{"Service":{"Service":"a"},"DNS":{"TTL":"x"}}"#);
        assert!(ttl.starts_with("Bad DNS TTL 'x': "), "{ttl}");
        let name = problem(r#"{"Name":"00000000-1111-2222-3333-444444444444"}"#);
        assert!(name.ends_with("looks like a UUID"), "{name}");
    }

    #[test]
    fn a_template_is_rendered_for_the_name_asked() {
        let template = definition(
            r#"{"Name":"geo-","Template":{"Type":"name_prefix_match","Regexp":"^geo-(.*?)-([^-]+)$",
                "RemoveEmptyTags":true},
                "Service":{"Service":"${name.suffix}:${match(1)}","Tags":["${match(2)}","${match(7)}",
                "${name.prefix}|${name.full}","${open"]}}"#,
        );
        let rendered = template.rendered("geo-db-primary").unwrap();
        assert_eq!(rendered.service.service, "db-primary:db");
        let tags = rendered.service.tags.unwrap();
        assert_eq!(tags, ["primary", "geo-|geo-db-primary", "${open"]);
    }
    #[test]
    fn a_definition_of_any_excess_is_refused_when_it_is_made() {
        let problem = |service: &str, rest: &str| {
            let json = format!(r#"{{"Service":{{"Service":"{service}"}}{rest}}}"#);
            definition(&json).validate().unwrap_err()
        };
        let long = "${name.full}".repeat(6000);
        assert_eq!(problem(&long, ""), "the definition is longer than 65536 bytes");
        let name = format!(r#","Name":"{}""#, "n".repeat(1025));
        assert_eq!(problem("web", &name), "Name is longer than 1024 bytes");
        let regexp = r#","Template":{"Type":"name_prefix_match","Regexp":"(a{1000}){1000}"}"#;
        assert!(problem("web", regexp).starts_with("Bad Template.Regexp: it compiles to more"));
    }

    #[test]
    fn a_template_becomes_only_so_long_for_a_name() {
        let service = "${name.full}".repeat(2000);
        let json = format!(
            r#"{{"Template":{{"Type":"name_prefix_match"}},"Service":{{"Service":"{service}"}}}}"#
        );
        let template = definition(&json);
        assert_eq!(template.validate(), Ok(()));
        assert_eq!(template.rendered("short").unwrap().service.service.len(), 10_000);
        let problem = template.rendered(&"n".repeat(100)).unwrap_err();
        assert!(problem.contains("longer than 65536 bytes"), "{problem}");
        let problem = template.rendered(&"n".repeat(2000)).unwrap_err();
        assert_eq!(problem, "the name is longer than 1024 bytes");
    }

    #[test]
    fn many_small_texts_of_a_template_count_together() {
        let tags = vec![r#""${name.full}""#; 3000].join(",");
        let json = format!(
            r#"{{"Template":{{"Type":"name_prefix_match"}},"Service":{{"Service":"web","Tags":[{tags}]}}}}"#
        );
        let template = definition(&json);
        assert_eq!(template.validate(), Ok(()));
        assert!(template.rendered("short").is_ok());
        assert!(template.rendered(&"n".repeat(100)).is_err());
    }
}
