//! What a member does whose disk fails, runs full, or whose state machine panics.

use super::*;

#[test]
fn a_member_whose_disk_fails_says_so_and_stops_serving() {
    within_time(async {
        let disk = FaultyDisk::default();
        let mut cluster = Cluster::start_on(Arc::new(disk.clone()), 1, 1 << 20).await;
        let running = &cluster.running[&MemberId(1)];
        running.leads().await;
        running.write(&payloads(0..3)).await;
        disk.fail_syncs(true);
        let (sender, receiver) = tokio::sync::oneshot::channel();
        running.consensus.propose(Bytes::new(), |refusal| sender.send(refusal).unwrap_or_default());
        assert_eq!(receiver.await.unwrap(), Refusal::Unknown);
        let mut status = running.consensus.watch_status();
        let failed =
            status.wait_for(|status| status.failed.is_some()).await.unwrap().failed.clone();
        assert!(failed.unwrap().contains("the disk is on fire"));
        let error = running.consensus.read_index(false).await.unwrap_err();
        assert_eq!(*error.kind(), crate::ErrorKind::Internal);
        assert!(error.to_string().contains("the disk is on fire"), "{error}");
        assert!(running.consensus.wait_applied(1000).await.is_err());
        assert_eq!(running.applied(0).await, payloads(0..3));
        cluster.stop_all().await;
    });
}

#[test]
fn a_snapshot_that_fails_costs_nothing_and_is_tried_again() {
    within_time(async {
        let disk = FaultyDisk::default();
        let mut cluster = Cluster::start_on(Arc::new(disk.clone()), 1, 1 << 10).await;
        let snapshots = cluster.directories[0].path().join("snapshots");
        let running = &cluster.running[&MemberId(1)];
        running.leads().await;
        disk.fill_where(Some("snapshots"));
        running.write(&payloads(0..200)).await;
        let error = running.consensus.snapshot().await.unwrap_err();
        assert_eq!(*error.kind(), crate::ErrorKind::Unavailable);
        running.write(&payloads(200..300)).await;
        assert_eq!(running.consensus.status().failed, None);
        assert_eq!(std::fs::read_dir(&snapshots).unwrap().count(), 0);
        disk.fill_where(None);
        // By itself: it is due.
        while std::fs::read_dir(&snapshots).unwrap().count() == 0 {
            tokio::task::yield_now().await;
        }
        running.write(&payloads(300..310)).await;
        running.consensus.snapshot().await.unwrap();
        cluster.stop_all().await;
    });
}

#[test]
fn a_panic_while_applying_fails_the_member() {
    within_time(async {
        let mut cluster = Cluster::start(1, 1 << 20).await;
        let running = &cluster.running[&MemberId(1)];
        running.leads().await;
        running.consensus.propose(Bytes::from_static(POISON), |_| {});
        let mut status = running.consensus.watch_status();
        let failed =
            status.wait_for(|status| status.failed.is_some()).await.unwrap().failed.clone();
        assert!(failed.unwrap().contains("it was poison"));
        let (sender, receiver) = tokio::sync::oneshot::channel();
        running.consensus.propose(Bytes::new(), |refusal| sender.send(refusal).unwrap_or_default());
        assert_eq!(receiver.await.unwrap(), Refusal::Stopped);
        assert!(running.consensus.wait_applied(1000).await.is_err());
        cluster.stop_all().await;
    });
}

#[test]
fn a_full_disk_stalls_a_member_and_room_sets_it_going() {
    within_time(async {
        let disk = FaultyDisk::default();
        let mut cluster = Cluster::start_on(Arc::new(disk.clone()), 1, 1 << 20).await;
        let running = &cluster.running[&MemberId(1)];
        running.leads().await;
        running.write(&payloads(0..3)).await;
        disk.fill(true);
        running.consensus.propose(Bytes::from_static(b"late"), |_| {});
        let mut status = running.consensus.watch_status();
        let stalled = status.wait_for(|status| status.stalled.is_some()).await.unwrap().clone();
        assert_eq!(stalled.failed, None);
        disk.fill(false);
        status.wait_for(|status| status.stalled.is_none()).await.unwrap();
        running.write(&payloads(3..5)).await;
        let mut expected = payloads(0..3);
        expected.push(Bytes::from_static(b"late"));
        expected.extend(payloads(3..5));
        assert_eq!(running.applied(6).await, expected);
        cluster.stop_all().await;
    });
}
