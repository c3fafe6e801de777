//! Members that come back with less than they promised to others.

use super::*;
use crate::error::ErrorKind;
use crate::storage::DirectoryIdentity;

impl Cluster {
    fn directory(&self, member: MemberId) -> &Path {
        self.directories[usize::try_from(member.0 - 1).unwrap()].path()
    }

    fn replace_directory(&mut self, member: MemberId, by: tempfile::TempDir) {
        self.directories[usize::try_from(member.0 - 1).unwrap()] = by;
    }

    /// Stops a member, and leaves it an empty directory.
    async fn wipe(&mut self, member: MemberId) {
        self.stop(member).await;
        self.replace_directory(member, tempfile::tempdir().unwrap());
    }

    fn copy_of(&self, member: MemberId) -> tempfile::TempDir {
        let copy = tempfile::tempdir().unwrap();
        copy_all(self.directory(member), copy.path());
        copy
    }

    /// The identity of a stopped member's directory.
    fn identity(&self, member: MemberId) -> DirectoryIdentity {
        storage(self.directory(member), member.0).identity.current()
    }

    /// The leader and the two others, of three.
    async fn roles(&self) -> (MemberId, MemberId, MemberId) {
        let leader = self.leader().await;
        let others: Vec<_> = self.running.keys().copied().filter(|id| *id != leader).collect();
        (leader, others[0], others[1])
    }

    /// Waits until a member knows, for good, that it lost something.
    async fn recovers(&self, member: MemberId) {
        let mut recovery = self.at(member).watch_recovery();
        recovery.wait_for(Option::is_some).await.unwrap();
        while !self.directory(member).join("recovering").exists() {
            tokio::task::yield_now().await;
        }
    }

    /// Waits until a member has a vote.
    async fn has_recovered(&self, member: MemberId) {
        let mut recovery = self.at(member).watch_recovery();
        recovery.wait_for(Option::is_none).await.unwrap();
    }
}

#[test]
fn a_member_that_lost_its_directory_gets_everything_back_and_votes_again() {
    within_time(async {
        // By log entries, and by snapshot.
        for snapshot_log_bytes in [1 << 20, 8 << 10] {
            let mut cluster = Cluster::start(3, snapshot_log_bytes).await;
            let (leader, wiped, other) = cluster.roles().await;
            for start in (0..1000).step_by(100) {
                cluster.running[&leader].write(&payloads(start..start + 100)).await;
            }
            cluster.running[&wiped].applied(1000).await;
            cluster.wipe(wiped).await;
            cluster.restart(wiped).await;
            assert_eq!(cluster.running[&wiped].applied(1000).await, payloads(0..1000));
            cluster.has_recovered(wiped).await;
            // Its word counts again.
            cluster.stop(other).await;
            cluster.running[&leader].write(&payloads(1000..1010)).await;
            cluster.stop(leader).await;
            cluster.restart(other).await;
            let next = cluster.leader().await;
            assert_eq!(cluster.running[&next].applied(1010).await, payloads(0..1010));
            cluster.stop_all().await;
            assert!(cluster.identity(wiped).recovered);
        }
    });
}

/// Two have acknowledged, the third was away. One of the two loses its directory:
/// with the third it would be a majority that knows nothing.
#[test]
fn a_member_that_lost_its_directory_has_no_vote_until_somebody_has_what_it_confirmed() {
    within_time(async {
        let mut cluster = Cluster::start(3, 1 << 20).await;
        let (leader, wiped, behind) = cluster.roles().await;
        cluster.running[&leader].write(&payloads(0..10)).await;
        cluster.stop(behind).await;
        cluster.running[&leader].write(&payloads(10..100)).await;
        cluster.running[&wiped].applied(100).await;
        cluster.stop(leader).await;
        cluster.wipe(wiped).await;
        cluster.restart(behind).await;
        cluster.restart(wiped).await;
        cluster.recovers(wiped).await;
        // It goes on being so over a restart.
        cluster.stop(wiped).await;
        cluster.restart(wiped).await;
        cluster.recovers(wiped).await;
        let voters = cluster.at(wiped).inner.acquaintance.clone();
        assert!(!voters.may_vote_for(behind).await);
        assert!(!voters.may_stand());
        for member in [wiped, behind] {
            assert_ne!(cluster.at(member).status().role, ConsensusRole::Leader);
        }

        cluster.restart(leader).await;
        cluster.has_recovered(wiped).await;
        for member in [leader, wiped, behind] {
            assert_eq!(cluster.running[&member].applied(100).await, payloads(0..100));
        }
        cluster.stop_all().await;
    });
}

#[test]
fn an_older_copy_of_a_directory_is_recognised() {
    within_time(async {
        let mut cluster = Cluster::start(3, 1 << 20).await;
        let (leader, restored, _) = cluster.roles().await;
        let mut count = 0;
        // Of before its last start, and of a moment at which it ran.
        for while_it_runs in [false, true] {
            cluster.running[&leader].write(&payloads(count..count + 50)).await;
            cluster.running[&restored].applied(count + 50).await;
            if !while_it_runs {
                cluster.stop(restored).await;
            }
            let copy = cluster.copy_of(restored);
            if !while_it_runs {
                cluster.restart(restored).await;
            }
            cluster.running[&leader].write(&payloads(count + 50..count + 100)).await;
            count += 100;
            cluster.running[&restored].applied(count).await;
            cluster.stop(restored).await;
            let before = cluster.identity(restored).identity;
            cluster.replace_directory(restored, copy);
            cluster.restart(restored).await;
            assert_eq!(cluster.running[&restored].applied(count).await, payloads(0..count));
            let acquaintance = cluster.at(restored).inner.acquaintance.clone();
            // It may follow the leader before it has met anybody who knew it.
            let is_another = || {
                let current = acquaintance.identity.current();
                current.identity != before && current.recovered && !acquaintance.is_recovering()
            };
            while !is_another() {
                tokio::task::yield_now().await;
            }
        }
        cluster.stop_all().await;
    });
}

#[test]
fn a_member_that_lost_its_directory_can_be_removed_and_added_again() {
    within_time(async {
        let mut cluster = Cluster::start(3, 1 << 20).await;
        let (leader, wiped, other) = cluster.roles().await;
        cluster.running[&leader].write(&payloads(0..100)).await;
        cluster.wipe(wiped).await;
        let kept = [leader, other].into();
        cluster.at(leader).set_voters(kept).await.unwrap();
        cluster.at(leader).forget_learners([wiped].into()).await.unwrap();
        cluster.restart(wiped).await;
        let address = cluster.members[&wiped].clone();
        cluster.at(leader).learn_members([(wiped, address)].into()).await.unwrap();
        cluster.at(leader).set_voters([leader, wiped, other].into()).await.unwrap();
        assert_eq!(cluster.running[&wiped].applied(100).await, payloads(0..100));
        cluster.has_recovered(wiped).await;
        cluster.stop(other).await;
        cluster.running[&leader].write(&payloads(100..110)).await;
        cluster.stop_all().await;
    });
}

#[test]
fn a_majority_that_lost_its_directories_waits_for_an_operators_word() {
    within_time(async {
        let mut cluster = Cluster::start(3, 1 << 20).await;
        let (kept, one, two) = cluster.roles().await;
        cluster.running[&kept].write(&payloads(0..100)).await;
        cluster.wipe(one).await;
        cluster.wipe(two).await;
        cluster.restart(one).await;
        cluster.restart(two).await;
        cluster.recovers(one).await;
        cluster.recovers(two).await;
        for wiped in [one, two] {
            assert!(!cluster.at(wiped).inner.acquaintance.may_vote_for(kept).await);
            assert!(cluster.at(wiped).status().voters.is_empty(), "a second cluster was formed");
        }
        while !cluster.at(one).inner.acquaintance.has_told_news(kept) {
            tokio::task::yield_now().await;
        }
        // What the one that is left has is to count.
        cluster.stop(one).await;
        std::fs::remove_file(cluster.directory(one).join("recovering")).unwrap();
        cluster.restart(one).await;
        for wiped in [one, two] {
            assert_eq!(cluster.running[&wiped].applied(100).await, payloads(0..100));
        }
        cluster.has_recovered(two).await;
        let leader = cluster.leader().await;
        cluster.running[&leader].write(&payloads(100..110)).await;
        cluster.stop_all().await;
    });
}

#[test]
fn a_log_that_lost_its_end_is_refused_alone_and_made_whole_by_others() {
    within_time(async {
        for size in [1, 3] {
            let mut cluster = Cluster::start(size, 1 << 20).await;
            let leader = cluster.leader().await;
            let damaged = *cluster.running.keys().find(|id| size == 1 || **id != leader).unwrap();
            cluster.running[&leader].write(&payloads(0..100)).await;
            cluster.running[&damaged].applied(100).await;
            cluster.stop(damaged).await;
            let segment = cluster.directory(damaged).join("log/0000000000000000.wal");
            let file = std::fs::OpenOptions::new().write(true).open(&segment).unwrap();
            file.set_len(2000).unwrap();
            if size == 1 {
                for _ in 0..2 {
                    let error = cluster.try_restart(damaged).await.unwrap_err();
                    assert_eq!(*error.kind(), ErrorKind::Corrupt);
                    assert!(error.to_string().contains("0000000000000000.wal"), "{error}");
                }
                // An operator can go on without.
                std::fs::remove_file(cluster.directory(damaged).join("durable")).unwrap();
                cluster.restart(damaged).await;
                cluster.running[&damaged].leads().await;
            } else {
                cluster.restart(damaged).await;
                assert_eq!(cluster.running[&damaged].applied(100).await, payloads(0..100));
                cluster.has_recovered(damaged).await;
            }
            cluster.stop_all().await;
        }
    });
}

#[test]
fn a_log_whose_snapshot_is_gone_is_refused() {
    within_time(async {
        let mut cluster = Cluster::start(1, 16 << 10).await;
        let member = MemberId(1);
        cluster.running[&member].leads().await;
        for start in (0..2000).step_by(100) {
            cluster.running[&member].write(&payloads(start..start + 100)).await;
        }
        cluster.stop(member).await;
        assert!(storage(cluster.directory(member), 1).log.purged().is_some());
        let snapshots = cluster.directory(member).join("snapshots");
        std::fs::remove_dir_all(&snapshots).unwrap();
        let error = cluster.try_restart(member).await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains(&*snapshots.to_string_lossy()), "{error}");
    });
}
