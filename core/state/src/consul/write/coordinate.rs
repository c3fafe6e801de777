//! Coordinates: set by clients, deleted with their nodes.

use alloc::vec::Vec;

use crate::consul::coordinate::CoordinateIndexes;
use crate::consul::name::lower;
use crate::consul::write::Writer;
use crate::consul::{Consul, NodeCoordinate};
use crate::event::Topic;

impl Writer<'_> {
    /// Passes over nodes that are not there, as Consul does: one that was just
    /// deregistered may still be measured.
    pub(super) fn update_coordinates(&mut self, updates: Vec<NodeCoordinate>) {
        for update in updates {
            let name = lower(&update.node);
            let Some(record) = self.consul.catalog.node_record(&name) else { continue };
            let new = NodeCoordinate { node: record.node.name.clone(), ..update };
            if self.consul.coordinates.of(&name) != Some(&new) {
                self.put_coordinate(&name, Some(new));
            }
        }
    }

    /// The name is in lower case.
    pub(super) fn delete_coordinate_of(&mut self, name: &str) {
        if self.consul.coordinates.of(name).is_some() {
            self.put_coordinate(name, None);
        }
    }

    fn put_coordinate(&mut self, name: &str, new: Option<NodeCoordinate>) {
        let index = self.revision();
        let Consul { coordinates, ledger, .. } = &mut *self.consul;
        coordinates.put(ledger, name, new);
        coordinates.put_indexes(ledger, CoordinateIndexes { index });
        self.changed(Topic::Coordinates);
    }
}
