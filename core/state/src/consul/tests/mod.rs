//! The rules of Consul's data model, one test per rule.

mod autopilot;
mod catalog;
mod coordinate;
mod graph;
mod graph_property;
mod graph_size;
mod index;
mod invariants;
mod kv;
mod mesh;
mod property;
mod query;
mod session;
mod txn;

use std::boxed::Box;
use std::string::{String, ToString};
use std::vec::Vec;

use bytes::Bytes;

use crate::codec::Input;
use crate::consul::{
    CheckStatus, Consul, ConsulCommand, ConsulReply, ConsulSessionId, KvEntry, KvOp, NewCheck,
    NewNode, NewService, NewSession, Registration, SessionBehavior, TxnOp, TxnResult,
};
use crate::event::{Event, Topic};
use crate::id::Revision;
use crate::rejection::Rejection;
use crate::reply::Reply;
use crate::stamp::Stamp;

/// Tables with a revision and a clock that only the test moves.
#[derive(Default)]
struct World {
    consul: Consul,
    revision: u64,
    time_ms: u64,
    /// What the last command changed.
    topics: Vec<Topic>,
}

impl World {
    fn apply(&mut self, command: ConsulCommand) -> Result<Reply, Rejection> {
        self.revision += 1;
        let stamp = Stamp { revision: Revision(self.revision), time_ms: self.time_ms };
        let mut events = Vec::new();
        let result = self.consul.apply(stamp, command, &mut events);
        self.topics = events
            .into_iter()
            .map(|event| match event {
                Event::Changed(topic) => topic,
                other => panic!("{other:?}"),
            })
            .collect();
        self.consul.check_invariants().unwrap();
        result
    }

    fn kv(&mut self, op: KvOp) -> bool {
        match self.apply(ConsulCommand::Kv(op)).unwrap() {
            Reply::Consul(ConsulReply::Bool(done)) => done,
            other => panic!("{other:?}"),
        }
    }

    fn set(&mut self, key: &str, value: &str) -> u64 {
        assert!(self.kv(set(key, value)));
        self.revision
    }

    fn delete(&mut self, key: &str) {
        assert!(self.kv(KvOp::Delete { key: bytes(key) }));
    }

    fn delete_tree(&mut self, prefix: &str) {
        assert!(self.kv(KvOp::DeleteTree { prefix: bytes(prefix) }));
    }

    fn acquire(&mut self, key: &str, session: u128) -> bool {
        self.kv(acquire(key, "v", session))
    }

    fn release(&mut self, key: &str, session: u128) -> bool {
        self.kv(release(key, session))
    }

    fn entry(&self, key: &str) -> &KvEntry {
        self.consul.kv().get(key.as_bytes()).unwrap()
    }

    fn txn(&mut self, ops: Vec<TxnOp>) -> Result<Vec<TxnResult>, Vec<(usize, String)>> {
        match self.apply(ConsulCommand::Txn(ops)).unwrap() {
            Reply::Consul(ConsulReply::Txn(outcome)) => outcome.map_err(|errors| {
                errors.into_iter().map(|error| (error.op_index, error.what)).collect()
            }),
            other => panic!("{other:?}"),
        }
    }

    fn register(&mut self, registration: Registration) {
        let reply = self.apply(ConsulCommand::Register(Box::new(registration)));
        assert_eq!(reply, Ok(Reply::Done));
    }

    /// The text with which a registration is refused.
    fn refused(&mut self, registration: Registration) -> String {
        self.apply(ConsulCommand::Register(Box::new(registration))).unwrap_err().to_string()
    }

    fn deregister(&mut self, node: &str, service_id: Option<&str>, check_id: Option<&str>) {
        let command = ConsulCommand::Deregister {
            node: node.into(),
            service_id: service_id.map(Into::into),
            check_id: check_id.map(Into::into),
        };
        assert_eq!(self.apply(command), Ok(Reply::Done));
    }

    fn create(&mut self, session: NewSession) -> Result<Reply, Rejection> {
        self.apply(ConsulCommand::CreateSession(Box::new(session)))
    }

    fn destroy(&mut self, session: u128) {
        let session = ConsulSessionId(session);
        assert_eq!(self.apply(ConsulCommand::DestroySession { session }), Ok(Reply::Done));
    }

    fn is_live(&self, session: u128) -> bool {
        self.consul.sessions().session(ConsulSessionId(session)).is_some()
    }

    /// A world with one node `n`, one live session on it, and no lock delay.
    fn with_session(session: u128) -> Self {
        let mut world = Self::default();
        world.register(node("n"));
        world.create(on("n", session)).unwrap();
        world
    }

    /// The tables read back from their stored form.
    fn restored(&self) -> Consul {
        let mut restored = Consul::default();
        restored.rehash(self.consul.ledger.hasher());
        let read_back = self.consul.snapshot_records(&mut |tag, stored| {
            restored.restore_record(tag, Input::new(Bytes::copy_from_slice(stored)))
        });
        assert_eq!(read_back, Ok(()));
        restored
    }
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn set(key: &str, value: &str) -> KvOp {
    KvOp::Set { key: bytes(key), value: bytes(value), flags: 0 }
}

fn cas(key: &str, value: &str, index: u64) -> KvOp {
    KvOp::Cas { key: bytes(key), value: bytes(value), flags: 0, index }
}

fn delete_cas(key: &str, index: u64) -> KvOp {
    KvOp::DeleteCas { key: bytes(key), index }
}

fn acquire(key: &str, value: &str, session: u128) -> KvOp {
    let session = ConsulSessionId(session);
    KvOp::Acquire { key: bytes(key), value: bytes(value), flags: 0, session }
}

fn release(key: &str, session: u128) -> KvOp {
    let session = ConsulSessionId(session);
    KvOp::Release { key: bytes(key), value: bytes("v"), flags: 0, session }
}

fn node(name: &str) -> Registration {
    let node = NewNode { name: name.into(), address: "10.0.0.1".into(), ..NewNode::default() };
    Registration { node, skip_node_update: false, services: Vec::new(), checks: Vec::new() }
}

fn with_id(name: &str, id: &str) -> Registration {
    let mut registration = node(name);
    registration.node.id = id.into();
    registration
}

fn service(name: &str) -> NewService {
    NewService { name: name.into(), ..NewService::default() }
}

fn check(id: &str, status: CheckStatus) -> NewCheck {
    NewCheck { id: id.into(), name: id.into(), status, ..NewCheck::default() }
}

fn service_check(id: &str, service_id: &str, status: CheckStatus) -> NewCheck {
    NewCheck { service_id: service_id.into(), ..check(id, status) }
}

fn with_service(name: &str, service: NewService) -> Registration {
    Registration { services: [service].into(), ..node(name) }
}

fn with_check(name: &str, check: NewCheck) -> Registration {
    Registration { checks: [check].into(), ..node(name) }
}

/// A session on a node, with no checks and no lock delay.
fn on(node: &str, id: u128) -> NewSession {
    NewSession {
        id: ConsulSessionId(id),
        name: "".into(),
        node: node.into(),
        lock_delay_ns: 0,
        behavior: SessionBehavior::Release,
        ttl: "".into(),
        ttl_ms: 0,
        node_checks: Vec::new(),
        service_checks: None,
    }
}

fn key_topic(key: &str) -> Topic {
    Topic::Key(bytes(key))
}

fn service_topic(name: &str) -> Topic {
    Topic::Service(name.into())
}
