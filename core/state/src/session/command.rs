//! Commands on sessions.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::codec::{CodecError, Decode, Encode, Input, decode_items, encode_items};
use crate::id::{Attachment, SessionId};
use crate::znode::Identity;

/// A change to the set of live sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionCommand {
    /// A client connected without a session. Reply: `Session`.
    Open {
        /// Fresh, drawn by the accepting member.
        session: SessionId,
        /// Fresh, drawn by the accepting member.
        password: [u8; 16],
        /// Negotiated by the accepting member.
        timeout_ms: u32,
        /// The accepting connection.
        attachment: Attachment,
    },
    /// A client came back, here or to another member, with a newly negotiated
    /// timeout. Reply: `Session`. Refused as `SessionExpired` if the session
    /// is unknown or the password wrong; a wrong password harms nobody.
    Attach {
        /// Which.
        session: SessionId,
        /// As the client presents it.
        password: [u8; 16],
        /// Newly negotiated.
        timeout_ms: u32,
        /// The new connection.
        attachment: Attachment,
    },
    /// The client ends its session; its ephemerals go in the same revision.
    /// Reply: `Done`.
    Close {
        /// Which.
        session: SessionId,
        /// The connection it came from; refused as `SessionMoved` from an older one.
        attachment: Attachment,
    },
    /// The leader has not heard from it for its timeout. As `Close`, but only
    /// if the session is still attached as the leader saw it.
    Expire {
        /// Which.
        session: SessionId,
        /// The attachment the leader judged by.
        attachment: Attachment,
    },
    /// The connection has proven to be all this, and every command that comes
    /// over it from now on is by somebody who is; replaces what was told before.
    /// Told once and kept with the session, because commands would repeat it
    /// each time. Reply: `Done`.
    Identify {
        /// Which.
        session: SessionId,
        /// The connection; refused as `SessionMoved` from an older one.
        attachment: Attachment,
        /// What it has proven to be, apart from what its commands say.
        identities: Box<[Identity]>,
    },
}

impl Encode for SessionCommand {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Open { session, password, timeout_ms, attachment } => {
                out.push(0);
                session.encode(out);
                password.encode(out);
                timeout_ms.encode(out);
                attachment.encode(out);
            }
            Self::Attach { session, password, timeout_ms, attachment } => {
                out.push(1);
                session.encode(out);
                password.encode(out);
                timeout_ms.encode(out);
                attachment.encode(out);
            }
            Self::Close { session, attachment } => {
                out.push(2);
                session.encode(out);
                attachment.encode(out);
            }
            Self::Expire { session, attachment } => {
                out.push(3);
                session.encode(out);
                attachment.encode(out);
            }
            Self::Identify { session, attachment, identities } => {
                out.push(4);
                session.encode(out);
                attachment.encode(out);
                encode_items(identities, out);
            }
        }
    }
}

impl Decode for SessionCommand {
    fn decode(input: &mut Input) -> Result<Self, CodecError> {
        Ok(match u8::decode(input)? {
            0 => Self::Open {
                session: Decode::decode(input)?,
                password: Decode::decode(input)?,
                timeout_ms: Decode::decode(input)?,
                attachment: Decode::decode(input)?,
            },
            1 => Self::Attach {
                session: Decode::decode(input)?,
                password: Decode::decode(input)?,
                timeout_ms: Decode::decode(input)?,
                attachment: Decode::decode(input)?,
            },
            2 => {
                Self::Close { session: Decode::decode(input)?, attachment: Decode::decode(input)? }
            }
            3 => {
                Self::Expire { session: Decode::decode(input)?, attachment: Decode::decode(input)? }
            }
            4 => Self::Identify {
                session: Decode::decode(input)?,
                attachment: Decode::decode(input)?,
                identities: decode_items(input)?.into_boxed_slice(),
            },
            tag => return Err(CodecError::UnknownTag { what: "session command", tag: tag.into() }),
        })
    }
}
