//! What is stored and sent between members: log entries and snapshots.

use bytes::Bytes;
use coord_state::snapshot::Restore;
use coord_state::{Batch, LeaderBatch, StateMachine, StoredBatch};

/// A log entry: read, written, applied to a fresh state, and the state kept.
pub(crate) fn batch(input: &[u8]) {
    let Ok(batch) = StoredBatch::from_bytes(Bytes::copy_from_slice(input)) else { return };
    assert_eq!(StoredBatch::from_bytes(batch.to_bytes().into()).as_ref(), Ok(&batch));
    let mut machine = StateMachine::new();
    // Else nothing but the first of an incarnation, or of this term, would be looked at.
    let batch = match batch {
        StoredBatch::Member(batch) => StoredBatch::Member(Batch { sequence: 1, ..batch }),
        StoredBatch::Leader(batch) => StoredBatch::Leader(LeaderBatch { term: 1, ..batch }),
    };
    machine.apply_stored(1, batch);
    machine.check_invariants().unwrap();
    let mut restore = Restore::new();
    for (tag, payload) in machine.freeze().to_records() {
        restore.record(tag, payload.into()).unwrap();
    }
    assert_eq!(restore.finish().unwrap().digest(), machine.digest());
}

/// A snapshot: records, each a tag, two bytes of length, and the payload.
pub(crate) fn snapshot(input: &[u8]) {
    let mut restore = Restore::new();
    let mut rest = input;
    while let [tag, high, low, behind @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(behind.len());
        let (payload, next) = behind.split_at(length);
        if restore.record(*tag, Bytes::copy_from_slice(payload)).is_err() {
            return;
        }
        rest = next;
    }
    if let Ok(machine) = restore.finish() {
        machine.freeze();
    }
}
