//! Replies of Consul commands.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::consul::{CatalogNode, CatalogService, HealthCheck, KvEntry};

/// The answer to a Consul command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsulReply {
    /// Whether it took effect: not, if a cas or a lock did not allow it.
    Bool(bool),
    /// A transaction's results, or all its failures (then nothing was applied).
    Txn(Result<Vec<TxnResult>, Vec<TxnError>>),
}

/// One result of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TxnResult {
    /// A key, as of its operation; `with_value` is false for writes, which
    /// print no value.
    Kv {
        /// The key.
        key: Bytes,
        /// Its entry.
        entry: KvEntry,
        /// Whether the value is part of the answer.
        with_value: bool,
    },
    /// A node.
    Node(Arc<CatalogNode>),
    /// A service.
    Service(Arc<CatalogService>),
    /// A check.
    Check(Arc<HealthCheck>),
}

/// Why one operation of a transaction failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxnError {
    /// Which operation, from 0.
    pub op_index: usize,
    /// Consul's text.
    pub what: String,
}
