//! The staged state: built from records while the current state is in use.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::Bytes;

use crate::archive::{ArchiveId, ArchiveRejection};
use crate::codec::{CodecError, Decode, Encode, Input};
use crate::digest::Digest;
use crate::id::Revision;
use crate::machine::StateMachine;
use crate::snapshot::{Restore, Sink};

/// No state was ever at a later revision: ZooKeeper's zxid has 63 bits, and this
/// leaves half of them to those who restore it.
pub(super) const REVISION_MAX: Revision = Revision(1 << 62);

/// A state on its way in.
#[derive(Debug)]
pub(crate) struct Staging {
    pub(super) archive: ArchiveId,
    /// How many lots of records came.
    next: u64,
    /// When the last of them came.
    pub(super) touched_ms: u64,
    restore: Box<Restore>,
}

impl Staging {
    pub(super) fn new(archive: ArchiveId, time_ms: u64) -> Self {
        Self { archive, next: 0, touched_ms: time_ms, restore: Box::default() }
    }

    pub(super) fn records(
        &mut self,
        time_ms: u64,
        number: u64,
        records: Vec<(u8, Bytes)>,
    ) -> Result<(), ArchiveRejection> {
        if number != self.next {
            return Err(ArchiveRejection::OutOfOrder);
        }
        for (tag, payload) in records {
            self.restore.archived_record(tag, payload)?;
        }
        self.next += 1;
        self.touched_ms = time_ms;
        Ok(())
    }

    pub(super) fn finish(self) -> Result<StateMachine, CodecError> {
        self.whole()?;
        self.restore.finish()
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let machine = self.whole().map_err(|error| error.to_string())?;
        machine.check_invariants().map_err(|broken| broken.to_string())
    }

    fn whole(&self) -> Result<&StateMachine, CodecError> {
        let machine = self.restore.finished()?;
        if machine.znodes.is_empty() {
            return Err(CodecError::Invalid { what: "a tree without its root" });
        }
        // The state goes on behind it, and must never run out: invariant A3.
        if machine.revision() > REVISION_MAX {
            return Err(CodecError::Invalid { what: "the revision of an archive" });
        }
        Ok(machine)
    }

    pub(super) fn digest(&self) -> Digest {
        self.restore.machine().digest()
    }

    /// Hands the staged state to `sink`, as a snapshot of its own.
    pub(crate) fn snapshot<E>(&self, sink: Sink<'_, E>) -> Result<(), E> {
        if self.restore.is_empty() { Ok(()) } else { self.restore.machine().snapshot(sink) }
    }

    /// Undoes [`Self::encode`]; the staged records follow.
    pub(crate) fn begin(input: &mut Input) -> Result<(Self, Progress), CodecError> {
        let staging = Self {
            archive: Decode::decode(input)?,
            next: Decode::decode(input)?,
            touched_ms: Decode::decode(input)?,
            restore: Box::default(),
        };
        Ok((staging, Progress { complete: Decode::decode(input)? }))
    }

    /// Takes a record of [`Self::snapshot`].
    pub(crate) fn staged_record(&mut self, tag: u8, payload: Bytes) -> Result<(), CodecError> {
        self.restore.archived_record(tag, payload)
    }

    /// All records of [`Self::snapshot`] were taken.
    pub(crate) fn resume(&mut self, progress: Progress) -> Result<(), CodecError> {
        if self.restore.is_empty() {
            return Ok(());
        }
        self.restore.finished()?;
        if !progress.complete {
            self.restore.reopen();
        }
        Ok(())
    }
}

/// How far a stored staged state was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    complete: bool,
}

/// What is known of it beside its records.
impl Encode for Staging {
    fn encode(&self, out: &mut Vec<u8>) {
        self.archive.encode(out);
        self.next.encode(out);
        self.touched_ms.encode(out);
        self.restore.finished().is_ok().encode(out);
    }
}
