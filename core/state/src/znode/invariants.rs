//! Checks the invariants of a tree by recomputing them: see [`crate::invariants`].

use alloc::collections::BTreeMap;
use alloc::format;

use crate::id::Revision;
use crate::invariants::{Violation, require, require_all};
use crate::session::Sessions;
use crate::znode::content::Below;
use crate::znode::record::ZnodeId;
use crate::znode::tree::is_reapable;
use crate::znode::{Lifetime, Tree, path, quota};

impl Tree {
    pub(crate) fn check_invariants(&self, sessions: &Sessions) -> Result<(), Violation> {
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
            require("A2", self.find(path) == Some(id), || {
                format!("the index does not find {path}")
            })?;
            require("A2", id == ZnodeId::ROOT || self.is_listed(id), || {
                format!("{path} is not where its parent lists it")
            })?;
            if let Lifetime::Ephemeral(owner) = record.lifetime() {
                let session = sessions.session(owner);
                let is_known = session.is_some_and(|session| session.ephemerals.contains(path));
                require("A6", is_known, || {
                    format!("{path} belongs to {owner}, which does not list it")
                })?;
            }
            require("A2", !is_reapable(record) || self.reapable.contains(path), || {
                format!("{path} is missing from the sweep list")
            })?;
        }
        if let Some(path) = self.first_with_wrong_below() {
            return Err(Violation::new(
                "A8",
                format!("the sums that {path} keeps about its descendants are wrong"),
            ));
        }
        require_all(
            "A2",
            &[
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
            ],
        )
    }

    /// The latest revision that any znode was changed at.
    pub(crate) fn latest_revision(&self) -> Revision {
        let ids = self.ids_below(ZnodeId::ROOT).map(|id| self.slab.get(id));
        let latest = ids.map(|record| record.czxid.max(record.mzxid).max(record.pzxid()));
        latest.max().unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;
    use crate::digest::Digest;
    use crate::znode::Acl;

    /// With a container and a quota, beside what every tree has.
    fn tree() -> Tree {
        let mut tree = Tree::default();
        for (path, lifetime) in [
            ("/c", Lifetime::Container),
            ("/zookeeper/quota/c", Lifetime::Persistent),
            ("/zookeeper/quota/c/zookeeper_limits", Lifetime::Persistent),
        ] {
            let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
            let parent = tree.find_parent(parent).expect("it was put before");
            let model = tree.find("/zookeeper").expect("it is built in");
            let acl = tree.acls.acquire(&Acl::open().0);
            let mut record = tree.slab.get(model).clone();
            record.path = path.into();
            record.family = None;
            record.owner = lifetime.to_owner();
            (record.parent, record.acl) = (parent, acl);
            tree.put(record);
        }
        tree
    }

    fn at(tree: &Tree, path: &str) -> ZnodeId {
        tree.find(path).expect("it is there")
    }

    #[test]
    fn whatever_is_kept_of_a_tree_twice_is_compared() {
        let sessions = Sessions::default();
        assert_eq!(tree().check_invariants(&sessions), Ok(()));
        type Damage = fn(&mut Tree);
        let damages: [(&str, &str, Damage); 10] = [
            ("A2", "the index does not find /", |tree| tree.index.clear()),
            ("A2", "/c is not where its parent lists it", |tree| {
                let id = at(tree, "/c");
                tree.slab.get_mut(id).position = 7;
            }),
            ("A2", "/c is missing from the sweep list", |tree| tree.reapable.clear()),
            ("A2", "the number of znodes to sweep", |tree| {
                tree.reapable.insert("/gone".into());
            }),
            ("A2", "the number of active quotas", |tree| {
                tree.quotas.insert("/gone".into());
            }),
            ("A2", "the size of the data", |tree| tree.approximate_data_size += 1),
            ("A2", "the number of access lists", |tree| {
                tree.acls.acquire(&Acl::read_only().0);
                tree.acls.acquire(&[]);
            }),
            ("A2", "the users of an access list", |tree| {
                tree.acls.acquire(&Acl::open().0);
            }),
            ("A2", "the digest of the tree", |tree| tree.digest.toggle(Digest(1))),
            ("A8", "the sums that / keeps about its descendants", |tree| {
                let id = at(tree, "/c");
                tree.raise(id, Digest(1), 0);
            }),
        ];
        for (id, what, damage) in damages {
            let mut tree = tree();
            damage(&mut tree);
            let broken = tree.check_invariants(&sessions).expect_err(what);
            assert_eq!(broken.id(), id, "{broken}");
            assert!(broken.to_string().contains(what), "{broken} is not about {what}");
        }
    }

    #[test]
    fn an_ephemeral_of_nobody_is_found() {
        let mut tree = tree();
        let id = at(&tree, "/c");
        let mut record = tree.take(id);
        record.owner = 7;
        tree.put(record);
        let broken = tree.check_invariants(&Sessions::default()).unwrap_err();
        assert_eq!(broken.id(), "A6");
    }
}
