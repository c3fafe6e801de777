//! Messages between members above consensus.
//!
//! Messages are one-way and may be lost; calls have a response. Both begin with
//! a tag byte and use the primitives of the storage format.

use bytes::Bytes;
use coord_state::codec::{CodecError, Decode, Encode, Input, decode_items, encode_items};
use coord_state::consul::ConsulSessionId;
use coord_state::znode::Caller;
use coord_state::{MemberId, Revision, SessionId};

use super::membership::request::{ChangeOutcome, ChangeRefusal, MembershipChange};

use super::divergence::fingerprints::StateFingerprint;

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
}

/// With an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PeerCall {
    /// Which log index must a reader have applied? Answer: `u64`.
    ReadIndex {
        /// The leader may trust its lease.
        lease: bool,
    },
    /// These sessions were heard from. Answer: `bool`, whether their time begins anew.
    /// A call and no message: a client was told that it was heard, so who told it has
    /// to know that the leader knows.
    Touch(Vec<SessionId>),
    /// Restart a Consul session's TTL. Answer: `bool`, whether it is live.
    RenewConsulSession(ConsulSessionId),
    /// To any member: where do ZooKeeper clients reach you? Answer: text, empty for nowhere.
    ClientAddress,
    /// Change who takes part. Answer: [`ChangeAnswer`].
    ChangeMembership(Box<MembershipChange>),
    /// To any member: what is your text of `/zookeeper/config`? Answer:
    /// [`super::membership::config_membership::ConfigAnswer`].
    Config,
    /// Remove a member. Answer: [`ChangeAnswer`].
    RemoveMember(MemberId),
    /// Have this voter lead, or whichever is fittest. Answer: [`ChangeAnswer`].
    TransferLeadership(Option<MemberId>),
    /// To any member: my state was this after a log entry. What was yours?
    /// Answer: `Option<StateFingerprint>`, nothing if that was too long ago.
    StateFingerprint(StateFingerprint),
    /// To any member: can you write, and go on to? Answer: `u8`, see
    /// [`super::impairment::RoomLeft`].
    RoomLeft,
}

/// What became of a change of the members; none from one that does not lead.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ChangeAnswer(pub(super) Option<ChangeOutcome>);

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
            tag => return Err(CodecError::UnknownTag { what: "peer message", tag: tag.into() }),
        };
        input.finish("peer message")?;
        Ok(message)
    }
}

impl PeerCall {
    pub(super) fn to_bytes(&self) -> Bytes {
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
            Self::ChangeMembership(change) => {
                out.push(4);
                change.caller.session.encode(&mut out);
                encode_items(&change.caller.identities, &mut out);
                change.joining.encode(&mut out);
                change.leaving.encode(&mut out);
                change.members.encode(&mut out);
                change.based_on.encode(&mut out);
            }
            Self::Config => out.push(5),
            Self::RemoveMember(member) => {
                out.push(6);
                member.encode(&mut out);
            }
            Self::StateFingerprint(fingerprint) => {
                out.push(7);
                fingerprint.encode(&mut out);
            }
            Self::TransferLeadership(to) => {
                out.push(8);
                to.encode(&mut out);
            }
            Self::RoomLeft => out.push(9),
            Self::Touch(sessions) => {
                out.push(10);
                sessions.encode(&mut out);
            }
        }
        out.into()
    }

    pub(super) fn from_bytes(bytes: Bytes) -> Result<Self, CodecError> {
        let mut input = Input::new(bytes);
        let call = match u8::decode(&mut input)? {
            1 => Self::ReadIndex { lease: Decode::decode(&mut input)? },
            2 => Self::RenewConsulSession(Decode::decode(&mut input)?),
            3 => Self::ClientAddress,
            4 => {
                let session = Decode::decode(&mut input)?;
                let identities = decode_items(&mut input)?.into();
                Self::ChangeMembership(Box::new(MembershipChange {
                    caller: Caller { session, identities },
                    joining: Decode::decode(&mut input)?,
                    leaving: Decode::decode(&mut input)?,
                    members: Decode::decode(&mut input)?,
                    based_on: Decode::decode(&mut input)?,
                }))
            }
            5 => Self::Config,
            6 => Self::RemoveMember(Decode::decode(&mut input)?),
            7 => Self::StateFingerprint(Decode::decode(&mut input)?),
            8 => Self::TransferLeadership(Decode::decode(&mut input)?),
            9 => Self::RoomLeft,
            10 => Self::Touch(Decode::decode(&mut input)?),
            tag => return Err(CodecError::UnknownTag { what: "peer call", tag: tag.into() }),
        };
        input.finish("peer call")?;
        Ok(call)
    }
}

const REFUSALS: [ChangeRefusal; 9] = [
    ChangeRefusal::Disabled,
    ChangeRefusal::SessionExpired,
    ChangeRefusal::SessionMoved,
    ChangeRefusal::Standalone,
    ChangeRefusal::InProgress,
    ChangeRefusal::BadVersion,
    ChangeRefusal::BadArguments,
    ChangeRefusal::NoQuorum,
    ChangeRefusal::NoAuth,
];
const DONE: u8 = 100;
const NOT_LEADER: u8 = 101;

impl Encode for ChangeAnswer {
    fn encode(&self, out: &mut Vec<u8>) {
        match self.0 {
            Some(Ok(revision)) => {
                out.push(DONE);
                revision.0.encode(out);
            }
            Some(Err(refusal)) => {
                let place = (0..).zip(REFUSALS).find(|(_, other)| *other == refusal);
                out.push(place.map_or(NOT_LEADER, |(place, _)| place));
            }
            None => out.push(NOT_LEADER),
        }
    }
}

impl Decode for ChangeAnswer {
    fn decode(input: &mut Input) -> Result<Self, CodecError> {
        Ok(Self(match u8::decode(input)? {
            DONE => Some(Ok(Revision(Decode::decode(input)?))),
            NOT_LEADER => None,
            tag => match REFUSALS.get(usize::from(tag)) {
                Some(refusal) => Some(Err(*refusal)),
                None => {
                    return Err(CodecError::UnknownTag { what: "refusal", tag: tag.into() });
                }
            },
        }))
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
    use coord_state::{Digest, Revision};

    use super::*;

    #[test]
    fn messages_and_calls_survive_the_way() {
        for message in [
            PeerMessage::Forward(Bytes::from_static(b"batch")),
            PeerMessage::Refused { sequence: 7 },
        ] {
            assert_eq!(PeerMessage::from_bytes(message.to_bytes()), Ok(message));
        }
        for call in [
            PeerCall::ReadIndex { lease: true },
            PeerCall::Touch(vec![SessionId(1), SessionId(-2)]),
            PeerCall::RenewConsulSession(ConsulSessionId(9)),
            PeerCall::ClientAddress,
            PeerCall::ChangeMembership(Box::new(MembershipChange {
                caller: Caller {
                    session: Some((SessionId(7), coord_state::Attachment(8))),
                    identities: [coord_state::znode::Identity {
                        scheme: "ip".into(),
                        id: "::1".into(),
                    }]
                    .into(),
                },
                joining: Some("server.1=a:1:2;3".to_owned()),
                leaving: None,
                members: None,
                based_on: -1,
            })),
            PeerCall::Config,
            PeerCall::RemoveMember(MemberId(3)),
            PeerCall::StateFingerprint(StateFingerprint::new(3, Revision(2), Digest(1))),
            PeerCall::TransferLeadership(None),
            PeerCall::TransferLeadership(Some(MemberId(2))),
        ] {
            assert_eq!(PeerCall::from_bytes(call.to_bytes()), Ok(call));
        }
    }

    #[test]
    fn what_became_of_a_change_survives_the_way() {
        let refused = REFUSALS.map(|refusal| Some(Err(refusal)));
        for outcome in refused.into_iter().chain([None, Some(Ok(Revision(9)))]) {
            let sent = answer(&ChangeAnswer(outcome));
            assert_eq!(read_answer(sent), Ok(ChangeAnswer(outcome)));
        }
        assert!(read_answer::<ChangeAnswer>(Bytes::from_static(b"\x42")).is_err());
    }

    #[test]
    fn a_damaged_message_is_an_error() {
        assert!(PeerMessage::from_bytes(Bytes::from_static(b"\x09")).is_err());
        assert!(PeerMessage::from_bytes(Bytes::from_static(b"\x02\x01")).is_err());
        assert!(PeerCall::from_bytes(Bytes::new()).is_err());
    }
}
