//! The libFuzzer program: run.py builds and starts it.
#![no_main]

use std::sync::LazyLock;

use coord_fuzz::{Target, target};

/// Which target this process is for: its name in `COORD_FUZZ_TARGET`.
static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("COORD_FUZZ_TARGET").unwrap_or_default();
    target(&name).unwrap_or_else(|| panic!("COORD_FUZZ_TARGET names no target: {name:?}"))
});

libfuzzer_sys::fuzz_target!(|input: &[u8]| (TARGET.check)(input));
