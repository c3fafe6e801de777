//! Nothing to call: this crate exists for its integration tests, which look at
//! the whole house at once. `tests/tidy` reads the sources and documents,
//! `tests/configuration.rs` prints docs/CONFIGURATION.md. Conformance with
//! genuine peers and clients is in `conformance/`, run by `make conformance`.
