//! Who comes to lead, and who must not.

use std::time::Instant;

use super::*;
use crate::consensus::ConsensusStatus;
use crate::storage::StoredVote;

/// So long that a test which passes did not wait for it: a lease and an election.
const NEVER_MS: std::ops::Range<u64> = 100_000..200_000;

impl Running {
    /// Writes to a leader that was just elected, which takes nothing before it was
    /// answered by a majority.
    async fn write_soon(&self, payloads: &[Bytes]) {
        for payload in payloads {
            while !self.try_write(std::slice::from_ref(payload)).await {
                tokio::task::yield_now().await;
            }
        }
    }
}

impl Cluster {
    /// The vote that a stopped member has on its disk.
    fn stored_vote(&self, member: MemberId) -> StoredVote {
        let directory = &self.directories[usize::try_from(member.0 - 1).unwrap()];
        storage(directory.path(), member.0).log.vote().expect("it voted")
    }

    /// Members that replace no leader because time passed.
    async fn start_patient(size: u64) -> Self {
        let mut cluster = Self::start(size, 1 << 20).await;
        cluster.leader().await;
        cluster.stop_all().await;
        cluster.election_ms = NEVER_MS;
        for member in cluster.members.keys().copied().collect::<Vec<_>>() {
            cluster.restart(member).await;
        }
        // Nobody led since the start: who asks is elected, if it has all of the log.
        let members = cluster.members.keys();
        let first = *members.max_by_key(|member| cluster.at(**member).last_index()).unwrap();
        cluster.at(first).inner.raft.trigger().elect(true).await.unwrap();
        cluster.leader().await;
        cluster
    }

    fn others(&self, than: &[MemberId]) -> Vec<MemberId> {
        self.members.keys().copied().filter(|member| !than.contains(member)).collect()
    }

    /// Cuts every link but those between these pairs.
    fn connect_only(&self, pairs: &[(MemberId, MemberId)]) {
        for member in self.running.keys() {
            let connected = |other: &MemberId| {
                pairs.contains(&(*member, *other)) || pairs.contains(&(*other, *member))
            };
            let cut = self.others(&[*member]).into_iter().filter(|other| !connected(other));
            self.at(*member).inner.peers.transport.links.be_deaf_to(cut);
        }
    }

    fn connect_all(&self) {
        for member in self.running.keys() {
            self.at(*member).inner.peers.transport.links.be_deaf_to([]);
        }
    }

    /// Waits until all of these follow one that is not `former`; tells which.
    async fn another_leads(&self, among: &[MemberId], former: MemberId) -> MemberId {
        let mut leader = None;
        for member in among {
            let mut status = self.at(*member).watch_status();
            let other =
                |status: &ConsensusStatus| status.leader.is_some_and(|leader| leader != former);
            leader = status.wait_for(other).await.unwrap().leader;
        }
        leader.expect("somebody was asked")
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
        let before = Instant::now();
        cluster.restart(one).await;
        cluster.running[&one].leads().await;
        // Election timeouts of these tests begin at 300 ms, behind a lease of 600.
        assert!(before.elapsed() < Duration::from_millis(300), "{:?}", before.elapsed());
        assert!(cluster.running[&one].consensus.status().term > vote.term);
        cluster.stop_all().await;
    });
}

#[test]
fn a_leader_whose_process_is_gone_is_replaced_without_waiting_for_its_lease() {
    within_time(async {
        let mut cluster = Cluster::start_patient(3).await;
        let leader = cluster.leader().await;
        cluster.running[&leader].write(&payloads(0..10)).await;
        cluster.stop(leader).await;
        let rest = cluster.others(&[leader]);
        let next = cluster.another_leads(&rest, leader).await;
        cluster.running[&next].write_soon(&payloads(10..20)).await;
        assert_eq!(cluster.running[&next].applied(20).await, payloads(0..20));
        cluster.stop_all().await;
    });
}

/// Somebody listens at its address again, and says that it does not lead.
#[test]
fn a_leader_that_was_restarted_before_anybody_noticed_is_replaced_at_once() {
    within_time(async {
        let mut cluster = Cluster::start_patient(3).await;
        let leader = cluster.leader().await;
        cluster.running[&leader].write(&payloads(0..10)).await;
        let term = cluster.at(leader).status().term;
        cluster.stop(leader).await;
        cluster.restart(leader).await;
        let next = cluster.leader().await;
        assert!(cluster.at(next).status().term > term);
        cluster.running[&next].write(&payloads(10..20)).await;
        cluster.stop_all().await;
    });
}

#[test]
fn a_leader_whose_connections_break_is_asked_and_kept() {
    within_time(async {
        let mut cluster = Cluster::start_patient(3).await;
        let leader = cluster.leader().await;
        let term = cluster.at(leader).status().term;
        for round in 0..5 {
            for follower in cluster.others(&[leader]) {
                cluster.at(leader).inner.peers.path(follower).restored(Instant::now());
            }
            // Over new connections, which the old ones have ended for.
            cluster.running[&leader].write(&payloads(round..round + 1)).await;
        }
        for running in cluster.running.values() {
            assert_eq!(running.applied(5).await, payloads(0..5));
            let status = running.consensus.status();
            assert_eq!((status.leader, status.term), (Some(leader), term));
        }
        cluster.stop_all().await;
    });
}

#[test]
fn a_leader_that_stops_hands_over_first() {
    within_time(async {
        let mut cluster = Cluster::start_patient(3).await;
        let leader = cluster.leader().await;
        cluster.running[&leader].write(&payloads(0..10)).await;
        cluster.at(leader).hand_over(Duration::from_secs(30)).await;
        let status = cluster.at(leader).status();
        assert_eq!(status.role, ConsensusRole::Follower);
        let next = cluster.another_leads(&cluster.others(&[]), leader).await;
        assert_eq!(cluster.leader().await, next);
        cluster.stop(leader).await;
        cluster.running[&next].write_soon(&payloads(10..20)).await;
        cluster.stop_all().await;
    });
}

/// Five voters; the old leader reaches one, and that one the two others: three are
/// connected and could go on. openraft issue 2080.
#[test]
fn a_majority_around_a_leader_that_reaches_only_one_of_it_elects_another() {
    within_time(async {
        let mut cluster = Cluster::start(5, 1 << 20).await;
        let leader = cluster.leader().await;
        cluster.running[&leader].write(&payloads(0..10)).await;
        let others = cluster.others(&[leader]);
        let [bridge, left, right, _alone] = others[..] else { panic!("five members") };
        for member in [bridge, left, right] {
            cluster.running[&member].applied(10).await;
        }
        cluster.connect_only(&[(leader, bridge), (bridge, left), (bridge, right), (left, right)]);
        let cut = Instant::now();
        let next = cluster.another_leads(&[bridge, left, right], leader).await;
        cluster.running[&next].write_soon(&payloads(10..11)).await;
        // With timeouts up to 600 ms: a lease of the leader, one of the bridge, elections.
        assert!(cut.elapsed() < Duration::from_secs(5), "{:?}", cut.elapsed());
        cluster.connect_all();
        for running in cluster.running.values() {
            assert_eq!(running.applied(11).await, payloads(0..11));
        }
        cluster.stop_all().await;
    });
}

/// Heartbeats alone do not keep a leader in office.
#[test]
fn a_leader_whose_entries_do_not_get_through_makes_room_for_another() {
    within_time(async {
        let mut cluster = Cluster::start(3, 1 << 20).await;
        let leader = cluster.leader().await;
        cluster.running[&leader].write(&payloads(0..10)).await;
        let followers = cluster.others(&[leader]);
        for follower in &followers {
            cluster.running[follower].applied(10).await;
            cluster.at(*follower).inner.peers.transport.links.take_no_entries_of([leader]);
        }
        cluster.at(leader).propose(Bytes::from_static(b"stuck"), |_| {});
        let next = cluster.another_leads(&followers, leader).await;
        cluster.running[&next].write_soon(&payloads(10..20)).await;
        let applied = cluster.running[&leader].applied(20).await;
        assert_eq!(applied[..10], payloads(0..10));
        cluster.stop_all().await;
    });
}

#[test]
fn a_call_from_before_an_interruption_ends_when_the_way_is_open_again() {
    within_time(async {
        let mut cluster = Cluster::start(2, 1 << 20).await;
        let (one, two) = (MemberId(1), MemberId(2));
        cluster.leader().await;
        let hello = Bytes::from_static(b"hello");
        cluster.at(one).call(two, hello.clone()).await.unwrap();
        cluster.at(two).inner.peers.transport.links.be_deaf_to([one]);
        let peers = cluster.at(one).inner.peers.clone();
        // It waits without end otherwise: the caller sets no time.
        let (outcome, ()) = tokio::join!(cluster.at(one).call(two, hello.clone()), async {
            peers.path(two).restored(Instant::now());
        });
        let error = outcome.unwrap_err();
        assert!(error.is_retryable() || error.may_have_applied(), "{error}");
        cluster.connect_all();
        // A connection that was being made meanwhile fails with those who wait for it.
        while cluster.at(one).call(two, hello.clone()).await.is_err() {}
        cluster.stop_all().await;
    });
}
