//! The head of each stored file: its magic, its version and what it counts. Each is
//! changed so that the checksum is right, as another release or a fault would write it.

use super::*;

/// A directory with some of each file, closed.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let storage = open(directory.path());
    append(&storage.log, (0..10).map(|index| entry(1, index, 10)).collect());
    snapshot(&storage.snapshots, 5);
    storage.peer_memory.remember(2, RememberedPeer { identity: 7, incarnation: 8, run: 9 });
    storage.peer_memory.save().unwrap();
    directory
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut content = std::fs::read(path).unwrap();
    change(&mut content);
    std::fs::write(path, content).unwrap();
}

/// Puts the checksum of `range` at `at`.
fn seal(content: &mut [u8], range: std::ops::Range<usize>, at: usize) {
    let crc = crc32fast::hash(&content[range]);
    content[at..at + 4].copy_from_slice(&crc.to_le_bytes());
}

fn number_at(content: &mut [u8], at: usize, number: u32) {
    content[at..at + 4].copy_from_slice(&number.to_le_bytes());
}

#[track_caller]
fn is_refused(directory: &Path, with: &str) {
    let error = open_error(directory);
    assert_eq!(*error.kind(), ErrorKind::Corrupt);
    let said = error.chain();
    assert!(said.contains(with), "{said}");
}

#[test]
fn a_segment_of_another_version_or_number_is_refused() {
    for (at, number, with) in [
        (0, 0, "header is damaged"),
        (8, 2, "it has version 2 of the log"),
        (16, 7, "it is segment 7 under the name of segment 0"),
    ] {
        let directory = directory();
        let (path, _) = segments(directory.path()).remove(0);
        change(&path, |content| {
            number_at(content, at, number);
            seal(content, 0..24, 24);
        });
        is_refused(directory.path(), with);
    }
}

#[test]
fn a_snapshot_of_another_version_is_refused_and_so_is_one_that_counts_otherwise() {
    for (at, number, with) in [(0, 0, "this is not a snapshot"), (8, 2, "has unknown version 2")] {
        let directory = directory();
        change(&snapshot_files(directory.path())[0], |content| {
            number_at(content, at, number);
            let meta = content[..16].iter().chain(b"meta").copied().collect::<Vec<_>>();
            content[16..20].copy_from_slice(&crc32fast::hash(&meta).to_le_bytes());
        });
        is_refused(directory.path(), with);
    }
    // Ten records of 45000 bytes: one more or less, one byte more or less.
    for (before_end, number) in [(20, 11), (20, 9), (12, 45_001), (12, 44_999)] {
        let directory = directory();
        change(&snapshot_files(directory.path())[0], |content| {
            let len = content.len();
            number_at(content, len - before_end, number);
            seal(content, len - 22..len - 4, len - 4);
        });
        is_refused(directory.path(), "the snapshot's end is damaged");
    }
}

#[test]
fn a_note_of_a_later_version_on_whose_directory_it_is_is_refused() {
    for (at, number) in [(0, 0), (8, 3)] {
        let directory = directory();
        change(&directory.path().join("member"), |content| {
            number_at(content, at, number);
            let end = content.len() - 4;
            seal(content, 0..end, end);
        });
        is_refused(directory.path(), "member is damaged");
    }
}

/// Neither holds anything that cannot be learned again.
#[test]
fn what_is_known_of_peers_and_of_the_end_of_the_log_is_learned_anew() {
    for (at, number) in [(0, 0), (8, 2)] {
        let directory = directory();
        for file in ["peers", "durable"] {
            change(&directory.path().join(file), |content| {
                number_at(content, at, number);
                let end = content.len() - 4;
                seal(content, 0..end, end);
            });
        }
        let storage = open(directory.path());
        assert_eq!(storage.peer_memory.of(2), None);
        assert_eq!(storage.loss, None);
        assert_eq!(all(&storage.log).len(), 10);
    }
    let directory = directory();
    change(&directory.path().join("peers"), |content| {
        number_at(content, 12, 3);
        let end = content.len() - 4;
        seal(content, 0..end, end);
    });
    assert_eq!(open(directory.path()).peer_memory.of(2), None, "it counts more than it has");
}
