//! What the shared library exports is what the header declares, and every
//! exported function keeps its faults inside.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

mod artifacts;

/// The shared library's file.
const SHARED: &str = if cfg!(target_os = "macos") { "libcoord.dylib" } else { "libcoord.so" };

#[test]
fn the_library_exports_exactly_the_functions_of_the_header() {
    if Command::new("nm").arg("--version").output().is_err() {
        eprintln!("skipped: there is no nm here");
        return;
    }
    let library = artifacts::folder().join(SHARED);
    let listed = Command::new("nm").args(["-D", "--defined-only"]).arg(library).output();
    let listed = listed.expect("nm runs");
    let listed = String::from_utf8(listed.stdout).expect("names are ASCII");
    let exported: BTreeSet<&str> =
        listed.lines().filter_map(|line| line.split_whitespace().nth(2)).collect();
    let header = read("../include/coord.h");
    let declared = functions_of(&header);
    assert!(declared.len() > 50, "the header declares {} functions", declared.len());
    assert_eq!(exported, declared);
}

/// Names before an opening parenthesis, outside comments.
fn functions_of(header: &str) -> BTreeSet<&str> {
    let code = header.lines().filter(|line| !line.trim_start().starts_with(['*', '/']));
    code.filter_map(|line| {
        let name = line.split_once('(')?.0.rsplit([' ', '*']).next()?;
        name.starts_with("coord_").then_some(name)
    })
    .collect()
}

#[test]
fn no_exported_function_lets_a_panic_out() {
    let mut seen = 0;
    for section in walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let text = std::fs::read_to_string(&section).expect("a source");
        // From one exported function to the end of its body, a brace in the first column.
        for function in text.split(concat!("#[unsafe(no_", "mangle)]")).skip(1) {
            let body = function.split("\n}").next().unwrap_or_default();
            let ways = [
                "guard(",
                "guard_on_this_thread(",
                "look(",
                "free(",
                "free_with_threads(",
                // Another exported function, which is checked itself.
                " coord_consul_register_with_dependencies(",
            ];
            let guarded = ways.iter().any(|way| {
                body.lines().skip(1).any(|line| line.contains(way) && !line.contains("fn "))
            });
            let name = function.lines().nth(1).unwrap_or_default();
            assert!(guarded, "{}: {name} must run its body in boundary.rs", section.display());
            seen += 1;
        }
    }
    assert!(seen > 50, "only {seen} functions seen");
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder of sources");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect(path)
}
