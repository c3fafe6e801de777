//! The ZooKeeper protocol, byte by byte, against a member in this process.
//!
//! `replay` repeats the conversation recorded with a genuine ZooKeeper.

mod connection;
mod replay;
mod transcript;
