//! What `mntr`, `srvr` and `conf` tell is what happened, not a constant.

use crate::client::{Client, create, new_session};
use crate::connection::{Member, Wire};
use crate::ensemble::eventually;

/// What a word tells of this name; nothing if it does not.
fn told(member: &Member, word: &[u8; 4], name: &str, separator: char) -> Option<String> {
    let text = Wire::word(member.address, word);
    let mut lines = text.lines().filter_map(|line| line.split_once(separator));
    lines.find(|(told, _)| *told == name).map(|(_, value)| value.trim().to_owned())
}

fn measure(member: &Member, name: &str) -> f64 {
    let value = told(member, b"mntr", &format!("zk_{name}"), '\t');
    value.unwrap_or_else(|| panic!("{name} is not told")).parse().unwrap()
}

#[test]
fn writes_are_counted_as_proposals_commits_and_syncs() {
    let member = Member::start();
    let mut client = Client::open(member.address);
    let names = ["proposal_count", "commit_count", "cnt_fsynctime"];
    let before = names.map(|name| measure(&member, name));
    for number in 0..20 {
        client.made(&format!("/{number}"));
    }
    for (name, before) in names.iter().zip(before) {
        // One after the other, so each is an entry of its own.
        assert!(measure(&member, name) >= before + 20.0, "{name}: {before} before");
    }
    for time in ["fsynctime", "election_time", "snapshottime"] {
        let [min, avg, max, sum] =
            ["min", "avg", "max", "sum"].map(|which| measure(&member, &format!("{which}_{time}")));
        assert!(min <= avg.ceil() && avg <= max + 1.0 && max <= sum, "{min} {avg} {max} {sum}");
    }
    assert!(measure(&member, "avg_fsynctime") > 0.0, "a sync takes time");
    assert!(measure(&member, "cnt_election_time") >= 1.0, "it came to lead");
}

#[test]
fn the_sizes_of_proposals_are_told_by_who_leads() {
    let ensemble = crate::ensemble::Ensemble::start(&[]);
    let leader = ensemble.leader(None);
    let mut client = ensemble.client(leader);
    client.made("/a");
    let text = Wire::word(ensemble.address(leader), b"srvr");
    let sizes = text.lines().find_map(|line| line.strip_prefix("Proposal sizes last/min/max: "));
    let sizes: Vec<i64> =
        sizes.expect("a leader tells them").split('/').map(|size| size.parse().unwrap()).collect();
    let [last, min, max] = sizes[..] else { panic!("{sizes:?}") };
    assert!(0 < min && min <= last && last <= max, "{sizes:?}");
    let text = Wire::word(ensemble.address(leader), b"mntr");
    assert!(text.contains("zk_max_proposal_size\t") && text.contains("zk_learners\t2"), "{text}");
}

#[test]
fn sessions_that_run_out_and_connections_that_end_are_counted() {
    let member = Member::start();
    let ended = measure(&member, "connection_drop_count");
    drop(Client::connect(member.address, &new_session(1000)));
    eventually("the session runs out", || {
        (measure(&member, "stale_sessions_expired") >= 1.0).then_some(())
    });
    assert!(measure(&member, "connection_drop_count") > ended);
    // One that is closed does not run out.
    let mut client = Client::open(member.address);
    client.made("/here");
    client.call(&coord_wire::zookeeper::Request::CloseSession).unwrap();
    assert!((measure(&member, "stale_sessions_expired") - 1.0).abs() < 0.5);
}

#[test]
fn a_snapshot_is_counted_with_the_time_it_took() {
    let member = Member::start_with(&[("storage.snapshot_log_bytes", "65536")]);
    let mut client = Client::open(member.address);
    assert!(measure(&member, "cnt_snapshottime") < 0.5, "none was taken yet");
    let mut number = 0;
    eventually("a snapshot is taken", || {
        number += 1;
        client.call(&create(&format!("/{number}"))).unwrap();
        (measure(&member, "cnt_snapshottime") >= 1.0).then_some(())
    });
    assert!(measure(&member, "avg_snapshottime") > 0.0);
}

#[test]
fn conf_tells_the_port_and_that_there_is_none_for_tls() {
    let member = Member::start();
    let port = member.address.port().to_string();
    assert_eq!(told(&member, b"conf", "clientPort", '='), Some(port));
    assert_eq!(told(&member, b"conf", "secureClientPort", '=').as_deref(), Some("-1"));
}
