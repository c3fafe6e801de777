//! The stored form of all tables: one record per entry, see [`super::ledger`].

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::codec::{CodecError, Decode, Encode, Input, decode_len, encode_len};
use crate::consul::catalog::{CatalogIndexes, GraphIndex, NodeRecord};
use crate::consul::coordinate::CoordinateIndexes;
use crate::consul::kv::KvIndexes;
use crate::consul::ledger::tag;
use crate::consul::mesh::{MeshIndexes, entry_key};
use crate::consul::name::lower;
use crate::consul::query::QueryIndexes;
use crate::consul::session::SessionIndexes;
use crate::consul::{
    Autopilot, CatalogService, ConfigEntry, Consul, ConsulSession, ConsulSessionId, Dependency,
    HealthCheck, Intention, IntentionId, KvEntry, NodeCoordinate, PreparedQuery, QueryId,
};

impl<V: Encode> Encode for BTreeMap<Box<str>, V> {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_len(self.len(), out);
        for (key, value) in self {
            key.encode(out);
            value.encode(out);
        }
    }
}

impl<V: Decode> Decode for BTreeMap<Box<str>, V> {
    fn decode(input: &mut Input) -> Result<Self, CodecError> {
        let len = decode_len(input)?;
        let mut map = Self::new();
        for _ in 0..len {
            let key = Box::decode(input)?;
            if map.insert(key, V::decode(input)?).is_some() {
                return Err(CodecError::Invalid { what: "map with a key twice" });
            }
        }
        Ok(map)
    }
}

/// Gets the records, and may refuse them with an error of its own.
type Sink<'a, E> = &'a mut dyn FnMut(u8, &[u8]) -> Result<(), E>;

/// Hands records to a sink, one scratch buffer for all.
struct Recorder<'a, E> {
    sink: Sink<'a, E>,
    scratch: Vec<u8>,
}

impl<E> Recorder<'_, E> {
    fn record<K, V>(&mut self, tag: u8, key: &K, value: &V) -> Result<(), E>
    where
        K: Encode + ?Sized,
        V: Encode,
    {
        self.scratch.clear();
        key.encode(&mut self.scratch);
        value.encode(&mut self.scratch);
        (self.sink)(tag, &self.scratch)
    }

    fn indexes<V: Encode + Default + PartialEq>(&mut self, tag: u8, indexes: V) -> Result<(), E> {
        if indexes == V::default() {
            return Ok(());
        }
        self.record(tag, &[0_u8; 0], &indexes)
    }
}

impl Consul {
    /// Hands every record to `sink`, in an order in which they can be restored.
    ///
    /// # Errors
    /// The first error of `sink`, at which the stream ends.
    pub fn snapshot_records<E>(&self, sink: Sink<'_, E>) -> Result<(), E> {
        let mut recorder = Recorder { sink, scratch: Vec::new() };
        for (key, entry) in self.kv.range(&[]) {
            recorder.record(tag::KEY, key, entry)?;
        }
        for (key, revision) in self.kv.tombstones().iter() {
            recorder.record(tag::TOMBSTONE, key, &revision)?;
        }
        for (key, end) in self.kv.lock_delays() {
            recorder.record(tag::LOCK_DELAY, key, end)?;
        }
        recorder.indexes(tag::KV_INDEXES, self.kv.indexes())?;
        for (name, record) in self.catalog.node_records() {
            recorder.record(tag::NODE, name, record)?;
        }
        for service in self.catalog.services() {
            recorder.record(tag::SERVICE, &lower(&service.node), service)?;
        }
        for service in self.catalog.services().filter(|found| !found.depends_on.is_empty()) {
            let key = (lower(&service.node), service.id.clone());
            recorder.record(tag::DEPENDENCIES, &key, &service.depends_on)?;
        }
        for check in self.catalog.checks() {
            recorder.record(tag::CHECK, &lower(&check.node), check)?;
        }
        for (name, index) in self.catalog.name_indexes() {
            recorder.record(tag::SERVICE_INDEX, name, &index)?;
        }
        recorder.indexes(tag::CATALOG_INDEXES, self.catalog.indexes())?;
        recorder.indexes(tag::GRAPH_INDEXES, self.catalog.graph_row())?;
        for session in self.sessions.iter() {
            recorder.record(tag::SESSION, &session.id, session)?;
        }
        recorder.indexes(tag::SESSION_INDEXES, self.sessions.indexes())?;
        for query in self.queries.iter() {
            recorder.record(tag::QUERY, &query.id, query)?;
        }
        recorder.indexes(tag::QUERY_INDEXES, self.queries.indexes())?;
        for at in self.coordinates.iter() {
            recorder.record(tag::COORDINATE, &*lower(&at.node), at)?;
        }
        recorder.indexes(tag::COORDINATE_INDEXES, self.coordinates.indexes())?;
        recorder.indexes(tag::AUTOPILOT, self.autopilot.clone())?;
        for (key, entry) in self.mesh.entry_records() {
            recorder.record(tag::CONFIG_ENTRY, key, entry)?;
        }
        for intention in self.mesh.intentions() {
            recorder.record(tag::INTENTION, &intention.id, &**intention)?;
        }
        recorder.indexes(tag::MESH_INDEXES, self.mesh.indexes())
    }

    /// Puts one record of a snapshot in.
    ///
    /// # Errors
    /// [`CodecError`] if it is not a record, or not one that fits those before.
    pub fn restore_record(&mut self, tag: u8, mut payload: Input) -> Result<(), CodecError> {
        let input = &mut payload;
        match tag {
            tag::KEY | tag::TOMBSTONE | tag::LOCK_DELAY | tag::KV_INDEXES => {
                self.restore_kv(tag, input)?;
            }
            tag::NODE | tag::SERVICE | tag::CHECK | tag::SERVICE_INDEX | tag::CATALOG_INDEXES => {
                self.restore_catalog(tag, input)?
            }
            tag::SESSION => {
                let id = ConsulSessionId::decode(input)?;
                let session = ConsulSession::decode(input)?;
                require(session.id == id, "session id")?;
                self.sessions.put(&mut self.ledger, id, Some(session));
            }
            tag::SESSION_INDEXES => {
                self.sessions.put_indexes(&mut self.ledger, SessionIndexes::decode(input)?);
            }
            tag::QUERY => self.restore_query(input)?,
            tag::QUERY_INDEXES => {
                self.queries.put_indexes(&mut self.ledger, QueryIndexes::decode(input)?);
            }
            tag::COORDINATE => self.restore_coordinate(input)?,
            tag::COORDINATE_INDEXES => {
                let indexes = CoordinateIndexes::decode(input)?;
                self.coordinates.put_indexes(&mut self.ledger, indexes);
            }
            tag::DEPENDENCIES => self.restore_dependencies(input)?,
            tag::GRAPH_INDEXES => {
                self.catalog.put_graph_index(&mut self.ledger, GraphIndex::decode(input)?);
            }
            tag::CONFIG_ENTRY | tag::INTENTION | tag::MESH_INDEXES => {
                self.restore_mesh(tag, input)?
            }
            tag::AUTOPILOT => self.autopilot.put(&mut self.ledger, Autopilot::decode(input)?),
            _ => return Err(CodecError::UnknownTag { what: "Consul record", tag: tag.into() }),
        }
        payload.finish("Consul record")
    }

    /// Looks at what no single record shows, behind the last one.
    ///
    /// # Errors
    /// [`CodecError::Invalid`] if services depend on each other in a circle.
    pub(crate) fn finish_restore(&mut self) -> Result<(), CodecError> {
        require(self.catalog.settle_graph(), "dependencies of services")
    }

    fn restore_dependencies(&mut self, input: &mut Input) -> Result<(), CodecError> {
        let node = Box::<str>::decode(input)?;
        let id = Box::<str>::decode(input)?;
        let depends_on = Vec::<Dependency>::decode(input)?;
        let service = self.catalog.service(&node, &id).cloned();
        let service = service.filter(|found| found.depends_on.is_empty());
        let service = service.ok_or(CodecError::Invalid { what: "service with dependencies" })?;
        require(*lower(&node) == *node && !depends_on.is_empty(), "dependencies of a service")?;
        let mut service = CatalogService::clone(&service);
        service.registered.depends_on = depends_on;
        self.catalog.defer_graph();
        self.catalog.put_service(&mut self.ledger, &node, &id, Some(service.into()));
        Ok(())
    }

    fn restore_query(&mut self, input: &mut Input) -> Result<(), CodecError> {
        let id = QueryId::decode(input)?;
        let query = PreparedQuery::decode(input)?;
        require(query.id == id, "query id")?;
        require(self.queries.holder(&query.name, query.template).is_none(), "query name")?;
        require(self.has_session(&query), "session of a query")?;
        self.queries.put(&mut self.ledger, id, Some(query));
        Ok(())
    }

    fn restore_mesh(&mut self, tag: u8, input: &mut Input) -> Result<(), CodecError> {
        let Self { mesh, ledger, .. } = self;
        match tag {
            tag::CONFIG_ENTRY => {
                let key = Box::<str>::decode(input)?;
                let entry = ConfigEntry::decode(input)?;
                require(entry_key(&entry.kind, &entry.name) == key, "name of a config entry")?;
                mesh.put_entry(ledger, &key, Some(Arc::new(entry)));
            }
            tag::INTENTION => {
                let id = IntentionId::decode(input)?;
                let one = Intention::decode(input)?;
                require(one.id == id, "intention id")?;
                let holder = mesh.intention_between(&one.source, &one.destination);
                require(holder.is_none(), "services of an intention")?;
                mesh.put_intention(ledger, id, Some(Arc::new(one)));
            }
            _ => mesh.put_indexes(ledger, MeshIndexes::decode(input)?),
        }
        Ok(())
    }

    fn restore_coordinate(&mut self, input: &mut Input) -> Result<(), CodecError> {
        let name = Box::<str>::decode(input)?;
        let at = NodeCoordinate::decode(input)?;
        require(*lower(&at.node) == *name && self.is_node(&at.node), "node of a coordinate")?;
        self.coordinates.put(&mut self.ledger, &name, Some(at));
        Ok(())
    }

    fn restore_kv(&mut self, tag: u8, input: &mut Input) -> Result<(), CodecError> {
        let Self { kv, ledger, .. } = self;
        if tag == tag::KV_INDEXES {
            kv.put_indexes(ledger, KvIndexes::decode(input)?);
            return Ok(());
        }
        // Copied, so that no entry keeps the snapshot it came in alive.
        let key = Bytes::copy_from_slice(&Bytes::decode(input)?);
        match tag {
            tag::KEY => {
                let mut entry = KvEntry::decode(input)?;
                entry.value = Bytes::copy_from_slice(&entry.value);
                kv.put(ledger, &key, Some(entry));
            }
            tag::TOMBSTONE => kv.put_tombstone(ledger, &key, Some(u64::decode(input)?)),
            _ => kv.put_lock_delay(ledger, &key, Some(u64::decode(input)?)),
        }
        Ok(())
    }

    fn restore_catalog(&mut self, tag: u8, input: &mut Input) -> Result<(), CodecError> {
        let Self { catalog, ledger, .. } = self;
        if tag == tag::CATALOG_INDEXES {
            catalog.put_indexes(ledger, CatalogIndexes::decode(input)?);
            return Ok(());
        }
        let name = Box::<str>::decode(input)?;
        require(*lower(&name) == *name, "catalog name")?;
        match tag {
            tag::NODE => {
                let record = NodeRecord::decode(input)?;
                require(lower(&record.node.name) == name, "node name")?;
                catalog.put_node(ledger, &name, Some(record));
            }
            tag::SERVICE => {
                let service = CatalogService::decode(input)?;
                let node = catalog.node_record(&name);
                let fits = node.is_some_and(|record| record.node.name == service.node);
                require(fits, "node of a service")?;
                let id = service.id.clone();
                catalog.defer_graph();
                catalog.put_service(ledger, &name, &id, Some(service.into()));
            }
            tag::CHECK => {
                let check = HealthCheck::decode(input)?;
                let node = catalog.node_record(&name);
                let fits = node.is_some_and(|record| record.node.name == check.node);
                require(fits, "node of a check")?;
                let id = check.id.clone();
                catalog.put_check(ledger, &name, &id, Some(check.into()));
            }
            _ => {
                require(catalog.has_instances(&name), "name of a service")?;
                catalog.put_service_index(ledger, &name, Some(u64::decode(input)?));
            }
        }
        Ok(())
    }
}

fn require(holds: bool, what: &'static str) -> Result<(), CodecError> {
    if holds { Ok(()) } else { Err(CodecError::Invalid { what }) }
}
