//! Consul's HTTP API as data: what requests carry and what answers look like.
//!
//! ```text
//! body bytes --decode::parse--> Value --Fields--> request types --> commands
//! records of the state machine --> answer types --json::encode--> body bytes
//! ```
//!
//! Decoding follows Go's `encoding/json`, because clients were written against
//! it: names match whatever their case, snake_case is an accepted spelling, text
//! that is no Unicode is mended, and the error texts are Go's. Encoding follows it too: compact, HTML-escaped,
//! fields in a fixed order. Nothing here knows about HTTP or sockets.

pub mod agent;
pub mod catalog;
pub mod check;
pub mod config_entry;
pub mod coordinate;
pub mod decode;
pub mod dependency;
pub mod duration;
pub mod event;
pub mod filter;
pub mod graph;
pub mod health;
pub mod intention;
pub mod json;
mod json_compact;
pub mod kv;
mod lenient;
pub mod proxy;
pub mod query;
pub mod regexp;
pub mod session;
mod spelling;
pub mod txn;
pub mod ui;
pub mod uuid;

pub use decode::{DecodeError, Fields};
