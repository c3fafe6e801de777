//! Members that come, go, and get or lose their vote while the cluster runs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use coord_core::embedded::{Cluster, Server};
use coord_core::node::{ChangeRefusal, ChangedConfig, MembershipChange, Node, ReadLevel, Role};
use coord_core::settings::Settings;
use coord_state::consul::{ConsulCommand, KvOp};
use coord_state::session::SessionCommand;
use coord_state::znode::{Caller, Identity};
use coord_state::{Attachment, Command, SessionId};

const LIMIT: Duration = Duration::from_secs(60);

fn settings() -> Settings {
    let mut settings = Settings::embedded();
    settings.zk.reconfig = true;
    settings
}

fn three_members() -> Cluster {
    Cluster::start(3, &settings(), LIMIT).expect("three members start")
}

/// A member that waits to be added, and the line to add it with.
fn newcomer(number: u64, role: &str) -> (Server, String) {
    let peer_addr = Some("127.0.0.1:0".parse().expect("an address"));
    let settings = Settings { member_id: number, join: true, peer_addr, ..settings() };
    let server = Server::start_embedded(settings).expect("it starts");
    let addresses = server.addresses();
    let peer = addresses.peer.expect("others can reach it");
    let zk = addresses.zk.expect("clients can reach it");
    (server, format!("server.{number}={peer}:{}:{role};{zk}", peer.port()))
}

fn node(server: &Server) -> &Node {
    server.node().expect("it runs")
}

/// Runs `work` on a member's own runtime, within the limit.
fn on<T>(server: &Server, what: &str, work: impl Future<Output = T>) -> T {
    let runtime = server.runtime().expect("it runs");
    runtime
        .block_on(async { tokio::time::timeout(LIMIT, work).await })
        .unwrap_or_else(|_| panic!("{what}: not within {} s", LIMIT.as_secs()))
}

fn until(server: &Server, what: &str, mut holds: impl FnMut(&Node) -> bool) {
    on(server, what, async {
        while !holds(node(server)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
}

fn anybody() -> Caller {
    Caller { session: None, identities: Box::default() }
}

fn superuser() -> Caller {
    let identity = Identity { scheme: "super".into(), id: "".into() };
    Caller { session: None, identities: [identity].into() }
}

fn change(joining: &str, leaving: &str) -> MembershipChange {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    MembershipChange {
        caller: superuser(),
        joining: text(joining),
        leaving: text(leaving),
        members: None,
        based_on: -1,
    }
}

fn ask(server: &Server, change: MembershipChange) -> Result<ChangedConfig, ChangeRefusal> {
    let asked = node(server).change_membership(change);
    on(server, "a change of the members", asked).expect("somebody knows what became of it")
}

fn text(config: &ChangedConfig) -> String {
    String::from_utf8(config.text.to_vec()).expect("text")
}

fn write(server: &Server, key: &str) {
    let value = bytes::Bytes::from_static(b"value");
    let key_bytes = bytes::Bytes::copy_from_slice(key.as_bytes());
    let set = Command::Consul(ConsulCommand::Kv(KvOp::Set { key: key_bytes, value, flags: 0 }));
    on(server, key, node(server).propose(&set)).expect("it is written");
}

fn has(server: &Server, key: &str) -> bool {
    on(server, key, async {
        while node(server).confirm(ReadLevel::Linearizable).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    node(server).read(|state| state.consul().kv().get(key.as_bytes()).is_some())
}

fn voters(server: &Server) -> Vec<u64> {
    node(server).status().voters.iter().map(|(member, _)| member.0).collect()
}

/// The position of the leader, and of one that is not.
fn leader_and_follower(cluster: &Cluster) -> (usize, usize) {
    let leader = node(&cluster.servers()[0]).status().leader.expect("a leader is known").0;
    let leader = usize::try_from(leader).expect("a small number") - 1;
    (leader, (leader + 1) % 3)
}

#[test]
fn a_member_that_was_added_votes() {
    let mut cluster = three_members();
    let (leader, follower) = leader_and_follower(&cluster);
    let (four, line) = newcomer(4, "participant");
    assert!(node(&four).status().leader.is_none(), "it serves before it was added");
    // Asked of a follower, as most clients would.
    let changed = ask(&cluster.servers()[follower], change(&line, "")).expect("it is added");
    assert!(text(&changed).contains(&line), "{}", text(&changed));
    let version = format!("version={:x}", changed.stat.mzxid.0);
    assert!(text(&changed).ends_with(&version), "{}", text(&changed));
    assert_eq!((changed.stat.version, changed.stat.data_length as usize), (-1, changed.text.len()));
    four.wait_ready(LIMIT).expect("it serves");
    write(&four, "from the new one");
    // Two of the first three are no majority of four: the new one makes it one.
    cluster.stop_member(leader).expect("the leader stops");
    write(&four, "without the old leader");
    let left = &cluster.servers()[follower];
    assert!(has(left, "without the old leader"));
    assert_eq!(voters(left), [1, 2, 3, 4]);
}

#[test]
fn a_leader_that_is_removed_hands_over_and_serves_nobody() {
    let cluster = three_members();
    let (leader, follower) = leader_and_follower(&cluster);
    let (removed, left) = (&cluster.servers()[leader], &cluster.servers()[follower]);
    // Asked of the one that has to go: it still hears what became of it.
    let changed = ask(removed, change("", &(leader + 1).to_string())).expect("it is removed");
    assert!(!text(&changed).contains(&format!("server.{}=", leader + 1)));
    until(removed, "the removed one serves nobody", |node| node.status().leader.is_none());
    until(left, "another one leads, and the old one is forgotten", |node| {
        let status = node.status();
        let leads = status.leader.is_some_and(|now| now.0 != leader as u64 + 1);
        leads && status.voters.len() == 2 && status.observers.is_empty()
    });
    write(left, "without it");
    let (key, value) = (b"x"[..].into(), bytes::Bytes::new());
    let set = Command::Consul(ConsulCommand::Kv(KvOp::Set { key, value, flags: 0 }));
    let refused = on(removed, "a write through it", node(removed).propose(&set));
    assert!(refused.is_err());
    let term = node(left).status().term;
    write(left, "undisturbed");
    assert_eq!(node(left).status().term, term);
}

#[test]
fn a_leader_that_leaves_one_member_behind_is_told_that_it_left() {
    let cluster = three_members();
    let (leader, follower) = leader_and_follower(&cluster);
    let other = 3 - leader - follower;
    let (leaving, left) = (&cluster.servers()[leader], &cluster.servers()[follower]);
    ask(leaving, change("", &(other + 1).to_string())).expect("a follower is removed");
    // The last voter elects itself the moment it hears that it is alone.
    on(leaving, "the leader leaves", node(leaving).leave()).expect("it is told that it left");
    assert!(node(leaving).has_left());
    until(left, "one is left", |node| node.status().voters.len() == 1);
    write(left, "alone");
}

#[test]
fn a_member_that_was_removed_while_away_finds_out() {
    let mut cluster = three_members();
    let (leader, follower) = leader_and_follower(&cluster);
    let away = 3 - leader - follower;
    let settings = node(&cluster.servers()[away]).settings().clone();
    cluster.stop_member(away).expect("it stops");
    let changed = ask(&cluster.servers()[leader], change("", &(away + 1).to_string()));
    changed.expect("one that is away is removed");
    let back = Server::start(settings).expect("it starts again");
    until(&back, "it knows that it was removed", |node| node.status().outside);
    write(&cluster.servers()[leader], "undisturbed");
}

#[test]
fn a_vote_is_given_and_taken_away() {
    let cluster = three_members();
    let (leader, follower) = leader_and_follower(&cluster);
    let left = &cluster.servers()[leader];
    let (four, line) = newcomer(4, "observer");
    ask(left, change(&line, "")).expect("an observer is added");
    four.wait_ready(LIMIT).expect("it serves");
    assert_eq!(node(&four).status().role, Role::Learner);
    assert_eq!(voters(left), [1, 2, 3]);
    write(&four, "forwarded by an observer");
    assert!(has(&four, "forwarded by an observer"));
    until(left, "it is counted", |node| {
        node.in_touch().is_some_and(|counts| (counts.followers, counts.observers) == (2, 1))
    });

    let promoted = line.replace("observer", "participant");
    ask(left, change(&promoted, "")).expect("it gets a vote");
    assert_eq!(voters(left), [1, 2, 3, 4]);
    let demoted = ask(left, change(&line, &(follower + 1).to_string())).expect("it loses it");
    assert!(text(&demoted).contains(&line));
    assert_eq!(voters(left).len(), 2);
    until(&four, "it has no vote", |node| node.status().role == Role::Learner);

    // The leader itself can lose its vote.
    let own = node(left).config().into_iter().find(|(member, _)| member.0 == leader as u64 + 1);
    let own = format!("server.{}={}", leader + 1, own.expect("it is named").1);
    ask(left, change(&promoted, "")).expect("it gets a vote");
    ask(left, change(&own.replace("participant", "observer"), "")).expect("the leader is demoted");
    until(left, "another one leads", |node| {
        let status = node.status();
        status.role == Role::Learner && status.leader.is_some_and(|l| l.0 != leader as u64 + 1)
    });
    write(left, "forwarded by the old leader");
}

#[test]
fn every_refusal_has_its_reason() {
    let cluster = three_members();
    let server = &cluster.servers()[0];
    until(server, "the first text is there", |node| node.config().len() == 3);
    let refused = |change: MembershipChange| ask(server, change).expect_err("it is refused");
    // Members nobody runs: the answer must not depend on reaching them.
    let nobody = "server.9=127.0.0.1:1:1:participant;127.0.0.1:1";
    let session = Some((SessionId(1), Attachment(1)));
    let caller = Caller { session, ..superuser() };
    let other = MembershipChange { caller, ..change(nobody, "") };
    assert_eq!(refused(other), ChangeRefusal::SessionExpired);
    let based_on = |based_on| MembershipChange { based_on, ..change("not even this", "") };
    assert_eq!(refused(based_on(7_000_000)), ChangeRefusal::BadVersion);
    assert_eq!(refused(based_on(-1)), ChangeRefusal::BadArguments);
    assert_eq!(refused(change("", "1,2")), ChangeRefusal::BadArguments);
    let members = Some("server.1=127.0.0.1:1:1;2,server.2=127.0.0.1:3:3;4".to_owned());
    let moved = MembershipChange { members, ..change("", "") };
    assert_eq!(refused(moved.clone()), ChangeRefusal::NoQuorum);
    let moved = MembershipChange { caller: anybody(), ..moved };
    assert_eq!(refused(moved), ChangeRefusal::NoAuth);
    let not_allowed = MembershipChange { caller: anybody(), ..change(nobody, "") };
    assert_eq!(refused(not_allowed), ChangeRefusal::NoAuth);
    let far = "server.7=127.0.0.1:1:1;1,server.8=127.0.0.1:2:2;2,server.9=127.0.0.1:3:3;3";
    let far = MembershipChange { caller: anybody(), ..change(far, "2,3") };
    assert_eq!(refused(far), ChangeRefusal::NoQuorum);
    // What was refused left nothing behind.
    assert_eq!(voters(server), [1, 2, 3]);
    assert!(node(server).status().observers.is_empty());
    // As in ZooKeeper: one that is not there may join, if the others suffice.
    let changed = ask(server, change(nobody, "")).expect("three of four suffice");
    assert!(text(&changed).contains(nobody));
    let version = changed.stat.mzxid.0.cast_signed();
    let back = MembershipChange { based_on: version, ..change("", "9") };
    let changed = ask(server, back).expect("it is removed again");
    assert_eq!(changed.text.iter().filter(|byte| **byte == b'\n').count(), 3);
}

#[test]
fn what_a_leader_decides_for_a_session_is_ordered_behind_its_opening() {
    let cluster = three_members();
    let (leader, follower) = leader_and_follower(&cluster);
    let (busy, asked) = (&cluster.servers()[leader], &cluster.servers()[follower]);
    until(asked, "the first text is there", |node| node.config().len() == 3);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // A leader that has much to apply, and is behind the follower now and then.
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    on(busy, "a busy leader", async {
                        let mut writes = tokio::task::JoinSet::new();
                        for _ in 0..256 {
                            let (key, value) = (b"busy"[..].into(), [7; 512][..].to_vec().into());
                            let set = Command::Consul(ConsulCommand::Kv(KvOp::Set {
                                key,
                                value,
                                flags: 0,
                            }));
                            let node = node(busy).clone();
                            writes.spawn(async move { node.propose(&set).await.map(drop) });
                        }
                        while let Some(written) = writes.join_next().await {
                            written.expect("it runs").expect("it is written");
                        }
                    });
                }
            });
        }
        let _end = Ends(&done);
        for number in 1..=150 {
            let (session, attachment) = (SessionId(number), Attachment(number.unsigned_abs()));
            let open =
                SessionCommand::Open { session, password: [1; 16], timeout_ms: 60_000, attachment };
            let open = Command::Session(open);
            on(asked, "a session opens", node(asked).propose(&open)).expect("it is opened");
            let caller = Caller { session: Some((session, attachment)), ..superuser() };
            // No such member: refused for that, by a leader that knows the session.
            let change = MembershipChange { caller, ..change("", "not a number") };
            assert_eq!(ask(asked, change), Err(ChangeRefusal::BadArguments), "session {number}");
        }
    });
}

#[test]
fn a_second_change_waits_for_no_first_one() {
    let cluster = three_members();
    let server = &cluster.servers()[0];
    until(server, "the first text is there", |node| node.config().len() == 3);
    let nobody = change("server.9=127.0.0.1:1:1:participant;127.0.0.1:1", "");
    // The first one waits for a member that is not there.
    let node = node(server);
    let (first, second) = on(server, "both", async {
        let second = async {
            while node.status().observers.is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            node.change_membership(change("", "")).await
        };
        tokio::join!(node.change_membership(nobody), second)
    });
    assert!(first.expect("an answer").is_ok());
    assert_eq!(second.expect("an answer"), Err(ChangeRefusal::InProgress));
}

#[test]
fn it_is_off_unless_switched_on_and_nobody_can_join_a_member_alone() {
    let off = Server::start_embedded(Settings::embedded()).expect("it starts");
    off.wait_ready(LIMIT).expect("it serves");
    assert_eq!(ask(&off, change("", "")), Err(ChangeRefusal::Disabled));
    let alone = Server::start_embedded(settings()).expect("it starts");
    alone.wait_ready(LIMIT).expect("it serves");
    assert_eq!(ask(&alone, change("", "")), Err(ChangeRefusal::Standalone));
}

/// Says that it is done when dropped.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[test]
fn writes_through_a_change_are_all_there() {
    let cluster = three_members();
    let (leader, follower) = leader_and_follower(&cluster);
    let (four, line) = newcomer(4, "participant");
    let done = AtomicBool::new(false);
    let written: Vec<String> = std::thread::scope(|scope| {
        let writers: Vec<_> = [follower, 3 - leader - follower]
            .map(|position| {
                let (server, done) = (&cluster.servers()[position], &done);
                scope.spawn(move || {
                    let mut keys = Vec::new();
                    while !done.load(Ordering::Acquire) {
                        let key = format!("{position}/{}", keys.len());
                        write(server, &key);
                        keys.push(key);
                    }
                    keys
                })
            })
            .into();
        let asked = &cluster.servers()[follower];
        // Ends the writers even if a change fails.
        let end = Ends(&done);
        ask(asked, change(&line, "")).expect("it is added");
        ask(asked, change("", &(leader + 1).to_string())).expect("the leader is removed");
        until(asked, "another one leads", |node| {
            node.status().leader.is_some_and(|now| now.0 != leader as u64 + 1)
        });
        drop(end);
        writers.into_iter().flat_map(|writer| writer.join().expect("it wrote")).collect()
    });
    assert!(written.len() > 10, "{} writes", written.len());
    let missing: Vec<&String> = written.iter().filter(|key| !has(&four, key)).collect();
    assert!(missing.is_empty(), "of {} writes these are lost: {missing:?}", written.len());
}

#[test]
fn observers_named_at_the_first_start_follow_without_a_vote() {
    let settings = Settings { observers: [3].into(), ..settings() };
    let cluster = Cluster::start(3, &settings, LIMIT).expect("three members start");
    let observer = &cluster.servers()[2];
    assert_eq!(node(observer).status().role, Role::Learner);
    assert_eq!(voters(observer), [1, 2]);
    write(observer, "forwarded");
    until(observer, "the text names it", |node| {
        node.config().iter().any(|(member, line)| member.0 == 3 && line.observer)
    });
}
