//! Replaces the whole state with an archived one, through the log.
//!
//! ```text
//! Stage --> Records --> Records --> …  --> Activate
//!           a state beside the state       takes its place, in one revision
//! ```
//!
//! An archive may be as large as the state, but a log entry may not: its
//! records arrive a few at a time and build a second, staged state, which is
//! invisible to clients. Activating it is one command, so every member switches
//! at the same revision, and nothing changes before that.
//!
//! Invariants:
//!
//! 1. There is at most one staged state. A new one replaces the one before, and
//!    one without new records for [`IDLE_MS`] is dropped with the next command.
//! 2. Records are accepted once and in order; damage drops the staged state.
//! 3. Revisions and times continue: the activated state is later than both its
//!    own revision and the previous state's. The revisions in its entries stay.
//! 4. A restore ends every ZooKeeper session, with its ephemerals: those of the
//!    previous state, because their clients have seen data that no longer
//!    exists, and those of the archive, because they have no client. Consul's
//!    sessions are ordinary records and are restored with their locks, as in
//!    Consul.
//! 5. The identity of the cluster and the batches that it has applied are not
//!    taken from the archive.
//!
//! Deliberately absent: the archive's file format and size limit, which belong
//! to the server.

mod command;
mod staging;
#[cfg(test)]
mod tests;

pub use command::{ArchiveCommand, ArchiveId};
pub(crate) use staging::{Progress, Staging};

use alloc::vec::Vec;

use crate::codec::{CodecError, Encode};
use crate::digest::{Digest, Hasher, kind};
use crate::event::Event;
use crate::id::Revision;
use crate::machine::{ClusterIdentity, StateMachine};
use crate::rejection::Rejection;
use crate::reply::Reply;
use crate::stamp::Stamp;

/// A staged state that grows no more is dropped after so long: whoever sent it
/// is gone.
const IDLE_MS: u64 = 10 * 60 * 1000;

/// Why a step of a restore was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveRejection {
    /// Another restore began meanwhile, or this one stood still for too long.
    #[error("the restore was cancelled: another one began, or it made no progress")]
    NotStaged,
    /// Records are missing before these.
    #[error("the records of the archive are out of order")]
    OutOfOrder,
    /// The records are not those of a state.
    #[error("the archive is damaged: {0}")]
    Damaged(#[from] CodecError),
}

/// What the state knows of archives.
#[derive(Debug, Default)]
pub(crate) struct Archives {
    /// When the state was last replaced; 0 for never.
    pub(crate) restored_at: Revision,
    pub(crate) staging: Option<Staging>,
}

impl Archives {
    /// Drops what stood still for too long.
    pub(crate) fn sweep(&mut self, time_ms: u64) {
        if self.staging.as_ref().is_some_and(|staging| time_ms > staging.touched_ms + IDLE_MS) {
            self.staging = None;
        }
    }

    pub(crate) fn apply(
        &mut self,
        stamp: Stamp,
        command: ArchiveCommand,
    ) -> Result<Option<StateMachine>, Rejection> {
        match command {
            ArchiveCommand::Stage { archive } => {
                self.staging = Some(Staging::new(archive, stamp.time_ms));
            }
            ArchiveCommand::Records { archive, number, records } => {
                let staging = self.staged(archive)?;
                if let Err(refused) = staging.records(stamp.time_ms, number, records) {
                    self.staging = None;
                    return Err(refused.into());
                }
            }
            ArchiveCommand::Activate { archive } => {
                self.staged(archive)?;
                let staging = self.staging.take();
                let finished = staging.map(|staging| staging.finish()).transpose();
                return Ok(finished.map_err(ArchiveRejection::from)?);
            }
            ArchiveCommand::Discard { archive } => {
                if self.staged(archive).is_ok() {
                    self.staging = None;
                }
            }
        }
        Ok(None)
    }

    fn staged(&mut self, archive: ArchiveId) -> Result<&mut Staging, ArchiveRejection> {
        let staging = self.staging.as_mut().filter(|staging| staging.archive == archive);
        staging.ok_or(ArchiveRejection::NotStaged)
    }

    pub(crate) fn digest(&self, hasher: Hasher) -> Digest {
        let mut digest = Digest::default();
        let mut stored = Vec::new();
        if self.restored_at > Revision(0) {
            self.restored_at.encode(&mut stored);
            digest.toggle(hasher.entry(kind::RESTORED, &stored));
        }
        if let Some(staging) = &self.staging {
            stored.clear();
            staging.encode(&mut stored);
            staging.digest().0.encode(&mut stored);
            digest.toggle(hasher.entry(kind::STAGED, &stored));
        }
        digest
    }
}

impl StateMachine {
    pub(crate) fn apply_archive(
        &mut self,
        stamp: Stamp,
        command: ArchiveCommand,
        events: &mut Vec<Event>,
    ) -> Result<Reply, Rejection> {
        if let Some(archived) = self.archives.apply(stamp, command)? {
            self.replace(archived, events);
        }
        Ok(Reply::Done)
    }

    /// Goes on with the archived tables at a revision later than any in them.
    fn replace(&mut self, archived: Self, events: &mut Vec<Event>) {
        let closed = self.sessions.iter().map(|(session, _)| Event::SessionClosed { session });
        events.extend(closed);
        events.push(Event::Restored);
        let Self { revision, time_ms, cluster_identity, sessions, znodes, consul, .. } = archived;
        self.revision = self.revision.max(Revision(revision.0 + 1));
        self.time_ms = self.time_ms.max(time_ms);
        self.sessions = sessions;
        self.znodes = znodes;
        self.consul = consul;
        // The archived tables are hashed under their own key already.
        let digest_key = cluster_identity.map_or(0, |cluster_identity| cluster_identity.digest_key);
        if let Some(own) = self.cluster_identity {
            self.cluster_identity = Some(ClusterIdentity { digest_key, ..own });
        }
        self.archives.restored_at = self.revision;
        self.sessions.end_all(self.revision, &mut self.znodes);
    }

    /// The revision at which an archive last replaced the whole state, 0 if
    /// none did. No index that a reader is told may be lower.
    pub fn restored_at(&self) -> Revision {
        self.archives.restored_at
    }

    /// Looks whether a staged state is whole and holds together, so that it can
    /// be activated. Looks at all of it.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn check_staged(&self, archive: ArchiveId) -> Result<(), alloc::string::String> {
        use alloc::string::ToString;
        match self.archives.staging.as_ref().filter(|staging| staging.archive == archive) {
            None => Err(ArchiveRejection::NotStaged.to_string()),
            Some(staging) => staging.check(),
        }
    }
}
