//! `include/coord.h` is what the exported functions say it is, and every C and
//! C++ compiler takes it. `UPDATE=1 cargo test -p coord-ffi --test header`
//! writes it anew; the difference is to be reviewed as a change of the API.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The sources in the order in which the header shows them.
const SECTIONS: [&str; 23] = [
    "status",
    "error",
    "string",
    "bytes",
    "log",
    "settings",
    "server",
    "cluster",
    "zookeeper/mod",
    "zookeeper/stat",
    "zookeeper/tree",
    "zookeeper/watch",
    "zookeeper/event",
    "zookeeper/multi",
    "zookeeper/hash",
    "consul/mod",
    "consul/service",
    "consul/instances",
    "consul/check",
    "consul/graph",
    "consul/pair",
    "consul/kv",
    "consul/session",
];

const INCLUDES: &str = "#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n";

#[test]
fn the_header_is_what_the_sources_say() {
    let written = top().join("include/coord.h");
    let expected = generate();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(top().join("include")).expect("a folder for the header");
        std::fs::write(&written, &expected).expect("the header can be written");
    }
    let found = std::fs::read_to_string(&written).unwrap_or_default();
    assert!(
        found == expected,
        "include/coord.h is not what the sources say: run `UPDATE=1 cargo test -p coord-ffi \
         --test header`, and look at what changed as at a change of the API"
    );
}

#[test]
fn every_source_with_an_exported_function_has_a_section() {
    for path in sources() {
        let text = std::fs::read_to_string(&path).expect("a source");
        let listed = SECTIONS.iter().any(|section| path == source(section));
        let exports = text.contains(concat!("no_", "mangle"));
        assert!(listed || !exports, "{}: name it in SECTIONS", path.display());
    }
}

#[test]
fn every_function_is_declared_once() {
    let header = generate();
    let lines = header.lines().filter(|line| !line.starts_with([' ', '*', '/', '#']));
    let names = lines.filter_map(|line| line.split_once('(')?.0.rsplit([' ', '*']).next());
    let mut seen = std::collections::BTreeSet::new();
    for name in names.filter(|name| name.starts_with("coord_")) {
        assert!(seen.insert(name), "{name} is declared twice");
    }
    assert!(seen.len() > 50, "only {} functions seen", seen.len());
}

#[test]
fn c99_takes_the_header_twice_without_a_warning() {
    compile("cc", "c", &["-std=c99"]);
}

#[test]
fn cpp17_takes_the_header_twice_without_a_warning() {
    if Command::new("c++").arg("--version").output().is_err() {
        eprintln!("skipped: there is no c++ here");
        return;
    }
    compile("c++", "c++", &["-std=c++17"]);
}

fn compile(compiler: &str, language: &str, options: &[&str]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = folder.path().join("twice");
    let text = "#include \"coord.h\"\n#include \"coord.h\"\n\
                int main(void) { coord_error_free(0); return COORD_OK; }\n";
    std::fs::write(&program, text).expect("a program");
    std::fs::write(folder.path().join("coord.h"), generate()).expect("a header");
    let done = Command::new(compiler)
        .args(options)
        .args(["-pedantic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", language])
        .arg("-I")
        .arg(folder.path())
        .arg(&program)
        .output()
        .expect("the compiler runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

fn generate() -> String {
    let config = cbindgen::Config::from_file(top().join("ffi-c/cbindgen.toml")).expect("a config");
    // Copies without their modules, which are sections of their own: cbindgen
    // would follow them, and declare everything in them twice.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let builder = SECTIONS.iter().fold(cbindgen::Builder::new(), |builder, section| {
        let text = std::fs::read_to_string(source(section)).expect("a source");
        let copy = folder.path().join(format!("{}.rs", section.replace('/', "-")));
        let lines = text.lines().filter(|line| !line.starts_with("pub mod "));
        std::fs::write(&copy, lines.collect::<Vec<_>>().join("\n")).expect("a copy");
        builder.with_src(copy)
    });
    let mut generated = Vec::new();
    builder.with_config(config).generate().expect("a header").write(&mut generated);
    let generated = String::from_utf8(generated).expect("the sources are UTF-8");
    format!(
        "{}\n#ifndef COORD_H\n#define COORD_H\n\n{INCLUDES}\n{}\n#endif /* COORD_H */\n",
        include_str!("header_top.h"),
        for_c(&generated).trim()
    )
}

/// Without what is only of use in Rust, the promises of the caller: the head of
/// the header makes them once for all. What fits becomes a line.
fn for_c(generated: &str) -> String {
    let mut lines: Vec<&str> = Vec::new();
    let mut promises = false;
    for line in generated.lines().map(str::trim_end) {
        promises = (promises || line.trim() == "* # Safety") && line.trim() != "*/";
        if promises {
            continue;
        }
        if line.trim() == "*/" {
            // The empty line before the promises.
            while lines.last().is_some_and(|last| last.trim() == "*") {
                lines.pop();
            }
        }
        lines.push(line);
    }
    let mut text = lines.join("\n");
    for (begin, end) in [("/**\n * ", "\n */"), ("/**\n     * ", "\n     */")] {
        text = on_one_line(&text, begin, end);
    }
    text
}

fn on_one_line(text: &str, begin: &str, end: &str) -> String {
    let mut pieces = text.split(begin);
    let mut joined = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        match piece.split_once(end) {
            Some((comment, rest)) if !comment.contains('\n') => {
                joined.push_str(&format!("/** {comment} */{rest}"));
            }
            _ => {
                joined.push_str(begin);
                joined.push_str(piece);
            }
        }
    }
    joined
}

fn source(section: &str) -> PathBuf {
    top().join(format!("ffi-c/src/{section}.rs"))
}

fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![top().join("ffi-c/src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }
    found
}

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_path_buf()
}
