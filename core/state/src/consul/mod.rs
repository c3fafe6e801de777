//! Consul's tables: keys, catalog, health checks, sessions.
//!
//! Every record keeps the revision that created and last changed it; every
//! table, service name and key prefix can tell the index a blocking query
//! reports. A command that changes nothing moves no index and wakes nobody.

mod catalog;
mod command;
mod health;
mod kv;
mod rejection;
mod reply;
mod session;

pub use catalog::{Catalog, CatalogNode, CatalogService, TaggedAddress, Weights};
pub use command::{
    ConsulCommand, KvOp, NewCheck, NewNode, NewService, NewSession, Registration, TxnOp,
};
pub use health::{CheckStatus, HealthCheck};
pub use kv::{Kv, KvEntry};
pub use rejection::ConsulRejection;
pub use reply::{ConsulReply, TxnError, TxnResult};
pub use session::{ConsulSession, ConsulSessionId, ConsulSessions, SessionBehavior};

use alloc::string::String;
use alloc::vec::Vec;

use crate::digest::{Digest, Hasher};
use crate::event::Event;
use crate::machine::Stamp;
use crate::rejection::Rejection;
use crate::reply::Reply;

/// All of Consul's tables.
#[derive(Debug, Default)]
pub struct Consul {
    kv: Kv,
    catalog: Catalog,
    sessions: ConsulSessions,
    hasher: Hasher,
    digest: Digest,
}

impl Consul {
    pub(crate) fn apply(
        &mut self,
        _stamp: Stamp,
        _command: ConsulCommand,
        _events: &mut Vec<Event>,
    ) -> Result<Reply, Rejection> {
        Err(Rejection::Unimplemented)
    }

    /// The key-value store.
    pub fn kv(&self) -> &Kv {
        &self.kv
    }

    /// Nodes, services and their checks.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Sessions.
    pub fn sessions(&self) -> &ConsulSessions {
        &self.sessions
    }

    pub(crate) fn rehash(&mut self, hasher: Hasher) {
        self.hasher = hasher;
    }

    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }

    pub(crate) fn check_invariants(&self) -> Result<(), String> {
        Ok(())
    }
}

// ---- snapshot: tags 32 to 63 of the record stream ----

impl Consul {
    /// Hands every table's records to `sink`, under tags 32 to 63.
    pub(crate) fn snapshot_records<E>(
        &self,
        _sink: &mut dyn FnMut(u8, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        Ok(())
    }

    /// Takes one record that [`Consul::snapshot_records`] made.
    pub(crate) fn restore_record(
        &mut self,
        tag: u8,
        _input: crate::codec::Input,
    ) -> Result<(), crate::codec::CodecError> {
        Err(crate::codec::CodecError::UnknownTag { what: "snapshot record", tag: tag.into() })
    }
}
