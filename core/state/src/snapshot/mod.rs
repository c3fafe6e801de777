//! The stored form of the whole state: a stream of tagged records.
//!
//! ```text
//! header     format, revision, time, foundation, origins      once, first
//! session    id and record                                    once each
//! znodes     as many as fill a record, parents before children
//! 32 to 63   Consul's
//! restored   when an archive replaced the state, if one did
//! staged     a restore under way, then the records of its state, wrapped
//! end        how many, and the digest                         once, last
//! ```
//!
//! What stores the stream frames the records and guards them with checksums;
//! the digest at the end guards against what checksums cannot see: a member
//! that reads a snapshot otherwise than it was meant.

mod restore;

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::codec::{CodecError, Decode, Encode, Input};
use crate::id::{MemberId, Revision};
use crate::machine::{Foundation, Origin, StateMachine};

pub use restore::Restore;

/// The format this release writes, and the only one it knows.
pub const FORMAT: u32 = 1;

mod tag {
    pub(super) const HEADER: u8 = 0;
    pub(super) const SESSION: u8 = 1;
    pub(super) const ZNODES: u8 = 2;
    /// Added to format 1: only where an archive was ever restored.
    pub(super) const RESTORED: u8 = 16;
    pub(super) const STAGED: u8 = 17;
    pub(super) const STAGED_RECORD: u8 = 18;
    pub(super) const END: u8 = 255;
    pub(super) const CONSUL: core::ops::RangeInclusive<u8> = 32..=63;
}

/// Small records are put together until they are this long.
const RECORD_BYTES: usize = 64 * 1024;

/// Gets the records, and may refuse them with an error of its own.
pub type Sink<'a, E> = &'a mut dyn FnMut(u8, &[u8]) -> Result<(), E>;

/// A state as it was, to be written while the state machine goes on.
#[derive(Debug)]
pub struct Frozen {
    revision: Revision,
    records: Vec<(u8, Box<[u8]>)>,
}

impl Frozen {
    /// Of which revision the state is.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The records, in order.
    pub fn records(&self) -> impl ExactSizeIterator<Item = (u8, &[u8])> {
        self.records.iter().map(|(tag, payload)| (*tag, &**payload))
    }
}

impl StateMachine {
    /// Keeps the state as it is now. Costs time and memory like the snapshot's
    /// size; what holds the state's lock needs to hold it no longer than this.
    pub fn freeze(&self) -> Frozen {
        let mut records = Vec::new();
        let kept: Result<(), core::convert::Infallible> = self.snapshot(&mut |tag, payload| {
            records.push((tag, payload.into()));
            Ok(())
        });
        match kept {
            Ok(()) => Frozen { revision: self.revision, records },
        }
    }

    /// The same for an archive: without what only matters to this cluster.
    pub fn freeze_archive(&self) -> Frozen {
        let mut frozen = self.freeze();
        let of_this_cluster = [tag::RESTORED, tag::STAGED, tag::STAGED_RECORD];
        frozen.records.retain(|(tag, _)| !of_this_cluster.contains(tag));
        frozen
    }

    /// Hands the whole state to `sink`, record by record.
    ///
    /// # Errors
    /// The first error of `sink`, at which the stream ends.
    pub fn snapshot<E>(&self, sink: Sink<'_, E>) -> Result<(), E> {
        let mut scratch = Vec::with_capacity(RECORD_BYTES);
        self.header().encode(&mut scratch);
        sink(tag::HEADER, &scratch)?;
        for (id, session) in self.sessions.iter() {
            scratch.clear();
            id.encode(&mut scratch);
            session.encode(&mut scratch);
            sink(tag::SESSION, &scratch)?;
        }
        scratch.clear();
        // A staged state may have none yet.
        let records = (!self.znodes.is_empty()).then(|| self.znodes.records());
        for (record, acl) in records.into_iter().flatten() {
            record.encode(acl, &mut scratch);
            if scratch.len() >= RECORD_BYTES {
                sink(tag::ZNODES, &scratch)?;
                scratch.clear();
            }
        }
        if !scratch.is_empty() {
            sink(tag::ZNODES, &scratch)?;
        }
        self.consul.snapshot_records(sink)?;
        self.archive_records(sink)?;
        scratch.clear();
        self.end().encode(&mut scratch);
        sink(tag::END, &scratch)
    }

    fn archive_records<E>(&self, sink: Sink<'_, E>) -> Result<(), E> {
        let mut scratch = Vec::new();
        if self.archives.restored_at > Revision(0) {
            self.archives.restored_at.encode(&mut scratch);
            sink(tag::RESTORED, &scratch)?;
        }
        let Some(staging) = &self.archives.staging else { return Ok(()) };
        scratch.clear();
        staging.encode(&mut scratch);
        sink(tag::STAGED, &scratch)?;
        staging.snapshot(&mut |tag, payload| {
            scratch.clear();
            scratch.push(tag);
            scratch.extend_from_slice(payload);
            sink(tag::STAGED_RECORD, &scratch)
        })
    }

    fn header(&self) -> Header {
        Header {
            revision: self.revision,
            time_ms: self.time_ms,
            foundation: self.foundation,
            origins: self.origins.iter().map(|(member, origin)| (*member, *origin)).collect(),
        }
    }

    fn end(&self) -> End {
        End {
            sessions: self.sessions.len() as u64,
            znodes: self.znodes.len() as u64,
            digest: self.tables_digest().0,
        }
    }
}

/// The first record.
#[derive(Debug)]
struct Header {
    revision: Revision,
    time_ms: u64,
    foundation: Option<Foundation>,
    origins: Vec<(MemberId, Origin)>,
}

impl Encode for Header {
    fn encode(&self, out: &mut Vec<u8>) {
        FORMAT.encode(out);
        self.revision.encode(out);
        self.time_ms.encode(out);
        self.foundation.encode(out);
        self.origins.encode(out);
    }
}

impl Decode for Header {
    fn decode(input: &mut Input) -> Result<Self, CodecError> {
        let format = u32::decode(input)?;
        if format != FORMAT {
            return Err(CodecError::UnknownTag { what: "snapshot format", tag: format.into() });
        }
        Ok(Self {
            revision: Decode::decode(input)?,
            time_ms: Decode::decode(input)?,
            foundation: Decode::decode(input)?,
            origins: Decode::decode(input)?,
        })
    }
}

/// The last record.
#[derive(Debug, PartialEq, Eq)]
struct End {
    sessions: u64,
    znodes: u64,
    digest: u128,
}

crate::record!(End { sessions, znodes, digest });
