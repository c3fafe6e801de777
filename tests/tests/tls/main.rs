//! TLS: the module itself, and the servers and clients that use it. All
//! certificates are made here, by authorities that live as long as a test.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod authority;
mod handshakes;
mod https;
mod peers;
mod zookeeper;
