//! The log and the snapshots against a real directory, closed and opened again.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;

use bytes::Bytes;

use super::disk::SystemDisk;
use super::faulty_disk::FaultyDisk;
use super::*;
use crate::error::{Error, ErrorKind};

mod heads;
mod loss;
mod rules;

const SEGMENT_BYTES: u64 = 4096;

fn options(directory: &Path) -> StorageOptions {
    StorageOptions {
        directory: directory.to_owned(),
        member: 1,
        segment_bytes: SEGMENT_BYTES,
        held_bytes_max: 1000,
        wall_ms: 0,
        disk: Arc::new(SystemDisk::default()),
        free_bytes_min: None,
    }
}

fn open(directory: &Path) -> Storage {
    Storage::open(&options(directory)).expect("the directory opens")
}

fn open_error(directory: &Path) -> Error {
    Storage::open(&options(directory)).expect_err("the directory is refused")
}

fn entry(term: u64, index: u64, len: usize) -> LogEntry {
    let payload = Bytes::from(vec![u8::try_from(index % 251).unwrap(); len]);
    LogEntry { position: LogPosition { term, index }, kind: 1, payload }
}

fn append(log: &RaftLog, entries: Vec<LogEntry>) {
    let (sender, receiver) = mpsc::sync_channel(64);
    log.append(entries, Box::new(move |done| sender.send(done).unwrap())).unwrap();
    receiver.recv().unwrap().unwrap();
}

fn vote(log: &RaftLog, term: u64) -> StoredVote {
    let vote = StoredVote { term, voted_for: 1, committed: false };
    let (sender, receiver) = mpsc::sync_channel(64);
    log.save_vote(vote, Box::new(move |done| sender.send(done).unwrap())).unwrap();
    receiver.recv().unwrap().unwrap();
    vote
}

fn all(log: &RaftLog) -> Vec<LogEntry> {
    log.read(0..u64::MAX, usize::MAX).unwrap()
}

/// The log's files in order, with their content.
fn segments(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut paths: Vec<_> = std::fs::read_dir(directory.join("log"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wal"))
        .collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

fn mark_in(directory: &Path) -> Vec<u8> {
    std::fs::read(directory.join("durable")).unwrap()
}

fn find(haystack: &[u8], needle: &[u8]) -> usize {
    haystack.windows(needle.len()).position(|window| window == needle).unwrap()
}

#[test]
fn votes_and_entries_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let storage = open(directory.path());
    let entries: Vec<_> = (0..200).map(|index| entry(1, index, 100)).collect();
    for chunk in entries.chunks(7) {
        append(&storage.log, chunk.to_vec());
    }
    let saved = vote(&storage.log, 7);
    let committed = Some(LogPosition { term: 1, index: 150 });
    storage.log.note_committed(committed);
    assert_eq!(all(&storage.log), entries);
    drop(storage);
    assert!(segments(directory.path()).len() > 3, "the test must cross segments");

    let storage = open(directory.path());
    assert_eq!(all(&storage.log), entries);
    assert_eq!(storage.log.vote(), Some(saved));
    assert_eq!(storage.log.committed(), committed);
    assert_eq!(storage.log.last(), Some(LogPosition { term: 1, index: 199 }));
}

#[test]
fn a_truncated_tail_stays_gone_and_can_be_written_anew() {
    let directory = tempfile::tempdir().unwrap();
    let storage = open(directory.path());
    append(&storage.log, (0..50).map(|index| entry(1, index, 100)).collect());
    storage.log.truncate(20).unwrap();
    assert_eq!(storage.log.last(), Some(LogPosition { term: 1, index: 19 }));
    append(&storage.log, vec![entry(2, 20, 10)]);
    drop(storage);

    let storage = open(directory.path());
    let mut expected: Vec<_> = (0..20).map(|index| entry(1, index, 100)).collect();
    expected.push(entry(2, 20, 10));
    assert_eq!(all(&storage.log), expected);
}

#[test]
fn a_purge_frees_segments_and_keeps_vote_and_rest() {
    let directory = tempfile::tempdir().unwrap();
    let storage = open(directory.path());
    let saved = vote(&storage.log, 3);
    append(&storage.log, (0..500).map(|index| entry(3, index, 100)).collect());
    let before = segments(directory.path()).len();
    let upto = LogPosition { term: 3, index: 480 };
    storage.log.purge(upto).unwrap();
    append(&storage.log, vec![entry(3, 500, 1)]);
    // The next request is taken only after the segments were dropped.
    vote(&storage.log, 3);
    assert!(segments(directory.path()).len() < before / 2);
    drop(storage);

    let storage = open(directory.path());
    assert_eq!(storage.log.vote(), Some(saved));
    assert_eq!(storage.log.purged(), Some(upto));
    let indexes: Vec<_> = all(&storage.log).iter().map(|entry| entry.position.index).collect();
    assert_eq!(indexes, (481..=500).collect::<Vec<_>>());
}

#[test]
fn reused_segments_never_show_what_they_held_before() {
    let directory = tempfile::tempdir().unwrap();
    let mut next = 0;
    for _ in 0..10 {
        let storage = open(directory.path());
        for _ in 0..10 {
            append(&storage.log, (next..next + 20).map(|index| entry(1, index, 90)).collect());
            next += 20;
            storage.log.purge(LogPosition { term: 1, index: next - 5 }).unwrap();
        }
        drop(storage);
        let storage = open(directory.path());
        let indexes: Vec<_> = all(&storage.log).iter().map(|entry| entry.position.index).collect();
        assert_eq!(indexes, (next - 4..next).collect::<Vec<_>>());
    }
    assert!(segments(directory.path()).len() < 5);
}

#[test]
fn an_entry_larger_than_a_segment_gets_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let storage = open(directory.path());
    let len = usize::try_from(SEGMENT_BYTES).unwrap() * 3;
    let entries = vec![entry(1, 0, 10), entry(1, 1, len), entry(1, 2, 10)];
    append(&storage.log, entries.clone());
    assert_eq!(all(&storage.log), entries);
    drop(storage);
    assert_eq!(all(&open(directory.path()).log), entries);
}

#[test]
fn a_torn_end_is_cut_off() {
    let directory = tempfile::tempdir().unwrap();
    let storage = open(directory.path());
    append(&storage.log, vec![entry(1, 0, 30)]);
    let mark = mark_in(directory.path());
    append(&storage.log, vec![entry(1, 1, 30), entry(1, 2, 31), entry(1, 3, 30)]);
    drop(storage);
    // The crash came before the sync of the second batch was over.
    std::fs::write(directory.path().join("durable"), mark).unwrap();
    // The second batch lost its middle, as when a crash wrote some of its pages.
    let (path, mut content) = segments(directory.path()).pop().unwrap();
    let middle = find(&content, &[2; 31]);
    content[middle..middle + 31].fill(0);
    std::fs::write(&path, content).unwrap();

    let storage = open(directory.path());
    assert_eq!(storage.loss, None);
    assert_eq!(all(&storage.log), vec![entry(1, 0, 30)]);
    append(&storage.log, vec![entry(2, 1, 5)]);
    drop(storage);
    // Nothing of the torn batch comes back behind the shorter new one.
    let storage = open(directory.path());
    assert_eq!(all(&storage.log), vec![entry(1, 0, 30), entry(2, 1, 5)]);
}

#[test]
fn a_flipped_bit_before_the_end_refuses_to_start_and_says_where() {
    let directory = tempfile::tempdir().unwrap();
    let storage = open(directory.path());
    for index in 0..5 {
        append(&storage.log, vec![entry(1, index, 33)]);
    }
    drop(storage);
    let (path, content) = segments(directory.path()).pop().unwrap();
    for damaged_entry in 0..4u8 {
        let mut damaged = content.clone();
        let at = find(&damaged, &[damaged_entry; 33]);
        damaged[at + 3] ^= 0x10;
        std::fs::write(&path, damaged).unwrap();
        let error = open_error(directory.path());
        assert_eq!(*error.kind(), ErrorKind::Corrupt);
        let message = error.to_string();
        assert!(message.contains("0000000000000000.wal") && message.contains("at byte"));
        assert!(message.contains("repair"), "{message}");
    }
    std::fs::write(&path, content).unwrap();
    assert_eq!(all(&open(directory.path()).log).len(), 5);
}

#[test]
fn damage_in_an_older_segment_refuses_to_start() {
    let directory = tempfile::tempdir().unwrap();
    let storage = open(directory.path());
    append(&storage.log, (0..100).map(|index| entry(1, index, 100)).collect());
    drop(storage);
    let (path, mut content) = segments(directory.path()).remove(1);
    let last = content.iter().rposition(|byte| *byte != 0).unwrap();
    content[last] ^= 1;
    std::fs::write(path, content).unwrap();
    assert_eq!(*open_error(directory.path()).kind(), ErrorKind::Corrupt);
}

#[test]
fn a_missing_segment_refuses_to_start() {
    let directory = tempfile::tempdir().unwrap();
    let storage = open(directory.path());
    append(&storage.log, (0..100).map(|index| entry(1, index, 100)).collect());
    drop(storage);
    for missing in [0, 1] {
        let (path, content) = segments(directory.path()).remove(missing);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(*open_error(directory.path()).kind(), ErrorKind::Corrupt);
        std::fs::write(path, content).unwrap();
    }
}

#[test]
fn a_directory_serves_one_process_and_one_member() {
    let directory = tempfile::tempdir().unwrap();
    let storage = open(directory.path());
    let error = open_error(directory.path());
    assert_eq!(*error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("in use"));
    drop(storage);
    let other = StorageOptions { member: 2, ..options(directory.path()) };
    let error = Storage::open(&other).expect_err("it is member 1's");
    assert_eq!(*error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("belongs to member 1"));
    open(directory.path());
}

#[test]
fn every_start_has_a_greater_incarnation_even_if_the_clock_goes_back() {
    let directory = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    for wall_ms in [1000, 500, 2000] {
        let options = StorageOptions { wall_ms, ..options(directory.path()) };
        seen.push(Storage::open(&options).unwrap().incarnation);
    }
    assert_eq!(seen, [1000, 1001, 2000]);
}

#[test]
fn a_log_whose_syncs_go_on_failing_is_final() {
    let directory = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let options = StorageOptions { disk: Arc::new(disk.clone()), ..options(directory.path()) };
    let storage = Storage::open(&options).unwrap();
    append(&storage.log, vec![entry(1, 0, 10)]);
    let outcome = |index| {
        let (sender, receiver) = mpsc::sync_channel(64);
        let done = Box::new(move |done: std::io::Result<()>| sender.send(done).unwrap());
        // The call may be refused too; the completion is told in any case.
        let _ = storage.log.append(vec![entry(1, index, 10)], done);
        receiver.recv().unwrap()
    };
    disk.fail_syncs(true);
    assert!(outcome(1).unwrap_err().to_string().contains("the disk is on fire"));
    disk.fail_syncs(false);
    assert!(outcome(2).unwrap_err().to_string().contains("the disk is on fire"));
    drop(storage);
    let storage = open(directory.path());
    assert_eq!(storage.log.position(0), Some(LogPosition { term: 1, index: 0 }));
    assert_eq!(storage.log.position(2), None);
}

fn open_on(disk: &FaultyDisk, directory: &Path) -> Storage {
    let options = StorageOptions { disk: Arc::new(disk.clone()), ..options(directory) };
    Storage::open(&options).expect("the directory opens")
}

/// Waits until the log says so of itself.
fn until(log: &RaftLog, holds: impl FnMut(&LogCondition) -> bool) -> LogCondition {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut condition = log.watch_condition();
    runtime.block_on(async move { condition.wait_for(holds).await.unwrap().clone() })
}

fn is_stalled(condition: &LogCondition) -> bool {
    matches!(condition, LogCondition::Stalled(_))
}

/// Appends, and tells when that is durable.
fn begin(log: &RaftLog, entries: Vec<LogEntry>) -> mpsc::Receiver<std::io::Result<()>> {
    let (sender, receiver) = mpsc::sync_channel(64);
    log.append(entries, Box::new(move |done| sender.send(done).unwrap_or_default())).unwrap();
    receiver
}

#[test]
fn a_full_disk_holds_the_log_up_until_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let storage = open_on(&disk, directory.path());
    append(&storage.log, vec![entry(1, 0, 10)]);
    disk.fill(true);
    let first = begin(&storage.log, vec![entry(1, 1, 10)]);
    until(&storage.log, is_stalled);
    let second = begin(&storage.log, vec![entry(1, 2, 10)]);
    assert!(first.try_recv().is_err(), "nothing is durable yet");
    disk.fill(false);
    first.recv().unwrap().unwrap();
    second.recv().unwrap().unwrap();
    until(&storage.log, |condition| *condition == LogCondition::Sound);
    drop(storage);
    let indexes: Vec<_> =
        all(&open(directory.path()).log).iter().map(|entry| entry.position.index).collect();
    assert_eq!(indexes, [0, 1, 2]);
}

#[test]
fn a_segment_that_cannot_be_opened_is_opened_later() {
    let directory = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let storage = open_on(&disk, directory.path());
    disk.take_descriptors(true);
    let entries: Vec<_> = (0..100).map(|index| entry(1, index, 200)).collect();
    let appended: Vec<_> =
        entries.chunks(5).map(|chunk| begin(&storage.log, chunk.to_vec())).collect();
    until(&storage.log, is_stalled);
    let saved = StoredVote { term: 9, voted_for: 2, committed: true };
    let (sender, voted) = mpsc::sync_channel(1);
    storage.log.save_vote(saved, Box::new(move |done| sender.send(done).unwrap())).unwrap();
    disk.take_descriptors(false);
    appended.iter().for_each(|done| done.recv().unwrap().unwrap());
    voted.recv().unwrap().unwrap();
    assert_eq!(all(&storage.log), entries);
    drop(storage);
    let storage = open(directory.path());
    assert_eq!(all(&storage.log), entries);
    assert_eq!(storage.log.vote(), Some(saved));
}

#[test]
fn a_failed_sync_costs_its_file_and_not_the_log() {
    use std::os::unix::fs::MetadataExt as _;
    let directory = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let storage = open_on(&disk, directory.path());
    let newest = || segments(directory.path()).pop().unwrap().0;
    let mut next = 0;
    for failures in [1, 2, 1] {
        append(&storage.log, vec![entry(1, next, 50), entry(1, next + 1, 50)]);
        let before = std::fs::metadata(newest()).unwrap().ino();
        disk.fail_next_syncs(failures);
        append(&storage.log, vec![entry(1, next + 2, 50)]);
        append(&storage.log, vec![entry(1, next + 3, 50)]);
        next += 4;
        assert_ne!(std::fs::metadata(newest()).unwrap().ino(), before, "another file");
        until(&storage.log, |condition| *condition == LogCondition::Sound);
        let indexes: Vec<_> = all(&storage.log).iter().map(|entry| entry.position.index).collect();
        assert_eq!(indexes, (0..next).collect::<Vec<_>>());
    }
    drop(storage);
    let indexes: Vec<_> =
        all(&open(directory.path()).log).iter().map(|entry| entry.position.index).collect();
    assert_eq!(indexes, (0..next).collect::<Vec<_>>());
}

#[test]
fn a_log_that_is_held_up_can_be_closed() {
    let directory = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let storage = open_on(&disk, directory.path());
    append(&storage.log, vec![entry(1, 0, 10)]);
    disk.fill(true);
    let lost = begin(&storage.log, vec![entry(1, 1, 10)]);
    until(&storage.log, is_stalled);
    drop(storage);
    lost.recv().unwrap().unwrap_err();
    assert_eq!(all(&open(directory.path()).log), vec![entry(1, 0, 10)]);
}

#[test]
fn a_log_that_fails_for_good_says_so_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let storage = open_on(&disk, directory.path());
    disk.fail_syncs(true);
    begin(&storage.log, vec![entry(1, 0, 10)]).recv().unwrap().unwrap_err();
    let failed = until(&storage.log, |now| matches!(now, LogCondition::Failed(_)));
    let LogCondition::Failed(why) = failed else { unreachable!() };
    assert!(why.contains("the disk is on fire"), "{why}");
}

#[test]
fn a_snapshot_that_does_not_fit_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let storage = open_on(&disk, directory.path());
    snapshot(&storage.snapshots, 10);
    let write = || {
        let position = LogPosition { term: 1, index: 20 };
        let mut writer = storage.snapshots.write(position, b"meta")?;
        writer.record(1, &[7; 3 << 20])?;
        writer.finish()
    };
    disk.fill_where(Some("snapshots"));
    assert_eq!(write().unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    disk.fill_where(None);
    // It would fit, but the log could need the room.
    disk.set_space(Some(disk::Space { free: 1 << 10, total: 1 << 30 }));
    assert_eq!(write().unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    disk.set_space(None);
    assert_eq!(snapshot_files(directory.path()).len(), 1);
    assert_eq!(storage.snapshots.current().unwrap().position().unwrap().index, 10);
    write().unwrap();
    assert_eq!(snapshot_files(directory.path()).len(), 1);
}

fn snapshot(store: &SnapshotStore, index: u64) -> Snapshot {
    let mut writer = store.write(LogPosition { term: 1, index }, b"meta").unwrap();
    for tag in 0..10 {
        writer.record(tag, &vec![tag; usize::from(tag) * 1000]).unwrap();
    }
    writer.finish().unwrap()
}

fn snapshot_files(directory: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(directory.join("snapshots")).unwrap().map(|e| e.unwrap().path()).collect()
}

#[test]
fn a_snapshot_replaces_the_one_before_and_survives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let storage = open(directory.path());
    let first = snapshot(&storage.snapshots, 10);
    snapshot(&storage.snapshots, 20);
    assert_eq!(snapshot_files(directory.path()).len(), 1);
    assert_eq!(first.records().unwrap().count(), 10, "a held snapshot stays readable");
    drop(storage);

    let storage = open(directory.path());
    let current = storage.snapshots.current().unwrap();
    assert_eq!(current.position(), Some(LogPosition { term: 1, index: 20 }));
    assert_eq!(&current.meta()[..], b"meta");
    let records: Vec<_> = current.records().unwrap().map(Result::unwrap).collect();
    assert_eq!(records[3], (3, Bytes::from(vec![3; 3000])));
    assert_eq!(records.len(), 10);
}

#[test]
fn a_damaged_snapshot_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    snapshot(&open(directory.path()).snapshots, 10);
    let path = snapshot_files(directory.path()).pop().unwrap();
    let content = std::fs::read(&path).unwrap();
    for at in [0, 9, 17, 21, 30, 5000, content.len() - 1] {
        let mut damaged = content.clone();
        damaged[at] ^= 4;
        std::fs::write(&path, damaged).unwrap();
        assert_eq!(*open_error(directory.path()).kind(), ErrorKind::Corrupt, "byte {at}");
    }
    std::fs::write(&path, &content[..content.len() - 22]).unwrap();
    assert_eq!(*open_error(directory.path()).kind(), ErrorKind::Corrupt);
}

#[test]
fn a_received_snapshot_counts_once_it_is_adopted() {
    let directory = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    let source = snapshot(&open(other.path()).snapshots, 30);
    let mut content = vec![0; usize::try_from(source.size()).unwrap()];
    source.read_at(0, &mut content).unwrap();

    let storage = open(directory.path());
    let receive = |content: &[u8]| {
        let mut receiver = storage.snapshots.receive().unwrap();
        for chunk in content.chunks(1000) {
            receiver.write(chunk).unwrap();
        }
        receiver.finish()
    };
    receive(&content[..content.len() - 1]).expect_err("it is not whole");
    drop(receive(&content).unwrap());
    assert!(storage.snapshots.current().is_none());
    assert!(snapshot_files(directory.path()).is_empty());

    let received = receive(&content).unwrap();
    storage.snapshots.adopt(&received, LogPosition { term: 1, index: 30 }).unwrap();
    drop(received);
    drop(storage);
    let current = open(directory.path()).snapshots.current().unwrap();
    assert_eq!(current.records().unwrap().count(), 10);
}
