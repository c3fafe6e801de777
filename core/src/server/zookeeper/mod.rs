//! ZooKeeper's protocol over the node handle, as version 3.9 speaks it.
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
//! 1. Replies are in request order; only auth is answered at once.
//! 2. Writes are submitted as they come, not one by one. A read waits for all
//!    writes before it, and a write for all reads before it.
//! 3. A read drains the inbox under the state's lock before it looks, and
//!    leaves its watch under the same lock: an event comes before any reply
//!    that could show its effect, and no event falls in between.
//! 4. A command's own events come before its reply, by the order of the inbox.
//!
//! The end of a connection does not end its session.

mod admin;
mod admin_state;
mod authentication;
mod confirmations;
mod connection;
mod connection_table;
mod counters;
mod dump;
mod error_map;
mod extension;
mod four_letter;
mod handshake;
mod identity;
mod inbox;
mod introduction;
mod listener;
mod listeners;
mod local_sessions;
mod outbox;
mod pipeline;
mod read;
mod reconfig;
mod reply;
mod reply_limit;
mod request;
mod requirements;
mod sasl;
mod service_mode;
mod socket;
mod translate;
mod watch;
mod watch_words;
mod whitelist;

pub use counters::CounterSnapshot;
pub use listener::ZookeeperServer;
