//! The first frame of a connection, which opens or resumes a session.

use bytes::Bytes;
use coord_state::session::SessionCommand;
use coord_state::{Attachment, Command, Rejection, Reply, SessionId};
use coord_wire::zookeeper::connect::{ConnectRequest, ConnectResponse};
use tokio::sync::watch;

use super::local_sessions::{Claim, Found, LocalKind};
use super::service_mode::ServiceMode;
use crate::server::zookeeper::client_connection::ClientConnection;
use crate::server::zookeeper::translate::Owner;

/// What comes of a handshake.
pub(crate) enum Handshake {
    /// The connection has a session, for as long as the member stands so.
    Accepted(Owner, ServiceMode, ConnectResponse),
    /// There is no such session: answer and close.
    NoSession(ConnectResponse),
    /// Close without a word: the client tries another server.
    Refused,
}

/// Why there is no session.
enum Failure {
    /// It ended, never was, or is somebody else's.
    NoSession,
    /// This member cannot tell now, or serves no one like this.
    Refused,
}

/// Opens a session or attaches to one. Returns once that is decided: by the
/// cluster, or, for a session that only this member knows, here.
pub(crate) async fn shake_hands(client: &ClientConnection, payload: Bytes) -> Handshake {
    let Ok(request) = ConnectRequest::decode(payload) else { return Handshake::Refused };
    let service_mode = client.shared.service_mode();
    let shaken = match service_mode {
        _ if is_ahead(client, &request) => Err(Failure::Refused),
        ServiceMode::ReadWrite => serve(client, &request).await,
        ServiceMode::ReadOnly => let_read(client, &request),
        ServiceMode::CutOff => Err(Failure::Refused),
    };
    let read_only = request.read_only.map(|_| service_mode == ServiceMode::ReadOnly);
    match shaken {
        Ok(claim) => Handshake::Accepted(claim.owner, service_mode, response(&claim, read_only)),
        Err(Failure::NoSession) => Handshake::NoSession(ConnectResponse::no_session(read_only)),
        Err(Failure::Refused) => Handshake::Refused,
    }
}

/// What the client has seen it must not see undone.
fn is_ahead(client: &ClientConnection, request: &ConnectRequest) -> bool {
    request.last_zxid_seen > client.shared.node.read(|state| state.revision().zxid())
}

async fn serve(client: &ClientConnection, request: &ConnectRequest) -> Result<Claim, Failure> {
    let node = &client.shared.node;
    if node.status().leader.is_none() {
        return Err(Failure::Refused);
    }
    let local = &client.shared.local_sessions;
    if request.session == 0 {
        let claim = fresh_claim(client, request)?;
        if !claim.owner.local {
            return open(client, claim).await;
        }
        local.open(LocalKind::Local, claim, &client.inbox, node.clock().monotonic());
        return Ok(claim);
    }
    let claim = claim(client, request, SessionId(request.session), password(request)?, false);
    let found = local.find(claim.owner.session, claim.password);
    match found {
        Found::NotTheirs => return Err(Failure::NoSession),
        Found::Elsewhere => return attach(client, claim).await,
        Found::Proposed => match attach(client, claim).await {
            Ok(attached) => {
                local.close(claim.owner.session);
                return Ok(attached);
            }
            // The cluster never had it: nothing of this member comes late.
            Err(Failure::NoSession) => {}
            Err(Failure::Refused) => return Err(Failure::Refused),
        },
        Found::Here => {}
    }
    attach_here(client, claim)
}

/// In read-only mode: what this member has is all there is to go by.
fn let_read(client: &ClientConnection, request: &ConnectRequest) -> Result<Claim, Failure> {
    if request.read_only != Some(true) {
        return Err(Failure::Refused);
    }
    let node = &client.shared.node;
    let local = &client.shared.local_sessions;
    let now = node.clock().monotonic();
    if request.session == 0 {
        let mut claim = fresh_claim(client, request)?;
        let kind = if claim.owner.local { LocalKind::Local } else { LocalKind::ReadOnly };
        claim.owner.local = true;
        local.open(kind, claim, &client.inbox, now);
        return Ok(claim);
    }
    let claim = claim(client, request, SessionId(request.session), password(request)?, true);
    match local.find(claim.owner.session, claim.password) {
        Found::NotTheirs => return Err(Failure::NoSession),
        Found::Here | Found::Proposed => return attach_here(client, claim),
        Found::Elsewhere => {}
    }
    let known = node.read(|state| {
        let session = state.sessions().session(claim.owner.session);
        session.is_some_and(|session| session.password == claim.password)
    });
    if !known {
        return Err(Failure::NoSession);
    }
    local.open(LocalKind::Visiting, claim, &client.inbox, now);
    Ok(claim)
}

fn attach_here(client: &ClientConnection, mut claim: Claim) -> Result<Claim, Failure> {
    claim.owner.local = true;
    let now = client.shared.node.clock().monotonic();
    let attached = client.shared.local_sessions.attach(claim, &client.inbox, now);
    if attached { Ok(claim) } else { Err(Failure::NoSession) }
}

async fn open(client: &ClientConnection, claim: Claim) -> Result<Claim, Failure> {
    let Claim { owner: Owner { session, attachment, .. }, password, timeout_ms } = claim;
    let open = SessionCommand::Open { session, password, timeout_ms, attachment };
    decide(client, claim, open).await
}

async fn attach(client: &ClientConnection, claim: Claim) -> Result<Claim, Failure> {
    let Claim { owner: Owner { session, attachment, .. }, password, timeout_ms } = claim;
    let attach = SessionCommand::Attach { session, password, timeout_ms, attachment };
    decide(client, claim, attach).await
}

async fn decide(
    client: &ClientConnection,
    claim: Claim,
    command: SessionCommand,
) -> Result<Claim, Failure> {
    let command = Command::Session(command);
    let mut service_mode = client.shared.service_mode.subscribe();
    let applied = tokio::select! {
        applied = client.shared.node.propose(&command) => applied,
        // The client is to look for a member that hears a majority. What becomes of the command
        // it finds out there: a session that was attached is attached anew.
        () = cut_off(&mut service_mode) => return Err(Failure::Refused),
    };
    match applied.map(|applied| applied.result) {
        Ok(Ok(Reply::Session { timeout_ms })) => Ok(Claim { timeout_ms, ..claim }),
        Ok(Ok(_) | Err(Rejection::SessionExpired | Rejection::BadArguments(_))) => {
            Err(Failure::NoSession)
        }
        Ok(Err(_)) | Err(_) => Err(Failure::Refused),
    }
}

/// Returns once this member does not serve everybody any more. Cancel safe.
async fn cut_off(service_mode: &mut watch::Receiver<ServiceMode>) {
    // A server that was dropped serves nobody.
    let _ = service_mode.wait_for(|service_mode| *service_mode != ServiceMode::ReadWrite).await;
}

/// For a session nobody had before, unless there are too many.
fn fresh_claim(client: &ClientConnection, request: &ConnectRequest) -> Result<Claim, Failure> {
    let shared = &client.shared;
    let sessions = shared.node.read(|state| state.sessions().len());
    if sessions + shared.local_sessions.len() >= shared.limits.zk_sessions_max {
        tracing::warn!(
            client = %client.address,
            "refusing a new session: too many sessions (limits.zk_sessions_max)"
        );
        return Err(Failure::Refused);
    }
    let local = shared.node.settings().zk.local_sessions;
    let (session, password) = (shared.node.fresh_session_id(), shared.node.random::<16>());
    Ok(claim(client, request, session, password, local))
}

fn claim(
    client: &ClientConnection,
    request: &ConnectRequest,
    session: SessionId,
    password: [u8; 16],
    local: bool,
) -> Claim {
    let node = &client.shared.node;
    let attachment: Attachment = node.fresh_attachment();
    // Told before the outcome is known, so that its own move does not end it.
    client.inbox.set_attachment(attachment);
    let timeout_ms = node.settings().session.negotiate(request.timeout_ms);
    Claim { owner: Owner { session, attachment, local }, password, timeout_ms }
}

fn password(request: &ConnectRequest) -> Result<[u8; 16], Failure> {
    let presented = request.password.as_deref().unwrap_or_default();
    presented.try_into().map_err(|_| Failure::NoSession)
}

fn response(claim: &Claim, read_only: Option<bool>) -> ConnectResponse {
    ConnectResponse {
        protocol_version: 0,
        timeout_ms: i32::try_from(claim.timeout_ms).unwrap_or(i32::MAX),
        session: claim.owner.session.0,
        password: Some(Bytes::copy_from_slice(&claim.password)),
        read_only,
    }
}

/// Whether the session is still this connection's. Asked after registering for
/// its end: between handshake and registration it may have moved on.
pub(crate) fn still_owns(client: &ClientConnection, owner: Owner) -> bool {
    // One that is known here alone was registered together with its move.
    owner.local
        || client.shared.node.read(|state| {
            let session = state.sessions().session(owner.session);
            session.is_some_and(|session| session.attachment == owner.attachment)
        })
}
