//! A znode as seen by reads.

use alloc::sync::Arc;

use bytes::Bytes;

use crate::znode::record::Record;
use crate::znode::{Acl, Lifetime, Stat, Tree};

/// A znode as seen by reads.
#[derive(Debug, Clone, Copy)]
pub struct Znode<'a> {
    tree: &'a Tree,
    record: &'a Record,
}

impl<'a> Znode<'a> {
    pub(super) fn new(tree: &'a Tree, record: &'a Record) -> Self {
        Self { tree, record }
    }

    /// Where it is.
    pub fn path(&self) -> &'a Arc<str> {
        &self.record.path
    }

    /// Its data; `None` is not the same as empty.
    pub fn data(&self) -> Option<&'a Bytes> {
        self.record.data.as_ref()
    }

    /// Its stat.
    pub fn stat(&self) -> Stat {
        self.record.stat()
    }

    /// The names of its children, in no particular but the same order on every member.
    pub fn children(&self) -> impl ExactSizeIterator<Item = &'a str> + use<'a> {
        let tree = self.tree;
        self.record.children().iter().map(move |id| tree.slab.get(*id).name())
    }

    /// As [`Znode::children`], with what ends each.
    pub fn children_with_lifetimes(&self) -> impl Iterator<Item = (&'a str, Lifetime)> + use<'a> {
        let tree = self.tree;
        self.record.children().iter().map(move |id| {
            let child = tree.slab.get(*id);
            (child.name(), child.lifetime())
        })
    }

    /// How many children it has.
    pub fn child_count(&self) -> usize {
        self.record.children().len()
    }

    /// How many children it ever had: the next sequence number.
    pub fn created_children(&self) -> i64 {
        self.record.created()
    }

    /// Its access list.
    pub fn acl(&self) -> Acl {
        self.tree.acls.get(self.record.acl).clone()
    }

    /// What ends it, apart from its deletion.
    pub fn lifetime(&self) -> Lifetime {
        self.record.lifetime()
    }
}
