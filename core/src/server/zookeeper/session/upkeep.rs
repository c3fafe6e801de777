//! The service mode of this member for ZooKeeper clients. A member that is
//! partitioned from the majority must not keep its clients: their sessions
//! expire at the leader without them noticing, and their reads become stale.
//!
//! Any reply tells a client that its session is alive. So as soon as the leader
//! is not known to have a majority, replies from this member's own copy wait,
//! while connections stay open: usually a new leader is elected before clients
//! notice. If not, the connections are closed.
//!
//! ```text
//!             no majority for too long          with read-only mode
//! ReadWrite ------------------------> CutOff  or  ReadOnly
//!     ^                                  |            |
//!     +----------- a majority -----------+------------+
//! ```
//!
//! A member that cannot write its log, or failed, counts as partitioned
//! immediately: it cannot follow the cluster's decisions.
//!
//! A connection lasts as long as the service mode it was accepted in.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::service_mode::ServiceMode;
use crate::clock;
use crate::node::Impairment;
use crate::server::zookeeper::server_context::{ServerContext, stopped};
use crate::server::zookeeper::translate::Owner;

/// How often a member with no majority behind it looks whether there is one.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Keeps the service mode, and ends local sessions whose time is over, until the
/// server stops.
pub(crate) async fn run_upkeep(shared: Arc<ServerContext>, mut stop: watch::Receiver<bool>) {
    let tick_ms = shared.node.settings().session.tick_ms;
    let mut ticks = clock::interval(Duration::from_millis((tick_ms / 8).clamp(20, 100).into()));
    let mut led = shared.node.clock().monotonic();
    let mut backed = true;
    let mut impaired = shared.node.watch_impairment();
    loop {
        tokio::select! {
            () = stopped(&mut stop) => return,
            Ok(()) = impaired.changed() => {}
            _ = ticks.tick() => {}
            () = clock::sleep(LOOK_AGAIN), if !backed => {}
        }
        let now = shared.node.clock().monotonic();
        backed = shared.is_backed(now);
        if backed {
            shared.backed.send_if_modified(|before| !std::mem::replace(before, true));
        }
        if shared.node.status().leader.is_some() {
            led = led.max(shared.node.majority_contact().unwrap_or_default());
        }
        shared.local_sessions.expire(now);
        shared.set_service_mode(service_mode(&shared, now.saturating_sub(led)));
    }
}

fn service_mode(shared: &ServerContext, silence: Duration) -> ServiceMode {
    let settings = shared.node.settings();
    let down = match shared.node.impairment() {
        Some(Impairment::Failed(_)) => return ServiceMode::CutOff,
        Some(Impairment::Stalled(_)) => true,
        Some(Impairment::NoRoom(_)) | None => false,
    };
    if !down && silence < settings.cut_off() {
        ServiceMode::ReadWrite
    } else if settings.zk.read_only_mode && !shared.node.status().outside {
        ServiceMode::ReadOnly
    } else {
        ServiceMode::CutOff
    }
}

impl ServerContext {
    /// Whether an answer at `now` may tell a client that its session lives. If not,
    /// [`Self::backed_again`] returns once it may.
    fn is_backed(&self, now: Duration) -> bool {
        let backed = self.node.is_backed(now);
        if !backed {
            self.backed.send_if_modified(|before| std::mem::replace(before, false));
        }
        backed
    }

    /// Whether a session may be answered from this member's own copy, which its
    /// client takes for a sign that it lives. One that only this member knows needs
    /// no majority.
    pub(crate) fn may_answer(
        &self,
        owner: Owner,
        service_mode: ServiceMode,
        now: Duration,
    ) -> bool {
        owner.local || service_mode == ServiceMode::ReadOnly || self.is_backed(now)
    }

    pub(crate) async fn backed_again(&self) {
        // Its sender is here, so it is not gone.
        let _ = self.backed.subscribe().wait_for(|backed| *backed).await;
    }

    /// Whom the member serves now.
    pub(crate) fn service_mode(&self) -> ServiceMode {
        *self.service_mode.borrow()
    }

    fn set_service_mode(&self, service_mode: ServiceMode) {
        let before = self.service_mode();
        if before == service_mode {
            return;
        }
        tracing::info!(?service_mode, "the service mode for ZooKeeper clients changed");
        if before == ServiceMode::ReadOnly {
            self.local_sessions.end_read_only();
        }
        self.service_mode.send_replace(service_mode);
    }
}
