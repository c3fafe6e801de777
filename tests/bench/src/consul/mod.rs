//! Load for Consul's HTTP API and DNS.

mod dns;
mod http;
mod wait;

use std::io::Result;
use std::time::{Duration, Instant};

use crate::histogram::Histogram;

/// What each request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// One HTTP request at a time on each connection.
    Http,
    /// Datagrams, `depth` under way on each socket.
    Dns,
    /// Blocking queries on one key, all woken by one write.
    Wait,
}

impl Work {
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "http" => Some(Self::Http),
            "dns" => Some(Self::Dns),
            "wait" => Some(Self::Wait),
            _ => None,
        }
    }
}

/// What to do, where, how long.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) address: String,
    pub(crate) work: Work,
    /// `GET` or `PUT`.
    pub(crate) method: String,
    /// What is asked for; `{}` stands for the number of the connection.
    pub(crate) path: String,
    pub(crate) connections: u32,
    pub(crate) depth: usize,
    pub(crate) bytes: usize,
    pub(crate) warm_up: Duration,
    pub(crate) duration: Duration,
}

/// When latencies count.
#[derive(Debug, Clone, Copy)]
struct Counted {
    begin: Instant,
    end: Instant,
}

impl Counted {
    fn contains(self, now: Instant) -> bool {
        now >= self.begin && now < self.end
    }
}

/// Runs the whole plan; the latencies of what was answered in its time.
pub(crate) async fn run(plan: &Plan) -> Result<Histogram> {
    if plan.work == Work::Wait {
        return wait::run(plan).await;
    }
    let begin = Instant::now() + plan.warm_up;
    let counted = Counted { begin, end: begin + plan.duration };
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..plan.connections {
        let plan = plan.clone();
        tasks.spawn(async move {
            match plan.work {
                Work::Dns => dns::drive(&plan, counted).await,
                Work::Http | Work::Wait => http::drive(&plan, number, counted).await,
            }
        });
    }
    let mut all = Histogram::new();
    while let Some(done) = tasks.join_next().await {
        all.add(&done.map_err(std::io::Error::other)??);
    }
    Ok(all)
}
