//! The stored form of the whole state: a stream of tagged records.
//!
//! ```text
//! header     format, revision, time, cluster_identity, origins      once, first
//! session    id and record                                    once each
//! identities of a session, where it told any
//! znodes     as many as fill a record, parents before children
//! 32 to 63   Consul's
//! restored   when an archive replaced the state, if one did
//! staged     a restore under way, then the records of its state, wrapped
//! end        how many, and the digest                         once, last
//! ```
//!
//! The storage layer frames the records and adds checksums; the digest at the
//! end detects what checksums cannot: a member that interprets a snapshot
//! differently than the one that wrote it.

mod restore;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::convert::Infallible;

use crate::codec::{CodecError, Decode, Encode, Input, encode_items};
use crate::id::{MemberId, Revision};
use crate::machine::{ClusterIdentity, Origin, StateMachine};
use crate::session::Sessions;
use crate::znode::FrozenTree;

pub use restore::Restore;

/// The format this release writes, and the only one it knows.
pub const FORMAT: u32 = 1;

mod tag {
    pub(super) const HEADER: u8 = 0;
    pub(super) const SESSION: u8 = 1;
    pub(super) const ZNODES: u8 = 2;
    /// Added to format 1: only where a session told any.
    pub(super) const IDENTITIES: u8 = 3;
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

/// A state as it was, to be written while the state machine goes on. The znodes
/// are shared with it as long as it does not change them; the rest is copied.
#[derive(Debug)]
pub struct Frozen {
    revision: Revision,
    before: Records,
    znodes: FrozenTree,
    after: Records,
}

type Records = Vec<(u8, Box<[u8]>)>;

impl Frozen {
    /// Of which revision the state is.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Hands the records to `sink`, in order. Those of the znodes are made on the
    /// way, which takes time like their size.
    ///
    /// # Errors
    /// The first error of `sink`, at which the stream ends.
    pub fn each<E>(&self, sink: Sink<'_, E>) -> Result<(), E> {
        let kept = |records: &Records, sink: Sink<'_, E>| {
            records.iter().try_for_each(|(tag, payload)| sink(*tag, payload))
        };
        kept(&self.before, sink)?;
        let mut scratch = Vec::with_capacity(RECORD_BYTES);
        for (record, acl) in self.znodes.records() {
            record.encode(acl, &mut scratch);
            if scratch.len() >= RECORD_BYTES {
                sink(tag::ZNODES, &scratch)?;
                scratch.clear();
            }
        }
        if !scratch.is_empty() {
            sink(tag::ZNODES, &scratch)?;
        }
        kept(&self.after, sink)
    }

    /// The records, all at once: for a state that is known to be small.
    pub fn to_records(&self) -> Vec<(u8, Box<[u8]>)> {
        collected(|sink| self.each(sink))
    }
}

fn collected(
    of: impl FnOnce(Sink<'_, Infallible>) -> Result<(), Infallible>,
) -> Vec<(u8, Box<[u8]>)> {
    let mut records = Vec::new();
    let Ok(()) = of(&mut |tag, payload| {
        records.push((tag, payload.into()));
        Ok(())
    });
    records
}

impl StateMachine {
    /// Keeps the state as it is now. Costs time and memory like what it holds
    /// beside the znodes; what holds the state's lock needs to hold it no longer
    /// than this.
    pub fn freeze(&self) -> Frozen {
        Frozen {
            revision: self.revision,
            before: collected(|sink| self.records_before(&self.sessions, sink)),
            znodes: self.znodes.freeze(),
            after: collected(|sink| self.records_after(sink)),
        }
    }

    /// The same for an archive: without what only matters to this cluster, and
    /// without the passwords of sessions. A restore ends them all, so nobody
    /// needs those, and whoever had one could take its session over.
    pub fn freeze_archive(&self) -> Frozen {
        let sessions = self.sessions.with_passwords_blanked();
        let mut end = self.end();
        let mut digest = self.tables_digest();
        digest.toggle(self.sessions.digest());
        digest.toggle(sessions.digest());
        end.digest = digest.0;
        let after = collected(|sink| {
            self.consul.snapshot_records(sink)?;
            let mut scratch = Vec::new();
            end.encode(&mut scratch);
            sink(tag::END, &scratch)
        });
        Frozen {
            revision: self.revision,
            before: collected(|sink| self.records_before(&sessions, sink)),
            znodes: self.znodes.freeze(),
            after,
        }
    }

    /// Hands the whole state to `sink`, record by record.
    ///
    /// # Errors
    /// The first error of `sink`, at which the stream ends.
    pub fn snapshot<E>(&self, sink: Sink<'_, E>) -> Result<(), E> {
        self.freeze().each(sink)
    }

    fn records_before<E>(&self, sessions: &Sessions, sink: Sink<'_, E>) -> Result<(), E> {
        let mut scratch = Vec::new();
        self.header().encode(&mut scratch);
        sink(tag::HEADER, &scratch)?;
        for (id, session) in sessions.iter() {
            scratch.clear();
            id.encode(&mut scratch);
            session.encode(&mut scratch);
            sink(tag::SESSION, &scratch)?;
            if !session.identities.is_empty() {
                scratch.clear();
                id.encode(&mut scratch);
                encode_items(&session.identities, &mut scratch);
                sink(tag::IDENTITIES, &scratch)?;
            }
        }
        Ok(())
    }

    fn records_after<E>(&self, sink: Sink<'_, E>) -> Result<(), E> {
        self.consul.snapshot_records(sink)?;
        self.archive_records(sink)?;
        let mut scratch = Vec::new();
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
            cluster_identity: self.cluster_identity,
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
    cluster_identity: Option<ClusterIdentity>,
    origins: Vec<(MemberId, Origin)>,
}

impl Encode for Header {
    fn encode(&self, out: &mut Vec<u8>) {
        FORMAT.encode(out);
        self.revision.encode(out);
        self.time_ms.encode(out);
        self.cluster_identity.encode(out);
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
            cluster_identity: Decode::decode(input)?,
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
