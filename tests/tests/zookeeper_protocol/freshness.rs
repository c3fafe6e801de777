//! What members that lag, or that lost their majority without knowing it, may
//! still answer.

use coord_wire::zookeeper::{ErrorCode, Reply, Request};

use crate::client::{Client, Told, create, exists, get_children, get_data, set_data};
use crate::ensemble::Ensemble;

const FRESH: (&str, &str) = ("zk.linearizable_reads", "true");

fn data(answer: Option<Told>) -> Option<Vec<u8>> {
    match answer? {
        Told::Reply(_, _, Ok(Reply::Data { data, .. })) => Some(data.unwrap_or_default().to_vec()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn linearizable_reads_of_a_lagging_follower_show_every_acknowledged_write() {
    let ensemble = Ensemble::start(&[FRESH]);
    let leader = ensemble.leader(None);
    let mut writing = ensemble.client(leader);
    let mut reading = ensemble.client((leader + 1) % 3);
    writing.made("/n");
    // A follower learns of a commit with what the leader sends next: it lags
    // whenever it is asked at once.
    for version in 1..=50 {
        writing.call(&set_data("/n", None)).unwrap();
        assert_eq!(reading.stat("/n").version, version);
    }
}

/// Cuts off the leader, which does not know yet that it leads nobody, and has
/// its successor write; what clients of the old one are told to these requests.
fn asked_of_a_deposed_leader(settings: &[(&str, &str)], requests: &[Request]) -> Vec<Option<Told>> {
    let ensemble = Ensemble::start(settings);
    let old = ensemble.leader(None);
    let mut of_old: Vec<Client> = requests.iter().map(|_| ensemble.client(old)).collect();
    of_old[0].made("/n");
    of_old[0].call(&set_data("/n", Some(b"old"))).unwrap();
    ensemble.cut_off(old);
    let new = ensemble.leader(Some(old));
    ensemble.client(new).call(&set_data("/n", Some(b"new"))).unwrap();
    for (client, request) in of_old.iter_mut().zip(requests) {
        client.send(request);
    }
    of_old.iter_mut().map(Client::told).collect()
}

#[test]
fn a_deposed_leader_answers_no_linearizable_read() {
    let multi = Request::MultiRead(vec![get_data("/n", false)]);
    let requests = [get_data("/n", false), exists("/n", false), get_children("/", false), multi];
    let told = asked_of_a_deposed_leader(&[FRESH], &requests);
    assert!(told.iter().all(Option::is_none), "closed instead of answered: {told:?}");
}

#[test]
fn a_deposed_leader_confirms_no_sync() {
    let sync = Request::Sync { path: Some("/n".into()) };
    assert_eq!(asked_of_a_deposed_leader(&[], &[sync]), [None]);
}

#[test]
fn a_deposed_leader_answers_no_read_once_another_may_lead() {
    assert_eq!(asked_of_a_deposed_leader(&[], &[get_data("/n", false)]), [None]);
}

#[test]
fn a_member_that_is_back_reads_what_it_missed() {
    let ensemble = Ensemble::start(&[FRESH]);
    let old = ensemble.leader(None);
    ensemble.client(old).made("/n");
    ensemble.cut_off(old);
    let new = ensemble.leader(Some(old));
    let mut of_new = ensemble.client(new);
    of_new.call(&set_data("/n", Some(b"new"))).unwrap();
    ensemble.heal();
    let mut back = ensemble.client(old);
    back.send(&get_data("/n", false));
    assert_eq!(data(back.told()), Some(b"new".to_vec()));
}

#[test]
fn pipelined_linearizable_reads_keep_their_order_among_writes() {
    let ensemble = Ensemble::start(&[FRESH]);
    let follower = (ensemble.leader(None) + 1) % 3;
    let mut client = ensemble.client(follower);
    client.made("/n");
    let rounds = 50;
    for _ in 0..rounds {
        client.send(&exists("/n", false));
        client.send(&set_data("/n", None));
        client.send(&exists("/n", false));
        client.send(&Request::Sync { path: None });
        client.send(&create("/n"));
    }
    let mut xid_expected = 1;
    for round in 0..rounds {
        for place in 0..5 {
            xid_expected += 1;
            let Some(Told::Reply(xid, _, outcome)) = client.told() else { panic!("a reply") };
            assert_eq!(xid, xid_expected);
            match (place, outcome) {
                (0, Ok(Reply::Stat(stat))) => assert_eq!(stat.version, round),
                (1 | 2, Ok(Reply::Stat(stat))) => assert_eq!(stat.version, round + 1),
                (3, Ok(Reply::Synced(None))) | (4, Err(ErrorCode::NodeExists)) => {}
                (place, outcome) => panic!("{place}: {outcome:?}"),
            }
        }
    }
}
