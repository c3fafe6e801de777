//! Each rule of the log broken on purpose, and what becomes of the member.

use openraft::storage::RaftLogStorage as _;

use super::super::log_rules::LogRules;
use super::super::types::{LogId, Vote, vote};
use super::*;
use crate::storage::{LogCondition, LogEntry, LogPosition, RaftLog, StoredVote};

/// A member's log with its rules, and entries 0 to 9 of term 1, of which 5 are
/// committed.
struct Ruled {
    _directory: tempfile::TempDir,
    storage: Storage,
    rules: LogRules,
    store: LogStore,
}

fn at(term: u64, index: u64) -> LogPosition {
    LogPosition { term, index }
}

fn entry(position: LogPosition) -> LogEntry {
    LogEntry { position, kind: 0, payload: Bytes::new() }
}

fn voted(term: u64) -> Vote {
    vote(StoredVote { term, voted_for: 1, committed: true })
}

fn within<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(work)
}

impl Ruled {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let storage = storage(directory.path(), 1);
        let rules = LogRules::new(storage.log.clone(), storage.snapshots.clone());
        let store = LogStore::new(storage.log.clone(), rules.clone());
        let mut ruled = Self { _directory: directory, storage, rules, store };
        within(ruled.store.save_vote(&voted(1))).unwrap();
        let entries = (0..10).map(|index| entry(at(1, index))).collect();
        ruled.storage.log.append(entries, Box::new(|_| {})).unwrap();
        within(ruled.store.save_committed(Some(LogId::new_term_index(1, 5)))).unwrap();
        ruled
    }

    fn log(&self) -> &RaftLog {
        &self.storage.log
    }

    /// Whether the log took its end, and why.
    fn failed(&self) -> Option<String> {
        match &*self.log().watch_condition().borrow() {
            LogCondition::Failed(why) => Some(why.clone()),
            LogCondition::Sound | LogCondition::Stalled(_) => None,
        }
    }
}

#[test]
fn what_breaks_no_rule_is_done() {
    let mut ruled = Ruled::new();
    within(async {
        let store = &mut ruled.store;
        store.truncate_after(Some(LogId::new_term_index(1, 5))).await.unwrap();
        store.save_vote(&voted(1)).await.unwrap();
        store.save_vote(&voted(2)).await.unwrap();
        store.save_committed(Some(LogId::new_term_index(1, 5))).await.unwrap();
    });
    ruled.rules.before_append(&[entry(at(1, 6)), entry(at(2, 7))]).unwrap();
    ruled.rules.before_apply(Some(at(1, 3)), [at(1, 4), at(1, 5)]).unwrap();
    ruled.rules.before_install(Some(at(1, 4)), at(1, 5)).unwrap();
    ruled.rules.before_send(2).unwrap();
    assert_eq!(ruled.failed(), None);
}

#[test]
fn whatever_would_break_a_rule_is_not_done_and_is_the_end_of_the_log() {
    type Attempt = fn(&mut Ruled) -> io::Result<()>;
    let attempts: [(&str, Attempt); 8] = [
        ("B6", |ruled| ruled.rules.before_append(&[entry(at(1, 11))])),
        ("B6", |ruled| within(ruled.store.truncate_after(Some(LogId::new_term_index(1, 4))))),
        ("B6", |ruled| within(ruled.store.save_committed(Some(LogId::new_term_index(1, 4))))),
        ("B4", |ruled| within(ruled.store.purge(LogId::new_term_index(1, 2)))),
        ("B7", |ruled| within(ruled.store.save_vote(&voted(0)))),
        ("B7", |ruled| ruled.rules.before_send(2)),
        ("B8", |ruled| ruled.rules.before_apply(Some(at(1, 4)), [at(1, 5), at(1, 6)])),
        ("B8", |ruled| ruled.rules.before_install(Some(at(1, 5)), at(1, 4))),
    ];
    for (id, attempt) in attempts {
        let mut ruled = Ruled::new();
        let before = ruled.log().extent();
        let refused = attempt(&mut ruled).unwrap_err().to_string();
        let named = format!("invariant {id} is violated");
        assert!(refused.contains(&named), "{refused}");
        let failed = ruled.failed().unwrap_or_else(|| panic!("{id}: the log goes on"));
        assert!(failed.contains(&named) && failed.contains("empty data directory"), "{failed}");
        assert_eq!(ruled.log().extent(), before, "{id}: nothing was changed");
        let later = ruled.log().append(vec![entry(at(1, 10))], Box::new(|_| {}));
        assert!(later.unwrap_err().to_string().contains(&named), "{id}: it takes no more");
    }
}

/// Breaks a running member, and gives what it says of its end.
async fn ends_with(breaks: impl FnOnce(&RaftLog)) -> String {
    let mut cluster = Cluster::start(1, 1 << 20).await;
    let running = &cluster.running[&MemberId(1)];
    running.leads().await;
    running.write(&payloads(0..3)).await;
    let log = running.consensus.inner.storage.lock().unwrap().as_ref().unwrap().log.clone();
    breaks(&log);
    running.consensus.propose(Bytes::from_static(b"one more"), |_| {});
    let mut status = running.consensus.watch_status();
    let failed = status.wait_for(|status| status.failed.is_some()).await.unwrap().failed.clone();
    assert_eq!(running.applied(0).await, payloads(0..3), "nothing more is applied");
    assert!(running.consensus.wait_applied(1000).await.is_err());
    cluster.stop_all().await;
    failed.unwrap()
}

#[test]
fn a_member_whose_log_breaks_a_rule_ends_and_says_which() {
    within_time(async {
        let said = ends_with(|log| {
            let far = LogPosition { term: 1, index: 1000 };
            log.note_committed(Some(far));
        });
        assert!(said.await.contains("invariant B6 is violated"));
        let said = ends_with(|log| {
            // As if entries were lost from the end of the log.
            let last = log.last().unwrap();
            log.truncate(last.index).unwrap();
        });
        assert!(said.await.contains("invariant B6 is violated"));
    });
}

#[test]
fn a_member_that_would_apply_an_entry_twice_ends_and_says_so() {
    within_time(async {
        let mut cluster = Cluster::start(1, 1 << 20).await;
        let running = &cluster.running[&MemberId(1)];
        running.leads().await;
        running.write(&payloads(0..3)).await;
        let back =
            running.consensus.inner.raft.with_state_machine(|machine: &mut StateMachineAdapter| {
                let progress = machine.progress.clone();
                Box::pin(async move {
                    let mut position = progress.position();
                    position.0 = Some(LogId::new_term_index(1, 0));
                })
            });
        back.await.unwrap();
        running.consensus.propose(Bytes::from_static(b"one more"), |_| {});
        let mut status = running.consensus.watch_status();
        let failed =
            status.wait_for(|status| status.failed.is_some()).await.unwrap().failed.clone();
        let failed = failed.unwrap();
        assert!(failed.contains("invariant B8 is violated"), "{failed}");
        assert_eq!(running.applied(0).await, payloads(0..3), "nothing more is applied");
        cluster.stop_all().await;
    });
}
