//! Blocking queries: respond when there is a change, or at the timeout.
//!
//! ```text
//! confirm freshness -> read: index, answer, and (if not newer) a waiter
//!                        |            |
//!              index > asked       waiter fires: read again, without answering
//!                 answer           deadline: answer what there is
//! ```
//!
//! The waiter is registered in the same read that found nothing new, so no
//! change is missed. A wake-up that does not change the index, or leaves the
//! response unchanged (`fingerprint`), is not passed on, except after a
//! restore: that answers all queries, and from then on no reported index is
//! lower than the revision of the restore. The waiter is dropped with the
//! request, when the client disconnects. See `parking` for the memory of a
//! waiting connection.

use std::time::Duration;

use coord_state::consul::ConsulCommand;
use coord_state::event::Topic;
use coord_state::{Command, Reply, StateMachine};

use super::answer::Meta;
use super::error_map::HttpError;
use super::read_options::ReadOptions;
use crate::error::{Error, ErrorKind};
use crate::node::{Freshness, ReadLevel};
use crate::server::consul::ConsulApi;

/// How long a request waits for a leader to appear before it fails.
pub(crate) const LEADER_HOLD: Duration = Duration::from_secs(7);
const LEADER_RETRY: Duration = Duration::from_millis(50);
/// The deadline is later by up to this part of the wait, at random.
const JITTER_PART: u32 = 16;

impl ConsulApi {
    /// Answers a read that may wait. `topics` must cover whatever moves `index`
    /// in a way that matters to `answer`.
    pub(crate) async fn blocking<T>(
        &self,
        options: &ReadOptions,
        topics: Vec<Topic>,
        index: impl Fn(&StateMachine) -> u64,
        answer: impl Fn(&StateMachine) -> T,
    ) -> Result<(Meta, T), HttpError> {
        self.blocking_while_same(options, topics, index, answer, None::<fn(&T) -> u64>).await
    }

    /// The same, but woken only by another answer: while `print` of it is what it was
    /// when the waiting began, the index may move.
    pub(crate) async fn blocking_while_same<T>(
        &self,
        options: &ReadOptions,
        topics: Vec<Topic>,
        index: impl Fn(&StateMachine) -> u64,
        answer: impl Fn(&StateMachine) -> T,
        print: Option<impl Fn(&T) -> u64>,
    ) -> Result<(Meta, T), HttpError> {
        self.request_metrics.read();
        let mut freshness = self.confirm(options).await?;
        if options.index > 0 {
            let deadline = tokio::time::sleep(self.with_jitter(options.wait));
            tokio::pin!(deadline);
            let mut began_at = None;
            let mut began_with = None;
            loop {
                let waiter = self.node.read(|state| {
                    let restored_at = state.restored_at();
                    let replaced = *began_at.get_or_insert(restored_at) != restored_at;
                    let mut waits = told(state, &index) <= options.index;
                    if let Some(print) = &print {
                        if waits && began_with.is_none() {
                            began_with = Some(print(&answer(state)));
                        } else if !waits && began_with.is_some() && !replaced {
                            // Once it waits, another index alone is no news.
                            waits = began_with == Some(print(&answer(state)));
                        }
                    }
                    (!replaced && waits).then(|| self.node.topic_waiters().register(topics.clone()))
                });
                let Some(mut waiter) = waiter else { break };
                tokio::select! {
                    () = waiter.changed() => {}
                    () = &mut deadline => {
                        // A leader may have been lost in all that time.
                        freshness = self.confirm(options).await?;
                        break;
                    }
                    () = self.stopped() => break,
                }
            }
        }
        let (index, answer) = self.node.read(|state| (told(state, &index), answer(state)));
        let meta = Meta {
            index: Some(index),
            known_leader: freshness.known_leader,
            last_contact_ms: freshness.last_contact_ms,
            consistency: None,
        };
        Ok((meta, answer))
    }

    /// Waits until a read is as fresh as asked; for a leader only so long.
    pub(crate) async fn confirm(&self, options: &ReadOptions) -> Result<Freshness, HttpError> {
        let freshness = self.confirm_level(options.level).await?;
        let age = Duration::from_millis(freshness.last_contact_ms);
        if options.max_stale.is_some_and(|max| age > max) {
            return self.confirm_level(ReadLevel::Leader).await;
        }
        Ok(freshness)
    }

    async fn confirm_level(&self, level: ReadLevel) -> Result<Freshness, HttpError> {
        // Boxed: who waits for news keeps the room of what it waited for before.
        Box::pin(self.holding(|| self.node.confirm(level))).await
    }

    /// Orders a command and gives its reply; without a leader it tries again
    /// for a while.
    pub(crate) async fn change(&self, command: ConsulCommand) -> Result<Reply, HttpError> {
        let clock = self.node.clock();
        let began = clock.monotonic();
        let command = Command::Consul(command);
        let applied = self.holding(|| self.node.propose(&command)).await?;
        self.request_metrics.changed(&command, clock.monotonic().saturating_sub(began));
        applied.result.map_err(|rejection| HttpError::from(&rejection))
    }

    /// Repeats what failed without effect until a leader had time to appear.
    pub(crate) async fn holding<T, F>(&self, mut attempt: impl FnMut() -> F) -> Result<T, HttpError>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let clock = self.node.clock();
        let began = clock.monotonic();
        loop {
            match attempt().await {
                Ok(done) => return Ok(done),
                Err(error) if !may_pass_with_a_leader(&error) => return Err(error.into()),
                Err(error) if clock.monotonic().saturating_sub(began) >= LEADER_HOLD => {
                    return Err(error.into());
                }
                Err(_) => {}
            }
            tokio::select! {
                () = tokio::time::sleep(LEADER_RETRY) => {}
                () = self.stopped() => return Err(Error::closed("stopping").into()),
            }
        }
    }

    fn with_jitter(&self, wait: Duration) -> Duration {
        with_jitter(wait, u32::from_le_bytes(self.node.random()))
    }
}

/// Whether waiting for a leader may help. A member without room on its disk has
/// nobody to hand over to: that is told at once.
fn may_pass_with_a_leader(error: &Error) -> bool {
    error.is_retryable() && *error.kind() != ErrorKind::ReadOnly
}

/// `random` may be any number, all as likely.
fn with_jitter(wait: Duration, random: u32) -> Duration {
    let part = wait / JITTER_PART;
    wait + part.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

/// An index as a reader is told it: never 0, and never back behind a restore.
pub(crate) fn told(state: &StateMachine, index: impl Fn(&StateMachine) -> u64) -> u64 {
    index(state).max(state.restored_at().0).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_is_waited_for_and_room_on_the_disk_is_not() {
        assert!(may_pass_with_a_leader(&Error::unavailable("there is no leader")));
        assert!(!may_pass_with_a_leader(&Error::read_only("no room is left")));
        assert!(!may_pass_with_a_leader(&Error::invalid("no such thing")));
    }

    #[test]
    fn a_wait_is_longer_by_a_sixteenth_at_most() {
        let wait = Duration::from_secs(16);
        assert_eq!(with_jitter(wait, 0), wait);
        assert_eq!(with_jitter(wait, u32::MAX), Duration::from_secs(17));
        assert!((wait..Duration::from_secs(17)).contains(&with_jitter(wait, 1 << 31)));
    }
}
