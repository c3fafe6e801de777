//! Three members that reach each other through gates, so that one of them can
//! be cut off from the others and let back in while its clients stay.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use coord_core::embedded::Server;
use coord_core::node::{Node, NodeStatus, Role};
use coord_core::settings::Settings;

use crate::client::{Client, new_session, shake_hands};
use crate::connection::Wire;

/// Longest wait; only a failing test waits that long.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a member says first to another: length, magic, version, purpose, its number, the other's.
const HELLO_BYTES: usize = 4 + 8 + 2 + 1 + 8 + 8;
const HELLO_FROM: usize = 4 + 8 + 2 + 1;

/// Three members; the first has number 1.
pub(crate) struct Ensemble {
    servers: Vec<Server>,
    net: Arc<Net>,
}

/// The connections between members.
#[derive(Default)]
struct Net {
    state: Mutex<NetState>,
}

#[derive(Default)]
struct NetState {
    cut_off: BTreeSet<usize>,
    open: Vec<(usize, usize, TcpStream)>,
}

impl Ensemble {
    /// Starts them with these settings on top and waits until all serve.
    pub(crate) fn start(settings: &[(&str, &str)]) -> Self {
        let net = Arc::new(Net::default());
        let gates: Vec<Gate> = (1..=3).map(|member| Gate::open(member, &net)).collect();
        let mut base = Settings { data_dir: "".into(), ..Settings::default() };
        for (member, gate) in (1..).zip(&gates) {
            base.members.insert(member, gate.address.to_string());
        }
        let usual = [
            ("zk_addr", "127.0.0.1:0"),
            ("http_addr", "off"),
            ("dns_addr", "off"),
            ("peer_addr", "127.0.0.1:0"),
        ];
        for (name, value) in usual.iter().chain(settings) {
            base.set(name, value).unwrap();
        }
        let start = |(member_id, gate): (u64, &Gate)| {
            let server = Server::start_embedded(Settings { member_id, ..base.clone() }).unwrap();
            gate.target.set(server.addresses().peer.unwrap()).unwrap();
            server
        };
        let servers: Vec<Server> = (1..).zip(&gates).map(start).collect();
        servers.iter().for_each(|server| server.wait_ready(PATIENCE).unwrap());
        Self { servers, net }
    }

    /// Where clients of the member at this place connect.
    pub(crate) fn address(&self, place: usize) -> SocketAddr {
        self.servers[place].addresses().zk.unwrap()
    }

    /// Where its agent answers, if the settings say that it does.
    pub(crate) fn http(&self, place: usize) -> SocketAddr {
        self.servers[place].addresses().http.unwrap()
    }

    /// A new client of the member at this place, once that serves.
    pub(crate) fn client(&self, place: usize) -> Client {
        eventually("the member serves", || {
            let mut wire = Wire::open(self.address(place));
            let session = shake_hands(&mut wire, &new_session(10_000))?;
            Some(Client::of(wire, session))
        })
    }

    pub(crate) fn node(&self, place: usize) -> &Node {
        self.servers[place].node().unwrap()
    }

    pub(crate) fn status(&self, place: usize) -> NodeStatus {
        self.node(place).status()
    }

    /// The place of the leader that a majority follows, other than `not`.
    pub(crate) fn leader(&self, not: Option<usize>) -> usize {
        let leads = |place: &usize| Some(*place) != not && self.status(*place).role == Role::Leader;
        eventually("somebody leads", || (0..3).find(leads))
    }

    /// Nothing passes between this member and the others from now on.
    pub(crate) fn cut_off(&self, place: usize) {
        let member = place + 1;
        let mut state = self.net.state.lock().unwrap();
        state.cut_off.insert(member);
        for (from, to, stream) in &state.open {
            if [*from, *to].contains(&member) {
                // One that ended already cannot be ended again.
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }

    /// Everything passes again.
    pub(crate) fn heal(&self) {
        self.net.state.lock().unwrap().cut_off.clear();
    }
}

/// Waits for a condition.
pub(crate) fn eventually<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "still not so: {what}");
        std::thread::yield_now();
    }
}

/// Where others connect to one member.
struct Gate {
    address: SocketAddr,
    target: Arc<OnceLock<SocketAddr>>,
}

impl Gate {
    fn open(member: usize, net: &Arc<Net>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let target = Arc::new(OnceLock::new());
        let (net, behind) = (Arc::clone(net), Arc::clone(&target));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (net, behind) = (Arc::clone(&net), Arc::clone(&behind));
                // A connection that breaks is what a gate is for.
                std::thread::spawn(move || net.pass(stream.ok()?, member, *behind.get()?));
            }
        });
        Self { address, target }
    }
}

impl Net {
    /// Hands on what one member sends to another, unless either is cut off.
    fn pass(&self, mut from: TcpStream, member: usize, target: SocketAddr) -> Option<()> {
        let mut hello = [0; HELLO_BYTES];
        from.read_exact(&mut hello).ok()?;
        let sender = usize::from(hello[HELLO_FROM]);
        let mut to = TcpStream::connect(target).ok()?;
        from.set_nodelay(true).and_then(|()| to.set_nodelay(true)).ok()?;
        {
            let mut state = self.state.lock().unwrap();
            if state.cut_off.contains(&sender) || state.cut_off.contains(&member) {
                return None;
            }
            for end in [&from, &to] {
                state.open.push((sender, member, end.try_clone().ok()?));
            }
        }
        to.write_all(&hello).ok()?;
        let (mut back_from, mut back_to) = (to.try_clone().ok()?, from.try_clone().ok()?);
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut back_from, &mut back_to);
            let _ = back_to.shutdown(Shutdown::Both);
        });
        let _ = std::io::copy(&mut from, &mut to);
        to.shutdown(Shutdown::Both).ok()
    }
}
