//! Restores a snapshot.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::archive::{Progress, Staging};
use crate::codec::{CodecError, Decode, Input, decode_items};
use crate::consul::Consul;
use crate::digest::Hasher;
use crate::id::{Revision, SessionId};
use crate::machine::StateMachine;
use crate::session::Session;
use crate::snapshot::{End, Header, tag};
use crate::znode::{Identity, Tree};

/// A state being read from a snapshot's records.
#[derive(Debug)]
pub struct Restore {
    machine: StateMachine,
    next: Next,
    /// Of the staged state whose records are being read.
    staged: Option<Progress>,
}

#[derive(Debug, PartialEq, Eq)]
enum Next {
    Header,
    Content,
    Nothing,
}

impl Default for Restore {
    fn default() -> Self {
        Self::new()
    }
}

impl Restore {
    /// Nothing read yet.
    pub fn new() -> Self {
        let machine = StateMachine {
            revision: Revision(0),
            time_ms: 0,
            cluster_identity: None,
            origins: Default::default(),
            sessions: Default::default(),
            znodes: Tree::vacant(),
            consul: Consul::default(),
            archives: Default::default(),
        };
        Self { machine, next: Next::Header, staged: None }
    }

    /// Takes the next record. What it holds is copied out of `payload`.
    ///
    /// # Errors
    /// [`CodecError`] if the record is damaged, unknown or out of place. The
    /// snapshot cannot be used then.
    pub fn record(&mut self, tag: u8, payload: Bytes) -> Result<(), CodecError> {
        let mut input = Input::new(payload);
        match (&self.next, tag) {
            (Next::Header, tag::HEADER) => self.header(&mut input)?,
            (Next::Content, tag::SESSION) => self.session(&mut input)?,
            (Next::Content, tag::IDENTITIES) => self.identities(&mut input)?,
            (Next::Content, tag::ZNODES) => self.znodes(&mut input)?,
            (Next::Content, tag::RESTORED) => {
                self.machine.archives.restored_at = Decode::decode(&mut input)?;
            }
            (Next::Content, tag::STAGED) => self.staged(&mut input)?,
            (Next::Content, tag::STAGED_RECORD) => return self.staged_record(input),
            (Next::Content, tag::END) => self.end(&mut input)?,
            (Next::Content, tag) if tag::CONSUL.contains(&tag) => {
                return self.machine.consul.restore_record(tag, input);
            }
            (_, tag) => {
                return Err(CodecError::UnknownTag { what: "snapshot record", tag: tag.into() });
            }
        }
        input.finish("snapshot record")
    }

    /// The state, once all records were taken.
    ///
    /// # Errors
    /// [`CodecError::Truncated`] if the last record is missing.
    pub fn finish(self) -> Result<StateMachine, CodecError> {
        self.finished()?;
        Ok(self.machine)
    }

    /// The same without taking it.
    pub(crate) fn finished(&self) -> Result<&StateMachine, CodecError> {
        if self.next != Next::Nothing {
            return Err(CodecError::Truncated { what: "the snapshot's last record", missing: 1 });
        }
        Ok(&self.machine)
    }

    /// As far as it is read.
    pub(crate) fn machine(&self) -> &StateMachine {
        &self.machine
    }

    /// Whether no record was taken yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.next == Next::Header
    }

    /// Goes on behind the last record.
    pub(crate) fn reopen(&mut self) {
        self.next = Next::Content;
    }

    /// As [`Self::record`], for one that came in an archive.
    pub(crate) fn archived_record(&mut self, tag: u8, payload: Bytes) -> Result<(), CodecError> {
        match tag {
            tag::RESTORED | tag::STAGED | tag::STAGED_RECORD => {
                Err(CodecError::UnknownTag { what: "archived record", tag: tag.into() })
            }
            _ => self.record(tag, payload),
        }
    }

    fn header(&mut self, input: &mut Input) -> Result<(), CodecError> {
        let header = Header::decode(input)?;
        self.machine.revision = header.revision;
        self.machine.time_ms = header.time_ms;
        self.machine.cluster_identity = header.cluster_identity;
        self.machine.origins = header.origins.into_iter().collect();
        if let Some(cluster_identity) = header.cluster_identity {
            self.machine.rehash(Hasher::new(cluster_identity.digest_key));
        }
        self.next = Next::Content;
        Ok(())
    }

    fn session(&mut self, input: &mut Input) -> Result<(), CodecError> {
        let id = SessionId::decode(input)?;
        if !id.is_possible() || self.machine.sessions.session(id).is_some() {
            return Err(CodecError::Invalid { what: "the id of a session" });
        }
        self.machine.sessions.insert(id, Session::decode(input)?);
        Ok(())
    }

    fn identities(&mut self, input: &mut Input) -> Result<(), CodecError> {
        let id = SessionId::decode(input)?;
        let identities: Vec<Identity> = decode_items(input)?;
        let session = self.machine.sessions.session(id);
        if identities.is_empty() || !session.is_some_and(|session| session.identities.is_empty()) {
            return Err(CodecError::Invalid { what: "the identities of a session" });
        }
        self.machine.sessions.identify(id, identities.into());
        Ok(())
    }

    fn znodes(&mut self, input: &mut Input) -> Result<(), CodecError> {
        while !input.is_empty() {
            self.machine.znodes.restore(input, &mut self.machine.sessions)?;
        }
        Ok(())
    }

    fn staged(&mut self, input: &mut Input) -> Result<(), CodecError> {
        let (staging, progress) = Staging::begin(input)?;
        self.machine.archives.staging = Some(staging);
        self.staged = Some(progress);
        Ok(())
    }

    fn staged_record(&mut self, mut input: Input) -> Result<(), CodecError> {
        let staging = self.machine.archives.staging.as_mut();
        let staging = staging.ok_or(CodecError::Invalid { what: "a staged record" })?;
        let tag = u8::decode(&mut input)?;
        let len = input.remaining();
        staging.staged_record(tag, input.take(len, "staged record")?)
    }

    fn end(&mut self, input: &mut Input) -> Result<(), CodecError> {
        self.machine.consul.finish_restore()?;
        if let (Some(staging), Some(progress)) =
            (self.machine.archives.staging.as_mut(), self.staged.take())
        {
            staging.resume(progress)?;
        }
        if End::decode(input)? != self.machine.end() {
            return Err(CodecError::Invalid { what: "the snapshot's digest" });
        }
        self.next = Next::Nothing;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alloc::boxed::Box;

    use super::*;
    use crate::command::Command;
    use crate::id::Attachment;
    use crate::machine::ClusterIdentity;
    use crate::session::SessionCommand;
    use crate::znode::{Acl, Caller, CreateMode, MultiOp, ZnodeCommand, ZnodeOp};

    type Records = Vec<(u8, Vec<u8>)>;

    fn records() -> Records {
        let mut machine = StateMachine::new();
        let owner = (SessionId(1), Attachment(2));
        let cluster_identity = ClusterIdentity { cluster: 3, digest_key: 4 };
        let open = SessionCommand::Open {
            session: owner.0,
            password: [5; 16],
            timeout_ms: 4000,
            attachment: owner.1,
        };
        let bob = Identity { scheme: "digest".into(), id: "bob:h".into() };
        let identify = SessionCommand::Identify {
            session: owner.0,
            attachment: owner.1,
            identities: [bob].into(),
        };
        let create = MultiOp::Create {
            path: "/e".into(),
            data: Some(Bytes::from_static(b"data")),
            acl: Some(Acl::read_only().0.to_vec()),
            mode: CreateMode::Ephemeral { sequential: false },
        };
        let caller = Caller { session: Some(owner), identities: Box::default() };
        for command in [
            Command::InitCluster(cluster_identity),
            Command::Session(open),
            Command::Session(identify),
            Command::Znode(ZnodeCommand { caller, op: ZnodeOp::Single(create) }),
        ] {
            machine.apply(6, command).result.unwrap();
        }
        machine
            .freeze()
            .to_records()
            .into_iter()
            .map(|(tag, payload)| (tag, payload.into()))
            .collect()
    }

    fn restore(records: &Records) -> Result<StateMachine, CodecError> {
        let mut restore = Restore::new();
        for (tag, payload) in records {
            restore.record(*tag, Bytes::copy_from_slice(payload))?;
        }
        restore.finish()
    }

    #[test]
    fn a_restored_state_is_the_same_state() {
        let restored = restore(&records()).unwrap();
        assert_eq!(restored.revision(), Revision(4));
        assert_eq!(restored.time_ms(), 6);
        assert_eq!(
            restored.cluster_identity(),
            Some(ClusterIdentity { cluster: 3, digest_key: 4 })
        );
        let session = restored.sessions().session(SessionId(1)).unwrap();
        assert_eq!((session.ephemerals.len(), session.identities.len()), (1, 1));
        assert_eq!(restored.sessions().identity_bytes(), 11);
        restored.check_invariants().unwrap();
    }

    #[test]
    fn a_record_left_out_or_out_of_place_is_an_error() {
        let records = records();
        for left_out in 0..records.len() {
            let mut damaged = records.clone();
            damaged.remove(left_out);
            assert!(restore(&damaged).is_err(), "without record {left_out}");
        }
        let mut twice = records.clone();
        twice.extend(records);
        assert!(restore(&twice).is_err());
    }

    #[test]
    fn a_changed_byte_behind_the_header_is_an_error() {
        let records = records();
        for record in 1..records.len() {
            for byte in 0..records[record].1.len() {
                for change in [1, 0x80, 0xff] {
                    let mut damaged = records.clone();
                    damaged[record].1[byte] ^= change;
                    assert!(restore(&damaged).is_err(), "byte {byte} of record {record}");
                }
            }
        }
    }

    #[test]
    fn a_record_cut_anywhere_is_an_error() {
        let records = records();
        for record in 0..records.len() {
            for len in 0..records[record].1.len() {
                let mut damaged = records.clone();
                damaged[record].1.truncate(len);
                assert!(restore(&damaged).is_err(), "record {record} cut to {len} bytes");
            }
        }
    }
}
