//! A log entry of the leader itself: decisions that it made by its clock or by
//! which members it heard from, such as expiring a session.
//!
//! ```text
//! u8 version | u64 time_ms | u64 term | u64 ticket | u32 count | commands…
//! ```
//!
//! It takes effect only in the term in which the leader decided: a partitioned
//! leader decides on missing information, and such decisions must not outlive
//! its term. It has no sequence number like a member's batches, because it is
//! never sent to another leader.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::batch::{self, Batch, Outcome};
use crate::codec::{CodecError, Decode, Encode, Input};
use crate::command::Command;
use crate::machine::StateMachine;

const VERSION: u8 = 2;
const COUNT_AT: usize = 1 + 3 * 8;

/// Commands that one leader decided on, in one term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaderBatch {
    /// As in [`Batch::time_ms`].
    pub time_ms: u64,
    /// The term in which they were decided.
    pub term: u64,
    /// By which the leader knows its own again.
    pub ticket: u64,
    /// In the order in which they take effect.
    pub commands: Vec<Command>,
}

/// What a log entry holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredBatch {
    /// Commands of one member's clients.
    Member(Batch),
    /// Decisions of the leader.
    Leader(LeaderBatch),
}

impl LeaderBatch {
    /// The stored form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut stored = Vec::with_capacity(256);
        stored.push(VERSION);
        self.time_ms.encode(&mut stored);
        self.term.encode(&mut stored);
        self.ticket.encode(&mut stored);
        self.commands.encode(&mut stored);
        stored
    }

    fn decode(bytes: Bytes) -> Result<Self, CodecError> {
        batch::check_commands(&bytes, COUNT_AT)?;
        let mut input = Input::new(bytes);
        u8::decode(&mut input)?;
        let batch = Self {
            time_ms: Decode::decode(&mut input)?,
            term: Decode::decode(&mut input)?,
            ticket: Decode::decode(&mut input)?,
            commands: Decode::decode(&mut input)?,
        };
        input.finish("leader's batch")?;
        Ok(batch)
    }
}

impl StoredBatch {
    /// Reads the stored form of either.
    ///
    /// # Errors
    /// [`CodecError`] if it is neither.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, CodecError> {
        match bytes.first() {
            Some(&VERSION) => LeaderBatch::decode(bytes).map(Self::Leader),
            _ => Batch::from_bytes(bytes).map(Self::Member),
        }
    }

    /// The stored form.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Member(batch) => batch.to_bytes(),
            Self::Leader(batch) => batch.to_bytes(),
        }
    }

    /// Writes the leader's time into the stored form of either.
    pub fn stamp(stored: &mut [u8], time_ms: u64) {
        batch::stamp(stored, time_ms);
    }
}

impl StateMachine {
    /// Applies a log entry that a leader proposed in `term`.
    pub fn apply_stored(&mut self, term: u64, batch: StoredBatch) -> Outcome {
        match batch {
            StoredBatch::Member(batch) => self.apply_batch(batch),
            StoredBatch::Leader(batch) => self.apply_leader_batch(term, batch),
        }
    }

    /// Applies a leader's decisions, or skips them whole if they were made in
    /// another term than `term`, that of the log entry they are in.
    pub fn apply_leader_batch(&mut self, term: u64, batch: LeaderBatch) -> Outcome {
        let LeaderBatch { time_ms, term: decided_in, commands, .. } = batch;
        // Invariant C11.
        if decided_in != term {
            return Outcome::OutOfTerm { decided_in };
        }
        Outcome::Applied(commands.into_iter().map(|one| self.apply(time_ms, one)).collect())
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use std::string::String;

    use super::*;
    use crate::id::{Attachment, Revision, SessionId};
    use crate::session::SessionCommand;

    const SESSION: SessionId = SessionId(7);
    const ATTACHMENT: Attachment = Attachment(3);

    fn with_a_session() -> StateMachine {
        let mut machine = StateMachine::new();
        let open = SessionCommand::Open {
            session: SESSION,
            password: [0; 16],
            timeout_ms: 4000,
            attachment: ATTACHMENT,
        };
        machine.apply(1, Command::Session(open)).result.unwrap();
        machine
    }

    fn expiry(term: u64) -> LeaderBatch {
        let expire = SessionCommand::Expire { session: SESSION, attachment: ATTACHMENT };
        LeaderBatch { time_ms: 9, term, ticket: 5, commands: vec![Command::Session(expire)] }
    }

    #[test]
    fn a_verdict_takes_effect_in_its_own_term_only() {
        for term in [2, 4] {
            let mut machine = with_a_session();
            let before = (machine.revision(), machine.time_ms(), machine.digest());
            let outcome = machine.apply_leader_batch(term, expiry(3));
            assert_eq!(outcome, Outcome::OutOfTerm { decided_in: 3 });
            assert_eq!((machine.revision(), machine.time_ms(), machine.digest()), before);
        }
        let mut machine = with_a_session();
        assert!(matches!(machine.apply_leader_batch(3, expiry(3)), Outcome::Applied(_)));
        assert_eq!((machine.revision(), machine.sessions().len()), (Revision(2), 0));
    }

    /// Pins the stored form: this byte string may never stop being readable.
    #[test]
    fn the_stored_form_of_a_leaders_batch_stays() {
        let stored = expiry(3).to_bytes();
        let hex: String = stored.iter().map(|byte| std::format!("{byte:02x}")).collect();
        let expected = concat!(
            "02",
            "0900000000000000",
            "0300000000000000",
            "0500000000000000",
            "01000000",
            "01",
            "03",
            "0700000000000000",
            "0300000000000000",
        );
        assert_eq!(hex, expected);
        assert_eq!(StoredBatch::from_bytes(stored.into()), Ok(StoredBatch::Leader(expiry(3))));
    }

    #[test]
    fn a_batch_of_too_many_commands_is_refused() {
        let mut stored = expiry(3).to_bytes();
        stored[COUNT_AT..COUNT_AT + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        let refused = Err(CodecError::Invalid { what: "the number of commands" });
        assert_eq!(StoredBatch::from_bytes(stored.into()), refused);
    }

    #[test]
    fn the_leaders_time_is_written_into_the_stored_form() {
        let mut stored = expiry(3).to_bytes();
        StoredBatch::stamp(&mut stored, 99);
        let stamped = StoredBatch::Leader(LeaderBatch { time_ms: 99, ..expiry(3) });
        assert_eq!(StoredBatch::from_bytes(stored.into()), Ok(stamped));
    }
}
