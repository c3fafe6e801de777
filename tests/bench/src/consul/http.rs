//! One request at a time on one connection that is kept.

use std::io::{Error, ErrorKind, Result};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Counted, Plan};
use crate::histogram::Histogram;

/// Longest wait for an answer before the run is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection and what was read of its next answer.
#[derive(Debug)]
pub(super) struct Link {
    stream: TcpStream,
    input: Vec<u8>,
}

impl Link {
    pub(super) async fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, input: Vec::new() })
    }

    pub(super) async fn send(&mut self, request: &[u8]) -> Result<()> {
        self.stream.write_all(request).await
    }

    /// Passes over one answer; its index, if it has one.
    pub(super) async fn answer(&mut self) -> Result<u64> {
        tokio::time::timeout(PATIENCE, self.whole_answer())
            .await
            .map_err(|_| broken("the server does not answer"))?
    }

    async fn whole_answer(&mut self) -> Result<u64> {
        loop {
            if let Some(end) = find(&self.input, b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&self.input[..end]).to_ascii_lowercase();
                if !head.starts_with("http/1.1 200") {
                    return Err(broken(&head));
                }
                let index = header(&head, "x-consul-index").unwrap_or(0);
                let length = header(&head, "content-length").map(usize::try_from).transpose();
                match length.map_err(Error::other)? {
                    Some(length) => {
                        while self.input.len() < end + 4 + length {
                            self.fill().await?;
                        }
                    }
                    // In chunks; nothing follows the last, for one request is out.
                    None => {
                        while !self.input.ends_with(b"\r\n0\r\n\r\n") {
                            self.fill().await?;
                        }
                    }
                }
                self.input.clear();
                return Ok(index);
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<()> {
        match self.stream.read_buf(&mut self.input).await? {
            0 => Err(broken("the server closed the connection")),
            _ => Ok(()),
        }
    }
}

/// A request as bytes.
pub(super) fn request(method: &str, path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: bench\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

pub(super) async fn drive(plan: &Plan, number: u32, counted: Counted) -> Result<Histogram> {
    let path = plan.path.replace("{}", &number.to_string());
    let body = if plan.method == "PUT" { vec![b'v'; plan.bytes] } else { Vec::new() };
    let request = request(&plan.method, &path, &body);
    let mut link = Link::open(&plan.address).await?;
    let mut latencies = Histogram::new();
    let mut sent = Instant::now();
    while sent < counted.end {
        link.send(&request).await?;
        link.answer().await?;
        let now = Instant::now();
        if counted.contains(now) {
            latencies.record(now - sent);
        }
        sent = now;
    }
    Ok(latencies)
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

fn header(head: &str, name: &str) -> Option<u64> {
    let line = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().parse().ok()
}

pub(super) fn broken(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}
