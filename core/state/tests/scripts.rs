//! Plays the dialogues under `testscripts/` against a fresh state machine and
//! compares every answer with the one written down.
//!
//! `UPDATE=1 cargo test -p coord-state --test scripts` writes the answers
//! anew; the text diff is then what there is to review.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test may stop at the first surprise and read its own files"
)]

mod script;

use std::path::{Path, PathBuf};

fn scripts_under(area: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testscripts").join(area);
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn play_all(area: &str) {
    let update = std::env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();
    for path in scripts_under(area) {
        let written = std::fs::read_to_string(&path).unwrap();
        let played = match script::play(&written) {
            Ok(played) => played,
            Err(trouble) => {
                wrong.push(format!("{}: {trouble}", path.display()));
                continue;
            }
        };
        if played == written {
            continue;
        }
        if update {
            std::fs::write(&path, played).unwrap();
        } else {
            wrong.push(format!("{}:\n{}", path.display(), script::difference(&written, &played)));
        }
    }
    assert!(wrong.is_empty(), "{} script(s) differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn znode_scripts_play_as_written() {
    play_all("znode");
}

#[test]
fn session_scripts_play_as_written() {
    play_all("session");
}

#[test]
fn consul_scripts_play_as_written() {
    play_all("consul");
}
