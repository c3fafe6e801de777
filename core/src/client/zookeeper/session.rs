//! The task that keeps the session: connects, reconnects, ends.
//!
//! ```text
//!             attached            connection lost
//! Connecting ----------> Connected --------------> Suspended
//!     |                      ^                      |    |
//!     |                      +----- attached -------+    | expired
//!     |                                                  v
//!     +------------------- close ----> Closed <-------- Lost --> (a new session, if so set)
//! ```

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use bytes::Bytes;
use coord_wire::zookeeper::{ErrorCode, Reply, Request};
use tokio::sync::{mpsc, oneshot, watch};

use super::attempts;
use super::exchange::{Ended, Exchange, Unanswered};
use super::hosts::{Hosts, random_below};
use super::link::{Attempt, Link, attach};
use super::settings::{Credential, OnExpiry, Settings};
use super::state::{ClientShared, SessionInfo, State};
use super::watcher::{Table, Watcher, WatcherKind, Watches};
use crate::client::time::within;
use crate::tls::Connector;

const BACKOFF_MIN: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// A request in progress.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) request: Request,
    pub(super) effect: Effect,
    /// Whether it may change something, and so must not be sent twice.
    pub(super) writes: bool,
    pub(super) progress: Arc<Progress>,
    pub(super) reply: oneshot::Sender<Result<Reply, ErrorCode>>,
}

/// The effect of a reply on this client.
#[derive(Debug)]
pub(super) enum Effect {
    None,
    /// Sets a watch; the table of an exists watch depends on the reply.
    Watch(Table, String, Watcher),
    /// Removes watches.
    Forget(WatcherKind, String),
    /// Adds credentials to authenticate with on every connection.
    Identify(Credential),
}

/// The progress of a call, so that giving up and sending exclude each other.
#[derive(Debug, Default)]
pub(super) struct Progress(AtomicU8);

const QUEUED: u8 = 0;
const SENT: u8 = 1;
const GIVEN_UP: u8 = 2;

impl Progress {
    /// Before sending: `false` if the caller has given up.
    pub(super) fn send(&self) -> bool {
        match self.0.compare_exchange(QUEUED, SENT, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(before) => before == SENT,
        }
    }

    /// When giving up: `true` if the call was not sent, and never will be.
    pub(super) fn give_up(&self) -> bool {
        self.0.compare_exchange(QUEUED, GIVEN_UP, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// The session, owned by its task.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) settings: Settings,
    hosts: Hosts,
    connector: Option<Connector>,
    pub(super) shared: Arc<ClientShared>,
    pub(super) calls: mpsc::Receiver<Call>,
    pub(super) closing: watch::Receiver<bool>,
    pub(super) watches: Watches,
    pub(super) credentials: Vec<Credential>,
    /// Reads whose reply was lost, to be sent again first.
    pub(super) again: Vec<Call>,
    info: SessionInfo,
    pub(super) last_zxid: i64,
}

/// The result of trying all servers once.
enum Round {
    /// Done: no further attempt.
    Over(Result<Link, Unattached>),
    /// No session. `refused` if no server is listening.
    InVain { refused: bool },
}

/// Why no connection was made.
enum Unattached {
    Expired,
    Refused(ErrorCode),
    Closing,
}

impl Session {
    pub(super) fn new(
        settings: Settings,
        hosts: Hosts,
        connector: Option<Connector>,
        shared: Arc<ClientShared>,
        calls: mpsc::Receiver<Call>,
        closing: watch::Receiver<bool>,
    ) -> Self {
        let (id, password) = settings.session.clone().unwrap_or_default();
        Self {
            watches: Watches::new(hosts.chroot()),
            credentials: settings.credentials.clone(),
            info: SessionInfo { id, password, timeout: settings.session_timeout },
            settings,
            hosts,
            connector,
            shared,
            calls,
            closing,
            again: Vec::new(),
            last_zxid: 0,
        }
    }

    /// Runs until the client is closed.
    pub(super) async fn run(mut self) {
        while let Some(code) = self.live().await {
            self.watches.lose();
            self.fail_all(code);
            self.info = SessionInfo::default();
            self.last_zxid = 0;
            self.shared.lose(code);
            tracing::info!(%code, "ZooKeeper session lost");
            if self.settings.on_expiry == OnExpiry::Stop || is_refusal(code) {
                self.refuse_all(code).await;
                break;
            }
        }
        self.calls.close();
        self.fail_all(ErrorCode::Closing);
        // Watches end before the state change is published.
        self.watches = Watches::default();
        self.shared.change(State::Closed);
    }

    /// Keeps one session over any number of connections. Returns why it ended,
    /// or `None` once the client is closed.
    async fn live(&mut self) -> Option<ErrorCode> {
        loop {
            let link = match self.attach_anywhere().await {
                Ok(link) => link,
                Err(Unattached::Expired) => return Some(ErrorCode::SessionExpired),
                Err(Unattached::Refused(code)) => return Some(code),
                Err(Unattached::Closing) => {
                    // Without a connection no server learns of it.
                    self.shared.note_closed(self.info.id == 0);
                    return None;
                }
            };
            self.info = link.session.clone();
            self.shared.set_session(self.info.clone());
            let (ended, unanswered) = Exchange::run(self, link).await;
            self.settle(unanswered, &ended);
            match ended {
                Ended::Closed { confirmed } => {
                    self.shared.note_closed(confirmed);
                    return None;
                }
                Ended::AuthFailed => return Some(ErrorCode::AuthFailed),
                Ended::Broken(cause) => {
                    tracing::info!(%cause, session = self.info.id, "ZooKeeper connection lost");
                    self.shared.change(State::Suspended);
                    self.watches.tell_gap();
                }
            }
        }
    }

    /// Decides about requests that were sent but not answered.
    fn settle(&mut self, unanswered: Unanswered, ended: &Ended) {
        let mut again = Vec::new();
        for call in unanswered.into_iter().flatten() {
            if call.writes {
                let _ = call.reply.send(Err(ErrorCode::ConnectionLoss));
            } else if matches!(ended, Ended::Closed { .. }) {
                // The outcome is known: the request was not and will not be
                // executed.
                let _ = call.reply.send(Err(ErrorCode::Closing));
            } else if !call.reply.is_closed() {
                again.push(call);
            }
        }
        again.append(&mut self.again);
        self.again = again;
    }

    /// Tries all servers repeatedly until one accepts the session.
    async fn attach_anywhere(&mut self) -> Result<Link, Unattached> {
        let mut closing = self.closing.clone();
        let mut backoff = BACKOFF_MIN;
        loop {
            let round = tokio::select! {
                biased;
                () = told_to_close(&mut closing) => return Err(Unattached::Closing),
                round = self.round() => round,
            };
            match round {
                Round::Over(outcome) => return outcome,
                Round::InVain { refused } => self.shared.note_round(refused),
            }
            if self.calls.is_closed() && self.calls.is_empty() {
                return Err(Unattached::Closing);
            }
            let jitter = backoff / 256 * u32::try_from(random_below(256)).unwrap_or_default();
            // Waiting ends early when the client is closed.
            let _ = within(backoff / 2 + jitter, told_to_close(&mut closing)).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    /// Tries every server once.
    async fn round(&self) -> Round {
        let settings = &self.settings;
        let resolved = within(settings.connect_timeout, self.hosts.resolve(settings.shuffle)).await;
        let Some((targets, unknown)) = resolved else {
            self.shared.note_attempt(
                "names".to_owned(),
                "resolving the server host names timed out".to_owned(),
            );
            return Round::InVain { refused: false };
        };
        for (server, cause) in unknown {
            tracing::warn!(%server, %cause, "cannot resolve a ZooKeeper host name");
            let said = format!("cannot resolve {server}: {cause}");
            self.shared.note_attempt(server, said);
        }
        let mut refused = true;
        for target in targets {
            let server = attempts::name(&target.host, target.address);
            let connector = self.connector.as_ref();
            match attach(&target, connector, settings, &self.info, self.last_zxid).await {
                Attempt::Attached(link) => return Round::Over(Ok(link)),
                Attempt::Expired if self.info.id != 0 => {
                    return Round::Over(Err(Unattached::Expired));
                }
                Attempt::Refused(code) => return Round::Over(Err(Unattached::Refused(code))),
                Attempt::Expired => {
                    refused = false;
                    tracing::warn!(%server, "the ZooKeeper server granted no session");
                    let said = format!("{server} granted no session");
                    self.shared.note_attempt(server, said);
                }
                Attempt::Failed(cause) => {
                    refused &= cause.kind() == io::ErrorKind::ConnectionRefused;
                    tracing::debug!(%server, %cause, "cannot connect to the ZooKeeper server");
                    let said = attempts::said(&server, &cause);
                    self.shared.note_attempt(server, said);
                }
            }
        }
        Round::InVain { refused }
    }

    /// Fails all queued calls.
    fn fail_all(&mut self, code: ErrorCode) {
        for call in self.again.drain(..) {
            let _ = call.reply.send(Err(code));
        }
        while let Ok(call) = self.calls.try_recv() {
            let _ = call.reply.send(Err(code));
        }
    }

    /// Fails all calls until the client is closed.
    async fn refuse_all(&mut self, code: ErrorCode) {
        loop {
            let call = tokio::select! {
                biased;
                () = told_to_close(&mut self.closing) => return,
                call = self.calls.recv() => call,
            };
            let Some(call) = call else { return };
            let _ = call.reply.send(Err(code));
        }
    }

    /// Remembers the latest zxid.
    pub(super) fn saw(&mut self, zxid: i64) {
        if zxid > 0 {
            self.last_zxid = zxid;
            self.shared.set_last_zxid(zxid);
        }
    }

    /// The auth packets of all credentials.
    pub(super) fn auth_requests(&self) -> Vec<Request> {
        self.credentials.iter().map(auth_request).collect()
    }
}

/// Whether a retry would fail in the same way.
pub(super) fn is_refusal(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::AuthFailed | ErrorCode::SessionClosedRequireSaslAuth)
}

/// Waits until the client is closed, or all handles are dropped.
pub(super) async fn told_to_close(closing: &mut watch::Receiver<bool>) {
    let _ = closing.wait_for(|closing| *closing).await;
}

pub(super) fn auth_request(credential: &Credential) -> Request {
    Request::Auth {
        scheme: credential.scheme.as_str().into(),
        auth: Some(Bytes::clone(&credential.proof)),
    }
}
