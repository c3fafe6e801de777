//! `/v1/agent/metrics`: metrics as JSON and for Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use coord_wire::consul::json;
use hyper::header::ACCEPT;
use serde::Serialize;

use super::request_metrics::Sampled;
use crate::server::consul::ConsulApi;
use crate::server::consul::http::answer::Answer;
use crate::server::consul::http::call::Call;
use crate::server::consul::http::times::timestamp;

const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
/// How long an interval of the stream is, as in Consul.
pub(super) const METRICS_EVERY: Duration = Duration::from_secs(10);

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

/// What was counted one by one.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Counter {
    name: &'static str,
    count: u64,
    rate: f64,
    sum: u64,
    min: u64,
    max: u64,
    mean: u64,
    stddev: u64,
    labels: BTreeMap<(), ()>,
}

impl ConsulApi {
    pub(crate) fn agent_metrics(&self, call: &Call) -> Answer {
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
            .samples()
            .into_iter()
            .map(|(name, labels, series)| Sample {
                name,
                count: series.count,
                rate: series.sum / uptime_s.max(1.0),
                sum: series.sum,
                min: series.min,
                max: series.max,
                mean: series.mean(),
                stddev: series.deviation(),
                labels,
            })
            .collect();
        let counters: Vec<_> = self
            .counters()
            .into_iter()
            .map(|(name, count)| Counter {
                name,
                count,
                rate: per_second(count, uptime_s),
                sum: count,
                min: count.min(1),
                max: count.min(1),
                mean: count.min(1),
                stddev: 0,
                labels: BTreeMap::new(),
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
            "Counters": counters,
            "Samples": samples,
        });
        json::encode(&answer, pretty)
    }

    fn samples(&self) -> Vec<Sampled> {
        let mut samples = self.request_metrics.samples();
        if let Some(dns) = self.dns_times.get() {
            let (domain, reverse) = dns.both();
            let both = [("consul.dns.domain_query", domain), ("consul.dns.ptr_query", reverse)];
            samples.extend(both.map(|(name, series)| (name, BTreeMap::new(), series)));
        }
        samples
    }

    fn counters(&self) -> BTreeMap<&'static str, u64> {
        let mut counters = self.request_metrics.counters();
        let elections = self.node.elections();
        counters.insert("consul.raft.state.candidate", elections.stood);
        counters.insert("consul.raft.state.leader", elections.led);
        counters.insert("consul.session_ttl.invalidate", elections.ended_by_ttl);
        counters
    }

    fn prometheus(&self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        for (name, value) in self.gauges() {
            let name = name.replace('.', "_");
            let _ = writeln!(out, "# HELP {name} {name}\n# TYPE {name} gauge\n{name} {value}");
        }
        for (name, value) in self.counters() {
            let name = name.replace('.', "_");
            let _ = writeln!(out, "# HELP {name} {name}\n# TYPE {name} counter\n{name} {value}");
        }
        let mut before = "";
        for (name, labels, series) in self.samples() {
            let told = name.replace(['.', '-'], "_");
            if name != before {
                let _ = writeln!(out, "# HELP {told} {told}\n# TYPE {told} summary");
            }
            before = name;
            let labels = labels.iter().map(|(label, value)| format!("{label}=\"{value}\""));
            let labels = labels.collect::<Vec<_>>().join(",");
            let labels = if labels.is_empty() { labels } else { format!("{{{labels}}}") };
            let _ = writeln!(out, "{told}_sum{labels} {}", series.sum);
            let _ = writeln!(out, "{told}_count{labels} {}", series.count);
        }
        out
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate may round past 2^53")]
fn per_second(count: u64, uptime_s: f64) -> f64 {
    count as f64 / uptime_s.max(1.0)
}
