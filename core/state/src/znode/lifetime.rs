//! Lifetimes of znodes: persistent, ephemeral, container, TTL.

use crate::id::SessionId;

/// What ends a znode, apart from its deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// Nothing.
    Persistent,
    /// The end of this session.
    Ephemeral(SessionId),
    /// Having had children, and having none.
    Container,
    /// Having no children and not being set for `ttl_ms`.
    Ttl {
        /// 1 to 2^40 − 1.
        ttl_ms: u64,
    },
}

/// The longest time to live, in milliseconds: what ZooKeeper has bits for.
pub(super) const TTL_MS_MAX: u64 = (1 << 40) - 1;

const CONTAINER: i64 = i64::MIN;
const EXTENDED: i64 = 0xff00_0000_0000_0000_u64.cast_signed();
/// Of an extended owner: the kind of extension. Zero is a time to live.
const EXTENSION: i64 = 0x00ff_ff00_0000_0000;

impl Lifetime {
    /// As ZooKeeper stores it, in the owner field.
    ///
    /// ```text
    /// 0                       persistent
    /// session id              ephemeral
    /// 0x8000_0000_0000_0000   container
    /// 0xff00_00tt_tttt_tttt   time to live of t milliseconds
    /// ```
    pub fn to_owner(self) -> i64 {
        match self {
            Self::Persistent => 0,
            Self::Ephemeral(session) => session.0,
            Self::Container => CONTAINER,
            Self::Ttl { ttl_ms } => EXTENDED | (ttl_ms & TTL_MS_MAX).cast_signed(),
        }
    }

    /// Reads an owner field; `None` if it is an extension without a meaning.
    pub fn from_owner(owner: i64) -> Option<Self> {
        if owner == 0 {
            return Some(Self::Persistent);
        }
        if owner == CONTAINER {
            return Some(Self::Container);
        }
        if owner & EXTENDED != EXTENDED {
            return Some(Self::Ephemeral(SessionId(owner)));
        }
        let ttl_ms = owner.cast_unsigned() & TTL_MS_MAX;
        (owner & EXTENSION == 0 && ttl_ms > 0).then_some(Self::Ttl { ttl_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_read_back() {
        for lifetime in [
            Lifetime::Persistent,
            Lifetime::Ephemeral(SessionId(0x0100_0000_0000_0001)),
            Lifetime::Container,
            Lifetime::Ttl { ttl_ms: 1 },
            Lifetime::Ttl { ttl_ms: TTL_MS_MAX },
        ] {
            assert_eq!(Lifetime::from_owner(lifetime.to_owner()), Some(lifetime));
        }
        assert_eq!(Lifetime::from_owner(EXTENDED), None);
        assert_eq!(Lifetime::from_owner(EXTENDED | 1 << 41), None);
    }
}
