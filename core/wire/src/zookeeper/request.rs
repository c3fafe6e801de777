//! Request bodies.

use bytes::Bytes;
use coord_state::znode::Ace;

use super::jute::{
    Reader, put_boolean, put_buffer, put_int, put_long, put_nullable_text, put_text, put_texts,
};
use super::{Extension, OpCode, Text, multi, record};
use crate::DecodeError;

/// A request without its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Create a znode.
    Create(Create),
    /// Delete a znode.
    Delete {
        /// Which.
        path: Text,
        /// The expected data version, -1 for any.
        version: i32,
    },
    /// Its stat.
    Exists(Read),
    /// Its data and stat.
    GetData(Read),
    /// Set its data.
    SetData {
        /// Which.
        path: Text,
        /// Null is kept apart from empty.
        data: Option<Bytes>,
        /// The expected data version, -1 for any.
        version: i32,
    },
    /// Its access list and stat.
    GetAcl {
        /// Which.
        path: Text,
    },
    /// Set its access list.
    SetAcl {
        /// Which.
        path: Text,
        /// The new list; null is not acceptable, but can be said.
        acl: Option<Vec<Ace>>,
        /// The expected version of the list, -1 for any.
        version: i32,
    },
    /// Names of its children.
    GetChildren(Read),
    /// Names of its children, and its stat.
    GetChildren2(Read),
    /// Catch up with the leader.
    Sync {
        /// Only echoed.
        path: Option<Text>,
    },
    /// Sign of life.
    Ping,
    /// Compare the data version. Inside a multi only.
    CheckVersion {
        /// Which.
        path: Text,
        /// The expected data version, -1 for any.
        version: i32,
    },
    /// Writes that happen together: see [`multi::is_write`].
    Multi(Vec<Self>),
    /// Reads answered together: see [`multi::is_read`].
    MultiRead(Vec<Self>),
    /// Change the members.
    Reconfig {
        /// To add or replace.
        joining: Option<Text>,
        /// To remove.
        leaving: Option<Text>,
        /// All, instead of the two above.
        new_members: Option<Text>,
        /// The version of the configuration it is based on, -1 for any.
        based_on: i64,
    },
    /// Whether the connection has such a watch.
    CheckWatches {
        /// On which znode.
        path: Text,
        /// A watcher type.
        kind: i32,
    },
    /// Remove such watches of the connection.
    RemoveWatches {
        /// On which znode.
        path: Text,
        /// A watcher type.
        kind: i32,
    },
    /// Prove an identity.
    Auth {
        /// By which scheme.
        scheme: Text,
        /// The proof.
        auth: Option<Bytes>,
    },
    /// Watches of an earlier connection.
    SetWatches(SetWatches),
    /// Watches of an earlier connection, persistent ones too.
    SetWatches2 {
        /// Those that fire once.
        once: SetWatches,
        /// Persistent ones.
        persistent: Vec<Text>,
        /// Persistent recursive ones.
        persistent_recursive: Vec<Text>,
    },
    /// One step of a SASL negotiation.
    Sasl {
        /// The mechanism's token.
        token: Option<Bytes>,
    },
    /// The session's ephemerals.
    GetEphemerals {
        /// How their paths begin; null for all.
        prefix: Option<Text>,
    },
    /// How many descendants a znode has.
    GetAllChildrenNumber {
        /// Which.
        path: Text,
    },
    /// A persistent watch.
    AddWatch {
        /// On which znode, there or not.
        path: Text,
        /// 0 persistent, 1 persistent recursive.
        mode: i32,
    },
    /// Identities of the connection.
    WhoAmI,
    /// End the session.
    CloseSession,
    /// What ZooKeeper does not have.
    Extension(Extension),
}

/// Create a znode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Create {
    /// Which of the operations that create.
    pub form: CreateForm,
    /// Its path.
    pub path: Text,
    /// Null is kept apart from empty.
    pub data: Option<Bytes>,
    /// Its access list; null is not acceptable, but can be said.
    pub acl: Option<Vec<Ace>>,
    /// The mode, 0 to 6.
    pub flags: i32,
}

/// Which of the operations that create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreateForm {
    /// Answers the path.
    Plain,
    /// Answers path and stat.
    WithStat,
    /// A container; answers path and stat.
    Container,
    /// With a time to live; answers path and stat.
    Ttl {
        /// In milliseconds.
        ttl_ms: i64,
    },
    /// Fine if it is there already; answers the path.
    IfNotExists,
}

/// Read a znode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// Which.
    pub path: Text,
    /// Whether to leave a watch.
    pub watch: bool,
}

/// Watches of an earlier connection that fire once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetWatches {
    /// The newest state the client has seen.
    pub relative_zxid: i64,
    /// On data of znodes that were there.
    pub data: Vec<Text>,
    /// On znodes that were not there.
    pub exist: Vec<Text>,
    /// On lists of children.
    pub child: Vec<Text>,
}

impl Request {
    /// Reads the body of a request for `op`. Bytes behind it are ignored.
    ///
    /// # Errors
    /// [`DecodeError`] if it is none. `CreateSession` and `DeleteContainer`,
    /// which are no client's business, never are.
    pub fn decode(op: OpCode, body: Bytes) -> Result<Self, DecodeError> {
        Self::read(op, &mut Reader::new(body))
    }

    pub(super) fn read(op: OpCode, input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(match op {
            OpCode::Create
            | OpCode::Create2
            | OpCode::CreateContainer
            | OpCode::CreateTtl
            | OpCode::CreateIfNotExists => Self::Create(Create::decode(op, input)?),
            OpCode::Delete => Self::Delete { path: path(input)?, version: version(input)? },
            OpCode::Exists => Self::Exists(Read::decode(input)?),
            OpCode::GetData => Self::GetData(Read::decode(input)?),
            OpCode::SetData => Self::SetData {
                path: path(input)?,
                data: input.buffer("data")?,
                version: version(input)?,
            },
            OpCode::GetAcl => Self::GetAcl { path: path(input)? },
            OpCode::SetAcl => Self::SetAcl {
                path: path(input)?,
                acl: record::acl(input)?,
                version: version(input)?,
            },
            OpCode::GetChildren => Self::GetChildren(Read::decode(input)?),
            OpCode::GetChildren2 => Self::GetChildren2(Read::decode(input)?),
            OpCode::Sync => Self::Sync { path: input.nullable_text("path")? },
            OpCode::Ping => Self::Ping,
            OpCode::CheckVersion => {
                Self::CheckVersion { path: path(input)?, version: version(input)? }
            }
            OpCode::Multi => Self::Multi(multi::read_requests(input, multi::is_write)?),
            OpCode::MultiRead => Self::MultiRead(multi::read_requests(input, multi::is_read)?),
            OpCode::Reconfig => Self::Reconfig {
                joining: input.nullable_text("joining servers")?,
                leaving: input.nullable_text("leaving servers")?,
                new_members: input.nullable_text("new members")?,
                based_on: input.long("configuration version")?,
            },
            OpCode::CheckWatches => {
                Self::CheckWatches { path: path(input)?, kind: input.int("watcher type")? }
            }
            OpCode::RemoveWatches => {
                Self::RemoveWatches { path: path(input)?, kind: input.int("watcher type")? }
            }
            OpCode::Auth => {
                // ZooKeeper's `type` field: always 0, never looked at.
                input.int("auth type")?;
                Self::Auth { scheme: input.text("scheme")?, auth: input.buffer("auth")? }
            }
            OpCode::SetWatches => Self::SetWatches(SetWatches::decode(input)?),
            OpCode::SetWatches2 => Self::SetWatches2 {
                once: SetWatches::decode(input)?,
                persistent: input.vector("persistent watches", path)?,
                persistent_recursive: input.vector("persistent recursive watches", path)?,
            },
            OpCode::Sasl => Self::Sasl { token: input.buffer("token")? },
            OpCode::GetEphemerals => Self::GetEphemerals { prefix: input.nullable_text("prefix")? },
            OpCode::GetAllChildrenNumber => Self::GetAllChildrenNumber { path: path(input)? },
            OpCode::AddWatch => {
                Self::AddWatch { path: path(input)?, mode: input.int("watch mode")? }
            }
            OpCode::WhoAmI => Self::WhoAmI,
            OpCode::CloseSession => Self::CloseSession,
            OpCode::FilteredList => Self::Extension(Extension::read_filtered_list(input)?),
            OpCode::CheckNotExists => {
                let (path, version) = (path(input)?, version(input)?);
                Self::Extension(Extension::CheckNotExists { path, version })
            }
            OpCode::RemoveRecursive => Self::Extension(Extension::read_remove_recursive(input)?),
            OpCode::GetHash => Self::Extension(Extension::read_get_hash(input)?),
            OpCode::CheckHash => Self::Extension(Extension::read_check_hash(input)?),
            OpCode::DeleteContainer | OpCode::CreateSession => {
                return Err(DecodeError::Unknown { what: "operation", value: op.code() });
            }
        })
    }

    /// The operation it asks for.
    pub fn op(&self) -> OpCode {
        match self {
            Self::Create(create) => create.form.op(),
            Self::Delete { .. } => OpCode::Delete,
            Self::Exists(_) => OpCode::Exists,
            Self::GetData(_) => OpCode::GetData,
            Self::SetData { .. } => OpCode::SetData,
            Self::GetAcl { .. } => OpCode::GetAcl,
            Self::SetAcl { .. } => OpCode::SetAcl,
            Self::GetChildren(_) => OpCode::GetChildren,
            Self::GetChildren2(_) => OpCode::GetChildren2,
            Self::Sync { .. } => OpCode::Sync,
            Self::Ping => OpCode::Ping,
            Self::CheckVersion { .. } => OpCode::CheckVersion,
            Self::Multi(_) => OpCode::Multi,
            Self::MultiRead(_) => OpCode::MultiRead,
            Self::Reconfig { .. } => OpCode::Reconfig,
            Self::CheckWatches { .. } => OpCode::CheckWatches,
            Self::RemoveWatches { .. } => OpCode::RemoveWatches,
            Self::Auth { .. } => OpCode::Auth,
            Self::SetWatches(_) => OpCode::SetWatches,
            Self::SetWatches2 { .. } => OpCode::SetWatches2,
            Self::Sasl { .. } => OpCode::Sasl,
            Self::GetEphemerals { .. } => OpCode::GetEphemerals,
            Self::GetAllChildrenNumber { .. } => OpCode::GetAllChildrenNumber,
            Self::AddWatch { .. } => OpCode::AddWatch,
            Self::WhoAmI => OpCode::WhoAmI,
            Self::CloseSession => OpCode::CloseSession,
            Self::Extension(extension) => extension.op(),
        }
    }

    /// Appends the body.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Create(create) => create.encode(out),
            Self::Delete { path, version } | Self::CheckVersion { path, version } => {
                put_text(out, path);
                put_int(out, *version);
            }
            Self::Exists(read)
            | Self::GetData(read)
            | Self::GetChildren(read)
            | Self::GetChildren2(read) => {
                put_text(out, &read.path);
                put_boolean(out, read.watch);
            }
            Self::SetData { path, data, version } => {
                put_text(out, path);
                put_buffer(out, data.as_deref());
                put_int(out, *version);
            }
            Self::GetAcl { path } | Self::GetAllChildrenNumber { path } => put_text(out, path),
            Self::SetAcl { path, acl, version } => {
                put_text(out, path);
                record::put_acl(out, acl.as_deref());
                put_int(out, *version);
            }
            Self::Sync { path } | Self::GetEphemerals { prefix: path } => {
                put_nullable_text(out, path.as_deref());
            }
            Self::Ping | Self::WhoAmI | Self::CloseSession => {}
            Self::Multi(requests) | Self::MultiRead(requests) => multi::put_requests(out, requests),
            Self::Reconfig { joining, leaving, new_members, based_on } => {
                put_nullable_text(out, joining.as_deref());
                put_nullable_text(out, leaving.as_deref());
                put_nullable_text(out, new_members.as_deref());
                put_long(out, *based_on);
            }
            Self::CheckWatches { path, kind: number }
            | Self::RemoveWatches { path, kind: number }
            | Self::AddWatch { path, mode: number } => {
                put_text(out, path);
                put_int(out, *number);
            }
            Self::Auth { scheme, auth } => {
                put_int(out, 0);
                put_text(out, scheme);
                put_buffer(out, auth.as_deref());
            }
            Self::SetWatches(watches) => watches.encode(out),
            Self::SetWatches2 { once, persistent, persistent_recursive } => {
                once.encode(out);
                put_texts(out, persistent);
                put_texts(out, persistent_recursive);
            }
            Self::Sasl { token } => put_buffer(out, token.as_deref()),
            Self::Extension(extension) => extension.encode(out),
        }
    }
}

impl CreateForm {
    /// The operation.
    pub fn op(self) -> OpCode {
        match self {
            Self::Plain => OpCode::Create,
            Self::WithStat => OpCode::Create2,
            Self::Container => OpCode::CreateContainer,
            Self::Ttl { .. } => OpCode::CreateTtl,
            Self::IfNotExists => OpCode::CreateIfNotExists,
        }
    }
}

impl Create {
    fn decode(op: OpCode, input: &mut Reader) -> Result<Self, DecodeError> {
        let path = path(input)?;
        let data = input.buffer("data")?;
        let acl = record::acl(input)?;
        let flags = input.int("flags")?;
        let form = match op {
            OpCode::Create2 => CreateForm::WithStat,
            OpCode::CreateContainer => CreateForm::Container,
            OpCode::CreateIfNotExists => CreateForm::IfNotExists,
            OpCode::CreateTtl => CreateForm::Ttl { ttl_ms: input.long("time to live")? },
            _ => CreateForm::Plain,
        };
        Ok(Self { form, path, data, acl, flags })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_text(out, &self.path);
        put_buffer(out, self.data.as_deref());
        record::put_acl(out, self.acl.as_deref());
        put_int(out, self.flags);
        if let CreateForm::Ttl { ttl_ms } = self.form {
            put_long(out, ttl_ms);
        }
    }
}

impl Read {
    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self { path: path(input)?, watch: input.boolean("watch flag")? })
    }
}

impl SetWatches {
    fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            relative_zxid: input.long("relative zxid")?,
            data: input.vector("data watches", path)?,
            exist: input.vector("exist watches", path)?,
            child: input.vector("child watches", path)?,
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_long(out, self.relative_zxid);
        put_texts(out, &self.data);
        put_texts(out, &self.exist);
        put_texts(out, &self.child);
    }
}

fn path(input: &mut Reader) -> Result<Text, DecodeError> {
    input.text("path")
}

fn version(input: &mut Reader) -> Result<i32, DecodeError> {
    input.int("version")
}
