//! Detects that this member's state diverged from the cluster's, and repairs
//! it.
//!
//! ```text
//!            a fingerprint differs           most voters have ours
//!   sound ─────────────────> disputed ───────────────────────> sound
//!                              │    │ nobody can tell for a while
//!        most voters have      │    v
//!        another one           │  withdrawn ── asks on ──> sound
//!                              v      │
//!                          withdrawn <┘
//!                     noted on disk, not electable
//!                              │ state taken over from one of the majority
//!                              v
//!                          asks again
//! ```
//!
//! A withdrawn member serves no clients: they are disconnected and find another
//! member. It continues to store the log and vote, since neither depends on the
//! state. All members are treated alike: a leader in the minority is overruled
//! like any other, and transfers leadership first. With two of two, or two of
//! four, there is no majority: all of them withdraw until an operator decides,
//! with the [`Note`] in the directory of the member that is to give way.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use coord_state::MemberId;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::Notify;

use super::fingerprints::{Mismatch, StateFingerprint};
use crate::clock;
use crate::error::Error;
use crate::node::node_core::NodeCore;
use crate::node::peer_message::{PeerCall, read_answer};
use crate::storage::Note;
use crate::sync::{Mutex, MutexGuard};

/// How long a dispute may last before this member stops serving on the chance
/// that it is the one that is wrong.
const DOUBT_MAX: Duration = Duration::from_secs(1);
/// How long the others get to answer one round of questions.
const ROUND: Duration = Duration::from_millis(500);
const RETRY: Duration = Duration::from_millis(100);

/// How this member stands with itself.
#[derive(Debug)]
pub(crate) struct Integrity {
    distrust: Note,
    /// Whether its state may decide for others.
    pub(crate) trusted: AtomicBool,
    withdrawn: Mutex<Option<String>>,
    /// Why its log is not to be trusted, if it is not; see `recovery`.
    pub(super) recovering: Mutex<Option<String>>,
    dispute: Mutex<Option<Mismatch>>,
    opened: Notify,
    mismatches: AtomicU64,
    reinstalls: AtomicU64,
}

/// What a round of questions comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Most voters have this member's state.
    Upheld,
    /// Most voters have another one; this is one of them.
    Overruled {
        /// The leader, if it is among them.
        by: MemberId,
    },
    /// Neither, or not enough of them answered.
    Open,
}

impl Integrity {
    /// # Errors
    /// `Unavailable` if the directory cannot be read.
    pub(crate) fn new(distrust: Note) -> Result<Self, Error> {
        let noted = distrust.is_noted().map_err(|error| {
            Error::unavailable("cannot read the data directory").caused_by(error)
        })?;
        let why = "the state in the data directory is marked as not trustworthy; replacing it \
            with another member's";
        Ok(Self {
            distrust,
            trusted: AtomicBool::new(!noted),
            withdrawn: Mutex::new(noted.then(|| why.to_owned())),
            recovering: Mutex::default(),
            dispute: Mutex::default(),
            opened: Notify::new(),
            mismatches: AtomicU64::new(0),
            reinstalls: AtomicU64::new(0),
        })
    }

    /// Why clients are turned away, if they are.
    pub(crate) fn withdrawn(&self) -> Option<String> {
        lock(&self.recovering).clone().or_else(|| lock(&self.withdrawn).clone())
    }

    /// Whether its state is the reason to turn clients away.
    pub(crate) fn is_withdrawn(&self) -> bool {
        lock(&self.withdrawn).is_some()
    }

    pub(crate) fn serves(&self) -> bool {
        // Invariants B5 and C8: neither the log nor the state is in doubt.
        lock(&self.recovering).is_none() && lock(&self.withdrawn).is_none()
    }

    /// Fingerprints that differed since the start.
    pub(crate) fn mismatches(&self) -> u64 {
        self.mismatches.load(Ordering::Relaxed)
    }

    /// States taken over from other members since the start.
    pub(crate) fn reinstalls(&self) -> u64 {
        self.reinstalls.load(Ordering::Relaxed)
    }

    /// Two states differ: somebody is wrong.
    pub(crate) fn dispute(&self, mismatch: Mismatch) {
        self.mismatches.fetch_add(1, Ordering::Relaxed);
        let mut dispute = lock(&self.dispute);
        if dispute.is_none() {
            *dispute = Some(mismatch);
            self.opened.notify_one();
        }
    }
}

/// Settles disputes, one after the other, beginning with a note on disk.
pub(crate) async fn run_upkeep(weak: Weak<NodeCore>) {
    let distrusted = weak.upgrade().is_some_and(|inner| inner.replica.integrity.is_withdrawn());
    if distrusted {
        settle(&weak, true).await;
    }
    loop {
        let Some(replica) = weak.upgrade().map(|inner| Arc::clone(&inner.replica)) else { return };
        replica.integrity.opened.notified().await;
        drop(replica);
        settle(&weak, false).await;
        // The one that is wrong may go on saying so for a moment.
        clock::sleep(RETRY).await;
    }
}

/// Returns once the member serves, or is gone.
async fn settle(weak: &Weak<NodeCore>, mut distrusted: bool) {
    let mut began = None;
    let mut asked = false;
    loop {
        let Some(inner) = weak.upgrade() else { return };
        let now = inner.clock.monotonic();
        let began = *began.get_or_insert(now);
        let verdict = match inner.lone() {
            true => Verdict::Upheld,
            false if distrusted => inner.leader_elsewhere(),
            false => inner.ask_round(asked).await,
        };
        asked = true;
        match verdict {
            Verdict::Upheld => {
                inner.serve_again();
                return;
            }
            Verdict::Overruled { by } => match inner.reinstall(by).await {
                Ok(()) => distrusted = false,
                Err(error) => {
                    tracing::warn!(
                        member = inner.member.0,
                        from = by.0,
                        error = error.chain(),
                        "cannot replace the state with another member's yet"
                    );
                }
            },
            Verdict::Open if inner.in_doubt(now.saturating_sub(began)) => inner.withdraw(
                "the states of the members differ, and no majority agrees: compare them, create \
                 a file named reinstall in the data directory of the member whose state is to be \
                 discarded, and restart it",
            ),
            Verdict::Open => {}
        }
        drop(inner);
        clock::sleep(RETRY).await;
    }
}

/// Counts voices: `own` against what the other voters said.
pub(super) fn verdict(
    voters: usize,
    own: Option<StateFingerprint>,
    others: &[(MemberId, StateFingerprint)],
    leader: Option<MemberId>,
    mine: StateFingerprint,
) -> Verdict {
    let majority = voters / 2 + 1;
    let for_me = others.iter().filter(|(_, fingerprint)| fingerprint.agrees(&mine)).count();
    if for_me + usize::from(own.is_some()) >= majority {
        return Verdict::Upheld;
    }
    for (member, fingerprint) in others.iter().filter(|(_, fingerprint)| !fingerprint.agrees(&mine))
    {
        let alike = || others.iter().filter(|(_, other)| other.agrees(fingerprint));
        if alike().count() >= majority {
            let leads = alike().find(|(member, _)| Some(*member) == leader);
            return Verdict::Overruled { by: leads.map_or(*member, |(leads, _)| *leads) };
        }
    }
    Verdict::Open
}

impl NodeCore {
    /// Another member's state was so.
    pub(crate) fn compare(&self, peer: MemberId, theirs: StateFingerprint) {
        if let Some(mismatch) = self.replica.fingerprints.compare(peer, theirs) {
            self.replica.integrity.dispute(mismatch);
        }
    }

    /// Answers a member that asks what the state was here when it was `theirs`
    /// there.
    pub(crate) async fn answer_mark(
        &self,
        from: MemberId,
        theirs: StateFingerprint,
    ) -> Result<Option<StateFingerprint>, Error> {
        let applied = clock::timeout(ROUND, self.consensus.wait_applied(theirs.index)).await;
        applied.unwrap_or_else(|| {
            Err(Error::unavailable("this member has not applied that log entry yet"))
        })?;
        self.compare(from, theirs);
        Ok(self.replica.fingerprints.at(theirs.index))
    }

    /// Whether a dispute that began so long ago is enough to stop serving.
    fn in_doubt(&self, since: Duration) -> bool {
        since >= DOUBT_MAX && self.replica.integrity.serves()
    }

    /// Whether there is nobody to ask.
    pub(crate) fn lone(&self) -> bool {
        let status = self.consensus.status();
        status.voters.iter().all(|(voter, _)| *voter == self.member) && !status.voters.is_empty()
    }

    /// For a member that trusts itself less than whoever leads.
    fn leader_elsewhere(&self) -> Verdict {
        match self.known_leader() {
            Some(leader) if leader != self.member => Verdict::Overruled { by: leader },
            _ => Verdict::Open,
        }
    }

    /// Asks every voter. First about the entry in dispute; later about the
    /// latest, in case they no longer know what was then.
    async fn ask_round(&self, asked: bool) -> Verdict {
        let integrity = &self.replica.integrity;
        let disputed = lock(&integrity.dispute).filter(|_| !asked);
        let known = disputed.and_then(|disputed| self.replica.fingerprints.at(disputed.own.index));
        let Some(mine) = known.or_else(|| self.replica.fingerprints.latest()) else {
            return Verdict::Open;
        };
        let status = self.consensus.status();
        let votes = status.voters.iter().any(|(voter, _)| *voter == self.member);
        let others = status.voters.iter().map(|(voter, _)| *voter);
        let mut asking: FuturesUnordered<_> = others
            .filter(|voter| *voter != self.member)
            .map(|voter| async move { (voter, self.ask(voter, mine).await) })
            .collect();
        let mut answers = Vec::new();
        let mut came = Verdict::Open;
        while let Some((voter, answer)) = asking.next().await {
            answers.extend(answer.map(|fingerprint| (voter, fingerprint)));
            let own = votes.then_some(mine);
            came = verdict(status.voters.len(), own, &answers, self.known_leader(), mine);
            if came == Verdict::Upheld {
                break;
            }
        }
        came
    }

    /// Only a member that is in the cluster, and whose state is the cluster's,
    /// may ask to become leader.
    pub(crate) fn settle_electable(&self) {
        let trusted = self.replica.integrity.trusted.load(Ordering::Relaxed);
        self.consensus.allow_election(trusted && !self.replica.config_membership.is_outside());
    }

    async fn ask(&self, voter: MemberId, mine: StateFingerprint) -> Option<StateFingerprint> {
        let call = self.consensus.call(voter, PeerCall::StateFingerprint(mine).to_bytes());
        let answer = clock::timeout(ROUND * 2, call).await?.ok()?;
        read_answer::<Option<StateFingerprint>>(answer)
            .ok()?
            .filter(StateFingerprint::is_comparable)
    }

    /// ElectionCounters clients away from now on.
    pub(crate) fn withdraw(&self, why: &str) {
        let already = lock(&self.replica.integrity.withdrawn).replace(why.to_owned());
        if already.as_deref() == Some(why) {
            return;
        }
        let mismatch = *lock(&self.replica.integrity.dispute);
        tracing::error!(member = self.member.0, ?mismatch, "this member stops serving: {why}");
        self.replica.turn_away();
    }

    fn serve_again(&self) {
        let integrity = &self.replica.integrity;
        if let Err(error) = integrity.distrust.clear() {
            tracing::warn!(
                member = self.member.0, %error,
                "cannot remove the file reinstall from the data directory: the state would be \
                 replaced once more after a restart"
            );
        }
        *lock(&integrity.dispute) = None;
        let served = lock(&integrity.withdrawn).take().is_none();
        integrity.trusted.store(true, Ordering::Relaxed);
        self.settle_electable();
        if integrity.serves() {
            self.replica.proposals.serve_again();
        }
        if served {
            tracing::warn!(
                member = self.member.0,
                "another member's state diverged from the cluster's; this member's did not"
            );
        } else {
            tracing::warn!(member = self.member.0, "this member serves clients again");
        }
    }

    /// Gives the state up and takes another member's.
    async fn reinstall(&self, by: MemberId) -> Result<(), Error> {
        self.withdraw("its state diverged from the cluster's; replacing it with another member's");
        let integrity = &self.replica.integrity;
        integrity.trusted.store(false, Ordering::Relaxed);
        self.settle_electable();
        let distrust = integrity.distrust.clone();
        let noted = tokio::task::spawn_blocking(move || distrust.note()).await;
        if let Err(error) = noted.unwrap_or_else(|panic| Err(std::io::Error::other(panic))) {
            tracing::warn!(
                member = self.member.0, %error,
                "cannot write the file reinstall to the data directory: after a restart this \
                 member would trust its state"
            );
        }
        if self.is_leader() {
            self.consensus.transfer_leader(by).await?;
        }
        self.consensus.reinstall(by).await?;
        integrity.reinstalls.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(
            member = self.member.0,
            from = by.0,
            "replaced the state with another member's"
        );
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use coord_state::{Digest, Revision};

    use super::*;

    fn fingerprint(digest: u128) -> StateFingerprint {
        StateFingerprint::new(9, Revision(9), Digest(digest))
    }

    fn others(digests: &[(u64, u128)]) -> Vec<(MemberId, StateFingerprint)> {
        digests.iter().map(|(member, digest)| (MemberId(*member), fingerprint(*digest))).collect()
    }

    #[test]
    fn the_state_that_most_voters_have_is_the_clusters() {
        let mine = fingerprint(1);
        let ask = |voters, digests: &[(u64, u128)], leader| {
            verdict(voters, Some(mine), &others(digests), Some(MemberId(leader)), mine)
        };
        assert_eq!(ask(3, &[(2, 1)], 3), Verdict::Upheld);
        assert_eq!(ask(3, &[(2, 2), (3, 1)], 2), Verdict::Upheld);
        assert_eq!(ask(3, &[(2, 2), (3, 2)], 3), Verdict::Overruled { by: MemberId(3) });
        assert_eq!(ask(3, &[(2, 2), (3, 2)], 1), Verdict::Overruled { by: MemberId(2) });
        assert_eq!(ask(5, &[(2, 2), (3, 2), (4, 1)], 2), Verdict::Open);
    }

    #[test]
    fn without_a_majority_nobody_is_right() {
        let mine = fingerprint(1);
        let ask = |voters, digests: &[(u64, u128)]| {
            verdict(voters, Some(mine), &others(digests), Some(MemberId(2)), mine)
        };
        assert_eq!(ask(2, &[(2, 2)]), Verdict::Open);
        assert_eq!(ask(3, &[(2, 2)]), Verdict::Open);
        assert_eq!(ask(3, &[(2, 2), (3, 3)]), Verdict::Open);
        assert_eq!(ask(4, &[(2, 1), (3, 2), (4, 2)]), Verdict::Open);
    }

    #[test]
    fn a_member_without_a_vote_has_no_voice() {
        let mine = fingerprint(1);
        let ask = |digests: &[(u64, u128)]| verdict(3, None, &others(digests), None, mine);
        assert_eq!(ask(&[(1, 1)]), Verdict::Open);
        assert_eq!(ask(&[(1, 1), (2, 1)]), Verdict::Upheld);
        assert_eq!(ask(&[(1, 2), (2, 2), (3, 1)]), Verdict::Overruled { by: MemberId(1) });
    }
}
