//! Observability: request counters and timers, gauges, the endpoint that prints them as JSON
//! or for Prometheus, and the live log.

mod endpoint;
mod gauges;
mod monitor;
pub(super) mod request_metrics;
