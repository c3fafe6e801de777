//! Config entries and intentions: create, replace, delete.

use alloc::sync::Arc;

use crate::consul::mesh::{MeshIndexes, entry_key};
use crate::consul::write::Writer;
use crate::consul::{
    ConfigEntry, Consul, ConsulRejection, INTENTIONS_MAX, Intention, IntentionId, NewConfigEntry,
    NewIntention,
};
use crate::event::Topic;

impl Writer<'_> {
    /// Sets a config entry; with an index only if it was last changed there (0: if it
    /// is not there). What says the same again changes nothing.
    pub(super) fn set_config_entry(
        &mut self,
        new: NewConfigEntry,
        cas: Option<u64>,
    ) -> Result<bool, ConsulRejection> {
        let revision = self.revision();
        let mesh = &self.consul.mesh;
        let old = mesh.entry(&new.kind, &new.name).map(|old| &**old);
        if cas.is_some_and(|index| old.map_or(0, |old| old.modify_index) != index) {
            return Ok(false);
        }
        if old.is_some_and(|old| old.definition == new.definition && old.name == new.name) {
            return Ok(true);
        }
        if !mesh.has_room_for(new.definition.len(), old) {
            return Err(ConsulRejection::TooManyConfigEntries);
        }
        let entry = ConfigEntry {
            create_index: old.map_or(revision, |old| old.create_index),
            modify_index: revision,
            kind: new.kind,
            name: new.name,
            definition: new.definition,
        };
        self.put_config_entry(&entry_key(&entry.kind, &entry.name), Some(entry));
        Ok(true)
    }

    /// Removes a config entry, if it is there.
    pub(super) fn delete_config_entry(&mut self, kind: &str, name: &str, cas: Option<u64>) -> bool {
        let old = self.consul.mesh.entry(kind, name).map(|old| old.modify_index);
        if cas.is_some_and(|index| old != Some(index)) {
            return false;
        }
        if old.is_some() {
            self.put_config_entry(&entry_key(kind, name), None);
        }
        true
    }

    /// Makes an intention, or replaces one.
    pub(super) fn set_intention(
        &mut self,
        new: NewIntention,
        create: bool,
    ) -> Result<(), ConsulRejection> {
        let mesh = &self.consul.mesh;
        let old = mesh.intention(new.id);
        if old.is_none() != create {
            return Err(ConsulRejection::NoSuchIntention { verb: "modify", id: new.id });
        }
        if create && mesh.intentions().len() >= INTENTIONS_MAX {
            return Err(ConsulRejection::TooManyIntentions);
        }
        let holder = mesh.intention_between(&new.source, &new.destination);
        if let Some(holder) = holder.filter(|holder| holder.id != new.id) {
            return Err(ConsulRejection::IntentionExists {
                from: holder.source.clone(),
                destination: holder.destination.clone(),
                id: holder.id,
            });
        }
        let (revision, now) = (self.revision(), self.stamp.time_ms);
        let intention = Intention {
            created_ms: old.map_or(now, |old| old.created_ms),
            updated_ms: now,
            create_index: old.map_or(revision, |old| old.create_index),
            modify_index: revision,
            id: new.id,
            source: new.source,
            destination: new.destination,
            definition: new.definition,
        };
        self.put_intention(intention.id, Some(intention));
        Ok(())
    }

    pub(super) fn delete_intention(&mut self, id: IntentionId) -> Result<(), ConsulRejection> {
        if self.consul.mesh.intention(id).is_none() {
            return Err(ConsulRejection::NoSuchIntention { verb: "delete", id });
        }
        self.put_intention(id, None);
        Ok(())
    }

    fn put_config_entry(&mut self, key: &str, entry: Option<ConfigEntry>) {
        let config_entries = self.revision();
        let Consul { mesh, ledger, .. } = &mut *self.consul;
        mesh.put_entry(ledger, key, entry.map(Arc::new));
        mesh.put_indexes(ledger, MeshIndexes { config_entries, ..mesh.indexes() });
        self.changed(Topic::ConfigEntries);
    }

    fn put_intention(&mut self, id: IntentionId, intention: Option<Intention>) {
        let intentions = self.revision();
        let Consul { mesh, ledger, .. } = &mut *self.consul;
        mesh.put_intention(ledger, id, intention.map(Arc::new));
        mesh.put_indexes(ledger, MeshIndexes { intentions, ..mesh.indexes() });
        self.changed(Topic::Intentions);
    }
}
