//! Opens one connection: server selection, TLS, handshake and SASL.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use coord_wire::zookeeper::connect::{ConnectRequest, ConnectResponse};
use coord_wire::zookeeper::{ErrorCode, frame};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::hosts::Target;
use super::login::{log_in, next_frame};
use super::settings::Settings;
use super::state::SessionInfo;
use crate::client::time::within;
use crate::tls::{Connector, Stream};

/// A connection that a session is attached to.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) stream: Stream,
    /// Data received after the handshake.
    pub(super) received: BytesMut,
    pub(super) session: SessionInfo,
}

/// The result of trying one server.
#[derive(Debug)]
pub(super) enum Attempt {
    Attached(Link),
    /// The session has expired.
    Expired,
    /// Authentication failed, as it would at any other server.
    Refused(ErrorCode),
    /// Try another.
    Failed(io::Error),
}

/// Connects to one server and attaches `session` there, or a new one if its
/// id is 0.
pub(super) async fn attach(
    target: &Target,
    connector: Option<&Connector>,
    settings: &Settings,
    session: &SessionInfo,
    last_zxid: i64,
) -> Attempt {
    let attempt = within(settings.connect_timeout, async {
        let stream = TcpStream::connect(target.address).await?;
        stream.set_nodelay(true)?;
        let stream = match connector {
            Some(connector) => connector.connect(&target.host, stream).await?,
            None => Stream::Plain(stream),
        };
        shake_hands(stream, settings, session, last_zxid).await
    });
    match attempt.await {
        Some(Ok(attempt)) => attempt,
        Some(Err(error)) => Attempt::Failed(error),
        None => Attempt::Failed(io::ErrorKind::TimedOut.into()),
    }
}

async fn shake_hands(
    mut stream: Stream,
    settings: &Settings,
    session: &SessionInfo,
    last_zxid: i64,
) -> io::Result<Attempt> {
    let request = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: last_zxid,
        timeout_ms: i32::try_from(settings.session_timeout.as_millis()).unwrap_or(i32::MAX),
        session: session.id,
        password: Some(Bytes::copy_from_slice(password(session))),
        read_only: Some(settings.read_only),
    };
    let mut out = Vec::new();
    frame::put(&mut out, |out| request.encode(out));
    stream.write_all(&out).await?;
    stream.flush().await?;

    let mut received = BytesMut::new();
    let payload = next_frame(&mut stream, &mut received, settings.frame_bytes_max).await?;
    let response = ConnectResponse::decode(payload).map_err(io::Error::other)?;
    let timeout_ms = u64::try_from(response.timeout_ms).unwrap_or_default();
    if timeout_ms == 0 || response.session == 0 {
        return Ok(Attempt::Expired);
    }
    if let Some(login) = &settings.sasl
        && let Err(code) = log_in(&mut stream, &mut received, login).await?
    {
        return Ok(Attempt::Refused(code));
    }
    let session = SessionInfo {
        id: response.session,
        password: response.password.unwrap_or_default().to_vec(),
        timeout: Duration::from_millis(timeout_ms),
    };
    Ok(Attempt::Attached(Link { stream, received, session }))
}

fn password(session: &SessionInfo) -> &[u8] {
    if session.password.is_empty() { &[0; 16] } else { &session.password }
}
