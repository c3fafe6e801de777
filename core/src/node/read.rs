//! Read consistency: the only place where ZooKeeper's `sync` and Consul's
//! `stale`, default and `consistent` are mapped to Raft.
//!
//! | level | asks | ZooKeeper | Consul |
//! |---|---|---|---|
//! | stale | nobody | ordinary reads | `?stale` |
//! | leader | the leader, under its lease | | default |
//! | linearizable | the leader, confirmed by a majority | `sync` | `?consistent` |
//!
//! A follower only asks the leader for a log index, waits until it has applied
//! that far, and answers from its own copy.

use std::time::Duration;

use coord_state::MemberId;
use coord_state::codec::Decode;
use coord_state::consul::ConsulSessionId;
use tokio::sync::watch;

use super::impairment::Impairment;
use super::node_core::{Node, NodeCore};
use super::peer_message::{PeerCall, read_answer};
use super::status::{Freshness, ReadLevel};
use crate::clock;
use crate::consensus::{ConsensusRole, ConsensusStatus};
use crate::error::{Error, ErrorKind};

/// The timeout of a confirmation, after which the caller has to retry.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a leader may take to apply what is committed before it refuses to decide.
const APPLY_TIMEOUT: Duration = Duration::from_secs(10);

impl Node {
    /// Waits until a following [`Self::read`] is as fresh as `level` asks.
    ///
    /// # Errors
    /// `Unavailable` if no leader confirms in time (never for `Stale`), or if
    /// this member refuses clients.
    pub async fn confirm(&self, level: ReadLevel) -> Result<Freshness, Error> {
        self.inner.check_serves()?;
        match level {
            // A single member has the only copy, and may be unable to confirm
            // anything.
            _ if self.inner.replica.is_down() => {}
            ReadLevel::Stale => {}
            ReadLevel::Leader => self.inner.catch_up(true).await?,
            ReadLevel::Linearizable => self.inner.catch_up(false).await?,
        }
        // The state may have changed during the wait.
        self.inner.check_serves()?;
        Ok(self.inner.freshness())
    }
}

impl NodeCore {
    /// Refuses reads that could return wrong or outdated data.
    pub(super) fn check_serves(&self) -> Result<(), Error> {
        let why = match self.replica.impairment() {
            Some(Impairment::Failed(why)) => Some(why),
            Some(Impairment::Stalled(why)) if !self.lone() => Some(why),
            Some(Impairment::Stalled(_) | Impairment::NoRoom(_)) | None => {
                self.replica.integrity.withdrawn()
            }
        };
        why.map_or(Ok(()), |why| Err(Error::unavailable(why)))
    }

    async fn catch_up(&self, lease: bool) -> Result<(), Error> {
        let confirm = async {
            let index = self.read_index(lease).await?;
            self.consensus.wait_applied(index).await?;
            // The applied entries may have removed this member.
            self.leader_or_error().map(drop)
        };
        clock::timeout(CONFIRM_TIMEOUT, confirm)
            .await
            .unwrap_or_else(|| Err(Error::unavailable("no leader confirmed the read in time")))
    }

    async fn read_index(&self, lease: bool) -> Result<u64, Error> {
        let asked = || self.consensus.read_index(lease);
        self.ask_whoever_leads(asked, &PeerCall::ReadIndex { lease }).await
    }

    /// Sends an idempotent request to the leader. If the leader changes meanwhile, the new one is
    /// asked instead: the old one may be down or stuck.
    async fn ask_whoever_leads<T, F>(
        &self,
        here: impl Fn() -> F,
        call: &PeerCall,
    ) -> Result<T, Error>
    where
        T: Decode,
        F: Future<Output = Result<T, Error>>,
    {
        loop {
            let leader = self.leader_or_error()?;
            if leader == self.member {
                return here().await;
            }
            let answer = self.consensus.call(leader, call.to_bytes());
            let status = self.consensus.watch_status();
            if let Some(answer) = unless_another_leads(status, leader, answer).await {
                return read_answer(answer?)
                    .map_err(|error| Error::internal("a leader's answer").caused_by(error));
            }
        }
    }

    fn leader_or_error(&self) -> Result<MemberId, Error> {
        if self.replica.config_membership.is_outside() {
            return Err(Error::unavailable("this member is not in the cluster"));
        }
        self.known_leader().ok_or_else(|| Error::unavailable("there is no leader"))
    }

    fn freshness(&self) -> Freshness {
        let status = self.consensus.status();
        Freshness {
            known_leader: self.leader_told(&status).is_some(),
            last_contact_ms: if self.is_leader() { 0 } else { status.contact_ms.unwrap_or(0) },
        }
    }

    /// The leader as reported to clients: none if the leader has not confirmed its majority, or
    /// this member as the leader has not heard from one, for longer than an election takes. None
    /// for a member outside the cluster.
    pub(super) fn leader_told(&self, status: &ConsensusStatus) -> Option<MemberId> {
        let in_touch = match status.role {
            // A member that has just started has not heard from any leader yet.
            ConsensusRole::Follower | ConsensusRole::Candidate | ConsensusRole::Learner
                if status.contact_ms.is_none() =>
            {
                true
            }
            _ => self.is_backed(self.clock.monotonic()),
        };
        let inside = !self.replica.config_membership.is_outside();
        status.leader.filter(|_| inside && in_touch)
    }

    pub(super) async fn renew_consul_session(
        &self,
        session: ConsulSessionId,
    ) -> Result<bool, Error> {
        let here = async || self.renew_consul_here(session);
        let call = PeerCall::RenewConsulSession(session);
        clock::timeout(CONFIRM_TIMEOUT, self.ask_whoever_leads(here, &call))
            .await
            .unwrap_or_else(|| Err(Error::unavailable("the leader did not respond in time")))
    }

    /// As the leader, before it decides something from its own state for a client of another
    /// member: waits until it has applied everything committed. Members apply at their own pace, so
    /// what that client has already seen, such as the creation of its session, may not be applied
    /// here yet.
    ///
    /// # Errors
    /// `NotLeader`, or `Unavailable` if it is too far behind: nothing was decided.
    pub(super) async fn apply_what_callers_saw(&self) -> Result<(), Error> {
        let applied = async {
            let index = match self.consensus.read_index(true).await {
                // On a busy machine the lease may have expired: then a majority is asked.
                Err(error) if *error.kind() == ErrorKind::Unavailable => {
                    self.consensus.read_index(false).await?
                }
                read => read?,
            };
            self.consensus.wait_applied(index).await
        };
        clock::timeout(APPLY_TIMEOUT, applied).await.unwrap_or_else(|| {
            Err(Error::unavailable(
                "the leader has not applied all committed entries yet: retry later",
            ))
        })
    }

    /// As the leader. Without a majority, another leader may be about to expire it.
    pub(super) fn renew_consul_here(&self, session: ConsulSessionId) -> Result<bool, Error> {
        let now = self.clock.monotonic();
        if !self.is_backed(now) {
            return Err(Error::unavailable("the leader has lost contact with the majority"));
        }
        let state = self.replica.state();
        let multiplier = self.settings.session.consul_ttl_multiplier_percent;
        Ok(self.session_clock.renew_consul(session, &state, now, multiplier))
    }
}

/// The response of `leader`, or `None` if the leader changes before that.
async fn unless_another_leads<T>(
    mut status: watch::Receiver<ConsensusStatus>,
    leader: MemberId,
    answer: impl Future<Output = T>,
) -> Option<T> {
    let another = |status: &ConsensusStatus| status.leader.is_some_and(|now| now != leader);
    tokio::select! {
        answer = answer => Some(answer),
        Ok(_) = status.wait_for(another) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::future;

    use super::*;

    const LEADER: MemberId = MemberId(1);

    #[tokio::test]
    async fn a_leader_that_stands_still_is_not_waited_for_once_another_one_leads() {
        let leads = |leader| ConsensusStatus { leader, ..ConsensusStatus::default() };
        let (told, status) = watch::channel(leads(Some(LEADER)));
        let waiting = unless_another_leads(status.clone(), LEADER, future::pending::<()>());
        let waiting = tokio::spawn(waiting);
        // Without a leader it may be about to answer yet.
        told.send_replace(leads(None));
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        told.send_replace(leads(Some(MemberId(2))));
        assert_eq!(waiting.await.expect("it ends"), None);

        told.send_replace(leads(Some(LEADER)));
        let answered = unless_another_leads(status, LEADER, future::ready(7)).await;
        assert_eq!(answered, Some(7));
    }
}
