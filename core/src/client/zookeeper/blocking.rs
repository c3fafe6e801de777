//! The blocking client, for callers without a runtime.
//!
//! It owns a runtime with one worker thread named `coord-zkc`; closing or
//! dropping the client joins it. Several threads may make calls at the same
//! time, but calls from a thread of an async runtime fail with `Invalid`.
//! [`Subscription::wait`] waits for events without a runtime.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use coord_state::ContentHash;
use coord_state::znode::{Ace, Stat};

use super::{
    CreateOptions, Created, Hashed, Op, OpResult, SessionInfo, Settings, State, StateSubscription,
    Subscription, WatchMode, Watcher, WatcherKind, Znode,
};
use crate::Error;
use crate::client::runtime::OwnRuntime;

/// A [`super::Client`] with a thread of its own.
#[derive(Debug)]
pub struct Client {
    client: super::Client,
    runtime: OwnRuntime,
}

impl Client {
    /// Starts the thread without waiting for a connection; calls wait for one.
    ///
    /// # Errors
    /// `Invalid` for an invalid list of hosts, or on a thread of an async
    /// runtime; `Unavailable` if no thread can be started.
    pub fn start(settings: Settings) -> Result<Self, Error> {
        let runtime = OwnRuntime::start("coord-zkc")?;
        let client = runtime.run(async { super::Client::start(settings) })?;
        Ok(Self { client, runtime })
    }

    /// Starts the thread and waits up to `limit` for the first connection.
    ///
    /// # Errors
    /// As [`Self::start`] and [`super::Client::connect`].
    pub fn connect(settings: Settings, limit: Duration) -> Result<Self, Error> {
        let client = Self::start(settings)?;
        client.wait_connected(limit)?;
        Ok(client)
    }

    /// The inner async client. Its futures only work in [`Self::call`].
    pub fn inner(&self) -> &super::Client {
        &self.client
    }

    /// Waits for any future of [`Self::inner`].
    ///
    /// # Errors
    /// The future's own; `Invalid` on a thread of an async runtime; `Closed`.
    pub fn call<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        self.runtime.run(work)
    }

    /// Like [`Self::call`], but calls `go_on` every `interval` and, once it
    /// returns false, drops the future and returns `None`. For host programs
    /// that handle signals.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn call_while<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
        interval: Duration,
        go_on: impl FnMut() -> bool,
    ) -> Result<Option<T>, Error> {
        self.runtime.run_while(work, interval, go_on)
    }

    /// The current state.
    pub fn state(&self) -> State {
        self.client.state()
    }

    /// Follows the state from now on.
    pub fn states(&self) -> StateSubscription {
        self.client.states()
    }

    /// The session: id, password, granted timeout.
    pub fn session(&self) -> SessionInfo {
        self.client.session()
    }

    /// The latest zxid that this client has seen.
    pub fn last_zxid(&self) -> i64 {
        self.client.last_zxid()
    }

    /// Ends the session and every call and watch, then stops and joins the
    /// thread. Idempotent.
    ///
    /// # Errors
    /// As [`super::Client::close`]; `Invalid` on a thread of an async runtime:
    /// closing is started, but not waited for.
    pub fn close(&self) -> Result<(), Error> {
        self.client.start_closing();
        match self.runtime.run(self.client.close()) {
            Err(error) if *error.kind() == crate::ErrorKind::Invalid => return Err(error),
            // Whether confirmed or not, or already closed: nothing is left to
            // do.
            Ok(()) | Err(_) => self.runtime.close()?,
        }
        self.client.confirmed()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // On a thread of a runtime, which cannot wait, the session ends by its
        // timeout.
        let _ = self.close();
    }
}

macro_rules! blocking {
    ($(fn $name:ident($($argument:ident: $kind:ty),*) -> $gives:ty;)*) => {
        impl Client {
            $(
                #[doc = concat!("[`super::Client::", stringify!($name), "`], waited for.")]
                ///
                /// # Errors
                /// As there, and those of [`Self::call`].
                pub fn $name(&self, $($argument: $kind),*) -> Result<$gives, Error> {
                    self.call(self.client.$name($($argument),*))
                }
            )*
        }
    };
}

blocking! {
    fn wait_connected(limit: Duration) -> ();
    fn wait_connected_unless_refused(limit: Duration) -> ();

    fn create(path: &str, data: Option<Bytes>, options: &CreateOptions) -> Created;
    fn ensure_path(path: &str, acl: Option<Vec<Ace>>) -> ();
    fn delete(path: &str, version: i32) -> ();
    fn delete_recursive(path: &str) -> ();
    fn exists(path: &str) -> Option<Stat>;
    fn exists_watched(path: &str) -> (Option<Stat>, Subscription);
    fn exists_with(path: &str, watcher: Option<Watcher>) -> Option<Stat>;
    fn get(path: &str) -> Znode;
    fn get_watched(path: &str) -> (Znode, Subscription);
    fn get_with(path: &str, watcher: Option<Watcher>) -> Znode;
    fn set(path: &str, data: Option<Bytes>, version: i32) -> Stat;
    fn children(path: &str) -> (Vec<String>, Stat);
    fn children_watched(path: &str) -> (Vec<String>, Stat, Subscription);
    fn children_with(path: &str, watcher: Option<Watcher>) -> (Vec<String>, Stat);
    fn get_acl(path: &str) -> (Vec<Ace>, Stat);
    fn set_acl(path: &str, acl: Vec<Ace>, version: i32) -> Stat;
    fn multi(operations: &[Op]) -> Vec<OpResult>;
    fn sync(path: &str) -> ();

    fn content_hash(path: &str) -> Hashed;
    fn subtree_hash(path: &str) -> Hashed;
    fn set_data_if_hash(path: &str, data: Option<Bytes>, hash: ContentHash) -> Stat;
    fn delete_if_hash(path: &str, hash: ContentHash) -> ();

    fn add_auth(scheme: &str, proof: Bytes) -> ();
    fn add_watch(path: &str, mode: WatchMode, watcher: Watcher) -> ();
    fn watch(path: &str, mode: WatchMode, capacity: usize) -> Subscription;
    fn remove_watches(path: &str, kind: WatcherKind) -> ();

    fn ephemerals(prefix: &str) -> Vec<String>;
    fn count_descendants(path: &str) -> u32;
    fn who_am_i() -> Vec<(String, String)>;
}
