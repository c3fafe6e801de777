//! Rejections of commands: the same on every member, and a kind of reply. The
//! texts are for humans; the front ends map the variants to ZooKeeper codes and
//! HTTP responses.

use alloc::boxed::Box;

use crate::archive::ArchiveRejection;
use crate::consul::ConsulRejection;

/// Why a command was refused. Nothing was changed, unless the variant says so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The path, flags, or another argument is not acceptable.
    #[error("bad arguments: {0}")]
    BadArguments(&'static str),
    /// The feature is switched off or the operation is not known.
    #[error("not implemented")]
    Unimplemented,
    /// No such znode, or no such parent.
    #[error("no such znode")]
    NoNode,
    /// The access list forbids it.
    #[error("not authorised")]
    NoAuth,
    /// The expected version is not the current one.
    #[error("the version is not the expected one")]
    BadVersion,
    /// Ephemeral znodes have no children.
    #[error("an ephemeral znode cannot have children")]
    NoChildrenForEphemerals,
    /// The znode is there already.
    #[error("the znode exists")]
    NodeExists,
    /// The znode has children.
    #[error("the znode has children")]
    NotEmpty,
    /// The session is unknown, closed or expired, or its password is wrong.
    #[error("the session has expired")]
    SessionExpired,
    /// The session now belongs to another connection.
    #[error("the session has moved to another connection")]
    SessionMoved,
    /// The access list is empty or names somebody impossible.
    #[error("the ACL is invalid")]
    InvalidAcl,
    /// A hard quota would be exceeded.
    #[error("the quota would be exceeded")]
    QuotaExceeded,
    /// A `multi` failed at one operation; nothing of it was applied.
    #[error("operation {index} of the multi failed: {cause}")]
    MultiFailed {
        /// Which, from 0.
        index: usize,
        /// Why. Never itself a `MultiFailed`.
        cause: Box<Self>,
    },
    /// Consul's own.
    #[error(transparent)]
    Consul(#[from] ConsulRejection),
    /// A step of a restore.
    #[error(transparent)]
    Archive(#[from] ArchiveRejection),
}
