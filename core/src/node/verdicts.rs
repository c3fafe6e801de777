//! Decisions that the leader makes by itself, on their way to the log: expired
//! sessions, expired znodes, liveness of members.
//!
//! A leader decides by its clock and by which members it hears from. While it
//! is partitioned it hears from none, and such decisions must not reach the log
//! of the next leader. So they never enter the queue of clients' commands,
//! which is resent to the next leader, but go directly into its own log, with
//! the term in which they were made: see [`LeaderBatch`].

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use coord_state::{Applied, Command, LeaderBatch};
use tokio::sync::oneshot;

use super::node_core::{Node, NodeCore, random};
use crate::consensus::Refusal;
use crate::error::{Error, ErrorKind};
use crate::sync::{Mutex, MutexGuard};

/// Decisions in one log entry at most.
const COMMANDS_MAX: usize = 1024;
/// Entries under way at most: more wait for a log that stands still, and what is
/// not decided now is decided at the next look.
const UNDER_WAY_MAX: usize = 64;

type Settled = Result<Vec<Applied>, Error>;

/// Who waits for what became of the decisions under way.
#[derive(Debug, Default)]
pub(super) struct Verdicts(Mutex<HashMap<u64, oneshot::Sender<Settled>>>);

impl Verdicts {
    /// Room for one more, or nothing if there is none.
    fn begin(&self, ticket: u64) -> Option<oneshot::Receiver<Settled>> {
        let mut waiting = self.lock();
        if waiting.len() >= UNDER_WAY_MAX {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        waiting.insert(ticket, sender);
        Some(receiver)
    }

    /// Those of this ticket are settled.
    pub(super) fn end(&self, ticket: u64, outcome: Settled) {
        let waiting = self.lock().remove(&ticket);
        if let Some(waiting) = waiting {
            // Most decisions are made again if they are found not to be carried out.
            let _ = waiting.send(outcome);
        }
    }

    /// Whether this member ordered it and waits for it.
    pub(super) fn is_under_way(&self, ticket: u64) -> bool {
        self.lock().contains_key(&ticket)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Settled>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why decisions of a term that is over are dropped.
pub(super) fn out_of_term() -> Error {
    let kind = ErrorKind::NotLeader { hint: None };
    Error::new(kind, "this member is no longer the leader, or has lost contact with the majority")
}

impl Node {
    /// As the leader of `term`, orders what it decided there; see
    /// [`Self::deciding_term`]. Without effect in any other term. They are under
    /// way once this returns, and dropping the future does not withdraw them.
    ///
    /// # Errors
    /// `NotLeader` if the term is over, `Unavailable` if too many are under way,
    /// `Indeterminate`, `Closed`. Decisions are one log entry per thousand: what
    /// comes behind a failed one was not ordered.
    pub fn decide(
        &self,
        term: u64,
        commands: Vec<Command>,
    ) -> impl Future<Output = Result<Vec<Applied>, Error>> + use<> {
        self.inner.decide(term, commands)
    }
}

impl NodeCore {
    pub(super) fn decide(
        self: &Arc<Self>,
        term: u64,
        commands: Vec<Command>,
    ) -> impl Future<Output = Result<Vec<Applied>, Error>> + use<> {
        let mut ordered = Vec::new();
        let mut commands = commands.into_iter().peekable();
        while commands.peek().is_some() {
            let decided: Vec<Command> = commands.by_ref().take(COMMANDS_MAX).collect();
            ordered.push(self.order_decided(term, decided));
        }
        async move {
            let mut applied = Vec::new();
            for one in ordered {
                let one = one.ok_or_else(|| {
                    Error::unavailable("too many decisions of the leader are in progress")
                })?;
                let one = one.await.unwrap_or_else(|_| Err(Error::closed("the member stopped")))?;
                applied.extend(one);
            }
            Ok(applied)
        }
    }

    fn order_decided(
        self: &Arc<Self>,
        term: u64,
        commands: Vec<Command>,
    ) -> Option<oneshot::Receiver<Settled>> {
        let ticket = u64::from_le_bytes(random());
        let receiver = self.replica.verdicts.begin(ticket)?;
        let time_ms = self.replica.state_time.lead();
        let stored = LeaderBatch { time_ms, term, ticket, commands }.to_bytes();
        let weak = Arc::downgrade(self);
        self.work.proposed(stored.len());
        self.consensus.propose(stored.into(), move |refusal| {
            let error = match refusal {
                Refusal::NotLeader { .. } => out_of_term(),
                Refusal::Busy => Error::unavailable("too many proposals are waiting"),
                Refusal::Stopped => Error::closed("the member is stopping"),
                Refusal::Unknown => Error::indeterminate("leadership was lost meanwhile"),
            };
            if let Some(inner) = weak.upgrade() {
                inner.replica.verdicts.end(ticket, Err(error));
            }
        });
        Some(receiver)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_a_bounded_number_is_under_way() {
        let verdicts = Verdicts::default();
        let mut waiting: Vec<_> =
            (0..UNDER_WAY_MAX as u64).map(|ticket| verdicts.begin(ticket).unwrap()).collect();
        assert!(verdicts.begin(99).is_none());
        verdicts.end(0, Ok(Vec::new()));
        assert!(matches!(waiting[0].try_recv(), Ok(Ok(_))));
        assert!(verdicts.begin(99).is_some());
    }
}
