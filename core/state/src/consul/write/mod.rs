//! Applies commands to the tables.
//!
//! A [`Writer`] applies one command: everything it changes gets the command's
//! revision, and the topics that it touches are collected, each once. A command
//! that fails half way is rolled back completely: see
//! [`Writer::all_or_nothing`].

mod autopilot;
mod catalog;
mod check;
mod coordinate;
mod kv;
mod mesh;
mod query;
mod session;
mod txn;

pub(super) use txn::read_only;

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::consul::catalog::GraphIndex;
use crate::consul::kv::KvIndexes;
use crate::consul::{Consul, ConsulCommand, ConsulReply};
use crate::event::{Event, Topic};
use crate::rejection::Rejection;
use crate::reply::Reply;
use crate::stamp::Stamp;

/// How many ended lock delays one command sweeps.
const LOCK_DELAYS_SWEPT: usize = 64;

/// One command being applied.
pub(super) struct Writer<'a> {
    consul: &'a mut Consul,
    stamp: Stamp,
    topics: BTreeSet<Topic>,
    /// Nodes all of whose services have the command's revision as their index.
    touched: BTreeSet<Box<str>>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(consul: &'a mut Consul, stamp: Stamp) -> Self {
        Self { consul, stamp, topics: BTreeSet::new(), touched: BTreeSet::new() }
    }

    pub(super) fn apply(
        mut self,
        command: ConsulCommand,
        events: &mut Vec<Event>,
    ) -> Result<Reply, Rejection> {
        self.sweep();
        let before = self.consul.catalog.graph_changes();
        let result = self.dispatch(command);
        self.note_graph_changes(before);
        events.extend(self.topics.into_iter().map(Event::Changed));
        result
    }

    /// Moves the index of the graph of services if readers are told something else.
    fn note_graph_changes(&mut self, before: Option<u64>) {
        let index = self.revision();
        let Consul { catalog, ledger, .. } = &mut *self.consul;
        // Without topics nothing changed: a refused command was taken back.
        if catalog.graph_changes() != before && !self.topics.is_empty() {
            catalog.put_graph_index(ledger, GraphIndex { index });
            self.changed(Topic::Graph);
        }
    }

    fn dispatch(&mut self, command: ConsulCommand) -> Result<Reply, Rejection> {
        match command {
            ConsulCommand::Kv(op) => {
                let done = self.kv(&op)?;
                Ok(Reply::Consul(ConsulReply::Bool(done)))
            }
            ConsulCommand::Txn(ops) => {
                let outcome = self.all_or_nothing(|writer| writer.txn(&ops));
                Ok(Reply::Consul(ConsulReply::Txn(outcome)))
            }
            ConsulCommand::Register(registration) => {
                self.all_or_nothing(|writer| writer.register(*registration))?;
                Ok(Reply::Done)
            }
            ConsulCommand::Deregister { node, service_id, check_id } => {
                self.deregister(&node, service_id.as_deref(), check_id.as_deref());
                Ok(Reply::Done)
            }
            ConsulCommand::CreateSession(session) => {
                Ok(Reply::ConsulSession(self.create_session(*session)?))
            }
            ConsulCommand::DestroySession { session } => {
                self.invalidate_session(session);
                Ok(Reply::Done)
            }
            ConsulCommand::SetQuery { query, create } => {
                self.set_query(*query, create)?;
                Ok(Reply::Done)
            }
            ConsulCommand::DeleteQuery { query } => {
                self.delete_query(query)?;
                Ok(Reply::Done)
            }
            ConsulCommand::SetAutopilot { settings, cas } => {
                let done = self.set_autopilot(*settings, cas);
                Ok(Reply::Consul(ConsulReply::Bool(done)))
            }
            ConsulCommand::SetConfigEntry { entry, cas } => {
                let done = self.set_config_entry(*entry, cas)?;
                Ok(Reply::Consul(ConsulReply::Bool(done)))
            }
            ConsulCommand::DeleteConfigEntry { kind, name, cas } => {
                let done = self.delete_config_entry(&kind, &name, cas);
                Ok(Reply::Consul(ConsulReply::Bool(done)))
            }
            ConsulCommand::SetIntention { intention, create } => {
                self.set_intention(*intention, create)?;
                Ok(Reply::Done)
            }
            ConsulCommand::DeleteIntention { intention } => {
                self.delete_intention(intention)?;
                Ok(Reply::Done)
            }
            ConsulCommand::UpdateCoordinates(updates) => {
                self.update_coordinates(updates);
                Ok(Reply::Done)
            }
        }
    }

    /// Runs `change`; if it fails, nothing of it remains.
    fn all_or_nothing<T, E>(
        &mut self,
        change: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        self.consul.ledger.begin();
        let result = change(self);
        let log = self.consul.ledger.end();
        if result.is_err() {
            // Invariant A4: a refused command changes nothing.
            self.consul.roll_back(log);
            self.topics.clear();
        }
        result
    }

    /// Forgets what time or number has made superfluous, a bounded piece of it.
    fn sweep(&mut self) {
        let Consul { kv, ledger, .. } = &mut *self.consul;
        let over: Vec<_> =
            kv.lock_delays_over(self.stamp.time_ms).take(LOCK_DELAYS_SWEPT).cloned().collect();
        for key in &over {
            kv.put_lock_delay(ledger, key, None);
        }
        if kv.tombstones().overflows() {
            let oldest: Vec<_> = kv.tombstones().older_half().cloned().collect();
            let floor = oldest.last().map_or(0, |(revision, _)| *revision);
            for (_, key) in &oldest {
                kv.put_tombstone(ledger, key, None);
            }
            let indexes = KvIndexes { floor, ..kv.indexes() };
            kv.put_indexes(ledger, indexes);
        }
    }

    fn revision(&self) -> u64 {
        self.stamp.revision.0
    }

    fn changed(&mut self, topic: Topic) {
        self.topics.insert(topic);
    }
}
