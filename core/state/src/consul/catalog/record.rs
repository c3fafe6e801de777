//! The catalog's records of nodes and services.

use alloc::boxed::Box;
use core::ops::Deref;

use crate::consul::{NewNode, NewService};

/// A registered machine. Its fields are those of its registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogNode {
    /// As registered; its name is looked up without regard to case.
    pub registered: NewNode,
    /// Revision of creation.
    pub create_index: u64,
    /// Revision of the last change.
    pub modify_index: u64,
}

/// One instance of a service, on one node. Its fields are those of its registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogService {
    /// The node's name as registered.
    pub node: Box<str>,
    /// As registered, with an id; its name is looked up without regard to case. What it depends on
    /// is in [`CatalogService::dependencies`].
    pub registered: NewService,
    /// Revision of creation.
    pub create_index: u64,
    /// Revision of the last change.
    pub modify_index: u64,
}

/// An address and port for one kind of caller.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaggedAddress {
    /// The address.
    pub address: Box<str>,
    /// The port.
    pub port: i64,
}

/// DNS weights by health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weights {
    /// While passing.
    pub passing: i64,
    /// While warning.
    pub warning: i64,
}

impl Default for Weights {
    fn default() -> Self {
        Self { passing: 1, warning: 1 }
    }
}

impl CatalogNode {
    /// The record of a node registered at `revision` and never before.
    pub(in crate::consul) fn new(registered: NewNode, revision: u64) -> Self {
        Self { registered, create_index: revision, modify_index: revision }
    }
}

impl CatalogService {
    /// The record of a service registered at `revision` and never before.
    pub(in crate::consul) fn new(node: &str, mut registered: NewService, revision: u64) -> Self {
        if registered.id.is_empty() {
            registered.id = registered.name.clone();
        }
        Self { node: node.into(), registered, create_index: revision, modify_index: revision }
    }
}

impl Deref for CatalogNode {
    type Target = NewNode;

    fn deref(&self) -> &NewNode {
        &self.registered
    }
}

impl Deref for CatalogService {
    type Target = NewService;

    fn deref(&self) -> &NewService {
        &self.registered
    }
}

// A registration is stored in a command as it is here.
crate::record!(CatalogNode { registered, create_index, modify_index });
crate::record!(CatalogService { node, registered, create_index, modify_index });
crate::record!(TaggedAddress { address, port });
crate::record!(Weights { passing, warning });
