//! The frozen tree at one revision, to be stored while the tree continues to
//! change.

use crate::znode::acl_table::AclTable;
use crate::znode::record::{Record, Slab, ZnodeId};
use crate::znode::{Acl, Tree};

/// Every znode as it was. What was not changed since is the tree's own.
#[derive(Debug)]
pub(crate) struct FrozenTree {
    slab: Slab,
    acls: AclTable,
}

impl Tree {
    /// Keeps the tree as it is now. Costs a pointer for every few hundred znodes,
    /// and a copy of those that are changed while the frozen one is there.
    pub(crate) fn freeze(&self) -> FrozenTree {
        FrozenTree { slab: self.slab.share(), acls: self.acls.clone() }
    }
}

impl FrozenTree {
    /// Every record with its access list, parents first, siblings in order.
    pub(crate) fn records(&self) -> impl Iterator<Item = (&Record, &Acl)> {
        // A staged state may have none yet.
        let root = (self.slab.len() > 0).then_some(ZnodeId::ROOT);
        let ids = core::iter::successors(root, |at| self.slab.next_below(ZnodeId::ROOT, *at));
        ids.map(|id| {
            let record = self.slab.get(id);
            (record, self.acls.get(record.acl))
        })
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use bytes::Bytes;

    use super::*;

    fn shown(tree: &FrozenTree) -> Vec<(alloc::string::String, Option<Bytes>)> {
        tree.records().map(|(record, _)| ((*record.path).into(), record.data.clone())).collect()
    }

    #[test]
    fn a_frozen_tree_stays_as_it_was() {
        let mut tree = Tree::default();
        let config = tree.find("/zookeeper/config").expect("it is built in");
        let frozen = tree.freeze();
        let before = shown(&frozen);
        tree.replace_data(config, Some(Bytes::from_static(b"changed")));
        let quota = tree.find("/zookeeper/quota").expect("it is built in");
        let taken = tree.take(quota);
        assert_eq!(shown(&frozen), before);
        assert_ne!(shown(&tree.freeze()), before);
        tree.put_back(taken);
        tree.replace_data(config, Some(Bytes::new()));
        assert_eq!(shown(&tree.freeze()), before);
    }
}
