//! `multi` and `multiRead`: several operations in one message, each behind a
//! small header, closed by a header that says `done`.
//!
//! ```text
//!  int type | bool done = false | int err = -1 | request body    … repeated
//!  int type | bool done = false | int err      | result          … repeated
//!  int -1   | bool done = true  | int -1                          at the end of both
//! ```

use bytes::Bytes;
use coord_state::znode::Stat;

use super::jute::{Reader, put_boolean, put_buffer, put_int, put_text, put_texts};
use super::{ErrorCode, OpCode, Request, Text, record};
use crate::DecodeError;

/// What became of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MultiResult {
    /// Created; the path.
    Created(Text),
    /// Created with any other operation than the plain one.
    CreatedWithStat {
        /// The path.
        path: Text,
        /// Its stat.
        stat: Stat,
    },
    /// Deleted.
    Deleted,
    /// Set; the new stat.
    Set(Stat),
    /// The version, the absence or the content was as expected.
    Checked,
    /// The stat of a znode that was asked for.
    Stat(Stat),
    /// Names of the children and the parent's stat.
    ChildrenWithStat {
        /// The names.
        children: Vec<Text>,
        /// The stat.
        stat: Stat,
    },
    /// Data and stat.
    Data {
        /// Null is kept apart from empty.
        data: Option<Bytes>,
        /// The stat.
        stat: Stat,
    },
    /// Names of the children.
    Children(Vec<Text>),
    /// Refused; `Ok` before and `RuntimeInconsistency` behind the operation
    /// that failed a multi.
    Error(ErrorCode),
}

/// Type of a result that is an error, and of the last header.
const ERROR: i32 = -1;

/// Whether `op` may stand in a multi.
pub fn is_write(op: OpCode) -> bool {
    matches!(
        op,
        OpCode::Create
            | OpCode::Create2
            | OpCode::CreateContainer
            | OpCode::CreateTtl
            | OpCode::Delete
            | OpCode::SetData
            | OpCode::CheckVersion
            | OpCode::CheckNotExists
            | OpCode::CreateIfNotExists
            | OpCode::RemoveRecursive
            | OpCode::CheckHash
    )
}

/// Whether `op` may stand in a multiRead. ZooKeeper has `getData` and
/// `getChildren` there, ClickHouse Keeper all of these.
pub fn is_read(op: OpCode) -> bool {
    matches!(
        op,
        OpCode::GetData
            | OpCode::GetChildren
            | OpCode::Exists
            | OpCode::GetChildren2
            | OpCode::FilteredList
    )
}

pub(super) fn read_requests(
    input: &mut Reader,
    allowed: impl Fn(OpCode) -> bool,
) -> Result<Vec<Request>, DecodeError> {
    let mut requests = Vec::new();
    loop {
        let header = Header::read(input)?;
        if header.done {
            return Ok(requests);
        }
        let op = OpCode::from_code(header.kind)
            .filter(|op| allowed(*op))
            .ok_or(DecodeError::Unknown { what: "operation inside a multi", value: header.kind })?;
        requests.push(Request::read(op, input)?);
    }
}

pub(super) fn put_requests(out: &mut Vec<u8>, requests: &[Request]) {
    for request in requests {
        Header { kind: request.op().code(), done: false, error: -1 }.put(out);
        request.encode(out);
    }
    put_end(out);
}

pub(super) fn read_results(input: &mut Reader) -> Result<Vec<MultiResult>, DecodeError> {
    let mut results = Vec::new();
    loop {
        let header = Header::read(input)?;
        if header.done {
            return Ok(results);
        }
        results.push(MultiResult::read(header.kind, input)?);
    }
}

/// Appends the header of one operation's result; its body comes behind.
pub fn put_result_header(out: &mut Vec<u8>, op: OpCode) {
    Header { kind: op.code(), done: false, error: 0 }.put(out);
}

/// Appends the result of an operation that failed.
pub fn put_error(out: &mut Vec<u8>, error: ErrorCode) {
    Header { kind: ERROR, done: false, error: error.code() }.put(out);
    put_int(out, error.code());
}

/// Appends what closes a list of operations or results.
pub fn put_end(out: &mut Vec<u8>) {
    Header { kind: ERROR, done: true, error: -1 }.put(out);
}

impl MultiResult {
    fn read(kind: i32, input: &mut Reader) -> Result<Self, DecodeError> {
        if kind == ERROR {
            return Ok(Self::Error(ErrorCode::from_code(input.int("error code")?)));
        }
        Ok(match OpCode::from_code(kind) {
            Some(OpCode::Create | OpCode::CreateIfNotExists) => Self::Created(input.text("path")?),
            Some(OpCode::Create2) => {
                Self::CreatedWithStat { path: input.text("path")?, stat: record::stat(input)? }
            }
            Some(OpCode::Delete | OpCode::RemoveRecursive) => Self::Deleted,
            Some(OpCode::SetData) => Self::Set(record::stat(input)?),
            Some(OpCode::CheckVersion | OpCode::CheckNotExists | OpCode::CheckHash) => {
                Self::Checked
            }
            Some(OpCode::Exists) => Self::Stat(record::stat(input)?),
            Some(OpCode::GetData) => {
                Self::Data { data: input.buffer("data")?, stat: record::stat(input)? }
            }
            Some(OpCode::GetChildren) => Self::Children(names(input)?),
            Some(OpCode::GetChildren2 | OpCode::FilteredList) => {
                Self::ChildrenWithStat { children: names(input)?, stat: record::stat(input)? }
            }
            _ => return Err(DecodeError::Unknown { what: "result of a multi", value: kind }),
        })
    }

    /// Appends the result with its header.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Created(path) => {
                put_result_header(out, OpCode::Create);
                put_text(out, path);
            }
            Self::CreatedWithStat { path, stat } => {
                put_result_header(out, OpCode::Create2);
                put_text(out, path);
                record::put_stat(out, stat);
            }
            Self::Deleted => put_result_header(out, OpCode::Delete),
            Self::Set(stat) => {
                put_result_header(out, OpCode::SetData);
                record::put_stat(out, stat);
            }
            Self::Checked => put_result_header(out, OpCode::CheckVersion),
            Self::Data { data, stat } => {
                put_result_header(out, OpCode::GetData);
                put_buffer(out, data.as_deref());
                record::put_stat(out, stat);
            }
            Self::Children(children) => {
                put_result_header(out, OpCode::GetChildren);
                put_texts(out, children);
            }
            Self::Stat(stat) => {
                put_result_header(out, OpCode::Exists);
                record::put_stat(out, stat);
            }
            Self::ChildrenWithStat { children, stat } => {
                put_result_header(out, OpCode::GetChildren2);
                put_texts(out, children);
                record::put_stat(out, stat);
            }
            Self::Error(error) => put_error(out, *error),
        }
    }
}

fn names(input: &mut Reader) -> Result<Vec<Text>, DecodeError> {
    input.vector("children", |input| input.text("child"))
}

struct Header {
    kind: i32,
    done: bool,
    error: i32,
}

impl Header {
    fn read(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            kind: input.int("type inside a multi")?,
            done: input.boolean("end of a multi")?,
            error: input.int("error inside a multi")?,
        })
    }

    fn put(&self, out: &mut Vec<u8>) {
        put_int(out, self.kind);
        put_boolean(out, self.done);
        put_int(out, self.error);
    }
}
