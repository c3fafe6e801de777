//! Operations that ZooKeeper does not have: conditions on content, and those of
//! ClickHouse Keeper (`CheckNotExists`, `CreateIfNotExists`, `RemoveRecursive`).

use alloc::vec::Vec;

use crate::digest::ContentHash;
use crate::rejection::Rejection;
use crate::reply::MultiReply;
use crate::znode::change::Change;
use crate::znode::content::Reach;
use crate::znode::undo::Undo;
use crate::znode::{path, permission};

/// Znodes that one command deletes at most, whatever it asks for: every member
/// stands still for it.
pub const DELETED_MAX: u32 = 10_000;

impl Change<'_> {
    /// `BadVersion` unless the content is the expected one.
    pub(super) fn check_hash(
        &mut self,
        path: &str,
        reach: Reach,
        expected: ContentHash,
    ) -> Result<(MultiReply, Undo), Rejection> {
        path::validate(path)?;
        if self.tree.hash_for(path, reach, self.identities)? == expected {
            Ok((MultiReply::Checked, Undo::Nothing))
        } else {
            Err(Rejection::BadVersion)
        }
    }

    /// `NodeExists` if there is a znode with this data version, -1 for any.
    pub(super) fn check_absent(
        &mut self,
        path: &str,
        version: i32,
    ) -> Result<(MultiReply, Undo), Rejection> {
        path::validate(path)?;
        if let Some(id) = self.tree.find(path) {
            self.check_allowed(id, permission::READ)?;
            if version == -1 || version == self.tree.slab.get(id).version {
                return Err(Rejection::NodeExists);
            }
        }
        Ok((MultiReply::Checked, Undo::Nothing))
    }

    /// Deletes a znode with everything below it, or nothing: `NotEmpty` if that
    /// is more than `limit`. Needs DELETE on the parent and, as in ClickHouse
    /// Keeper, on every one of them. Tells of each as its own deletion does.
    pub(super) fn delete_subtree(
        &mut self,
        path: &str,
        limit: u32,
    ) -> Result<(MultiReply, Undo), Rejection> {
        let parent_path = path::parent(path)?;
        if path::BUILT_IN.contains(&path) {
            return Err(Rejection::BadArguments("a built-in znode cannot be deleted"));
        }
        let parent = self.tree.find_parent(parent_path).ok_or(Rejection::NoNode)?;
        self.check_allowed(parent, permission::DELETE)?;
        let top = self.tree.find(path).ok_or(Rejection::NoNode)?;
        let limit = limit.min(DELETED_MAX) as usize;
        let mut ids: Vec<_> = self.tree.ids_below(top).take(limit + 1).collect();
        if ids.len() > limit {
            return Err(Rejection::NotEmpty);
        }
        for id in &ids {
            self.check_allowed(*id, permission::DELETE)?;
        }
        let mut journal = Vec::with_capacity(ids.len());
        // Parents stand before their children, so from the end all are childless.
        while let Some(id) = ids.pop() {
            let undo = self.delete_childless(id)?;
            let counted = self.tree.account(&undo);
            journal.push(undo);
            journal.extend(counted);
        }
        Ok((MultiReply::Deleted, Undo::Several(journal)))
    }
}
