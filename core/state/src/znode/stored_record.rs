//! The stored form of a znode: what the snapshot holds and the digest hashes.
//!
//! ```text
//! path | access list | u64 czxid mzxid pzxid | i64 ctime mtime owner created
//!      | i32 version aversion | data
//! ```

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::codec::{CodecError, Decode, Encode, Input, decode_blob, encode_text};
use crate::id::Revision;
use crate::znode::acl::{decode_list, encode_list};
use crate::znode::acl_table::AclId;
use crate::znode::record::{Family, Record, ZnodeId};
use crate::znode::stored_command::{decode_data, encode_data};
use crate::znode::{Ace, Acl};

impl Record {
    /// Appends everything but the data.
    pub(super) fn encode_node(&self, acl: &Acl, out: &mut Vec<u8>) {
        encode_text(&self.path, out);
        encode_list(Some(&acl.0), out);
        self.czxid.encode(out);
        self.mzxid.encode(out);
        self.pzxid().encode(out);
        self.ctime.encode(out);
        self.mtime.encode(out);
        self.owner.encode(out);
        self.created().encode(out);
        self.version.encode(out);
        self.aversion.encode(out);
    }

    /// Appends path and data: the path keeps the entries of the digest apart.
    pub(super) fn encode_data_entry(&self, out: &mut Vec<u8>) {
        encode_text(&self.path, out);
        encode_data(self.data.as_deref(), out);
    }

    /// Appends what the data are in: what else the content hash covers.
    pub(super) fn encode_frame(&self, acl: &Acl, out: &mut Vec<u8>) {
        encode_text(&self.path, out);
        encode_list(Some(&acl.0), out);
        self.owner.encode(out);
    }

    /// Appends everything.
    pub(crate) fn encode(&self, acl: &Acl, out: &mut Vec<u8>) {
        self.encode_node(acl, out);
        encode_data(self.data.as_deref(), out);
    }
}

/// A record as read back, before it has a place in a tree.
pub(super) struct StoredRecord {
    pub(super) path: Arc<str>,
    pub(super) acl: Vec<Ace>,
    pub(super) owner: i64,
    czxid: Revision,
    mzxid: Revision,
    pzxid: Revision,
    ctime: i64,
    mtime: i64,
    created: i64,
    version: i32,
    aversion: i32,
    data: Option<Bytes>,
}

impl Decode for StoredRecord {
    fn decode(input: &mut Input) -> Result<Self, CodecError> {
        let path = decode_blob(input)?;
        let path = core::str::from_utf8(&path)
            .map_err(|_| CodecError::NotUtf8 { what: "the path of a znode" })?;
        let acl = decode_list(input)?;
        Ok(Self {
            path: path.into(),
            acl: acl.ok_or(CodecError::Invalid { what: "the access list of a znode" })?,
            czxid: Decode::decode(input)?,
            mzxid: Decode::decode(input)?,
            pzxid: Decode::decode(input)?,
            ctime: Decode::decode(input)?,
            mtime: Decode::decode(input)?,
            owner: Decode::decode(input)?,
            created: Decode::decode(input)?,
            version: Decode::decode(input)?,
            aversion: Decode::decode(input)?,
            // Copied, so that a small znode does not keep the whole snapshot in memory.
            data: decode_data(input)?.map(|data| Bytes::copy_from_slice(&data)),
        })
    }
}

impl StoredRecord {
    pub(super) fn into_record(self, acl: AclId, parent: ZnodeId) -> Record {
        let has_family = self.created != 0 || self.pzxid != self.czxid;
        Record {
            path: self.path,
            data: self.data,
            family: has_family.then(|| Family::without_children(self.created, self.pzxid)),
            czxid: self.czxid,
            mzxid: self.mzxid,
            ctime: self.ctime,
            mtime: self.mtime,
            owner: self.owner,
            version: self.version,
            aversion: self.aversion,
            acl,
            parent,
            position: 0,
        }
    }
}
