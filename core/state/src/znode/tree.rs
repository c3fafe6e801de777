//! The tree: znodes, the index by path, the digest. It inserts, removes and
//! edits; `change.rs` decides what is allowed.
//!
//! Invariants (checked in `invariants.rs`):
//!
//! 1. Every znode but the root is among its parent's children exactly once, at
//!    its `position`, and its path is the parent's, a slash and a name.
//! 2. The index finds every znode by its path and nothing else.
//! 3. The sums of parents about their descendants are as `content.rs` says.
//! 4. The digest is the XOR of two entries per znode: one over its data, one
//!    over everything else. So a new child costs its parent no hash of data.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hash::{BuildHasher, Hasher as _};

use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::codec::{CodecError, Decode, Input};
use crate::digest::{Digest, Hasher, kind};
use crate::id::Revision;
use crate::session::Sessions;
use crate::znode::acl_table::{AclId, AclTable};
use crate::znode::record::{Record, Slab, ZnodeId};
use crate::znode::stored_record::StoredRecord;
use crate::znode::{Acl, Lifetime, Znode, path, quota};

/// All znodes.
#[derive(Debug)]
pub struct Tree {
    pub(super) slab: Slab,
    pub(super) index: HashTable<ZnodeId>,
    pub(super) acls: AclTable,
    /// Containers and TTL znodes, for the sweep.
    pub(super) reapable: BTreeSet<Arc<str>>,
    /// The subtrees with an active quota.
    pub(super) quotas: BTreeSet<Arc<str>>,
    pub(super) approximate_data_size: u64,
    hasher: Hasher,
    path_hasher: FixedState,
    pub(super) digest: Digest,
    scratch: Vec<u8>,
}

impl Default for Tree {
    /// A fresh tree: the root and ZooKeeper's own znodes. Their creation is
    /// not counted, so the root's `cversion` is -1 and that of `/zookeeper` -2.
    fn default() -> Self {
        let mut tree = Self::vacant();
        for path in path::BUILT_IN {
            let acl = if path == path::CONFIG { Acl::read_only() } else { Acl::open() };
            let acl = tree.acls.acquire(&acl.0);
            let parent = path.rsplit_once('/').and_then(|(parent, _)| tree.find_parent(parent));
            tree.put(Record {
                path: path.into(),
                data: Some(Bytes::new()),
                family: None,
                czxid: Revision(0),
                mzxid: Revision(0),
                ctime: 0,
                mtime: 0,
                owner: Lifetime::Persistent.to_owner(),
                version: 0,
                aversion: if path == path::CONFIG { -1 } else { 0 },
                acl,
                parent: parent.unwrap_or(ZnodeId::ROOT),
                position: 0,
            });
        }
        tree
    }
}

impl Tree {
    /// No znodes at all, to be filled from a snapshot.
    pub(crate) fn vacant() -> Self {
        Self {
            slab: Slab::default(),
            index: HashTable::new(),
            acls: AclTable::default(),
            reapable: BTreeSet::new(),
            quotas: BTreeSet::new(),
            approximate_data_size: 0,
            hasher: Hasher::default(),
            path_hasher: FixedState::with_seed(0),
            digest: Digest::default(),
            scratch: Vec::new(),
        }
    }

    /// Puts a record in, as the last of its parent's children. Counts nothing.
    pub(super) fn put(&mut self, mut record: Record) -> ZnodeId {
        let is_root = self.slab.len() == 0;
        if !is_root {
            let siblings = self.slab.get(record.parent).children().len();
            record.position = u32::try_from(siblings).expect("there are fewer than 2^32 znodes");
        }
        if is_reapable(&record) {
            self.reapable.insert(record.path.clone());
        }
        if let Some(top) = quota::limited_by(&record.path) {
            self.quotas.insert(top.into());
        }
        self.approximate_data_size += record.weight();
        let (parent, hash) = (record.parent, self.hash_path(&record.path));
        let id = self.slab.insert(record);
        if !is_root {
            self.slab.get_mut(parent).family_mut().children.push(id);
        }
        let (slab, path_hasher) = (&self.slab, &self.path_hasher);
        self.index.insert_unique(hash, id, |id| hash_path(path_hasher, &slab.get(*id).path));
        self.toggle_node(id);
        let content = self.toggle_content(id);
        self.raise(id, content, self.guarded(id));
        id
    }

    /// Takes a record without children out; the last of its siblings moves to
    /// its place. Counts nothing, and the record still uses its access list.
    pub(super) fn take(&mut self, id: ZnodeId) -> Record {
        self.toggle_node(id);
        let content = self.toggle_content(id);
        self.raise(id, content, -self.guarded(id));
        let hash = self.hash_path(&self.slab.get(id).path);
        if let Ok(entry) = self.index.find_entry(hash, |found| *found == id) {
            entry.remove();
        }
        let record = self.slab.remove(id);
        let family = self.slab.get_mut(record.parent).family_mut();
        let position = record.position as usize;
        family.children.swap_remove(position);
        if let Some(moved) = family.children.get(position).copied() {
            self.slab.get_mut(moved).position = record.position;
        }
        if is_reapable(&record) {
            self.reapable.remove(&record.path);
        }
        if let Some(top) = quota::limited_by(&record.path) {
            self.quotas.remove(top);
        }
        self.approximate_data_size -= record.weight();
        record
    }

    /// Undoes [`Tree::take`]: the record is back at its place among its siblings.
    pub(super) fn put_back(&mut self, record: Record) {
        let position = record.position;
        let parent = record.parent;
        let id = self.put(record);
        let children = &mut self.slab.get_mut(parent).family_mut().children;
        let last = children.len() - 1;
        children.swap(position as usize, last);
        let moved = children[last];
        self.slab.get_mut(moved).position =
            u32::try_from(last).expect("there are fewer than 2^32 znodes");
        self.slab.get_mut(id).position = position;
    }

    /// Changes anything but path, data, access list and owner of a znode.
    pub(super) fn edit(&mut self, id: ZnodeId, change: impl FnOnce(&mut Record)) {
        self.toggle_node(id);
        change(self.slab.get_mut(id));
        self.toggle_node(id);
    }

    /// Exchanges a znode's data.
    pub(super) fn replace_data(&mut self, id: ZnodeId, data: Option<Bytes>) -> Option<Bytes> {
        let mut change = self.toggle_data(id);
        let record = self.slab.get_mut(id);
        self.approximate_data_size -= record.weight();
        let old = core::mem::replace(&mut record.data, data);
        self.approximate_data_size += record.weight();
        change.toggle(self.toggle_data(id));
        self.raise(id, change, 0);
        old
    }

    /// Exchanges a znode's access list; the old one still counts a user.
    pub(super) fn replace_acl(&mut self, id: ZnodeId, acl: AclId) -> AclId {
        let mut scratch = core::mem::take(&mut self.scratch);
        let mut change = self.frame_entry(id, &mut scratch);
        let guarded = self.guarded(id);
        let mut old = acl;
        self.edit(id, |record| old = core::mem::replace(&mut record.acl, acl));
        change.toggle(self.frame_entry(id, &mut scratch));
        self.scratch = scratch;
        self.raise(id, change, self.guarded(id) - guarded);
        old
    }

    pub(super) fn find(&self, path: &str) -> Option<ZnodeId> {
        let hash = self.hash_path(path);
        self.index.find(hash, |id| &*self.slab.get(*id).path == path).copied()
    }

    /// As [`Tree::find`], for the part of a path before its last slash: the root's is empty.
    pub(super) fn find_parent(&self, path: &str) -> Option<ZnodeId> {
        if path.is_empty() { self.find("/") } else { self.find(path) }
    }

    /// Every znode below and including `top`.
    pub(super) fn ids_below(&self, top: ZnodeId) -> impl Iterator<Item = ZnodeId> {
        core::iter::successors(Some(top), move |at| self.slab.next_below(top, *at))
    }

    /// Puts in the next znode of a snapshot, in the order it was written in.
    pub(crate) fn restore(
        &mut self,
        input: &mut Input,
        sessions: &mut Sessions,
    ) -> Result<(), CodecError> {
        let stored = StoredRecord::decode(input)?;
        let invalid = |what| Err(CodecError::Invalid { what });
        let Some(lifetime) = Lifetime::from_owner(stored.owner) else {
            return invalid("the owner of a znode");
        };
        if path::validate(&stored.path).is_err() || self.find(&stored.path).is_some() {
            return invalid("the path of a znode");
        }
        let parent_path = stored.path.rsplit_once('/').map_or("", |(parent, _)| parent);
        let parent = match self.find_parent(parent_path) {
            Some(parent) => parent,
            None if self.slab.len() == 0 && &*stored.path == "/" => ZnodeId::ROOT,
            None => return invalid("the parent of a znode"),
        };
        if let Lifetime::Ephemeral(session) = lifetime {
            if sessions.session(session).is_none() {
                return invalid("the session of an ephemeral");
            }
            sessions.own(session, stored.path.clone());
        }
        let acl = self.acls.acquire(&stored.acl);
        self.put(stored.into_record(acl, parent));
        Ok(())
    }

    fn hash_path(&self, path: &str) -> u64 {
        hash_path(&self.path_hasher, path)
    }

    fn toggle_node(&mut self, id: ZnodeId) {
        let mut scratch = core::mem::take(&mut self.scratch);
        let entry = self.node_entry(id, &mut scratch);
        self.digest.toggle(entry);
        self.scratch = scratch;
    }

    fn toggle_data(&mut self, id: ZnodeId) -> Digest {
        let mut scratch = core::mem::take(&mut self.scratch);
        let entry = self.data_entry(id, &mut scratch);
        self.digest.toggle(entry);
        self.scratch = scratch;
        entry
    }

    /// As [`Tree::toggle_data`]; gives the whole content.
    fn toggle_content(&mut self, id: ZnodeId) -> Digest {
        let mut content = self.toggle_data(id);
        let mut scratch = core::mem::take(&mut self.scratch);
        content.toggle(self.frame_entry(id, &mut scratch));
        self.scratch = scratch;
        content
    }

    fn node_entry(&self, id: ZnodeId, scratch: &mut Vec<u8>) -> Digest {
        let record = self.slab.get(id);
        scratch.clear();
        record.encode_node(self.acls.get(record.acl), scratch);
        self.hasher.entry(kind::ZNODE, scratch)
    }

    pub(super) fn data_entry(&self, id: ZnodeId, scratch: &mut Vec<u8>) -> Digest {
        scratch.clear();
        self.slab.get(id).encode_data_entry(scratch);
        self.hasher.entry(kind::ZNODE_DATA, scratch)
    }

    pub(super) fn computed_digest(&self) -> Digest {
        let mut scratch = Vec::new();
        let mut digest = Digest::default();
        for id in self.ids_below(ZnodeId::ROOT) {
            digest.toggle(self.node_entry(id, &mut scratch));
            digest.toggle(self.data_entry(id, &mut scratch));
        }
        digest
    }

    /// Takes the cluster's key into use, for the digest and for the index:
    /// nobody outside can prepare paths that collide in it.
    pub(crate) fn rehash(&mut self, hasher: Hasher) {
        self.hasher = hasher;
        self.path_hasher = FixedState::with_seed(hasher.key());
        if self.slab.len() == 0 {
            return;
        }
        self.digest = self.computed_digest();
        self.raise_all();
        let ids: Vec<_> = self.ids_below(ZnodeId::ROOT).collect();
        self.index.clear();
        let (slab, path_hasher) = (&self.slab, &self.path_hasher);
        let hash = |id: &ZnodeId| hash_path(path_hasher, &slab.get(*id).path);
        for id in ids {
            self.index.insert_unique(hash(&id), id, hash);
        }
    }
}

/// Reads.
impl Tree {
    /// The znode at `path`, if there is one. No path rules are applied: an odd
    /// path is simply not there.
    pub fn znode(&self, path: &str) -> Option<Znode<'_>> {
        self.find(path).map(|id| Znode::new(self, self.slab.get(id)))
    }

    /// How many znodes there are, the root included once.
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// Whether any znode has an access list that names somebody, or keeps
    /// anybody from reading. Goes through the different lists.
    pub fn has_access_lists(&self) -> bool {
        self.acls.names_anybody()
    }

    /// Never: the root is always there.
    pub fn is_empty(&self) -> bool {
        self.slab.len() == 0
    }

    /// Sum of path and data lengths, in bytes.
    pub fn approximate_data_size(&self) -> u64 {
        self.approximate_data_size
    }

    /// How many proper descendants `path` has; none if it is not there.
    pub fn descendants(&self, path: &str) -> usize {
        match self.find(path) {
            Some(ZnodeId::ROOT) => self.len() - 1,
            Some(id) => self.ids_below(id).count() - 1,
            None => 0,
        }
    }

    /// Containers that lost their last child and TTL znodes that were not set
    /// for too long, as of `now_ms`: at most `max`, in path order. Each is to
    /// be proposed as [`crate::znode::ZnodeOp::Reap`], which looks again.
    pub fn reap_candidates(&self, now_ms: u64, max: usize) -> impl Iterator<Item = &Arc<str>> {
        self.reapable
            .iter()
            .filter(move |path| self.find(path).is_some_and(|id| self.is_outlived(id, now_ms)))
            .take(max)
    }

    pub(super) fn is_outlived(&self, id: ZnodeId, now_ms: u64) -> bool {
        let record = self.slab.get(id);
        record.children().is_empty()
            && match record.lifetime() {
                Lifetime::Container => record.created() > 0,
                Lifetime::Ttl { ttl_ms } => {
                    now_ms.saturating_sub(record.mtime.cast_unsigned()) > ttl_ms
                }
                Lifetime::Persistent | Lifetime::Ephemeral(_) => false,
            }
    }

    /// Containers that never had a child and were not set for `unused_ms`, as
    /// of `now_ms`: at most `max`, in path order. Each is to be proposed as
    /// [`crate::znode::ZnodeOp::ReapUnused`], which looks again.
    pub fn unused_containers(
        &self,
        now_ms: u64,
        unused_ms: u64,
        max: usize,
    ) -> impl Iterator<Item = &Arc<str>> {
        let unused = move |id| self.is_unused(id, now_ms, unused_ms);
        self.reapable.iter().filter(move |path| self.find(path).is_some_and(unused)).take(max)
    }

    pub(super) fn is_unused(&self, id: ZnodeId, now_ms: u64, unused_ms: u64) -> bool {
        let record = self.slab.get(id);
        record.lifetime() == Lifetime::Container
            && record.created() == 0
            && now_ms.saturating_sub(record.mtime.cast_unsigned()) > unused_ms
    }

    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }

    pub(super) fn hasher(&self) -> Hasher {
        self.hasher
    }
}

pub(super) fn is_reapable(record: &Record) -> bool {
    matches!(record.lifetime(), Lifetime::Container | Lifetime::Ttl { .. })
}

fn hash_path(path_hasher: &FixedState, path: &str) -> u64 {
    let mut hasher = path_hasher.build_hasher();
    hasher.write(path.as_bytes());
    hasher.finish()
}
