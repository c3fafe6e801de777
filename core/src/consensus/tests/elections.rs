//! Who comes to lead, and who must not.

use super::*;
use crate::storage::StoredVote;

impl Cluster {
    /// The vote that a stopped member has on its disk.
    fn stored_vote(&self, member: MemberId) -> StoredVote {
        let directory = &self.directories[usize::try_from(member.0 - 1).unwrap()];
        storage(directory.path(), member.0).log.vote().expect("it voted")
    }
}

/// A leader that was killed may have sent entries that its own disk does not have.
/// If it led the same term again, it would write others at the same indexes.
#[test]
fn a_restarted_leader_does_not_resume_its_term() {
    within_time(async {
        let mut cluster = Cluster::start(3, 1 << 20).await;
        let leader = cluster.leader().await;
        cluster.running[&leader].write(&payloads(0..10)).await;
        cluster.stop_all().await;
        let vote = cluster.stored_vote(leader);
        assert!(vote.committed && vote.voted_for == leader.0, "{vote:?} is not a leader's");

        // Alone it can win no election: if it led, it would be by what is on its disk.
        cluster.restart(leader).await;
        let restarted = &cluster.running[&leader].consensus;
        // Its core has started once it answers this.
        restarted.inner.raft.with_raft_state(|_| ()).await.unwrap();
        let status = restarted.status();
        assert_ne!(status.role, ConsensusRole::Leader, "it leads without having been elected");
        assert_eq!(status.term, vote.term);

        for other in [1, 2, 3].map(MemberId).into_iter().filter(|other| *other != leader) {
            cluster.restart(other).await;
        }
        let next = cluster.leader().await;
        let term = cluster.running[&next].consensus.status().term;
        assert!(term > vote.term, "term {term} after term {}", vote.term);
        assert_eq!(cluster.running[&next].applied(10).await, payloads(0..10));
        cluster.stop_all().await;
    });
}

/// Nobody else could have led meanwhile: there is nothing to wait for.
#[test]
fn a_lone_voter_leads_at_once_after_a_restart_in_a_term_of_its_own() {
    within_time(async {
        let mut cluster = Cluster::start(1, 1 << 20).await;
        let one = MemberId(1);
        cluster.running[&one].leads().await;
        cluster.stop(one).await;
        let vote = cluster.stored_vote(one);
        let before = std::time::Instant::now();
        cluster.restart(one).await;
        cluster.running[&one].leads().await;
        // Election timeouts of these tests begin at 300 ms, behind a lease of 600.
        assert!(before.elapsed() < Duration::from_millis(300), "{:?}", before.elapsed());
        assert!(cluster.running[&one].consensus.status().term > vote.term);
        cluster.stop_all().await;
    });
}
