//! Network coordinates of nodes, as reported by clients that measure them.
//!
//! The table stores and returns them; distances are computed where results are
//! sorted. A number is stored as the bits of a 64-bit float, so that all
//! members have the same value whatever their arithmetic.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;

use crate::consul::ledger::{Ledger, Undo, tag};
use crate::consul::name::lower;
use crate::invariants::{Violation, require_all};

/// As many dimensions as Consul's coordinates have.
pub const DIMENSIONS: usize = 8;

/// A place in the network: the bits of floats, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Coordinate {
    /// The Euclidean part.
    pub vector: [u64; DIMENSIONS],
    /// How sure it is, without a unit.
    pub error: u64,
    /// What measurements differ by.
    pub adjustment: u64,
    /// The way to the network and back.
    pub height: u64,
}

/// Where a catalog node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeCoordinate {
    /// The node's name, as registered.
    pub node: Box<str>,
    /// Its place.
    pub coordinate: Coordinate,
}

crate::record!(NodeCoordinate { node, coordinate });

impl crate::codec::Encode for Coordinate {
    fn encode(&self, out: &mut alloc::vec::Vec<u8>) {
        for bits in self.vector.iter().chain([&self.error, &self.adjustment, &self.height]) {
            bits.encode(out);
        }
    }
}

impl crate::codec::Decode for Coordinate {
    fn decode(input: &mut crate::codec::Input) -> Result<Self, crate::codec::CodecError> {
        let mut vector = [0; DIMENSIONS];
        for bits in &mut vector {
            *bits = u64::decode(input)?;
        }
        Ok(Self {
            vector,
            error: u64::decode(input)?,
            adjustment: u64::decode(input)?,
            height: u64::decode(input)?,
        })
    }
}

/// Indexes of the table as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct CoordinateIndexes {
    /// Last change of any coordinate.
    pub(super) index: u64,
}

crate::record!(CoordinateIndexes { index });

/// All coordinates.
#[derive(Debug, Default)]
pub struct Coordinates {
    by_node: BTreeMap<Box<str>, NodeCoordinate>,
    indexes: CoordinateIndexes,
}

impl Coordinates {
    /// Where a node is, whatever the case of its name.
    pub fn of(&self, node: &str) -> Option<&NodeCoordinate> {
        self.by_node.get(&lower(node))
    }

    /// All coordinates, by node.
    pub fn iter(&self) -> impl Iterator<Item = &NodeCoordinate> {
        self.by_node.values()
    }

    /// Last change of the table.
    pub fn index(&self) -> u64 {
        self.indexes.index
    }

    pub(super) fn indexes(&self) -> CoordinateIndexes {
        self.indexes
    }

    /// Names in lower case.
    pub(super) fn put(&mut self, ledger: &mut Ledger, name: &str, new: Option<NodeCoordinate>) {
        ledger.swap(tag::COORDINATE, name, self.by_node.get(name), new.as_ref());
        let old = match new {
            Some(new) => self.by_node.insert(name.into(), new),
            None => self.by_node.remove(name),
        };
        ledger.remember(|| Undo::Coordinate(name.into(), old.map(Box::new)));
    }

    pub(super) fn check_invariants(&self) -> Result<(), Violation> {
        let by_name = self.by_node.iter().all(|(name, at)| **name == *lower(&at.node));
        require_all("A2", &[("coordinates by node", by_name)])
    }

    pub(super) fn put_indexes(&mut self, ledger: &mut Ledger, indexes: CoordinateIndexes) {
        let old = core::mem::replace(&mut self.indexes, indexes);
        ledger.swap_indexes(tag::COORDINATE_INDEXES, old, indexes);
        ledger.remember(|| Undo::CoordinateIndexes(old));
    }
}
