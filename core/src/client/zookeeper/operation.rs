//! Arguments and results of calls.

use bytes::Bytes;
use coord_state::znode::{Ace, CreateMode, Identity, Reach, Stat, permission};
use coord_wire::zookeeper::multi::MultiResult;
use coord_wire::zookeeper::request::{Create, CreateForm};
use coord_wire::zookeeper::{ErrorCode, Extension, Request, Text};

use super::error_map::kind_of_code;
use crate::ErrorKind;
use coord_state::{ContentHash, Rejection};

/// A znode as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Znode {
    /// `None` is null, which ZooKeeper distinguishes from empty.
    pub data: Option<Bytes>,
    /// Its stat.
    pub stat: Stat,
}

/// A znode as created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Its path, with the number if it is sequential.
    pub path: String,
    /// Its stat.
    pub stat: Stat,
}

/// How to create a znode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateOptions {
    /// Its kind.
    pub mode: CreateMode,
    /// Its ACL; open to anyone unless given.
    pub acl: Option<Vec<Ace>>,
    /// Create missing parents first, as persistent znodes without data.
    pub make_parents: bool,
}

/// One operation of a multi.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Create a znode.
    Create {
        /// Its path; a sequence number is appended for sequential modes.
        path: String,
        /// `None` is null.
        data: Option<Bytes>,
        /// Its ACL; open to anyone unless given.
        acl: Option<Vec<Ace>>,
        /// Its kind.
        mode: CreateMode,
    },
    /// Delete a znode without children.
    Delete {
        /// Which.
        path: String,
        /// The expected data version, -1 for any.
        version: i32,
    },
    /// Set its data.
    Set {
        /// Which.
        path: String,
        /// `None` is null.
        data: Option<Bytes>,
        /// The expected data version, -1 for any.
        version: i32,
    },
    /// Fail the multi unless the version is the expected one.
    CheckVersion {
        /// Of which znode.
        path: String,
        /// The expected data version, -1 for any.
        version: i32,
    },
    /// Fail the multi with `BadVersion` unless the content has this hash. A
    /// server that does not know this refuses the whole multi.
    CheckHash {
        /// Of which znode.
        path: String,
        /// Whether to include all descendants.
        reach: Reach,
        /// As from [`super::Client::content_hash`] or [`super::Client::subtree_hash`].
        hash: ContentHash,
    },
}

/// The result of one operation of a multi.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpResult {
    /// Created.
    Created(Created),
    /// Deleted.
    Deleted,
    /// Set; the new stat.
    Set(Stat),
    /// The condition holds.
    Checked,
}

impl Default for CreateOptions {
    fn default() -> Self {
        Self { mode: CreateMode::Persistent { sequential: false }, acl: None, make_parents: false }
    }
}

impl CreateOptions {
    /// Options with only the mode.
    pub fn mode(mode: CreateMode) -> Self {
        Self { mode, ..Self::default() }
    }
}

/// The open ACL: anyone may do anything.
pub fn open_acl() -> Vec<Ace> {
    let identity = Identity { scheme: "world".into(), id: "anyone".into() };
    vec![Ace { perms: permission::ALL, identity }]
}

/// A create request, always in the form that returns the stat.
pub(super) fn create_request(
    path: String,
    data: Option<Bytes>,
    acl: Option<Vec<Ace>>,
    mode: CreateMode,
) -> Request {
    let (form, flags) = match mode {
        CreateMode::Persistent { sequential } => {
            (CreateForm::WithStat, if sequential { 2 } else { 0 })
        }
        CreateMode::Ephemeral { sequential } => {
            (CreateForm::WithStat, if sequential { 3 } else { 1 })
        }
        CreateMode::Container => (CreateForm::Container, 4),
        CreateMode::Ttl { sequential, ttl_ms } => {
            let ttl_ms = i64::try_from(ttl_ms).unwrap_or(i64::MAX);
            (CreateForm::Ttl { ttl_ms }, if sequential { 6 } else { 5 })
        }
    };
    let acl = Some(acl.unwrap_or_else(open_acl));
    Request::Create(Create { form, path: Text::from(path), data, acl, flags })
}

impl Op {
    /// The condition that a znode's content has this hash.
    pub fn check_hash(path: &str, hash: ContentHash) -> Self {
        Self::CheckHash { path: path.to_owned(), reach: Reach::Znode, hash }
    }

    /// The condition that a subtree's content has this hash.
    pub fn check_subtree_hash(path: &str, hash: ContentHash) -> Self {
        Self::CheckHash { path: path.to_owned(), reach: Reach::Subtree, hash }
    }

    pub(super) fn is_hash_check(&self) -> bool {
        matches!(self, Self::CheckHash { .. })
    }

    pub(super) fn path(&self) -> &str {
        match self {
            Self::Create { path, .. }
            | Self::Delete { path, .. }
            | Self::Set { path, .. }
            | Self::CheckVersion { path, .. }
            | Self::CheckHash { path, .. } => path,
        }
    }

    /// As a request, with the absolute path.
    pub(super) fn to_request(&self, path: String) -> Request {
        match self {
            Self::Create { data, acl, mode, .. } => {
                create_request(path, data.clone(), acl.clone(), *mode)
            }
            Self::Delete { version, .. } => {
                Request::Delete { path: path.into(), version: *version }
            }
            Self::Set { data, version, .. } => {
                Request::SetData { path: path.into(), data: data.clone(), version: *version }
            }
            Self::CheckVersion { version, .. } => {
                Request::CheckVersion { path: path.into(), version: *version }
            }
            Self::CheckHash { reach, hash, .. } => Request::Extension(Extension::CheckHash {
                path: path.into(),
                reach: *reach,
                hash: *hash,
            }),
        }
    }
}

impl OpResult {
    /// `None` if it is not the result of a write.
    pub(super) fn from_wire(result: MultiResult, shown: impl Fn(&str) -> String) -> Option<Self> {
        Some(match result {
            MultiResult::Created(path) => {
                Self::Created(Created { path: shown(&path), stat: Stat::default() })
            }
            MultiResult::CreatedWithStat { path, stat } => {
                Self::Created(Created { path: shown(&path), stat })
            }
            MultiResult::Deleted => Self::Deleted,
            MultiResult::Set(stat) => Self::Set(stat),
            MultiResult::Checked => Self::Checked,
            MultiResult::Data { .. }
            | MultiResult::Children(_)
            | MultiResult::ChildrenWithStat { .. }
            | MultiResult::Stat(_)
            | MultiResult::Error(_) => return None,
        })
    }
}

/// Which operation failed a multi, and why; `None` if none did.
pub(super) fn failed_operation(results: &[MultiResult]) -> Option<(usize, ErrorCode)> {
    results.iter().enumerate().find_map(|(index, result)| match result {
        MultiResult::Error(code) if *code != ErrorCode::Ok => Some((index, *code)),
        _ => None,
    })
}

/// The kind of error for a multi that failed there.
pub(super) fn kind_of_failed_multi(index: usize, code: ErrorCode) -> ErrorKind {
    match kind_of_code(code) {
        ErrorKind::Rejected(cause) => {
            ErrorKind::Rejected(Rejection::MultiFailed { index, cause: Box::new(cause) })
        }
        other => other,
    }
}
