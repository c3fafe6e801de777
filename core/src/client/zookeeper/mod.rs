//! A client for ZooKeeper's protocol, for libcoord or the original ZooKeeper.
//!
//! ```text
//!  Client  --call-->  bounded channel  -->  session task  --frames-->  server
//!     ^                                        |   ^
//!     +------------------ reply ---------------+   +--- replies, events ---
//!  Subscription  <--- bounded queue ---  watches
//! ```
//!
//! One task per client keeps one session alive over any number of connections.
//! It owns all mutable state, so locks are only held briefly.
//!
//! 1. Replies arrive in the order of requests; a reply out of order ends the
//!    connection.
//! 2. A call that was never sent has no effect. A write that was sent but not
//!    answered fails with `Indeterminate`; a read is sent again.
//! 3. An event reaches its queue before a reply that could reveal the change
//!    reaches its caller.
//! 4. After a reconnection, authentication is sent again before watches, and
//!    watches before anything else.
//!
//! [`blocking::Client`] is the same for callers without a runtime.

mod attempts;
pub mod blocking;

mod client;
mod error_map;
mod exchange;
mod hash_calls;
mod hosts;
mod link;
mod login;
mod operation;
mod queue;
mod session;
mod settings;
mod state;
mod tree_calls;
mod watcher;

#[cfg(test)]
mod tests;

pub use client::Client;
pub use coord_state::ContentHash;
pub use coord_state::znode::{Ace, CreateMode, Identity, Reach, Stat, permission};
pub use coord_wire::zookeeper::ErrorCode;
pub use error_map::{kind_of_code, zookeeper_code};
pub use hash_calls::Hashed;
pub use operation::{CreateOptions, Created, Op, OpResult, Znode, open_acl};
pub use settings::{Credential, Login, OnExpiry, Settings};
pub use state::{SessionInfo, State, StateSubscription};
pub use watcher::{EventKind, Subscription, WatchEvent, WatchMode, Watcher, WatcherKind};
