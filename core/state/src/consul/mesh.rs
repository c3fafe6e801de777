//! The configuration of a service mesh: config entries and intentions.
//!
//! libcoord has no mesh. Deployment tools write both nevertheless, and read them back to detect
//! changes. The tables store them as JSON text, enforce unique names, and do not act on the
//! content.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::sync::Arc;
use core::fmt;
use core::ops::Bound;

use crate::consul::ConsulSessionId;
use crate::consul::ledger::{Ledger, Undo, tag};
use crate::consul::name::lower;
use crate::invariants::{Violation, require_all};

/// Config entries there may be: every member keeps all of them in memory.
pub const CONFIG_ENTRIES_MAX: usize = 10_000;

/// What the definitions of all config entries may take together. Bytes.
pub const CONFIG_BYTES_MAX: usize = 64 << 20;

/// Intentions there may be: every check of one goes through all of them.
pub const INTENTIONS_MAX: usize = 10_000;

/// A config entry: the settings of a service, of proxies, of a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    /// `service-defaults` and so on.
    pub kind: Box<str>,
    /// As given; looked up without regard to case.
    pub name: Box<str>,
    /// JSON text.
    pub definition: Box<str>,
    /// Revision of creation.
    pub create_index: u64,
    /// Revision of the last change.
    pub modify_index: u64,
}

crate::record!(ConfigEntry { kind, name, definition, create_index, modify_index });

/// An intention's UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct IntentionId(pub u128);

crate::record!(IntentionId { 0 });

impl fmt::Display for IntentionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        ConsulSessionId(self.0).fmt(formatter)
    }
}

/// Whether one service may connect to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intention {
    /// Its UUID.
    pub id: IntentionId,
    /// Who may connect; `*` is everybody.
    pub source: Box<str>,
    /// To whom; `*` is everybody.
    pub destination: Box<str>,
    /// JSON text.
    pub definition: Box<str>,
    /// Milliseconds since the epoch.
    pub created_ms: u64,
    /// Milliseconds since the epoch.
    pub updated_ms: u64,
    /// Revision of creation.
    pub create_index: u64,
    /// Revision of the last change.
    pub modify_index: u64,
}

crate::record!(Intention {
    id,
    source,
    destination,
    definition,
    created_ms,
    updated_ms,
    create_index,
    modify_index,
});

/// Indexes of both tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct MeshIndexes {
    pub(super) config_entries: u64,
    pub(super) intentions: u64,
}

crate::record!(MeshIndexes { config_entries, intentions });

/// Config entries and intentions.
#[derive(Debug, Default)]
pub struct Mesh {
    entries: BTreeMap<Box<str>, Arc<ConfigEntry>>,
    /// What the definitions of all entries take together.
    entry_bytes: usize,
    intentions: BTreeMap<IntentionId, Arc<Intention>>,
    pairs: BTreeMap<(Box<str>, Box<str>), IntentionId>,
    indexes: MeshIndexes,
}

/// Kinds have no slash in them, so this is one entry's only. In lower case.
pub(super) fn entry_key(kind: &str, name: &str) -> Box<str> {
    format!("{kind}/{}", lower(name)).into()
}

/// Whether `entries` of `bytes` together may have another one, or one in place of one
/// of `replaced` bytes: what becomes smaller is always taken.
fn has_room(entries: usize, bytes: usize, replaced: Option<usize>, new: usize) -> bool {
    match replaced {
        Some(replaced) => new <= replaced || bytes - replaced + new <= CONFIG_BYTES_MAX,
        None => entries < CONFIG_ENTRIES_MAX && bytes + new <= CONFIG_BYTES_MAX,
    }
}

impl Mesh {
    /// One config entry.
    pub fn entry(&self, kind: &str, name: &str) -> Option<&Arc<ConfigEntry>> {
        self.entries.get(&entry_key(kind, name))
    }

    /// All config entries, by kind and name.
    pub fn entries(&self) -> impl Iterator<Item = &Arc<ConfigEntry>> {
        self.entries.values()
    }

    /// The config entries of one kind, by name.
    pub fn entries_of(&self, kind: &str) -> impl Iterator<Item = &Arc<ConfigEntry>> {
        let prefix = entry_key(kind, "");
        self.entries
            .range::<str, _>((Bound::Included(&*prefix.clone()), Bound::Unbounded))
            .take_while(move |(key, _)| key.starts_with(&*prefix))
            .map(|(_, entry)| entry)
    }

    /// Whether there is room for a definition of `bytes` in place of `old`.
    pub(super) fn has_room_for(&self, bytes: usize, old: Option<&ConfigEntry>) -> bool {
        let replaced = old.map(|old| old.definition.len());
        has_room(self.entries.len(), self.entry_bytes, replaced, bytes)
    }

    /// Last change of a config entry.
    pub fn entries_index(&self) -> u64 {
        self.indexes.config_entries
    }

    /// One intention.
    pub fn intention(&self, id: IntentionId) -> Option<&Arc<Intention>> {
        self.intentions.get(&id)
    }

    /// The intention about these two and no others.
    pub fn intention_between(&self, source: &str, destination: &str) -> Option<&Arc<Intention>> {
        self.intentions.get(self.pairs.get(&(lower(source), lower(destination)))?)
    }

    /// All intentions, by id.
    pub fn intentions(&self) -> impl ExactSizeIterator<Item = &Arc<Intention>> {
        self.intentions.values()
    }

    /// Last change of an intention.
    pub fn intentions_index(&self) -> u64 {
        self.indexes.intentions
    }

    pub(super) fn entry_records(&self) -> impl Iterator<Item = (&str, &ConfigEntry)> {
        self.entries.iter().map(|(key, entry)| (&**key, &**entry))
    }

    pub(super) fn indexes(&self) -> MeshIndexes {
        self.indexes
    }

    pub(super) fn put_entry(
        &mut self,
        ledger: &mut Ledger,
        key: &str,
        new: Option<Arc<ConfigEntry>>,
    ) {
        let old = self.entries.get(key).map(|old| &**old);
        ledger.swap(tag::CONFIG_ENTRY, key, old, new.as_deref());
        self.entry_bytes += new.as_ref().map_or(0, |new| new.definition.len());
        let old = match new {
            Some(new) => self.entries.insert(key.into(), new),
            None => self.entries.remove(key),
        };
        self.entry_bytes -= old.as_ref().map_or(0, |old| old.definition.len());
        ledger.remember(|| Undo::ConfigEntry(key.into(), old));
    }

    pub(super) fn put_intention(
        &mut self,
        ledger: &mut Ledger,
        id: IntentionId,
        new: Option<Arc<Intention>>,
    ) {
        let known = self.intentions.get(&id).map(|old| &**old);
        ledger.swap(tag::INTENTION, &id, known, new.as_deref());
        let old = self.intentions.remove(&id);
        if let Some(old) = &old {
            self.pairs.remove(&(lower(&old.source), lower(&old.destination)));
        }
        if let Some(new) = new {
            self.pairs.insert((lower(&new.source), lower(&new.destination)), id);
            self.intentions.insert(id, new);
        }
        ledger.remember(|| Undo::Intention(id, old));
    }

    pub(super) fn put_indexes(&mut self, ledger: &mut Ledger, indexes: MeshIndexes) {
        let old = core::mem::replace(&mut self.indexes, indexes);
        ledger.swap_indexes(tag::MESH_INDEXES, old, indexes);
        ledger.remember(|| Undo::MeshIndexes(old));
    }

    /// Everything is found by its name and nothing else is, and sizes add up.
    pub(super) fn check_invariants(&self) -> Result<(), Violation> {
        let bytes: usize = self.entries.values().map(|entry| entry.definition.len()).sum();
        let found = |(id, one): (&IntentionId, &Arc<Intention>)| {
            let found = self.intention_between(&one.source, &one.destination);
            *id == one.id && found.is_some_and(|found| found.id == *id)
        };
        require_all(
            "A2",
            &[
                ("the bytes of config entries", bytes == self.entry_bytes),
                (
                    "config entries by name",
                    self.entries
                        .iter()
                        .all(|(key, entry)| *key == entry_key(&entry.kind, &entry.name)),
                ),
                ("intentions by pair", self.intentions.iter().all(found)),
                ("the number of pairs", self.pairs.len() == self.intentions.len()),
            ],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_by_name_is_compared_with_the_records() {
        let mesh = || {
            let (mut mesh, mut ledger) = (Mesh::default(), Ledger::default());
            let entry = ConfigEntry {
                kind: "service-defaults".into(),
                name: "web".into(),
                definition: "{}".into(),
                create_index: 1,
                modify_index: 1,
            };
            let key = entry_key(&entry.kind, &entry.name);
            mesh.put_entry(&mut ledger, &key, Some(entry.into()));
            mesh
        };
        type Damage = fn(&mut Mesh);
        let damages: [Damage; 3] = [
            |mesh| mesh.entry_bytes += 1,
            |mesh| {
                mesh.pairs.insert(("web".into(), "db".into()), IntentionId(1));
            },
            |mesh| {
                let entry = mesh.entries.values().next().unwrap().clone();
                mesh.entry_bytes += entry.definition.len();
                mesh.entries.insert("under another key".into(), entry);
            },
        ];
        assert_eq!(mesh().check_invariants(), Ok(()));
        for damage in damages {
            let mut mesh = mesh();
            damage(&mut mesh);
            assert_eq!(mesh.check_invariants().unwrap_err().id(), "A2", "{mesh:?}");
        }
    }

    #[test]
    fn config_entries_have_room_up_to_a_number_and_a_size() {
        const FULL: usize = CONFIG_BYTES_MAX;
        assert!(has_room(0, 0, None, FULL) && !has_room(0, 0, None, FULL + 1));
        assert!(has_room(1, FULL - 1, None, 1) && !has_room(1, FULL - 1, None, 2));
        assert!(!has_room(CONFIG_ENTRIES_MAX, 0, None, 0));
        assert!(has_room(CONFIG_ENTRIES_MAX, 5, Some(5), 6));
        assert!(has_room(1, FULL, Some(FULL), FULL) && !has_room(2, FULL, Some(5), 6));
        // An older version may have allowed more.
        assert!(has_room(CONFIG_ENTRIES_MAX + 1, FULL + 9, Some(9), 8));
    }
}
