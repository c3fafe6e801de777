//! Content hashes of znodes and subtrees, which clients can read and use as a
//! condition of a change.
//!
//! ```text
//! content of a znode     path, data, access list, lifetime (an ephemeral's session, a time to live)
//! not in it              zxids, times, versions, counters, the children
//! content of a subtree   XOR over its znodes, the top included: the order of changes does not matter
//! ```
//!
//! Invariants (checked in `invariants.rs`):
//!
//! 1. Every parent has the XOR over its proper descendants, and the number of
//!    those that are not world-readable. A change costs one step per ancestor,
//!    and no hash beyond those of the digest, except for creations, deletions
//!    and changes of ACLs: those cost a small one.
//! 2. `/zookeeper` has hashes like any other znode, but is not part of the
//!    root's: quotas and members are recorded there, and would break a
//!    condition on the whole tree.
//! 3. These sums are not stored but computed when a snapshot is read.
//!
//! Hashes are sealed before clients see them: see
//! [`seal`](crate::digest::Hasher::seal).

use crate::digest::{ContentHash, Digest, kind};
use crate::rejection::Rejection;
use crate::znode::record::ZnodeId;
use crate::znode::{Identity, Tree, path, permission};

/// How much of the tree a hash covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reach {
    /// One znode.
    Znode,
    /// A znode and everything below it.
    Subtree,
}

/// What a parent knows of its proper descendants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Below {
    /// The XOR of their contents.
    pub(super) content: Digest,
    /// How many of them not everybody may read.
    pub(super) guarded: u32,
}

/// Znodes looked at to find out whether a subtree may be read; if there are
/// more, nobody but `super` learns its hash.
pub(super) const LOOKED_AT_MAX: usize = 10_000;

/// Reads.
impl Tree {
    /// The hash of what is at `path`, for somebody with these identities.
    ///
    /// # Errors
    /// `NoNode`; `NoAuth` without READ on every znode that is covered, so that
    /// nobody learns whether something changed that he cannot see;
    /// `BadArguments` if finding that out takes too long.
    pub fn hash_for(
        &self,
        path: &str,
        reach: Reach,
        identities: &[Identity],
    ) -> Result<ContentHash, Rejection> {
        let id = self.find(path).ok_or(Rejection::NoNode)?;
        self.check_readable(id, reach, identities)?;
        Ok(self.content_hash_of(id, reach))
    }

    /// The hash of what is at `path`, whoever may read it.
    pub fn content_hash(&self, path: &str, reach: Reach) -> Option<ContentHash> {
        self.find(path).map(|id| self.content_hash_of(id, reach))
    }

    fn content_hash_of(&self, id: ZnodeId, reach: Reach) -> ContentHash {
        let mut content = self.content(id);
        if reach == Reach::Subtree {
            content.toggle(self.below(id).content);
        }
        self.hasher().seal(content)
    }

    /// The unsealed content of one znode.
    pub(super) fn content(&self, id: ZnodeId) -> Digest {
        let mut scratch = alloc::vec::Vec::new();
        let mut content = self.data_entry(id, &mut scratch);
        content.toggle(self.frame_entry(id, &mut scratch));
        content
    }

    pub(super) fn below(&self, id: ZnodeId) -> Below {
        self.slab.get(id).family.as_ref().map_or_else(Below::default, |family| family.below)
    }

    fn check_readable(
        &self,
        top: ZnodeId,
        reach: Reach,
        identities: &[Identity],
    ) -> Result<(), Rejection> {
        let readable = |id: ZnodeId| {
            let acl = self.acls.get(self.slab.get(id).acl);
            if acl.allows(permission::READ, identities) { Ok(()) } else { Err(Rejection::NoAuth) }
        };
        readable(top)?;
        let mut looked_at = 0;
        let mut at = (reach == Reach::Subtree).then_some(top);
        while let Some(id) = at {
            // Down only where somebody may be kept out.
            at = if self.below(id).guarded > 0 && !self.is_left_out(top, id) {
                self.slab.next_below(top, id)
            } else {
                self.slab.next_beside(top, id)
            };
            if let Some(next) = at.filter(|next| !self.is_left_out(top, *next)) {
                readable(next)?;
            }
            looked_at += 1;
            if looked_at > LOOKED_AT_MAX {
                return Err(Rejection::BadArguments("the subtree has too many ACLs"));
            }
        }
        Ok(())
    }

    /// Whether `id` is where what belongs to no content of the root begins.
    fn is_left_out(&self, top: ZnodeId, id: ZnodeId) -> bool {
        top == ZnodeId::ROOT && self.is_system(id)
    }

    fn is_system(&self, id: ZnodeId) -> bool {
        &*self.slab.get(id).path == path::SYSTEM
    }
}

impl Tree {
    /// The part of a znode's content that is not its data.
    pub(super) fn frame_entry(&self, id: ZnodeId, scratch: &mut alloc::vec::Vec<u8>) -> Digest {
        let record = self.slab.get(id);
        scratch.clear();
        record.encode_frame(self.acls.get(record.acl), scratch);
        self.hasher().entry(kind::ZNODE_FRAME, scratch)
    }

    /// Tells the ancestors that the content of a znode changed by `change`, and
    /// how many more znodes there are now that not everybody may read.
    pub(super) fn raise(&mut self, id: ZnodeId, change: Digest, guarded: i32) {
        let mut at = id;
        while at != ZnodeId::ROOT {
            let parent = self.slab.get(at).parent;
            if parent == ZnodeId::ROOT && self.is_system(at) {
                return;
            }
            let below = &mut self.slab.get_mut(parent).family_mut().below;
            below.content.toggle(change);
            below.guarded = below.guarded.wrapping_add_signed(guarded);
            at = parent;
        }
    }

    /// Computes what parents know of their descendants anew, under a new key.
    pub(super) fn raise_all(&mut self) {
        let ids: alloc::vec::Vec<_> = self.ids_below(ZnodeId::ROOT).collect();
        for id in &ids {
            if let Some(family) = &mut self.slab.get_mut(*id).family {
                family.below = Below::default();
            }
        }
        for id in ids {
            let content = self.content(id);
            self.raise(id, content, self.guarded(id));
        }
    }

    /// 1 if not everybody may read it.
    pub(super) fn guarded(&self, id: ZnodeId) -> i32 {
        i32::from(self.acls.is_guarded(self.slab.get(id).acl))
    }
}
