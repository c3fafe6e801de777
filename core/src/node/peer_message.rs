//! What members say to each other above consensus.
//!
//! Messages go one way and may be lost; calls have an answer. Both begin with a
//! tag byte and are made of the stored format's primitives.

use bytes::Bytes;
use coord_state::SessionId;
use coord_state::codec::{CodecError, Decode, Encode, Input};
use coord_state::consul::ConsulSessionId;

/// One-way, to a leader unless said otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PeerMessage {
    /// Append this batch of mine.
    Forward(Bytes),
    /// From a member that is not, or no longer, the leader: send it elsewhere.
    Refused {
        /// The batch.
        sequence: u64,
    },
    /// These sessions were heard from.
    Touch(Vec<SessionId>),
}

/// With an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PeerCall {
    /// Which log index must a reader have applied? Answer: `u64`.
    ReadIndex {
        /// The leader may trust its lease.
        lease: bool,
    },
    /// Restart a Consul session's TTL. Answer: `bool`, whether it is live.
    RenewConsulSession(ConsulSessionId),
    /// To any member: where do ZooKeeper clients reach you? Answer: text, empty for nowhere.
    ClientAddress,
}

impl PeerMessage {
    pub(super) fn to_bytes(&self) -> Bytes {
        let mut out = Vec::new();
        match self {
            Self::Forward(batch) => {
                out.reserve(1 + batch.len());
                out.push(1);
                out.extend_from_slice(batch);
            }
            Self::Refused { sequence } => {
                out.push(2);
                sequence.encode(&mut out);
            }
            Self::Touch(sessions) => {
                out.push(3);
                sessions.encode(&mut out);
            }
        }
        out.into()
    }

    pub(super) fn from_bytes(bytes: Bytes) -> Result<Self, CodecError> {
        let mut input = Input::new(bytes);
        let message = match u8::decode(&mut input)? {
            1 => {
                let rest = input.remaining();
                Self::Forward(input.take(rest, "batch")?)
            }
            2 => Self::Refused { sequence: Decode::decode(&mut input)? },
            3 => Self::Touch(Decode::decode(&mut input)?),
            tag => return Err(CodecError::UnknownTag { what: "peer message", tag: tag.into() }),
        };
        input.finish("peer message")?;
        Ok(message)
    }
}

impl PeerCall {
    pub(super) fn to_bytes(self) -> Bytes {
        let mut out = Vec::new();
        match self {
            Self::ReadIndex { lease } => {
                out.push(1);
                lease.encode(&mut out);
            }
            Self::RenewConsulSession(session) => {
                out.push(2);
                session.encode(&mut out);
            }
            Self::ClientAddress => out.push(3),
        }
        out.into()
    }

    pub(super) fn from_bytes(bytes: Bytes) -> Result<Self, CodecError> {
        let mut input = Input::new(bytes);
        let call = match u8::decode(&mut input)? {
            1 => Self::ReadIndex { lease: Decode::decode(&mut input)? },
            2 => Self::RenewConsulSession(Decode::decode(&mut input)?),
            3 => Self::ClientAddress,
            tag => return Err(CodecError::UnknownTag { what: "peer call", tag: tag.into() }),
        };
        input.finish("peer call")?;
        Ok(call)
    }
}

/// An answer of one value.
pub(super) fn answer(value: &impl Encode) -> Bytes {
    let mut out = Vec::new();
    value.encode(&mut out);
    out.into()
}

/// Reads an answer of one value.
pub(super) fn read_answer<T: Decode>(bytes: Bytes) -> Result<T, CodecError> {
    let mut input = Input::new(bytes);
    let value = T::decode(&mut input)?;
    input.finish("peer answer")?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_and_calls_survive_the_way() {
        for message in [
            PeerMessage::Forward(Bytes::from_static(b"batch")),
            PeerMessage::Refused { sequence: 7 },
            PeerMessage::Touch(vec![SessionId(1), SessionId(-2)]),
        ] {
            assert_eq!(PeerMessage::from_bytes(message.to_bytes()), Ok(message));
        }
        for call in [
            PeerCall::ReadIndex { lease: true },
            PeerCall::RenewConsulSession(ConsulSessionId(9)),
            PeerCall::ClientAddress,
        ] {
            assert_eq!(PeerCall::from_bytes(call.to_bytes()), Ok(call));
        }
    }

    #[test]
    fn a_damaged_message_is_an_error() {
        assert!(PeerMessage::from_bytes(Bytes::from_static(b"\x09")).is_err());
        assert!(PeerMessage::from_bytes(Bytes::from_static(b"\x02\x01")).is_err());
        assert!(PeerCall::from_bytes(Bytes::new()).is_err());
    }
}
