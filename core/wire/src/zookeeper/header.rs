//! What stands before every request and reply, and the body of a watch event.

use super::jute::{Reader, put_int, put_long, put_text};
use super::{ErrorCode, Text};
use crate::DecodeError;

/// Special request numbers.
pub mod xid {
    /// A watch event; only from the server.
    pub const WATCH_EVENT: i32 = -1;
    /// A ping, and its reply whatever the ping's number.
    pub const PING: i32 = -2;
    /// An auth packet, by convention.
    pub const AUTH: i32 = -4;
    /// A `setWatches`, by convention.
    pub const SET_WATCHES: i32 = -8;
}

/// Before every request body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHeader {
    /// The client's number for the request; the reply has it too.
    pub xid: i32,
    /// An [`super::OpCode`], or something unknown.
    pub op: i32,
}

/// Before every reply body and watch event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyHeader {
    /// The request's number, or one of [`xid`].
    pub xid: i32,
    /// The state the reply was made at.
    pub zxid: i64,
    /// If not `Ok`, there is no body.
    pub error: ErrorCode,
}

/// What happened to a watched znode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatcherEvent {
    /// 1 created, 2 deleted, 3 data changed, 4 children changed.
    pub kind: i32,
    /// [`Self::CONNECTED`] from every server.
    pub state: i32,
    /// The znode.
    pub path: Text,
}

impl RequestHeader {
    /// Reads a header.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self { xid: input.int("xid")?, op: input.int("operation")? })
    }

    /// Appends a header.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_int(out, self.xid);
        put_int(out, self.op);
    }
}

impl ReplyHeader {
    /// Reads a header.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            xid: input.int("xid")?,
            zxid: input.long("zxid")?,
            error: ErrorCode::from_code(input.int("error code")?),
        })
    }

    /// Appends a header.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_int(out, self.xid);
        put_long(out, self.zxid);
        put_int(out, self.error.code());
    }
}

impl WatcherEvent {
    /// The client is connected; the only state a server sends.
    pub const CONNECTED: i32 = 3;

    /// Reads an event.
    ///
    /// # Errors
    /// [`DecodeError`] if it is not one.
    pub fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            kind: input.int("event type")?,
            state: input.int("event state")?,
            path: input.text("event path")?,
        })
    }

    /// Appends an event.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_int(out, self.kind);
        put_int(out, self.state);
        put_text(out, &self.path);
    }
    /// Appends an event of a connected client.
    pub fn put(out: &mut Vec<u8>, kind: i32, path: &str) {
        put_int(out, kind);
        put_int(out, Self::CONNECTED);
        put_text(out, path);
    }
}
