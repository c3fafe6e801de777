//! Reads that ZooKeeper does not have: content hashes, filtered lists, and the
//! two znodes from which ClickHouse learns the features of a Keeper.
//!
//! `/keeper/feature_flags` and `/keeper/api_version` are only served by their
//! exact path, never listed, and cannot be changed: `/keeper` itself does not
//! exist, so a ZooKeeper client that does not know the paths sees nothing new.
//! A real znode with such a path, which a client may create, takes precedence.

use coord_state::znode::{Lifetime, Reach, Stat};
use coord_wire::zookeeper::ErrorCode;
use coord_wire::zookeeper::extension::{self, ChildFilter};
use coord_wire::zookeeper::jute::put_texts;
use coord_wire::zookeeper::record;

use super::error_map::error_code;
use super::reader::{Reader, STAT_BYTES};
use super::reply_limit::{ReplyLimit, Work};
use crate::node::WatchKind;

/// What is served without being in the tree.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Served(&'static [u8]);

/// A bit per feature, the first the highest: filtered list, multi read, check
/// not exists, create if not exists, remove recursive. The second byte is for
/// clients that know more of them.
const FEATURE_FLAGS: &[u8] = &[0b1111_1000, 0];

/// For clients from before there were flags: up to check not exists.
const API_VERSION: &[u8] = b"3";

impl Served {
    pub(super) fn at(path: &str) -> Option<Self> {
        match path {
            "/keeper/feature_flags" => Some(Self(FEATURE_FLAGS)),
            "/keeper/api_version" => Some(Self(API_VERSION)),
            _ => None,
        }
    }

    pub(super) fn data(&self) -> &'static [u8] {
        self.0
    }

    /// As of something that was always there.
    pub(super) fn stat(&self) -> Stat {
        Stat { data_length: i32::try_from(self.0.len()).unwrap_or(i32::MAX), ..Stat::default() }
    }
}

impl Reader<'_> {
    pub(super) fn put_filtered_list(
        &self,
        path: &str,
        watch: bool,
        filter: ChildFilter,
        limit: ReplyLimit,
        work: &Work,
        out: &mut Vec<u8>,
    ) -> Result<(), ErrorCode> {
        let znode = self.readable(path)?;
        let names: Vec<&str> = work
            .counted(znode.children_with_lifetimes())
            .filter(|(_, lifetime)| match filter {
                ChildFilter::All => true,
                ChildFilter::Persistent => !matches!(lifetime, Lifetime::Ephemeral(_)),
                ChildFilter::Ephemeral => matches!(lifetime, Lifetime::Ephemeral(_)),
            })
            .map(|(name, _)| name)
            .collect();
        limit.less(STAT_BYTES).hold_texts(out, names.iter())?;
        if watch {
            self.watches.add(path, WatchKind::Child);
        }
        put_texts(out, names);
        record::put_stat(out, &znode.stat());
        Ok(())
    }

    pub(super) fn put_hash(
        &self,
        path: &str,
        reach: Reach,
        out: &mut Vec<u8>,
    ) -> Result<(), ErrorCode> {
        if path.is_empty() {
            return Err(ErrorCode::BadArguments);
        }
        let hash = self.state.znodes().hash_for(path, reach, self.identities);
        let hash = hash.map_err(|no| error_code(&no).unwrap_or(ErrorCode::MarshallingError))?;
        extension::put_hash_reply(out, hash, self.state.revision().zxid());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_two_names_are_served() {
        for path in ["/", "/keeper", "/keeper/", "/keeper/config", "/keeper/feature_flags/x", ""] {
            assert_eq!(Served::at(path), None, "{path}");
        }
        assert_eq!(Served::at("/keeper/api_version").map(|served| served.data()), Some(&b"3"[..]));
    }
}
