use alloc::vec::Vec;

use bytes::Bytes;

use super::*;
use crate::command::Command;
use crate::consul::{ConsulCommand, KvOp};
use crate::id::{Attachment, SessionId};
use crate::machine::Applied;
use crate::session::SessionCommand;
use crate::snapshot::Restore;
use crate::znode::{Caller, CreateMode, MultiOp, ZnodeCommand, ZnodeOp};

const ID: ArchiveId = ArchiveId(7);

fn found(digest_key: u64) -> StateMachine {
    let mut machine = StateMachine::new();
    let cluster_identity = ClusterIdentity { cluster: u128::from(digest_key), digest_key };
    machine.apply(1, Command::InitCluster(cluster_identity)).result.unwrap();
    machine
}

fn set(machine: &mut StateMachine, key: &'static str) {
    let op = KvOp::Set { key: key.into(), value: Bytes::from_static(b"v"), flags: 0 };
    machine.apply(2, Command::Consul(ConsulCommand::Kv(op))).result.unwrap();
}

fn open(machine: &mut StateMachine, session: i64) {
    let (session, attachment) = (SessionId(session), Attachment(1));
    let open = SessionCommand::Open { session, password: [0; 16], timeout_ms: 4000, attachment };
    machine.apply(2, Command::Session(open)).result.unwrap();
    let create = MultiOp::Create {
        path: alloc::format!("/e{}", session.0).into(),
        data: None,
        acl: Some(crate::znode::Acl::open().0.to_vec()),
        mode: CreateMode::Ephemeral { sequential: false },
    };
    let caller = Caller { session: Some((session, attachment)), identities: Default::default() };
    let command = ZnodeCommand { caller, op: ZnodeOp::Single(create) };
    machine.apply(2, Command::Znode(command)).result.unwrap();
}

/// A state with keys `a` and `b`, and a session with an ephemeral.
fn archived() -> Vec<(u8, Bytes)> {
    let mut machine = found(5);
    set(&mut machine, "a");
    open(&mut machine, 1);
    for _ in 0..20 {
        set(&mut machine, "b");
        set(&mut machine, "a");
    }
    let frozen = machine.freeze_archive();
    frozen.to_records().into_iter().map(|(tag, payload)| (tag, payload.into())).collect()
}

fn step(machine: &mut StateMachine, command: ArchiveCommand) -> Applied {
    machine.apply(3, Command::Archive(command))
}

/// Everything up to the activation, one record at a time.
fn stage(machine: &mut StateMachine, records: &[(u8, Bytes)]) -> Result<(), Rejection> {
    step(machine, ArchiveCommand::Stage { archive: ID }).result?;
    for (number, record) in (0..).zip(records) {
        let records = Vec::from([record.clone()]);
        step(machine, ArchiveCommand::Records { archive: ID, number, records }).result?;
        assert_eq!(after_a_restart(machine).digest(), machine.digest());
    }
    Ok(())
}

fn after_a_restart(machine: &StateMachine) -> StateMachine {
    let frozen = machine.freeze();
    let mut restore = Restore::new();
    for (tag, payload) in frozen.to_records() {
        restore.record(tag, payload.into()).unwrap();
    }
    let restored = restore.finish().unwrap();
    assert!(restored.freeze().to_records() == frozen.to_records());
    restored
}

fn keys(machine: &StateMachine) -> Vec<&[u8]> {
    machine.consul().kv().range(&[]).map(|(key, _)| &**key).collect()
}

#[test]
fn a_restore_is_invisible_until_it_is_activated_as_a_whole() {
    let mut machine = found(9);
    set(&mut machine, "c");
    open(&mut machine, 2);
    let before = machine.tables_digest();
    stage(&mut machine, &archived()).unwrap();
    assert_eq!((keys(&machine), machine.tables_digest()), (Vec::from([&b"c"[..]]), before));
    machine.check_staged(ID).unwrap();
    let mut machine = after_a_restart(&machine);

    let applied = step(&mut machine, ArchiveCommand::Activate { archive: ID });
    assert_eq!(applied.result, Ok(Reply::Done));
    assert_eq!(keys(&machine), [b"a", b"b"]);
    machine.check_invariants().unwrap();
    assert_eq!(after_a_restart(&machine).digest(), machine.digest());
    assert!(machine.check_staged(ID).is_err());
}

#[test]
fn no_password_of_a_session_is_in_an_archive() {
    let mut machine = found(5);
    let password = *b"a secret of mine";
    let open = SessionCommand::Open {
        session: SessionId(1),
        password,
        timeout_ms: 4000,
        attachment: Attachment(1),
    };
    machine.apply(2, Command::Session(open)).result.unwrap();
    let holds = |frozen: &crate::snapshot::Frozen| {
        let records = frozen.to_records();
        records.iter().any(|(_, payload)| payload.windows(16).any(|bytes| bytes == password))
    };
    assert!(holds(&machine.freeze()));
    assert!(!holds(&machine.freeze_archive()));
    // It holds together, ephemerals and all, and can be restored.
    let records = machine.freeze_archive().to_records();
    let records: Vec<_> = records.into_iter().map(|(tag, bytes)| (tag, bytes.into())).collect();
    let mut other = found(9);
    stage(&mut other, &records).unwrap();
    other.check_staged(ID).unwrap();
    step(&mut other, ArchiveCommand::Activate { archive: ID }).result.unwrap();
    assert!(other.sessions().is_empty());
}

#[test]
fn an_archive_with_passwords_as_it_was_once_written_is_still_restored() {
    let mut machine = found(5);
    open(&mut machine, 1);
    let frozen = machine.freeze();
    let records: Vec<_> =
        frozen.to_records().into_iter().map(|(tag, bytes)| (tag, bytes.into())).collect();
    let mut other = found(9);
    stage(&mut other, &records).unwrap();
    other.check_staged(ID).unwrap();
    step(&mut other, ArchiveCommand::Activate { archive: ID }).result.unwrap();
    assert!(other.sessions().is_empty());
}

#[test]
fn revisions_go_on_behind_both_states() {
    let archive = archived();
    let mut young = found(9);
    stage(&mut young, &archive).unwrap();
    let applied = step(&mut young, ArchiveCommand::Activate { archive: ID });
    assert_eq!((applied.revision, young.revision()), (Revision(45), Revision(45)));
    assert_eq!(young.restored_at(), Revision(45));

    let mut old = found(9);
    for _ in 0..100 {
        set(&mut old, "c");
    }
    stage(&mut old, &archive).unwrap();
    let staged = old.revision();
    step(&mut old, ArchiveCommand::Activate { archive: ID }).result.unwrap();
    assert_eq!(old.revision(), Revision(staged.0 + 1));
    // What entries say of themselves stays.
    assert_eq!(old.consul().kv().get(b"a").unwrap().create_index, 2);
}

#[test]
fn a_restore_ends_the_zookeeper_sessions_of_both_states() {
    let mut machine = found(9);
    open(&mut machine, 2);
    stage(&mut machine, &archived()).unwrap();
    let applied = step(&mut machine, ArchiveCommand::Activate { archive: ID });
    assert_eq!(applied.events, [Event::SessionClosed { session: SessionId(2) }, Event::Restored]);
    assert!(machine.sessions().is_empty());
    assert!(machine.znodes().znode("/e1").is_none() && machine.znodes().znode("/e2").is_none());
}

#[test]
fn the_cluster_stays_itself() {
    let mut machine = found(9);
    let batch = crate::Batch {
        time_ms: 2,
        origin: crate::MemberId(3),
        incarnation: 4,
        sequence: 1,
        commands: Vec::new(),
    };
    machine.apply_batch(batch);
    stage(&mut machine, &archived()).unwrap();
    step(&mut machine, ArchiveCommand::Activate { archive: ID }).result.unwrap();
    assert_eq!(machine.cluster_identity(), Some(ClusterIdentity { cluster: 9, digest_key: 5 }));
    assert_eq!(machine.origin(crate::MemberId(3)).map(|origin| origin.sequence), Some(1));
}

#[test]
fn damage_drops_the_staged_state_and_changes_nothing_else() {
    let archive = archived();
    for (number, left_out) in archive.iter().enumerate() {
        let mut damaged = archive.clone();
        damaged.remove(number);
        let mut machine = found(9);
        set(&mut machine, "c");
        let before = machine.digest();
        let staged = stage(&mut machine, &damaged);
        let last = step(&mut machine, ArchiveCommand::Activate { archive: ID }).result;
        assert!(staged.is_err() || last.is_err(), "without {left_out:?}");
        assert_eq!(machine.digest(), before);
    }
}

#[test]
fn an_archive_without_a_tree_is_none() {
    let machine = StateMachine { znodes: crate::znode::Tree::vacant(), ..found(5) };
    let frozen = machine.freeze_archive();
    let records: Vec<_> =
        frozen.to_records().into_iter().map(|(tag, payload)| (tag, payload.into())).collect();
    let mut machine = found(9);
    stage(&mut machine, &records).unwrap();
    assert_eq!(machine.check_staged(ID), Err("a tree without its root is invalid".into()));
    assert!(step(&mut machine, ArchiveCommand::Activate { archive: ID }).result.is_err());
}

/// The state would have no revision left to go on with.
#[test]
fn an_archive_of_an_impossible_revision_is_refused() {
    for (revision, is_refused) in [(staging::REVISION_MAX.0, false), (u64::MAX, true)] {
        let archived = StateMachine { revision: Revision(revision), ..found(5) };
        let records: Vec<_> = archived
            .freeze_archive()
            .to_records()
            .into_iter()
            .map(|(tag, payload)| (tag, payload.into()))
            .collect();
        let mut machine = found(9);
        stage(&mut machine, &records).unwrap();
        assert_eq!(machine.check_staged(ID).is_err(), is_refused, "{revision}");
        let activated = step(&mut machine, ArchiveCommand::Activate { archive: ID });
        assert_eq!(activated.result.is_err(), is_refused, "{revision}");
    }
}

#[test]
fn another_restore_or_a_long_silence_ends_one() {
    let archive = archived();
    let mut machine = found(9);
    let before = machine.digest();
    stage(&mut machine, &archive).unwrap();
    let other = ArchiveId(8);
    step(&mut machine, ArchiveCommand::Stage { archive: other }).result.unwrap();
    let gone = Err(Rejection::Archive(ArchiveRejection::NotStaged));
    assert_eq!(step(&mut machine, ArchiveCommand::Activate { archive: ID }).result, gone);
    step(&mut machine, ArchiveCommand::Discard { archive: ID }).result.unwrap();

    let skipped = ArchiveCommand::Records { archive: other, number: 1, records: Vec::new() };
    let out_of_order = Err(Rejection::Archive(ArchiveRejection::OutOfOrder));
    assert_eq!(step(&mut machine, skipped).result, out_of_order);

    step(&mut machine, ArchiveCommand::Stage { archive: ID }).result.unwrap();
    machine.apply(3 + IDLE_MS, Command::Archive(ArchiveCommand::Discard { archive: other }));
    assert_ne!(machine.digest(), before);
    machine.apply(4 + IDLE_MS, Command::Archive(ArchiveCommand::Discard { archive: other }));
    assert_eq!(machine.digest(), before);
}

/// Pins the stored form: these byte strings may never stop being readable.
#[test]
fn stored_commands_stay_as_they_are() {
    use crate::codec::{Decode as _, Input};
    let records = Vec::from([(32, Bytes::from_static(b"k"))]);
    for (command, stored) in [
        (ArchiveCommand::Stage { archive: ID }, "100100"),
        (ArchiveCommand::Records { archive: ID, number: 3, records }, "100101"),
        (ArchiveCommand::Activate { archive: ID }, "100102"),
        (ArchiveCommand::Discard { archive: ID }, "100103"),
    ] {
        let mut expected = alloc::format!("{stored}07{}", "00".repeat(15));
        if stored == "100101" {
            expected += "0300000000000000010000002001000000";
            expected += "6b";
        }
        let mut out = Vec::new();
        Command::Archive(command.clone()).encode(&mut out);
        let hex: alloc::string::String =
            out.iter().map(|byte| alloc::format!("{byte:02x}")).collect();
        assert_eq!(hex, expected);
        let read = Command::decode(&mut Input::new(out.into()));
        assert_eq!(read, Ok(Command::Archive(command)));
    }
}
