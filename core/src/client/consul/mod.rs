//! A client for Consul's HTTP API, of libcoord or of the original Consul.
//!
//! [`Client::request`] sends any request; the other methods are the common
//! calls, by family: keys (`kv_`), transactions, the agent (`agent_`), the
//! catalog, health, the service graph, sessions, events, prepared queries,
//! coordinates. Responses are typed where that is obvious, otherwise JSON with
//! the index to wait on ([`Answer`]).
//!
//! [`blocking::Client`] is the same for callers without a runtime.
//! [`registration`] contains the rules for lenient service registration.

pub mod blocking;
pub mod registration;

mod agent;
mod catalog;
mod check;
mod client;
mod coordinate;
mod dependency;
mod error;
mod event;
mod graph;
mod health;
mod http;
mod kv;
mod options;
mod query;
mod request;
mod session;
mod settings;
mod status;
mod txn;

#[cfg(test)]
mod tests;

pub use agent::ServiceDefinition;
pub use check::Check;
pub use client::Client;
pub use dependency::Dependency;
pub use error::ConsulFailure;
pub use event::FireOptions;
pub use graph::{GraphFormat, NO_GRAPH, Readiness};
pub use kv::{KvDelete, KvPair, KvPut};
pub use options::{READ_TIMEOUT, ReadOptions, WriteOptions};
pub use request::{Answer, Method, Request, Response};
pub use session::SessionDefinition;
pub use settings::{Consistency, Settings};
pub use txn::TxnOutcome;
