//! Consul's tables: keys, catalog, health checks, sessions, prepared queries,
//! network coordinates, the configuration of autopilot, that of a service mesh.
//!
//! Every record has the revisions that created and last changed it; every
//! table, service name and key prefix has an index for blocking queries. A
//! command that changes nothing changes no index and wakes no waiter.
//!
//! ```text
//!   command --> write::Writer --> Kv, Catalog, Consul…  --> Ledger
//!                    |                     |                        digest, undo
//!                  topics                reads
//! ```
//!
//! Invariants:
//!
//! 1. A lock's holder is a live session, and the session lists exactly its
//!    locked keys.
//! 2. A service and a check belong to an existing node; a check of a service
//!    has that service's name and tags.
//! 3. A session belongs to an existing node and depends on no critical check.
//! 4. A prepared query with a session is deleted with it; a name has one query.
//! 5. A service name has an index exactly as long as it has instances.
//! 6. Dependencies between services have no cycle, see [`graph`].
//! 7. The index of a read never goes backwards. Deleted objects leave a trace:
//!    a deleted key or tree a tombstone, a deregistered service or node the
//!    revision of its removal.
//!
//! Deliberately absent: the expiry of sessions (the leader's clock; it becomes
//! a `DestroySession`) and the waiters.

mod autopilot;
mod catalog;
mod command;
mod command_codec;
mod coordinate;
mod dependency;
mod graph;
mod health;
mod kv;
mod ledger;
mod mesh;
mod name;
mod query;
mod rejection;
mod reply;
mod session;
mod stored;
#[cfg(test)]
mod tests;
mod tombstone;
mod write;

pub use autopilot::{Autopilot, AutopilotSettings};
pub use catalog::{
    Catalog, CatalogNode, CatalogService, Instance, TaggedAddress, TakenInstance, Weights,
};
pub use command::{
    ConsulCommand, KvOp, NewCheck, NewConfigEntry, NewIntention, NewNode, NewQuery, NewService,
    NewSession, Registration, TxnOp,
};
pub use coordinate::{Coordinate, Coordinates, DIMENSIONS, NodeCoordinate};
pub use dependency::{DEPENDENCIES_MAX, DEPENDENCIES_META, DEPENDENCY_BYTES_MAX, Dependency};
pub use graph::{Around, EDGES_MAX, GraphNeed, GraphService, GraphView, Judged, Reach};
pub use health::{CheckStatus, HealthCheck};
pub use kv::{Kv, KvEntry};
pub use mesh::{
    CONFIG_BYTES_MAX, CONFIG_ENTRIES_MAX, ConfigEntry, INTENTIONS_MAX, Intention, IntentionId, Mesh,
};
pub use query::{PreparedQueries, PreparedQuery, QUERY_NAME_BYTES_MAX, QueryId};
pub use rejection::{CHECKS_MAX, ConsulRejection, SERVICE_TAGS_BYTES_MAX};
pub use reply::{ConsulReply, TxnError, TxnResult};
pub use session::{ConsulSession, ConsulSessionId, ConsulSessions, SessionBehavior};

use alloc::format;
use alloc::vec::Vec;
use core::convert::Infallible;

use crate::consul::ledger::{Ledger, Undo};
use crate::consul::name::lower;
use crate::consul::write::Writer;
use crate::digest::{Digest, Hasher};
use crate::event::Event;
use crate::invariants::{Violation, require, require_all};
use crate::rejection::Rejection;
use crate::reply::Reply;
use crate::stamp::Stamp;

/// All of Consul's tables.
#[derive(Debug, Default)]
pub struct Consul {
    kv: Kv,
    catalog: Catalog,
    sessions: ConsulSessions,
    queries: PreparedQueries,
    coordinates: Coordinates,
    autopilot: Autopilot,
    mesh: Mesh,
    ledger: Ledger,
}

impl Consul {
    pub(crate) fn apply(
        &mut self,
        stamp: Stamp,
        command: ConsulCommand,
        events: &mut Vec<Event>,
    ) -> Result<Reply, Rejection> {
        Writer::new(self, stamp).apply(command, events)
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

    /// Prepared queries.
    pub fn queries(&self) -> &PreparedQueries {
        &self.queries
    }

    /// Network coordinates.
    pub fn coordinates(&self) -> &Coordinates {
        &self.coordinates
    }

    /// How autopilot is configured.
    pub fn autopilot(&self) -> &Autopilot {
        &self.autopilot
    }

    /// Config entries and intentions.
    pub fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    /// Does a transaction of which every operation is a read, see
    /// [`TxnOp::is_read`].
    ///
    /// # Errors
    /// Every operation that failed, with Consul's text.
    pub fn read_txn(&self, ops: &[TxnOp]) -> Result<Vec<TxnResult>, Vec<TxnError>> {
        write::read_only(self, ops)
    }

    /// Takes changes back, the latest first.
    fn roll_back(&mut self, log: Vec<Undo>) {
        let Self { kv, catalog, sessions, queries, coordinates, autopilot, mesh, ledger } = self;
        for undo in log.into_iter().rev() {
            match undo {
                Undo::Key(key, old) => kv.put(ledger, &key, old),
                Undo::Tombstone(key, old) => kv.put_tombstone(ledger, &key, old),
                Undo::LockDelay(key, old) => kv.put_lock_delay(ledger, &key, old),
                Undo::KvIndexes(old) => kv.put_indexes(ledger, old),
                Undo::Node(name, old) => catalog.put_node(ledger, &name, old.map(|old| *old)),
                Undo::Service(node, id, old) => {
                    catalog.put_service(ledger, &node, &id, old);
                }
                Undo::Check(node, id, old) => {
                    catalog.put_check(ledger, &node, &id, old);
                }
                Undo::ServiceIndex(name, old) => catalog.put_service_index(ledger, &name, old),
                Undo::CatalogIndexes(old) => catalog.put_indexes(ledger, old),
                Undo::Session(id, old) => sessions.put(ledger, id, old.map(|old| *old)),
                Undo::SessionIndexes(old) => sessions.put_indexes(ledger, old),
                Undo::Query(id, old) => queries.put(ledger, id, old.map(|old| *old)),
                Undo::QueryIndexes(old) => queries.put_indexes(ledger, old),
                Undo::Coordinate(name, old) => {
                    coordinates.put(ledger, &name, old.map(|old| *old));
                }
                Undo::CoordinateIndexes(old) => coordinates.put_indexes(ledger, old),
                Undo::Autopilot(old) => autopilot.put(ledger, *old),
                Undo::GraphIndex(old) => catalog.put_graph_index(ledger, old),
                Undo::ConfigEntry(key, old) => mesh.put_entry(ledger, &key, old),
                Undo::Intention(id, old) => mesh.put_intention(ledger, id, old),
                Undo::MeshIndexes(old) => mesh.put_indexes(ledger, old),
            }
        }
    }

    pub(crate) fn rehash(&mut self, hasher: Hasher) {
        self.ledger = self.ledger_anew(hasher);
    }

    pub(crate) fn digest(&self) -> Digest {
        self.ledger.digest()
    }

    fn ledger_anew(&self, hasher: Hasher) -> Ledger {
        let mut ledger = Ledger::new(hasher);
        let summed: Result<(), Infallible> = self.snapshot_records(&mut |tag, stored| {
            ledger.toggle_stored(tag, stored);
            Ok(())
        });
        match summed {
            Ok(()) => ledger,
        }
    }

    pub(crate) fn check_invariants(&self) -> Result<(), Violation> {
        let sessions = &self.sessions;
        self.kv.check_invariants()?;
        self.catalog.check_invariants()?;
        sessions.check_invariants()?;
        self.queries.check_invariants()?;
        self.coordinates.check_invariants()?;
        self.mesh.check_invariants()?;
        let mut held = self.kv.range(&[]).filter_map(|(_, entry)| entry.session);
        let ghost = held.find(|id| sessions.session(*id).is_none());
        require("A6", ghost.is_none(), || "a key is locked by a session that ended".into())?;
        let stray = sessions.iter().find(|session| !self.lives(session));
        if let Some(session) = stray {
            let found = format!("the session {} lives without its node or checks", session.id);
            return Err(Violation::new("A6", found));
        }
        let digest = self.ledger_anew(self.ledger.hasher()).digest();
        require_all(
            "A2",
            &[
                (
                    "queries have their sessions",
                    self.queries.iter().all(|query| self.has_session(query)),
                ),
                (
                    "coordinates have their nodes",
                    self.coordinates.iter().all(|at| self.is_node(&at.node)),
                ),
                ("the digest of Consul's tables", digest == self.digest()),
            ],
        )
    }

    /// The latest index that any record was changed at.
    pub(crate) fn latest_index(&self) -> u64 {
        // Before anybody sets it, it is as old as in Consul: older than the state.
        let is_set = self.autopilot != Autopilot::default();
        let autopilot = if is_set { self.autopilot.modify_index } else { 0 };
        let tables = [
            self.kv.index(),
            self.catalog.latest_index(),
            self.sessions.index(),
            self.queries.index(),
            self.coordinates.index(),
            self.mesh.entries_index(),
            self.mesh.intentions_index(),
            autopilot,
        ];
        tables.into_iter().max().unwrap_or_default()
    }

    /// How many records there are, about.
    pub(crate) fn entries(&self) -> usize {
        self.kv.len()
            + self.catalog.entries()
            + self.sessions.len()
            + self.queries.iter().count()
            + self.mesh.entries().count()
            + self.mesh.intentions().len()
    }

    fn is_node(&self, name: &str) -> bool {
        self.catalog.node(name).is_some()
    }

    fn has_session(&self, query: &PreparedQuery) -> bool {
        query.session.is_none_or(|id| self.sessions.session(id).is_some())
    }

    /// Whether everything is there that keeps a session alive.
    fn lives(&self, session: &ConsulSession) -> bool {
        self.catalog.node_record(&lower(&session.node)).is_some()
            && session.checks().all(|id| {
                let check = self.catalog.check(&session.node, id);
                check.is_some_and(|check| check.status != CheckStatus::Critical)
            })
    }
}
