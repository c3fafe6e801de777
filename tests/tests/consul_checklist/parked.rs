//! Connections with a query that waits: many of them are small, and what else
//! is sent on one works as on any other.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use crate::http_client::{LONG, Member, member, until_waiting, waiting};
use crate::score::Point;

/// As many as a process with 1,024 file descriptors can have with both ends.
const WAITERS: u64 = 400;
/// Memory of one, with its buffers and tables. Genuine Consul needs twice this;
/// the point allows six times as much.
const BYTES_EACH_MAX: u64 = 16 << 10;

/// One connection that is kept.
struct Kept {
    stream: BufReader<TcpStream>,
}

struct Answer {
    head: String,
    body: String,
}

impl Kept {
    fn to(member: &Member) -> Self {
        let stream = TcpStream::connect(member.address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        Self { stream: BufReader::with_capacity(64, stream) }
    }

    fn send(&mut self, text: &str) {
        self.stream.get_mut().write_all(text.as_bytes()).unwrap();
    }

    fn get(&mut self, path: &str) {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: member\r\nAccept: */*\r\n\r\n"));
    }

    fn answer(&mut self) -> Answer {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(self.stream.read_line(&mut head).unwrap() > 0, "closed after {head:?}");
        }
        let (_, length) = head.split_once("Content-Length: ").expect("a length");
        let mut body = vec![0; length.lines().next().unwrap().parse().unwrap()];
        self.stream.read_exact(&mut body).unwrap();
        Answer { head, body: String::from_utf8(body).unwrap() }
    }

    fn is_closed(&mut self) -> bool {
        self.stream.read(&mut [0]).unwrap() == 0
    }
}

/// The path to wait on for the next change of a key.
fn next_of(member: &Member, key: &str) -> String {
    let index = member.get(&format!("/v1/kv/{key}")).index();
    format!("/v1/kv/{key}?raw&wait=60s&index={index}")
}

/// Runs in a process of its own, whose memory is nobody else's. How soon the
/// waiters wake is not asserted, for a busy machine says little about that:
/// `make bench-consul` measures it, with ten thousand.
#[test]
fn many_waiters_are_small_and_one_write_wakes_them_all() {
    let _point = Point::of("B-15");
    let mut alone = Command::new(std::env::current_exe().unwrap());
    alone.args(["--exact", "--ignored", "parked::many_waiters_alone_in_their_process"]);
    let done = alone.output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "measures its process, so it needs one of its own: see B-15"]
fn many_waiters_alone_in_their_process() {
    let member = member();
    member.put("/v1/kv/x", "before").ok();
    let path = next_of(&member, "x");
    let others = waiting(&member);
    let before = resident_bytes();
    // One after the other, as a client looks before it waits: a connection without a
    // query has buffers, and memory once used by many of them stays with the process.
    let begin = |_| {
        let mut waiter = Kept::to(&member);
        waiter.get("/v1/kv/x?raw");
        assert_eq!(waiter.answer().body, "before");
        waiter.get(&path);
        waiter
    };
    let mut waiters: Vec<Kept> = (0..WAITERS).map(begin).collect();
    until_waiting(&member, others + WAITERS);
    let each = resident_bytes().saturating_sub(before) / WAITERS;
    assert!(each < BYTES_EACH_MAX, "{each} bytes for each waiter");
    member.put("/v1/kv/x", "after").ok();
    for waiter in &mut waiters {
        assert_eq!(waiter.answer().body, "after");
    }
    until_waiting(&member, others);
}

/// 0 where there is no `/proc`.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = resident.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

#[test]
fn a_connection_goes_on_after_a_query_that_waited() {
    let member = member();
    let others = waiting(&member);
    let mut kept = Kept::to(&member);
    for value in ["1", "2", "3"] {
        kept.get(&next_of(&member, "x"));
        until_waiting(&member, others + 1);
        member.put("/v1/kv/x", value).ok();
        let answer = kept.answer();
        assert_eq!(answer.body, value);
        assert!(!answer.head.contains("Connection"), "{}", answer.head);
        kept.get("/v1/kv/x?raw");
        assert_eq!(kept.answer().body, value);
    }
}

#[test]
fn an_answer_that_was_waited_for_looks_like_one_that_was_not() {
    let member = member();
    let others = waiting(&member);
    let mut kept = Kept::to(&member);
    let names = |head: &str| -> Vec<String> {
        head.lines().map(|line| line.split(':').next().unwrap().to_owned()).collect()
    };
    for (write, path) in [("1", "/v1/kv/x"), ("2", "/v1/kv/x?raw"), ("3", "/v1/kv/?keys")] {
        let index = member.get("/v1/kv/x").index();
        let more = if path.contains('?') { '&' } else { '?' };
        kept.get(&format!("{path}{more}index={index}&wait=60s"));
        until_waiting(&member, others + 1);
        member.put("/v1/kv/x", write).ok();
        let waited = kept.answer();
        kept.get(path);
        let at_once = kept.answer();
        assert_eq!(waited.body, at_once.body);
        assert_eq!(names(&waited.head), names(&at_once.head));
    }
}

#[test]
fn what_is_sent_behind_a_query_that_waits_is_answered_after_it() {
    let member = member();
    let others = waiting(&member);
    for key in ["long".repeat(1000), "short".to_owned()] {
        let mut kept = Kept::to(&member);
        let query = next_of(&member, "x");
        kept.send(&format!(
            "GET {query} HTTP/1.1\r\nHost: m\r\n\r\nGET /v1/kv/{key}?raw HTTP/1.1\r\nHost: m\r\n\r\n"
        ));
        until_waiting(&member, others + 1);
        kept.get(&format!("/v1/kv/{key}?raw"));
        kept.get(&format!("/v1/kv/{key}?raw"));
        member.put(&format!("/v1/kv/{key}"), "behind").ok();
        member.put("/v1/kv/x", &key[..9.min(key.len())]).ok();
        let bodies: Vec<String> = (0..4).map(|_| kept.answer().body).collect();
        assert_eq!(bodies[1..], ["behind", "behind", "behind"]);
        assert!(key.starts_with(&bodies[0]), "{bodies:?}");
    }
}

#[test]
fn who_leaves_waits_no_longer() {
    let member = member();
    let others = waiting(&member);
    let mut kept = Kept::to(&member);
    kept.get(&next_of(&member, "x"));
    until_waiting(&member, others + 1);
    drop(kept);
    until_waiting(&member, others);
}

#[test]
fn a_query_that_asks_to_close_is_the_last_of_its_connection() {
    let member = member();
    let others = waiting(&member);
    for request in [" HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n", " HTTP/1.0\r\n\r\n"] {
        let mut kept = Kept::to(&member);
        kept.send(&format!("GET {}{request}", next_of(&member, "x")));
        until_waiting(&member, others + 1);
        member.put("/v1/kv/x", request).ok();
        assert_eq!(kept.answer().body, request);
        assert!(kept.is_closed());
    }
}

#[test]
fn a_member_that_stops_answers_those_who_wait() {
    let member = member();
    member.put("/v1/kv/x", "last").ok();
    let others = waiting(&member);
    let mut kept = Kept::to(&member);
    kept.get(&next_of(&member, "x"));
    until_waiting(&member, others + 1);
    drop(member);
    let answer = kept.answer();
    assert_eq!(answer.body, "last");
    assert!(answer.head.contains("Connection: close"), "{}", answer.head);
    assert!(kept.is_closed());
}
