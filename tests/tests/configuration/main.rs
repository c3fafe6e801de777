//! docs/CONFIGURATION.md is printed from the doc comments of the settings, so
//! that what a knob does is written down once, beside the knob. `make fix`
//! rewrites it.

mod zoo_cfg;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use coord_core::settings::Settings;

const HEAD: &str = "\
# Configuration

Printed from the doc comments in `core/src/settings`; `make fix` rewrites this file.

The same names work everywhere: in a TOML file (`[session]`, then `tick_ms = 2000`), as
`session.tick_ms` on the command line, and as text in the C and Python settings. Every setting has a
default; without any, a single member runs on loopback. Settings that contradict each other are
refused on startup, with all problems in one message.

A file whose name ends in `.cfg` or `.properties` is read as ZooKeeper's `zoo.cfg`, with the file
`myid` in its `dataDir`: see [zoo.cfg](ZOO_CFG.md).
";

/// A struct of settings: its first doc line, its fields.
struct Group {
    about: String,
    fields: Vec<Field>,
}

struct Field {
    name: String,
    kind: String,
    about: String,
}

#[test]
fn the_configuration_page_is_what_the_code_says() {
    let printed = page(&groups());
    let path = top().join("docs/CONFIGURATION.md");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &printed).expect("the page can be written");
    }
    let stored = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(stored, printed, "docs/CONFIGURATION.md is not current: run `make fix`");
}

#[test]
fn every_setting_has_a_name_that_can_be_set() {
    let groups = groups();
    for (key, field) in keys(&groups, "Settings", "") {
        assert!(!field.about.is_empty(), "{key} says nothing about itself: give it a doc comment");
        let outcome = Settings::default().set(&key, "\u{1}");
        let message = outcome.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(!message.contains("there is no setting"), "{key} cannot be set: {message}");
    }
}

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn groups() -> BTreeMap<String, Group> {
    let mut groups = BTreeMap::new();
    let folder = top().join("core/src/settings");
    for entry in fs::read_dir(&folder).expect("the settings are there") {
        let path = entry.expect("a folder can be listed").path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            read_structs(&fs::read_to_string(&path).expect("the file is there"), &mut groups);
        }
    }
    groups
}

/// Collects `pub struct Name { /// doc  pub field: Type, … }`.
fn read_structs(text: &str, groups: &mut BTreeMap<String, Group>) {
    let mut docs: Vec<&str> = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines() {
        let line = line.trim();
        if let Some(doc) = line.strip_prefix("///") {
            docs.push(doc.trim());
        } else if let Some(name) =
            line.strip_prefix("pub struct ").and_then(|rest| rest.strip_suffix(" {"))
        {
            let about = docs.join(" ");
            groups.insert(name.to_owned(), Group { about, fields: Vec::new() });
            open = Some(name.to_owned());
            docs.clear();
        } else if line == "}" {
            open = None;
        } else if let (Some(group), Some((name, kind))) =
            (&open, line.strip_prefix("pub ").and_then(|rest| rest.split_once(": ")))
        {
            let group = groups.get_mut(group).expect("opened above");
            let kind = kind.trim_end_matches(',').to_owned();
            group.fields.push(Field { name: name.to_owned(), kind, about: docs.join(" ") });
            docs.clear();
        } else if !line.starts_with("#[") {
            docs.clear();
        }
    }
}

/// Every leaf under `name`, with its dotted name.
fn keys<'a>(
    groups: &'a BTreeMap<String, Group>,
    name: &str,
    prefix: &str,
) -> Vec<(String, &'a Field)> {
    let mut found = Vec::new();
    for field in &groups[name].fields {
        let key = format!("{prefix}{}", field.name);
        if groups.contains_key(&field.kind) {
            found.extend(keys(groups, &field.kind, &format!("{key}.")));
        } else {
            found.push((key, field));
        }
    }
    found
}

fn page(groups: &BTreeMap<String, Group>) -> String {
    let mut out = HEAD.to_owned();
    let settings = &groups["Settings"];
    let (sections, plain): (Vec<&Field>, Vec<&Field>) =
        settings.fields.iter().partition(|field| groups.contains_key(&field.kind));
    table(&mut out, "One member", &settings.about, plain.iter().copied(), "");
    for section in sections {
        let group = &groups[&section.kind];
        let prefix = format!("{}.", section.name);
        table(&mut out, &section.name, &group.about, group.fields.iter(), &prefix);
    }
    out
}

fn table<'a>(
    out: &mut String,
    title: &str,
    about: &str,
    fields: impl Iterator<Item = &'a Field>,
    prefix: &str,
) {
    let write = "writing to a string cannot fail";
    writeln!(out, "\n## {title}\n\n{about}\n\n| setting | type | meaning |\n|---|---|---|")
        .expect(write);
    for field in fields {
        let kind = readable(&field.kind);
        let about = field.about.replace('|', "\\|");
        writeln!(out, "| `{prefix}{}` | {kind} | {about} |", field.name).expect(write);
    }
}

fn readable(kind: &str) -> String {
    if let Some(inner) = kind.strip_prefix("Option<").and_then(|rest| rest.strip_suffix('>')) {
        return format!("{}, optional", readable(inner));
    }
    match kind {
        "u8" | "u16" | "u32" | "u64" | "usize" => "number",
        "Secret" => "text, not shown",
        "String" => "text",
        "PathBuf" => "path",
        "bool" => "true or false",
        "ClientAuth" => "`none`, `want` or `need`",
        "TlsVersion" => "`1.2` or `1.3`",
        "ListenAddress" => "`HOST:PORT` or `off`",
        "Vec<String>" => "list of text",
        "BTreeSet<u64>" => "list of numbers",
        "BTreeMap<String, u32>" => "map of text to number",
        "BTreeMap<u64, String>" => "map of number to `HOST:PORT`",
        other => other,
    }
    .to_owned()
}

#[test]
fn members_are_read_from_a_file_and_survive_setting_another_field() {
    let text = "member_id = 2\n[members]\n1 = \"a:1\"\n2 = \"b:2\"\n";
    let mut settings = Settings::from_toml(text).expect("a table by number");
    settings.set("session.tick_ms", "500").expect("a known setting");
    assert_eq!(settings.members[&2], "b:2");
    assert_eq!(settings.session.tick_ms, 500);
}
