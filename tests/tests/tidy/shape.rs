//! Sizes and names of files, and files nobody reads.

use std::collections::BTreeSet;
use std::path::Path;

use crate::no_complaints;
use crate::source::{files, top};

const LINES_MAX: usize = 600;

/// Longer files with a reason to be.
const MAY_BE_LONG: &[(&str, &str)] = &[("include/coord.h", "generated")];

#[test]
fn no_file_holds_two_ideas() {
    let mut complaints = Vec::new();
    for file in files("", &[".rs", ".py", ".pyi", ".c", ".h", ".sh", "Makefile"]) {
        let lines = file.text.lines().count();
        let may = MAY_BE_LONG.iter().any(|(path, _)| *path == file.path);
        if lines > LINES_MAX && !may {
            complaints.push(format!(
                "{}: {lines} lines: look for the second idea in it and give that a file of its own \
                 (tests first: foo.rs and foo/tests.rs)",
                file.path
            ));
        }
    }
    no_complaints(&complaints);
}

#[test]
fn files_are_named_for_what_they_hold() {
    let vague = ["util", "utils", "common", "helper", "helpers", "manager", "misc"];
    let mut complaints = Vec::new();
    for file in files("", &[".rs", ".py", ".c"]) {
        let path = Path::new(&file.path);
        let stem = path.file_stem().expect("a file has a name").to_string_lossy();
        let folder = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
        if vague.contains(&stem.as_ref()) || vague.contains(&folder.as_ref()) {
            complaints.push(format!(
                "{}: a name for anything names nothing: call it after the one thing it holds",
                file.path
            ));
        }
    }
    no_complaints(&complaints);
}

#[test]
fn every_rust_file_is_compiled() {
    let mut complaints = Vec::new();
    for folder in
        ["core/src", "core/cli/src", "core/state/src", "core/wire/src", "ffi-c/src", "python/src"]
    {
        for file in files(folder, &[".rs"]) {
            let path = Path::new(&file.path);
            let stem = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
            let folder = path.parent().expect("a file has a folder");
            if stem == "lib" || stem == "main" {
                continue;
            }
            // foo/mod.rs is declared one folder up under the folder's name.
            let (name, home) = if stem == "mod" {
                let name = folder.file_name().expect("below src").to_string_lossy().into_owned();
                (name, folder.parent().expect("below src").to_path_buf())
            } else {
                (stem, folder.to_path_buf())
            };
            let parents = [
                home.join("mod.rs"),
                home.join("lib.rs"),
                home.join("main.rs"),
                home.with_extension("rs"),
            ];
            // Tests may stand beside their file under a path of their own.
            let named = format!("\"{name}.rs\"");
            let by_path = files(&folder.to_string_lossy(), &[".rs"])
                .iter()
                .any(|sibling| sibling.text.contains(&named));
            let declared = by_path
                || parents.iter().any(|parent| {
                    std::fs::read_to_string(top().join(parent))
                        .is_ok_and(|text| text.lines().any(|line| declares(line, &name)))
                });
            if !declared {
                complaints.push(format!(
                    "{}: no `mod {name};` beside it, so nobody compiles it: declare or delete it",
                    file.path
                ));
            }
        }
    }
    no_complaints(&complaints);
}

fn declares(line: &str, module: &str) -> bool {
    let line = line.split("//").next().unwrap_or_default().trim();
    line.strip_suffix(';')
        .is_some_and(|line| line.split_whitespace().rev().take(2).eq([module, "mod"]))
}

#[test]
fn no_file_names_one_machine() {
    // Spelled in two parts, or this file would name them.
    let places = [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Us", "ers/")];
    let workplace = [concat!("/wo", "rk/wt"), concat!("/wo", "rk/main"), concat!("/wo", "rk/sh")];
    let places: BTreeSet<&str> = places.into_iter().chain(workplace).collect();
    let endings = [
        ".rs", ".py", ".pyi", ".c", ".h", ".sh", ".md", ".toml", ".txt", ".script", "Makefile",
        ".ci/run", ".json", ".hex",
    ];
    let mut complaints = Vec::new();
    for file in files("", &endings) {
        for (index, line) in file.text.lines().enumerate() {
            for place in &places {
                if line.contains(place) {
                    complaints.push(format!(
                        "{}:{}: `{place}` is a path of one machine: find the place from the \
                         repository, an argument or a temporary folder",
                        file.path,
                        index + 1
                    ));
                }
            }
        }
    }
    no_complaints(&complaints);
}
