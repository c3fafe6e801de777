//! Definitions of health checks.

use serde_json::{Map, Value, json};

/// A check definition in Consul's JSON, with a constructor per kind of probe.
/// Durations are strings in Consul's format (`10s`, `1m30s`).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Check(Map<String, Value>);

impl Check {
    /// Runs a program every `interval`; 0 passes, 1 warns, else critical.
    pub fn script(args: &[&str], interval: &str) -> Self {
        Self::default().with("Args", json!(args)).with("Interval", json!(interval))
    }

    /// Requests `url` every `interval`; 2xx passes, 429 warns.
    pub fn http(url: &str, interval: &str) -> Self {
        Self::default().with("HTTP", json!(url)).with("Interval", json!(interval))
    }

    /// Connects to `host:port` every `interval`.
    pub fn tcp(host: &str, port: u16, interval: &str) -> Self {
        let address = if host.contains(':') && !host.starts_with('[') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        };
        Self::default().with("TCP", json!(address)).with("Interval", json!(interval))
    }

    /// Calls the gRPC health service at `host:port[/service]` every `interval`.
    pub fn grpc(target: &str, interval: &str) -> Self {
        Self::default().with("GRPC", json!(target)).with("Interval", json!(interval))
    }

    /// Critical unless updated at least every `ttl`.
    pub fn ttl(ttl: &str) -> Self {
        Self::default().with("TTL", json!(ttl))
    }

    /// Runs a program in a container every `interval`.
    pub fn docker(container: &str, shell: &str, args: &[&str], interval: &str) -> Self {
        Self::default()
            .with("DockerContainerID", json!(container))
            .with("Shell", json!(shell))
            .with("Args", json!(args))
            .with("Interval", json!(interval))
    }

    /// Sets the timeout of a probe.
    #[must_use]
    pub fn timeout(self, time: &str) -> Self {
        self.with("Timeout", json!(time))
    }

    /// Deregisters the service once the check was critical for `time`.
    #[must_use]
    pub fn deregister_after(self, time: &str) -> Self {
        self.with("DeregisterCriticalServiceAfter", json!(time))
    }

    /// Sets any other field, named as in Consul's JSON.
    #[must_use]
    pub fn with(mut self, field: &str, value: Value) -> Self {
        self.0.insert(field.to_owned(), value);
        self
    }

    /// As JSON.
    pub fn to_json(&self) -> Value {
        Value::Object(self.0.clone())
    }
}
