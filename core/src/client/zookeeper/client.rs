//! The client handle: starts, closes, and sends requests.

use std::sync::Arc;
use std::time::Duration;

use coord_wire::zookeeper::{ErrorCode, Extension, Reply, Request};
use tokio::sync::{mpsc, oneshot, watch};

use super::error_map::{error_of_code, error_of_kind};
use super::hosts::Hosts;
use super::session::{Call, Effect, Progress, Session, is_refusal};
use super::settings::{OnExpiry, Settings};
use super::state::{ClientShared, SessionInfo, State, StateSubscription};
use super::watcher::shown_path;
use crate::client::time::within;
use crate::tls::Connector;
use crate::{Error, ErrorKind};

/// A client with a session. Clones share it; when the last is dropped, the
/// session is ended as by [`Client::close`].
///
/// # Errors
/// Every call fails as
/// - `Rejected` if the server rejected it;
/// - `Indeterminate` when a write was sent and the connection broke, or the
///   time was over, before its answer;
/// - `Unavailable` when it was not sent within [`Settings::request_timeout`],
///   or is a read that got no answer in it: nothing was changed. Without a
///   connection the message tells what each server said that was tried. A client
///   that was never connected gives up earlier, after about five seconds, if
///   nobody listens at any of its servers;
/// - `Invalid` when the call is wrong in itself;
/// - `Closed` after closing.
///
/// [`super::zookeeper_code`] gives ZooKeeper's number for each.
///
/// Dropping the future of a call does not withdraw it once it is sent.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<ClientCore>,
}

#[derive(Debug)]
struct ClientCore {
    calls: mpsc::Sender<Call>,
    closing: watch::Sender<bool>,
    shared: Arc<ClientShared>,
    chroot: String,
    on_expiry: OnExpiry,
    request_timeout: Duration,
    close_timeout: Duration,
}

impl Client {
    /// Starts a client on the current runtime without waiting for a connection;
    /// calls wait for one.
    ///
    /// # Errors
    /// `Invalid` for an invalid list of hosts, an unusable TLS file, or outside
    /// a runtime.
    pub fn start(settings: Settings) -> Result<Self, Error> {
        let hosts = Hosts::parse(&settings.hosts)?;
        let connector = settings.tls.clone().map(Connector::load).transpose()?;
        let runtime = tokio::runtime::Handle::try_current()
            .map_err(|cause| Error::invalid("a client needs a tokio runtime").caused_by(cause))?;
        let (calls, receiver) = mpsc::channel(settings.outstanding_max.clamp(1, 1 << 20));
        let (closing, closed) = watch::channel(false);
        let shared = Arc::new(ClientShared::new());
        let inner = ClientCore {
            calls,
            closing,
            shared: Arc::clone(&shared),
            chroot: hosts.chroot().to_owned(),
            on_expiry: settings.on_expiry,
            request_timeout: settings.request_timeout,
            close_timeout: settings.close_timeout,
        };
        runtime.spawn(Session::new(settings, hosts, connector, shared, receiver, closed).run());
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Starts a client and waits up to `limit` for the first connection.
    ///
    /// # Errors
    /// As [`Self::start`]; `Unavailable` if there is none in time;
    /// `Rejected(SessionExpired)` if the session to resume has expired.
    pub async fn connect(settings: Settings, limit: Duration) -> Result<Self, Error> {
        let client = Self::start(settings)?;
        client.wait_connected(limit).await?;
        Ok(client)
    }

    /// Waits until the client is connected.
    ///
    /// # Errors
    /// As [`Self::connect`]; `Closed`.
    pub async fn wait_connected(&self, limit: Duration) -> Result<(), Error> {
        let shared = &self.inner.shared;
        let settled = |state: &State| match state {
            State::Connected | State::Closed => true,
            State::Connecting | State::Suspended => false,
            // A new session may be on its way.
            State::Lost => self.inner.on_expiry == OnExpiry::Stop || is_refusal(shared.lost()),
        };
        match within(limit, shared.reached(settled)).await {
            Some(State::Connected) => Ok(()),
            Some(State::Lost) => Err(error_of_code(shared.lost(), "connecting")),
            Some(_) => Err(error_of_code(ErrorCode::Closing, "connecting")),
            None => Err(self.unreached("connecting")),
        }
    }

    /// Like [`Self::wait_connected`], but gives up after some seconds if no
    /// server is listening.
    ///
    /// # Errors
    /// As there.
    pub async fn wait_connected_unless_refused(&self, limit: Duration) -> Result<(), Error> {
        tokio::select! {
            biased;
            connected = self.wait_connected(limit) => connected,
            () = self.inner.shared.refused() => Err(self.unreached("connecting")),
        }
    }

    /// The error for a request that was not sent for lack of a connection, with
    /// the reason for each server.
    fn unreached(&self, what: &str) -> Error {
        let code = ErrorCode::ConnectionLoss;
        let tried = self.inner.shared.attempts();
        let told = tried.unwrap_or_else(|| "no server in the list has responded yet".to_owned());
        let text = format!("{what}: not connected, nothing was sent: {told}");
        Error::new(ErrorKind::Unavailable, text).caused_by(code)
    }

    /// Ends the session with its ephemerals, and every call and watch. Earlier
    /// calls are still answered. Waits for the server to confirm it, at most
    /// [`Settings::close_timeout`]. Idempotent, with the same result.
    ///
    /// # Errors
    /// `Indeterminate` if no server confirmed it. The client is closed anyway;
    /// the session, its ephemerals and its locks may live until its timeout.
    pub async fn close(&self) -> Result<(), Error> {
        self.inner.closing.send_replace(true);
        // The task itself respects the limit; this is for a runtime that has
        // ended.
        let limit = self.inner.close_timeout.saturating_add(Duration::from_secs(1));
        let closed = self.inner.shared.reached(|state| *state == State::Closed);
        match within(limit, closed).await {
            Some(_) => self.confirmed(),
            None => Err(unconfirmed(&self.session())),
        }
    }

    /// The result of closing.
    pub(super) fn confirmed(&self) -> Result<(), Error> {
        match self.inner.shared.is_over() {
            true => Ok(()),
            false => Err(unconfirmed(&self.session())),
        }
    }

    /// Starts closing without waiting.
    pub fn start_closing(&self) {
        self.inner.closing.send_replace(true);
    }

    /// The current state.
    pub fn state(&self) -> State {
        self.inner.shared.state()
    }

    /// Subscribes to changes of the state. A slow subscriber only sees the
    /// latest of too many changes.
    pub fn states(&self) -> StateSubscription {
        self.inner.shared.subscribe()
    }

    /// The session: id, password, granted timeout.
    pub fn session(&self) -> SessionInfo {
        self.inner.shared.session()
    }

    /// The latest zxid that this client has seen.
    pub fn last_zxid(&self) -> i64 {
        self.inner.shared.last_zxid()
    }

    /// The chroot path; empty for none.
    pub fn chroot(&self) -> &str {
        &self.inner.chroot
    }

    /// The path on the server.
    pub(super) fn absolute(&self, path: &str) -> Result<String, Error> {
        if !path.starts_with('/') {
            let what = format!("path {path:?} does not begin with a slash");
            return Err(error_of_kind(ErrorKind::Invalid, ErrorCode::BadArguments, &what));
        }
        let chroot = &self.inner.chroot;
        Ok(match path {
            "/" if !chroot.is_empty() => chroot.clone(),
            _ => format!("{chroot}{path}"),
        })
    }

    /// A server's path as this client sees it.
    pub(super) fn shown(&self, path: &str) -> String {
        shown_path(&self.inner.chroot, path)
    }

    /// Sends a request and waits for its reply. `what` is for messages.
    pub(super) async fn call(
        &self,
        request: Request,
        effect: Effect,
        what: &str,
    ) -> Result<Reply, Error> {
        match self.try_call(request, effect, what).await? {
            Ok(reply) => Ok(reply),
            Err(code) => Err(error_of_code(code, what)),
        }
    }

    /// As [`Self::call`], with the server's error code.
    pub(super) async fn try_call(
        &self,
        request: Request,
        effect: Effect,
        what: &str,
    ) -> Result<Result<Reply, ErrorCode>, Error> {
        let writes = writes(&request);
        let progress = Arc::new(Progress::default());
        let (reply, replied) = oneshot::channel();
        let call = Call { request, effect, writes, progress: Arc::clone(&progress), reply };
        let answered = async {
            // Not subject to the task's budget, so that calls are sent in the
            // order in which they were made.
            let sending = tokio::task::unconstrained(self.inner.calls.send(call));
            sending.await.map_err(|_| ErrorCode::Closing)?;
            // A call is only dropped unanswered together with the client.
            replied.await.map_err(|_| match writes && !progress.give_up() {
                true => ErrorCode::ConnectionLoss,
                false => ErrorCode::Closing,
            })
        };
        let answered = within(self.inner.request_timeout, async {
            tokio::select! {
                biased;
                answered = answered => Some(answered),
                // Nothing was sent yet, because there never was a connection.
                () = self.inner.shared.refused() => None,
            }
        });
        match answered.await.flatten() {
            Some(Ok(outcome)) => Ok(outcome),
            Some(Err(code)) => Err(error_of_code(code, what)),
            None if progress.give_up() || !writes => match self.state() {
                State::Connecting | State::Suspended => Err(self.unreached(what)),
                State::Connected | State::Lost | State::Closed => {
                    let code = ErrorCode::RequestTimeout;
                    Err(error_of_kind(ErrorKind::Unavailable, code, what))
                }
            },
            None => Err(error_of_code(ErrorCode::RequestTimeout, what)),
        }
    }
}

fn unconfirmed(session: &SessionInfo) -> Error {
    let SessionInfo { id, timeout, .. } = session;
    let what = format!(
        "closing session 0x{id:x}: no server confirmed it, so the session and its ephemeral \
         znodes may live until its timeout of {timeout:?}"
    );
    Error::indeterminate(what).caused_by(ErrorCode::ConnectionLoss)
}

/// Whether sending it twice could change something twice.
fn writes(request: &Request) -> bool {
    matches!(
        request,
        Request::Create(_)
            | Request::Delete { .. }
            | Request::SetData { .. }
            | Request::SetAcl { .. }
            | Request::Multi(_)
            | Request::Reconfig { .. }
            | Request::Extension(Extension::RemoveRecursive { .. })
    )
}
