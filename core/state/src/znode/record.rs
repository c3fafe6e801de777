//! The record of a znode, and the slab of all records.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::id::{Revision, SessionId};
use crate::znode::acl_table::AclId;
use crate::znode::content::Below;
use crate::znode::{Lifetime, Stat};

/// Names a place in the slab. It is local to this process: never stored, never answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ZnodeId(u32);

/// One znode. There are millions of these: every field counts.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(super) path: Arc<str>,
    /// Owns its memory: it must not keep the log entry it came in alive.
    pub(super) data: Option<Bytes>,
    /// Absent until the first child.
    pub(super) family: Option<Box<Family>>,
    pub(super) czxid: Revision,
    pub(super) mzxid: Revision,
    pub(super) ctime: i64,
    pub(super) mtime: i64,
    /// See [`Lifetime::to_owner`].
    pub(super) owner: i64,
    pub(super) version: i32,
    pub(super) aversion: i32,
    pub(super) acl: AclId,
    /// The root is its own parent.
    pub(super) parent: ZnodeId,
    /// Where the parent lists it.
    pub(super) position: u32,
}

/// What only a parent needs.
#[derive(Debug, Clone)]
pub(super) struct Family {
    pub(super) children: Vec<ZnodeId>,
    /// Children ever created: the next sequence number. 64 bits, because
    /// ZooKeeper's 32 run out and then no sequential child can be created.
    pub(super) created: i64,
    pub(super) pzxid: Revision,
    pub(super) below: Below,
}

impl Family {
    pub(super) fn without_children(created: i64, pzxid: Revision) -> Box<Self> {
        Box::new(Self { children: Vec::new(), created, pzxid, below: Below::default() })
    }
}

impl Record {
    pub(super) fn children(&self) -> &[ZnodeId] {
        self.family.as_ref().map_or(&[], |family| &family.children)
    }

    pub(super) fn created(&self) -> i64 {
        self.family.as_ref().map_or(0, |family| family.created)
    }

    pub(super) fn pzxid(&self) -> Revision {
        self.family.as_ref().map_or(self.czxid, |family| family.pzxid)
    }

    pub(super) fn family_mut(&mut self) -> &mut Family {
        let czxid = self.czxid;
        self.family.get_or_insert_with(|| Family::without_children(0, czxid))
    }

    pub(super) fn lifetime(&self) -> Lifetime {
        Lifetime::from_owner(self.owner).expect("only owners that read back are stored")
    }

    pub(super) fn name(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(_, name)| name)
    }

    /// What it adds to the approximate size of the data.
    pub(super) fn weight(&self) -> u64 {
        (self.path.len() + self.data_len()) as u64
    }

    pub(super) fn data_len(&self) -> usize {
        self.data.as_ref().map_or(0, Bytes::len)
    }

    pub(super) fn stat(&self) -> Stat {
        let children = self.children().len();
        Stat {
            czxid: self.czxid,
            mzxid: self.mzxid,
            ctime: self.ctime,
            mtime: self.mtime,
            version: self.version,
            cversion: wire_cversion(self.created(), children),
            aversion: self.aversion,
            ephemeral_owner: match self.lifetime() {
                Lifetime::Ephemeral(session) => session,
                _ => SessionId(0),
            },
            data_length: i32::try_from(self.data_len()).unwrap_or(i32::MAX),
            num_children: i32::try_from(children).unwrap_or(i32::MAX),
            pzxid: self.pzxid(),
        }
    }
}

/// ZooKeeper's count of changes to the children: creations and deletions,
/// derived from what it stores (creations) and has (children), modulo 2^32.
#[expect(clippy::cast_possible_truncation, reason = "ZooKeeper's counter wraps at 32 bits")]
fn wire_cversion(created: i64, children: usize) -> i32 {
    (created as i32).wrapping_mul(2).wrapping_sub(children as i32)
}

/// How many records are allocated together: the slab grows without moving
/// what it holds, so no create pays for a million others. It is also what the
/// first change after a [`Slab::share`] copies, so it is not larger than that.
const CHUNK: usize = 256;

/// Records at places that do not move. A chunk that a frozen state has, too, is
/// copied when it is changed here.
#[derive(Debug, Default)]
pub(super) struct Slab {
    chunks: Vec<Arc<Vec<Option<Record>>>>,
    /// Used again last in, first out: undoing changes in reverse order brings
    /// every record back to its old place.
    free: Vec<ZnodeId>,
    len: usize,
}

impl Slab {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Puts a record in. The root, the first, is put in with itself as its parent.
    pub(super) fn insert(&mut self, record: Record) -> ZnodeId {
        self.len += 1;
        if let Some(id) = self.free.pop() {
            *self.slot(id) = Some(record);
            return id;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.push(Arc::new(Vec::with_capacity(CHUNK)));
        }
        let full = (self.chunks.len() - 1) * CHUNK;
        let chunk = self.chunks.last_mut().expect("one was pushed if there was none");
        let chunk = Arc::make_mut(chunk);
        chunk.push(Some(record));
        let place = u32::try_from(full + chunk.len() - 1);
        ZnodeId(place.expect("memory ends before 2^32 znodes"))
    }

    pub(super) fn remove(&mut self, id: ZnodeId) -> Record {
        let record = self.slot(id).take().expect("ids of removed records are not kept");
        self.len -= 1;
        self.free.push(id);
        record
    }

    pub(super) fn get(&self, id: ZnodeId) -> &Record {
        let place = id.0 as usize;
        let slot = &self.chunks[place / CHUNK][place % CHUNK];
        slot.as_ref().expect("ids of removed records are not kept")
    }

    pub(super) fn get_mut(&mut self, id: ZnodeId) -> &mut Record {
        self.slot(id).as_mut().expect("ids of removed records are not kept")
    }

    /// The records as they are now, for reading, whatever is done to these from
    /// now on. Costs a pointer a chunk.
    pub(super) fn share(&self) -> Self {
        Self { chunks: self.chunks.clone(), free: Vec::new(), len: self.len }
    }

    /// The next record in depth-first order that is `top` or below it, parents
    /// first, siblings in order. Needs no stack, however deep the tree is.
    pub(super) fn next_below(&self, top: ZnodeId, at: ZnodeId) -> Option<ZnodeId> {
        if let Some(first) = self.get(at).children().first() {
            return Some(*first);
        }
        self.next_beside(top, at)
    }

    /// As [`Slab::next_below`], without what is below `at`.
    pub(super) fn next_beside(&self, top: ZnodeId, mut at: ZnodeId) -> Option<ZnodeId> {
        while at != top {
            let record = self.get(at);
            let siblings = self.get(record.parent).children();
            if let Some(next) = siblings.get(record.position as usize + 1) {
                return Some(*next);
            }
            at = record.parent;
        }
        None
    }

    fn slot(&mut self, id: ZnodeId) -> &mut Option<Record> {
        let place = id.0 as usize;
        &mut Arc::make_mut(&mut self.chunks[place / CHUNK])[place % CHUNK]
    }
}

impl ZnodeId {
    /// The root's, which is put in first and never removed.
    pub(super) const ROOT: Self = Self(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cversion_counts_creations_and_deletions() {
        assert_eq!(wire_cversion(2, 1), 3);
        assert_eq!(wire_cversion(0, 2), -2);
    }

    #[test]
    fn cversion_wraps_at_32_bits() {
        assert_eq!(wire_cversion(1 << 30, 0), i32::MIN);
        assert_eq!(wire_cversion((1 << 31) + 5, 3), 7);
        assert_eq!(wire_cversion((1 << 32) + 5, 3), 7);
    }

    #[test]
    fn a_record_stays_small() {
        assert!(size_of::<Option<Record>>() <= 120, "{}", size_of::<Option<Record>>());
    }
}
