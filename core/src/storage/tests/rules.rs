//! What no disk does to a log, but a fault of ours could have written: its
//! checksums are right, and it makes no sense. It refuses to start.

use super::*;

/// Writes a log as `writes` says and opens it again.
fn refusal(writes: impl FnOnce(&Storage)) -> String {
    let directory = tempfile::tempdir().unwrap();
    let storage = open(directory.path());
    append(&storage.log, (0..10).map(|index| entry(2, index, 10)).collect());
    writes(&storage);
    drop(storage);
    let error = open_error(directory.path());
    assert_eq!(*error.kind(), ErrorKind::Corrupt);
    error.to_string()
}

#[test]
fn a_vote_that_went_back_is_found_at_start() {
    let said = refusal(|storage| {
        vote(&storage.log, 7);
        vote(&storage.log, 6);
    });
    assert!(said.contains("invariant B7") && said.contains("at byte"), "{said}");
}

#[test]
fn a_term_that_fell_is_found_at_start() {
    let said = refusal(|storage| append(&storage.log, vec![entry(1, 10, 10)]));
    assert!(said.contains("invariant B6") && said.contains("of term 1"), "{said}");
}

#[test]
fn a_committed_entry_that_was_cut_off_is_found_at_start() {
    let said = refusal(|storage| {
        storage.log.note_committed(Some(LogPosition { term: 2, index: 5 }));
        append(&storage.log, vec![entry(2, 10, 10)]);
        storage.log.truncate(5).unwrap();
        append(&storage.log, vec![entry(3, 5, 10)]);
    });
    assert!(said.contains("invariant B6") && said.contains("from entry 5 on"), "{said}");
}

#[test]
fn an_entry_that_leaves_a_gap_is_the_end_of_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let storage = open(directory.path());
    append(&storage.log, vec![entry(1, 0, 10)]);
    let (sender, told) = mpsc::sync_channel(1);
    let done = Box::new(move |done| sender.send(done).unwrap());
    let error = storage.log.append(vec![entry(1, 2, 10)], done).unwrap_err();
    assert!(error.to_string().contains("invariant B6"), "{error}");
    told.recv().unwrap().unwrap_err();
    let failed = until(&storage.log, |now| matches!(now, LogCondition::Failed(_)));
    let LogCondition::Failed(why) = failed else { unreachable!() };
    assert!(why.contains("invariant B6"), "{why}");
    drop(storage);
    assert_eq!(all(&open(directory.path()).log), vec![entry(1, 0, 10)]);
}
