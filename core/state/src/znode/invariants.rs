//! Checks the invariants of a tree by recomputing them. For tests.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use crate::session::Sessions;
use crate::znode::content::Below;
use crate::znode::record::ZnodeId;
use crate::znode::tree::is_reapable;
use crate::znode::{Lifetime, Tree, path, quota};

impl Tree {
    pub(crate) fn check_invariants(&self, sessions: &Sessions) -> Result<(), String> {
        let mut acl_users = BTreeMap::new();
        let mut data_size = 0;
        let mut reapable = 0;
        let mut quotas = 0;
        let mut reached = 0;
        for id in self.ids_below(ZnodeId::ROOT) {
            let record = self.slab.get(id);
            let path = &record.path;
            reached += 1;
            data_size += record.weight();
            reapable += usize::from(is_reapable(record));
            if let Some(top) = quota::limited_by(path) {
                quotas += usize::from(self.quotas.contains(top));
            }
            *acl_users.entry(record.acl).or_insert(0) += 1;
            if self.find(path) != Some(id) {
                return Err(format!("the index does not find {path}"));
            }
            if id != ZnodeId::ROOT && !self.is_listed(id) {
                return Err(format!("{path} is not where its parent lists it"));
            }
            if let Lifetime::Ephemeral(owner) = record.lifetime()
                && !sessions.session(owner).is_some_and(|session| session.ephemerals.contains(path))
            {
                return Err(format!("{path} belongs to {owner}, which does not list it"));
            }
            if is_reapable(record) && !self.reapable.contains(path) {
                return Err(format!("{path} is missing from the sweep list"));
            }
        }
        let holds = [
            ("the number of znodes", reached == self.slab.len() && reached == self.index.len()),
            ("the size of the data", data_size == self.approximate_data_size),
            ("the number of znodes to sweep", reapable == self.reapable.len()),
            ("the number of active quotas", quotas == self.quotas.len()),
            ("the number of access lists", acl_users.len() == self.acls.len()),
            (
                "the users of an access list",
                acl_users.iter().all(|(id, users)| self.acls.users(*id) == *users),
            ),
            ("the digest of the tree", self.computed_digest() == self.digest),
        ];
        if let Some(path) = self.first_with_wrong_below() {
            return Err(format!("the sums that {path} keeps about its descendants are wrong"));
        }
        match holds.iter().find(|(_, holds)| !holds) {
            Some((what, _)) => Err(format!("{what} differs from a recount")),
            None => Ok(()),
        }
    }

    /// What a parent knows is what its children have and know, added up.
    fn first_with_wrong_below(&self) -> Option<&str> {
        let wrong = |id: &ZnodeId| {
            let mut sum = Below::default();
            for child in self.slab.get(*id).children() {
                if *id != ZnodeId::ROOT || &*self.slab.get(*child).path != path::SYSTEM {
                    let below = self.below(*child);
                    sum.content.toggle(self.content(*child));
                    sum.content.toggle(below.content);
                    sum.guarded += self.guarded(*child).unsigned_abs() + below.guarded;
                }
            }
            self.below(*id) != sum
        };
        let id = self.ids_below(ZnodeId::ROOT).find(wrong)?;
        Some(&self.slab.get(id).path)
    }

    fn is_listed(&self, id: ZnodeId) -> bool {
        let record = self.slab.get(id);
        let parent = self.slab.get(record.parent);
        let parent_path = record.path.rsplit_once('/').map_or("", |(parent, _)| parent);
        let parent_path = if parent_path.is_empty() { "/" } else { parent_path };
        parent.children().get(record.position as usize) == Some(&id) && *parent.path == *parent_path
    }
}
