//! Links between members that a test can cut: a member then receives nothing
//! from the peer, and neither side notices, as with lost packets. Once the link
//! is restored, what was sent meanwhile arrives if the connection still exists.

use std::collections::BTreeSet;

use coord_state::MemberId;
use tokio::sync::watch;

use super::peer_frame::Purpose;

/// To whom a member is deaf.
#[derive(Debug, Clone, Default)]
pub(super) struct Links {
    deaf: watch::Sender<Deaf>,
}

#[derive(Debug, Default)]
struct Deaf {
    to: BTreeSet<MemberId>,
    only_append: bool,
}

/// One direction of one connection.
#[derive(Debug)]
pub(super) struct Link {
    deaf: watch::Receiver<Deaf>,
    peer: MemberId,
    /// Whether the peer sends log entries on it.
    entries: bool,
}

impl Links {
    /// Takes nothing from these peers from now on, and from all others everything.
    pub(super) fn be_deaf_to(&self, peers: impl IntoIterator<Item = MemberId>) {
        self.deaf.send_replace(Deaf { to: peers.into_iter().collect(), only_append: false });
    }

    /// Takes no log entries from these peers from now on, and all else.
    pub(super) fn take_no_entries_of(&self, peers: impl IntoIterator<Item = MemberId>) {
        self.deaf.send_replace(Deaf { to: peers.into_iter().collect(), only_append: true });
    }

    /// What a peer says on a connection that it made.
    pub(super) fn requests(&self, peer: MemberId, purpose: Purpose) -> Link {
        Link { deaf: self.deaf.subscribe(), peer, entries: purpose == Purpose::Append }
    }

    /// What a peer says on a connection that was made to it.
    pub(super) fn answers(&self, peer: MemberId) -> Link {
        Link { deaf: self.deaf.subscribe(), peer, entries: false }
    }
}

impl Link {
    /// Waits until something of the peer may be taken.
    pub(super) async fn passes(&self) {
        let cut = |deaf: &Deaf| deaf.to.contains(&self.peer) && (self.entries || !deaf.only_append);
        // If the sender is gone, so is the member.
        let _ = self.deaf.clone().wait_for(|deaf| !cut(deaf)).await;
    }
}
