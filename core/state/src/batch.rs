//! A log entry: commands of one member, in its clients' order.
//!
//! ```text
//! u8 version | u64 time_ms | u64 origin | u64 incarnation | u64 sequence | u32 count | commands…
//! ```
//!
//! The time has a fixed offset so that the leader can set it in another
//! member's batch without decoding it. `(incarnation, sequence)` makes a batch
//! take effect at most once and in order, so a member may resend it after a
//! change of leader, and its clients do not notice.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::codec::{CodecError, Decode, Encode, Input, encode_len};
use crate::command::Command;
use crate::id::MemberId;
use crate::machine::{Applied, Origin};

/// Commands in one batch, at most. A member begins another batch before, so that
/// applying one log entry stays short whatever its limits are: invariant C9.
pub const BATCH_COMMANDS_MAX: usize = 1 << 20;

const VERSION: u8 = 1;
const TIME_AT: usize = 1;
const ORIGIN_AT: usize = TIME_AT + 8;
const SEQUENCE_AT: usize = TIME_AT + 3 * 8;
const COUNT_AT: usize = SEQUENCE_AT + 8;

/// Commands that travel and take effect together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The leader's wall time when it appended the batch.
    pub time_ms: u64,
    /// The member that made it.
    pub origin: MemberId,
    /// Which start of that member: grows with every start.
    pub incarnation: u64,
    /// Counts from 1 within an incarnation, without gaps.
    pub sequence: u64,
    /// In the order in which they take effect.
    pub commands: Vec<Command>,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It took effect, one result per command.
    Applied(Vec<Applied>),
    /// It had taken effect before.
    Duplicate,
    /// An earlier batch of the same member is missing: it must be sent again,
    /// in order, from `expected` on.
    Gap {
        /// The sequence number that would have been applied.
        expected: u64,
    },
    /// A leader decided it in another term than the one it was ordered in: see
    /// [`crate::LeaderBatch`].
    OutOfTerm {
        /// The term of the decision.
        decided_in: u64,
    },
}

impl Outcome {
    pub(crate) fn skip(last: Option<Origin>, batch: &Batch) -> Option<Self> {
        let expected = match last {
            Some(last) if batch.incarnation < last.incarnation => return Some(Self::Duplicate),
            Some(last) if batch.incarnation == last.incarnation => last.sequence + 1,
            _ => 1,
        };
        if batch.sequence < expected {
            return Some(Self::Duplicate);
        }
        (batch.sequence > expected).then_some(Self::Gap { expected })
    }
}

/// Builds a stored batch command by command, so that each is encoded where it
/// was made and never again.
#[derive(Debug, Clone)]
pub struct BatchWriter {
    stored: Vec<u8>,
    count: usize,
}

impl BatchWriter {
    /// An empty batch, not yet numbered.
    pub fn new(origin: MemberId, incarnation: u64) -> Self {
        let mut stored = Vec::with_capacity(512);
        stored.push(VERSION);
        0_u64.encode(&mut stored);
        origin.encode(&mut stored);
        incarnation.encode(&mut stored);
        0_u64.encode(&mut stored);
        encode_len(0, &mut stored);
        Self { stored, count: 0 }
    }

    /// Adds a command behind the others.
    pub fn push(&mut self, command: &Command) {
        command.encode(&mut self.stored);
        self.count += 1;
    }

    /// The same, unless the command takes more than `bytes_max`.
    ///
    /// # Errors
    /// How many bytes it takes; nothing was added.
    pub fn push_within(&mut self, command: &Command, bytes_max: usize) -> Result<(), usize> {
        let before = self.stored.len();
        command.encode(&mut self.stored);
        let bytes = self.stored.len() - before;
        if bytes > bytes_max {
            self.stored.truncate(before);
            self.stored.shrink_to(before.max(512));
            return Err(bytes);
        }
        self.count += 1;
        Ok(())
    }

    /// Its size so far, in bytes.
    pub fn len(&self) -> usize {
        self.stored.len()
    }

    /// Whether it has no command yet.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many commands it has.
    pub fn commands(&self) -> usize {
        self.count
    }

    /// Numbers the batch and gives its stored form.
    pub fn seal(mut self, sequence: u64) -> Vec<u8> {
        self.stored[SEQUENCE_AT..SEQUENCE_AT + 8].copy_from_slice(&sequence.to_le_bytes());
        let mut count = Vec::with_capacity(4);
        encode_len(self.count, &mut count);
        self.stored[COUNT_AT..COUNT_AT + 4].copy_from_slice(&count);
        self.stored
    }
}

impl Batch {
    /// The stored form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = BatchWriter::new(self.origin, self.incarnation);
        for command in &self.commands {
            writer.push(command);
        }
        let mut stored = writer.seal(self.sequence);
        Self::stamp(&mut stored, self.time_ms);
        stored
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`CodecError`] if it is not one.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, CodecError> {
        let mut input = Input::new(bytes.clone());
        match u8::decode(&mut input)? {
            VERSION => {}
            tag => return Err(CodecError::UnknownTag { what: "batch version", tag: tag.into() }),
        }
        check_commands(&bytes, COUNT_AT)?;
        let batch = Self {
            time_ms: u64::decode(&mut input)?,
            origin: MemberId::decode(&mut input)?,
            incarnation: u64::decode(&mut input)?,
            sequence: u64::decode(&mut input)?,
            commands: Vec::decode(&mut input)?,
        };
        input.finish("batch")?;
        Ok(batch)
    }

    /// The sequence number of a stored batch, or `None` if this release cannot
    /// read it.
    pub fn sequence_of(stored: &[u8]) -> Option<u64> {
        if stored.first() != Some(&VERSION) {
            return None;
        }
        let place = stored.get(SEQUENCE_AT..SEQUENCE_AT + 8)?;
        Some(u64::from_le_bytes(place.try_into().ok()?))
    }

    /// The member that made a stored batch, or `None` if this release cannot read it.
    pub fn origin_of(stored: &[u8]) -> Option<MemberId> {
        Self::sequence_of(stored)?;
        let place = stored.get(ORIGIN_AT..ORIGIN_AT + 8)?;
        Some(MemberId(u64::from_le_bytes(place.try_into().ok()?)))
    }

    /// Whether a stored batch says that it has no more commands than one may have.
    pub fn is_within_bounds(stored: &[u8]) -> bool {
        check_commands(stored, COUNT_AT).is_ok()
    }

    /// Writes the leader's time into a stored batch.
    pub fn stamp(stored: &mut [u8], time_ms: u64) {
        stamp(stored, time_ms);
    }
}

/// Refuses a stored batch that says, at `count_at`, that it has too many commands,
/// before anything of it is read and kept: invariant C9.
pub(crate) fn check_commands(stored: &[u8], count_at: usize) -> Result<(), CodecError> {
    let place = stored.get(count_at..count_at + 4).and_then(|place| place.try_into().ok());
    // What is too short for a count is refused where it is read.
    let count = place.map_or(0, u32::from_le_bytes);
    if usize::try_from(count).is_ok_and(|count| count <= BATCH_COMMANDS_MAX) {
        return Ok(());
    }
    Err(CodecError::Invalid { what: "the number of commands" })
}

/// The time stands at the same place in every kind of batch.
pub(crate) fn stamp(stored: &mut [u8], time_ms: u64) {
    if let Some(place) = stored.get_mut(TIME_AT..TIME_AT + 8) {
        place.copy_from_slice(&time_ms.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::id::{Attachment, Revision, SessionId};
    use crate::machine::StateMachine;
    use crate::session::SessionCommand;

    fn batch(incarnation: u64, sequence: u64) -> Batch {
        let open = SessionCommand::Open {
            session: SessionId(i64::try_from(incarnation * 100 + sequence).unwrap()),
            password: [0; 16],
            timeout_ms: 4000,
            attachment: Attachment(1),
        };
        let commands = vec![Command::Session(open)];
        Batch { time_ms: 7, origin: MemberId(1), incarnation, sequence, commands }
    }

    #[test]
    fn a_batch_takes_effect_once_and_in_order() {
        let mut machine = StateMachine::new();
        assert_eq!(machine.apply_batch(batch(5, 2)), Outcome::Gap { expected: 1 });
        assert!(matches!(machine.apply_batch(batch(5, 1)), Outcome::Applied(_)));
        assert_eq!(machine.apply_batch(batch(5, 1)), Outcome::Duplicate);
        assert_eq!(machine.apply_batch(batch(5, 3)), Outcome::Gap { expected: 2 });
        assert!(matches!(machine.apply_batch(batch(5, 2)), Outcome::Applied(_)));
        assert_eq!(machine.revision(), Revision(2));
        assert_eq!(machine.sessions().len(), 2);
    }

    #[test]
    fn a_restarted_member_counts_from_one_again() {
        let mut machine = StateMachine::new();
        machine.apply_batch(batch(5, 1));
        machine.apply_batch(batch(5, 2));
        assert_eq!(machine.apply_batch(batch(6, 2)), Outcome::Gap { expected: 1 });
        assert!(matches!(machine.apply_batch(batch(6, 1)), Outcome::Applied(_)));
        assert_eq!(machine.apply_batch(batch(5, 3)), Outcome::Duplicate);
        assert_eq!(machine.revision(), Revision(3));
    }

    #[test]
    fn the_leaders_time_is_written_into_the_stored_form() {
        let mut stored = batch(1, 1).to_bytes();
        Batch::stamp(&mut stored, 99);
        assert_eq!(Batch::from_bytes(stored.into()).unwrap(), Batch { time_ms: 99, ..batch(1, 1) });
        Batch::stamp(&mut [], 99);
    }

    #[test]
    fn a_command_that_is_too_large_is_not_in_the_batch() {
        let [command, ..] = &batch(1, 1).commands[..] else { unreachable!("it has one") };
        let mut alone = Vec::new();
        command.encode(&mut alone);
        let mut writer = BatchWriter::new(MemberId(1), 1);
        assert_eq!(writer.push_within(command, alone.len() - 1), Err(alone.len()));
        assert!(writer.is_empty());
        assert_eq!(writer.push_within(command, alone.len()), Ok(()));
        let stored = writer.seal(1);
        assert_eq!(Batch::from_bytes(stored.into()).unwrap().commands, batch(1, 1).commands);
    }

    #[test]
    fn a_stored_batch_tells_whose_it_is() {
        let stored = Batch { origin: MemberId(7), ..batch(5, 2) }.to_bytes();
        assert_eq!(Batch::origin_of(&stored), Some(MemberId(7)));
        assert_eq!(Batch::origin_of(&[]), None);
        assert_eq!(Batch::origin_of(&[9; 64]), None);
    }

    /// Whatever its member's limits are: a batch that has more is refused unread.
    #[test]
    fn a_batch_of_too_many_commands_is_refused() {
        let mut stored = batch(1, 1).to_bytes();
        let many = u32::try_from(BATCH_COMMANDS_MAX + 1).unwrap();
        stored[COUNT_AT..COUNT_AT + 4].copy_from_slice(&many.to_le_bytes());
        assert!(!Batch::is_within_bounds(&stored));
        let refused = Err(CodecError::Invalid { what: "the number of commands" });
        assert_eq!(Batch::from_bytes(stored.into()), refused);
        assert!(Batch::is_within_bounds(&batch(1, 1).to_bytes()));
    }

    #[test]
    fn bytes_behind_a_batch_are_an_error() {
        let mut stored = batch(1, 1).to_bytes();
        stored.push(0);
        assert!(Batch::from_bytes(stored.into()).is_err());
    }
}
