//! The handshake: the first frame in each direction.

use bytes::Bytes;

use super::jute::{Reader, put_boolean, put_buffer, put_int, put_long};
use crate::DecodeError;

/// The client's first frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectRequest {
    /// 0 from every known client; servers do not look.
    pub protocol_version: i32,
    /// The newest state the client has seen: a server behind it must refuse.
    pub last_zxid_seen: i64,
    /// The session timeout asked for, in milliseconds. May be anything.
    pub timeout_ms: i32,
    /// The session to come back to; 0 opens a new one.
    pub session: i64,
    /// Its password; sixteen zeros, empty or null for a new one.
    pub password: Option<Bytes>,
    /// Whether a read-only server will do; absent from some clients' frames.
    pub read_only: Option<bool>,
}

/// The server's first frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectResponse {
    /// 0.
    pub protocol_version: i32,
    /// The timeout granted; 0 says that there is no such session.
    pub timeout_ms: i32,
    /// The session; 0 if there is none.
    pub session: i64,
    /// Its password; sixteen zeros if there is none.
    pub password: Option<Bytes>,
    /// Whether the server is read-only; present if it was in the request.
    pub read_only: Option<bool>,
}

impl ConnectRequest {
    /// Reads a frame's payload. Bytes behind the record are ignored.
    ///
    /// # Errors
    /// [`DecodeError`] if it is not one.
    pub fn decode(payload: Bytes) -> Result<Self, DecodeError> {
        let mut input = Reader::new(payload);
        Ok(Self {
            protocol_version: input.int("protocol version")?,
            last_zxid_seen: input.long("last zxid seen")?,
            timeout_ms: input.int("timeout")?,
            session: input.long("session id")?,
            password: input.buffer("password")?,
            read_only: optional_boolean(&mut input)?,
        })
    }

    /// Appends the payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_int(out, self.protocol_version);
        put_long(out, self.last_zxid_seen);
        put_int(out, self.timeout_ms);
        put_long(out, self.session);
        put_buffer(out, self.password.as_deref());
        put_optional_boolean(out, self.read_only);
    }
}

impl ConnectResponse {
    /// The answer to a client whose session is unknown, expired or not its own.
    pub fn no_session(read_only: Option<bool>) -> Self {
        Self {
            protocol_version: 0,
            timeout_ms: 0,
            session: 0,
            password: Some(Bytes::from_static(&[0; 16])),
            read_only,
        }
    }

    /// Reads a frame's payload. Bytes behind the record are ignored.
    ///
    /// # Errors
    /// [`DecodeError`] if it is not one.
    pub fn decode(payload: Bytes) -> Result<Self, DecodeError> {
        let mut input = Reader::new(payload);
        Ok(Self {
            protocol_version: input.int("protocol version")?,
            timeout_ms: input.int("timeout")?,
            session: input.long("session id")?,
            password: input.buffer("password")?,
            read_only: optional_boolean(&mut input)?,
        })
    }

    /// Appends the payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_int(out, self.protocol_version);
        put_int(out, self.timeout_ms);
        put_long(out, self.session);
        put_buffer(out, self.password.as_deref());
        put_optional_boolean(out, self.read_only);
    }
}

fn optional_boolean(input: &mut Reader) -> Result<Option<bool>, DecodeError> {
    if input.remaining() == 0 {
        return Ok(None);
    }
    input.boolean("read-only flag").map(Some)
}

fn put_optional_boolean(out: &mut Vec<u8>, value: Option<bool>) {
    if let Some(value) = value {
        put_boolean(out, value);
    }
}
