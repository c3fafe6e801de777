//! Transactions: all operations or none, in order, each seeing those before.
//!
//! All operations are tried, even after a failed one, so that all failures are
//! reported together. The texts are Consul's.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::Bytes;

use crate::consul::name::{lower, quoted};
use crate::consul::write::Writer;
use crate::consul::write::kv::Lock;
use crate::consul::{
    Consul, KvEntry, KvOp, NewCheck, NewNode, NewService, TxnError, TxnOp, TxnResult,
};

type OpResult = Result<Vec<TxnResult>, String>;

const NO_KEY: &str = "Must provide key";

/// Results of one transaction, which may ask for the same tree many times.
const RESULTS_MAX: usize = 100_000;

/// Bytes of the values among them.
const RESULT_BYTES_MAX: usize = 128 << 20;

/// What an entry that is not there looks like.
const EMPTY: KvEntry = KvEntry {
    value: Bytes::new(),
    flags: 0,
    lock_index: 0,
    session: None,
    create_index: 0,
    modify_index: 0,
};

impl TxnOp {
    /// Whether the operation changes nothing, so that it need not enter the log.
    pub fn is_read(&self) -> bool {
        match self {
            Self::Get { .. }
            | Self::GetOrEmpty { .. }
            | Self::GetTree { .. }
            | Self::CheckIndex { .. }
            | Self::CheckSession { .. }
            | Self::CheckHolder { .. }
            | Self::CheckNotExists { .. }
            | Self::Fail { .. }
            | Self::NodeGet { .. }
            | Self::ServiceGet { .. }
            | Self::CheckGet { .. } => true,
            Self::Kv(_)
            | Self::NodeSet { .. }
            | Self::NodeDelete { .. }
            | Self::ServiceSet { .. }
            | Self::ServiceDelete { .. }
            | Self::CheckSet { .. }
            | Self::CheckDelete { .. } => false,
        }
    }
}

/// Does a transaction that only reads.
pub(in crate::consul) fn read_only(
    consul: &Consul,
    ops: &[TxnOp],
) -> Result<Vec<TxnResult>, Vec<TxnError>> {
    collect(ops, |op| match read(consul, op) {
        Some(result) => result,
        None => Err("a read-only transaction cannot write".to_owned()),
    })
}

/// Does all operations; if any failed, tells which.
fn collect(
    ops: &[TxnOp],
    mut run: impl FnMut(&TxnOp) -> OpResult,
) -> Result<Vec<TxnResult>, Vec<TxnError>> {
    let mut results = Vec::new();
    let mut errors = Vec::new();
    let mut bytes: usize = 0;
    for (op_index, op) in ops.iter().enumerate() {
        match run(op) {
            Ok(more) => {
                bytes += more.iter().map(value_bytes).sum::<usize>();
                results.extend(more);
                if results.len() > RESULTS_MAX || bytes > RESULT_BYTES_MAX {
                    errors.push(TxnError { op_index, what: too_many_results() });
                    break;
                }
            }
            Err(what) => errors.push(TxnError { op_index, what }),
        }
    }
    if errors.is_empty() { Ok(results) } else { Err(errors) }
}

fn value_bytes(result: &TxnResult) -> usize {
    match result {
        TxnResult::Kv { entry, with_value: true, .. } => entry.value.len(),
        _ => 0,
    }
}

fn too_many_results() -> String {
    format!(
        "a transaction may return at most {RESULTS_MAX} results with {RESULT_BYTES_MAX} bytes of \
         values: read large trees with ?recurse"
    )
}

/// Does an operation that only reads; `None` if it is another one.
fn read(consul: &Consul, op: &TxnOp) -> Option<OpResult> {
    let catalog = &consul.catalog;
    Some(match op {
        TxnOp::Get { key }
        | TxnOp::GetOrEmpty { key }
        | TxnOp::CheckIndex { key, .. }
        | TxnOp::CheckSession { key, .. }
        | TxnOp::CheckHolder { key, .. }
        | TxnOp::CheckNotExists { key }
            if key.is_empty() =>
        {
            Err(NO_KEY.to_owned())
        }
        TxnOp::Get { key } => {
            found(consul, key, true).ok_or_else(|| format!("key {} doesn't exist", quoted(key)))
        }
        TxnOp::GetOrEmpty { key } => Ok(found(consul, key, true).unwrap_or_else(|| {
            Vec::from([TxnResult::Kv { key: key.clone(), entry: EMPTY, with_value: true }])
        })),
        TxnOp::GetTree { prefix } => {
            let entries = consul.kv.range(prefix).take(RESULTS_MAX + 1);
            Ok(entries.map(|(key, entry)| kv_result(key, entry, true)).collect())
        }
        TxnOp::CheckIndex { key, index } => check_index(consul, key, *index),
        TxnOp::CheckSession { key, session } => check_holder(consul, key, &session.to_string()),
        TxnOp::CheckHolder { key, holder } => check_holder(consul, key, holder),
        TxnOp::Fail { what } => Err(what.to_string()),
        TxnOp::CheckNotExists { key } => match consul.kv.get(key) {
            None => Ok(Vec::new()),
            Some(_) => Err(format!("key {} exists", quoted(key))),
        },
        TxnOp::NodeGet { node } => match catalog.node(node) {
            Some(node) => Ok(Vec::from([TxnResult::Node(node.clone())])),
            None => Err(format!("node {} doesn't exist", quoted(node.as_bytes()))),
        },
        TxnOp::ServiceGet { node, service_id } => match catalog.service(node, service_id) {
            Some(service) => Ok(Vec::from([TxnResult::Service(service.clone())])),
            None => Err(format!("service {} doesn't exist", on_node(service_id, node))),
        },
        TxnOp::CheckGet { node, check_id } => match catalog.check(node, check_id) {
            Some(check) => Ok(Vec::from([TxnResult::Check(check.clone())])),
            None => Err(format!("check {} doesn't exist", on_node(check_id, node))),
        },
        TxnOp::Kv(_)
        | TxnOp::NodeSet { .. }
        | TxnOp::NodeDelete { .. }
        | TxnOp::ServiceSet { .. }
        | TxnOp::ServiceDelete { .. }
        | TxnOp::CheckSet { .. }
        | TxnOp::CheckDelete { .. } => return None,
    })
}

fn kv_result(key: &Bytes, entry: &KvEntry, with_value: bool) -> TxnResult {
    TxnResult::Kv { key: key.clone(), entry: entry.clone(), with_value }
}

fn found(consul: &Consul, key: &Bytes, with_value: bool) -> Option<Vec<TxnResult>> {
    consul.kv.get(key).map(|entry| Vec::from([kv_result(key, entry, with_value)]))
}

fn on_node(id: &str, node: &str) -> String {
    format!("{} on node {}", quoted(id.as_bytes()), quoted(node.as_bytes()))
}

fn check_index(consul: &Consul, key: &Bytes, index: u64) -> OpResult {
    let name = quoted(key);
    match consul.kv.get(key) {
        None => Err(format!("failed to check index, key {name} doesn't exist")),
        Some(entry) if entry.modify_index == index => Ok(Vec::from([kv_result(key, entry, false)])),
        Some(entry) => Err(format!(
            "failed index check for key {name}, current modify index {} != {index}",
            entry.modify_index
        )),
    }
}

/// Compares texts, as Consul does: what is no session's id holds nothing.
fn check_holder(consul: &Consul, key: &Bytes, holder: &str) -> OpResult {
    let name = quoted(key);
    let Some(entry) = consul.kv.get(key) else {
        return Err(format!("failed to check session, key {name} doesn't exist"));
    };
    let current = entry.session.map(|holder| holder.to_string()).unwrap_or_default();
    if current != holder {
        let holder = quoted(holder.as_bytes());
        return Err(format!(
            "failed session check for key {name}, current session \"{current}\" != {holder}"
        ));
    }
    Ok(Vec::from([kv_result(key, entry, false)]))
}

impl Writer<'_> {
    pub(super) fn txn(&mut self, ops: &[TxnOp]) -> Result<Vec<TxnResult>, Vec<TxnError>> {
        collect(ops, |op| self.txn_op(op))
    }

    fn txn_op(&mut self, op: &TxnOp) -> OpResult {
        if let Some(result) = read(self.consul, op) {
            return result;
        }
        match op {
            TxnOp::Kv(op) => self.txn_kv(op),
            TxnOp::NodeSet { node, cas } => self.txn_set_node(node, *cas),
            TxnOp::NodeDelete { node, cas } => self.txn_delete_node(node, *cas),
            TxnOp::ServiceSet { node, service, cas } => self.txn_set_service(node, service, *cas),
            TxnOp::ServiceDelete { node, service_id, cas } => {
                self.txn_delete_service(node, service_id, *cas)
            }
            TxnOp::CheckSet { node, check, cas } => self.txn_set_check(node, check, *cas),
            TxnOp::CheckDelete { node, check_id, cas } => {
                self.txn_delete_check(node, check_id, *cas)
            }
            // Reads were answered above.
            _ => Ok(Vec::new()),
        }
    }

    fn txn_kv(&mut self, op: &KvOp) -> OpResult {
        let key = match op {
            KvOp::Set { key, .. }
            | KvOp::Cas { key, .. }
            | KvOp::Acquire { key, .. }
            | KvOp::Release { key, .. }
            | KvOp::Delete { key }
            | KvOp::DeleteCas { key, .. } => key,
            KvOp::DeleteTree { prefix } => prefix,
        };
        if key.is_empty() && !matches!(op, KvOp::DeleteTree { .. }) {
            return Err(NO_KEY.to_owned());
        }
        if let KvOp::Acquire { value, flags, session, .. } = op {
            let lock = self.acquire(key, value, *flags, *session);
            match lock.map_err(|rejection| rejection.to_string())? {
                Lock::Taken => {}
                Lock::Held => {
                    return Err(format!(
                        "failed to lock key {}, lock is already held",
                        quoted(key)
                    ));
                }
                Lock::Delayed => {
                    return Err(format!("failed to lock key {} due to lock delay", quoted(key)));
                }
            }
        } else if !self.kv(op).map_err(|rejection| rejection.to_string())? {
            return Err(refusal(op, &quoted(key)));
        }
        match op {
            KvOp::Set { .. } | KvOp::Cas { .. } | KvOp::Acquire { .. } | KvOp::Release { .. } => {
                Ok(found(self.consul, key, false).unwrap_or_default())
            }
            KvOp::Delete { .. } | KvOp::DeleteCas { .. } | KvOp::DeleteTree { .. } => {
                Ok(Vec::new())
            }
        }
    }

    fn txn_set_node(&mut self, node: &NewNode, cas: Option<u64>) -> OpResult {
        let catalog = &self.consul.catalog;
        let name = node.name.clone();
        if name.is_empty() {
            return Err("Must provide node".to_owned());
        }
        let current = catalog.node_record(&lower(&name)).map(|record| record.node.modify_index);
        if !may_set(current, cas) {
            return Err(stale("set", "node", &quoted(name.as_bytes())));
        }
        self.set_node(node.clone()).map_err(|rejection| rejection.to_string())?;
        let node = self.consul.catalog.node(&name);
        Ok(node.cloned().map(TxnResult::Node).into_iter().collect())
    }

    fn txn_delete_node(&mut self, node: &str, cas: Option<u64>) -> OpResult {
        let name = lower(node);
        let current = self.consul.catalog.node_record(&name).map(|record| record.node.modify_index);
        if !may_delete(current, cas) {
            return Err(stale("delete", "node", &quoted(node.as_bytes())));
        }
        self.delete_node(&name);
        Ok(Vec::new())
    }

    fn txn_set_service(&mut self, node: &str, new: &NewService, cas: Option<u64>) -> OpResult {
        let id = or_name(&new.id, &new.name);
        let current = self.consul.catalog.service(node, &id).map(|service| service.modify_index);
        if !may_set(current, cas) {
            return Err(stale("set", "service", &on_node(&id, node)));
        }
        let set = self.set_service(&lower(node), new.clone());
        set.map_err(|rejection| rejection.to_string())?;
        let service = self.consul.catalog.service(node, &id);
        Ok(service.cloned().map(TxnResult::Service).into_iter().collect())
    }

    fn txn_delete_service(&mut self, node: &str, id: &str, cas: Option<u64>) -> OpResult {
        let current = self.consul.catalog.service(node, id).map(|service| service.modify_index);
        if !may_delete(current, cas) {
            return Err(stale("delete", "service", &on_node(id, node)));
        }
        self.delete_service(&lower(node), id);
        Ok(Vec::new())
    }

    fn txn_set_check(&mut self, node: &str, new: &NewCheck, cas: Option<u64>) -> OpResult {
        let id = or_name(&new.id, &new.name);
        let current = self.consul.catalog.check(node, &id).map(|check| check.modify_index);
        if !may_set(current, cas) {
            return Err(stale("set", "check", &on_node(&id, node)));
        }
        let set = self.set_check(&lower(node), new.clone());
        set.map_err(|rejection| rejection.to_string())?;
        let check = self.consul.catalog.check(node, &id);
        Ok(check.cloned().map(TxnResult::Check).into_iter().collect())
    }

    fn txn_delete_check(&mut self, node: &str, id: &str, cas: Option<u64>) -> OpResult {
        let current = self.consul.catalog.check(node, id).map(|check| check.modify_index);
        if !may_delete(current, cas) {
            return Err(stale("delete", "check", &on_node(id, node)));
        }
        self.delete_check(&lower(node), id);
        Ok(Vec::new())
    }
}

/// Why a change of keys whose condition did not hold was refused.
fn refusal(op: &KvOp, key: &str) -> String {
    match op {
        KvOp::Release { .. } => {
            format!("failed to unlock key {key}, lock isn't held, or is held by another session")
        }
        KvOp::DeleteCas { .. } => stale("delete", "key", key),
        _ => stale("set", "key", key),
    }
}

fn stale(verb: &str, what: &str, which: &str) -> String {
    format!("failed to {verb} {what} {which}, index is stale")
}

fn or_name(id: &str, name: &str) -> Box<str> {
    Box::from(if id.is_empty() { name } else { id })
}

/// Whether a record may be set: index 0 demands that it is not there.
fn may_set(current: Option<u64>, cas: Option<u64>) -> bool {
    cas.is_none_or(|index| current.unwrap_or(0) == index)
}

/// Whether a record may be deleted.
fn may_delete(current: Option<u64>, cas: Option<u64>) -> bool {
    cas.is_none_or(|index| current == Some(index))
}
