//! Submits commands without waiting for each: outcomes are awaited later.

use std::sync::{Arc, PoisonError};

use coord_state::consul::ConsulCommand;
use coord_state::{Applied, Command};
use tokio::sync::oneshot;

use crate::error::Error;
use crate::node::{Node, ReplySink};
use crate::sync::Mutex;

/// An outcome that is on its way.
#[derive(Debug)]
pub(super) struct Ordered(oneshot::Receiver<Result<Applied, Error>>);

/// Orders `command` now; commands ordered one after the other take effect so.
pub(super) fn order(node: &Node, command: ConsulCommand) -> Ordered {
    let (sender, receiver) = oneshot::channel();
    node.submit(&Command::Consul(command), Arc::new(Once(Mutex::new(Some(sender)))), 0);
    Ordered(receiver)
}

impl Ordered {
    /// Waits for the outcome.
    pub(super) async fn outcome(self) -> Result<(), Error> {
        match self.0.await {
            Ok(Ok(applied)) => applied.result.map(drop).map_err(Error::from),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::closed("the member stopped")),
        }
    }
}

struct Once(Mutex<Option<oneshot::Sender<Result<Applied, Error>>>>);

impl ReplySink for Once {
    fn complete(&self, _token: u64, outcome: Result<Applied, Error>) {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sender) = sender {
            // Nobody waits any more: the catalog has the change all the same.
            let _ = sender.send(outcome);
        }
    }
}
