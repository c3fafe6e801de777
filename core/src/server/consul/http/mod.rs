//! HTTP plumbing that all endpoints share: requests and their parameters, blocking queries,
//! large lists rendered outside the state lock, responses and errors, parked connections.
//! No endpoint lives here, and nothing here depends on one.

pub(super) mod answer;
pub(super) mod blocking;
pub(super) mod body;
pub(super) mod call;
pub(super) mod clean_path;
pub(super) mod error_map;
pub(super) mod fingerprint;
pub(super) mod fixed;
pub(super) mod kept;
pub(super) mod params;
pub(super) mod parking;
pub(super) mod printing;
pub(super) mod read_options;
mod response_head;
pub(super) mod times;
