//! Connections between members: a handshake, then frames.
//!
//! ```text
//! frame = length of what follows u32 | bytes
//! first frame, from who connects = magic "coordper" | version u16 | purpose u8 | from u64 | to u64
//! answer = 0 u8, or a refusal: other u8 | text
//! ```
//!
//! Each purpose has a connection of its own, so that no large transfer delays a
//! heartbeat.

use std::io;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use coord_state::MemberId;
use coord_state::codec::{CodecError, Decode, Encode, Input};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;

use super::lifetime::{Living, timeout};
#[cfg(test)]
use super::links::Link;
use super::peer_transport::PeerTransport;
use crate::tls::Stream;

const MAGIC: &[u8; 8] = b"coordper";
/// 2: append requests carry a rider, and snapshots can be fetched.
const VERSION: u16 = 2;
const READ_BYTES: usize = 64 << 10;
const HELLO_BYTES_MAX: usize = 1024;
/// Time to connect and agree.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

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
    fn new(stream: Stream, living: Living, frame_bytes_max: usize) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self {
            reader: FrameReader {
                half: reader,
                buffer: BytesMut::new(),
                frame_bytes_max,
                #[cfg(test)]
                link: None,
            },
            writer: FrameWriter { half: writer },
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
                    PeerError::NobodyListens(format!("member {to} does not listen at {address}"))
                }
                _ => unreachable(error),
            })?;
            let living = transport.lifetime.enter();
            let mut connection = Self::new(stream, living, transport.frame_bytes_max);
            #[cfg(test)]
            connection.reader.set_link(transport.links.answers(to));
            let hello = framed(|out| {
                out.extend_from_slice(MAGIC);
                VERSION.encode(out);
                purpose.encode(out);
                from.encode(out);
                to.encode(out);
            });
            connection.writer.send(&hello).await?;
            match connection.reader.next().await.map_err(unreachable)? {
                Some(answer) if answer.first() == Some(&0) => Ok(connection),
                Some(answer) => Err(PeerError::Unreachable(format!(
                    "member {to} at {address} refused: {}",
                    String::from_utf8_lossy(answer.get(1..).unwrap_or_default())
                ))),
                None => Err(PeerError::Broken(format!(
                    "member {to} at {address} hung up: does one of the two speak TLS, or have a \
                     certificate, that the other does not take?"
                ))),
            }
        };
        let within = transport.lifetime.until_end(timeout(CONNECT_TIMEOUT, connecting)).await;
        match within {
            Some(Some(outcome)) => outcome,
            Some(None) => Err(PeerError::Unreachable(format!(
                "member {to} at {address} did not answer in {CONNECT_TIMEOUT:?}"
            ))),
            None => Err(PeerError::Unreachable("this member stops".to_owned())),
        }
    }

    /// Hears who connected and why; answers.
    pub(super) async fn accept(
        transport: &PeerTransport,
        stream: TcpStream,
        me: MemberId,
    ) -> Result<(Self, MemberId, Purpose), PeerError> {
        let agreeing = async {
            let stream = transport.admit(stream).await?;
            let living = transport.lifetime.enter();
            let mut connection = Self::new(stream, living, HELLO_BYTES_MAX);
            let Some(hello) = connection.reader.next().await? else {
                return Err(PeerError::Broken("the peer hung up".to_owned()));
            };
            match read_hello(hello, me) {
                Ok((from, purpose)) => {
                    #[cfg(test)]
                    {
                        let link = transport.links.requests(from, purpose);
                        link.passes().await;
                        connection.reader.set_link(link);
                    }
                    connection.writer.send(&framed(|out| out.push(0))).await?;
                    connection.reader.frame_bytes_max = transport.frame_bytes_max;
                    Ok((connection, from, purpose))
                }
                Err(refusal) => {
                    let answer = framed(|out| {
                        out.push(1);
                        out.extend_from_slice(refusal.as_bytes());
                    });
                    connection.writer.send(&answer).await?;
                    Err(PeerError::Unreachable(refusal))
                }
            }
        };
        timeout(CONNECT_TIMEOUT, agreeing)
            .await
            .unwrap_or_else(|| Err(PeerError::Broken("the peer did not say who it is".to_owned())))
    }
}

fn read_hello(hello: Bytes, me: MemberId) -> Result<(MemberId, Purpose), String> {
    let mut input = Input::new(hello);
    let magic = input.take(MAGIC.len(), "magic");
    if magic.as_deref() != Ok(MAGIC.as_slice()) {
        return Err("this is the port for other members".to_owned());
    }
    let version = u16::decode(&mut input).map_err(|error| error.to_string())?;
    if version != VERSION {
        return Err(format!("protocol version {version} is unknown here, {VERSION} is not"));
    }
    let rest = |input: &mut Input| -> Result<(Purpose, MemberId, MemberId), CodecError> {
        Ok((Decode::decode(input)?, Decode::decode(input)?, Decode::decode(input)?))
    };
    let (purpose, from, to) = rest(&mut input).map_err(|error| error.to_string())?;
    if to != me {
        return Err(format!("this is member {me}, not member {to}"));
    }
    Ok((from, purpose))
}

/// Reads frames. A read given up halfway goes on with the next.
#[derive(Debug)]
pub(super) struct FrameReader {
    half: ReadHalf<Stream>,
    buffer: BytesMut,
    frame_bytes_max: usize,
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
            if let Some(frame) = self.take_frame()? {
                return Ok(Some(frame));
            }
            let wanted = self.missing().max(READ_BYTES);
            self.buffer.reserve(wanted);
            if self.half.read_buf(&mut self.buffer).await? == 0 {
                return match self.buffer.is_empty() {
                    true => Ok(None),
                    false => Err(io::ErrorKind::UnexpectedEof.into()),
                };
            }
        }
    }

    fn announced(&self) -> Option<usize> {
        let mut head = self.buffer.get(..4)?;
        usize::try_from(head.get_u32_le()).ok()
    }

    fn missing(&self) -> usize {
        // Not more than a little ahead of what came: a length alone reserves nothing large.
        let missing = self.announced().map_or(0, |len| (len + 4).saturating_sub(self.buffer.len()));
        missing.min(self.buffer.len().max(READ_BYTES))
    }

    fn take_frame(&mut self) -> io::Result<Option<Bytes>> {
        let Some(len) = self.announced() else { return Ok(None) };
        if len > self.frame_bytes_max {
            let what = format!("a frame of {len} bytes is above the limit");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        if self.buffer.len() < len + 4 {
            return Ok(None);
        }
        self.buffer.advance(4);
        Ok(Some(self.buffer.split_to(len).freeze()))
    }
}

/// Writes frames.
#[derive(Debug)]
pub(super) struct FrameWriter {
    half: WriteHalf<Stream>,
}

impl FrameWriter {
    /// Sends frames made by [`framed`].
    pub(super) async fn send(&mut self, frames: &[u8]) -> io::Result<()> {
        self.half.write_all(frames).await?;
        self.half.flush().await
    }
}

/// A frame around what `encode` appends.
pub(super) fn framed(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = vec![0; 4];
    encode(&mut out);
    let len = u32::try_from(out.len() - 4).expect("limits keep a frame below 4 GiB");
    out[..4].copy_from_slice(&len.to_le_bytes());
    out
}
