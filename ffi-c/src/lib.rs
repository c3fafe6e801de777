//! The C face of libcoord: lifetimes, errors and threads for a C host, no
//! logic. The header is `include/coord.h`, generated from this crate.
//!
//! Conventions, stated for C at the top of the header:
//!
//! * Every function body runs inside [`boundary::guard`]: a panic becomes
//!   `COORD_PANIC`, a call in a forked child `COORD_FORKED`.
//! * Handles are opaque; `_free` accepts NULL; out-parameters come last and
//!   are untouched on failure.
//! * A `const` handle may be used by several threads at the same time.

mod boundary;
mod error;
mod handle;
mod settings;
mod status;
mod string;

pub mod server;

pub use error::coord_error;
pub use settings::coord_settings;
pub use status::coord_status;
