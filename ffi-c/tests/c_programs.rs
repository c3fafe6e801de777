//! Compiles the programs in `tests/c` and `examples/c` as a stranger would,
//! against the shared and the static library, and runs them; under valgrind,
//! too, where that is installed.
//!
//! The tests in C start members of their own. The examples are run as their
//! heads say.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

mod artifacts;

#[test]
fn the_server_section_holds() {
    try_everywhere("tests/c/server.c", &[]);
}

#[test]
fn the_zookeeper_section_holds() {
    try_everywhere("tests/c/zookeeper.c", &[]);
}

#[test]
fn the_consul_section_holds() {
    try_everywhere("tests/c/consul.c", &[]);
}

#[test]
fn the_graph_section_holds() {
    // What it allocates is tried under valgrind with the Consul section.
    let folder = tempfile::tempdir().expect("a temporary folder");
    try_linkages("tests/c/graph.c", &[], folder.path());
}

#[test]
fn https_is_spoken_from_c() {
    let certificates = top().join("tests/fixtures/certificates");
    let certificates = certificates.to_str().expect("a path of text");
    // Not under valgrind, which takes what the assembly of the ciphers writes for unset.
    let folder = tempfile::tempdir().expect("a temporary folder");
    try_linkages("tests/c/consul_https.c", &[certificates], folder.path());
}

#[test]
fn mistakes_of_the_caller_are_told() {
    try_everywhere("tests/c/errors.c", &[]);
}

#[test]
fn the_log_section_holds() {
    try_everywhere("tests/c/log.c", &[]);
}

#[test]
fn a_small_stack_of_the_caller_suffices_for_every_call() {
    // Not under valgrind, whose own frames are not those of the program.
    let folder = tempfile::tempdir().expect("a temporary folder");
    try_linkages("tests/c/small_stack.c", &[], folder.path());
}

#[test]
fn the_document_example_does_what_it_says() {
    let said = try_everywhere("examples/c/document.c", &["--embedded"]);
    for line in ["read /test: \"data\"", "found the service \"test\" at 127.0.0.1:8500"] {
        assert!(said.contains(line), "no {line:?} in\n{said}");
    }
}

#[test]
fn the_graph_example_tells_the_order_and_who_suffers() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let said = try_linkages("examples/c/start_order.c", &["--embedded"], folder.path());
    let lines: Vec<_> = said.lines().collect();
    let expected = [
        "start db",
        "start api",
        "start web",
        "api is critical because of db",
        "web is critical because of db",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_member_finds_its_folder_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = folder.path().join("program");
    compile("examples/c/start_one_member.c", &program, Linkage::Shared);
    let data = folder.path().join("data");
    for run in 1..=2 {
        let said = run_program(Command::new(&program).arg(&data));
        assert!(said.contains(&format!("runs with this folder: {run}")), "{said}");
    }
}

#[test]
fn a_lock_is_taken_and_given_back() {
    let settings = coord_core::settings::Settings::embedded();
    let server = coord_core::embedded::Server::start_embedded(settings).expect("a member");
    server.wait_ready(std::time::Duration::from_secs(60)).expect("a member that serves");
    let address = server.addresses().zk.expect("a port").to_string();
    let said = try_everywhere("examples/c/distributed_lock.c", &[&address, "0"]);
    assert!(said.contains("holds the lock") && said.contains("gave the lock back"), "{said}");
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Linkage {
    Shared,
    Static,
}

/// Runs a program with either library, then under valgrind; gives what it
/// said the last time.
fn try_everywhere(source: &str, arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let said = try_linkages(source, arguments, folder.path());
    if Command::new("valgrind").arg("--version").output().is_ok() {
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--quiet", "--error-exitcode=9", "--leak-check=full"]);
        valgrind.args(["--errors-for-leak-kinds=definite", "--show-leak-kinds=definite"]);
        // One thread at a time: without turns, one that spins keeps the others waiting.
        valgrind.args(["--fair-sched=yes"]);
        valgrind.arg(folder.path().join(format!("{:?}", Linkage::Shared))).args(arguments);
        run_program(&mut valgrind);
    } else {
        eprintln!("not tried under valgrind, which is not installed");
    }
    said
}

/// Runs a program with either library, from this folder; gives what it said the
/// last time.
fn try_linkages(source: &str, arguments: &[&str], folder: &Path) -> String {
    let mut said = String::new();
    for linkage in [Linkage::Static, Linkage::Shared] {
        let program = folder.join(format!("{linkage:?}"));
        compile(source, &program, linkage);
        said = run_program(Command::new(&program).args(arguments));
    }
    said
}

fn compile(source: &str, program: &Path, linkage: Linkage) {
    let libraries = artifacts::folder();
    let mut compiler = Command::new(std::env::var("CC").unwrap_or_else(|_| "cc".to_owned()));
    compiler.args(["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-g"]);
    compiler.arg("-I").arg(top().join("include")).arg(top().join(source));
    match linkage {
        Linkage::Shared => compiler.arg("-L").arg(libraries).arg("-lcoord"),
        Linkage::Static => compiler.arg(libraries.join("libcoord.a")),
    };
    compiler.args(["-lpthread", "-ldl", "-lm", "-o"]).arg(program);
    finished(compiler.output().expect("a C compiler"), &format!("compiling {source}"));
}

fn run_program(command: &mut Command) -> String {
    let libraries = artifacts::folder();
    command.env("LD_LIBRARY_PATH", libraries).env("DYLD_LIBRARY_PATH", libraries);
    let what = format!("{command:?}");
    finished(command.output().expect("a program that was just built"), &what)
}

#[track_caller]
fn finished(output: Output, what: &str) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {}\n{said}{complained}", output.status);
    said
}

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_path_buf()
}
