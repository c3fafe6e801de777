//! The ZooKeeper protocol, byte by byte, against a member in this process.
//!
//! `replay` repeats the conversation recorded with a genuine ZooKeeper. The
//! rest tells single rules, by what they are about:
//!
//! | file | rules |
//! |---|---|
//! | `handshakes` | both lengths, timeouts, being ahead, passwords, moving, failover, expiry, closing |
//! | `isolation` | members that lose the others and find them again: who lives, and who is told so |
//! | `local_sessions` | sessions that one member knows, and what becomes of them |
//! | `read_only` | what a member without its majority still does |
//! | `limits` | what is refused, or waits, when something is full |
//! | `access` | superusers, members that check nothing, and those that let in nobody unknown |
//! | `containers` | what goes by itself, and what does not |
//! | `znodes` | names, numbers, null data, access lists, multis, ephemerals by prefix |
//! | `watches` | own writes, places between replies, deletions, persistent ones, catching up, removing |
//! | `freshness` | what members that lag or lost their majority may still answer |
//! | `extensions` | what ZooKeeper does not have: ClickHouse Keeper's operations, hashes |
//! | `measures` | what `mntr` and `conf` tell was counted and measured |
//! | `guarantees` | order, wholeness and freshness across members, over a change of leader |
//! | `connections` | numbers of requests, proofs, unknown operations, frames, order, words |
//!
//! Ties between members under kills, and bytes that mean nothing, are in
//! `tests/conformance`.

#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]

mod access;
mod client;
mod connection;
mod connections;
mod containers;
mod ensemble;
mod extensions;
mod freshness;
mod guarantees;
mod handshakes;
mod isolation;
mod limits;
mod local_sessions;
mod measures;
mod read_only;
mod replay;
mod transcript;
mod watches;
mod znodes;
