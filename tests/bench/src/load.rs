//! Connections that keep a fixed number of requests under way.

use std::collections::VecDeque;
use std::io::{Error, ErrorKind, Result};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::histogram::Histogram;
use crate::request::{KEYS, Requests, Work, push_connect};

/// What to do, where, how long.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) address: String,
    pub(crate) work: Work,
    pub(crate) connections: u64,
    /// Requests under way on each connection.
    pub(crate) depth: usize,
    pub(crate) bytes: usize,
    pub(crate) warm_up: Duration,
    pub(crate) duration: Duration,
    /// A znode of this run, so that runs do not meet.
    pub(crate) folder: String,
}

pub(crate) const SESSION_MS: i32 = 30_000;
/// Longest wait for an answer before the run is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the whole plan; the latencies of what was answered in its time.
pub(crate) async fn run(plan: &Plan) -> Result<Histogram> {
    prepare(plan).await?;
    let mut links = Vec::new();
    for _ in 0..plan.connections {
        links.push(Link::open(&plan.address).await?);
    }
    let begin = Instant::now() + plan.warm_up;
    let end = begin + plan.duration;
    let mut tasks = Vec::new();
    for (number, link) in (0u64..).zip(links) {
        let requests = Requests::new(plan.work, &plan.folder, number, plan.bytes);
        tasks.push(tokio::spawn(link.drive(requests, plan.depth, begin, end)));
    }
    let mut all = Histogram::new();
    for task in tasks {
        all.add(&task.await.map_err(Error::other)??);
    }
    Ok(all)
}

async fn prepare(plan: &Plan) -> Result<()> {
    let mut link = Link::open(&plan.address).await?;
    let mut requests = Requests::new(plan.work, &plan.folder, 0, plan.bytes);
    requests.push_folder(&mut link.out);
    let mut waiting = 1;
    if plan.work != Work::Create {
        for key in 0..KEYS {
            requests.push_key(&mut link.out, key);
            waiting += 1;
        }
    }
    link.flush().await?;
    while waiting > 0 {
        link.fill().await?;
        while link.next_reply()? {
            waiting -= 1;
        }
    }
    Ok(())
}

/// One connection with its buffers, which are reused for every request.
#[derive(Debug)]
pub(crate) struct Link {
    stream: TcpStream,
    pub(crate) out: Vec<u8>,
    input: Vec<u8>,
    /// Where the unread part of `input` begins.
    read: usize,
}

impl Link {
    pub(crate) async fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut link = Self { stream, out: Vec::new(), input: Vec::new(), read: 0 };
        push_connect(&mut link.out, SESSION_MS);
        link.flush().await?;
        while link.next_frame().is_none() {
            link.fill().await?;
        }
        Ok(link)
    }

    async fn drive(
        mut self,
        mut requests: Requests,
        depth: usize,
        begin: Instant,
        end: Instant,
    ) -> Result<Histogram> {
        let mut latencies = Histogram::new();
        let mut sent = VecDeque::with_capacity(depth);
        let start = Instant::now();
        for _ in 0..depth {
            requests.push(&mut self.out);
            sent.push_back(start);
        }
        self.flush().await?;
        while !sent.is_empty() {
            self.fill().await?;
            let now = Instant::now();
            while self.next_reply()? {
                let at = sent.pop_front().ok_or_else(|| broken("a reply nobody asked for"))?;
                if now >= begin && now < end {
                    latencies.record(now - at);
                }
                if now < end {
                    requests.push(&mut self.out);
                    sent.push_back(now);
                }
            }
            self.flush().await?;
            // A server that has answered already would keep this one connection busy,
            // and the others waiting for the generator.
            tokio::task::yield_now().await;
        }
        Ok(latencies)
    }

    pub(crate) async fn flush(&mut self) -> Result<()> {
        if !self.out.is_empty() {
            self.stream.write_all(&self.out).await?;
            self.out.clear();
        }
        Ok(())
    }

    /// Reads what has come; waits if nothing has.
    pub(crate) async fn fill(&mut self) -> Result<()> {
        self.input.drain(..self.read);
        self.read = 0;
        let reading = self.stream.read_buf(&mut self.input);
        let count = tokio::time::timeout(PATIENCE, reading)
            .await
            .map_err(|_| broken("the server does not answer"))??;
        if count == 0 { Err(broken("the server closed the connection")) } else { Ok(()) }
    }

    /// The next whole frame that was read.
    pub(crate) fn next_frame(&mut self) -> Option<std::ops::Range<usize>> {
        let unread = &self.input[self.read..];
        let length = u32::from_be_bytes(*unread.first_chunk()?) as usize;
        if unread.len() < 4 + length {
            return None;
        }
        let from = self.read + 4;
        self.read = from + length;
        Some(from..from + length)
    }

    /// Passes over the next reply; false if none has come whole yet.
    pub(crate) fn next_reply(&mut self) -> Result<bool> {
        let Some(frame) = self.next_frame() else { return Ok(false) };
        // xid, zxid, error.
        match self.input[frame].get(12..16) {
            Some([0, 0, 0, 0]) => Ok(true),
            Some(error) => Err(broken(&format!("the server answered error {error:?}"))),
            None => Err(broken("a reply shorter than its header")),
        }
    }
}

pub(crate) fn broken(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}
