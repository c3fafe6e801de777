//! Queue of commands from this member's clients to the log.
//!
//! ```text
//! submit --> open batch --seal--> in flight --apply--> complete the waiters
//!                 ^                  |  ^
//!                 |                  v  | sent again, in order, after a leader
//!            window is full        route| change, a refusal or a silence
//! ```
//!
//! A batch is sealed immediately while fewer than [`WINDOW`] are in flight, so
//! a single writer never waits; otherwise commands accumulate until one
//! completes, so many writers share a log append. Every batch has a sequence
//! number within this run and takes effect once and in that order, wherever and
//! however often it was sent, so it is kept until this member has applied it.
//! Clients do not notice a leader change; only if there is no leader for
//! [`PATIENCE`] do the waiters get an indeterminate error, and new commands are
//! refused.
//!
//! Invariants:
//! 1. Batches in flight have consecutive sequence numbers, oldest first.
//! 2. Outcomes of applied commands reach the sinks in the order of submission;
//!    a refusal may overtake them.
//! 3. Waiting commands and their bytes never exceed the limits.
//! 4. A batch always fits into one frame between members: a command that would
//!    make it too large is refused before it is queued.
//!
//! [`check_sealed`] checks 1 and 4 again for every batch, in release builds too. A batch
//! that violates one is not sent, and the member fails.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use coord_state::batch::{BATCH_COMMANDS_MAX, BatchWriter};
use coord_state::consul::ConsulCommand;
use coord_state::invariants::require;
use coord_state::{Command, MemberId, Violation};
use tokio::sync::watch;

use super::ReplySink;
use super::impairment::Impairment;
use crate::error::Error;
use crate::settings::Limits;
use crate::sync::{Mutex, MutexGuard};

/// Batches in flight before further commands gather: one being made durable,
/// one on its way, one being applied.
const WINDOW: usize = 3;

/// How long waiters wait through a missing leader.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// A command that no member could send another; the source of an `Invalid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a command of {bytes} bytes is larger than the {bytes_max} that fit into one frame between \
     members (limits.peer_frame_bytes_max)"
)]
pub struct TooLarge {
    /// Its size.
    pub bytes: usize,
    /// The largest.
    pub bytes_max: usize,
}

/// Who gets an outcome.
pub(super) type Waiter = (Arc<dyn ReplySink>, u64);

/// The queue of one member.
pub(super) struct Proposals {
    origin: MemberId,
    incarnation: u64,
    waiting_max: usize,
    waiting_bytes_max: usize,
    batch_bytes_max: usize,
    command_bytes_max: usize,
    queue: Mutex<Queue>,
    /// Which invariant ended it, if one did.
    violation: watch::Sender<Option<String>>,
}

struct Queue {
    next_sequence: u64,
    waiting: usize,
    waiting_bytes: usize,
    gathering: VecDeque<Gathering>,
    in_flight: VecDeque<InFlight>,
    /// Why new commands are refused, if they are.
    closed: Option<Closed>,
    /// What storage refuses.
    impaired: Option<Impairment>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Closed {
    NoLeader,
    Outside,
    Withdrawn,
    Violation,
    Stopped,
}

struct Gathering {
    writer: BatchWriter,
    waiters: Vec<Waiter>,
}

struct InFlight {
    sequence: u64,
    bytes: Bytes,
    waiters: Vec<Waiter>,
}

impl Proposals {
    pub(super) fn new(origin: MemberId, incarnation: u64, limits: &Limits) -> Self {
        Self {
            origin,
            incarnation,
            waiting_max: limits.proposals_max,
            waiting_bytes_max: limits.proposal_bytes_max,
            batch_bytes_max: limits.batch_bytes_max,
            command_bytes_max: limits.command_bytes_max(),
            queue: Mutex::new(Queue {
                next_sequence: 1,
                waiting: 0,
                waiting_bytes: 0,
                gathering: VecDeque::new(),
                in_flight: VecDeque::new(),
                closed: None,
                impaired: None,
            }),
            violation: watch::Sender::default(),
        }
    }

    /// Which invariant ended it, as soon as one does.
    pub(super) fn watch_violation(&self) -> watch::Receiver<Option<String>> {
        self.violation.subscribe()
    }

    /// Queues a command. Calls `route` with a batch if that sealed one; it
    /// runs under the queue's lock, so batches are routed in order.
    pub(super) fn submit(&self, command: &Command, waiter: Waiter, route: impl FnMut(&Bytes)) {
        let mut queue = self.queue();
        if let Some(refusal) = self.refusal(&queue, command) {
            drop(queue);
            let (sink, token) = waiter;
            sink.complete(token, Err(refusal));
            return;
        }
        let fits = |gathering: &Gathering| {
            gathering.writer.len() < self.batch_bytes_max
                && gathering.writer.commands() < BATCH_COMMANDS_MAX
        };
        if !queue.gathering.back().is_some_and(fits) {
            let writer = BatchWriter::new(self.origin, self.incarnation);
            queue.gathering.push_back(Gathering { writer, waiters: Vec::new() });
        }
        let gathering = queue.gathering.back_mut().expect("one was just made sure of");
        // The header counts with the first command, so that sealing gives back what was taken.
        let before = if gathering.waiters.is_empty() { 0 } else { gathering.writer.len() };
        if let Err(bytes) = gathering.writer.push_within(command, self.command_bytes_max) {
            if gathering.waiters.is_empty() {
                queue.gathering.pop_back();
            }
            drop(queue);
            let (sink, token) = waiter;
            return sink.complete(token, Err(self.too_large(bytes)));
        }
        gathering.waiters.push(waiter);
        let grown = gathering.writer.len() - before;
        queue.waiting += 1;
        queue.waiting_bytes += grown;
        self.seal(queue, route);
    }

    fn too_large(&self, bytes: usize) -> Error {
        let cause = TooLarge { bytes, bytes_max: self.command_bytes_max };
        Error::invalid(cause.to_string()).caused_by(cause)
    }

    fn refusal(&self, queue: &Queue, command: &Command) -> Option<Error> {
        match queue.closed {
            Some(Closed::NoLeader) => return Some(Error::unavailable("there is no leader")),
            Some(Closed::Outside) => {
                return Some(Error::unavailable("this member is not in the cluster"));
            }
            Some(Closed::Withdrawn) => {
                return Some(Error::unavailable("this member does not serve clients now"));
            }
            Some(Closed::Violation) => return Some(Error::unavailable("this member failed")),
            Some(Closed::Stopped) => return Some(Error::closed("this member was stopped")),
            None => {}
        }
        match &queue.impaired {
            Some(Impairment::NoRoom(_)) if needs_little_room(command) => {}
            Some(impairment) => return Some(Error::read_only(impairment.reason())),
            None => {}
        }
        let full =
            queue.waiting >= self.waiting_max || queue.waiting_bytes >= self.waiting_bytes_max;
        full.then(|| {
            Error::unavailable(format!(
                "{} commands are already waiting (limits.proposals_max, \
                 limits.proposal_bytes_max): retry later",
                queue.waiting
            ))
        })
    }

    /// The batch with this sequence number was applied here: gives back who
    /// waits for it, or nothing if it is not in flight.
    ///
    /// # Errors
    /// A5, if one before it is still in flight: its outcomes would never come.
    pub(super) fn applied(
        &self,
        incarnation: u64,
        sequence: u64,
    ) -> Result<Vec<Waiter>, Violation> {
        if incarnation != self.incarnation {
            return Ok(Vec::new());
        }
        let mut queue = self.queue();
        let Some(oldest) = queue.in_flight.front() else { return Ok(Vec::new()) };
        let oldest = oldest.sequence;
        require("A5", sequence <= oldest, || {
            format!("batch {sequence} of this member was applied before batch {oldest}")
        })?;
        // A replaced state may have skipped several; theirs are told by `skipped_to`.
        if oldest != sequence {
            return Ok(Vec::new());
        }
        let batch = queue.in_flight.pop_front().expect("the front was just seen");
        queue.waiting -= batch.waiters.len();
        queue.waiting_bytes = queue.waiting_bytes.saturating_sub(batch.bytes.len());
        Ok(batch.waiters)
    }

    /// The state was replaced by one that contains this member's batches up to
    /// `sequence`: their replies were never made here.
    pub(super) fn skipped_to(&self, incarnation: u64, sequence: u64) {
        if incarnation != self.incarnation {
            return;
        }
        let mut lost = Vec::new();
        let mut queue = self.queue();
        while queue.in_flight.front().is_some_and(|batch| batch.sequence <= sequence) {
            let batch = queue.in_flight.pop_front().expect("the front was just seen");
            queue.waiting -= batch.waiters.len();
            queue.waiting_bytes = queue.waiting_bytes.saturating_sub(batch.bytes.len());
            lost.extend(batch.waiters);
        }
        drop(queue);
        fail(lost, || {
            Error::indeterminate(
                "applied while this member caught up by snapshot; the reply is lost",
            )
        });
    }

    /// Seals what gathered, if the window has room again.
    pub(super) fn pump(&self, route: impl FnMut(&Bytes)) {
        self.seal(self.queue(), route);
    }

    /// Seals what there is room for. A batch that breaks an invariant is not sent,
    /// and nothing is from then on: later ones build on its number.
    fn seal(&self, mut queue: MutexGuard<'_, Queue>, route: impl FnMut(&Bytes)) {
        let bytes_max = self.batch_bytes_max + self.command_bytes_max;
        let Err(violation) = queue.seal(bytes_max, route) else { return };
        queue.closed = Some(Closed::Violation);
        let (unknown, unsent) = queue.detach();
        drop(queue);
        self.violation.send_replace(Some(violation.to_string()));
        fail(unknown, || {
            Error::indeterminate("this member failed; the command may or may not take effect")
        });
        fail(unsent, || Error::unavailable("this member failed"));
    }

    /// Every batch in flight, again and in order.
    pub(super) fn resend(&self, mut route: impl FnMut(&Bytes)) {
        let queue = self.queue();
        for batch in &queue.in_flight {
            route(&batch.bytes);
        }
    }

    /// The oldest batch in flight, to notice that it does not move.
    pub(super) fn oldest_in_flight(&self) -> Option<u64> {
        self.queue().in_flight.front().map(|batch| batch.sequence)
    }

    /// No leader for too long: tells everybody that waits, and refuses new
    /// commands. Batches in flight stay, since they may take effect yet and
    /// later ones build on their numbers; those not yet sealed never will.
    pub(super) fn give_up_on_leader(&self) {
        let mut queue = self.queue();
        if queue.closed.is_some() {
            return;
        }
        queue.closed = Some(Closed::NoLeader);
        let (unknown, unsent) = queue.detach();
        drop(queue);
        fail(unknown, || {
            Error::indeterminate("the leader was lost; the command may or may not take effect")
        });
        fail(unsent, || Error::unavailable("there is no leader"));
    }

    /// There is a leader again.
    pub(super) fn reopen(&self) {
        let mut queue = self.queue();
        if queue.closed == Some(Closed::NoLeader) {
            queue.closed = None;
        }
    }

    /// This member is in the cluster no more, or again. Outside nothing is taken
    /// and nobody waits, for nothing comes back.
    pub(super) fn set_outside(&self, outside: bool) {
        let mut queue = self.queue();
        match (queue.closed, outside) {
            (None | Some(Closed::NoLeader), true) => queue.closed = Some(Closed::Outside),
            (Some(Closed::Outside), false) => {
                queue.closed = None;
                return;
            }
            _ => return,
        }
        let (unknown, unsent) = queue.detach();
        drop(queue);
        fail(unknown, || {
            Error::indeterminate("this member left the cluster; the command may take effect")
        });
        fail(unsent, || Error::unavailable("this member is not in the cluster"));
    }

    /// This member's state is not to be trusted, and so are replies made of it:
    /// tells everybody that waits, and refuses new commands. Batches in flight
    /// stay, as in [`Self::give_up_on_leader`].
    pub(super) fn withdraw(&self) {
        let mut queue = self.queue();
        if matches!(queue.closed, Some(Closed::Stopped | Closed::Violation)) {
            return;
        }
        queue.closed = Some(Closed::Withdrawn);
        let (unknown, unsent) = queue.detach();
        drop(queue);
        fail(unknown, || {
            Error::indeterminate(
                "this member stopped serving; the command may or may not take effect",
            )
        });
        fail(unsent, || Error::unavailable("this member does not serve clients now"));
    }

    /// Takes commands again after [`Self::withdraw`].
    pub(super) fn serve_again(&self) {
        let mut queue = self.queue();
        if queue.closed == Some(Closed::Withdrawn) {
            queue.closed = None;
        }
    }

    /// Storage takes nothing any more, less, or all again. While it takes nothing
    /// nobody waits; batches in flight stay, as in [`Self::give_up_on_leader`].
    pub(super) fn impair(&self, impairment: Option<Impairment>) {
        let mut queue = self.queue();
        queue.impaired.clone_from(&impairment);
        let Some(impairment) = impairment.filter(Impairment::is_down) else { return };
        let (unknown, unsent) = queue.detach();
        drop(queue);
        fail(unknown, || {
            Error::indeterminate(format!(
                "the command may or may not take effect: {}",
                impairment.reason()
            ))
        });
        fail(unsent, || Error::read_only(impairment.reason()));
    }

    /// The member stops: nobody waits any longer.
    pub(super) fn stop(&self) {
        let mut queue = self.queue();
        queue.closed = Some(Closed::Stopped);
        let (unknown, unsent) = queue.detach();
        drop(queue);
        fail(unknown, || {
            Error::indeterminate("this member was stopped; the command may or may not take effect")
        });
        fail(unsent, || Error::closed("this member was stopped"));
    }

    /// For a test: the next batch has a command that nobody waits for.
    #[cfg(test)]
    pub(super) fn lose_a_waiter(&self, command: &Command) {
        let mut writer = BatchWriter::new(self.origin, self.incarnation);
        writer.push(command);
        self.queue().gathering.push_back(Gathering { writer, waiters: Vec::new() });
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn seal(&mut self, bytes_max: usize, mut route: impl FnMut(&Bytes)) -> Result<(), Violation> {
        while self.in_flight.len() < WINDOW {
            let Some(gathering) = self.gathering.front() else { break };
            let sequence = self.next_sequence;
            let before = self.in_flight.back().map(|batch| batch.sequence);
            check_sealed(before, sequence, gathering, bytes_max)?;
            let Some(gathering) = self.gathering.pop_front() else { break };
            self.next_sequence += 1;
            let bytes = Bytes::from(gathering.writer.seal(sequence));
            route(&bytes);
            self.in_flight.push_back(InFlight { sequence, bytes, waiters: gathering.waiters });
        }
        Ok(())
    }

    /// Takes the waiters of batches in flight, and all that is not sealed.
    fn detach(&mut self) -> (Vec<Waiter>, Vec<Waiter>) {
        let unknown: Vec<Waiter> = self
            .in_flight
            .iter_mut()
            .flat_map(|batch| std::mem::take(&mut batch.waiters))
            .collect();
        let unsent: Vec<Waiter> =
            self.gathering.drain(..).flat_map(|gathering| gathering.waiters).collect();
        self.waiting = 0;
        self.waiting_bytes = self.in_flight.iter().map(|batch| batch.bytes.len()).sum();
        (unknown, unsent)
    }
}

/// Whether a batch may be sent: it is the next one, and of a size that every member
/// takes and can send on.
fn check_sealed(
    before: Option<u64>,
    sequence: u64,
    batch: &Gathering,
    bytes_max: usize,
) -> Result<(), Violation> {
    require("A5", before.is_none_or(|before| sequence == before + 1), || {
        format!("batch {sequence} would follow batch {before:?}")
    })?;
    let (bytes, commands) = (batch.writer.len(), batch.writer.commands());
    require("C9", bytes <= bytes_max && commands <= BATCH_COMMANDS_MAX, || {
        format!(
            "a batch of {bytes} bytes and {commands} commands is larger than the {bytes_max} and \
             {BATCH_COMMANDS_MAX} that members can send each other"
        )
    })?;
    let waiters = batch.waiters.len();
    require("C2", waiters == commands, || {
        format!("{waiters} wait for the outcomes of {commands} commands")
    })
}

/// Whether a command is taken as long as there is any room at all: sessions and
/// locks come to their end, and clients keep theirs.
fn needs_little_room(command: &Command) -> bool {
    match command {
        Command::InitCluster(_) | Command::Session(_) => true,
        Command::Consul(command) => matches!(command, ConsulCommand::DestroySession { .. }),
        Command::Znode(_) | Command::Archive(_) => false,
    }
}

/// Completes waiters with an error each.
fn fail(waiters: Vec<Waiter>, error: impl Fn() -> Error) {
    for (sink, token) in waiters {
        sink.complete(token, Err(error()));
    }
}

#[cfg(test)]
mod tests;
