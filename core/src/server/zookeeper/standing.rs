//! Whom this member serves. A member that is cut off from the majority must not
//! keep its clients: their sessions end elsewhere without them noticing, and
//! what they read falls behind.
//!
//! ```text
//!             no leader for too long            with read-only mode
//! ReadWrite ------------------------> CutOff  or  ReadOnly
//!     ^                                  |            |
//!     +----------- a leader -------------+------------+
//! ```
//!
//! A connection lasts as long as the standing it was accepted in.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::listener::{Shared, stopped};
use crate::clock;

/// Whom a member serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Everybody.
    ReadWrite,
    /// Clients that said that they will only read.
    ReadOnly,
    /// Nobody.
    CutOff,
}

/// Keeps the standing, and ends local sessions whose time is over, until the
/// server stops.
pub(super) async fn keep(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let tick_ms = shared.node.settings().session.tick_ms;
    let mut ticks = clock::interval(Duration::from_millis((tick_ms / 8).clamp(20, 100).into()));
    let mut led = shared.node.clock().monotonic();
    loop {
        tokio::select! {
            () = stopped(&mut stop) => return,
            _ = ticks.tick() => {}
        }
        let now = shared.node.clock().monotonic();
        if shared.node.status().leader.is_some() {
            led = now;
        }
        shared.local_sessions.expire(now);
        shared.stand(standing(&shared, now.saturating_sub(led)));
    }
}

fn standing(shared: &Shared, leaderless: Duration) -> Standing {
    let settings = shared.node.settings();
    if leaderless < settings.zk.cut_off(settings.session.tick_ms) {
        Standing::ReadWrite
    } else if settings.zk.read_only_mode && !shared.node.status().outside {
        Standing::ReadOnly
    } else {
        Standing::CutOff
    }
}

impl Shared {
    /// Whom the member serves now.
    pub(super) fn standing(&self) -> Standing {
        *self.standing.borrow()
    }

    fn stand(&self, standing: Standing) {
        let before = self.standing();
        if before == standing {
            return;
        }
        tracing::info!(?standing, "serving ZooKeeper clients changed");
        if before == Standing::ReadOnly {
            self.local_sessions.end_read_only();
        }
        self.standing.send_replace(standing);
    }
}
