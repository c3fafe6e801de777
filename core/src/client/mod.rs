//! The protocols from the other side: clients for this server, and for a
//! genuine ZooKeeper or Consul.
//!
//! Each protocol has an async `Client`, cheap to clone, whose tasks run on the
//! caller's tokio runtime, and a `blocking::Client` that owns a runtime with
//! one worker thread and joins it on `close`. Sockets are only ever written by
//! tasks, so with the blocking form all writing happens on its own thread.
//!
//! Every wait has a limit, every queue a bound; `close` may be called twice.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may stop at the first surprise"))]

pub mod consul;
pub mod zookeeper;

mod runtime;
mod time;
mod tls_options;
