//! The tree.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::digest::{Digest, Hasher};
use crate::event::Event;
use crate::machine::Stamp;
use crate::rejection::Rejection;
use crate::reply::Reply;
use crate::session::Sessions;
use crate::znode::{Acl, Identity, Stat, ZnodeCommand};

/// All znodes.
#[derive(Debug, Default)]
pub struct Tree {
    hasher: Hasher,
    digest: Digest,
}

/// One znode, as reads see it.
#[derive(Debug, Clone, Copy)]
pub struct Znode<'a> {
    #[allow(dead_code, reason = "skeleton")]
    tree: &'a Tree,
}

impl Tree {
    pub(crate) fn apply(
        &mut self,
        _stamp: Stamp,
        _command: ZnodeCommand,
        _sessions: &mut Sessions,
        _events: &mut Vec<Event>,
    ) -> Result<Reply, Rejection> {
        Err(Rejection::Unimplemented)
    }

    /// The znode at `path`, if there is one. No path rules are applied: an odd
    /// path is simply not there.
    pub fn znode(&self, _path: &str) -> Option<Znode<'_>> {
        None
    }

    /// How many znodes there are, the root included.
    pub fn len(&self) -> usize {
        0
    }

    /// Never: the root is always there.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Sum of path and data lengths, in bytes.
    pub fn approximate_data_size(&self) -> u64 {
        0
    }

    /// How many proper descendants `path` has.
    pub fn descendants(&self, _path: &str) -> usize {
        0
    }

    pub(crate) fn rehash(&mut self, hasher: Hasher) {
        self.hasher = hasher;
    }

    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }

    pub(crate) fn check_invariants(&self, _sessions: &Sessions) -> Result<(), String> {
        Ok(())
    }
}

impl<'a> Znode<'a> {
    /// Its data; `None` is not the same as empty.
    pub fn data(&self) -> Option<&'a Bytes> {
        None
    }

    /// Its stat.
    pub fn stat(&self) -> Stat {
        Stat::default()
    }

    /// The names of its children, in no particular but the same order on every member.
    pub fn children(&self) -> impl ExactSizeIterator<Item = &'a str> {
        [].into_iter()
    }

    /// Its access list.
    pub fn acl(&self) -> Acl {
        Acl(Arc::new([]))
    }
}

impl Acl {
    /// Whether somebody with these proven identities has any of `perms`.
    pub fn allows(&self, _perms: u32, _identities: &[Identity]) -> bool {
        true
    }
}
