//! The ZooKeeper client.

use std::sync::Arc;
use std::time::Duration;

use coord_core::Error;
use coord_core::client::zookeeper::{
    Ace, ContentHash, CreateMode, CreateOptions, EventKind, Identity, Op, OpResult, Reach,
    Settings, Stat, State, Subscription, WatchMode, Watcher, blocking,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::error::{failure, zookeeper_failure};
use crate::fork::Here;
use crate::interrupt::{on_own_thread, wait_interruptibly, without_interpreter};

/// Events waiting for the Python program; when it is that far behind, the
/// oldest are replaced by one event that says so.
const EVENTS_MAX: usize = 65_536;

/// Stat fields in ZooKeeper's order.
type StatFields = (i64, i64, i64, i64, i32, i32, i32, i64, i32, i32, i64);
/// Permissions, scheme, id.
type AceFields = (u32, String, String);
/// Kind, path, data, version, acl, mode.
type OpFields =
    (String, String, Option<Vec<u8>>, i32, Option<Vec<AceFields>>, Option<(String, bool, u64)>);
/// Token, kind, path, zxid.
type EventFields = (u64, i32, String, Option<i64>);

/// A client with one thread of its own, and one queue for all its watches;
/// each event carries the token its watch was set with.
#[pyclass(frozen, module = "libcoord._native")]
pub(crate) struct ZkClient {
    session: Here<Session>,
}

struct Session {
    /// Shared with a thread that closes it.
    client: Arc<blocking::Client>,
    watcher: Watcher,
    events: Subscription,
}

#[pymethods]
impl ZkClient {
    /// Starts connecting; calls wait for the connection.
    #[new]
    #[pyo3(signature = (
        hosts, session_timeout, request_timeout, credentials, read_only, shuffle, options
    ))]
    fn new(
        hosts: String,
        session_timeout: f64,
        request_timeout: f64,
        credentials: Vec<(String, Vec<u8>)>,
        read_only: bool,
        shuffle: bool,
        options: Vec<(String, String)>,
    ) -> PyResult<Self> {
        let mut settings = Settings {
            hosts,
            session_timeout: seconds(session_timeout)?,
            request_timeout: seconds(request_timeout)?,
            credentials: credentials
                .into_iter()
                .map(|(scheme, proof)| coord_core::client::zookeeper::Credential {
                    scheme,
                    proof: proof.into(),
                })
                .collect(),
            read_only,
            shuffle,
            ..Settings::default()
        };
        for (name, value) in &options {
            settings.set(name, value).map_err(|error| failure(&error))?;
        }
        let client = blocking::Client::start(settings).map_err(|error| failure(&error))?;
        let (watcher, events) = Watcher::new(EVENTS_MAX);
        Ok(Self { session: Here::new(Session { client: Arc::new(client), watcher, events }) })
    }

    /// Fails in a forked child, before anything else is touched there.
    fn require_here(&self) -> PyResult<()> {
        self.session.get().map(|_| ())
    }

    fn wait_connected(&self, py: Python<'_>, limit: f64) -> PyResult<()> {
        let session = self.session.get()?;
        let limit = seconds(limit)?;
        session.wait(py, session.client.inner().wait_connected(limit))
    }

    #[pyo3(signature = (path, data, acl, mode, make_parents))]
    fn create(
        &self,
        py: Python<'_>,
        path: &str,
        data: Option<Vec<u8>>,
        acl: Option<Vec<AceFields>>,
        mode: (String, bool, u64),
        make_parents: bool,
    ) -> PyResult<(String, StatFields)> {
        let session = self.session.get()?;
        let options = CreateOptions { mode: create_mode(&mode)?, acl: acl.map(aces), make_parents };
        let data = data.map(Into::into);
        let created = session.wait(py, session.client.inner().create(path, data, &options))?;
        Ok((created.path, fields(created.stat)))
    }

    #[pyo3(signature = (path, acl))]
    fn ensure_path(&self, py: Python<'_>, path: &str, acl: Option<Vec<AceFields>>) -> PyResult<()> {
        let session = self.session.get()?;
        session.wait(py, session.client.inner().ensure_path(path, acl.map(aces)))
    }

    fn delete(&self, py: Python<'_>, path: &str, version: i32, recursive: bool) -> PyResult<()> {
        let session = self.session.get()?;
        if recursive {
            return session.wait(py, session.client.inner().delete_recursive(path));
        }
        session.wait(py, session.client.inner().delete(path, version))
    }

    #[pyo3(signature = (path, token))]
    fn exists(
        &self,
        py: Python<'_>,
        path: &str,
        token: Option<u64>,
    ) -> PyResult<Option<StatFields>> {
        let session = self.session.get()?;
        let stat = session
            .wait(py, session.client.inner().exists_with(path, session.watcher_for(token)))?;
        Ok(stat.map(fields))
    }

    #[pyo3(signature = (path, token))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        path: &str,
        token: Option<u64>,
    ) -> PyResult<(Option<Bound<'py, PyBytes>>, StatFields)> {
        let session = self.session.get()?;
        let znode =
            session.wait(py, session.client.inner().get_with(path, session.watcher_for(token)))?;
        Ok((znode.data.map(|data| PyBytes::new(py, &data)), fields(znode.stat)))
    }

    #[pyo3(signature = (path, data, version))]
    fn set(
        &self,
        py: Python<'_>,
        path: &str,
        data: Option<Vec<u8>>,
        version: i32,
    ) -> PyResult<StatFields> {
        let session = self.session.get()?;
        let data = data.map(Into::into);
        session.wait(py, session.client.inner().set(path, data, version)).map(fields)
    }

    #[pyo3(signature = (path, token))]
    fn children(
        &self,
        py: Python<'_>,
        path: &str,
        token: Option<u64>,
    ) -> PyResult<(Vec<String>, StatFields)> {
        let session = self.session.get()?;
        let watcher = session.watcher_for(token);
        let (names, stat) =
            session.wait(py, session.client.inner().children_with(path, watcher))?;
        Ok((names, fields(stat)))
    }

    fn get_acl(&self, py: Python<'_>, path: &str) -> PyResult<(Vec<AceFields>, StatFields)> {
        let session = self.session.get()?;
        let (acl, stat) = session.wait(py, session.client.inner().get_acl(path))?;
        let acl = acl
            .into_iter()
            .map(|ace| (ace.perms, ace.identity.scheme.into(), ace.identity.id.into()))
            .collect();
        Ok((acl, fields(stat)))
    }

    fn set_acl(
        &self,
        py: Python<'_>,
        path: &str,
        acl: Vec<AceFields>,
        version: i32,
    ) -> PyResult<StatFields> {
        let session = self.session.get()?;
        session.wait(py, session.client.inner().set_acl(path, aces(acl), version)).map(fields)
    }

    /// The hash of a content and the zxid of the state it was taken of.
    fn hash<'py>(
        &self,
        py: Python<'py>,
        path: &str,
        subtree: bool,
    ) -> PyResult<(Bound<'py, PyBytes>, i64)> {
        let session = self.session.get()?;
        let client = session.client.inner();
        let hashed = if subtree {
            session.wait(py, client.subtree_hash(path))?
        } else {
            session.wait(py, client.content_hash(path))?
        };
        Ok((PyBytes::new(py, &hashed.hash.0), hashed.zxid))
    }

    #[pyo3(signature = (path, data, hash))]
    fn set_if_hash(
        &self,
        py: Python<'_>,
        path: &str,
        data: Option<Vec<u8>>,
        hash: Vec<u8>,
    ) -> PyResult<StatFields> {
        let session = self.session.get()?;
        let (data, hash) = (data.map(Into::into), content_hash(hash)?);
        session.wait(py, session.client.inner().set_data_if_hash(path, data, hash)).map(fields)
    }

    fn delete_if_hash(&self, py: Python<'_>, path: &str, hash: Vec<u8>) -> PyResult<()> {
        let session = self.session.get()?;
        let hash = content_hash(hash)?;
        session.wait(py, session.client.inner().delete_if_hash(path, hash))
    }

    fn sync(&self, py: Python<'_>, path: &str) -> PyResult<()> {
        let session = self.session.get()?;
        session.wait(py, session.client.inner().sync(path))
    }

    fn add_auth(&self, py: Python<'_>, scheme: &str, proof: Vec<u8>) -> PyResult<()> {
        let session = self.session.get()?;
        session.wait(py, session.client.inner().add_auth(scheme, proof.into()))
    }

    /// All or nothing. Each result is `(path, stat)`, with `None` for what
    /// the operation does not have.
    fn multi<'py>(
        &self,
        py: Python<'py>,
        operations: Vec<OpFields>,
    ) -> PyResult<Vec<Bound<'py, PyTuple>>> {
        let session = self.session.get()?;
        let operations = operations.into_iter().map(operation).collect::<PyResult<Vec<_>>>()?;
        let results = session.wait(py, session.client.inner().multi(&operations))?;
        results.into_iter().map(|result| result_fields(py, result)).collect()
    }

    fn add_watch(&self, py: Python<'_>, path: &str, recursive: bool, token: u64) -> PyResult<()> {
        let session = self.session.get()?;
        let mode = if recursive { WatchMode::PersistentRecursive } else { WatchMode::Persistent };
        let watcher = session.watcher.with_token(token);
        session.wait(py, session.client.inner().add_watch(path, mode, watcher))
    }

    /// The next event of any watch, or `None` if there is none in time.
    fn next_event(&self, py: Python<'_>, limit: f64) -> PyResult<Option<EventFields>> {
        let limit = seconds(limit)?;
        let events = &self.session.get()?.events;
        let event = py.detach(|| events.wait(Some(limit))).map_err(|error| failure(&error))?;
        Ok(event.map(|event| (event.token, kind_code(event.kind), event.path, event.zxid)))
    }

    /// `connecting`, `connected`, `suspended`, `lost` or `closed`.
    fn state(&self) -> PyResult<&'static str> {
        Ok(match self.session.get()?.client.state() {
            State::Connecting => "connecting",
            State::Connected => "connected",
            State::Suspended => "suspended",
            State::Lost => "lost",
            State::Closed => "closed",
        })
    }

    /// Session id, password, granted timeout in seconds.
    fn session(&self) -> PyResult<(i64, Vec<u8>, f64)> {
        let session = self.session.get()?.client.session();
        Ok((session.id, session.password, session.timeout.as_secs_f64()))
    }

    fn last_zxid(&self) -> PyResult<i64> {
        Ok(self.session.get()?.client.last_zxid())
    }

    /// Ends the session and joins the thread; twice is fine. Whether the
    /// session is known to be over.
    fn close(&self, py: Python<'_>) -> PyResult<bool> {
        let client = Arc::clone(&self.session.get()?.client);
        on_own_thread(py, move |_| match client.close() {
            Ok(()) => Ok(true),
            Err(error) if error.may_have_applied() => Ok(false),
            Err(error) => Err(error),
        })
    }
}

impl Session {
    fn wait<T: Send>(
        &self,
        py: Python<'_>,
        work: impl Future<Output = Result<T, Error>> + Send,
    ) -> PyResult<T> {
        wait_interruptibly(
            py,
            |look, go_on| self.client.call_while(work, look, go_on),
            zookeeper_failure,
        )
    }

    fn watcher_for(&self, token: Option<u64>) -> Option<Watcher> {
        token.map(|token| self.watcher.with_token(token))
    }
}

impl Drop for ZkClient {
    fn drop(&mut self) {
        if let Ok(session) = self.session.get() {
            without_interpreter(|| drop(session.client.close()));
        }
    }
}

/// ZooKeeper's number, or one of ours below zero.
fn kind_code(kind: EventKind) -> i32 {
    match kind {
        EventKind::SessionLost => -2,
        other => other.code(),
    }
}

fn seconds(value: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(value)
        .map_err(|_| PyValueError::new_err(format!("{value} is not a number of seconds")))
}

fn fields(stat: Stat) -> StatFields {
    (
        stat.czxid.zxid(),
        stat.mzxid.zxid(),
        stat.ctime,
        stat.mtime,
        stat.version,
        stat.cversion,
        stat.aversion,
        stat.ephemeral_owner.0,
        stat.data_length,
        stat.num_children,
        stat.pzxid.zxid(),
    )
}

fn aces(acl: Vec<AceFields>) -> Vec<Ace> {
    acl.into_iter()
        .map(|(perms, scheme, id)| Ace {
            perms,
            identity: Identity { scheme: scheme.into(), id: id.into() },
        })
        .collect()
}

fn create_mode((kind, sequential, ttl_ms): &(String, bool, u64)) -> PyResult<CreateMode> {
    let sequential = *sequential;
    match kind.as_str() {
        "persistent" => Ok(CreateMode::Persistent { sequential }),
        "ephemeral" => Ok(CreateMode::Ephemeral { sequential }),
        "container" => Ok(CreateMode::Container),
        "ttl" => Ok(CreateMode::Ttl { sequential, ttl_ms: *ttl_ms }),
        other => Err(PyValueError::new_err(format!("{other} is not a kind of znode"))),
    }
}

fn operation((kind, path, data, version, acl, mode): OpFields) -> PyResult<Op> {
    if let "check_hash" | "check_subtree_hash" = kind.as_str() {
        let reach = if kind == "check_hash" { Reach::Znode } else { Reach::Subtree };
        return Ok(Op::CheckHash { path, reach, hash: content_hash(data.unwrap_or_default())? });
    }
    let data = data.map(Into::into);
    match (kind.as_str(), mode) {
        ("create", Some(mode)) => {
            Ok(Op::Create { path, data, acl: acl.map(aces), mode: create_mode(&mode)? })
        }
        ("delete", _) => Ok(Op::Delete { path, version }),
        ("set", _) => Ok(Op::Set { path, data, version }),
        ("check", _) => Ok(Op::CheckVersion { path, version }),
        (other, _) => Err(PyValueError::new_err(format!("{other} is not an operation"))),
    }
}

fn content_hash(bytes: Vec<u8>) -> PyResult<ContentHash> {
    let length = bytes.len();
    let hash = bytes.try_into().map_err(|_| {
        PyValueError::new_err(format!(
            "a hash must have 16 bytes, as returned by get_hash, not {length}"
        ))
    })?;
    Ok(ContentHash(hash))
}

fn result_fields(py: Python<'_>, result: OpResult) -> PyResult<Bound<'_, PyTuple>> {
    let (path, stat): (Option<String>, Option<StatFields>) = match result {
        OpResult::Created(created) => (Some(created.path), Some(fields(created.stat))),
        OpResult::Set(stat) => (None, Some(fields(stat))),
        OpResult::Deleted | OpResult::Checked => (None, None),
    };
    (path, stat).into_pyobject(py)
}
