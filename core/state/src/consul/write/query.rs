//! Prepared queries: create, replace, delete.

use alloc::vec::Vec;

use crate::consul::query::QueryIndexes;
use crate::consul::write::Writer;
use crate::consul::{Consul, ConsulRejection, ConsulSessionId, NewQuery, PreparedQuery, QueryId};
use crate::event::Topic;

impl Writer<'_> {
    pub(super) fn set_query(&mut self, new: NewQuery, create: bool) -> Result<(), ConsulRejection> {
        let old = self.consul.queries.query(new.id);
        if old.is_none() != create {
            return Err(ConsulRejection::NoSuchQuery(new.id));
        }
        let holder = self.consul.queries.holder(&new.name, new.template);
        if holder.is_some_and(|holder| holder != new.id) {
            return Err(ConsulRejection::QueryNameTaken(new.name));
        }
        if let Some(session) = new.session
            && self.consul.sessions.session(session).is_none()
        {
            return Err(ConsulRejection::InvalidSession(alloc::format!("{session}").into()));
        }
        let revision = self.revision();
        let query = PreparedQuery {
            id: new.id,
            name: new.name,
            template: new.template,
            session: new.session,
            definition: new.definition,
            create_index: old.map_or(revision, |old| old.create_index),
            modify_index: revision,
        };
        self.put_query(new.id, Some(query));
        Ok(())
    }

    pub(super) fn delete_query(&mut self, id: QueryId) -> Result<(), ConsulRejection> {
        if self.consul.queries.query(id).is_none() {
            return Err(ConsulRejection::NoSuchQuery(id));
        }
        self.put_query(id, None);
        Ok(())
    }

    /// Removes the queries that go with a session.
    pub(super) fn delete_queries_of(&mut self, session: ConsulSessionId) {
        let ids: Vec<_> = self.consul.queries.of_session(session).collect();
        for id in ids {
            self.put_query(id, None);
        }
    }

    fn put_query(&mut self, id: QueryId, query: Option<PreparedQuery>) {
        let index = self.revision();
        let Consul { queries, ledger, .. } = &mut *self.consul;
        queries.put(ledger, id, query);
        queries.put_indexes(ledger, QueryIndexes { index });
        self.changed(Topic::PreparedQueries);
    }
}
