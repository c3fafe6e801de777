//! Frames: a length before every message, in both directions.

use bytes::{Buf, Bytes, BytesMut};

use super::jute::int_length;
use crate::DecodeError;

/// Takes the next whole frame's payload off the front of what was received;
/// `None` if more must be received first.
///
/// # Errors
/// A negative length, or one past `limit`: nothing after it can be understood.
pub fn take(received: &mut BytesMut, limit: usize) -> Result<Option<Bytes>, DecodeError> {
    let Some(prefix) = received.first_chunk::<4>() else { return Ok(None) };
    let length = i32::from_be_bytes(*prefix);
    let Ok(payload) = usize::try_from(length) else {
        return Err(DecodeError::NegativeLength { what: "frame", length });
    };
    if payload > limit {
        return Err(DecodeError::TooLong { what: "frame", length: payload, limit });
    }
    if received.len() - 4 < payload {
        return Ok(None);
    }
    received.advance(4);
    Ok(Some(received.split_to(payload).freeze()))
}

/// Appends a frame whose payload is what `write` appends.
pub fn put(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out);
    let length = int_length(out.len() - start - 4);
    if let Some(prefix) = out[start..].first_chunk_mut::<4>() {
        *prefix = length.to_be_bytes();
    }
}
