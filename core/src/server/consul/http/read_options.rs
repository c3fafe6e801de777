//! Options of reads: consistency, and blocking.

use std::time::Duration;

use coord_wire::consul::duration;

use super::call::Call;
use super::error_map::HttpError;
use super::params::Params;
use crate::node::ReadLevel;
use crate::server::consul::ConsulApi;
use crate::settings::QuerySettings;

/// The wishes of one reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReadOptions {
    pub(crate) level: ReadLevel,
    /// A stale answer may be this old.
    pub(super) max_stale: Option<Duration>,
    /// Answer when the index is above this; 0 means at once.
    pub(crate) index: u64,
    /// How long to wait for that, without jitter.
    pub(crate) wait: Duration,
}

impl ConsulApi {
    /// What this reader asks for.
    pub(crate) fn read_options(&self, call: &Call) -> Result<ReadOptions, HttpError> {
        ReadOptions::parse(&call.params, &self.node.settings().queries)
    }
}

impl ReadOptions {
    pub(crate) fn parse(params: &Params, waits: &QuerySettings) -> Result<Self, HttpError> {
        let mut wait = Duration::from_millis(waits.default_wait_ms);
        if let Some(text) = params.nonempty("wait") {
            let nanoseconds =
                duration::parse(text).map_err(|_| HttpError::bad_request("Invalid wait time"))?;
            // None or less means the default, as an absent one does.
            if let Ok(amount @ 1..) = u64::try_from(nanoseconds) {
                wait = Duration::from_nanos(amount);
            }
        }
        let wait_max = Duration::from_millis(waits.max_wait_ms);
        let index = match params.nonempty("index") {
            None => 0,
            Some(text) => text.parse().map_err(|_| HttpError::bad_request("Invalid index"))?,
        };
        let mut max_stale = None;
        if let Some(text) = params.nonempty("max_stale") {
            let nanoseconds = duration::parse(text)
                .map_err(|_| HttpError::bad_request(format!("Invalid max_stale value {text:?}")))?;
            max_stale =
                u64::try_from(nanoseconds).ok().filter(|n| *n > 0).map(Duration::from_nanos);
        }
        let stale = params.has("stale") || max_stale.is_some();
        let level = match (stale, params.has("consistent")) {
            (true, true) => {
                return Err(HttpError::bad_request(
                    "Cannot specify ?stale with ?consistent, conflicting semantics.",
                ));
            }
            (true, false) => ReadLevel::Stale,
            (false, true) => ReadLevel::Linearizable,
            (false, false) => ReadLevel::Leader,
        };
        if params.has("cached") && level == ReadLevel::Linearizable {
            return Err(HttpError::bad_request(
                "Cannot specify ?cached with ?consistent, conflicting semantics.",
            ));
        }
        Ok(Self { level, max_stale, index, wait: wait.min(wait_max) })
    }

    /// As `X-Consul-Effective-Consistency` tells it.
    pub(crate) fn consistency(&self) -> &'static str {
        match self.level {
            ReadLevel::Stale => "stale",
            ReadLevel::Leader => "leader",
            ReadLevel::Linearizable => "consistent",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<ReadOptions, String> {
        ReadOptions::parse(&Params::parse(query).unwrap(), &QuerySettings::default())
            .map_err(|e| e.text().to_owned())
    }

    #[test]
    fn without_wishes_the_leader_answers_at_once() {
        let options = parse("").unwrap();
        assert_eq!((options.level, options.index), (ReadLevel::Leader, 0));
        assert_eq!(options.wait, Duration::from_secs(300));
    }

    #[test]
    fn a_wait_is_clipped_to_ten_minutes() {
        assert_eq!(parse("index=1&wait=20m").unwrap().wait, Duration::from_secs(600));
        assert_eq!(parse("index=1&wait=1s").unwrap().wait, Duration::from_secs(1));
    }

    #[test]
    fn nonsense_is_refused_with_consuls_texts() {
        assert_eq!(parse("index=abc").unwrap_err(), "Invalid index");
        assert_eq!(parse("wait=abc").unwrap_err(), "Invalid wait time");
        assert_eq!(parse("max_stale=x").unwrap_err(), "Invalid max_stale value \"x\"");
        assert_eq!(
            parse("stale&consistent").unwrap_err(),
            "Cannot specify ?stale with ?consistent, conflicting semantics."
        );
        assert_eq!(
            parse("cached&consistent=1").unwrap_err(),
            "Cannot specify ?cached with ?consistent, conflicting semantics."
        );
    }

    #[test]
    fn staleness_with_a_bound_is_staleness() {
        let options = parse("max_stale=5s").unwrap();
        assert_eq!((options.level, options.consistency()), (ReadLevel::Stale, "stale"));
    }
}
