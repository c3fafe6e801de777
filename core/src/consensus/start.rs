//! Checks that a member can start from a data directory.

use coord_state::MemberId;

use super::acquaintance::Acquaintance;
use super::first_members::FirstMembers;
use crate::error::Error;
use crate::storage::Storage;

/// The log begins where a snapshot ends. Without that there is no state to apply it
/// to, though log and vote are whole.
pub(super) fn check_snapshot(storage: &Storage) -> Result<(), Error> {
    let Some(purged) = storage.log.purged() else { return Ok(()) };
    let held = storage.snapshots.current().and_then(|snapshot| snapshot.position());
    if held.is_some_and(|held| held.index >= purged.index) {
        return Ok(());
    }
    Err(Error::corrupt(format!(
        "the snapshot up to log entry {} is missing from {}, and the log begins after that \
         entry. To repair, restore the snapshot from an intact copy of the disk, or, if the other \
         members are intact, start this one with an empty data directory: they send it everything",
        purged.index,
        storage.snapshots.directory().display()
    )))
}

/// Whether what the directory holds is what the member had, as far as that shows.
pub(super) async fn settle_start(
    acquaintance: &Acquaintance,
    storage: &Storage,
    first: &FirstMembers,
) -> Result<(), Error> {
    let me = acquaintance.peers.me;
    let mut voters: Vec<MemberId> = acquaintance.raft.voter_ids().map(MemberId).collect();
    if voters.is_empty() {
        voters = first.voters().collect();
    }
    let alone = voters == [me];
    if let Some(loss) = &storage.loss {
        if alone {
            return Err(loss.refusal());
        }
        acquaintance.begin_recovering(&loss.to_string()).await;
        storage.accept_loss();
    }
    let noted = storage
        .recovering
        .is_noted()
        .map_err(|error| Error::unavailable("cannot read the data directory").caused_by(error))?;
    if noted && !acquaintance.is_recovering() {
        acquaintance.go_on_recovering();
    }
    if alone {
        acquaintance.is_alone();
    }
    Ok(())
}
