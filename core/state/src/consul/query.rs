//! Prepared queries.
//!
//! The tables only know the fields that decide about unique names and deletion:
//! the name, whether it is a template's prefix, the session. The rest of the
//! definition is opaque text.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use core::fmt;

use crate::consul::ConsulSessionId;
use crate::consul::ledger::{Ledger, Undo, tag};
use crate::consul::name::lower;
use crate::invariants::{Violation, require_all};

/// Longest name of a query, and longest prefix that a template answers. Bytes:
/// each length is looked up for every name asked.
pub const QUERY_NAME_BYTES_MAX: usize = 1024;

/// A query's UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct QueryId(pub u128);

crate::record!(QueryId { 0 });

impl fmt::Display for QueryId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        ConsulSessionId(self.0).fmt(formatter)
    }
}

/// A query as every member knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedQuery {
    /// Its UUID.
    pub id: QueryId,
    /// May be empty. Of a template, the prefix of the names it answers.
    pub name: Box<str>,
    /// Whether it answers every name that begins with its own.
    pub template: bool,
    /// The session it goes with.
    pub session: Option<ConsulSessionId>,
    /// JSON text.
    pub definition: Box<str>,
    /// Revision of creation.
    pub create_index: u64,
    /// Revision of the last change.
    pub modify_index: u64,
}

crate::record!(PreparedQuery {
    id,
    name,
    template,
    session,
    definition,
    create_index,
    modify_index,
});

/// Indexes of the table as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct QueryIndexes {
    /// Last change of any query.
    pub(super) index: u64,
}

crate::record!(QueryIndexes { index });

/// All prepared queries.
#[derive(Debug, Default)]
pub struct PreparedQueries {
    by_id: BTreeMap<QueryId, PreparedQuery>,
    names: BTreeMap<Box<str>, QueryId>,
    templates: BTreeMap<Box<str>, QueryId>,
    indexes: QueryIndexes,
}

impl PreparedQueries {
    /// The query with that id.
    pub fn query(&self, id: QueryId) -> Option<&PreparedQuery> {
        self.by_id.get(&id)
    }

    /// All queries by id.
    pub fn iter(&self) -> impl Iterator<Item = &PreparedQuery> {
        self.by_id.values()
    }

    /// The query that answers a name, whatever its case: the one called so, or
    /// the template with the longest prefix of it.
    pub fn named(&self, name: &str) -> Option<&PreparedQuery> {
        let name = lower(name);
        let exact = self.names.get(&name).filter(|_| !name.is_empty());
        let longest = name.len().min(QUERY_NAME_BYTES_MAX);
        let prefixes = (0..=longest).rev().filter_map(|end| name.get(..end));
        let mut templates = prefixes.filter_map(|prefix| self.templates.get(prefix));
        let id = exact.or_else(|| templates.next())?;
        self.by_id.get(id)
    }

    /// Last change of the table.
    pub fn index(&self) -> u64 {
        self.indexes.index
    }

    /// The query that has a name already, if names like this one are unique.
    pub(super) fn holder(&self, name: &str, template: bool) -> Option<QueryId> {
        let name = lower(name);
        if template { self.templates.get(&name) } else { self.names.get(&name) }.copied()
    }

    /// The queries that go with a session.
    pub(super) fn of_session(&self, session: ConsulSessionId) -> impl Iterator<Item = QueryId> {
        let bound = move |query: &&PreparedQuery| query.session == Some(session);
        self.by_id.values().filter(bound).map(|query| query.id)
    }

    pub(super) fn indexes(&self) -> QueryIndexes {
        self.indexes
    }

    pub(super) fn put(&mut self, ledger: &mut Ledger, id: QueryId, query: Option<PreparedQuery>) {
        ledger.swap(tag::QUERY, &id, self.by_id.get(&id), query.as_ref());
        let old = self.by_id.remove(&id);
        if let Some(old) = &old {
            let names = if old.template { &mut self.templates } else { &mut self.names };
            names.remove(&lower(&old.name));
        }
        if let Some(query) = query {
            if query.template {
                self.templates.insert(lower(&query.name), id);
            } else if !query.name.is_empty() {
                self.names.insert(lower(&query.name), id);
            }
            self.by_id.insert(id, query);
        }
        ledger.remember(|| Undo::Query(id, old.map(Box::new)));
    }

    pub(super) fn put_indexes(&mut self, ledger: &mut Ledger, indexes: QueryIndexes) {
        let old = core::mem::replace(&mut self.indexes, indexes);
        ledger.swap_indexes(tag::QUERY_INDEXES, old, indexes);
        ledger.remember(|| Undo::QueryIndexes(old));
    }

    /// Every query is found by its name, and nothing else is.
    pub(super) fn check_invariants(&self) -> Result<(), Violation> {
        let named = self.by_id.values().filter(|query| query.template || !query.name.is_empty());
        let found =
            |query: &PreparedQuery| self.holder(&query.name, query.template) == Some(query.id);
        require_all(
            "A2",
            &[
                ("queries by id", self.by_id.iter().all(|(id, query)| *id == query.id)),
                ("queries by name", named.clone().all(found)),
                ("the number of names", named.count() == self.names.len() + self.templates.len()),
            ],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_queries_are_compared_with_them() {
        let queries = || {
            let mut queries = PreparedQueries::default();
            for (id, template) in [(1, false), (2, true)] {
                let query = PreparedQuery {
                    id: QueryId(id),
                    name: "q".into(),
                    template,
                    session: None,
                    definition: "{}".into(),
                    create_index: 1,
                    modify_index: 1,
                };
                queries.put(&mut Ledger::default(), QueryId(id), Some(query));
            }
            queries
        };
        type Damage = fn(&mut PreparedQueries);
        let damages: [Damage; 4] = [
            |queries| queries.names.clear(),
            |queries| queries.templates.clear(),
            |queries| {
                queries.names.insert("other".into(), QueryId(1));
            },
            |queries| {
                let query = queries.by_id[&QueryId(1)].clone();
                queries.by_id.insert(QueryId(3), query);
            },
        ];
        assert_eq!(queries().check_invariants(), Ok(()));
        for damage in damages {
            let mut queries = queries();
            damage(&mut queries);
            assert_eq!(queries.check_invariants().unwrap_err().id(), "A2", "{queries:?}");
        }
    }
}
