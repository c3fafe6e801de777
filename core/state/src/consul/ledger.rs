//! The ledger: every table reports each of its changes to it.
//!
//! ```text
//!   table.put(key, new)  -->  Ledger: digest ^= old ^ new
//!                                     undo <- (key, old), if a command may yet fail
//! ```
//!
//! A record is its encoded key followed by its encoded value, under the tag of
//! its table. The snapshot is exactly the set of these records and the digest
//! exactly their sum, so nothing can be in one and not in the other. The tag is
//! also the version of a record: a new format gets a new tag.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::codec::Encode;
use crate::consul::catalog::{CatalogIndexes, GraphIndex, NodeRecord};
use crate::consul::coordinate::CoordinateIndexes;
use crate::consul::kv::KvIndexes;
use crate::consul::mesh::MeshIndexes;
use crate::consul::query::QueryIndexes;
use crate::consul::session::SessionIndexes;
use crate::consul::{
    Autopilot, CatalogService, ConfigEntry, ConsulSession, ConsulSessionId, HealthCheck, Intention,
    IntentionId, KvEntry, NodeCoordinate, PreparedQuery, QueryId,
};
use crate::digest::{Digest, Hasher};

/// Which table a record is of.
pub(super) mod tag {
    pub(in crate::consul) const KEY: u8 = 32;
    pub(in crate::consul) const TOMBSTONE: u8 = 33;
    pub(in crate::consul) const LOCK_DELAY: u8 = 34;
    pub(in crate::consul) const KV_INDEXES: u8 = 35;
    pub(in crate::consul) const NODE: u8 = 36;
    pub(in crate::consul) const SERVICE: u8 = 37;
    pub(in crate::consul) const CHECK: u8 = 38;
    pub(in crate::consul) const SERVICE_INDEX: u8 = 39;
    pub(in crate::consul) const CATALOG_INDEXES: u8 = 40;
    pub(in crate::consul) const SESSION: u8 = 41;
    pub(in crate::consul) const SESSION_INDEXES: u8 = 42;
    pub(in crate::consul) const QUERY: u8 = 43;
    pub(in crate::consul) const QUERY_INDEXES: u8 = 44;
    pub(in crate::consul) const COORDINATE: u8 = 48;
    pub(in crate::consul) const COORDINATE_INDEXES: u8 = 49;
    pub(in crate::consul) const AUTOPILOT: u8 = 50;
    pub(in crate::consul) const CONFIG_ENTRY: u8 = 51;
    pub(in crate::consul) const INTENTION: u8 = 52;
    pub(in crate::consul) const MESH_INDEXES: u8 = 53;
    pub(in crate::consul) const DEPENDENCIES: u8 = 60;
    pub(in crate::consul) const GRAPH_INDEXES: u8 = 61;
}

/// What one record was before it was changed.
#[derive(Debug)]
pub(super) enum Undo {
    Key(Bytes, Option<KvEntry>),
    Tombstone(Bytes, Option<u64>),
    LockDelay(Bytes, Option<u64>),
    KvIndexes(KvIndexes),
    Node(Box<str>, Option<Box<NodeRecord>>),
    Service(Box<str>, Box<str>, Option<Arc<CatalogService>>),
    Check(Box<str>, Box<str>, Option<Arc<HealthCheck>>),
    ServiceIndex(Box<str>, Option<u64>),
    CatalogIndexes(CatalogIndexes),
    Session(ConsulSessionId, Option<Box<ConsulSession>>),
    SessionIndexes(SessionIndexes),
    Query(QueryId, Option<Box<PreparedQuery>>),
    QueryIndexes(QueryIndexes),
    Coordinate(Box<str>, Option<Box<NodeCoordinate>>),
    CoordinateIndexes(CoordinateIndexes),
    Autopilot(Box<Autopilot>),
    GraphIndex(GraphIndex),
    ConfigEntry(Box<str>, Option<Arc<ConfigEntry>>),
    Intention(IntentionId, Option<Arc<Intention>>),
    MeshIndexes(MeshIndexes),
}

/// The digest of all records, and how to take the latest changes back.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    hasher: Hasher,
    digest: Digest,
    undo: Option<Vec<Undo>>,
    scratch: Vec<u8>,
}

impl Ledger {
    pub(super) fn new(hasher: Hasher) -> Self {
        Self { hasher, ..Self::default() }
    }

    pub(super) fn digest(&self) -> Digest {
        self.digest
    }

    pub(super) fn hasher(&self) -> Hasher {
        self.hasher
    }

    /// Puts a record into the digest, or takes it out.
    pub(super) fn toggle<K: Encode + ?Sized, V: Encode>(&mut self, tag: u8, key: &K, value: &V) {
        self.scratch.clear();
        key.encode(&mut self.scratch);
        value.encode(&mut self.scratch);
        self.digest.toggle(self.hasher.entry(tag, &self.scratch));
    }

    /// Puts a stored record into the digest.
    pub(super) fn toggle_stored(&mut self, tag: u8, stored: &[u8]) {
        self.digest.toggle(self.hasher.entry(tag, stored));
    }

    /// Replaces one record by another.
    pub(super) fn swap<K: Encode + ?Sized, V: Encode>(
        &mut self,
        tag: u8,
        key: &K,
        old: Option<&V>,
        new: Option<&V>,
    ) {
        for value in old.into_iter().chain(new) {
            self.toggle(tag, key, value);
        }
    }

    /// As [`Self::swap`] for the one record of a table's indexes, which is not
    /// there as long as nothing ever changed.
    pub(super) fn swap_indexes<V: Encode + Default + PartialEq>(
        &mut self,
        tag: u8,
        old: V,
        new: V,
    ) {
        for indexes in [old, new] {
            if indexes != V::default() {
                self.toggle(tag, &[0_u8; 0], &indexes);
            }
        }
    }

    /// From here on every change can be taken back.
    pub(super) fn begin(&mut self) {
        self.undo = Some(Vec::new());
    }

    /// The changes since [`Self::begin`], oldest first; none from now on.
    pub(super) fn end(&mut self) -> Vec<Undo> {
        self.undo.take().unwrap_or_default()
    }

    pub(super) fn remember(&mut self, undo: impl FnOnce() -> Undo) {
        if let Some(log) = &mut self.undo {
            log.push(undo());
        }
    }
}
