//! Unique ids: the member number in the high byte, then the start time, then a
//! counter, like ZooKeeper's session ids.

use std::sync::atomic::{AtomicU64, Ordering};

use coord_state::{Attachment, MemberId, SessionId};

use super::ConnectionId;

#[derive(Debug)]
pub(super) struct FreshIds {
    sessions: AtomicU64,
    attachments: AtomicU64,
    connections: AtomicU64,
}

impl FreshIds {
    /// `incarnation` is in ms and grows with every start, so two starts never
    /// share an id unless one made 65,536 of them per millisecond it ran.
    pub(super) fn new(member: MemberId, incarnation: u64) -> Self {
        let base = (member.0 << 56) | ((incarnation << 16) & 0x00ff_ffff_ffff_ffff);
        Self {
            sessions: AtomicU64::new(base),
            attachments: AtomicU64::new(base),
            connections: AtomicU64::new(1),
        }
    }

    pub(super) fn session(&self) -> SessionId {
        SessionId(self.sessions.fetch_add(1, Ordering::Relaxed).cast_signed())
    }

    pub(super) fn attachment(&self) -> Attachment {
        Attachment(self.attachments.fetch_add(1, Ordering::Relaxed))
    }

    /// The member that drew it.
    pub(super) fn member_of(attachment: Attachment) -> MemberId {
        MemberId(attachment.0 >> 56)
    }

    pub(super) fn connection(&self) -> ConnectionId {
        ConnectionId(self.connections.fetch_add(1, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_id_carries_its_member_in_the_high_byte_and_is_never_zero() {
        let ids = FreshIds::new(MemberId(254), 0);
        let session = ids.session();
        assert_eq!(session.0.to_be_bytes()[0], 254);
        assert_ne!(ids.session(), session);
        assert_eq!(FreshIds::member_of(ids.attachment()), MemberId(254));
    }

    #[test]
    fn two_starts_share_no_session_id() {
        let (first, second) = (FreshIds::new(MemberId(1), 1000), FreshIds::new(MemberId(1), 1001));
        let early: Vec<_> = (0..1000).map(|_| first.session()).collect();
        assert!(!early.contains(&second.session()));
    }
}
