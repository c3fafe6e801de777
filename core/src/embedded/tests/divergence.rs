//! Members whose states drift apart, with real logs and real sockets. What goes
//! wrong goes wrong in memory, while a batch is applied on one member only.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use coord_state::consul::{ConsulCommand, KvOp};
use coord_state::{Batch, Command, Digest, Revision};
use tempfile::TempDir;

use crate::clock::{Clock as _, SystemClock};
use crate::embedded::{Parts, Server};
use crate::node::{Node, ReadLevel, Role};
use crate::settings::Settings;

const LIMIT: Duration = Duration::from_secs(30);

mod forwarding;
mod recovery;

struct Members {
    directories: Vec<TempDir>,
    addresses: Vec<SocketAddr>,
    settings: Settings,
    running: Vec<Option<Server>>,
}

impl Members {
    fn start(size: usize) -> Self {
        Self::start_with(size, Settings::embedded())
    }

    fn start_with(size: usize, settings: Settings) -> Self {
        let listeners: Vec<_> =
            (0..size).map(|_| TcpListener::bind(("127.0.0.1", 0)).unwrap()).collect();
        let mut members = Self {
            directories: (0..size).map(|_| TempDir::new().unwrap()).collect(),
            addresses: listeners.iter().map(|one| one.local_addr().unwrap()).collect(),
            settings,
            running: (0..size).map(|_| None).collect(),
        };
        for (position, listener) in listeners.into_iter().enumerate() {
            members.run(position, listener);
        }
        for server in members.running.iter().flatten() {
            server.wait_ready(LIMIT).unwrap();
        }
        members
    }

    fn run(&mut self, position: usize, listener: TcpListener) {
        listener.set_nonblocking(true).unwrap();
        let numbered = self.addresses.iter().zip(1..);
        let settings = Settings {
            member_id: position as u64 + 1,
            members: numbered.map(|(address, id)| (id, address.to_string())).collect(),
            data_dir: self.directory(position).to_owned(),
            dns_addr: "127.0.0.1:0".parse().unwrap(),
            ..self.settings.clone()
        };
        let parts = Parts::listening(listener);
        let server = Server::start_inner(settings.validate().unwrap(), parts, None);
        self.running[position] = Some(server.unwrap());
    }

    fn stop(&mut self, position: usize) {
        self.running[position].take().unwrap().stop();
    }

    fn restart(&mut self, position: usize) {
        self.run(position, TcpListener::bind(self.addresses[position]).unwrap());
    }

    fn directory(&self, position: usize) -> &Path {
        self.directories[position].path()
    }

    fn server(&self, position: usize) -> &Server {
        self.running[position].as_ref().unwrap()
    }

    fn node(&self, position: usize) -> &Node {
        self.server(position).node().unwrap()
    }

    fn leader(&self) -> usize {
        let mut found = None;
        let leads = |node: &Node| node.serves() && node.status().role == Role::Leader;
        eventually("a member leads", || {
            found = (0..self.running.len())
                .find(|at| self.running[*at].is_some() && leads(self.node(*at)));
            found.is_some()
        });
        found.unwrap()
    }

    fn follower(&self) -> usize {
        let leader = self.leader();
        (0..self.running.len()).find(|position| *position != leader).unwrap()
    }

    fn others(&self, than: usize) -> Vec<usize> {
        (0..self.running.len()).filter(|position| *position != than).collect()
    }

    /// Waits until the member confirms a read: it serves, and has caught up.
    fn confirmed(&self, position: usize) {
        let runtime = self.server(position).runtime().unwrap();
        eventually("the member confirms a read", || {
            runtime.block_on(self.node(position).confirm(ReadLevel::Linearizable)).is_ok()
        });
    }

    fn set(&self, position: usize, key: &str, value: &str) {
        let op = KvOp::Set {
            key: Bytes::copy_from_slice(key.as_bytes()),
            value: Bytes::copy_from_slice(value.as_bytes()),
            flags: 0,
        };
        let command = Command::Consul(ConsulCommand::Kv(op));
        let runtime = self.server(position).runtime().unwrap();
        let applied = runtime.block_on(self.node(position).propose(&command)).unwrap();
        applied.result.unwrap();
    }

    fn value(&self, position: usize, key: &str) -> Option<Bytes> {
        let key = key.as_bytes();
        self.node(position)
            .read(|state| state.consul().kv().get(key).map(|pair| pair.value.clone()))
    }

    fn state(&self, position: usize) -> (Revision, Digest) {
        self.node(position).read(|state| (state.revision(), state.digest()))
    }

    /// Waits until all have applied the same and finds their states equal.
    fn agree(&self) {
        (0..self.running.len()).for_each(|position| self.confirmed(position));
        eventually("all members have the same state", || {
            (1..self.running.len()).all(|position| self.state(position) == self.state(0))
        });
    }

    /// Has this member, and no other, apply another value than it was told.
    fn corrupt(&self, position: usize, key: &'static str) {
        self.node(position).inject_fault(Box::new(move |batch: &mut Batch| {
            for command in &mut batch.commands {
                if let Command::Consul(ConsulCommand::Kv(KvOp::Set { key: set, value, .. })) =
                    command
                    && &set[..] == key.as_bytes()
                {
                    *value = Bytes::from_static(b"flipped");
                }
            }
        }));
    }

    fn withdrawn(&self, position: usize) {
        eventually("the member stops serving", || !self.node(position).serves());
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
    stream.write_all(question).unwrap();
    let mut answer = Vec::new();
    // One that hangs up without a word has answered, too.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn got(server: &Server, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    asked(server.addresses().http.unwrap(), request.as_bytes())
}

fn word(server: &Server, word: &str) -> String {
    asked(server.addresses().zk.unwrap(), word.as_bytes())
}

/// A first frame: a new session of 10 s.
fn connect_request() -> Vec<u8> {
    let mut frame = vec![0, 0, 0, 44];
    frame.extend([0; 12]);
    frame.extend(10_000_i32.to_be_bytes());
    frame.extend([0; 8]);
    frame.extend(16_i32.to_be_bytes());
    frame.extend([0; 16]);
    frame
}

/// The code in the answer to a question for the services of Consul.
fn dns_code(server: &Server) -> u8 {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    let mut query = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in ["consul", "service", "consul"] {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend(label.as_bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    socket.send_to(&query, server.addresses().dns.unwrap()).unwrap();
    let mut answer = [0; 512];
    socket.recv(&mut answer).unwrap();
    answer[3] & 0xf
}

const DNS_REFUSED: u8 = 5;

#[test]
fn a_follower_that_diverges_serves_nobody_until_it_has_the_leaders_state() {
    let members = Members::start(3);
    let odd = members.follower();
    let hold = members.node(odd).hold_reinstall();
    let mut client = TcpStream::connect(members.server(odd).addresses().zk.unwrap()).unwrap();
    client.write_all(&connect_request()).unwrap();
    client.read_exact(&mut [0; 40]).unwrap();

    members.corrupt(odd, "k");
    members.set(members.leader(), "k", "right");
    members.withdrawn(odd);
    let server = members.server(odd);
    assert_eq!(client.read(&mut [0; 64]).unwrap(), 0, "the client keeps its connection");
    assert_eq!(asked(server.addresses().zk.unwrap(), &connect_request()), "");
    assert_eq!(word(server, "isro"), "null");
    assert!(word(server, "srvr").contains("state diverged from the cluster's"));
    assert!(got(server, "/commands/srvr").contains("state diverged from the cluster's"));
    for path in ["/v1/kv/k", "/v1/kv/k?stale", "/v1/catalog/nodes?stale"] {
        let answer = got(server, path);
        assert!(answer.starts_with("HTTP/1.1 500"), "{path}: {answer}");
        assert!(answer.contains("state diverged from the cluster's"), "{path}: {answer}");
    }
    assert!(got(server, "/v1/agent/metrics?format=prometheus").contains("consul_coord_serving 0"));
    assert_eq!(dns_code(server), DNS_REFUSED);

    for other in members.others(odd) {
        members.set(other, "k2", "goes on");
        assert!(got(members.server(other), "/v1/kv/k?raw").ends_with("right"));
        assert_eq!(word(members.server(other), "isro"), "rw");
        assert_eq!(dns_code(members.server(other)), 0);
        assert_eq!(members.node(other).divergences().1, 0);
    }

    drop(hold);
    members.agree();
    assert_eq!(members.value(odd, "k").as_deref(), Some(&b"right"[..]));
    assert_eq!(members.node(odd).divergences().1, 1);
    assert!(got(members.server(odd), "/v1/kv/k?raw").ends_with("right"));
    assert!(word(members.server(odd), "mntr").contains("zk_state_reinstalls_count\t1"));
    assert_eq!(dns_code(members.server(odd)), 0);
    members.set(odd, "k3", "again");
    members.agree();
}

#[test]
fn a_leader_that_diverges_steps_down_and_takes_over_the_others_state() {
    let members = Members::start(3);
    let odd = members.leader();
    let hold = members.node(odd).hold_reinstall();
    members.corrupt(odd, "k");
    members.set(members.follower(), "k", "right");
    members.withdrawn(odd);
    let next = members.leader();
    assert_ne!(next, odd);
    for other in members.others(odd) {
        members.set(other, "k2", "goes on");
        members.confirmed(other);
        assert_eq!(members.value(other, "k").as_deref(), Some(&b"right"[..]));
        assert_eq!(members.node(other).divergences().1, 0);
    }
    drop(hold);
    members.agree();
    assert_eq!(members.value(odd, "k").as_deref(), Some(&b"right"[..]));
    assert_eq!(members.node(odd).divergences().1, 1);
}

#[test]
fn a_restart_does_not_bring_a_divergence_back() {
    for noted in [true, false] {
        let mut members = Members::start(3);
        let odd = members.follower();
        let hold = members.node(odd).hold_reinstall();
        members.corrupt(odd, "k");
        members.set(members.leader(), "k", "right");
        members.withdrawn(odd);
        let note = members.directory(odd).join("reinstall");
        eventually("the member notes that it is not to be trusted", || note.exists());
        // The wrong state on disk is what a restart begins with.
        let snapshots = members.directory(odd).join("snapshots");
        let runtime = members.server(odd).runtime().unwrap();
        runtime.block_on(members.node(odd).snapshot_for_test()).unwrap();
        let is_snapshot = |entry: std::io::Result<std::fs::DirEntry>| {
            entry.unwrap().path().extension().is_some_and(|name| name == "snapshot")
        };
        eventually("the member takes a snapshot", || {
            std::fs::read_dir(&snapshots).unwrap().any(is_snapshot)
        });
        drop(hold);
        members.stop(odd);
        if !noted {
            // As when it died before it could leave the note.
            let _ = std::fs::remove_file(&note);
        }

        members.restart(odd);
        if noted && members.node(odd).divergences().1 == 0 {
            assert_ne!(members.value(odd, "k").as_deref(), Some(&b"right"[..]));
        }
        eventually("the member takes over a state", || members.node(odd).divergences().1 > 0);
        members.agree();
        assert_eq!(members.value(odd, "k").as_deref(), Some(&b"right"[..]));
        assert!(!note.exists());
        members.stop(odd);
        members.restart(odd);
        members.agree();
        assert_eq!(members.node(odd).divergences(), (0, 0));
        assert_eq!(members.value(odd, "k").as_deref(), Some(&b"right"[..]));
    }
}

#[test]
fn of_two_that_contradict_each_other_neither_serves_until_one_gives_way() {
    let mut members = Members::start(2);
    let odd = members.follower();
    members.corrupt(odd, "k");
    members.set(members.leader(), "k", "right");
    members.withdrawn(0);
    members.withdrawn(1);
    assert!(got(members.server(0), "/v1/kv/k?stale").contains("no majority agrees"));
    assert_eq!((members.node(0).divergences().1, members.node(1).divergences().1), (0, 0));

    let runtime = members.server(odd).runtime().unwrap();
    runtime.block_on(members.node(odd).snapshot_for_test()).unwrap();
    members.stop(odd);
    std::fs::write(members.directory(odd).join("reinstall"), b"").unwrap();
    members.restart(odd);
    members.agree();
    assert_eq!(members.value(odd, "k").as_deref(), Some(&b"right"[..]));
    assert_eq!(members.node(odd).divergences().1, 1);
}

#[test]
fn members_agree_through_snapshots_restarts_and_leader_changes() {
    let mut settings = Settings::embedded();
    settings.storage.snapshot_log_bytes = 32 << 10;
    let mut members = Members::start_with(3, settings);
    let write = |members: &Members, round: usize| {
        for number in 0..60 {
            let writers: Vec<usize> =
                (0..3).filter(|position| members.running[*position].is_some()).collect();
            let writer = writers[number % writers.len()];
            members.set(
                writer,
                &format!("k{}", number % 7),
                &format!("{round} {number}").repeat(40),
            );
        }
    };
    for round in 0..4 {
        write(&members, round);
        // The leader every time, so that each restart is a change of leader, too.
        let leader = members.leader();
        members.stop(leader);
        write(&members, round + 10);
        members.restart(leader);
        members.agree();
    }
    for position in 0..3 {
        assert_eq!(members.node(position).divergences(), (0, 0));
        let snapshots = members.directory(position).join("snapshots");
        assert!(std::fs::read_dir(snapshots).unwrap().count() > 0, "no snapshot was taken");
    }
}
