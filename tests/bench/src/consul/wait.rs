//! Many blocking queries on one key, and the write that wakes them all.

use std::io::Result;
use std::time::{Duration, Instant};

use super::Plan;
use super::http::{Link, request};
use crate::histogram::Histogram;

/// What the server needs to have begun all of them.
const SETTLE: Duration = Duration::from_secs(2);

/// Latencies from the write to each wake. Says `waiting` when all wait, and
/// writes once a line was read: meanwhile somebody looks at the server.
#[expect(clippy::print_stdout, reason = "the one who measures waits for it")]
pub(super) async fn run(plan: &Plan) -> Result<Histogram> {
    let mut writer = Link::open(&plan.address).await?;
    let put = request("PUT", &plan.path, b"before");
    writer.send(&put).await?;
    writer.answer().await?;
    let look = request("GET", &plan.path, b"");
    writer.send(&look).await?;
    let index = writer.answer().await?;
    let get = request("GET", &format!("{}?index={index}&wait=9m", plan.path), b"");
    let mut links = Vec::new();
    for _ in 0..plan.connections {
        let mut link = Link::open(&plan.address).await?;
        // An answer says that the server has accepted the connection. What is sent
        // before, to a server that falls behind, the system may drop and repeat
        // seconds later: the query would begin after the write it waits for.
        link.send(&look).await?;
        link.answer().await?;
        link.send(&get).await?;
        links.push(link);
    }
    tokio::time::sleep(SETTLE).await;
    println!("waiting");
    tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()))
        .await
        .map_err(std::io::Error::other)??;
    let mut tasks = tokio::task::JoinSet::new();
    for mut link in links {
        // Kept: to hang up would be work for the server that no waiting client makes.
        tasks.spawn(async move { link.answer().await.map(|_| (Instant::now(), link)) });
    }
    tokio::task::yield_now().await;
    let began = Instant::now();
    writer.send(&request("PUT", &plan.path, b"after")).await?;
    let (mut latencies, mut kept) = (Histogram::new(), Vec::new());
    while let Some(woken) = tasks.join_next().await {
        let (at, link) = woken.map_err(std::io::Error::other)??;
        latencies.record(at - began);
        kept.push(link);
    }
    Ok(latencies)
}
