//! Reply bodies. A reply whose header tells an error has none.

use bytes::Bytes;
use coord_state::ContentHash;
use coord_state::znode::{Ace, Stat};

use super::jute::{
    Reader, put_buffer, put_int, put_length, put_nullable_text, put_text, put_texts,
};
use super::multi::{self, MultiResult};
use super::record::{self, ClientInfo};
use super::{OpCode, Text, extension};
use crate::DecodeError;

/// A reply without its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Nothing to tell: delete, ping, check, auth, watches set, checked or
    /// removed, session closed.
    Empty,
    /// Created; the path.
    Created(Text),
    /// Created with any other operation than the plain one.
    CreatedWithStat {
        /// The path.
        path: Text,
        /// Its stat.
        stat: Stat,
    },
    /// The stat: exists, set data, set access list.
    Stat(Stat),
    /// Data and stat: get data, reconfig.
    Data {
        /// Null is kept apart from empty.
        data: Option<Bytes>,
        /// The stat.
        stat: Stat,
    },
    /// Names of the children.
    Children(Vec<Text>),
    /// Names of the children and the parent's stat.
    ChildrenWithStat {
        /// The names.
        children: Vec<Text>,
        /// The parent's stat.
        stat: Stat,
    },
    /// Access list and stat.
    Acl {
        /// The list.
        acl: Vec<Ace>,
        /// The stat.
        stat: Stat,
    },
    /// Caught up; the path as it was sent.
    Synced(Option<Text>),
    /// One result per operation of a multi or multiRead.
    Multi(Vec<MultiResult>),
    /// A token of a SASL negotiation.
    Token(Option<Bytes>),
    /// Paths of the session's ephemerals.
    Ephemerals(Vec<Text>),
    /// How many descendants.
    Number(i32),
    /// The persistent watch is there. Four bytes of nothing on the wire.
    WatchAdded,
    /// Identities of the connection.
    Identities(Vec<ClientInfo>),
    /// The hash of a content.
    Hash {
        /// The hash.
        hash: ContentHash,
        /// The state it was taken of.
        zxid: i64,
    },
}

impl Reply {
    /// Reads the body of the reply to a request for `op`. Bytes behind it are
    /// ignored.
    ///
    /// # Errors
    /// [`DecodeError`] if it is none.
    pub fn decode(op: OpCode, body: Bytes) -> Result<Self, DecodeError> {
        let mut input = Reader::new(body);
        let input = &mut input;
        Ok(match op {
            OpCode::Create | OpCode::CreateIfNotExists => Self::Created(input.text("path")?),
            OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
                Self::CreatedWithStat { path: input.text("path")?, stat: record::stat(input)? }
            }
            OpCode::Exists | OpCode::SetData | OpCode::SetAcl => Self::Stat(record::stat(input)?),
            OpCode::GetData | OpCode::Reconfig => {
                Self::Data { data: input.buffer("data")?, stat: record::stat(input)? }
            }
            OpCode::GetChildren => Self::Children(texts(input)?),
            OpCode::GetChildren2 | OpCode::FilteredList => {
                Self::ChildrenWithStat { children: texts(input)?, stat: record::stat(input)? }
            }
            OpCode::GetAcl => Self::Acl {
                acl: record::acl(input)?.unwrap_or_default(),
                stat: record::stat(input)?,
            },
            OpCode::Sync => Self::Synced(input.nullable_text("path")?),
            OpCode::Multi | OpCode::MultiRead => Self::Multi(multi::read_results(input)?),
            OpCode::Sasl => Self::Token(input.buffer("token")?),
            OpCode::GetEphemerals => Self::Ephemerals(texts(input)?),
            OpCode::GetAllChildrenNumber => Self::Number(input.int("number")?),
            OpCode::AddWatch => {
                input.int("error code")?;
                Self::WatchAdded
            }
            OpCode::WhoAmI => Self::Identities(input.vector("identities", ClientInfo::decode)?),
            OpCode::GetHash => {
                Self::Hash { hash: extension::content_hash(input)?, zxid: input.long("zxid")? }
            }
            OpCode::Delete
            | OpCode::CheckNotExists
            | OpCode::RemoveRecursive
            | OpCode::CheckHash
            | OpCode::Ping
            | OpCode::CheckVersion
            | OpCode::CheckWatches
            | OpCode::RemoveWatches
            | OpCode::DeleteContainer
            | OpCode::Auth
            | OpCode::SetWatches
            | OpCode::SetWatches2
            | OpCode::CreateSession
            | OpCode::CloseSession => Self::Empty,
        })
    }

    /// Appends the body.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Empty => {}
            Self::Created(path) => put_text(out, path),
            Self::CreatedWithStat { path, stat } => {
                put_text(out, path);
                record::put_stat(out, stat);
            }
            Self::Stat(stat) => record::put_stat(out, stat),
            Self::Data { data, stat } => {
                put_buffer(out, data.as_deref());
                record::put_stat(out, stat);
            }
            Self::Children(texts) | Self::Ephemerals(texts) => put_texts(out, texts),
            Self::ChildrenWithStat { children, stat } => {
                put_texts(out, children);
                record::put_stat(out, stat);
            }
            Self::Acl { acl, stat } => {
                record::put_acl(out, Some(acl));
                record::put_stat(out, stat);
            }
            Self::Synced(path) => put_nullable_text(out, path.as_deref()),
            Self::Multi(results) => {
                for result in results {
                    result.encode(out);
                }
                multi::put_end(out);
            }
            Self::Token(token) => put_buffer(out, token.as_deref()),
            Self::Hash { hash, zxid } => extension::put_hash_reply(out, *hash, *zxid),
            Self::Number(number) => put_int(out, *number),
            Self::WatchAdded => put_int(out, 0),
            Self::Identities(identities) => {
                put_length(out, identities.len());
                for identity in identities {
                    identity.encode(out);
                }
            }
        }
    }
}

fn texts(input: &mut Reader) -> Result<Vec<Text>, DecodeError> {
    input.vector("names", |input| input.text("name"))
}
