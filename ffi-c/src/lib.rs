//! The C API of libcoord: lifetimes, errors and threads for a C host program,
//! no logic. The header is `include/coord.h`, generated from this crate.
//!
//! Conventions, stated for C at the top of the header:
//!
//! * Every function body runs inside `boundary::guard` or, if it cannot fail,
//!   `boundary::look`: no panic crosses, a call in a forked child is refused.
//! * Handles are opaque; `_free` accepts NULL; out-parameters come last and
//!   are untouched on failure.
//! * Several threads may use a handle at the same time; only `_free` must come
//!   last.

mod boundary;
mod handle;

pub mod bytes;
pub mod cluster;
pub mod consul;
pub mod error;
pub mod log;
pub mod server;
pub mod settings;
mod stack;
pub mod status;
pub mod string;
pub mod zookeeper;
