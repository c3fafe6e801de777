//! Rollback of a `multi`: every operation records what its undo needs, and
//! undos run in reverse order. Nothing is copied in advance.

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::id::Revision;
use crate::session::Sessions;
use crate::znode::record::{Record, ZnodeId};
use crate::znode::{Lifetime, Tree};

/// What one operation did.
#[derive(Debug)]
pub(super) enum Undo {
    /// It changed nothing.
    Nothing,
    /// It put a znode in, the last among its siblings; the parent had this `pzxid`.
    Created { id: ZnodeId, pzxid: Revision },
    /// It took a znode out; the parent had this `pzxid`.
    Deleted { record: Box<Record>, pzxid: Revision },
    /// It replaced a znode's data and counted it.
    DataSet { id: ZnodeId, data: Option<Bytes>, version: i32, mzxid: Revision, mtime: i64 },
    /// It rewrote the statistics of a quota.
    Counted { id: ZnodeId, data: Option<Bytes> },
    /// It did these, and counted what they changed.
    Several(Vec<Self>),
}

impl Undo {
    /// The operation stays: what its reverse would have needed goes.
    pub(super) fn forget(self, tree: &mut Tree) {
        match self {
            Self::Deleted { record, .. } => tree.acls.release(record.acl),
            Self::Several(all) => all.into_iter().for_each(|one| one.forget(tree)),
            Self::Nothing | Self::Created { .. } | Self::DataSet { .. } | Self::Counted { .. } => {}
        }
    }

    /// Takes the operation back, as the last one that is not taken back yet.
    pub(super) fn roll_back(self, tree: &mut Tree, sessions: &mut Sessions) {
        match self {
            Self::Nothing => {}
            Self::Created { id, pzxid } => {
                let record = tree.take(id);
                if let Lifetime::Ephemeral(session) = record.lifetime() {
                    sessions.disown(session, &record.path);
                }
                tree.acls.release(record.acl);
                tree.edit(record.parent, |parent| {
                    let family = parent.family_mut();
                    family.created -= 1;
                    family.pzxid = pzxid;
                });
            }
            Self::Deleted { record, pzxid } => {
                if let Lifetime::Ephemeral(session) = record.lifetime() {
                    sessions.own(session, record.path.clone());
                }
                tree.edit(record.parent, |parent| parent.family_mut().pzxid = pzxid);
                tree.put_back(*record);
            }
            Self::DataSet { id, data, version, mzxid, mtime } => {
                tree.replace_data(id, data);
                tree.edit(id, |record| {
                    record.version = version;
                    record.mzxid = mzxid;
                    record.mtime = mtime;
                });
            }
            Self::Counted { id, data } => drop(tree.replace_data(id, data)),
            Self::Several(all) => {
                all.into_iter().rev().for_each(|one| one.roll_back(tree, sessions));
            }
        }
    }
}
