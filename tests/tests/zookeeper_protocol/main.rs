//! The ZooKeeper protocol, byte by byte, against a member in this process.
//!
//! `replay` repeats the conversation recorded with a genuine ZooKeeper.

mod client;
mod connection;
mod replay;
mod transcript;
mod watches;
