//! Sessions: create and destroy.

use alloc::vec::Vec;

use crate::consul::name::lower;
use crate::consul::session::SessionIndexes;
use crate::consul::write::Writer;
use crate::consul::{
    CheckStatus, Consul, ConsulRejection, ConsulSession, ConsulSessionId, NewSession,
    SessionBehavior,
};
use crate::event::Topic;

impl Writer<'_> {
    pub(super) fn create_session(
        &mut self,
        new: NewSession,
    ) -> Result<ConsulSessionId, ConsulRejection> {
        if self.consul.sessions.session(new.id).is_some() {
            return Err(ConsulRejection::SessionExists);
        }
        if self.consul.catalog.node_record(&lower(&new.node)).is_none() {
            return Err(ConsulRejection::MissingNode);
        }
        let revision = self.revision();
        let id = new.id;
        let session =
            ConsulSession { created: new, create_index: revision, modify_index: revision };
        for check in session.checks() {
            match self.consul.catalog.check(&session.node, check).map(|found| found.status) {
                None => return Err(ConsulRejection::MissingCheck(check.into())),
                Some(CheckStatus::Critical) => {
                    return Err(ConsulRejection::CriticalCheck(check.into()));
                }
                Some(CheckStatus::Passing | CheckStatus::Warning) => {}
            }
        }
        self.put_session(id, Some(session));
        Ok(id)
    }

    /// Ends a session, if it is live, and takes its keys away from it.
    pub(super) fn invalidate_session(&mut self, id: ConsulSessionId) {
        let Some(session) = self.consul.sessions.session(id) else { return };
        let delete = session.behavior == SessionBehavior::Delete;
        let lock_delay_ns = session.lock_delay_ns;
        let keys: Vec<_> = self.consul.kv.held_by(id).cloned().collect();
        self.put_session(id, None);
        self.delete_queries_of(id);
        for key in &keys {
            self.unhold(key, delete, lock_delay_ns);
        }
    }

    /// Ends the sessions that a check kept alive.
    pub(super) fn invalidate_sessions_of_check(&mut self, node: &str, check: &str) {
        let ids: Vec<_> = self.consul.sessions.depending_on(node, check).collect();
        for id in ids {
            self.invalidate_session(id);
        }
    }

    /// Ends the sessions on a node.
    pub(super) fn invalidate_sessions_on(&mut self, node: &str) {
        let ids: Vec<_> =
            self.consul.sessions.sessions_on(node).map(|session| session.id).collect();
        for id in ids {
            self.invalidate_session(id);
        }
    }

    fn put_session(&mut self, id: ConsulSessionId, session: Option<ConsulSession>) {
        let index = self.revision();
        let Consul { sessions, ledger, .. } = &mut *self.consul;
        sessions.put(ledger, id, session);
        sessions.put_indexes(ledger, SessionIndexes { index });
        self.changed(Topic::Sessions);
    }
}
