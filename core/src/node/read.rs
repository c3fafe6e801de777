//! How fresh a read is: the one place where ZooKeeper's `sync` and Consul's
//! `stale`, default and `consistent` meet Raft.
//!
//! | level | asks | ZooKeeper | Consul |
//! |---|---|---|---|
//! | stale | nobody | ordinary reads | `?stale` |
//! | leader | the leader, under its lease | | default |
//! | linearizable | the leader, confirmed by a majority | `sync` | `?consistent` |
//!
//! A follower asks the leader only for a position in the log, waits until it
//! has applied that far, and answers from its own copy.

use std::time::Duration;

use coord_state::MemberId;
use coord_state::consul::ConsulSessionId;

use super::handle::{Freshness, Inner, Node, ReadLevel};
use super::peer_message::{PeerCall, read_answer};
use crate::clock;
use crate::error::Error;

/// How long one confirmation may take before the caller is told to try again.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(2);

impl Node {
    /// Waits until a following [`Self::read`] is as fresh as `level` asks.
    ///
    /// # Errors
    /// `Unavailable` if no leader confirms in time (never for `Stale`).
    pub async fn confirm(&self, level: ReadLevel) -> Result<Freshness, Error> {
        match level {
            ReadLevel::Stale => {}
            ReadLevel::Leader => self.inner.catch_up(true).await?,
            ReadLevel::Linearizable => self.inner.catch_up(false).await?,
        }
        Ok(self.inner.freshness())
    }
}

impl Inner {
    async fn catch_up(&self, lease: bool) -> Result<(), Error> {
        let confirm = async {
            let index = self.read_index(lease).await?;
            self.consensus.wait_applied(index).await
        };
        clock::timeout(CONFIRM_TIMEOUT, confirm)
            .await
            .unwrap_or_else(|| Err(Error::unavailable("no leader confirmed the read in time")))
    }

    async fn read_index(&self, lease: bool) -> Result<u64, Error> {
        let leader = self.leader_or_error()?;
        if leader == self.member {
            return self.consensus.read_index(lease).await;
        }
        let answer = self.consensus.call(leader, PeerCall::ReadIndex { lease }.to_bytes()).await?;
        read_answer(answer).map_err(|error| Error::internal("a leader's answer").caused_by(error))
    }

    fn leader_or_error(&self) -> Result<MemberId, Error> {
        self.known_leader().ok_or_else(|| Error::unavailable("there is no leader"))
    }

    fn freshness(&self) -> Freshness {
        let status = self.consensus.status();
        Freshness {
            known_leader: status.leader.is_some(),
            last_contact_ms: if self.is_leader() { 0 } else { status.contact_ms.unwrap_or(0) },
        }
    }

    pub(super) async fn renew_consul_session(
        &self,
        session: ConsulSessionId,
    ) -> Result<bool, Error> {
        let leader = self.leader_or_error()?;
        if leader == self.member {
            return Ok(self.renew_consul_here(session));
        }
        let renew = PeerCall::RenewConsulSession(session).to_bytes();
        let answer = clock::timeout(CONFIRM_TIMEOUT, self.consensus.call(leader, renew))
            .await
            .unwrap_or_else(|| Err(Error::unavailable("the leader did not answer in time")))?;
        read_answer(answer).map_err(|error| Error::internal("a leader's answer").caused_by(error))
    }

    pub(super) fn renew_consul_here(&self, session: ConsulSessionId) -> bool {
        let state = self.replica.state();
        self.session_clock.renew_consul(
            session,
            &state,
            self.clock.monotonic(),
            self.settings.session.consul_ttl_multiplier_percent,
        )
    }
}
