//! Reading a snapshot back.

use bytes::Bytes;

use crate::codec::{CodecError, Decode, Input};
use crate::consul::Consul;
use crate::digest::Hasher;
use crate::id::{Revision, SessionId};
use crate::machine::StateMachine;
use crate::session::Session;
use crate::snapshot::{End, Header, tag};
use crate::znode::Tree;

/// A state being read from a snapshot's records.
#[derive(Debug)]
pub struct Restore {
    machine: StateMachine,
    next: Next,
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
            foundation: None,
            origins: Default::default(),
            sessions: Default::default(),
            znodes: Tree::vacant(),
            consul: Consul::default(),
        };
        Self { machine, next: Next::Header }
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
            (Next::Content, tag::ZNODES) => self.znodes(&mut input)?,
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
        if self.next != Next::Nothing {
            return Err(CodecError::Truncated { what: "the snapshot's last record", missing: 1 });
        }
        Ok(self.machine)
    }

    fn header(&mut self, input: &mut Input) -> Result<(), CodecError> {
        let header = Header::decode(input)?;
        self.machine.revision = header.revision;
        self.machine.time_ms = header.time_ms;
        self.machine.foundation = header.foundation;
        self.machine.origins = header.origins.into_iter().collect();
        if let Some(foundation) = header.foundation {
            self.machine.rehash(Hasher::new(foundation.digest_key));
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

    fn znodes(&mut self, input: &mut Input) -> Result<(), CodecError> {
        while !input.is_empty() {
            self.machine.znodes.restore(input, &mut self.machine.sessions)?;
        }
        Ok(())
    }

    fn end(&mut self, input: &mut Input) -> Result<(), CodecError> {
        if End::decode(input)? != self.machine.end() {
            return Err(CodecError::Invalid { what: "the snapshot's digest" });
        }
        self.next = Next::Nothing;
        Ok(())
    }
}
