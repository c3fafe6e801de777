//! Transactions that only read: answered from the state, not through the log.

use bytes::Bytes;
use coord_state::consul::{Consul, KvEntry, TxnError, TxnOp, TxnResult};

/// Whether an operation changes nothing.
pub(super) fn only_reads(operation: &TxnOp) -> bool {
    match operation {
        TxnOp::Get { .. }
        | TxnOp::GetOrEmpty { .. }
        | TxnOp::GetTree { .. }
        | TxnOp::CheckIndex { .. }
        | TxnOp::CheckSession { .. }
        | TxnOp::CheckNotExists { .. }
        | TxnOp::NodeGet { .. }
        | TxnOp::ServiceGet { .. }
        | TxnOp::CheckGet { .. } => true,
        TxnOp::Kv(_)
        | TxnOp::NodeSet { .. }
        | TxnOp::NodeDelete { .. }
        | TxnOp::ServiceSet { .. }
        | TxnOp::ServiceDelete { .. }
        | TxnOp::CheckSet { .. }
        | TxnOp::CheckDelete { .. } => false,
    }
}

/// The results of operations that only read, or every failure.
pub(super) fn run(operations: &[TxnOp], consul: &Consul) -> Result<Vec<TxnResult>, Vec<TxnError>> {
    let mut results = Vec::new();
    let mut errors = Vec::new();
    for (op_index, operation) in operations.iter().enumerate() {
        match read(operation, consul) {
            Ok(found) => results.extend(found),
            Err(what) => errors.push(TxnError { op_index, what }),
        }
    }
    if errors.is_empty() { Ok(results) } else { Err(errors) }
}

fn read(operation: &TxnOp, consul: &Consul) -> Result<Vec<TxnResult>, String> {
    let kv = consul.kv();
    let catalog = consul.catalog();
    let shown = |key: &Bytes| String::from_utf8_lossy(key).into_owned();
    let found = |key: &Bytes, entry: &KvEntry, with_value| {
        Ok(vec![TxnResult::Kv { key: key.clone(), entry: entry.clone(), with_value }])
    };
    match operation {
        TxnOp::Get { key } => match kv.get(key) {
            Some(entry) => found(key, entry, true),
            None => Err(format!("key {:?} doesn't exist", shown(key))),
        },
        TxnOp::GetOrEmpty { key } => match kv.get(key) {
            Some(entry) => found(key, entry, true),
            None => found(key, &empty_entry(), true),
        },
        TxnOp::GetTree { prefix } => Ok(kv
            .range(prefix)
            .map(|(key, entry)| TxnResult::Kv {
                key: key.clone(),
                entry: entry.clone(),
                with_value: true,
            })
            .collect()),
        TxnOp::CheckIndex { key, index } => match kv.get(key) {
            None => Err(format!("failed to check index, key {:?} doesn't exist", shown(key))),
            Some(entry) if entry.modify_index == *index => found(key, entry, false),
            Some(entry) => Err(format!(
                "failed index check for key {:?}, current modify index {} != {index}",
                shown(key),
                entry.modify_index
            )),
        },
        TxnOp::CheckSession { key, session } => match kv.get(key) {
            None => Err(format!("failed to check session, key {:?} doesn't exist", shown(key))),
            Some(entry) if entry.session == Some(*session) => found(key, entry, false),
            Some(entry) => {
                let current = entry.session.map(|holder| holder.to_string()).unwrap_or_default();
                Err(format!(
                    "failed session check for key {:?}, current session {current:?} != \"{session}\"",
                    shown(key)
                ))
            }
        },
        TxnOp::CheckNotExists { key } => match kv.get(key) {
            None => Ok(Vec::new()),
            Some(_) => Err(format!("key {:?} exists", shown(key))),
        },
        TxnOp::NodeGet { node } => match catalog.node(node) {
            Some(found) => Ok(vec![TxnResult::Node(found.clone())]),
            None => Err(format!("node {node:?} doesn't exist")),
        },
        TxnOp::ServiceGet { node, service_id } => match catalog.service(node, service_id) {
            Some(found) => Ok(vec![TxnResult::Service(found.clone())]),
            None => Err(format!("service {service_id:?} on node {node:?} doesn't exist")),
        },
        TxnOp::CheckGet { node, check_id } => match catalog.check(node, check_id) {
            Some(found) => Ok(vec![TxnResult::Check(found.clone())]),
            None => Err(format!("check {check_id:?} on node {node:?} doesn't exist")),
        },
        // A transaction with a change in it goes through the log.
        TxnOp::Kv(_)
        | TxnOp::NodeSet { .. }
        | TxnOp::NodeDelete { .. }
        | TxnOp::ServiceSet { .. }
        | TxnOp::ServiceDelete { .. }
        | TxnOp::CheckSet { .. }
        | TxnOp::CheckDelete { .. } => Err("not a read".to_owned()),
    }
}

fn empty_entry() -> KvEntry {
    KvEntry {
        value: Bytes::new(),
        flags: 0,
        lock_index: 0,
        session: None,
        create_index: 0,
        modify_index: 0,
    }
}

#[cfg(test)]
mod tests {
    use coord_state::StateMachine;

    use super::*;

    #[test]
    fn on_an_empty_store_only_lenient_reads_succeed_and_all_failures_are_told() {
        let state = StateMachine::new();
        let key = Bytes::from_static(b"k");
        let lenient = [
            TxnOp::GetOrEmpty { key: key.clone() },
            TxnOp::GetTree { prefix: Bytes::new() },
            TxnOp::CheckNotExists { key: key.clone() },
        ];
        assert_eq!(run(&lenient, state.consul()).unwrap().len(), 1);
        let strict = [TxnOp::Get { key: key.clone() }, TxnOp::CheckIndex { key, index: 1 }];
        let errors = run(&strict, state.consul()).unwrap_err();
        let texts: Vec<_> = errors.iter().map(|error| &*error.what).collect();
        assert_eq!(
            texts,
            ["key \"k\" doesn't exist", "failed to check index, key \"k\" doesn't exist"]
        );
    }
}
