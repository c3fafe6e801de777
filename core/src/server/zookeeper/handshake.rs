//! The first frame of a connection: which session it is for.

use bytes::Bytes;
use coord_state::session::SessionCommand;
use coord_state::{Command, Reply, SessionId};
use coord_wire::zookeeper::connect::{ConnectRequest, ConnectResponse};

use super::connection::Peer;
use super::translate::Owner;

/// What comes of a handshake.
pub(super) enum Handshake {
    /// The connection has a session.
    Accepted(Owner, ConnectResponse),
    /// There is no such session: answer and close.
    NoSession(ConnectResponse),
    /// Close without a word: the client tries another server.
    Refused,
}

/// Opens a session or attaches to one. Returns once that is decided by the
/// cluster.
pub(super) async fn shake_hands(peer: &Peer, payload: Bytes) -> Handshake {
    let node = &peer.shared.node;
    let Ok(request) = ConnectRequest::decode(payload) else { return Handshake::Refused };
    if node.status().leader.is_none() {
        return Handshake::Refused;
    }
    // What the client has seen it must not see undone.
    if request.last_zxid_seen > node.read(|state| state.revision().zxid()) {
        return Handshake::Refused;
    }
    let timeout_ms = node.settings().session.negotiate(request.timeout_ms);
    let attachment = node.fresh_attachment();
    let (session, password, command) = if request.session == 0 {
        let session = node.fresh_session_id();
        let password = node.random::<16>();
        (session, password, SessionCommand::Open { session, password, timeout_ms, attachment })
    } else {
        let session = SessionId(request.session);
        let presented = request.password.as_deref().unwrap_or_default();
        let Ok(password) = <[u8; 16]>::try_from(presented) else {
            return Handshake::NoSession(no_session(&request));
        };
        (session, password, SessionCommand::Attach { session, password, timeout_ms, attachment })
    };
    // Told before the outcome is known, so that its own move does not end it.
    peer.inbox.set_attachment(attachment);
    let Ok(applied) = node.propose(Command::Session(command)).await else {
        return Handshake::Refused;
    };
    match applied.result {
        Ok(Reply::Session { timeout_ms }) => Handshake::Accepted(
            Owner { session, attachment },
            ConnectResponse {
                protocol_version: 0,
                timeout_ms: i32::try_from(timeout_ms).unwrap_or(i32::MAX),
                session: session.0,
                password: Some(Bytes::copy_from_slice(&password)),
                read_only: request.read_only.map(|_| false),
            },
        ),
        _ => Handshake::NoSession(no_session(&request)),
    }
}

fn no_session(request: &ConnectRequest) -> ConnectResponse {
    ConnectResponse::no_session(request.read_only.map(|_| false))
}

/// Whether the session is still this connection's. Asked after registering for
/// its end: between handshake and registration it may have moved on.
pub(super) fn still_owns(peer: &Peer, owner: Owner) -> bool {
    peer.shared.node.read(|state| {
        state
            .sessions()
            .session(owner.session)
            .is_some_and(|session| session.attachment == owner.attachment)
    })
}
