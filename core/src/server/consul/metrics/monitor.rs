//! `/v1/agent/monitor`: streams the log.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use tracing::Level;

use super::endpoint::METRICS_EVERY;
use crate::server::consul::ConsulApi;
use crate::server::consul::http::answer::Answer;
use crate::server::consul::http::call::Call;
use crate::server::consul::http::error_map::HttpError;

impl ConsulApi {
    pub(crate) fn agent_monitor(&self, call: &Call) -> Result<Answer, HttpError> {
        let name = call.params.nonempty("loglevel").unwrap_or("INFO");
        let level = level(name)
            .ok_or_else(|| HttpError::bad_request(format!("Unknown log level: {name}")))?;
        let Some(feed) = self.log_feed.get() else {
            return Err(HttpError::internal(
                "the host program of this member does not provide its log, so it cannot be \
                 streamed",
            ));
        };
        let mut lines = feed.listen(level, call.params.has("logjson"));
        let (sender, parts) = mpsc::channel(1);
        let (feed, stopping) = (Arc::clone(feed), self.stopping.subscribe());
        tokio::spawn(async move {
            let mut stopping = stopping;
            loop {
                let line = tokio::select! {
                    line = lines.recv() => line,
                    () = sender.closed() => None,
                    _ = stopping.wait_for(|stopping| *stopping) => None,
                };
                let Some(line) = line else { break };
                if sender.send(line).await.is_err() {
                    break;
                }
            }
            drop(lines);
            feed.unlisten();
        });
        Ok(Answer::stream("text/plain; charset=utf-8", parts))
    }

    /// `/v1/agent/metrics/stream`: the metrics of each interval, a line of JSON
    /// each, the first at once.
    pub(crate) fn agent_metrics_stream(self: &Arc<Self>) -> Answer {
        let (sender, parts) = mpsc::channel(1);
        let api = Arc::downgrade(self);
        let mut stopping = self.stopping.subscribe();
        tokio::spawn(async move {
            let mut ticks = crate::clock::interval(METRICS_EVERY);
            loop {
                tokio::select! {
                    _ = ticks.tick() => {}
                    () = sender.closed() => return,
                    _ = stopping.wait_for(|stopping| *stopping) => return,
                }
                let Some(api) = api.upgrade() else { return };
                let mut line = api.metrics_json(false);
                line.push(b'\n');
                drop(api);
                if sender.send(Ok(Bytes::from(line))).await.is_err() {
                    return;
                }
            }
        });
        Answer::stream("application/json", parts)
    }
}

/// Consul's names, whatever their case.
fn level(name: &str) -> Option<Level> {
    Some(match name.to_ascii_uppercase().as_str() {
        "TRACE" => Level::TRACE,
        "DEBUG" => Level::DEBUG,
        "INFO" => Level::INFO,
        "WARN" => Level::WARN,
        "ERR" | "ERROR" => Level::ERROR,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_consuls_names() {
        assert_eq!(level("err"), Some(Level::ERROR));
        assert_eq!(level("Trace"), Some(Level::TRACE));
        assert_eq!(level("loud"), None);
    }
}
