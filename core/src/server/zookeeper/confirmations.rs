//! Requests that wait until this member has caught up with the leader: `sync`,
//! and every read if reads are linearizable.
//!
//! One confirmation runs at a time, for all connections; requests that arrive
//! meanwhile share the next one, which starts after they arrived. So the leader
//! gets one request per round trip, however many clients read.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::client_connection::ClientConnection;
use super::inbox::Inbox;
use super::server_context::ServerContext;
use crate::clock;
use crate::error::ErrorKind;
use crate::node::ReadLevel;
use crate::sync::{Mutex, MutexGuard};

/// How long requests wait through a change of leaders.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two attempts while nobody leads.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// Who waits. Each connection as often as it has requests in progress, at most.
#[derive(Debug, Default)]
pub(super) struct Confirmations {
    round: Mutex<Round>,
}

#[derive(Debug, Default)]
struct Round {
    running: bool,
    waiting: Vec<(Arc<Inbox>, u64)>,
}

/// Tells the connection's inbox once this member has applied everything that
/// was committed at the time of this call, or that it could not.
pub(super) fn ask(client: &ClientConnection, token: u64) {
    let mut round = client.shared.confirmations.lock();
    round.waiting.push((Arc::clone(&client.inbox), token));
    if !round.running {
        round.running = true;
        tokio::spawn(confirm_rounds(Arc::clone(&client.shared)));
    }
}

async fn confirm_rounds(shared: Arc<ServerContext>) {
    while let Some(waiting) = shared.confirmations.next_round() {
        let reached = confirm(&shared).await;
        for (inbox, token) in waiting {
            inbox.confirmed(token, reached);
        }
    }
}

async fn confirm(shared: &ServerContext) -> bool {
    let now = || shared.node.clock().monotonic();
    let give_up = now() + PATIENCE;
    loop {
        match shared.node.confirm(ReadLevel::Linearizable).await {
            Ok(_) => return true,
            Err(error) if *error.kind() == ErrorKind::Closed || now() >= give_up => return false,
            Err(_) => {}
        }
        clock::sleep(RETRY_PAUSE).await;
    }
}

impl Confirmations {
    /// Everybody that waits; with nobody there, the rounds end.
    fn next_round(&self) -> Option<Vec<(Arc<Inbox>, u64)>> {
        let mut round = self.lock();
        round.running = !round.waiting.is_empty();
        round.running.then(|| std::mem::take(&mut round.waiting))
    }

    fn lock(&self) -> MutexGuard<'_, Round> {
        self.round.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
