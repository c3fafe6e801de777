//! The first frame of a connection: which session it is for.

use bytes::Bytes;
use coord_state::session::SessionCommand;
use coord_state::{Attachment, Command, Rejection, Reply, SessionId};
use coord_wire::zookeeper::connect::{ConnectRequest, ConnectResponse};
use tokio::sync::watch;

use super::connection::Peer;
use super::local_sessions::{Claim, Found, LocalKind};
use super::standing::Standing;
use super::translate::Owner;

/// What comes of a handshake.
pub(super) enum Handshake {
    /// The connection has a session, for as long as the member stands so.
    Accepted(Owner, Standing, ConnectResponse),
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
pub(super) async fn shake_hands(peer: &Peer, payload: Bytes) -> Handshake {
    let Ok(request) = ConnectRequest::decode(payload) else { return Handshake::Refused };
    let standing = peer.shared.standing();
    let shaken = match standing {
        _ if is_ahead(peer, &request) => Err(Failure::Refused),
        Standing::ReadWrite => serve(peer, &request).await,
        Standing::ReadOnly => let_read(peer, &request),
        Standing::CutOff => Err(Failure::Refused),
    };
    let read_only = request.read_only.map(|_| standing == Standing::ReadOnly);
    match shaken {
        Ok(claim) => Handshake::Accepted(claim.owner, standing, response(&claim, read_only)),
        Err(Failure::NoSession) => Handshake::NoSession(ConnectResponse::no_session(read_only)),
        Err(Failure::Refused) => Handshake::Refused,
    }
}

/// What the client has seen it must not see undone.
fn is_ahead(peer: &Peer, request: &ConnectRequest) -> bool {
    request.last_zxid_seen > peer.shared.node.read(|state| state.revision().zxid())
}

async fn serve(peer: &Peer, request: &ConnectRequest) -> Result<Claim, Failure> {
    let node = &peer.shared.node;
    if node.status().leader.is_none() {
        return Err(Failure::Refused);
    }
    let local = &peer.shared.local_sessions;
    if request.session == 0 {
        let claim = fresh_claim(peer, request)?;
        if !claim.owner.local {
            return open(peer, claim).await;
        }
        local.open(LocalKind::Local, claim, &peer.inbox, node.clock().monotonic());
        return Ok(claim);
    }
    let claim = claim(peer, request, SessionId(request.session), password(request)?, false);
    let found = local.find(claim.owner.session, claim.password);
    match found {
        Found::NotTheirs => return Err(Failure::NoSession),
        Found::Elsewhere => return attach(peer, claim).await,
        Found::Proposed => match attach(peer, claim).await {
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
    attach_here(peer, claim)
}

/// In read-only mode: what this member has is all there is to go by.
fn let_read(peer: &Peer, request: &ConnectRequest) -> Result<Claim, Failure> {
    if request.read_only != Some(true) {
        return Err(Failure::Refused);
    }
    let node = &peer.shared.node;
    let local = &peer.shared.local_sessions;
    let now = node.clock().monotonic();
    if request.session == 0 {
        let mut claim = fresh_claim(peer, request)?;
        let kind = if claim.owner.local { LocalKind::Local } else { LocalKind::ReadOnly };
        claim.owner.local = true;
        local.open(kind, claim, &peer.inbox, now);
        return Ok(claim);
    }
    let claim = claim(peer, request, SessionId(request.session), password(request)?, true);
    match local.find(claim.owner.session, claim.password) {
        Found::NotTheirs => return Err(Failure::NoSession),
        Found::Here | Found::Proposed => return attach_here(peer, claim),
        Found::Elsewhere => {}
    }
    let known = node.read(|state| {
        let session = state.sessions().session(claim.owner.session);
        session.is_some_and(|session| session.password == claim.password)
    });
    if !known {
        return Err(Failure::NoSession);
    }
    local.open(LocalKind::Visiting, claim, &peer.inbox, now);
    Ok(claim)
}

fn attach_here(peer: &Peer, mut claim: Claim) -> Result<Claim, Failure> {
    claim.owner.local = true;
    let now = peer.shared.node.clock().monotonic();
    let attached = peer.shared.local_sessions.attach(claim, &peer.inbox, now);
    if attached { Ok(claim) } else { Err(Failure::NoSession) }
}

async fn open(peer: &Peer, claim: Claim) -> Result<Claim, Failure> {
    let Claim { owner: Owner { session, attachment, .. }, password, timeout_ms } = claim;
    let open = SessionCommand::Open { session, password, timeout_ms, attachment };
    decide(peer, claim, open).await
}

async fn attach(peer: &Peer, claim: Claim) -> Result<Claim, Failure> {
    let Claim { owner: Owner { session, attachment, .. }, password, timeout_ms } = claim;
    let attach = SessionCommand::Attach { session, password, timeout_ms, attachment };
    decide(peer, claim, attach).await
}

async fn decide(peer: &Peer, claim: Claim, command: SessionCommand) -> Result<Claim, Failure> {
    let mut standing = peer.shared.standing.subscribe();
    let applied = tokio::select! {
        applied = peer.shared.node.propose(Command::Session(command)) => applied,
        // The client is to look for a member that hears a majority. What becomes of the command
        // it finds out there: a session that was attached is attached anew.
        () = cut_off(&mut standing) => return Err(Failure::Refused),
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
async fn cut_off(standing: &mut watch::Receiver<Standing>) {
    // A server that was dropped serves nobody.
    let _ = standing.wait_for(|standing| *standing != Standing::ReadWrite).await;
}

/// For a session nobody had before, unless there are too many.
fn fresh_claim(peer: &Peer, request: &ConnectRequest) -> Result<Claim, Failure> {
    let shared = &peer.shared;
    let sessions = shared.node.read(|state| state.sessions().len());
    if sessions + shared.local_sessions.len() >= shared.limits.zk_sessions_max {
        tracing::warn!(peer = %peer.address, "too many sessions (limits.zk_sessions_max)");
        return Err(Failure::Refused);
    }
    let local = shared.node.settings().zk.local_sessions;
    let (session, password) = (shared.node.fresh_session_id(), shared.node.random::<16>());
    Ok(claim(peer, request, session, password, local))
}

fn claim(
    peer: &Peer,
    request: &ConnectRequest,
    session: SessionId,
    password: [u8; 16],
    local: bool,
) -> Claim {
    let node = &peer.shared.node;
    let attachment: Attachment = node.fresh_attachment();
    // Told before the outcome is known, so that its own move does not end it.
    peer.inbox.set_attachment(attachment);
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
pub(super) fn still_owns(peer: &Peer, owner: Owner) -> bool {
    // One that is known here alone was registered together with its move.
    owner.local
        || peer.shared.node.read(|state| {
            let session = state.sessions().session(owner.session);
            session.is_some_and(|session| session.attachment == owner.attachment)
        })
}
