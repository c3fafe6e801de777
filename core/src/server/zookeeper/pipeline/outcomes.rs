//! Matches outcomes to requests in progress, by token.

use coord_state::Applied;
use coord_wire::zookeeper::{ErrorCode, OpCode};

use super::Pipeline;
use crate::node::{ChangeRefusal, ChangedConfig};
use crate::server::zookeeper::request::{Entry, StateAnswer, Step};
use crate::server::zookeeper::translate::Shape;

impl Pipeline {
    pub(super) fn applied(&mut self, token: u64, applied: Applied) {
        let entry = self
            .queue
            .iter_mut()
            .find(|entry| matches!(entry.step, Step::Submitted(waiting, _) if waiting == token));
        if let Some(Entry { step, .. }) = entry
            && let Step::Submitted(_, shape) = step
        {
            let shape = std::mem::replace(shape, Shape::Empty);
            *step = Step::Applied(Box::new(applied), shape);
        }
    }

    /// A command was not taken in, because it is too large to be ordered.
    pub(super) fn refused(&mut self, token: u64) {
        let waits = |entry: &&mut Entry| matches!(entry.step, Step::Submitted(t, _) if t == token);
        if let Some(entry) = self.queue.iter_mut().find(waits) {
            entry.step = Step::Ready(StateAnswer::Refuse(ErrorCode::MarshallingError));
            self.looks += 1;
        }
    }

    /// Has a submitted write answered by a refusal. False if there is none, or if
    /// it was to close the session, which the client takes for done either way.
    pub(super) fn deny(&mut self, token: u64) -> bool {
        let close = OpCode::CloseSession.code();
        let waits = |entry: &&mut Entry| {
            entry.op != close
                && matches!(entry.step, Step::Submitted(waiting, _) if waiting == token)
        };
        let entry = self.queue.iter_mut().find(waits);
        let found = entry.map(|entry| entry.step = Step::Denied);
        found.is_some()
    }

    pub(super) fn confirmed(&mut self, token: u64) {
        for entry in &mut self.queue {
            match std::mem::replace(&mut entry.step, Step::Ready(StateAnswer::Unknown)) {
                Step::Confirming(waiting, answer) if waiting == token => {
                    entry.step = Step::Ready(answer);
                }
                other => entry.step = other,
            }
        }
    }

    pub(super) fn reconfigured(
        &mut self,
        token: u64,
        outcome: Result<ChangedConfig, ChangeRefusal>,
    ) {
        let waits = |entry: &&mut Entry| matches!(entry.step, Step::Reconfiguring(t) if t == token);
        if let Some(entry) = self.queue.iter_mut().find(waits) {
            entry.step = Step::Ready(StateAnswer::Reconfigured(Box::new(outcome)));
        }
    }
}
