//! Quotas: usage and limits of znodes and bytes in a subtree.
//!
//! ```text
//! /zookeeper/quota/a/b/zookeeper_limits   what /a/b may have: while it is there, the quota is active
//! /zookeeper/quota/a/b/zookeeper_stats    what /a/b has: kept current by every change below /a/b
//!
//!   count=5,bytes=100=;byteHardLimit=200;countHardLimit=10
//! ```
//!
//! Invariants:
//!
//! 1. Statistics are a function of the applied commands, so they are the same
//!    on all members: they are in the digest and in the snapshot like other
//!    data.
//! 2. Updating them changes only data: no version, no time, no event.
//! 3. Hard limits are always enforced, without a setting: if it differed
//!    between members, their states would diverge.
//!
//! ZooKeeper's rules, with three differences: the operations of a `multi` see
//! each other's usage, statistics that cannot be read are counted afresh, and
//! there is no quota for `/zookeeper` and below, which its shell refuses, too.
//! Soft limits (`count`, `bytes`) refuse nothing here or there.

use alloc::format;
use alloc::sync::Arc;

use bytes::Bytes;

use crate::rejection::Rejection;
use crate::znode::Tree;
use crate::znode::record::{Record, ZnodeId};
use crate::znode::undo::Undo;

const ROOM: &str = "/zookeeper/quota";
const LIMITS: &str = "/zookeeper_limits";
const STATISTICS: &str = "/zookeeper_stats";

/// The top of the subtree that the znode at `path` limits, if it limits one.
pub(super) fn limited_by(path: &str) -> Option<&str> {
    named(path, LIMITS)
}

/// The top of the subtree that the znode at `path` limits or counts.
fn quota_of(path: &str) -> Option<&str> {
    limited_by(path).or_else(|| named(path, STATISTICS))
}

/// What stands between the room of quotas and `name`, if a quota can be on it.
fn named<'a>(path: &'a str, name: &str) -> Option<&'a str> {
    let top = path.strip_prefix(ROOM)?.strip_suffix(name)?;
    (top.starts_with('/') && !is_system(top)).then_some(top)
}

fn is_system(path: &str) -> bool {
    path.strip_prefix("/zookeeper").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Znodes and bytes of data: what a subtree has, or how that changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Usage {
    count: i64,
    bytes: i64,
}

impl Usage {
    fn of(record: &Record) -> Self {
        Self { count: 1, bytes: data_len(record.data.as_ref()) }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            count: self.count.saturating_add(other.count),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    fn read(data: &[u8]) -> Option<Self> {
        Some(Self { count: field(data, "count")?, bytes: field(data, "bytes")? })
    }

    fn to_data(self) -> Bytes {
        format!("count={},bytes={}", self.count, self.bytes).into()
    }
}

fn data_len(data: Option<&Bytes>) -> i64 {
    data.map_or(0, |data| i64::try_from(data.len()).unwrap_or(i64::MAX))
}

/// The number behind `key`; none if it is missing or no number.
fn field(data: &[u8], key: &str) -> Option<i64> {
    let text = core::str::from_utf8(data).ok()?;
    text.split([',', ';'])
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, _)| *name == key)
        // One more sign than needed stands before the hard limits.
        .and_then(|(_, value)| value.trim_end_matches('=').parse().ok())
}

impl Tree {
    /// Whether a znode with these data can be created at `path`.
    ///
    /// # Errors
    /// `QuotaExceeded`.
    pub(super) fn check_quota_of_new(
        &self,
        path: &str,
        data: Option<&Bytes>,
    ) -> Result<(), Rejection> {
        self.check_quota(path, Usage { count: 1, bytes: data_len(data) })
    }

    /// Whether a znode can have these data instead of those it has.
    ///
    /// # Errors
    /// `QuotaExceeded`.
    pub(super) fn check_quota_of_data(
        &self,
        id: ZnodeId,
        data: Option<&Bytes>,
    ) -> Result<(), Rejection> {
        let record = self.slab.get(id);
        let bytes = data_len(data) - data_len(record.data.as_ref());
        self.check_quota(&record.path, Usage { count: 0, bytes })
    }

    fn check_quota(&self, path: &str, change: Usage) -> Result<(), Rejection> {
        let Some(top) = self.governing_quota(path) else { return Ok(()) };
        let Some(limits) = self.quota_data(top, LIMITS) else { return Ok(()) };
        let Some(usage) = self.quota_data(top, STATISTICS) else { return Ok(()) };
        let Some(usage) = Usage::read(&usage) else { return Ok(()) };
        let exceeds = |key, change: i64, usage: i64| {
            let limit = field(&limits, key).filter(|limit| *limit >= 0);
            change != 0 && limit.is_some_and(|limit| usage.saturating_add(change) > limit)
        };
        if exceeds("countHardLimit", change.count, usage.count)
            || exceeds("byteHardLimit", change.bytes, usage.bytes)
        {
            return Err(Rejection::QuotaExceeded);
        }
        Ok(())
    }

    /// Brings the statistics up to date with what was just done. What it gives
    /// back takes that back again, before what was done is taken back.
    pub(super) fn account(&mut self, done: &Undo) -> Option<Undo> {
        let (path, change) = match done {
            Undo::Created { id, .. } => {
                let record = self.slab.get(*id);
                if let Some(top) = quota_of(&record.path) {
                    let top: Arc<str> = top.into();
                    return self.recount(&top);
                }
                (record.path.clone(), Usage::of(record))
            }
            Undo::Deleted { record, .. } => {
                let Usage { count, bytes } = Usage::of(record);
                (record.path.clone(), Usage { count: -count, bytes: -bytes })
            }
            Undo::DataSet { id, data, .. } => {
                let record = self.slab.get(*id);
                let bytes = data_len(record.data.as_ref()) - data_len(data.as_ref());
                (record.path.clone(), Usage { count: 0, bytes })
            }
            Undo::Nothing | Undo::Counted { .. } | Undo::Several(_) => return None,
        };
        let top: Arc<str> = self.governing_quota(&path)?.into();
        match Usage::read(&self.quota_data(&top, STATISTICS)?) {
            Some(usage) => self.set_statistics(&top, usage.plus(change)),
            None => self.recount(&top),
        }
    }

    /// Counts what is at and below `top` afresh, if somebody wants to know.
    fn recount(&mut self, top: &str) -> Option<Undo> {
        let usage = match self.find(top) {
            Some(id) => self
                .ids_below(id)
                .fold(Usage::default(), |usage, id| usage.plus(Usage::of(self.slab.get(id)))),
            None => Usage::default(),
        };
        self.set_statistics(top, usage)
    }

    fn set_statistics(&mut self, top: &str, usage: Usage) -> Option<Undo> {
        let id = self.find(&format!("{ROOM}{top}{STATISTICS}"))?;
        let data = self.replace_data(id, Some(usage.to_data()));
        Some(Undo::Counted { id, data })
    }

    fn quota_data(&self, top: &str, name: &str) -> Option<Bytes> {
        let id = self.find(&format!("{ROOM}{top}{name}"))?;
        self.slab.get(id).data.clone()
    }

    /// The lowest active quota at or above `path`.
    fn governing_quota<'a>(&self, path: &'a str) -> Option<&'a str> {
        if self.quotas.is_empty() {
            return None;
        }
        core::iter::successors(Some(path), |path| Some(path.rsplit_once('/')?.0))
            .find(|path| self.quotas.contains(*path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_in_every_form_zookeeper_writes() {
        let data = b"count=5,bytes=100=;byteHardLimit=200;countHardLimit=10";
        for (key, value) in
            [("count", 5), ("bytes", 100), ("byteHardLimit", 200), ("countHardLimit", 10)]
        {
            assert_eq!(field(data, key), Some(value), "{key}");
        }
        assert_eq!(field(b"count=-1,bytes=-1", "bytes"), Some(-1));
        assert_eq!(field(b"count=-1,bytes=-1", "byteHardLimit"), None);
        for nonsense in [&b""[..], b"count", b"count=", b"count=x", b"\xff"] {
            assert_eq!(field(nonsense, "count"), None, "{nonsense:?}");
        }
    }

    #[test]
    fn a_quota_can_be_on_anything_but_the_root_and_the_system() {
        for (path, top) in [
            ("/zookeeper/quota/a/b/zookeeper_limits", Some("/a/b")),
            ("/zookeeper/quota/zookeepers/zookeeper_limits", Some("/zookeepers")),
            ("/zookeeper/quota/zookeeper_limits", None),
            ("/zookeeper/quota/zookeeper/zookeeper_limits", None),
            ("/zookeeper/quota/zookeeper/quota/zookeeper_limits", None),
            ("/zookeeper/quotas/a/zookeeper_limits", None),
            ("/zookeeper/quota/a/zookeeper_stats", None),
            ("/a/zookeeper_limits", None),
        ] {
            assert_eq!(limited_by(path), top, "{path}");
        }
    }
}
