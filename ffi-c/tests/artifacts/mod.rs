//! Where the libraries are that programs in C link against.
//!
//! Cargo builds a package's shared and static library for its own tests only as
//! a side effect, so this asks for them: once, in the profile of the test. With
//! a build that is up to date that takes a moment.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The folder that holds both.
pub(crate) fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        // <target>/<profile>/deps/<test>
        let test = std::env::current_exe().expect("the test is a file");
        let folder = test.ancestors().nth(2).expect("two folders up").to_path_buf();
        let target = folder.parent().expect("a target folder");
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "-p", "coord-ffi", "--lib"]);
        if folder.ends_with("release") {
            build.arg("--release");
        }
        build.current_dir(env!("CARGO_MANIFEST_DIR")).env("CARGO_TARGET_DIR", target);
        let done = build.status().expect("cargo runs");
        assert!(done.success(), "libcoord does not build");
        folder
    })
}
