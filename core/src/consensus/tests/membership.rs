//! Beginning a cluster, and changing who takes part in it.

use super::*;
use crate::consensus::first_members::BootstrapState;

impl Cluster {
    /// Starts one more member that was told of `first`, wherever there is room.
    async fn start_another(&mut self, told: BTreeMap<MemberId, String>) -> (MemberId, String) {
        let member = MemberId(self.directories.len() as u64 + 1);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let members = std::mem::replace(&mut self.members, told);
        if !self.members.is_empty() {
            self.members.insert(member, address.clone());
        }
        self.directories.push(tempfile::tempdir().unwrap());
        self.run(member, listener).await;
        self.members = members;
        (member, address)
    }

    /// Waits until a member leads, its followers agree, and what the leaders before it
    /// left is committed: a change of the members under way is refused before that.
    async fn leads(&self, member: MemberId) {
        self.running[&member].leads().await;
        assert_eq!(self.leader().await, member);
        let index = self.at(member).read_index(false).await.unwrap();
        self.at(member).wait_applied(index).await.unwrap();
    }
}

#[test]
fn a_member_joins_and_another_leaves() {
    within_time(async {
        let mut cluster = Cluster::start(1, 1 << 20).await;
        let one = MemberId(1);
        cluster.leads(one).await;
        cluster.running[&one].write(&payloads(0..10)).await;
        let (two, address) = cluster.start_another(BTreeMap::new()).await;
        cluster.at(one).learn_members([(two, address.clone())].into()).await.unwrap();
        assert_eq!(cluster.running[&two].applied(10).await, payloads(0..10));
        cluster.at(one).set_voters([one, two].into()).await.unwrap();
        cluster.at(one).transfer_leader(two).await.unwrap();
        cluster.leads(two).await;
        cluster.at(two).set_voters([two].into()).await.unwrap();
        cluster.at(two).forget_learners([one].into()).await.unwrap();
        let status = cluster.at(two).status();
        assert_eq!((status.voters, status.learners), (vec![(two, address)], Vec::new()));
        cluster.running[&two].write(&payloads(10..20)).await;
        cluster.stop_all().await;
    });
}

#[test]
fn a_new_member_that_names_a_running_cluster_forms_none() {
    within_time(async {
        let mut cluster = Cluster::start(3, 1 << 20).await;
        let leader = cluster.leader().await;
        cluster.running[&leader].write(&payloads(0..10)).await;
        let named = cluster.members.clone();
        let (four, address) = cluster.start_another(named).await;
        // It hears of the cluster before it could have formed one of its own: the
        // leader's word is the first thing in its log.
        cluster.at(leader).learn_members([(four, address)].into()).await.unwrap();
        assert_eq!(cluster.running[&four].applied(10).await, payloads(0..10));
        let status = cluster.at(four).status();
        assert_eq!(status.role, ConsensusRole::Learner);
        assert_eq!(status.voters.len(), 3);
        assert_eq!(cluster.at(leader).status().leader, Some(leader));
        cluster.stop_all().await;
    });
}

#[test]
fn members_that_were_told_of_different_members_form_no_cluster() {
    within_time(async {
        let mut cluster = Cluster::start(0, 1 << 20).await;
        let mut listeners = Vec::new();
        for member in [MemberId(1), MemberId(2)] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap().to_string();
            cluster.members.insert(member, address);
            cluster.directories.push(tempfile::tempdir().unwrap());
            listeners.push((member, listener));
        }
        for (member, listener) in listeners {
            cluster.run(member, listener).await;
            // The second one is told of one more than the first.
            cluster.members.insert(MemberId(3), "127.0.0.1:1".to_owned());
        }
        for _ in 0..200 {
            for (asks, asked) in [(MemberId(1), MemberId(2)), (MemberId(2), MemberId(1))] {
                let state = cluster.at(asks).bootstrap_state_of(asked).await;
                assert!(matches!(state, Some(BootstrapState::Fresh(_))), "{state:?}");
            }
        }
        cluster.stop_all().await;
    });
}

#[test]
fn whoever_has_no_vote_follows_and_counts_for_no_majority() {
    within_time(async {
        let mut cluster = Cluster::start(1, 1 << 20).await;
        let one = MemberId(1);
        cluster.leads(one).await;
        let (two, at_two) = cluster.start_another(BTreeMap::new()).await;
        let (three, at_three) = cluster.start_another(BTreeMap::new()).await;
        let both = [(two, at_two), (three, at_three)].into();
        cluster.at(one).learn_members(both).await.unwrap();
        cluster.running[&one].write(&payloads(0..10)).await;
        for member in [two, three] {
            assert_eq!(cluster.running[&member].applied(10).await, payloads(0..10));
            cluster.stop(member).await;
        }
        // A majority of three would be gone.
        cluster.running[&one].write(&payloads(10..20)).await;
        cluster.stop_all().await;
    });
}

#[test]
fn a_member_that_moved_is_found_at_its_new_place() {
    within_time(async {
        let mut cluster = Cluster::start(3, 1 << 20).await;
        let leader = cluster.leader().await;
        let moved = *cluster.running.keys().find(|member| **member != leader).unwrap();
        cluster.running[&leader].write(&payloads(0..10)).await;
        cluster.stop(moved).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        cluster.at(leader).learn_members([(moved, address.clone())].into()).await.unwrap();
        cluster.running[&leader].write(&payloads(10..20)).await;
        // Its settings still say the old place: the log counts.
        cluster.run(moved, listener).await;
        assert_eq!(cluster.running[&moved].applied(20).await, payloads(0..20));
        // What is applied may be seen a moment before the membership behind it.
        let mut status = cluster.at(moved).watch_status();
        let voter = (moved, address);
        status.wait_for(|status| status.voters.contains(&voter)).await.unwrap();
        cluster.stop_all().await;
    });
}

#[test]
fn writes_go_on_while_every_voter_is_replaced() {
    within_time(async {
        let mut cluster = Cluster::start(3, 1 << 20).await;
        let old: BTreeSet<MemberId> = cluster.running.keys().copied().collect();
        let leader = cluster.leader().await;
        let mut new = BTreeMap::new();
        for _ in 0..3 {
            let (member, address) = cluster.start_another(BTreeMap::new()).await;
            new.insert(member, address);
        }
        let running = &cluster.running[&leader];
        let change = async {
            running.consensus.learn_members(new.clone()).await.unwrap();
            running.consensus.set_voters(new.keys().copied().collect()).await.unwrap();
        };
        let writes = async {
            for number in 0..300 {
                // Who leads without a vote hands over, and refuses what comes then.
                let payload = payloads(number..number + 1);
                while !cluster.running[&cluster.leader().await].try_write(&payload).await {}
            }
        };
        futures_util::future::join(change, writes).await;
        for member in new.keys() {
            assert_eq!(cluster.running[member].applied(300).await, payloads(0..300));
        }
        let transfer_target = *new.keys().next().unwrap();
        let leading = cluster.leader().await;
        if leading != transfer_target {
            cluster.at(leading).transfer_leader(transfer_target).await.unwrap();
        }
        cluster.leads(transfer_target).await;
        cluster.at(transfer_target).forget_learners(old.clone()).await.unwrap();
        for member in old {
            cluster.stop(member).await;
        }
        cluster.running[&transfer_target].write(&payloads(300..310)).await;
        cluster.stop_all().await;
    });
}
