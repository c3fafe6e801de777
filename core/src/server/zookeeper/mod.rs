//! ZooKeeper's protocol over the node handle, compatible with version 3.9.
//!
//! ```text
//!  socket --frames--> Pipeline --submit(command)--> Node
//!    ^                   |   ^                       |
//!    |               read under                      | apply task
//!    |            the state's lock                   v
//!    +---- Outbox <------+-------- drain ------- Inbox (events, outcomes)
//! ```
//!
//! One task per connection. Ordering, on one connection:
//!
//! 1. Replies are in request order; only auth is answered immediately.
//! 2. Writes are pipelined, not submitted one at a time. A read waits for all
//!    writes before it, and a write for all reads before it.
//! 3. A read drains the inbox under the state's lock before it reads, and sets
//!    its watch under the same lock: an event precedes any reply that could
//!    show its effect, and no event is missed.
//! 4. A command's own events precede its reply, because of the order of the
//!    inbox.
//!
//! The end of a connection does not end its session.

mod admin;
mod client_connection;
mod confirmations;
mod connection;
mod connection_table;
mod counters;
mod error_map;
mod extension;
mod inbox;
mod listener;
mod listeners;
mod outbox;
mod pipeline;
mod read;
mod reader;
mod reconfig;
mod reply;
mod reply_limit;
mod request;
mod requirements;
mod server_context;
mod session;
mod socket;
mod translate;
mod watch;

pub use counters::CounterSnapshot;
pub use listener::ZookeeperServer;
