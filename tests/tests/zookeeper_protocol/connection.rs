//! A member to talk to, and one raw connection to it.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use coord_core::embedded::Server;
use coord_core::node::Node;
use coord_core::settings::Settings;
use coord_wire::zookeeper::frame;

/// Longest wait for a frame; only a failing test waits that long.
const PATIENCE: Duration = Duration::from_secs(30);
/// Largest frame a reply may be here.
const FRAME_BYTES_MAX: usize = 16 << 20;

/// A member of its own, timed like the recorded server.
pub(crate) struct Member {
    // Stops the member when dropped.
    server: Server,
    /// Where its ZooKeeper clients connect.
    pub(crate) address: SocketAddr,
}

impl Member {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one with these settings on top.
    pub(crate) fn start_with(settings: &[(&str, &str)]) -> Self {
        let mut chosen = Settings { data_dir: "".into(), ..Settings::default() };
        let usual = [
            ("zk_addr", "127.0.0.1:0"),
            ("http_addr", "off"),
            ("dns_addr", "off"),
            ("session.tick_ms", "500"),
            ("session.timeout_min_ms", "1000"),
            ("session.timeout_max_ms", "10000"),
        ];
        for (name, value) in usual.iter().chain(settings) {
            chosen.set(name, value).unwrap();
        }
        let server = Server::start_embedded(chosen).unwrap();
        server.wait_ready(PATIENCE).unwrap();
        let address = server.addresses().zk.unwrap();
        Self { server, address }
    }

    pub(crate) fn node(&self) -> &Node {
        self.server.node().unwrap()
    }
}

/// One TCP connection, without any idea of what it carries.
pub(crate) struct Wire {
    stream: TcpStream,
    received: BytesMut,
}

impl Wire {
    pub(crate) fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, received: BytesMut::new() }
    }

    /// Sends these bytes, no more.
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        // The other side may have closed: what it says, or not, tells.
        let _ = self.stream.write_all(bytes);
    }

    /// Sends one frame.
    pub(crate) fn send(&mut self, payload: &[u8]) {
        let length = i32::try_from(payload.len()).unwrap();
        self.send_bytes(&[&length.to_be_bytes(), payload].concat());
    }

    /// From now on [`Self::frame_in_time`] waits no longer than this.
    pub(crate) fn give_up_after(&self, patience: Duration) {
        self.stream.set_read_timeout(Some(patience)).unwrap();
    }

    /// The next frame, or that the server closed, if either comes in time.
    pub(crate) fn frame_in_time(&mut self) -> Option<Option<Bytes>> {
        loop {
            if let Some(payload) = frame::take(&mut self.received, FRAME_BYTES_MAX).unwrap() {
                return Some(Some(payload));
            }
            let mut chunk = [0; 1 << 16];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Some(None),
                Ok(bytes) => self.received.extend_from_slice(&chunk[..bytes]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// The next frame, `None` once the server closed.
    pub(crate) fn frame(&mut self) -> Option<Bytes> {
        loop {
            if let Some(payload) = frame::take(&mut self.received, FRAME_BYTES_MAX).unwrap() {
                return Some(payload);
            }
            if !self.receive() {
                return None;
            }
        }
    }

    /// Whether the server closed, of a connection to which it says nothing.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).unwrap();
        !matches!(peeked, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    /// Everything until the server closes.
    pub(crate) fn remainder(&mut self) -> Vec<u8> {
        while self.receive() {}
        self.received.split().to_vec()
    }

    /// What is answered to a four-letter word.
    pub(crate) fn word(address: SocketAddr, word: &[u8; 4]) -> String {
        let mut wire = Self::open(address);
        wire.send_bytes(word);
        String::from_utf8(wire.remainder()).unwrap()
    }

    fn receive(&mut self) -> bool {
        let mut chunk = [0; 1 << 16];
        match self.stream.read(&mut chunk) {
            Ok(0) => false,
            Ok(bytes) => {
                self.received.extend_from_slice(&chunk[..bytes]);
                true
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("nothing came for {PATIENCE:?}: {error}"),
        }
    }
}
