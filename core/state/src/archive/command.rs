//! The steps of a restore, and their stored form.
//!
//! ```text
//! u8 version | u8 step | u128 archive | fields…      a record: u8 tag | bytes
//! ```

use alloc::vec::Vec;

use bytes::Bytes;

use crate::codec::{CodecError, Decode, Encode, Input};

/// Which restore a step belongs to: drawn by the member that does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchiveId(pub u128);

crate::record!(ArchiveId { 0 });

/// One step of a restore. Reply: `Done`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArchiveCommand {
    /// Begin, with nothing yet; a restore that was under way is dropped.
    Stage {
        /// Which.
        archive: ArchiveId,
    },
    /// Take the next records of the archived state. They are those that
    /// [`crate::StateMachine::freeze_archive`] gave.
    Records {
        /// Which.
        archive: ArchiveId,
        /// Counts from 0.
        number: u64,
        /// Tag and payload each.
        records: Vec<(u8, Bytes)>,
    },
    /// Put the archived state in the place of the state.
    Activate {
        /// Which.
        archive: ArchiveId,
    },
    /// Give up.
    Discard {
        /// Which.
        archive: ArchiveId,
    },
}

const VERSION: u8 = 1;

impl Encode for ArchiveCommand {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        match self {
            Self::Stage { archive } => {
                out.push(0);
                archive.encode(out);
            }
            Self::Records { archive, number, records } => {
                out.push(1);
                archive.encode(out);
                number.encode(out);
                records.encode(out);
            }
            Self::Activate { archive } => {
                out.push(2);
                archive.encode(out);
            }
            Self::Discard { archive } => {
                out.push(3);
                archive.encode(out);
            }
        }
    }
}

impl Decode for ArchiveCommand {
    fn decode(input: &mut Input) -> Result<Self, CodecError> {
        match u8::decode(input)? {
            VERSION => {}
            tag => {
                return Err(CodecError::UnknownTag {
                    what: "archive command version",
                    tag: tag.into(),
                });
            }
        }
        Ok(match u8::decode(input)? {
            0 => Self::Stage { archive: Decode::decode(input)? },
            1 => Self::Records {
                archive: Decode::decode(input)?,
                number: Decode::decode(input)?,
                records: Decode::decode(input)?,
            },
            2 => Self::Activate { archive: Decode::decode(input)? },
            3 => Self::Discard { archive: Decode::decode(input)? },
            tag => return Err(CodecError::UnknownTag { what: "archive command", tag: tag.into() }),
        })
    }
}
