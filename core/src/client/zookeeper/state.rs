//! The state of the session, and notification of changes.

use std::sync::PoisonError;
use std::time::Duration;

use coord_wire::zookeeper::ErrorCode;
use tokio::sync::watch;

use super::attempts::Attempts;
use super::queue::{Next, Receiver, Sender, queue};
use crate::Error;
use crate::client::time::within;
use crate::sync::{Mutex, MutexGuard};

/// Maximum queued state changes per subscriber; beyond that only the newest is
/// kept.
const CHANGES_MAX: usize = 64;

/// The state of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not yet connected for the first time.
    Connecting,
    /// Connected with a live session.
    Connected,
    /// Not connected; the session may or may not be alive. Treat ephemerals and
    /// locks as lost until it is connected again.
    Suspended,
    /// The session has expired, and its ephemerals with it.
    Lost,
    /// The client was closed.
    Closed,
}

/// A session, which can be resumed by another client.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionInfo {
    /// 0 before the first connection.
    pub id: i64,
    /// The password of the session.
    pub password: Vec<u8>,
    /// As granted by the server.
    pub timeout: Duration,
}

/// A subscription to a client's state.
#[derive(Debug)]
pub struct StateSubscription {
    changes: Receiver<State>,
}

/// State that the session task shares with client handles.
#[derive(Debug)]
pub(super) struct ClientShared {
    inner: Mutex<ClientState>,
    state: watch::Sender<State>,
    /// Counts the rounds after which further waiting is pointless.
    refusals: watch::Sender<u64>,
}

#[derive(Debug)]
struct ClientState {
    session: SessionInfo,
    last_zxid: i64,
    /// Why the last session was lost.
    lost: ErrorCode,
    /// Whether the session was known to have ended when the client was closed.
    over: bool,
    /// The attempts since the last connection.
    attempts: Attempts,
    subscribers: Vec<Sender<State>>,
}

impl StateSubscription {
    /// The next change, `None` if there is none within `limit`.
    ///
    /// # Errors
    /// `Closed` after the last change, which is [`State::Closed`].
    pub async fn next(&self, limit: Option<Duration>) -> Result<Option<State>, Error> {
        let next = match limit {
            None => Some(self.changes.next().await),
            Some(limit) => within(limit, self.changes.next()).await,
        };
        next.map(known).transpose()
    }

    /// As [`Self::next`], blocking the thread.
    ///
    /// # Errors
    /// As there.
    pub fn wait(&self, limit: Option<Duration>) -> Result<Option<State>, Error> {
        self.changes.wait(limit).map(known).transpose()
    }
}

fn known(next: Next<State>) -> Result<State, Error> {
    match next {
        Next::Item(state) => Ok(state),
        Next::Ended => Err(Error::closed("the client is closed")),
    }
}

impl ClientShared {
    pub(super) fn new() -> Self {
        let inner = ClientState {
            session: SessionInfo::default(),
            last_zxid: 0,
            lost: ErrorCode::SessionExpired,
            over: true,
            attempts: Attempts::default(),
            subscribers: Vec::new(),
        };
        Self {
            inner: Mutex::new(inner),
            state: watch::channel(State::Connecting).0,
            refusals: watch::channel(0).0,
        }
    }

    pub(super) fn state(&self) -> State {
        *self.state.borrow()
    }

    /// Waits until `wanted` accepts the state, and returns it.
    pub(super) async fn reached(&self, wanted: impl FnMut(&State) -> bool) -> State {
        let mut state = self.state.subscribe();
        // The sender lives in self, so waiting cannot fail.
        state.wait_for(wanted).await.map_or(State::Closed, |state| *state)
    }

    pub(super) fn session(&self) -> SessionInfo {
        self.lock().session.clone()
    }

    pub(super) fn last_zxid(&self) -> i64 {
        self.lock().last_zxid
    }

    /// The failed attempts since the last connection, as a message.
    pub(super) fn attempts(&self) -> Option<String> {
        self.lock().attempts.told()
    }

    pub(super) fn note_attempt(&self, server: String, said: String) {
        self.lock().attempts.note(server, said);
    }

    /// All servers were tried without success; `refused` if none is listening.
    pub(super) fn note_round(&self, refused: bool) {
        // A client that was connected before has a session to save, and keeps
        // waiting.
        let first = self.state() == State::Connecting;
        if self.lock().attempts.round_ended(refused) && first {
            self.refusals.send_modify(|rounds| *rounds += 1);
        }
    }

    /// Waits until a client that was never connected has been refused by all
    /// servers for long enough.
    pub(super) async fn refused(&self) {
        let mut rounds = self.refusals.subscribe();
        // The sender lives in self, so waiting cannot fail.
        let _ = rounds.changed().await;
    }

    /// Called before closing: whether the session is known to have ended.
    pub(super) fn note_closed(&self, over: bool) {
        self.lock().over = over;
    }

    /// Whether the session was known to have ended when the client was closed.
    pub(super) fn is_over(&self) -> bool {
        self.lock().over
    }

    /// Why the last session was lost.
    pub(super) fn lost(&self) -> ErrorCode {
        self.lock().lost
    }

    pub(super) fn subscribe(&self) -> StateSubscription {
        let (sender, changes) = queue(CHANGES_MAX);
        let mut inner = self.lock();
        inner.subscribers.retain(|subscriber| !subscriber.is_abandoned());
        if self.state() != State::Closed {
            inner.subscribers.push(sender);
        }
        StateSubscription { changes }
    }

    pub(super) fn set_session(&self, session: SessionInfo) {
        self.lock().session = session;
    }

    pub(super) fn set_last_zxid(&self, zxid: i64) {
        self.lock().last_zxid = zxid;
    }

    /// Publishes that the session was lost, and why.
    pub(super) fn lose(&self, code: ErrorCode) {
        self.lock().lost = code;
        self.change(State::Lost);
    }

    /// Publishes a state if it changed. Nothing follows `Closed`.
    pub(super) fn change(&self, state: State) {
        if state == State::Connected {
            self.lock().attempts = Attempts::default();
        }
        let before = self.state.send_replace(state);
        if before == state {
            return;
        }
        let mut inner = self.lock();
        inner.subscribers.retain(|subscriber| !subscriber.is_abandoned());
        for subscriber in &inner.subscribers {
            subscriber.push(state, || state);
        }
        if state == State::Closed {
            inner.subscribers.clear();
        }
    }

    fn lock(&self) -> MutexGuard<'_, ClientState> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
