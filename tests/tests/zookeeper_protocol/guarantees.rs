//! What several members promise together, while their leader stops and comes
//! back. docs/GUARANTEES.md names these tests.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use coord_core::embedded::Cluster;
use coord_core::node::{ReadLevel, Role};
use coord_core::settings::Settings;
use coord_state::Command;
use coord_state::consul::{ConsulCommand, KvOp};
use coord_wire::zookeeper::multi::MultiResult;
use coord_wire::zookeeper::request::CreateForm;
use coord_wire::zookeeper::{Reply, Request};

use crate::client::{
    Answer, Client, Told, create, create_as, get_children, get_data, new_session, set_data,
    shake_hands,
};
use crate::connection::Wire;

const LIMIT: Duration = Duration::from_secs(60);

fn three_members() -> Cluster {
    let settings = Settings { http_addr: "off".parse().unwrap(), ..Settings::default() };
    Cluster::start(3, &settings, LIMIT).unwrap()
}

fn at(cluster: &Cluster, member: usize) -> SocketAddr {
    cluster.servers()[member].addresses().zk.unwrap()
}

fn leader(cluster: &Cluster) -> usize {
    let began = Instant::now();
    loop {
        let leads = |server: &coord_core::embedded::Server| {
            server.node().is_ok_and(|node| node.status().role == Role::Leader)
        };
        if let Some(found) = cluster.servers().iter().position(leads) {
            return found;
        }
        assert!(began.elapsed() < LIMIT, "nobody leads");
        std::thread::yield_now();
    }
}

/// Data that says which of many it is.
fn numbered(path: &str, number: usize) -> Request {
    Request::SetData { path: path.into(), data: Some(number.to_string().into()), version: -1 }
}

fn data(answer: &Answer) -> usize {
    match answer {
        Ok(Reply::Data { data: Some(data), .. }) => number_in(data),
        other => panic!("{other:?}"),
    }
}

fn number_in(data: &Bytes) -> usize {
    std::str::from_utf8(data).unwrap().parse().unwrap()
}

#[test]
fn pipelined_writes_take_effect_in_order_and_once_over_a_change_of_leader() {
    const WRITES: usize = 600;
    let mut cluster = three_members();
    Client::open(at(&cluster, 0)).made("/q");
    for round in 0..2 {
        let stopped = leader(&cluster);
        // With a follower, whose batches have to find the next leader.
        let mut client = Client::open(at(&cluster, (stopped + 1) % 3));
        let mut asked = Vec::new();
        for number in 0..WRITES {
            let mut request = create_as("/q/n-", CreateForm::Plain, 2);
            if let Request::Create(create) = &mut request {
                create.data = Some((round * WRITES + number).to_string().into());
            }
            asked.push(client.send(&request));
            if number == WRITES / 3 {
                cluster.stop_member(stopped).unwrap();
            }
        }
        for (number, xid) in asked.into_iter().enumerate() {
            let expected = format!("/q/n-{:010}", round * WRITES + number);
            match client.told().expect("the connection outlives the leader") {
                Told::Reply(answered, _, Ok(Reply::Created(path))) => {
                    assert_eq!((answered, path.as_str()), (xid, expected.as_str()));
                }
                other => panic!("{other:?}"),
            }
        }
        cluster.start_member(stopped, LIMIT).unwrap();
    }
    for member in 0..3 {
        let mut reader = Client::open(at(&cluster, member));
        reader.call(&Request::Sync { path: None }).unwrap();
        let mut names = match reader.call(&get_children("/q", false)) {
            Ok(Reply::Children(names)) => names,
            other => panic!("{other:?}"),
        };
        names.sort();
        assert_eq!(names.len(), 2 * WRITES);
        for (number, name) in names.iter().enumerate() {
            let answer = reader.call(&get_data(&format!("/q/{name}"), false));
            assert_eq!(data(&answer), number, "{name}");
        }
    }
}

/// What a connection was told: zxid, type and path.
fn told_until(client: &mut Client, last: &str) -> Vec<(i64, i32, String)> {
    let mut told = Vec::new();
    loop {
        match client.told() {
            Some(Told::Event(kind, path, zxid)) => {
                told.push((zxid, kind, path));
                if told.last().is_some_and(|(_, _, path)| path == last) {
                    return told;
                }
            }
            Some(Told::Reply(..)) => {}
            // Its member stopped.
            None => return told,
        }
    }
}

#[test]
fn every_member_tells_the_same_changes_in_the_same_order_over_a_change_of_leader() {
    let mut cluster = three_members();
    let mut first = Client::open(at(&cluster, 0));
    first.made("/t");
    first.call(&Request::Sync { path: None }).unwrap();
    let mut watching: Vec<Client> = (0..3)
        .map(|member| {
            let mut client = Client::open(at(&cluster, member));
            client.call(&Request::Sync { path: None }).unwrap();
            client.call(&Request::AddWatch { path: "/t".into(), mode: 1 }).unwrap();
            client
        })
        .collect();
    let stopped = leader(&cluster);
    let mut writers: Vec<Client> = (0..3)
        .filter(|at| *at != stopped)
        .map(|member| Client::open(at(&cluster, member)))
        .collect();
    for number in 0..300 {
        for (writer, client) in writers.iter_mut().enumerate() {
            client.send(&create(&format!("/t/{writer}-{number:04}")));
        }
        if number == 100 {
            cluster.stop_member(stopped).unwrap();
        }
    }
    for client in &mut writers {
        for _ in 0..300 {
            assert!(matches!(client.told(), Some(Told::Reply(_, _, Ok(_)))));
        }
    }
    writers[0].call(&create("/t/last")).unwrap();
    let told: Vec<_> = watching.iter_mut().map(|client| told_until(client, "/t/last")).collect();
    let whole = told.iter().max_by_key(|told| told.len()).unwrap();
    assert_eq!(whole.len(), 601);
    assert!(whole.windows(2).all(|pair| pair[0].0 < pair[1].0), "zxids grow");
    for (member, told) in told.iter().enumerate() {
        // The member that stopped told the beginning.
        assert!(member == stopped || told.len() == whole.len());
        assert_eq!(told[..], whole[..told.len()], "member {member}");
    }
    for writer in 0..2 {
        let own: Vec<&str> = whole
            .iter()
            .map(|(_, _, path)| path.as_str())
            .filter(|path| path.starts_with(&format!("/t/{writer}-")))
            .collect();
        assert!(own.is_sorted() && own.len() == 300, "in the order of their client");
    }
}

fn shown(result: &MultiResult) -> usize {
    match result {
        MultiResult::Data { data: Some(data), .. } => number_in(data),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_multi_is_seen_whole_or_not_at_all_on_every_member() {
    let cluster = three_members();
    let mut writer = Client::open(at(&cluster, 0));
    for path in ["/a", "/b"] {
        writer.made(path);
        writer.call(&numbered(path, 0)).unwrap();
    }
    writer.call(&Request::Sync { path: None }).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|member| {
                let mut reader = Client::open(at(&cluster, member));
                let done = &done;
                scope.spawn(move || {
                    reader.call(&Request::Sync { path: None }).unwrap();
                    let mut seen = BTreeSet::new();
                    while !done.load(Ordering::Acquire) {
                        let both = vec![get_data("/b", false), get_data("/a", false)];
                        match reader.call(&Request::MultiRead(both)) {
                            Ok(Reply::Multi(answers)) => {
                                let both: Vec<_> = answers.iter().map(shown).collect();
                                assert_eq!(both[0], both[1], "half of a multi");
                                seen.insert(both[0]);
                            }
                            other => panic!("{other:?}"),
                        }
                    }
                    seen.len()
                })
            })
            .collect();
        for number in 1..=300 {
            let whole = vec![numbered("/a", number), numbered("/b", number)];
            writer.call(&Request::Multi(whole)).unwrap();
            // One that fails at its end.
            let check = Request::CheckVersion { path: "/b".into(), version: 100_000 };
            let half = vec![numbered("/a", 100_000), check];
            writer.call(&Request::Multi(half)).unwrap();
        }
        done.store(true, Ordering::Release);
        for reader in readers {
            assert!(reader.join().unwrap() > 1, "the reader saw changes");
        }
    });
}

#[test]
fn a_watch_event_comes_before_any_read_that_shows_the_change() {
    const ROUNDS: usize = 400;
    let cluster = three_members();
    let mut writer = Client::open(at(&cluster, 0));
    writer.made("/w");
    writer.call(&numbered("/w", 0)).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|member| {
                let mut reader = Client::open(at(&cluster, member));
                reader.call(&Request::Sync { path: None }).unwrap();
                let done = &done;
                scope.spawn(move || {
                    let mut events = 0;
                    while !done.load(Ordering::Acquire) {
                        let (_, watched) = reader.watch(&get_data("/w", true));
                        let watched = data(&watched);
                        loop {
                            let (told, now) = reader.watch(&get_data("/w", false));
                            if !told.is_empty() {
                                events += 1;
                                break;
                            }
                            assert_eq!(data(&now), watched, "shown before it was told");
                            if done.load(Ordering::Acquire) {
                                break;
                            }
                        }
                    }
                    events
                })
            })
            .collect();
        for number in 1..=ROUNDS {
            writer.call(&numbered("/w", number)).unwrap();
        }
        done.store(true, Ordering::Release);
        for reader in readers {
            assert!(reader.join().unwrap() > 1, "the reader was told of changes");
        }
    });
}

#[test]
fn after_a_sync_a_client_sees_what_any_other_was_acknowledged() {
    let cluster = three_members();
    let mut writer = Client::open(at(&cluster, leader(&cluster)));
    let mut readers: Vec<_> = (0..3).map(|member| Client::open(at(&cluster, member))).collect();
    writer.made("/s");
    for number in 0..200 {
        writer.call(&numbered("/s", number)).unwrap();
        for reader in &mut readers {
            reader.send(&Request::Sync { path: None });
        }
        for reader in &mut readers {
            assert!(matches!(reader.told(), Some(Told::Reply(_, _, Ok(_)))));
            assert_eq!(data(&reader.call(&get_data("/s", false))), number);
        }
    }
}

#[test]
fn a_confirmed_read_sees_what_any_other_member_acknowledged() {
    let cluster = three_members();
    let servers = cluster.servers();
    for number in 0..200 {
        let writing = &servers[number % 3];
        let value = Bytes::from(number.to_string());
        let op = KvOp::Set { key: "k".into(), value: value.clone(), flags: 0 };
        let command = Command::Consul(ConsulCommand::Kv(op));
        let proposed = writing.node().unwrap().propose(&command);
        writing.runtime().unwrap().block_on(proposed).unwrap().result.unwrap();
        for level in [ReadLevel::Leader, ReadLevel::Linearizable] {
            for server in servers {
                let node = server.node().unwrap();
                server.runtime().unwrap().block_on(node.confirm(level)).unwrap();
                let read =
                    node.read(|state| state.consul().kv().get(b"k").map(|pair| pair.value.clone()));
                assert_eq!(read, Some(value.clone()), "{level:?}");
            }
        }
    }
}

#[test]
fn a_session_and_its_ephemerals_outlive_the_leader() {
    let mut cluster = three_members();
    let stopped = leader(&cluster);
    let mut client = Client::open(at(&cluster, (stopped + 1) % 3));
    client.call(&create_as("/e", CreateForm::Plain, 1)).unwrap();
    let mut moved = Client::open(at(&cluster, stopped));
    moved.call(&create_as("/moved", CreateForm::Plain, 1)).unwrap();
    cluster.stop_member(stopped).unwrap();
    client.call(&set_data("/e", Some(b"1"))).unwrap();
    let mut again = Client::attach(at(&cluster, (stopped + 2) % 3), &moved.session);
    again.call(&Request::Sync { path: None }).unwrap();
    assert_eq!(again.stat("/e").ephemeral_owner.0, client.session.session);
    assert_eq!(again.stat("/moved").ephemeral_owner.0, moved.session.session);
}

#[test]
fn a_member_without_a_majority_sends_its_clients_away() {
    let mut cluster = three_members();
    let left = leader(&cluster);
    let mut client = Client::open(at(&cluster, left));
    let mut reader = Client::open(at(&cluster, left));
    for member in (0..3).filter(|member| *member != left) {
        cluster.stop_member(member).unwrap();
    }
    client.send(&create("/alone"));
    assert_eq!(client.told(), None, "closed without a reply");
    assert_eq!(reader.told(), None, "it could read an ever older state");
    let refused = shake_hands(&mut Wire::open(at(&cluster, left)), &new_session(10_000));
    assert!(refused.is_none(), "no session without a majority");

    let back = (left + 1) % 3;
    cluster.start_member(back, LIMIT).unwrap();
    for member in [left, back] {
        // Sent away for a moment longer, clients come again.
        let began = Instant::now();
        while shake_hands(&mut Wire::open(at(&cluster, member)), &new_session(10_000)).is_none() {
            assert!(began.elapsed() < LIMIT, "no session with a majority");
        }
        Client::open(at(&cluster, member)).call(&set_data("/", None)).unwrap();
    }
}
