//! Operations that ZooKeeper does not have. A genuine ZooKeeper refuses them
//! as unimplemented and closes; inside a multi it refuses the whole as
//! undecodable.
//!
//! ```text
//!  500  filteredList       path | bool watch | u8 filter     >  names | stat          ClickHouse Keeper
//!  501  checkNotExists     path | int version                >  nothing               ClickHouse Keeper
//!  502  createIfNotExists  as create                         >  path                  ClickHouse Keeper
//!  503  removeRecursive    path | int limit (unsigned)       >  nothing               ClickHouse Keeper
//!  10001 getHash           path | bool subtree               >  16 bytes | long zxid  ours
//!  10002 checkHash         path | bool subtree | 16 bytes    >  nothing, in a multi   ours
//! ```
//!
//! 501 to 503 may stand in a multi, 500 in a multiRead, where its result has
//! the type of `getChildren2`. Our numbers are far above those of both systems,
//! which take theirs one after the other.

use coord_state::ContentHash;
use coord_state::znode::Reach;

use super::jute::{Reader, put_boolean, put_int, put_long, put_text};
use super::{OpCode, Text};
use crate::DecodeError;

/// A request of an operation that ZooKeeper does not have. Creating what may
/// exist is a [`super::request::CreateForm`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extension {
    /// Names of some of the children, and the stat.
    FilteredList {
        /// Of which znode.
        path: Text,
        /// Whether to leave a watch on its children.
        watch: bool,
        /// Which of them.
        filter: ChildFilter,
    },
    /// Fail if there is such a znode.
    CheckNotExists {
        /// Which.
        path: Text,
        /// Only with this data version, -1 for any.
        version: i32,
    },
    /// Delete a znode and everything below it, or nothing.
    RemoveRecursive {
        /// Which.
        path: Text,
        /// Refused if there are more.
        limit: u32,
    },
    /// The hash of a content.
    GetHash {
        /// Of which znode.
        path: Text,
        /// Whether with everything below it.
        reach: Reach,
    },
    /// Fail unless the content is the expected one. Inside a multi only.
    CheckHash {
        /// Of which znode.
        path: Text,
        /// Whether with everything below it.
        reach: Reach,
        /// As read with `getHash`.
        hash: ContentHash,
    },
}

/// Which children a filtered list has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChildFilter {
    /// All.
    All,
    /// Those that are not ephemeral.
    Persistent,
    /// Those that are.
    Ephemeral,
}

impl Extension {
    /// The operation it asks for.
    pub fn op(&self) -> OpCode {
        match self {
            Self::FilteredList { .. } => OpCode::FilteredList,
            Self::CheckNotExists { .. } => OpCode::CheckNotExists,
            Self::RemoveRecursive { .. } => OpCode::RemoveRecursive,
            Self::GetHash { .. } => OpCode::GetHash,
            Self::CheckHash { .. } => OpCode::CheckHash,
        }
    }

    pub(super) fn read_filtered_list(input: &mut Reader) -> Result<Self, DecodeError> {
        let (path, watch) = (input.text("path")?, input.boolean("watch flag")?);
        let filter = match input.byte("child filter")? {
            0 => ChildFilter::All,
            1 => ChildFilter::Persistent,
            2 => ChildFilter::Ephemeral,
            other => {
                return Err(DecodeError::Unknown { what: "child filter", value: other.into() });
            }
        };
        Ok(Self::FilteredList { path, watch, filter })
    }

    pub(super) fn read_remove_recursive(input: &mut Reader) -> Result<Self, DecodeError> {
        let path = input.text("path")?;
        Ok(Self::RemoveRecursive { path, limit: input.int("limit")?.cast_unsigned() })
    }

    pub(super) fn read_get_hash(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self::GetHash { path: input.text("path")?, reach: reach(input)? })
    }

    pub(super) fn read_check_hash(input: &mut Reader) -> Result<Self, DecodeError> {
        let (path, reach) = (input.text("path")?, reach(input)?);
        Ok(Self::CheckHash { path, reach, hash: content_hash(input)? })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::FilteredList { path, watch, filter } => {
                put_text(out, path);
                put_boolean(out, *watch);
                out.push(match filter {
                    ChildFilter::All => 0,
                    ChildFilter::Persistent => 1,
                    ChildFilter::Ephemeral => 2,
                });
            }
            Self::CheckNotExists { path, version } => {
                put_text(out, path);
                put_int(out, *version);
            }
            Self::RemoveRecursive { path, limit } => {
                put_text(out, path);
                put_int(out, limit.cast_signed());
            }
            Self::GetHash { path, reach } => {
                put_text(out, path);
                put_boolean(out, *reach == Reach::Subtree);
            }
            Self::CheckHash { path, reach, hash } => {
                put_text(out, path);
                put_boolean(out, *reach == Reach::Subtree);
                put_content_hash(out, *hash);
            }
        }
    }
}

fn reach(input: &mut Reader) -> Result<Reach, DecodeError> {
    Ok(if input.boolean("subtree flag")? { Reach::Subtree } else { Reach::Znode })
}

/// Reads a hash.
///
/// # Errors
/// [`DecodeError::Truncated`].
pub fn content_hash(input: &mut Reader) -> Result<ContentHash, DecodeError> {
    let mut hash = [0; 16];
    for half in hash.chunks_exact_mut(8) {
        half.copy_from_slice(&input.long("hash")?.to_be_bytes());
    }
    Ok(ContentHash(hash))
}

/// Appends a hash.
pub fn put_content_hash(out: &mut Vec<u8>, hash: ContentHash) {
    out.extend_from_slice(&hash.0);
}

/// Appends the body of the reply to `getHash`.
pub fn put_hash_reply(out: &mut Vec<u8>, hash: ContentHash, zxid: i64) {
    put_content_hash(out, hash);
    put_long(out, zxid);
}
