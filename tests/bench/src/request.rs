//! The few requests of the load, written straight into the send buffer.

use std::io::Write;

/// What every request of a run does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// A new znode each time.
    Create,
    /// Sets one of a fixed number of znodes.
    Set,
    /// Reads one of them.
    Get,
    /// Nothing: sessions that only stay alive. Their memory is what counts.
    Idle,
    /// All wait for one znode, which one of them sets.
    Watch,
}

impl Work {
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "create" => Some(Self::Create),
            "set" => Some(Self::Set),
            "get" => Some(Self::Get),
            "idle" => Some(Self::Idle),
            "watch" => Some(Self::Watch),
            _ => None,
        }
    }
}

/// How many znodes sets and gets spread over.
pub(crate) const KEYS: u64 = 1000;

const CREATE: i32 = 1;
const GET_DATA: i32 = 4;
const SET_DATA: i32 = 5;
const PING: i32 = 11;
const PING_XID: i32 = -2;

/// Makes the requests of one connection.
#[derive(Debug)]
pub(crate) struct Requests {
    work: Work,
    folder: String,
    connection: u64,
    data: Vec<u8>,
    made: u64,
    xid: i32,
}

impl Requests {
    pub(crate) fn new(work: Work, folder: &str, connection: u64, bytes: usize) -> Self {
        let data = vec![b'x'; bytes];
        Self { work, folder: folder.to_owned(), connection, data, made: 0, xid: 0 }
    }

    /// Appends the next request.
    pub(crate) fn push(&mut self, out: &mut Vec<u8>) {
        let number = self.made;
        self.made += 1;
        match self.work {
            Work::Create => {
                let connection = self.connection;
                self.frame(out, CREATE, |out| write!(out, "/{connection:04}-{number:010}"));
            }
            Work::Idle => push_ping(out),
            Work::Watch => self.frame(out, GET_DATA, |_| Ok(())),
            Work::Set | Work::Get => {
                // A stride that meets every key, so that no two connections march in step.
                let key = (self.connection * 389 + number * 7) % KEYS;
                let op = if self.work == Work::Set { SET_DATA } else { GET_DATA };
                self.frame(out, op, |out| write!(out, "/k{key:04}"));
            }
        }
    }

    /// Appends the request that makes the folder.
    pub(crate) fn push_folder(&mut self, out: &mut Vec<u8>) {
        self.frame(out, CREATE, |_| Ok(()));
    }

    /// Appends the request that makes one of the znodes for sets and gets.
    pub(crate) fn push_key(&mut self, out: &mut Vec<u8>, key: u64) {
        self.frame(out, CREATE, |out| write!(out, "/k{key:04}"));
    }

    fn frame(
        &mut self,
        out: &mut Vec<u8>,
        op: i32,
        name: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>,
    ) {
        self.xid = self.xid.checked_add(1).unwrap_or(1);
        let frame = reserve_length(out);
        put(out, self.xid);
        put(out, op);
        let path = reserve_length(out);
        out.extend_from_slice(self.folder.as_bytes());
        name(out).expect("a buffer takes everything");
        fill_length(out, path);
        match op {
            CREATE => {
                put_bytes(out, &self.data);
                put(out, 1);
                put(out, 31);
                put_bytes(out, b"world");
                put_bytes(out, b"anyone");
                put(out, 0);
            }
            SET_DATA => {
                put_bytes(out, &self.data);
                put(out, -1);
            }
            // Whoever reads the folder itself waits for its next change.
            _ => out.push(u8::from(self.work == Work::Watch)),
        }
        fill_length(out, frame);
    }

    /// Appends the request that sets the folder.
    pub(crate) fn push_set_folder(&mut self, out: &mut Vec<u8>) {
        self.frame(out, SET_DATA, |_| Ok(()));
    }
}

/// Appends a sign of life.
fn push_ping(out: &mut Vec<u8>) {
    put(out, 8);
    put(out, PING_XID);
    put(out, PING);
}

/// Appends the handshake for a new session.
pub(crate) fn push_connect(out: &mut Vec<u8>, timeout_ms: i32) {
    let frame = reserve_length(out);
    put(out, 0);
    out.extend_from_slice(&0i64.to_be_bytes());
    put(out, timeout_ms);
    out.extend_from_slice(&0i64.to_be_bytes());
    put_bytes(out, &[0; 16]);
    out.push(0);
    fill_length(out, frame);
}

fn put(out: &mut Vec<u8>, number: i32) {
    out.extend_from_slice(&number.to_be_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, i32::try_from(bytes.len()).expect("a request fits a frame"));
    out.extend_from_slice(bytes);
}

fn reserve_length(out: &mut Vec<u8>) -> usize {
    put(out, 0);
    out.len()
}

fn fill_length(out: &mut [u8], from: usize) {
    let length = i32::try_from(out.len() - from).expect("a request fits a frame");
    out[from - 4..from].copy_from_slice(&length.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_get_is_the_frame_zookeeper_expects() {
        let mut out = Vec::new();
        Requests::new(Work::Get, "/b", 0, 100).push(&mut out);
        let body = b"\0\0\0\x01\0\0\0\x04\0\0\0\x08/b/k0000\0";
        let length = u8::try_from(body.len()).expect("short");
        assert_eq!(out, [&[0, 0, 0, length], &body[..]].concat());
    }

    #[test]
    fn creates_never_repeat_a_path() {
        let mut requests = Requests::new(Work::Create, "/b", 3, 0);
        let frames: std::collections::BTreeSet<Vec<u8>> = (0..100)
            .map(|_| {
                let mut out = Vec::new();
                requests.push(&mut out);
                // The path without the xid before it.
                out[12..].to_vec()
            })
            .collect();
        assert_eq!(frames.len(), 100);
    }
}
