//! Calls with content hashes, which libcoord supports and the original
//! ZooKeeper does not.
//!
//! ```text
//! seen = subtree_hash("/app")          read what is below /app, decide
//! multi [ check_subtree_hash("/app", seen), set …, create …, delete … ]
//!                                      done if /app is as it was, else refused as BadVersion
//! ```
//!
//! A hash describes the content, not its history: if something was changed and
//! changed back, the condition holds. Use versions or zxids to detect that.

use bytes::Bytes;
use coord_state::ContentHash;
use coord_state::znode::{Reach, Stat};
use coord_wire::zookeeper::{ErrorCode, Extension, Reply, Request};

use super::Client;
use super::error_map::{error_of_code, kind_of_code};
use super::operation::{Op, OpResult, failed_operation};
use super::session::Effect;
use super::tree_calls::{named, unexpected};
use crate::Error;

/// A content hash, and the zxid at which it was computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hashed {
    /// The hash: equal for equal content, within one cluster.
    pub hash: ContentHash,
    /// The state's zxid.
    pub zxid: i64,
}

impl Client {
    /// The hash of a znode's content: path, data, access list and lifetime,
    /// without its children.
    ///
    /// # Errors
    /// `Rejected`: `NoNode`, `NoAuth`, `Unimplemented` (the server has no
    /// content hashes; as it may then close the connection, other calls in
    /// progress may fail, too).
    pub async fn content_hash(&self, path: &str) -> Result<Hashed, Error> {
        self.hash_of(path, Reach::Znode, &named("content_hash", path)).await
    }

    /// The hash of the content of a znode and all its descendants.
    ///
    /// # Errors
    /// As [`Self::content_hash`]; `NoAuth` unless all of them may be read;
    /// `BadArguments` if there are too many ACLs to check.
    pub async fn subtree_hash(&self, path: &str) -> Result<Hashed, Error> {
        self.hash_of(path, Reach::Subtree, &named("subtree_hash", path)).await
    }

    /// Sets a znode's data if its content has this hash.
    ///
    /// # Errors
    /// `Rejected`: `BadVersion` if it has not, and as [`Client::set`].
    pub async fn set_data_if_hash(
        &self,
        path: &str,
        data: Option<Bytes>,
        hash: ContentHash,
    ) -> Result<Stat, Error> {
        let what = named("set_data_if_hash", path);
        let set = Op::Set { path: path.to_owned(), data, version: -1 };
        match self.act_if_hash(path, hash, &set, &what).await? {
            OpResult::Set(stat) => Ok(stat),
            _ => Err(unexpected(&what)),
        }
    }

    /// Deletes a znode without children if its content has this hash.
    ///
    /// # Errors
    /// `Rejected`: `BadVersion` if it has not, and as [`Client::delete`].
    pub async fn delete_if_hash(&self, path: &str, hash: ContentHash) -> Result<(), Error> {
        let what = named("delete_if_hash", path);
        let delete = Op::Delete { path: path.to_owned(), version: -1 };
        self.act_if_hash(path, hash, &delete, &what).await.map(|_| ())
    }

    async fn hash_of(&self, path: &str, reach: Reach, what: &str) -> Result<Hashed, Error> {
        let path = self.absolute(path)?.into();
        let request = Request::Extension(Extension::GetHash { path, reach });
        match self.try_call(request, Effect::None, what).await? {
            Ok(Reply::Hash { hash, zxid }) => Ok(Hashed { hash, zxid }),
            Ok(_) => Err(unexpected(what)),
            Err(ErrorCode::Unimplemented) => Err(hashes_unknown(what)),
            Err(code) => Err(error_of_code(code, what)),
        }
    }

    async fn act_if_hash(
        &self,
        path: &str,
        hash: ContentHash,
        act: &Op,
        what: &str,
    ) -> Result<OpResult, Error> {
        let absolute = self.absolute(path)?;
        let check = Op::check_hash(path, hash).to_request(absolute.clone());
        let request = Request::Multi(vec![check, act.to_request(absolute)]);
        let results = match self.try_call(request, Effect::None, what).await? {
            Ok(Reply::Multi(results)) => results,
            Ok(_) => return Err(unexpected(what)),
            Err(ErrorCode::MarshallingError) => return Err(hashes_unknown(what)),
            Err(code) => return Err(error_of_code(code, what)),
        };
        if let Some((_, code)) = failed_operation(&results) {
            return Err(error_of_code(code, what));
        }
        let done = results.into_iter().nth(1);
        done.and_then(|done| OpResult::from_wire(done, |path| self.shown(path)))
            .ok_or_else(|| unexpected(what))
    }
}

/// The error if the server does not know the operation.
pub(super) fn hashes_unknown(what: &str) -> Error {
    let code = ErrorCode::Unimplemented;
    let text = format!(
        "{what}: this server does not support content hashes; connect to a libcoord member"
    );
    Error::new(kind_of_code(code), text).caused_by(code)
}
