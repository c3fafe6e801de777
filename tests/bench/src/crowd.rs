//! Many sessions that do next to nothing: what each costs, and how long it
//! takes until the last of them has heard of a change.

use std::io::Result;
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;

use crate::load::{Link, Plan, SESSION_MS};
use crate::request::{Requests, Work};

/// How many sessions are opened at once.
const AT_ONCE: usize = 64;
/// How often each says that it is alive: as ZooKeeper's own clients do.
const PING_EVERY: Duration = Duration::from_millis(SESSION_MS.unsigned_abs() as u64 / 3);
const ROUNDS: usize = 31;

/// Opens the sessions, says so with `opened`, and keeps them alive until the
/// input ends, so that whoever started this can look at the server meanwhile.
pub(crate) async fn idle(plan: &Plan, opened: impl FnOnce()) -> Result<()> {
    let mut links = open_all(plan).await?;
    opened();
    let ended = tokio::spawn(async { tokio::io::stdin().read_to_end(&mut Vec::new()).await });
    let step = PING_EVERY / u32::try_from(links.len()).unwrap_or(u32::MAX);
    let mut due = tokio::time::interval(step);
    due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    let mut requests = Requests::new(Work::Idle, &plan.folder, 0, 0);
    for number in (0..links.len()).cycle() {
        due.tick().await;
        if ended.is_finished() {
            break;
        }
        let link = &mut links[number];
        requests.push(&mut link.out);
        link.flush().await?;
        link.fill().await?;
        while link.next_frame().is_some() {}
    }
    Ok(())
}

/// The times from a write to the last watcher's event, in order.
pub(crate) async fn watch(plan: &Plan) -> Result<Vec<Duration>> {
    let mut writer = Link::open(&plan.address).await?;
    let mut requests = Requests::new(Work::Watch, &plan.folder, 0, plan.bytes);
    requests.push_folder(&mut writer.out);
    one_reply(&mut writer).await?;
    let mut links = open_all(plan).await?;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        for link in &mut links {
            requests.push(&mut link.out);
            link.flush().await?;
        }
        for link in &mut links {
            one_frame(link).await?;
        }
        requests.push_set_folder(&mut writer.out);
        let start = Instant::now();
        writer.flush().await?;
        for link in &mut links {
            one_frame(link).await?;
        }
        times.push(start.elapsed());
        one_frame(&mut writer).await?;
    }
    // The first rounds are the server's warm-up.
    let mut counted = times.split_off(ROUNDS / 3);
    counted.sort_unstable();
    Ok(counted)
}

/// Keeps alive what is open while the rest opens: on a busy machine that takes
/// longer than a session lasts, and a server rightly closes those it heard nothing of.
async fn open_all(plan: &Plan) -> Result<Vec<Link>> {
    let mut links = Vec::new();
    let mut pings = Requests::new(Work::Idle, &plan.folder, 0, 0);
    let mut heard = Instant::now();
    let mut left = usize::try_from(plan.connections).unwrap_or(usize::MAX);
    while left > 0 {
        let now = left.min(AT_ONCE);
        left -= now;
        let opening: Vec<_> = (0..now)
            .map(|_| {
                let address = plan.address.clone();
                tokio::spawn(async move { Link::open(&address).await })
            })
            .collect();
        for one in opening {
            links.push(one.await.map_err(std::io::Error::other)??);
        }
        if heard.elapsed() > PING_EVERY {
            for link in &mut links {
                pings.push(&mut link.out);
                one_reply(link).await?;
            }
            heard = Instant::now();
        }
    }
    Ok(links)
}

async fn one_reply(link: &mut Link) -> Result<()> {
    link.flush().await?;
    while !link.next_reply()? {
        link.fill().await?;
    }
    Ok(())
}

/// A reply or an event: whichever must come next.
async fn one_frame(link: &mut Link) -> Result<()> {
    while link.next_frame().is_none() {
        link.fill().await?;
    }
    Ok(())
}
