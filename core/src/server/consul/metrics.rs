//! `/v1/agent/metrics`: what the member counts, as JSON and for Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use coord_wire::consul::json;
use hyper::header::ACCEPT;
use serde::Serialize;

use super::Front;
use super::answer::Answer;
use super::call::Call;

const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
const DAY_S: u64 = 86_400;
/// How long an interval of the stream is, as in Consul.
pub(super) const METRICS_EVERY: Duration = Duration::from_secs(10);

/// How long requests took, by method and route: as many as there are routes.
#[derive(Debug, Default)]
pub(super) struct Metrics(Mutex<BTreeMap<(String, &'static str), Series>>);

/// Milliseconds of many requests.
#[derive(Debug, Clone, Copy, Default)]
struct Series {
    count: u64,
    sum: f64,
    sum_of_squares: f64,
    min: f64,
    max: f64,
}

impl Series {
    fn record(&mut self, ms: f64) {
        self.min = if self.count == 0 { ms } else { self.min.min(ms) };
        self.max = self.max.max(ms);
        self.count += 1;
        self.sum += ms;
        self.sum_of_squares += ms * ms;
    }

    fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum / self.count_f64() }
    }

    fn deviation(&self) -> f64 {
        if self.count < 2 {
            return 0.0;
        }
        let variance = self.sum_of_squares / self.count_f64() - self.mean() * self.mean();
        variance.max(0.0).sqrt()
    }

    #[expect(clippy::cast_precision_loss, reason = "a statistic may round past 2^53 requests")]
    fn count_f64(&self) -> f64 {
        self.count as f64
    }
}

impl Metrics {
    /// Counts one request that was routed to `path`.
    pub(super) fn record(&self, method: &str, path: &'static str, taken: Duration) {
        let mut series = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        series.entry((method.to_owned(), path)).or_default().record(taken.as_secs_f64() * 1e3);
    }

    fn series(&self) -> Vec<(String, String, Series)> {
        let series = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let label = |path: &str| path.trim_start_matches('/').replace('/', "_");
        series.iter().map(|((method, path), all)| (method.clone(), label(path), *all)).collect()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Gauge {
    name: &'static str,
    value: u64,
    labels: BTreeMap<(), ()>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Sample {
    name: &'static str,
    count: u64,
    rate: f64,
    sum: f64,
    min: f64,
    max: f64,
    mean: f64,
    stddev: f64,
    labels: BTreeMap<&'static str, String>,
}

impl Front {
    pub(super) fn agent_metrics(&self, call: &Call) -> Answer {
        let accepts = call.headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
        let scraped = accepts.is_some_and(|accept| accept.contains("openmetrics"));
        if scraped || call.params.get("format") == Some("prometheus") {
            return Answer::of_type(PROMETHEUS, self.prometheus());
        }
        Answer::json_bytes(self.metrics_json(call.pretty()))
    }

    /// All metrics as Consul's JSON has them.
    pub(super) fn metrics_json(&self, pretty: bool) -> Vec<u8> {
        let uptime_s = self.node.clock().monotonic().saturating_sub(self.began).as_secs_f64();
        let samples: Vec<_> = self
            .metrics
            .series()
            .into_iter()
            .map(|(method, path, series)| Sample {
                name: "consul.api.http",
                count: series.count,
                rate: series.sum / uptime_s.max(1.0),
                sum: series.sum,
                min: series.min,
                max: series.max,
                mean: series.mean(),
                stddev: series.deviation(),
                labels: BTreeMap::from([("method", method), ("path", path)]),
            })
            .collect();
        let gauges: Vec<_> = self
            .gauges()
            .into_iter()
            .map(|(name, value)| Gauge { name, value, labels: BTreeMap::new() })
            .collect();
        let answer = serde_json::json!({
            "Timestamp": timestamp(self.node.clock().wall_ms()),
            "Gauges": gauges,
            "Points": [],
            "Counters": [],
            "Samples": samples,
        });
        json::encode(&answer, pretty)
    }

    /// What there is now, sorted by name.
    fn gauges(&self) -> Vec<(&'static str, u64)> {
        let status = self.node.status();
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let leads = status.leader == Some(self.node.member());
        let waiting = self.node.topic_waiters().len();
        let (mismatches, reinstalls) = self.node.divergences();
        let serves = u64::from(self.node.serves());
        // Only the leader knows, and so tells, how the others are.
        let autopilot = leads.then(|| self.autopilot_verdict()).map(|(healthy, tolerance)| {
            let tolerance = ("consul.autopilot.failure_tolerance", number(tolerance));
            [tolerance, ("consul.autopilot.healthy", u64::from(healthy))]
        });
        let others = self.node.read(|state| {
            let consul = state.consul();
            let catalog = consul.catalog();
            let mut names: Vec<_> = catalog.services().map(|service| &*service.name).collect();
            let instances = names.len();
            names.sort_unstable();
            names.dedup();
            let expiring = consul.sessions().iter().filter(|session| session.ttl_ms > 0);
            vec![
                ("consul.coord.digest_mismatches", mismatches),
                ("consul.coord.serving", serves),
                ("consul.coord.state_reinstalls", reinstalls),
                ("consul.members.servers", number(status.voters.len().max(1))),
                ("consul.raft.applied_index", state.revision().0),
                ("consul.raft.term", status.term),
                ("consul.rpc.queries_blocking", number(waiting)),
                ("consul.server.isLeader", u64::from(leads)),
                ("consul.session_ttl.active", number(expiring.count())),
                ("consul.state.kv_entries", number(consul.kv().len())),
                ("consul.state.nodes", number(catalog.nodes().count())),
                ("consul.state.prepared_queries", number(consul.queries().iter().count())),
                ("consul.state.service_instances", number(instances)),
                ("consul.state.services", number(names.len())),
                ("consul.state.sessions", number(consul.sessions().len())),
            ]
        });
        autopilot.into_iter().flatten().chain(others).collect()
    }

    fn prometheus(&self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        for (name, value) in self.gauges() {
            let name = name.replace('.', "_");
            let _ = writeln!(out, "# HELP {name} {name}\n# TYPE {name} gauge\n{name} {value}");
        }
        let name = "consul_api_http";
        let _ = writeln!(out, "# HELP {name} {name}\n# TYPE {name} summary");
        for (method, path, series) in self.metrics.series() {
            let labels = format!("method=\"{method}\",path=\"{path}\"");
            let _ = writeln!(out, "{name}_sum{{{labels}}} {}", series.sum);
            let _ = writeln!(out, "{name}_count{{{labels}}} {}", series.count);
        }
        out
    }
}

/// As Go prints a time: `2026-01-31 23:59:58 +0000 UTC`.
fn timestamp(unix_ms: u64) -> String {
    let (date, time) = date_and_time(unix_ms);
    format!("{date} {time} +0000 UTC")
}

/// As JSON has it: `2026-01-31T23:59:58Z`.
pub(super) fn rfc3339(unix_ms: u64) -> String {
    let (date, time) = date_and_time(unix_ms);
    format!("{date}T{time}Z")
}

fn date_and_time(unix_ms: u64) -> (String, String) {
    let seconds = unix_ms / 1000;
    let (hour, minute, second) = (seconds % DAY_S / 3600, seconds % 3600 / 60, seconds % 60);
    let mut days = seconds / DAY_S;
    let is_leap = |year: u64| {
        (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400)
    };
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let day = days + 1;
    let date = format!("{year:04}-{month:02}-{day:02}");
    (date, format!("{hour:02}:{minute:02}:{second:02}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_a_date_in_utc() {
        assert_eq!(timestamp(0), "1970-01-01 00:00:00 +0000 UTC");
        assert_eq!(timestamp(951_782_399_000), "2000-02-28 23:59:59 +0000 UTC");
        assert_eq!(timestamp(951_782_400_000), "2000-02-29 00:00:00 +0000 UTC");
        assert_eq!(timestamp(1_798_761_599_999), "2026-12-31 23:59:59 +0000 UTC");
    }

    #[test]
    fn a_series_knows_its_spread() {
        let mut series = Series::default();
        for ms in [2.0, 4.0] {
            series.record(ms);
        }
        assert_eq!((series.count, series.min, series.max), (2, 2.0, 4.0));
        assert_eq!((series.mean(), series.deviation()), (3.0, 1.0));
    }
}
