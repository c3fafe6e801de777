//! The answers to `wchs`, `wchc` and `wchp`. As in ZooKeeper they tell of the
//! data table only: watches for children alone are not among them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::four_letter::Lines;
use super::listener::Shared;

/// How many.
pub(super) fn count(text: &mut Lines, shared: &Shared) {
    let watches = shared.node.znode_watches().data_summary();
    let (connections, paths) = (watches.connections, watches.paths);
    text.line(format_args!("{connections} connections watching {paths} paths"));
    text.line(format_args!("Total watches:{}", watches.watches));
    text.line(format_args!(""));
}

/// The paths of every session.
pub(super) fn by_session(text: &mut Lines, shared: &Shared) {
    let mut paths_of: BTreeMap<i64, Vec<Arc<str>>> = BTreeMap::new();
    for (path, sessions) in watched(shared) {
        for session in sessions {
            paths_of.entry(session).or_default().push(Arc::clone(&path));
        }
    }
    for (session, paths) in paths_of {
        text.line(format_args!("0x{session:x}"));
        for path in paths {
            text.line(format_args!("\t{path}"));
        }
    }
    text.line(format_args!(""));
}

/// The sessions of every path.
pub(super) fn by_path(text: &mut Lines, shared: &Shared) {
    for (path, sessions) in watched(shared) {
        text.line(format_args!("{path}"));
        for session in sessions {
            text.line(format_args!("\t0x{session:x}"));
        }
    }
    text.line(format_args!(""));
}

/// Every path with watches in the data table, and their sessions.
pub(super) fn watched(shared: &Shared) -> BTreeMap<Arc<str>, BTreeSet<i64>> {
    let sessions: HashMap<_, _> = shared
        .connections()
        .into_iter()
        .map(|peer| (peer.id, peer.stats.session.load(Relaxed)))
        .collect();
    let watches = shared.node.znode_watches().data_watches();
    let known = |connections: Vec<_>| {
        connections.iter().filter_map(|connection| sessions.get(connection).copied()).collect()
    };
    watches.into_iter().map(|(path, connections)| (path, known(connections))).collect()
}
