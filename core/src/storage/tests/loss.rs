//! What a start makes of a log that holds less than was acknowledged.

use super::*;

type Damage = fn(&mut Vec<u8>);

/// What a newest segment may come back as, and how many of the 20 entries of
/// one batch each are left then.
const DAMAGES: [(&str, Damage, u64); 7] = [
    ("truncated in the middle", |content| content.truncate(600), 13),
    ("truncated behind the last entry", |content| content.truncate(2000), 20),
    ("truncated to nothing", Vec::clear, 0),
    ("truncated in its header", |content| content.truncate(20), 0),
    ("zeroed from the middle on", |content| content[600..].fill(0), 13),
    ("zeroed", |content| content.fill(0), 0),
    (
        "flipped in its last batch",
        |content| {
            let last = content.iter().rposition(|byte| *byte != 0).unwrap();
            content[last - 4] ^= 1;
        },
        19,
    ),
];

#[test]
fn acknowledged_entries_that_the_newest_segment_lost_are_a_loss_not_a_torn_end() {
    for (what, damage, left) in DAMAGES {
        let directory = tempfile::tempdir().unwrap();
        let storage = open(directory.path());
        for index in 0..20 {
            append(&storage.log, vec![entry(1, index, 1)]);
        }
        drop(storage);
        let (path, mut content) = segments(directory.path()).pop().unwrap();
        damage(&mut content);
        std::fs::write(&path, content).unwrap();
        for _ in 0..2 {
            let storage = open(directory.path());
            let loss = storage.loss.clone().unwrap_or_else(|| panic!("{what}: nothing is said"));
            assert!(loss.to_string().contains("0000000000000000.wal"), "{what}: {loss}");
            assert_eq!(all(&storage.log).len() as u64, left, "{what}");
            let refusal = loss.refusal();
            assert_eq!(*refusal.kind(), ErrorKind::Corrupt);
            assert!(refusal.to_string().contains("/durable and start again"), "{refusal}");
        }
        let storage = open(directory.path());
        storage.accept_loss();
        append(&storage.log, vec![entry(2, left, 1)]);
        drop(storage);
        let storage = open(directory.path());
        assert_eq!(storage.loss, None, "{what}");
        assert_eq!(all(&storage.log).len() as u64, left + 1, "{what}");
    }
}

#[test]
fn segments_that_are_gone_are_a_loss() {
    for all_of_them in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let storage = open(directory.path());
        append(&storage.log, (0..100).map(|index| entry(1, index, 100)).collect());
        drop(storage);
        let mut gone = segments(directory.path());
        assert!(gone.len() > 2);
        if !all_of_them {
            gone.drain(..gone.len() - 1);
        }
        for (path, _) in gone {
            std::fs::remove_file(path).unwrap();
        }
        for _ in 0..2 {
            let storage = open(directory.path());
            let loss = storage.loss.as_ref().expect("it says so").to_string();
            assert!(loss.contains(".wal"), "{loss}");
            assert_eq!(all(&storage.log).is_empty(), all_of_them);
        }
    }
}

#[test]
fn a_log_that_is_gone_with_its_mark_is_a_loss_if_there_is_a_snapshot() {
    let directory = tempfile::tempdir().unwrap();
    let storage = open(directory.path());
    vote(&storage.log, 1);
    append(&storage.log, (0..20).map(|index| entry(1, index, 10)).collect());
    snapshot(&storage.snapshots, 10);
    drop(storage);
    std::fs::remove_dir_all(directory.path().join("log")).unwrap();
    std::fs::remove_file(directory.path().join("durable")).unwrap();
    for _ in 0..2 {
        assert!(open(directory.path()).loss.is_some());
    }
}

/// A power failure may keep an older mark than the log it left.
#[test]
fn an_older_mark_than_the_log_is_no_loss() {
    let directory = tempfile::tempdir().unwrap();
    let storage = open(directory.path());
    let mut marks = vec![mark_in(directory.path())];
    for index in 0..100 {
        append(&storage.log, vec![entry(1, index, 100)]);
        marks.push(mark_in(directory.path()));
    }
    drop(storage);
    assert!(segments(directory.path()).len() > 2, "the test must cross segments");
    for mark in marks {
        std::fs::write(directory.path().join("durable"), mark).unwrap();
        let storage = open(directory.path());
        assert_eq!(storage.loss, None);
        assert_eq!(all(&storage.log).len(), 100);
    }
    // A damaged one says nothing, and one that was removed is made again.
    for mark in [Some(vec![0; 48]), Some(Vec::new()), None] {
        match mark {
            Some(mark) => std::fs::write(directory.path().join("durable"), mark).unwrap(),
            None => std::fs::remove_file(directory.path().join("durable")).unwrap(),
        }
        assert_eq!(open(directory.path()).loss, None);
        assert_eq!(mark_in(directory.path()).len(), 48);
    }
}
