//! Conditions that keep a member from serving normally: storage problems, or
//! failure of the member.
//!
//! ```text
//! None ── little room left, and no other member to lead ──> NoRoom
//!  │ the log cannot be written ──> Stalled ── it can ──> None
//!  │ consensus, the log or a task ended, or an invariant broke ──> Failed, for good
//! ```
//!
//! | | clients' writes | sessions | reads | connections |
//! |---|---|---|---|---|
//! | `NoRoom` | refused | go on | answered | stay |
//! | `Stalled`, `Failed` | refused | go on elsewhere | refused, but of a stalled member alone | ZooKeeper's are ended |
//!
//! A leader that cannot write, or soon will not be able to, transfers
//! leadership to a member that can. A follower without disk space continues as
//! long as the leader has space: its log then takes what the cluster commits
//! until it stalls.

use std::sync::{Arc, Weak};
use std::time::Duration;

use coord_state::MemberId;

use super::node_core::{Node, NodeCore};
use super::peer_message::{PeerCall, answer, read_answer};
use crate::clock;
use crate::error::Error;

/// How often the free space is checked, and others are asked for theirs.
const PERIOD: Duration = Duration::from_millis(250);
const ANSWER_TIMEOUT: Duration = Duration::from_millis(500);
/// Leadership is only transferred to members heard from within this time.
const HEARD_WITHIN: Duration = Duration::from_secs(1);
/// How long the target of a transfer may take to become the leader.
const HAND_OVER_AGAIN: Duration = Duration::from_secs(2);

/// Why a member does not serve normally.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Impairment {
    /// The disk is almost full: writes of clients are refused, so that the log
    /// does not fill it.
    NoRoom(String),
    /// The log cannot be written at the moment. Writes are retried.
    Stalled(String),
    /// An essential part ended: the member failed permanently.
    Failed(String),
}

impl Impairment {
    /// The problem in words.
    pub fn reason(&self) -> &str {
        match self {
            Self::NoRoom(why) | Self::Stalled(why) | Self::Failed(why) => why,
        }
    }

    /// Whether the member does not take part in the cluster.
    pub(super) fn is_down(&self) -> bool {
        matches!(self, Self::Stalled(_) | Self::Failed(_))
    }

    fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl Node {
    /// What keeps this member from serving normally, if anything.
    pub fn impairment(&self) -> Option<Impairment> {
        self.inner.replica.impairment()
    }

    /// The same, as a watch channel.
    pub fn watch_impairment(&self) -> tokio::sync::watch::Receiver<Option<Impairment>> {
        self.inner.replica.impaired.subscribe()
    }

    /// Waits until this member fails permanently, and returns why. Cancel safe.
    ///
    /// # Errors
    /// `Closed` if the node is gone first.
    pub async fn wait_failed(&self) -> Result<String, Error> {
        let mut impaired = self.watch_impairment();
        let failed = |now: &Option<Impairment>| matches!(now, Some(Impairment::Failed(_)));
        let now =
            impaired.wait_for(failed).await.map_err(|_| Error::closed("the member was dropped"))?;
        Ok(now.as_ref().map_or("", Impairment::reason).to_owned())
    }
}

/// Monitors storage and consensus.
pub(super) async fn run_upkeep(weak: Weak<NodeCore>) {
    let Some(mut watched) = weak.upgrade().map(|inner| Watched::of(&inner)) else { return };
    let mut ticks = clock::interval(PERIOD);
    let mut handed_over = None;
    loop {
        let Some(inner) = weak.upgrade() else { return };
        let found = inner.look_for_impairment(&mut watched, &mut handed_over).await;
        inner.impair(found);
        tokio::select! {
            _ = ticks.tick() => inner.room.look(),
            Ok(()) = watched.status.changed() => {}
            Ok(()) = watched.short.changed() => {}
            Ok(()) = watched.panicked.changed() => {}
            Ok(()) = watched.violation.changed() => {}
        }
    }
}

struct Watched {
    status: tokio::sync::watch::Receiver<crate::consensus::ConsensusStatus>,
    short: tokio::sync::watch::Receiver<Option<String>>,
    panicked: tokio::sync::watch::Receiver<Option<String>>,
    violation: tokio::sync::watch::Receiver<Option<String>>,
}

impl Watched {
    fn of(inner: &NodeCore) -> Self {
        Self {
            status: inner.consensus.watch_status(),
            short: inner.room.watch_short(),
            panicked: inner.panicked.subscribe(),
            violation: inner.replica.proposals.watch_violation(),
        }
    }
}

/// What a member reports about its storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RoomLeft {
    /// It cannot write.
    None,
    /// It will soon be unable to write.
    Little,
    /// It has enough space to lead.
    Enough,
}

impl RoomLeft {
    fn code(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Little => 1,
            Self::Enough => 2,
        }
    }

    fn of_code(code: u8) -> Self {
        match code {
            0 => Self::None,
            1 => Self::Little,
            _ => Self::Enough,
        }
    }
}

impl NodeCore {
    async fn look_for_impairment(
        self: &Arc<Self>,
        watched: &mut Watched,
        handed_over: &mut Option<Duration>,
    ) -> Option<Impairment> {
        let panicked = watched.panicked.borrow_and_update().clone();
        let violation = watched.violation.borrow_and_update().clone();
        let (failed, stalled) = {
            let status = watched.status.borrow_and_update();
            (panicked.or(violation).or_else(|| status.failed.clone()), status.stalled.clone())
        };
        let short = watched.short.borrow_and_update().clone();
        if let Some(why) = failed {
            return Some(Impairment::Failed(why));
        }
        if let Some(why) = stalled {
            let stalled = Impairment::Stalled(why);
            // Immediately: clients need not wait until another leader was
            // found.
            self.impair(Some(stalled.clone()));
            self.let_another_lead(RoomLeft::Little, handed_over).await;
            return Some(stalled);
        }
        let why = short?;
        match self.known_leader() {
            Some(leader) if leader == self.member => {
                let handed = self.let_another_lead(RoomLeft::Enough, handed_over).await;
                (!handed).then_some(Impairment::NoRoom(why))
            }
            Some(leader) if self.room_of(leader).await == RoomLeft::Enough => None,
            _ => Some(Impairment::NoRoom(why)),
        }
    }

    /// This member's report about its storage.
    pub(super) fn room_answer(&self) -> bytes::Bytes {
        let room = match self.replica.is_down() {
            true => RoomLeft::None,
            false if self.room.watch_short().borrow().is_some() => RoomLeft::Little,
            false => RoomLeft::Enough,
        };
        answer(&room.code())
    }

    async fn room_of(&self, member: MemberId) -> RoomLeft {
        let call = self.consensus.call(member, PeerCall::RoomLeft.to_bytes());
        match clock::timeout(ANSWER_TIMEOUT, call).await {
            Some(Ok(answer)) => read_answer(answer).map_or(RoomLeft::None, RoomLeft::of_code),
            Some(Err(_)) | None => RoomLeft::None,
        }
    }

    /// As the leader: transfers leadership to the voter with the most space, if
    /// it has at least this much. Whether there is one.
    async fn let_another_lead(
        self: &Arc<Self>,
        least: RoomLeft,
        handed_over: &mut Option<Duration>,
    ) -> bool {
        if !self.is_leader() || self.lone() {
            return false;
        }
        let now = self.clock.monotonic();
        if handed_over.is_some_and(|at| now.saturating_sub(at) < HAND_OVER_AGAIN) {
            return true;
        }
        let mut fit = Vec::new();
        for transfer_target in self.consensus.transfer_targets(HEARD_WITHIN) {
            fit.push((self.room_of(transfer_target).await, transfer_target));
        }
        // The first of those with the most space: it has most of the log.
        let best = fit.into_iter().rev().max_by_key(|(room, _)| *room);
        let Some((_, transfer_target)) = best.filter(|(room, _)| *room >= least) else {
            return false;
        };
        tracing::warn!(
            member = self.member.0,
            transfer_target = transfer_target.0,
            "transferring leadership to a member that can write to its disk"
        );
        *handed_over = Some(now);
        self.consensus.transfer_leader(transfer_target).await.is_ok()
    }

    /// Publishes the impairment within this member.
    fn impair(self: &Arc<Self>, found: Option<Impairment>) {
        let before = self.replica.impairment();
        let same = match (&before, &found) {
            (Some(before), Some(found)) => before.is_like(found),
            (None, None) => true,
            _ => false,
        };
        // A failure is final.
        if same || matches!(before, Some(Impairment::Failed(_))) {
            return;
        }
        match &found {
            Some(Impairment::Failed(why)) => {
                tracing::error!(
                    member = self.member.0,
                    "this member failed and serves no clients: {why}"
                );
            }
            Some(Impairment::Stalled(why)) => {
                tracing::error!(
                    member = self.member.0,
                    "this member cannot write its log, and serves no ZooKeeper clients until it \
                     can: {why}"
                );
            }
            Some(Impairment::NoRoom(why)) => {
                tracing::error!(member = self.member.0, "refusing writes of clients: {why}");
            }
            None => {
                tracing::warn!(member = self.member.0, "this member serves reads and writes again")
            }
        }
        let down = found.as_ref().is_some_and(Impairment::is_down);
        let was_down = before.as_ref().is_some_and(Impairment::is_down);
        self.replica.impaired.send_replace(found.clone());
        self.replica.proposals.impair(found);
        if down && !was_down {
            self.replica.end_connections();
            self.replica.topic_waiters.notify_all();
        }
        if was_down && !down {
            self.resend();
        }
    }
}
