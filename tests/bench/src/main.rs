//! A light load generator for ZooKeeper's protocol, and for Consul's HTTP and
//! DNS: one thread, a fixed number of requests under way on each connection.
//!
//! It prints one line of `name=value` and how much of a core it used itself:
//! near 100, the generator and not the server was the bottleneck.

mod consul;
mod crowd;
mod histogram;
mod load;
mod request;

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use histogram::Histogram;
use load::Plan;
use request::Work;

const USAGE: &str = "\
usage: coord-bench HOST:PORT [NAME=VALUE...]
  work=create|set|get   what each request does (create), of ZooKeeper
  work=idle             open sessions, say so, keep them until the input ends
  work=watch            all wait for one znode: from the write to the last event
  work=http|dns|wait    of Consul: requests, questions, blocking queries
  method=GET|PUT        of HTTP requests (GET)
  path=TEXT             path or name asked for; {} is the connection's number
  connections=N         TCP connections, a session each (64)
  depth=N               requests under way on each (8)
  bytes=N               data of a znode (100)
  seconds=N             how long is counted (5)
  warmup=N              seconds before that (1)";

#[expect(clippy::print_stdout, reason = "the result is what it is for")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let plan = match parse(&arguments) {
        Ok(plan) => plan,
        Err(problem) => {
            eprintln!("{problem}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime needs only a poller and a timer");
    let outcome = match &plan {
        Plans::Zookeeper(ours) => runtime.block_on(work(ours, &plan)),
        Plans::Consul(ours) => {
            runtime.block_on(consul::run(ours)).map(|latencies| report(&plan, &latencies))
        }
    };
    match outcome {
        Ok(result) => {
            println!("{result}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("coord-bench: {}: {error}", arguments[0]);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "whoever waits for the sessions reads it")]
async fn work(plan: &Plan, plans: &Plans) -> std::io::Result<String> {
    match plan.work {
        Work::Idle => {
            crowd::idle(plan, || println!("opened={}", plan.connections)).await?;
            Ok(format!("generator_core_percent={}", own_core_percent(plans)))
        }
        Work::Watch => {
            let times = crowd::watch(plan).await?;
            let (middle, last) = (times[times.len() / 2], times[times.len() - 1]);
            Ok(format!("p50_us={} max_us={}", middle.as_micros(), last.as_micros()))
        }
        Work::Create | Work::Set | Work::Get => {
            load::run(plan).await.map(|latencies| report(plans, &latencies))
        }
    }
}

/// Which protocol's load.
enum Plans {
    Zookeeper(Plan),
    Consul(consul::Plan),
}

fn parse(arguments: &[String]) -> Result<Plans, String> {
    let (address, settings) = arguments.split_first().ok_or("no address")?;
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut plan = Plan {
        address: address.clone(),
        work: Work::Create,
        connections: 64,
        depth: 8,
        bytes: 100,
        warm_up: Duration::from_secs(1),
        duration: Duration::from_secs(5),
        folder: format!("/bench-{}", since_epoch.as_nanos()),
    };
    let mut consul_work = None;
    let (mut method, mut path) = ("GET".to_owned(), "/v1/kv/bench".to_owned());
    for setting in settings {
        let (name, value) =
            setting.split_once('=').ok_or_else(|| format!("{setting}: write NAME=VALUE"))?;
        let number = || value.parse::<u32>().map_err(|_| format!("{setting}: not a number"));
        match name {
            "work" => match consul::Work::named(value) {
                Some(work) => consul_work = Some(work),
                None => plan.work = Work::named(value).ok_or_else(|| format!("{setting}?"))?,
            },
            "method" => method = value.to_owned(),
            "path" => path = value.to_owned(),
            "connections" => plan.connections = u64::from(number()?.max(1)),
            "depth" => plan.depth = number()?.max(1) as usize,
            "bytes" => plan.bytes = number()? as usize,
            "seconds" => plan.duration = Duration::from_secs(u64::from(number()?.max(1))),
            "warmup" => plan.warm_up = Duration::from_secs(u64::from(number()?)),
            _ => return Err(format!("there is no {name}")),
        }
    }
    Ok(match consul_work {
        None => Plans::Zookeeper(plan),
        Some(work) => Plans::Consul(consul::Plan {
            address: plan.address,
            work,
            method,
            path,
            connections: u32::try_from(plan.connections).map_err(|_| "too many connections")?,
            depth: plan.depth,
            bytes: plan.bytes,
            warm_up: plan.warm_up,
            duration: plan.duration,
        }),
    })
}

impl Plans {
    /// How long is counted, and how long the whole takes.
    fn durations(&self) -> (Duration, Duration) {
        let (counted, warm_up) = match self {
            Self::Zookeeper(plan) => (plan.duration, plan.warm_up),
            Self::Consul(plan) => (plan.duration, plan.warm_up),
        };
        (counted, counted + warm_up)
    }
}

fn report(plan: &Plans, latencies: &Histogram) -> String {
    let seconds = plan.durations().0.as_secs();
    let quantile = |per_mille| latencies.quantile(per_mille);
    format!(
        "ops={} ops_per_s={} p50_us={} p99_us={} p999_us={} generator_core_percent={}",
        latencies.total(),
        latencies.total() / seconds.max(1),
        quantile(500),
        quantile(990),
        quantile(999),
        own_core_percent(plan),
    )
}

/// Share of one core this process used, as Linux counts it; 0 elsewhere.
fn own_core_percent(plan: &Plans) -> u64 {
    let ran = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanos: u128 = ran.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0);
    let whole = plan.durations().1.as_nanos().max(1);
    u64::try_from(nanos * 100 / whole).unwrap_or(u64::MAX)
}
