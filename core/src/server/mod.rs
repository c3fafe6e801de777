//! Protocol front ends: each reads one protocol, translates to the node handle, and answers.

pub mod consul;
pub mod dns;
pub mod zookeeper;
