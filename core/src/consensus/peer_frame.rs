//! Connections between members: a handshake, then frames.
//!
//! ```text
//! frame = length of what follows u32 | bytes
//! ```
//!
//! The first frames are those of [`super::peer_handshake`]. Until the handshake
//! is complete, only small frames are accepted, with a short timeout; memory is
//! allocated only as bytes arrive, whatever length a frame announces.
//! Afterwards the frames of members that share a secret are sealed, see
//! [`super::peer_seal`].
//!
//! Each purpose has its own connection, so that large transfers do not delay
//! heartbeats.

use std::io;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use coord_state::MemberId;
use coord_state::codec::CodecError;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;

use super::lifetime::{Living, timeout};
#[cfg(test)]
use super::links::Link;
pub(super) use super::peer_handshake::Purpose;
use super::peer_handshake::{
    Agreed, Answered, Connecting, Heard, Nonce, Refused, Side, hear, refusal,
};
use super::peer_seal::{SEAL_BYTES, Seal, Seals};
use super::peer_transport::PeerTransport;
use crate::tls::Stream;

const READ_BYTES: usize = 64 << 10;
/// Largest frame of a handshake, and what is read of one at once.
const HANDSHAKE_BYTES_MAX: usize = 1024;
/// Time to connect and agree.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Sealed frames up to this are sent with one write.
const JOINED_BYTES_MAX: usize = 256 << 10;

impl Purpose {
    /// How long what was sent may stay unacknowledged by the other machine, which
    /// does so whatever its disk and its processes do, unless they stop reading:
    /// those who take much may need longer to.
    fn unacknowledged_max(self) -> Duration {
        match self {
            Self::Heartbeat => Duration::from_millis(500),
            Self::Control | Self::Messages => Duration::from_secs(1),
            Self::Append => Duration::from_secs(2),
            Self::Snapshot | Self::Fetch => Duration::from_secs(30),
        }
    }
}

/// Why a peer cannot be reached or heard.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum PeerError {
    /// Its machine is there, and nothing listens at its address: its process is gone.
    #[error("{0}")]
    NobodyListens(String),
    /// It is not there, or not who it should be: trying again at once is useless.
    #[error("{0}")]
    Unreachable(String),
    /// The connection broke.
    #[error("{0}")]
    Broken(String),
}

impl From<io::Error> for PeerError {
    fn from(error: io::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<CodecError> for PeerError {
    fn from(error: CodecError) -> Self {
        Self::Broken(error.to_string())
    }
}

/// Both directions of a connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) reader: FrameReader,
    pub(super) writer: FrameWriter,
    pub(super) living: Living,
    /// When it was made.
    pub(super) since: Instant,
}

impl Connection {
    /// One on which nothing was agreed yet.
    fn new(stream: Stream, living: Living) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self {
            reader: FrameReader {
                half: reader,
                frames: Frames::of_handshake(),
                #[cfg(test)]
                link: None,
            },
            writer: FrameWriter { half: writer, seal: None },
            living,
            since: Instant::now(),
        }
    }

    /// Connects to a peer, resolving its address anew.
    pub(super) async fn connect(
        transport: &PeerTransport,
        address: &str,
        (from, to): (MemberId, MemberId),
        purpose: Purpose,
    ) -> Result<Self, PeerError> {
        let unreachable =
            |error: io::Error| PeerError::Unreachable(format!("member {to} at {address}: {error}"));
        let connecting = async {
            let opening = transport.open(address, purpose.unacknowledged_max());
            let stream = opening.await.map_err(|error| match error.kind() {
                io::ErrorKind::ConnectionRefused => {
                    PeerError::NobodyListens(format!("member {to} is not listening at {address}"))
                }
                io::ErrorKind::PermissionDenied => {
                    transport.complaints.tell(to, &format!("member {to} at {address}: {error}"));
                    unreachable(error)
                }
                _ => unreachable(error),
            })?;
            let side = side(transport, from, &stream).await?;
            let living = transport.lifetime.enter();
            let mut connection = Self::new(stream, living);
            #[cfg(test)]
            connection.reader.set_link(transport.links.answers(to));
            match connection.introduce(side, to, purpose).await.map_err(unreachable)? {
                Ok(agreed) => Ok(connection.agreed(agreed, transport).0),
                Err(refused) => {
                    let why = format!("member {to} at {address}: {}", refused.why);
                    if refused.needs_operator {
                        transport.complaints.tell(to, &why);
                    }
                    Err(PeerError::Unreachable(why))
                }
            }
        };
        let within = transport.lifetime.until_end(timeout(CONNECT_TIMEOUT, connecting)).await;
        match within {
            Some(Some(outcome)) => outcome,
            Some(None) => Err(PeerError::Unreachable(format!(
                "member {to} at {address} did not answer in {CONNECT_TIMEOUT:?}"
            ))),
            None => Err(PeerError::Unreachable("this member is stopping".to_owned())),
        }
    }

    /// Hears who connected and why; answers.
    pub(super) async fn accept(
        transport: &PeerTransport,
        stream: TcpStream,
        me: MemberId,
    ) -> Result<(Self, MemberId, Purpose), PeerError> {
        let address = stream.peer_addr()?;
        let agreeing = async {
            let stream = transport.admit(stream).await?;
            let side = side(transport, me, &stream).await?;
            let living = transport.lifetime.enter();
            let mut connection = Self::new(stream, living);
            match connection.admit(side, transport).await? {
                Ok(agreed) => Ok(connection.agreed(agreed, transport)),
                Err((from, refused)) => {
                    connection.writer.send(&framed_bytes(&refusal(&refused))).await?;
                    if let Some(from) = from.filter(|_| refused.needs_operator) {
                        let why = &refused.why;
                        let what = format!(
                            "a connection from {address} that claims to be member {from} was \
                             refused: {why}"
                        );
                        transport.complaints.tell(from, &what);
                    }
                    Err(PeerError::Unreachable(refused.why))
                }
            }
        };
        timeout(CONNECT_TIMEOUT, agreeing).await.unwrap_or_else(|| {
            Err(PeerError::Broken("the peer did not complete the handshake in time".to_owned()))
        })
    }

    /// The handshake of who connects.
    async fn introduce(
        &mut self,
        side: Side,
        peer: MemberId,
        purpose: Purpose,
    ) -> io::Result<Result<Agreed, Refused>> {
        let (connecting, hello) = Connecting::new(side, peer, purpose);
        self.writer.send(&framed_bytes(&hello)).await?;
        let answer = self.reader.next().await?.ok_or_else(hung_up)?;
        let (proofs, proving) = match connecting.answered(answer) {
            Ok(Answered::Agreed(agreed)) => return Ok(Ok(agreed)),
            Ok(Answered::Prove(proofs, proving)) => (proofs, proving),
            Err(refused) => return Ok(Err(refused)),
        };
        self.writer.send(&framed_bytes(&proofs)).await?;
        let verdict = self.reader.next().await?.ok_or_else(hung_up)?;
        Ok(proving.judged(verdict))
    }

    /// The handshake of who accepts.
    #[cfg_attr(not(test), expect(unused_variables, reason = "tests cut links"))]
    async fn admit(
        &mut self,
        side: Side,
        transport: &PeerTransport,
    ) -> io::Result<Result<Agreed, (Option<MemberId>, Refused)>> {
        let hello = self.reader.next().await?.ok_or_else(hung_up)?;
        let heard = hear(side, hello);
        #[cfg(test)]
        if let Ok(heard) = &heard {
            let (from, purpose) = heard.said();
            let link = transport.links.requests(from, purpose);
            link.passes().await;
            self.reader.set_link(link);
        }
        let (challenge, challenging) = match heard {
            Ok(Heard::Agreed(welcome, agreed)) => {
                self.writer.send(&framed_bytes(&welcome)).await?;
                return Ok(Ok(agreed));
            }
            Ok(Heard::Challenge(challenge, challenging)) => (challenge, challenging),
            Err(refused) => return Ok(Err(refused)),
        };
        self.writer.send(&framed_bytes(&challenge)).await?;
        let proofs = self.reader.next().await?.ok_or_else(hung_up)?;
        let from = challenging.from();
        match challenging.judge(&proofs) {
            Ok((verdict, agreed)) => {
                self.writer.send(&framed_bytes(&verdict)).await?;
                Ok(Ok(agreed))
            }
            Err(refused) => Ok(Err((Some(from), refused))),
        }
    }

    /// From now on it is a member that is heard.
    fn agreed(mut self, agreed: Agreed, transport: &PeerTransport) -> (Self, MemberId, Purpose) {
        self.reader.frames.bytes_max = transport.frame_bytes_max;
        self.reader.frames.read_bytes = READ_BYTES;
        if let Some(seals) = agreed.seals {
            let Seals { sending, receiving } = *seals;
            self.reader.frames.seal = Some(receiving);
            self.writer.seal = Some(sending);
        }
        (self, agreed.from, agreed.purpose)
    }
}

async fn side(transport: &PeerTransport, me: MemberId, stream: &Stream) -> io::Result<Side> {
    let mut nonce = Nonce::default();
    getrandom::fill(&mut nonce)?;
    Ok(Side { me, policy: transport.auth.policy().await, tls: stream.is_tls(), nonce })
}

fn hung_up() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "it closed the connection during the handshake: check that both use TLS or neither does, \
         and that each trusts the other's certificate",
    )
}

/// Reads frames. A read given up halfway goes on with the next.
#[derive(Debug)]
pub(super) struct FrameReader {
    half: ReadHalf<Stream>,
    frames: Frames,
    #[cfg(test)]
    link: Option<Link>,
}

impl FrameReader {
    /// Has everything read pass a link that tests can cut.
    #[cfg(test)]
    fn set_link(&mut self, link: Link) {
        self.link = Some(link);
    }

    /// The next frame; None at the end.
    pub(super) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            #[cfg(test)]
            if let Some(link) = &self.link {
                link.passes().await;
            }
            if let Some(frame) = self.frames.take()? {
                return Ok(Some(frame));
            }
            if self.half.read_buf(self.frames.space()).await? == 0 {
                return match self.frames.buffer.is_empty() {
                    true => Ok(None),
                    false => Err(io::ErrorKind::UnexpectedEof.into()),
                };
            }
        }
    }
}

/// Frames out of the bytes that have arrived.
#[derive(Debug)]
struct Frames {
    buffer: BytesMut,
    bytes_max: usize,
    /// Read at once, if a frame does not ask for more.
    read_bytes: usize,
    seal: Option<Seal>,
}

impl Frames {
    fn of_handshake() -> Self {
        let bytes_max = HANDSHAKE_BYTES_MAX;
        Self { buffer: BytesMut::new(), bytes_max, read_bytes: bytes_max, seal: None }
    }

    fn announced(&self) -> Option<usize> {
        let mut head = self.buffer.get(..4)?;
        usize::try_from(head.get_u32_le()).ok()
    }

    fn seal_bytes(&self) -> usize {
        if self.seal.is_some() { SEAL_BYTES } else { 0 }
    }

    /// Where to read on. Not more than a little ahead of what came: a length
    /// alone reserves nothing large.
    fn space(&mut self) -> &mut BytesMut {
        let whole = self.announced().map_or(0, |len| len + 4 + self.seal_bytes());
        let missing = whole.saturating_sub(self.buffer.len());
        let ahead = missing.min(self.buffer.len()).max(self.read_bytes);
        self.buffer.reserve(ahead);
        &mut self.buffer
    }

    fn take(&mut self) -> io::Result<Option<Bytes>> {
        let Some(len) = self.announced() else { return Ok(None) };
        if len > self.bytes_max {
            let what = format!("a frame of {len} bytes is above the limit");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        if self.buffer.len() < len + 4 + self.seal_bytes() {
            return Ok(None);
        }
        self.buffer.advance(4);
        let content = self.buffer.split_to(len).freeze();
        if let Some(seal) = &mut self.seal {
            let given = self.buffer.split_to(SEAL_BYTES);
            if !seal.is_intact(&content, &given) {
                return Err(io::Error::other("a frame was corrupted or altered in transit"));
            }
        }
        Ok(Some(content))
    }
}

/// Writes frames.
#[derive(Debug)]
pub(super) struct FrameWriter {
    half: WriteHalf<Stream>,
    seal: Option<Seal>,
}

impl FrameWriter {
    /// Sends frames made by [`framed`]. Given up halfway, the connection is
    /// good for nothing more.
    pub(super) async fn send(&mut self, frames: &[u8]) -> io::Result<()> {
        match &mut self.seal {
            None => self.half.write_all(frames).await?,
            Some(seal) if frames.len() <= JOINED_BYTES_MAX => {
                self.half.write_all(&sealed(seal, frames)).await?;
            }
            Some(seal) => {
                for frame in each(frames) {
                    let tag = seal.seal(&frame[4..]);
                    let mut whole = Buf::chain(frame, &tag[..]);
                    self.half.write_all_buf(&mut whole).await?;
                }
            }
        }
        self.half.flush().await
    }
}

/// Frames with their seals.
fn sealed(seal: &mut Seal, frames: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(frames.len() + SEAL_BYTES);
    for frame in each(frames) {
        out.extend_from_slice(frame);
        out.extend_from_slice(&seal.seal(&frame[4..]));
    }
    out
}

/// One frame after the other, each with its head.
fn each(mut frames: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (head, _) = frames.split_first_chunk::<4>()?;
        let len = usize::try_from(u32::from_le_bytes(*head)).ok()?;
        let (frame, rest) = frames.split_at_checked(len.checked_add(4)?)?;
        frames = rest;
        Some(frame)
    })
}

/// A frame around what `encode` appends.
pub(super) fn framed(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = vec![0; 4];
    encode(&mut out);
    let len = u32::try_from(out.len() - 4).expect("limits keep a frame below 4 GiB");
    out[..4].copy_from_slice(&len.to_le_bytes());
    out
}

fn framed_bytes(content: &[u8]) -> Vec<u8> {
    framed(|out| out.extend_from_slice(content))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(bytes_max: usize, seal: Option<Seal>) -> Frames {
        Frames { buffer: BytesMut::new(), bytes_max, read_bytes: READ_BYTES, seal }
    }

    fn arrive(frames: &mut Frames, mut bytes: &[u8]) -> usize {
        let mut largest = 0;
        while !bytes.is_empty() {
            let space = frames.space();
            largest = largest.max(space.capacity());
            let now = bytes.len().min(1000).min(space.capacity() - space.len());
            space.extend_from_slice(&bytes[..now]);
            bytes = &bytes[now..];
        }
        largest
    }

    #[test]
    fn a_length_alone_reserves_nothing() {
        let mut frames = member(64 << 20, None);
        let head = (60u32 << 20).to_le_bytes();
        assert!(arrive(&mut frames, &head) <= 2 * READ_BYTES);
        assert!(frames.take().unwrap().is_none());
        let largest = arrive(&mut frames, &vec![7; 300_000]);
        assert!(largest <= 4 * (300_000 + READ_BYTES), "{largest} for 300,000 bytes");
    }

    #[test]
    fn before_it_is_known_who_speaks_only_small_frames_are_taken() {
        let mut frames = Frames::of_handshake();
        let largest = arrive(&mut frames, &framed_bytes(&[1; HANDSHAKE_BYTES_MAX]));
        assert_eq!(frames.take().unwrap().unwrap().len(), HANDSHAKE_BYTES_MAX);
        assert!(largest <= 4 * HANDSHAKE_BYTES_MAX, "{largest}");
        arrive(&mut frames, &framed_bytes(&[1; HANDSHAKE_BYTES_MAX + 1])[..4]);
        frames.take().unwrap_err();
    }

    #[test]
    fn sealed_frames_arrive_one_by_one_and_only_unaltered() {
        let frames = [&b"one"[..], b"", b"three"].map(framed_bytes).concat();
        let sent = sealed(&mut Seal::new([5; 32]), &frames);
        assert_eq!(sent.len(), frames.len() + 3 * SEAL_BYTES);
        let received = |bytes: &[u8]| {
            let mut frames = member(1024, Some(Seal::new([5; 32])));
            arrive(&mut frames, bytes);
            std::iter::from_fn(move || frames.take().transpose()).collect::<io::Result<Vec<_>>>()
        };
        assert_eq!(received(&sent).unwrap(), [&b"one"[..], b"", b"three"]);
        for place in 0..sent.len() {
            let mut altered = sent.clone();
            altered[place] ^= 1;
            assert!(received(&altered).map_or(true, |frames| frames.len() < 3), "byte {place}");
        }
        assert_eq!(received(&sent[..sent.len() - 1]).unwrap().len(), 2, "the last is not whole");
    }
}
