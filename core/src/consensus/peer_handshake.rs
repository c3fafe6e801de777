//! Authentication of peers: the first messages of a connection, independent of
//! sockets.
//!
//! ```text
//! connects                                     accepts
//!   hello: what for, from, to, nonce ────────>
//!     <──────────── challenge: nonce, or welcome, or a refusal
//!   proof for each secret it has ────────────>
//!     <──────────── proof for the one that both have, or a refusal
//! ```
//!
//! A proof is an HMAC-SHA-256 with the shared secret over the side that sends
//! it and all messages so far: purpose, both members, both nonces. So
//!
//! 1. the secret is never sent, and a recorded handshake cannot be replayed:
//!    each side contributes a nonce;
//! 2. a proof is valid only for one side, direction and pair of members: a
//!    reflected message is refused;
//! 3. the connecting side proves first: a stranger that connects gets nothing
//!    to test secrets against offline;
//! 4. both sides have seen the same messages, including the versions.
//!
//! Both sides then derive a secret key for each direction, and seal every frame
//! with it: see [`super::peer_seal`]. Inside TLS they do not.
//!
//! See docs/adr/0021-members-prove-a-shared-secret.md. Not here: where secrets
//! come from ([`super::peer_secret`]), and sockets ([`super::peer_frame`]).

use bytes::Bytes;
use coord_state::MemberId;
use coord_state::codec::{CodecError, Decode, Encode, Input};
use subtle::ConstantTimeEq as _;

use super::peer_seal::{Seal, Seals};
use super::peer_secret::{Key, Policy};

const MAGIC: &[u8; 8] = b"coordper";
/// 2: append requests carry a piggyback, and snapshots can be fetched.
/// 3: members prove a shared secret, and seal what they say with it.
const VERSION: u16 = 3;
/// Numbers that a member may have.
const MEMBERS: std::ops::RangeInclusive<u64> = 1..=254;
const PROOF_BYTES: usize = 32;

/// Chance that a side puts into a handshake.
pub(super) type Nonce = [u8; 32];

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Log entries: requests answered in order.
    Append,
    /// Append requests without entries: they say that the leader lives, and are not
    /// to wait behind entries.
    Heartbeat,
    /// Votes and calls: requests answered in any order.
    Control,
    /// Messages: never answered.
    Messages,
    /// One snapshot after the other.
    Snapshot,
    /// Snapshots that the one who connects asks for.
    Fetch,
}

impl Encode for Purpose {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::Append => 1,
            Self::Control => 2,
            Self::Messages => 3,
            Self::Snapshot => 4,
            Self::Fetch => 5,
            Self::Heartbeat => 6,
        });
    }
}

impl Decode for Purpose {
    fn decode(input: &mut Input) -> Result<Self, CodecError> {
        match u8::decode(input)? {
            1 => Ok(Self::Append),
            2 => Ok(Self::Control),
            3 => Ok(Self::Messages),
            4 => Ok(Self::Snapshot),
            5 => Ok(Self::Fetch),
            6 => Ok(Self::Heartbeat),
            tag => Err(CodecError::UnknownTag { what: "purpose", tag: tag.into() }),
        }
    }
}

/// Why the two do not come together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    /// In words, for both sides.
    pub(super) why: String,
    /// Whether an operator has to do something about it: the secrets differ.
    pub(super) needs_operator: bool,
}

fn refused(why: impl Into<String>) -> Refused {
    Refused { why: why.into(), needs_operator: false }
}

fn unproven(why: impl Into<String>) -> Refused {
    Refused { why: why.into(), needs_operator: true }
}

impl From<CodecError> for Refused {
    fn from(error: CodecError) -> Self {
        refused(error.to_string())
    }
}

/// What two members agreed on.
#[derive(Debug)]
pub(super) struct Agreed {
    /// Who connected.
    pub(super) from: MemberId,
    /// What for.
    pub(super) purpose: Purpose,
    /// How frames are sealed; not within TLS, nor without a secret.
    pub(super) seals: Option<Box<Seals>>,
}

/// This side of a handshake.
#[derive(Debug, Clone)]
pub(super) struct Side {
    pub(super) me: MemberId,
    /// The secrets here, and what is done without.
    pub(super) policy: Policy,
    /// Whether the connection is TLS as seen from here.
    pub(super) tls: bool,
    pub(super) nonce: Nonce,
}

const PROVES: u8 = 1;
const SEES_TLS: u8 = 2;

impl Side {
    fn flags(&self) -> u8 {
        let proves = if self.policy.keys.is_empty() { 0 } else { PROVES };
        let tls = if self.tls { SEES_TLS } else { 0 };
        proves | tls
    }
}

const WELCOME: u8 = 0;
const REFUSAL: u8 = 1;
const CHALLENGE: u8 = 2;

/// The message that tells a refusal.
pub(super) fn refusal(refused: &Refused) -> Vec<u8> {
    [&[REFUSAL][..], refused.why.as_bytes()].concat()
}

// Who connects.

/// Said hello, waits for an answer.
pub(super) struct Connecting {
    side: Side,
    peer: MemberId,
    purpose: Purpose,
    hello: Vec<u8>,
}

/// What the answer to a hello asks for.
pub(super) enum Answered {
    /// Nothing more.
    Agreed(Agreed),
    /// This proof.
    Prove(Vec<u8>, Proving),
}

/// Proved itself, waits for the other to.
pub(super) struct Proving {
    connecting: Connecting,
    transcript: Transcript,
    both_tls: bool,
}

impl Connecting {
    /// Begins; gives the hello to send.
    pub(super) fn new(side: Side, peer: MemberId, purpose: Purpose) -> (Self, Vec<u8>) {
        let mut hello = MAGIC.to_vec();
        VERSION.encode(&mut hello);
        purpose.encode(&mut hello);
        side.me.encode(&mut hello);
        peer.encode(&mut hello);
        side.flags().encode(&mut hello);
        hello.extend_from_slice(&side.nonce);
        (Self { side, peer, purpose, hello: hello.clone() }, hello)
    }

    /// Takes the answer to the hello.
    pub(super) fn answered(self, answer: Bytes) -> Result<Answered, Refused> {
        let mut input = Input::new(answer.clone());
        match u8::decode(&mut input)? {
            WELCOME => {
                input.finish("welcome")?;
                if !self.side.policy.keys.is_empty() && !self.side.policy.allow_unauthenticated {
                    return Err(unproven(
                        "it has no peers.secret, but this member does: set the same on both, and \
                         peers.allow_unauthenticated=true until all members have it",
                    ));
                }
                Ok(Answered::Agreed(self.agreed(None)))
            }
            CHALLENGE => {
                let flags = u8::decode(&mut input)?;
                input.take(size_of::<Nonce>(), "nonce")?;
                input.finish("challenge")?;
                let transcript = Transcript::of(&self.hello, &answer);
                let keys = &self.side.policy.keys;
                let proofs = keys.iter().flat_map(|key| transcript.proof(CONNECTS, key)).collect();
                let both_tls = self.side.tls && flags & SEES_TLS != 0;
                Ok(Answered::Prove(proofs, Proving { connecting: self, transcript, both_tls }))
            }
            _ => Err(told(&answer)),
        }
    }

    fn agreed(&self, seals: Option<Box<Seals>>) -> Agreed {
        Agreed { from: self.side.me, purpose: self.purpose, seals }
    }
}

impl Proving {
    /// Takes the verdict, and the other's own proof with it.
    pub(super) fn judged(self, verdict: Bytes) -> Result<Agreed, Refused> {
        let Self { connecting, transcript, both_tls } = self;
        let Some((&WELCOME, proof)) = verdict.split_first() else { return Err(told(&verdict)) };
        let mut keys = connecting.side.policy.keys.iter();
        let key =
            keys.find(|key| same(&transcript.proof(ACCEPTS, key), proof)).ok_or_else(|| {
                let peer = connecting.peer;
                unproven(format!(
                    "the server at this address does not have this member's peers.secret, so it \
                     is not member {peer}"
                ))
            })?;
        let seals = (!both_tls).then(|| transcript.seals(CONNECTS, ACCEPTS, key));
        Ok(connecting.agreed(seals))
    }
}

/// A refusal of the other side, in its words.
fn told(answer: &Bytes) -> Refused {
    let words = answer.get(1..).unwrap_or_default();
    let why = format!("it refused: {}", String::from_utf8_lossy(words).escape_debug());
    // Its log says the same about this member.
    Refused { needs_operator: why.contains("peers.secret"), why }
}

// Who accepts.

/// What a hello is answered with.
pub(super) enum Heard {
    /// That is all.
    Agreed(Vec<u8>, Agreed),
    /// A proof is asked for.
    Challenge(Vec<u8>, Challenging),
}

#[cfg(test)]
impl Heard {
    /// Who said hello, and what for.
    pub(super) fn said(&self) -> (MemberId, Purpose) {
        match self {
            Self::Agreed(_, agreed) => (agreed.from, agreed.purpose),
            Self::Challenge(_, challenging) => (challenging.from, challenging.purpose),
        }
    }
}

/// Asked for a proof, waits for it.
pub(super) struct Challenging {
    side: Side,
    from: MemberId,
    purpose: Purpose,
    transcript: Transcript,
    both_tls: bool,
}

/// Takes the hello of who connected.
pub(super) fn hear(side: Side, hello: Bytes) -> Result<Heard, (Option<MemberId>, Refused)> {
    let (from, purpose, flags) = read_hello(&hello, side.me).map_err(|refused| (None, refused))?;
    let proves = flags & PROVES != 0;
    if !proves && !side.policy.keys.is_empty() && !side.policy.allow_unauthenticated {
        let why =
            "it is not authenticated, but this member has a peers.secret: set the same on both";
        return Err((Some(from), unproven(why)));
    }
    if !proves || side.policy.keys.is_empty() {
        return Ok(Heard::Agreed(vec![WELCOME], Agreed { from, purpose, seals: None }));
    }
    let mut challenge = vec![CHALLENGE];
    side.flags().encode(&mut challenge);
    challenge.extend_from_slice(&side.nonce);
    let transcript = Transcript::of(&hello, &challenge);
    let both_tls = side.tls && flags & SEES_TLS != 0;
    Ok(Heard::Challenge(challenge, Challenging { side, from, purpose, transcript, both_tls }))
}

fn read_hello(hello: &Bytes, me: MemberId) -> Result<(MemberId, Purpose, u8), Refused> {
    let mut input = Input::new(hello.clone());
    let magic = input.take(MAGIC.len(), "magic");
    if magic.as_deref() != Ok(MAGIC.as_slice()) {
        return Err(refused("this port is for other members"));
    }
    let version = u16::decode(&mut input)?;
    if version != VERSION {
        return Err(refused(format!(
            "protocol version {version} is not supported, this member speaks {VERSION}"
        )));
    }
    let purpose = Purpose::decode(&mut input)?;
    let from = MemberId::decode(&mut input)?;
    let to = MemberId::decode(&mut input)?;
    let flags = u8::decode(&mut input)?;
    input.take(size_of::<Nonce>(), "nonce")?;
    input.finish("hello")?;
    if to != me {
        return Err(refused(format!("this is member {me}, not member {to}")));
    }
    if from == me || !MEMBERS.contains(&from.0) {
        return Err(refused(format!("{from} is not a valid number for another member")));
    }
    Ok((from, purpose, flags))
}

impl Challenging {
    /// Who it says it is.
    pub(super) fn from(&self) -> MemberId {
        self.from
    }

    /// Takes the proofs; gives the verdict to send if one of them is good.
    pub(super) fn judge(self, proofs: &Bytes) -> Result<(Vec<u8>, Agreed), Refused> {
        let Self { side, from, purpose, transcript, both_tls } = self;
        let good = |key: &&Key| {
            let expected = transcript.proof(CONNECTS, key);
            proofs.chunks(PROOF_BYTES).any(|proof| same(&expected, proof))
        };
        let key = side.policy.keys.iter().find(good).ok_or_else(|| {
            unproven("its peers.secret differs from this member's: set the same on both")
        })?;
        let mut verdict = vec![WELCOME];
        verdict.extend_from_slice(&transcript.proof(ACCEPTS, key));
        let seals = (!both_tls).then(|| transcript.seals(ACCEPTS, CONNECTS, key));
        Ok((verdict, Agreed { from, purpose, seals }))
    }
}

// Proofs.

const CONNECTS: &str = "connects";
const ACCEPTS: &str = "accepts";

/// All that both sides said before they prove anything.
struct Transcript(Vec<u8>);

impl Transcript {
    fn of(hello: &[u8], challenge: &[u8]) -> Self {
        let mut said = Vec::new();
        hello.to_vec().encode(&mut said);
        challenge.to_vec().encode(&mut said);
        Self(said)
    }

    /// What only who has the secret can say on that side.
    fn proof(&self, side: &str, key: &Key) -> [u8; PROOF_BYTES] {
        key.mac(&["coord peer proof: ", side, "\n"].concat(), &self.0)
    }

    fn seals(&self, mine: &str, theirs: &str, key: &Key) -> Box<Seals> {
        let seal =
            |side| Seal::new(key.mac(&["coord peer frames: ", side, "\n"].concat(), &self.0));
        Box::new(Seals { sending: seal(mine), receiving: seal(theirs) })
    }
}

fn same(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

#[cfg(test)]
mod tests;
