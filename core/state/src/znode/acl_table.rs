//! The table of ACLs in use, each stored once however many znodes have it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::znode::{Ace, Acl, permission};

/// Names a list in the table. It is local to this process: never stored, never answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AclId(u32);

#[derive(Debug, Clone, Default)]
pub(super) struct AclTable {
    ids: BTreeMap<Acl, AclId>,
    entries: Vec<Option<Entry>>,
    free: Vec<AclId>,
}

#[derive(Debug, Clone)]
struct Entry {
    acl: Acl,
    users: u32,
    guarded: bool,
}

impl AclTable {
    /// Counts one more user of `list`, which is put in if it is new.
    pub(super) fn acquire(&mut self, list: &[Ace]) -> AclId {
        if let Some(id) = self.ids.get(list).copied() {
            self.entry_mut(id).users += 1;
            return id;
        }
        let acl = Acl(list.into());
        let guarded = !acl.allows(permission::READ, &[]);
        let entry = Some(Entry { acl: acl.clone(), users: 1, guarded });
        let id = match self.free.pop() {
            Some(id) => {
                self.entries[id.0 as usize] = entry;
                id
            }
            None => {
                let next = u32::try_from(self.entries.len());
                self.entries.push(entry);
                AclId(next.expect("there are fewer lists than znodes, of which there are < 2^32"))
            }
        };
        self.ids.insert(acl, id);
        id
    }

    /// Counts one user less; the last one takes the list away.
    pub(super) fn release(&mut self, id: AclId) {
        let entry = self.entry_mut(id);
        entry.users -= 1;
        if entry.users == 0 {
            let gone = self.entries[id.0 as usize].take();
            self.ids.remove(&gone.expect("it was there a line before").acl);
            self.free.push(id);
        }
    }

    pub(super) fn get(&self, id: AclId) -> &Acl {
        &self.entry(id).acl
    }

    /// Whether not everybody may read what has this list.
    pub(super) fn is_guarded(&self, id: AclId) -> bool {
        self.entry(id).guarded
    }

    /// Whether any list names somebody, or keeps anybody from reading.
    pub(super) fn names_anybody(&self) -> bool {
        self.entries.iter().flatten().any(|entry| {
            let names = |ace: &Ace| &*ace.identity.scheme != "world";
            entry.guarded || entry.acl.0.iter().any(names)
        })
    }

    pub(super) fn users(&self, id: AclId) -> u32 {
        self.entry(id).users
    }

    /// How many different lists are in use.
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    fn entry(&self, id: AclId) -> &Entry {
        self.entries[id.0 as usize].as_ref().expect("whoever has an id is counted as a user")
    }

    fn entry_mut(&mut self, id: AclId) -> &mut Entry {
        self.entries[id.0 as usize].as_mut().expect("whoever has an id is counted as a user")
    }
}
