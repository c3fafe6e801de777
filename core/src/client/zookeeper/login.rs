//! SASL authentication with DIGEST-MD5, immediately after the handshake.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use coord_wire::zookeeper::digest_md5::{Challenge, Response, Side, decode_server_proof};
use coord_wire::zookeeper::header::{ReplyHeader, RequestHeader};
use coord_wire::zookeeper::jute::Reader;
use coord_wire::zookeeper::{ErrorCode, OpCode, Reply, Request, frame};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::settings::Login;
use crate::tls::Stream;

/// Larger than any token.
const FRAME_BYTES_MAX: usize = 64 << 10;

/// The result of the authentication.
pub(super) type Outcome = Result<(), ErrorCode>;

/// Authenticates, and verifies that the server knows the password, too.
///
/// # Errors
/// The failure of the connection. The outcome is the server's, or `AuthFailed`
/// if it does not know the password or sends an unrelated reply.
pub(super) async fn log_in(
    stream: &mut Stream,
    received: &mut BytesMut,
    login: &Login,
) -> io::Result<Outcome> {
    let token = match say(stream, received, 1, Bytes::new()).await? {
        Ok(token) => token,
        Err(code) => return Ok(Err(code)),
    };
    let Ok(challenge) = Challenge::decode(&token) else { return Ok(Err(ErrorCode::AuthFailed)) };
    let mut random = [0; 18];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let password = login.password.reveal();
    let response = Response::to(&challenge, &login.user, password, &STANDARD.encode(random));
    let token = match say(stream, received, 2, response.encode().into()).await? {
        Ok(token) => token,
        Err(code) => return Ok(Err(code)),
    };
    let proven = decode_server_proof(&token)
        .is_ok_and(|proof| response.proofs(password, Side::Server).contains(&proof));
    Ok(if proven { Ok(()) } else { Err(ErrorCode::AuthFailed) })
}

/// Sends a token and waits for the response. Nothing else is in flight yet.
async fn say(
    stream: &mut Stream,
    received: &mut BytesMut,
    xid: i32,
    token: Bytes,
) -> io::Result<Result<Bytes, ErrorCode>> {
    let mut out = Vec::new();
    frame::put(&mut out, |out| {
        RequestHeader { xid, op: OpCode::Sasl.code() }.encode(out);
        Request::Sasl { token: Some(token) }.encode(out);
    });
    stream.write_all(&out).await?;
    stream.flush().await?;
    let mut input = Reader::new(next_frame(stream, received, FRAME_BYTES_MAX).await?);
    let header = ReplyHeader::decode(&mut input).map_err(io::Error::other)?;
    if header.xid != xid {
        return Err(io::Error::other(
            "the server sent an unrelated reply during SASL authentication",
        ));
    }
    if header.error != ErrorCode::Ok {
        return Ok(Err(header.error));
    }
    match Reply::decode(OpCode::Sasl, input.rest()).map_err(io::Error::other)? {
        Reply::Token(token) => Ok(Ok(token.unwrap_or_default())),
        _ => Ok(Err(ErrorCode::AuthFailed)),
    }
}

/// The next frame's payload.
pub(super) async fn next_frame(
    stream: &mut Stream,
    received: &mut BytesMut,
    bytes_max: usize,
) -> io::Result<Bytes> {
    loop {
        if let Some(payload) = frame::take(received, bytes_max).map_err(io::Error::other)? {
            return Ok(payload);
        }
        if stream.read_buf(received).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}
