//! Members whose disk fills up or breaks, with real logs and real sockets.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coord_state::consul::{ConsulCommand, KvOp};
use coord_state::{Batch, Command};
use tempfile::TempDir;

use crate::clock::{Clock as _, SystemClock};
use crate::embedded::{Parts, Server, ServerState};
use crate::error::{Error, ErrorKind};
use crate::node::{Node, ReadLevel, Role};
use crate::settings::Settings;
use crate::storage::disk::Space;
use crate::storage::faulty_disk::FaultyDisk;

const LIMIT: Duration = Duration::from_secs(30);
const NOT_READ_ONLY: i32 = -119;
const NO_ROOM: Space = Space { free: 0, total: 1 << 30 };

struct Member {
    server: Server,
    disk: FaultyDisk,
    _directory: TempDir,
}

impl Member {
    fn start() -> Self {
        Self::start_several(1).remove(0)
    }

    fn start_several(size: usize) -> Vec<Self> {
        let listeners: Vec<_> =
            (0..size).map(|_| TcpListener::bind(("127.0.0.1", 0)).unwrap()).collect();
        let addresses: Vec<_> = listeners.iter().map(|one| one.local_addr().unwrap()).collect();
        let mut members = Vec::new();
        for (member_id, listener) in (1..).zip(listeners) {
            listener.set_nonblocking(true).unwrap();
            let directory = TempDir::new().unwrap();
            let numbered = (1..).zip(&addresses);
            let settings = Settings {
                member_id,
                members: numbered.map(|(id, address)| (id, address.to_string())).collect(),
                data_dir: directory.path().to_owned(),
                ..Settings::embedded()
            };
            let disk = FaultyDisk::default();
            let parts =
                Parts { disk: Some(Arc::new(disk.clone()) as _), ..Parts::listening(listener) };
            let server = Server::start_inner(settings.validate().unwrap(), parts, None).unwrap();
            members.push(Self { server, disk, _directory: directory });
        }
        members.iter().for_each(|member| member.server.wait_ready(LIMIT).unwrap());
        members
    }

    fn node(&self) -> &Node {
        self.server.node().unwrap()
    }

    fn leads(&self) -> bool {
        matches!(self.node().status().role, Role::Leader | Role::Standalone)
    }

    fn set(&self, key: &str) -> Result<(), Error> {
        self.set_bytes(key, 10)
    }

    fn set_bytes(&self, key: &str, len: usize) -> Result<(), Error> {
        let key = Bytes::copy_from_slice(key.as_bytes());
        let op = KvOp::Set { key, value: vec![7; len].into(), flags: 0 };
        let command = Command::Consul(ConsulCommand::Kv(op));
        let runtime = self.server.runtime().unwrap();
        let applied = runtime.block_on(self.node().propose(&command))?;
        applied.result.map(drop).map_err(Error::from)
    }

    fn has(&self, key: &str) -> bool {
        self.node().read(|state| state.consul().kv().get(key.as_bytes()).is_some())
    }

    fn confirms(&self) -> bool {
        let runtime = self.server.runtime().unwrap();
        runtime.block_on(self.node().confirm(ReadLevel::Linearizable)).is_ok()
    }

    fn becomes(&self, state: ServerState) {
        eventually(&format!("it is {state:?}"), || self.server.status().state == state);
    }

    fn word(&self, word: &str) -> String {
        asked(self.server.addresses().zk.unwrap(), word.as_bytes())
    }

    fn http(&self, method: &str, path: &str) -> String {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx"
        );
        asked(self.server.addresses().http.unwrap(), request.as_bytes())
    }
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let clock = SystemClock::default();
    while !holds() {
        assert!(clock.monotonic() < LIMIT, "not within {} s: {what}", LIMIT.as_secs());
        std::thread::yield_now();
    }
}

fn asked(address: SocketAddr, question: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(question).unwrap();
    let mut answer = Vec::new();
    // One that hangs up without a word has answered, too.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// A ZooKeeper client with a session of 10 s.
struct Zk {
    stream: TcpStream,
    xid: i32,
}

impl Zk {
    /// None if the member hangs up.
    fn connect(member: &Member) -> Option<Self> {
        let stream = TcpStream::connect(member.server.addresses().zk.unwrap()).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let mut zk = Self { stream, xid: 0 };
        let mut request = vec![0; 12];
        request.extend(10_000_i32.to_be_bytes());
        request.extend([0; 8]);
        request.extend(16_i32.to_be_bytes());
        request.extend([0; 16]);
        zk.send(&request);
        zk.receive().map(|_| zk)
    }

    /// The code of the answer, or none if the member hangs up.
    fn create(&mut self, path: &str) -> Option<i32> {
        let mut body = text(path);
        body.extend(text("data"));
        body.extend(1_i32.to_be_bytes());
        body.extend(31_i32.to_be_bytes());
        body.extend(text("world"));
        body.extend(text("anyone"));
        body.extend(0_i32.to_be_bytes());
        self.call(1, &body)
    }

    fn exists(&mut self, path: &str) -> Option<i32> {
        let mut body = text(path);
        body.push(0);
        self.call(3, &body)
    }

    fn call(&mut self, op: i32, body: &[u8]) -> Option<i32> {
        self.xid += 1;
        let mut request = self.xid.to_be_bytes().to_vec();
        request.extend(op.to_be_bytes());
        request.extend(body);
        self.send(&request);
        let answer = self.receive()?;
        Some(i32::from_be_bytes(answer[12..16].try_into().unwrap()))
    }

    fn send(&mut self, frame: &[u8]) {
        let len = i32::try_from(frame.len()).unwrap();
        // One that hung up shows when it is read from.
        let _ = self.stream.write_all(&len.to_be_bytes());
        let _ = self.stream.write_all(frame);
    }

    fn receive(&mut self) -> Option<Vec<u8>> {
        let mut len = [0; 4];
        self.stream.read_exact(&mut len).ok()?;
        let mut frame = vec![0; usize::try_from(i32::from_be_bytes(len)).unwrap()];
        self.stream.read_exact(&mut frame).ok()?;
        Some(frame)
    }

    /// Waits until the member hangs up.
    fn is_cut_off(&mut self) {
        assert_eq!(self.receive(), None);
    }
}

fn text(text: &str) -> Vec<u8> {
    let mut bytes = i32::try_from(text.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

#[test]
fn short_of_room_writes_are_refused_reads_answered_and_sessions_kept() {
    let member = Member::start();
    let mut zk = Zk::connect(&member).unwrap();
    assert_eq!(zk.create("/before"), Some(0));
    member.disk.set_space(Some(NO_ROOM));
    member.becomes(ServerState::RefusingWrites);
    assert!(member.server.status().reason.contains("storage.free_bytes_min"));

    assert_eq!(zk.create("/refused"), Some(NOT_READ_ONLY));
    assert_eq!(zk.exists("/before"), Some(0));
    assert_eq!(member.word("isro"), "ro");
    assert_eq!(member.word("ruok"), "imok");
    assert_eq!(*member.set("key").unwrap_err().kind(), ErrorKind::ReadOnly);
    let refused = member.http("PUT", "/v1/kv/key");
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("bytes free"), "{refused}");
    assert!(member.http("GET", "/v1/kv/key").starts_with("HTTP/1.1 404"));
    let mut late = Zk::connect(&member).expect("a client may come and read");
    assert_eq!(late.exists("/before"), Some(0));

    member.disk.set_space(None);
    member.becomes(ServerState::Serving);
    assert_eq!(zk.create("/after"), Some(0));
    assert_eq!(zk.exists("/refused"), Some(-101));
    assert_eq!(member.word("isro"), "rw");
}

#[test]
fn a_log_that_cannot_be_written_turns_clients_away_until_it_can() {
    let member = Member::start();
    let mut zk = Zk::connect(&member).unwrap();
    let mut idle = Zk::connect(&member).unwrap();
    assert_eq!(zk.create("/before"), Some(0));
    member.set("key").unwrap();
    member.disk.fill(true);
    assert_eq!(zk.create("/unknown"), None);
    idle.is_cut_off();
    member.becomes(ServerState::Stalled);
    assert!(Zk::connect(&member).is_none());
    assert_eq!(member.word("isro"), "null");
    assert!(member.word("ruok").contains("not currently serving"));
    assert!(member.word("srvr").contains("not currently serving"));
    let refused = member.http("PUT", "/v1/kv/key");
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    assert!(refused.contains("the log cannot be written"), "{refused}");
    assert!(member.http("GET", "/v1/status/leader").ends_with("\"\""));
    // It is alone, so what it has is the newest there is.
    assert!(member.http("GET", "/v1/kv/key").starts_with("HTTP/1.1 200"));
    assert_eq!(member.server.wait_failed(Duration::ZERO).unwrap(), None);

    member.disk.fill(false);
    member.becomes(ServerState::Serving);
    eventually("a client is served", || Zk::connect(&member).is_some());
    let mut zk = Zk::connect(&member).unwrap();
    assert_eq!(zk.exists("/before"), Some(0));
    assert_eq!(zk.create("/after"), Some(0));
}

#[test]
fn a_stalled_member_can_be_stopped() {
    let mut member = Member::start();
    member.disk.fill(true);
    assert!(member.set("key").is_err());
    member.becomes(ServerState::Stalled);
    member.server.stop();
    member.server.wait_failed(LIMIT).unwrap_err();
    assert_eq!(member.server.status().state, ServerState::Stopped);
}

#[test]
fn a_member_without_a_descriptor_for_its_next_segment_serves_again() {
    let member = Member::start();
    member.disk.take_descriptors(true);
    // The first segment has room for some of them.
    let written: Vec<_> = (0..100)
        .map(|number| format!("key-{number}"))
        .take_while(|key| member.set_bytes(key, 500_000).is_ok())
        .collect();
    assert!((5..90).contains(&written.len()), "{} of them", written.len());
    member.becomes(ServerState::Stalled);
    member.disk.take_descriptors(false);
    member.becomes(ServerState::Serving);
    member.set("after").unwrap();
    assert!(written.iter().all(|key| member.has(key)));
}

#[test]
fn a_leader_whose_log_stalls_lets_another_lead_and_catches_up() {
    let members = Member::start_several(3);
    let leader = members.iter().position(Member::leads).unwrap();
    let others = || members.iter().enumerate().filter(|(at, _)| *at != leader).map(|(_, one)| one);
    let mut zk = Zk::connect(&members[leader]).unwrap();
    assert_eq!(zk.create("/before"), Some(0));
    members[leader].disk.fill(true);
    // Whatever comes of it: it is what the log fails at.
    let _ = members[leader].set("unknown");
    zk.is_cut_off();
    eventually("another member leads", || others().any(Member::leads));
    let went_on = others().next().unwrap();
    eventually("the others go on", || went_on.set("meanwhile").is_ok());
    assert_eq!(members[leader].word("isro"), "null");
    assert!(!members[leader].leads());
    let mut zk = Zk::connect(went_on).unwrap();
    assert_eq!(zk.exists("/before"), Some(0));

    members[leader].disk.fill(false);
    members[leader].becomes(ServerState::Serving);
    eventually("it has caught up", || members[leader].confirms());
    assert!(members[leader].has("meanwhile"));
    eventually("it takes writes", || members[leader].set("after").is_ok());
}

#[test]
fn a_leader_short_of_room_lets_another_lead_and_goes_on() {
    let members = Member::start_several(3);
    let leader = members.iter().position(Member::leads).unwrap();
    members[leader].disk.set_space(Some(NO_ROOM));
    eventually("another member leads", || {
        !members[leader].leads() && members.iter().any(Member::leads)
    });
    members[leader].becomes(ServerState::Serving);
    eventually("it takes writes", || members[leader].set("key").is_ok());
}

#[test]
fn members_that_are_all_short_of_room_refuse_writes_and_answer_reads() {
    let members = Member::start_several(3);
    members[0].set("before").unwrap();
    members.iter().for_each(|member| member.disk.set_space(Some(NO_ROOM)));
    for member in &members {
        eventually("writes are refused", || {
            let refused = member.set("refused").err();
            refused.is_some_and(|error| *error.kind() == ErrorKind::ReadOnly)
        });
        eventually("reads are answered", || member.confirms());
        assert!(member.has("before"));
    }
    members.iter().for_each(|member| member.disk.set_space(None));
    for member in &members {
        eventually("writes are taken", || member.set("after").is_ok());
    }
}

#[test]
fn a_disk_that_stays_broken_fails_the_member_and_everybody_hears_of_it() {
    let mut member = Member::start();
    let mut idle = Zk::connect(&member).unwrap();
    let watch = member.server.failure_watch();
    let waiting = std::thread::spawn(move || watch.wait(LIMIT));
    member.disk.fail_syncs(true);
    assert!(member.set("key").is_err());
    idle.is_cut_off();
    let why = waiting.join().unwrap().unwrap().expect("it failed");
    assert!(why.contains("the disk is on fire"), "{why}");
    assert_eq!(member.server.status().state, ServerState::Failed);
    assert_eq!(member.word("isro"), "null");
    assert!(member.word("ruok").contains("not currently serving"));
    assert!(Zk::connect(&member).is_none());
    assert!(member.http("GET", "/v1/status/leader").ends_with("\"\""));
    assert!(member.http("PUT", "/v1/kv/key").contains("the disk is on fire"));
    // For good: a file whose sync failed is not to be trusted again.
    member.disk.fail_syncs(false);
    assert!(member.set("key").is_err());
    member.server.stop();
}

#[test]
fn a_panic_while_applying_fails_the_member_and_everybody_hears_of_it() {
    let member = Member::start();
    let mut idle = Zk::connect(&member).unwrap();
    member.node().inject_fault(Box::new(|_: &mut Batch| panic!("a fault of ours")));
    assert!(member.set("key").is_err());
    idle.is_cut_off();
    let why = member.server.wait_failed(LIMIT).unwrap().expect("it failed");
    assert!(why.contains("a fault of ours"), "{why}");
    assert_eq!(member.word("isro"), "null");
    assert!(Zk::connect(&member).is_none());
}

#[test]
fn a_log_entry_that_cannot_be_applied_fails_the_member_and_everybody_hears_of_it() {
    let member = Member::start();
    let mut idle = Zk::connect(&member).unwrap();
    member.node().propose_raw(Bytes::from_static(b"\x63 is no version of a batch"));
    idle.is_cut_off();
    let why = member.server.wait_failed(LIMIT).unwrap().expect("it failed");
    assert!(why.contains("cannot apply log entry") && why.contains("batch version"), "{why}");
    assert!(member.set("key").is_err());
}

#[test]
fn a_broken_invariant_fails_the_member_and_everybody_hears_of_it() {
    let member = Member::start();
    let mut idle = Zk::connect(&member).unwrap();
    member.set("before").unwrap();
    let op = KvOp::Delete { key: Bytes::from_static(b"before") };
    member.node().lose_a_waiter(&Command::Consul(ConsulCommand::Kv(op)));
    assert!(member.set("key").is_err());
    idle.is_cut_off();
    let why = member.server.wait_failed(LIMIT).unwrap().expect("it failed");
    assert!(why.contains("invariant C2 is violated"), "{why}");
    assert_eq!(member.server.status().state, ServerState::Failed);
    assert!(Zk::connect(&member).is_none());
    // What breaks it was not sent: the key is still there.
    assert!(member.has("before") && !member.has("key"));
}
