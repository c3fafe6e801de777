//! Clients for libcoord, and for the original ZooKeeper and Consul.
//!
//! Each protocol has an async `Client`, cheap to clone, whose tasks run on the
//! caller's tokio runtime, and a `blocking::Client` that owns a runtime with
//! one worker thread and joins it on `close`. Only tasks write to sockets, so
//! the blocking client does so on its own thread only.
//!
//! Every wait has a timeout and every queue a bound; `close` may be called
//! twice.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may stop at the first surprise"))]

pub mod consul;
pub mod zookeeper;

mod runtime;
mod time;
mod tls_options;
