//! The stored form of znode commands.
//!
//! ```text
//! u8 version | u8 has session [i64 session | u64 attachment] | identities | op
//! op: u8 tag | fields; counts and lengths are varints, versions zigzag varints
//! ```
//!
//! Version 2 has more operations, those from [`CHECK_HASH`] on. A command
//! without them is still written as version 1, so that members of the previous
//! release can read it during an upgrade.

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::codec::{
    CodecError, Decode, Encode, Input, decode_blob, decode_items, decode_text, decode_varint,
    encode_blob, encode_items, encode_text, encode_varint,
};
use crate::digest::ContentHash;
use crate::znode::acl::{decode_list, encode_list};
use crate::znode::{Caller, CreateMode, MultiOp, Reach, ZnodeCommand, ZnodeOp};

const VERSION_1: u8 = 1;
const VERSION_2: u8 = 2;

const CREATE: u8 = 0;
const DELETE: u8 = 1;
const SET_DATA: u8 = 2;
const CHECK_VERSION: u8 = 3;
const SET_ACL: u8 = 4;
const MULTI: u8 = 5;
const REAP: u8 = 6;
const SET_CONFIG: u8 = 7;
const CHECK_HASH: u8 = 16;
const CHECK_ABSENT: u8 = 17;
const CREATE_IF_ABSENT: u8 = 18;
const DELETE_SUBTREE: u8 = 19;
const REAP_UNUSED: u8 = 20;

const PERSISTENT: u8 = 0;
const EPHEMERAL: u8 = 1;
const CONTAINER: u8 = 2;
const TTL: u8 = 3;
/// Of a mode: a sequence number is wanted.
const SEQUENTIAL: u8 = 0x10;

impl Encode for ZnodeCommand {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(version_of(&self.op));
        self.caller.session.encode(out);
        encode_items(&self.caller.identities, out);
        match &self.op {
            ZnodeOp::Single(op) => op.encode(out),
            ZnodeOp::SetAcl { path, acl, version } => {
                out.push(SET_ACL);
                encode_text(path, out);
                encode_list(acl.as_deref(), out);
                encode_version(*version, out);
            }
            ZnodeOp::Multi(ops) => {
                out.push(MULTI);
                encode_items(ops, out);
            }
            ZnodeOp::SetConfig { lines } => {
                out.push(SET_CONFIG);
                encode_text(lines, out);
            }
            ZnodeOp::Reap { path } => {
                out.push(REAP);
                encode_text(path, out);
            }
            ZnodeOp::ReapUnused { path, unused_ms } => {
                out.push(REAP_UNUSED);
                encode_text(path, out);
                encode_varint(*unused_ms, out);
            }
        }
    }
}

impl Decode for ZnodeCommand {
    fn decode(input: &mut Input) -> Result<Self, CodecError> {
        let stored_as = match u8::decode(input)? {
            version @ (VERSION_1 | VERSION_2) => version,
            tag => {
                return Err(CodecError::UnknownTag {
                    what: "znode command version",
                    tag: tag.into(),
                });
            }
        };
        let session = Decode::decode(input)?;
        let identities = decode_items(input)?.into_boxed_slice();
        let op = match u8::decode(input)? {
            SET_ACL => ZnodeOp::SetAcl {
                path: decode_text(input)?,
                acl: decode_list(input)?,
                version: decode_version(input)?,
            },
            MULTI => ZnodeOp::Multi(decode_items(input)?),
            SET_CONFIG => ZnodeOp::SetConfig { lines: decode_text(input)? },
            REAP => ZnodeOp::Reap { path: decode_text(input)? },
            REAP_UNUSED => {
                ZnodeOp::ReapUnused { path: decode_text(input)?, unused_ms: decode_varint(input)? }
            }
            tag => ZnodeOp::Single(decode_op(tag, input)?),
        };
        if version_of(&op) > stored_as {
            return Err(CodecError::Invalid { what: "an operation of a later version" });
        }
        Ok(Self { caller: Caller { session, identities }, op })
    }
}

/// The first version that can say this.
fn version_of(op: &ZnodeOp) -> u8 {
    let is_later = |op: &MultiOp| match op {
        MultiOp::Create { .. }
        | MultiOp::Delete { .. }
        | MultiOp::SetData { .. }
        | MultiOp::CheckVersion { .. } => false,
        MultiOp::CheckHash { .. }
        | MultiOp::CheckAbsent { .. }
        | MultiOp::CreateIfAbsent { .. }
        | MultiOp::DeleteSubtree { .. } => true,
    };
    let later = match op {
        ZnodeOp::Single(op) => is_later(op),
        ZnodeOp::Multi(ops) => ops.iter().any(is_later),
        ZnodeOp::SetAcl { .. } | ZnodeOp::SetConfig { .. } | ZnodeOp::Reap { .. } => false,
        ZnodeOp::ReapUnused { .. } => true,
    };
    if later { VERSION_2 } else { VERSION_1 }
}

impl Encode for MultiOp {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Create { path, data, acl, mode }
            | Self::CreateIfAbsent { path, data, acl, mode } => {
                let plain = matches!(self, Self::Create { .. });
                out.push(if plain { CREATE } else { CREATE_IF_ABSENT });
                encode_text(path, out);
                encode_data(data.as_deref(), out);
                encode_list(acl.as_deref(), out);
                mode.encode(out);
            }
            Self::Delete { path, version } => encode_versioned(DELETE, path, *version, out),
            Self::SetData { path, data, version } => {
                encode_versioned(SET_DATA, path, *version, out);
                encode_data(data.as_deref(), out);
            }
            Self::CheckVersion { path, version } => {
                encode_versioned(CHECK_VERSION, path, *version, out);
            }
            Self::CheckHash { path, reach, hash } => {
                out.push(CHECK_HASH);
                encode_text(path, out);
                out.push(u8::from(*reach == Reach::Subtree));
                hash.0.encode(out);
            }
            Self::CheckAbsent { path, version } => {
                encode_versioned(CHECK_ABSENT, path, *version, out);
            }
            Self::DeleteSubtree { path, limit } => {
                out.push(DELETE_SUBTREE);
                encode_text(path, out);
                encode_varint((*limit).into(), out);
            }
        }
    }
}

impl Decode for MultiOp {
    fn decode(input: &mut Input) -> Result<Self, CodecError> {
        let tag = u8::decode(input)?;
        decode_op(tag, input)
    }
}

fn decode_op(tag: u8, input: &mut Input) -> Result<MultiOp, CodecError> {
    Ok(match tag {
        CREATE => MultiOp::Create {
            path: decode_text(input)?,
            data: decode_data(input)?,
            acl: decode_list(input)?,
            mode: Decode::decode(input)?,
        },
        DELETE => MultiOp::Delete { path: decode_text(input)?, version: decode_version(input)? },
        SET_DATA => {
            let (path, version): (Box<str>, _) = (decode_text(input)?, decode_version(input)?);
            MultiOp::SetData { path, version, data: decode_data(input)? }
        }
        CHECK_VERSION => {
            MultiOp::CheckVersion { path: decode_text(input)?, version: decode_version(input)? }
        }
        CHECK_HASH => MultiOp::CheckHash {
            path: decode_text(input)?,
            reach: if bool::decode(input)? { Reach::Subtree } else { Reach::Znode },
            hash: ContentHash(Decode::decode(input)?),
        },
        CHECK_ABSENT => {
            MultiOp::CheckAbsent { path: decode_text(input)?, version: decode_version(input)? }
        }
        CREATE_IF_ABSENT => MultiOp::CreateIfAbsent {
            path: decode_text(input)?,
            data: decode_data(input)?,
            acl: decode_list(input)?,
            mode: Decode::decode(input)?,
        },
        DELETE_SUBTREE => MultiOp::DeleteSubtree {
            path: decode_text(input)?,
            limit: u32::try_from(decode_varint(input)?)
                .map_err(|_| CodecError::Invalid { what: "limit of a deletion" })?,
        },
        tag => {
            return Err(CodecError::UnknownTag { what: "znode operation", tag: tag.into() });
        }
    })
}

fn encode_versioned(tag: u8, path: &str, version: i32, out: &mut Vec<u8>) {
    out.push(tag);
    encode_text(path, out);
    encode_version(version, out);
}

impl Encode for CreateMode {
    fn encode(&self, out: &mut Vec<u8>) {
        let sequence = |sequential: bool| if sequential { SEQUENTIAL } else { 0 };
        match *self {
            Self::Persistent { sequential } => out.push(PERSISTENT | sequence(sequential)),
            Self::Ephemeral { sequential } => out.push(EPHEMERAL | sequence(sequential)),
            Self::Container => out.push(CONTAINER),
            Self::Ttl { sequential, ttl_ms } => {
                out.push(TTL | sequence(sequential));
                encode_varint(ttl_ms, out);
            }
        }
    }
}

impl Decode for CreateMode {
    fn decode(input: &mut Input) -> Result<Self, CodecError> {
        let tag = u8::decode(input)?;
        let sequential = tag & SEQUENTIAL != 0;
        Ok(match tag & !SEQUENTIAL {
            PERSISTENT => Self::Persistent { sequential },
            EPHEMERAL => Self::Ephemeral { sequential },
            CONTAINER if !sequential => Self::Container,
            TTL => Self::Ttl { sequential, ttl_ms: decode_varint(input)? },
            _ => return Err(CodecError::UnknownTag { what: "create mode", tag: tag.into() }),
        })
    }
}

/// Data, of which none is kept apart from empty.
pub(crate) fn encode_data(data: Option<&[u8]>, out: &mut Vec<u8>) {
    match data {
        None => out.push(0),
        Some(data) => {
            out.push(1);
            encode_blob(data, out);
        }
    }
}

/// Reads what [`encode_data`] wrote.
pub(crate) fn decode_data(input: &mut Input) -> Result<Option<Bytes>, CodecError> {
    Ok(if bool::decode(input)? { Some(decode_blob(input)?) } else { None })
}

/// Zigzag, so that -1, the most frequent, is as short as the small ones.
fn encode_version(version: i32, out: &mut Vec<u8>) {
    let zigzag = (version << 1 ^ version >> 31).cast_unsigned();
    encode_varint(zigzag.into(), out);
}

fn decode_version(input: &mut Input) -> Result<i32, CodecError> {
    let zigzag = u32::try_from(decode_varint(input)?)
        .map_err(|_| CodecError::Invalid { what: "expected version" })?;
    Ok((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_read_back() {
        for version in [0, -1, 1, 77, i32::MAX, i32::MIN] {
            let mut out = Vec::new();
            encode_version(version, &mut out);
            assert_eq!(decode_version(&mut Input::new(out.into())), Ok(version));
        }
    }
}
