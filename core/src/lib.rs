//! libcoord: a replicated coordination service as a library.
//!
//! A [`node::Node`] is one member of a cluster, embedded in this process: it
//! replicates commands with its peers, stores them on disk and answers reads.
//! The servers in [`server`] translate protocols to that handle; the clients in
//! [`client`] speak the same protocols, to libcoord or to the original
//! ZooKeeper and Consul.
//!
//! Layers, each using only those above it in this list (kept by
//! `tests/tidy.rs`): `error`, `sync`, `clock`, `archive`, `settings`, `durations`,
//! `listening`; `tls`, `storage`; `consensus`;
//! `node`, `agent`; `server`, `client`; `embedded`.

mod archive;
pub mod clock;
pub mod durations;
pub mod error;
pub mod listening;
pub mod settings;
mod sync;

pub mod tls;

pub mod storage;

pub mod consensus;

pub mod node;

pub mod agent;

pub mod server;

pub mod client;

pub mod embedded;

pub use error::{Error, ErrorKind};
