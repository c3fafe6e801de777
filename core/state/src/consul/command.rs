//! Commands on Consul's tables.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::consul::{
    AutopilotSettings, CheckStatus, ConsulSessionId, Dependency, IntentionId, NodeCoordinate,
    QueryId, SessionBehavior, TaggedAddress, Weights,
};

/// A change to Consul's tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsulCommand {
    /// One change of keys. Reply: `Consul(Bool)`.
    Kv(KvOp),
    /// All or nothing. Reply: `Consul(Txn)`; its failures are in the reply.
    Txn(Vec<TxnOp>),
    /// Register a node, and with it services and checks. Reply: `Done`.
    Register(Box<Registration>),
    /// Remove a service (if named), else a check (if named), else the whole
    /// node, with everything that hangs on it. Reply: `Done`, also if absent.
    Deregister {
        /// The catalog node.
        node: Box<str>,
        /// Service id; wins over the check.
        service_id: Option<Box<str>>,
        /// Check id.
        check_id: Option<Box<str>>,
    },
    /// Create a session. Reply: `ConsulSession`.
    CreateSession(Box<NewSession>),
    /// End a session: its keys are released or deleted, lock delays start.
    /// Reply: `Done`, also for an unknown one.
    DestroySession {
        /// Which.
        session: ConsulSessionId,
    },
    /// Make a prepared query, or replace one. Reply: `Done`.
    SetQuery {
        /// The query.
        query: Box<NewQuery>,
        /// Whether it must not be there yet; otherwise it must be.
        create: bool,
    },
    /// Remove a prepared query. Reply: `Done`.
    DeleteQuery {
        /// Which.
        query: QueryId,
    },
    /// Set where nodes are. Reply: `Done`, also for unknown nodes.
    UpdateCoordinates(Vec<NodeCoordinate>),
    /// Set a config entry. Reply: `Consul(Bool)`.
    SetConfigEntry {
        /// All of it.
        entry: Box<NewConfigEntry>,
        /// Only if it was last changed at this index; 0 means if it is not there.
        cas: Option<u64>,
    },
    /// Remove a config entry. Reply: `Consul(Bool)`, also if absent.
    DeleteConfigEntry {
        /// Of this kind.
        kind: Box<str>,
        /// Its name, in any case.
        name: Box<str>,
        /// Only if it was last changed at this index.
        cas: Option<u64>,
    },
    /// Make an intention, or replace one. Reply: `Done`.
    SetIntention {
        /// All of it.
        intention: Box<NewIntention>,
        /// Whether it must not be there yet; otherwise it must be.
        create: bool,
    },
    /// Remove an intention. Reply: `Done`.
    DeleteIntention {
        /// Which.
        intention: IntentionId,
    },
    /// Configure autopilot. Reply: `Consul(Bool)`.
    SetAutopilot {
        /// All of it.
        settings: Box<AutopilotSettings>,
        /// Only if it was last changed at this index.
        cas: Option<u64>,
    },
}

/// A config entry to be kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewConfigEntry {
    /// `service-defaults` and so on.
    pub kind: Box<str>,
    /// As given.
    pub name: Box<str>,
    /// JSON text.
    pub definition: Box<str>,
}

/// An intention to be kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewIntention {
    /// Drawn by the member that proposes.
    pub id: IntentionId,
    /// Who may connect; `*` is everybody.
    pub source: Box<str>,
    /// To whom; `*` is everybody.
    pub destination: Box<str>,
    /// JSON text.
    pub definition: Box<str>,
}

/// A prepared query to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewQuery {
    /// Drawn by the member that proposes.
    pub id: QueryId,
    /// May be empty.
    pub name: Box<str>,
    /// Whether it answers every name that begins with its own.
    pub template: bool,
    /// The session it goes with.
    pub session: Option<ConsulSessionId>,
    /// JSON text.
    pub definition: Box<str>,
}

/// One change of keys. Keys are bytes; a prefix is a prefix of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are named after the words of the operation")]
pub enum KvOp {
    /// Set, whoever holds the lock.
    Set { key: Bytes, value: Bytes, flags: u64 },
    /// Set if the modify index matches; 0 means the key must not exist.
    Cas { key: Bytes, value: Bytes, flags: u64, index: u64 },
    /// Take the lock for a session, or keep it, and set.
    Acquire { key: Bytes, value: Bytes, flags: u64, session: ConsulSessionId },
    /// Give the lock back and set.
    Release { key: Bytes, value: Bytes, flags: u64, session: ConsulSessionId },
    /// Delete; a missing key is fine.
    Delete { key: Bytes },
    /// Delete if the modify index matches.
    DeleteCas { key: Bytes, index: u64 },
    /// Delete every key with the prefix.
    DeleteTree { prefix: Bytes },
}

/// One operation of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are named after the words of the operation")]
pub enum TxnOp {
    /// A change of keys.
    Kv(KvOp),
    /// Read a key; missing is an error.
    Get { key: Bytes },
    /// Read a key; missing is an empty entry.
    GetOrEmpty { key: Bytes },
    /// Read all keys with the prefix.
    GetTree { prefix: Bytes },
    /// Fail unless the modify index matches.
    CheckIndex { key: Bytes, index: u64 },
    /// Fail unless this session holds the lock.
    CheckSession { key: Bytes, session: ConsulSessionId },
    /// Fail unless the lock is held by whom this text names; empty means by nobody.
    CheckHolder { key: Bytes, holder: Box<str> },
    /// Fail if the key exists.
    CheckNotExists { key: Bytes },
    /// Fail with this text. It stands for an operation that nobody can carry out, so
    /// that the others are tried and all failures are told at once.
    Fail { what: Box<str> },
    /// Set a node; with an index only if its modify index matches (0: absent).
    NodeSet { node: NewNode, cas: Option<u64> },
    /// Read a node.
    NodeGet { node: Box<str> },
    /// Delete a node; with an index only if it matches.
    NodeDelete { node: Box<str>, cas: Option<u64> },
    /// Set a service.
    ServiceSet { node: Box<str>, service: Box<NewService>, cas: Option<u64> },
    /// Read a service.
    ServiceGet { node: Box<str>, service_id: Box<str> },
    /// Delete a service.
    ServiceDelete { node: Box<str>, service_id: Box<str>, cas: Option<u64> },
    /// Set a check.
    CheckSet { node: Box<str>, check: Box<NewCheck>, cas: Option<u64> },
    /// Read a check.
    CheckGet { node: Box<str>, check_id: Box<str> },
    /// Delete a check.
    CheckDelete { node: Box<str>, check_id: Box<str>, cas: Option<u64> },
}

/// What to put in the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The node.
    pub node: NewNode,
    /// Leave the node record alone if it is there.
    pub skip_node_update: bool,
    /// Services on it, in order.
    pub services: Vec<NewService>,
    /// Checks on it, after the services.
    pub checks: Vec<NewCheck>,
}

/// A node to register.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewNode {
    /// Its name.
    pub name: Box<str>,
    /// Its UUID in lower case, or empty.
    pub id: Box<str>,
    /// Its address; empty is allowed only with `skip_node_update`.
    pub address: Box<str>,
    /// The datacenter, or empty for the cluster's own.
    pub datacenter: Box<str>,
    /// `lan`, `wan`, …; `None` is printed as null.
    pub tagged_addresses: Option<BTreeMap<Box<str>, Box<str>>>,
    /// `None` is printed as null.
    pub meta: Option<BTreeMap<Box<str>, Box<str>>>,
}

/// A service to register on a node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewService {
    /// Unique on the node; empty means the name.
    pub id: Box<str>,
    /// The service's name.
    pub name: Box<str>,
    /// In the order given.
    pub tags: Vec<Box<str>>,
    /// Empty means the node's address; never filled in.
    pub address: Box<str>,
    /// By kind.
    pub tagged_addresses: BTreeMap<Box<str>, TaggedAddress>,
    /// `None` is printed as null.
    pub meta: Option<BTreeMap<Box<str>, Box<str>>>,
    /// Any number, as given.
    pub port: i64,
    /// DNS weights.
    pub weights: Weights,
    /// Whether the catalog's tags win over the agent's.
    pub enable_tag_override: bool,
    /// `connect-proxy` and so on; usually empty.
    pub kind: Box<str>,
    /// A Unix socket, or empty.
    pub socket_path: Box<str>,
    /// Mesh settings, kept and given back as JSON text; empty means none.
    pub proxy: Box<str>,
    /// As `proxy`.
    pub connect: Box<str>,
    /// What it depends on, beside what its metadata says.
    pub depends_on: Vec<Dependency>,
}

/// A health check to register on a node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewCheck {
    /// Unique on the node; empty means the name.
    pub id: Box<str>,
    /// For people.
    pub name: Box<str>,
    /// Passing, warning, critical.
    pub status: CheckStatus,
    /// For people.
    pub notes: Box<str>,
    /// What the probe last said.
    pub output: Box<str>,
    /// The service it belongs to; empty for the node itself.
    pub service_id: Box<str>,
    /// `ttl`, `http`, …, or empty.
    pub kind: Box<str>,
    /// Kept and given back: a Go duration or empty.
    pub interval: Box<str>,
    /// Kept and given back: a Go duration or empty.
    pub timeout: Box<str>,
    /// Definition of an external check, kept and given back as JSON text;
    /// empty means none.
    pub definition: Box<str>,
}

/// A session to create.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewSession {
    /// Fresh, drawn by the accepting member.
    pub id: ConsulSessionId,
    /// For people.
    pub name: Box<str>,
    /// The catalog node it lives on.
    pub node: Box<str>,
    /// How long its keys stay unlockable after it was invalidated, in ns as printed.
    pub lock_delay_ns: i64,
    /// What happens to its keys.
    pub behavior: SessionBehavior,
    /// As given, for printing; empty means none.
    pub ttl: Box<str>,
    /// Parsed `ttl`; 0 means none.
    pub ttl_ms: u64,
    /// Checks of the node that it depends on.
    pub node_checks: Vec<Box<str>>,
    /// Service checks that it depends on; `None` is printed as null.
    pub service_checks: Option<Vec<Box<str>>>,
}
