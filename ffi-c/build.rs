//! Names the shared library for the dynamic linker. Programs record this name,
//! so that a later libcoord that breaks them gets another one beside it.

use std::path::Path;

const SONAME: &str = "libcoord.so.0";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        return;
    }
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,{SONAME}");
    // Threads of a member may outlive a dlclose, and must then still find their code.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    link_beside_the_library();
}

/// Puts `libcoord.so.0` beside `libcoord.so`, so that what is linked against
/// the build folder also runs from there. Best effort: installing does it again.
fn link_beside_the_library() {
    let Ok(out) = std::env::var("OUT_DIR") else { return };
    // <folder>/build/coord-ffi-<hash>/out
    let Some(folder) = Path::new(&out).ancestors().nth(3) else { return };
    #[cfg(unix)]
    let _ = std::os::unix::fs::symlink("libcoord.so", folder.join(SONAME));
    #[cfg(not(unix))]
    let _ = folder;
}
