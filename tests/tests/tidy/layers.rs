//! Who may know whom. Between crates Cargo keeps the edges; between the
//! modules of the core this table does.

use crate::no_complaints;
use crate::source::files;

/// Each module of `core/src` and the modules it may name.
const MAY_USE: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("sync", &[]),
    ("clock", &["error", "sync"]),
    ("settings", &["error", "sync"]),
    ("archive", &[]),
    ("tls", &["error", "sync", "clock", "settings"]),
    ("durations", &["sync"]),
    ("listening", &["error", "sync", "settings"]),
    ("storage", &["error", "sync", "clock", "settings", "durations"]),
    ("consensus", &["error", "sync", "clock", "settings", "tls", "storage"]),
    (
        "node",
        &["error", "sync", "clock", "settings", "durations", "listening", "storage", "consensus"],
    ),
    ("agent", &["error", "sync", "clock", "settings", "tls", "storage", "node"]),
    (
        "server",
        &[
            "error",
            "archive",
            "sync",
            "clock",
            "settings",
            "durations",
            "listening",
            "tls",
            "node",
            "agent",
        ],
    ),
    ("client", &["error", "sync", "clock", "settings", "tls"]),
    // One member with its servers, for a host program: knows all of them.
    (
        "embedded",
        &["error", "sync", "clock", "settings", "storage", "consensus", "node", "agent", "server"],
    ),
];

/// The protocols: a front end or a client of one never knows another.
const PROTOCOLS: &[&str] = &["zookeeper", "consul", "dns"];

#[test]
fn modules_use_only_the_layers_below_them() {
    let mut complaints = Vec::new();
    for file in files("core/src", &[".rs"]) {
        let inner = file.path.trim_start_matches("core/src/");
        if inner == "lib.rs" {
            continue;
        }
        let module = inner.split('/').next().expect("never empty").trim_end_matches(".rs");
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == module) else {
            complaints.push(format!(
                "{}: module `{module}` is not in the table of layers: decide what it may use and \
                 add it to MAY_USE in tests/tests/tidy/layers.rs and to ARCHITECTURE.md",
                file.path
            ));
            continue;
        };
        for line in file.code() {
            for used in modules_named_after("crate::", line.code) {
                if used != module && is_module(used) && !allowed.contains(&used) {
                    complaints.push(format!(
                        "{}:{}: `{module}` must not use `{used}` ({}): move the thing down to a \
                         layer both may use, or hand it in from above",
                        file.path,
                        line.number,
                        what_instead(module)
                    ));
                }
            }
        }
    }
    no_complaints(&complaints);
}

#[test]
fn protocols_do_not_know_each_other() {
    let mut complaints = Vec::new();
    for file in files("core/src", &[".rs"]) {
        for room in ["server", "client"] {
            let Some(inner) = file.path.strip_prefix(&format!("core/src/{room}/")) else {
                continue;
            };
            let own = inner.split('/').next().expect("never empty").trim_end_matches(".rs");
            if !PROTOCOLS.contains(&own) {
                continue;
            }
            for line in file.code() {
                for other in modules_named_after(&format!("crate::{room}::"), line.code) {
                    if other != own && PROTOCOLS.contains(&other) {
                        complaints.push(format!(
                            "{}:{}: {room}::{own} uses {room}::{other}: each protocol stands on the \
                             node alone; put what both need beside them in core/src/{room}/",
                            file.path, line.number
                        ));
                    }
                }
            }
        }
    }
    no_complaints(&complaints);
}

/// Folders of the HTTP front end, and which of the others each may use. The files
/// beside them put them together.
const CONSUL_FOLDERS: &[(&str, &[&str])] = &[
    ("http", &[]),
    ("ui", &["http"]),
    ("catalog", &["http"]),
    ("kv", &["http"]),
    ("operator", &["http", "catalog"]),
    ("agent", &["http", "catalog", "operator"]),
    ("metrics", &["http", "operator"]),
];

#[test]
fn folders_of_the_http_front_end_use_only_those_below_them() {
    const FRONT_END: &str = "core/src/server/consul/";
    let is_folder = |name: &str| CONSUL_FOLDERS.iter().any(|(folder, _)| *folder == name);
    let mut complaints = Vec::new();
    for file in files(FRONT_END, &[".rs"]) {
        let inner = file.path.trim_start_matches(FRONT_END);
        let Some((own, name)) = inner.split_once('/') else { continue };
        // Of the file beside its folder.
        if name == "tests.rs" && !is_folder(own) {
            continue;
        }
        let Some((_, allowed)) = CONSUL_FOLDERS.iter().find(|(folder, _)| *folder == own) else {
            complaints.push(format!(
                "{}: folder `{own}` is not in the table: decide what it may use and add it to \
                 CONSUL_FOLDERS in tests/tests/tidy/layers.rs",
                file.path
            ));
            continue;
        };
        for line in file.code() {
            for used in modules_named_after("crate::server::consul::", line.code) {
                if used != own && is_folder(used) && !allowed.contains(&used) {
                    complaints.push(format!(
                        "{}:{}: `{own}` must not use `{used}`: move the code down to a folder both \
                         may use",
                        file.path, line.number
                    ));
                }
            }
        }
    }
    no_complaints(&complaints);
}

#[test]
fn the_command_and_the_bindings_use_only_the_public_face_of_the_core() {
    let mut complaints = Vec::new();
    for folder in ["core/cli/src", "ffi-c/src", "python/src"] {
        for file in files(folder, &[".rs"]) {
            for line in file.code() {
                for inner in ["consensus", "storage"] {
                    if line.code.contains(&format!("coord_core::{inner}")) {
                        complaints.push(format!(
                            "{}:{}: this reaches into coord_core::{inner}: use node, server, \
                             client or settings",
                            file.path, line.number
                        ));
                    }
                }
            }
        }
    }
    no_complaints(&complaints);
}

fn is_module(name: &str) -> bool {
    MAY_USE.iter().any(|(module, _)| *module == name)
}

fn what_instead(module: &str) -> &'static str {
    match module {
        "server" => "servers see the node handle and the agent, nothing below them",
        "client" => "clients see only the protocol and settings",
        _ => "layers point one way: see the head of core/src/lib.rs",
    }
}

/// The names that follow `prefix` in a line: one, or those of a `{…}` group.
fn modules_named_after<'a>(prefix: &str, code: &'a str) -> Vec<&'a str> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        let rest = &code[at + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(group) => names.extend(group.split([',', '}']).map(first_word)),
            None => names.push(first_word(rest)),
        }
    }
    names
}

fn first_word(text: &str) -> &str {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}
