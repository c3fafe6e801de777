//! A znode's stat.

use coord_core::client::zookeeper::Stat;

use crate::boundary::put;

/// The stat of a znode, with ZooKeeper's fields.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct coord_stat {
    /// The zxid that created it.
    pub czxid: i64,
    /// The zxid of the last change of its data.
    pub mzxid: i64,
    /// The zxid of the last creation or deletion of a child.
    pub pzxid: i64,
    /// When it was created, ms since 1970.
    pub ctime: i64,
    /// When its data was last changed, ms since 1970.
    pub mtime: i64,
    /// The id of the owning session, 0 if it is not ephemeral.
    pub ephemeral_owner: i64,
    /// The number of changes of its data; pass it to coord_zk_set and
    /// coord_zk_delete.
    pub version: i32,
    /// The number of changes of its children, as ZooKeeper counts them.
    pub cversion: i32,
    /// The number of changes of its ACL.
    pub aversion: i32,
    /// The length of its data in bytes.
    pub data_length: i32,
    /// The number of direct children.
    pub num_children: i32,
}

impl From<Stat> for coord_stat {
    fn from(stat: Stat) -> Self {
        Self {
            czxid: stat.czxid.zxid(),
            mzxid: stat.mzxid.zxid(),
            pzxid: stat.pzxid.zxid(),
            ctime: stat.ctime,
            mtime: stat.mtime,
            ephemeral_owner: stat.ephemeral_owner.0,
            version: stat.version,
            cversion: stat.cversion,
            aversion: stat.aversion,
            data_length: stat.data_length,
            num_children: stat.num_children,
        }
    }
}

/// Writes a stat for the caller, who may not want it.
///
/// # Safety
/// `out` is NULL or points to a place for one.
pub(super) unsafe fn put_stat(out: *mut coord_stat, stat: Stat) {
    // SAFETY: the caller promises that `out` is NULL or writable.
    unsafe { put(out, stat.into()) };
}
