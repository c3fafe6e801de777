//! A member, and a client that shows answers as they are on the wire.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use coord_core::embedded::Server;
use coord_core::settings::{ListenAddress, Settings};
use serde_json::Value;

/// Far longer than anything takes: only a hang reaches it.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A lone member with its HTTP API.
pub(crate) struct Member {
    pub(crate) api: Api,
    _server: Server,
}

impl std::ops::Deref for Member {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

pub(crate) fn settings() -> Settings {
    let mut settings = Settings::embedded();
    settings.zk_addr = ListenAddress::Off;
    settings.dns_addr = ListenAddress::Off;
    settings.node_name = Some("home".to_owned());
    settings.storage.segment_bytes = 1 << 20;
    settings
}

pub(crate) fn member() -> Member {
    member_with(settings())
}

pub(crate) fn member_with(settings: Settings) -> Member {
    let server = Server::start_embedded(settings).unwrap();
    server.wait_ready(LONG).unwrap();
    Member { api: Api { address: server.addresses().http.unwrap() }, _server: server }
}

/// One HTTP API.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Api {
    pub(crate) address: SocketAddr,
}

/// An answer, byte for byte.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) took: Duration,
}

impl Api {
    pub(crate) fn of(server: &Server) -> Self {
        Self { address: server.addresses().http.unwrap() }
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], b"")
    }

    pub(crate) fn put(&self, path: &str, body: impl AsRef<[u8]>) -> Reply {
        self.send("PUT", path, &[], body.as_ref())
    }

    pub(crate) fn delete(&self, path: &str) -> Reply {
        self.send("DELETE", path, &[], b"")
    }

    pub(crate) fn json(&self, path: &str) -> Value {
        self.get(path).ok().json()
    }

    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let began = Instant::now();
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: member\r\nConnection: close\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        Reply::parse(&bytes, began.elapsed())
    }

    /// Begins to wait from `index`; the answer is taken with [`Waiting::end`].
    pub(crate) fn wait(&self, path: &str, index: u64, wait: &str) -> Waiting {
        let joint = if path.contains('?') { '&' } else { '?' };
        let path = format!("{path}{joint}index={index}&wait={wait}");
        let api = *self;
        Waiting(std::thread::spawn(move || api.get(&path)))
    }

    /// Creates a session and gives its id.
    pub(crate) fn session(&self, body: &str) -> String {
        let reply = self.put("/v1/session/create", body).ok();
        reply.json()["ID"].as_str().unwrap().to_owned()
    }
}

/// A blocking query under way.
pub(crate) struct Waiting(std::thread::JoinHandle<Reply>);

impl Waiting {
    pub(crate) fn end(self) -> Reply {
        self.0.join().unwrap()
    }
}

impl Reply {
    fn parse(bytes: &[u8], took: Duration) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head");
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .map(|line| line.split_once(": ").expect("name and value"))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let headers: Vec<(String, String)> = headers;
        let body = &bytes[end + 4..];
        let chunked = headers.contains(&("Transfer-Encoding".into(), "chunked".into()));
        let body = if chunked { unchunked(body) } else { body.to_vec() };
        Self { status, headers, body, took }
    }

    /// The header of exactly this spelling.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    pub(crate) fn index(&self) -> u64 {
        self.header("X-Consul-Index").expect("an index").parse().unwrap()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        self
    }

    #[track_caller]
    pub(crate) fn says(&self, status: u16, text: &str) {
        assert_eq!((self.status, &*String::from_utf8_lossy(&self.body)), (status, text));
    }
}

/// A body that came in chunks.
fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n").expect("a whole chunk");
        let size = std::str::from_utf8(&rest[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&rest[end + 2..][..size]);
        rest = &rest[end + 2 + size + 2..];
    }
}

/// How many blocking queries wait at the member.
pub(crate) fn waiting(member: &Member) -> u64 {
    let metrics = member.json("/v1/agent/metrics");
    let gauges = metrics["Gauges"].as_array().unwrap();
    let gauge = gauges.iter().find(|gauge| gauge["Name"] == "consul.rpc.queries_blocking");
    gauge.unwrap()["Value"].as_f64().unwrap().to_string().parse().unwrap()
}

/// Until so many do.
pub(crate) fn until_waiting(member: &Member, count: u64) {
    let began = Instant::now();
    while waiting(member) != count {
        assert!(began.elapsed() < LONG, "{} instead of {count} wait", waiting(member));
        std::thread::yield_now();
    }
}
